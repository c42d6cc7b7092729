"""The framework's view of iterations as it is judged: constants and intervals from other networks alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from perfmodel.framework.conformal import grouped_quantile
from perfmodel.framework.fit import fit as fit_constants
from perfmodel.framework.fit import leave_out, predict
from perfmodel.framework.timings import Iteration, rows_of
from perfmodel.framework.validation import NAMES, fitted
from perfmodel.validate.iterations import in_framework_terms
from perfmodel.validate.ledger import Model
from perfmodel.validate.problems import Guess, Lesson, Question
from perfmodel.validate.scores import COVERAGE


def fit(lessons: Sequence[Lesson]) -> Model:
    """A framework's constants from whole iterations of all sources and devices, and the bound of its errors."""
    known = tuple(
        one
        for lesson in lessons
        for one in in_framework_terms(
            [lesson.problems.kernels[i] for i in lesson.at], lesson.problems.device.name, lesson.seconds
        )
    )
    return lambda question: _guess(known, question)


def _guess(known: tuple[Iteration, ...], question: Question) -> Guess | None:
    kernels = [question.problems.kernels[i] for i in question.at]
    asked = in_framework_terms(kernels, question.problems.device.name, np.ones(len(kernels)))
    learned = _learned(known, asked[0].format)
    if learned is None:
        return None
    constants, bound = learned
    seconds = predict(constants, rows_of(asked, NAMES))
    return Guess(seconds, seconds * np.exp(-bound), seconds * np.exp(bound))


@lru_cache(maxsize=256)
def _learned(known: tuple[Iteration, ...], format_: str) -> tuple[np.ndarray, float] | None:
    """Constants [frameworks, constants] of one format, and the 90 % quantile of its errors on unseen networks.

    None where fewer than two networks are known.
    """
    chosen = fitted(known, format_)
    networks = np.array([one.base for one in chosen], dtype=object)
    if len(set(networks)) < 2:
        return None
    rows = rows_of(chosen, NAMES)
    errors = np.abs(np.log(leave_out(rows, networks) / rows.measured_s))
    return fit_constants(rows), grouped_quantile(errors, networks, COVERAGE)
