"""Convolutions as a library runs them: its fastest algorithm, with a fitted clock, launch and interval."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from perfmodel.calibration.fit import conformal_quantile
from perfmodel.cost.convolutions import algorithm_times, features, library_estimates
from perfmodel.cost.tiles import Tiles
from perfmodel.validate.baselines import KEPT, fit_two, two
from perfmodel.validate.ledger import Model
from perfmodel.validate.problems import Guess, Lesson, Problems, Question
from perfmodel.validate.scores import COVERAGE

FOLDS = 10
WINOGRAD = (2, 4, 8)  # pixels that tiles of Winograd's kernels have on a side, or a row of them
SLOWEST = 2.0  # ln: an algorithm so much slower than the fastest is out of the question


@lru_cache(maxsize=KEPT)
def library_body(problems: Problems) -> np.ndarray:
    """Seconds of each convolution's fastest algorithm but its launch, nothing fitted."""
    model = Tiles(problems.device).unlimited()
    convolutions = [gemm.conv for gemm in problems.kernels]
    seconds = library_estimates(convolutions, problems.kernels[0].precision, model).seconds
    return seconds - model.constants.launch_s


def offered(problems: Problems) -> bool:
    """Whether the library has an algorithm for each: none for dgrad and wgrad of integers."""
    return bool(np.isfinite(library_body(problems)).all())


@lru_cache(maxsize=KEPT)
def library_features(problems: Problems) -> np.ndarray:
    """`features` of each convolution, how much slower the other algorithms are, and what tiles of pixels leave idle."""
    convolutions, precision = [gemm.conv for gemm in problems.kernels], problems.kernels[0].precision
    tiles = Tiles(problems.device).unlimited()
    times, names = algorithm_times(convolutions, precision, tiles)
    best = times.min(axis=0)
    behind = np.minimum(np.log(times / best), SLOWEST)
    sides = np.array([one.out for one in convolutions], dtype=float).T
    idle = [np.log(np.ceil(sides / tile) * tile / sides).sum(axis=0) for tile in WINOGRAD]
    chosen = [names[i] for i in times.argmin(axis=0)]
    return np.column_stack([features(convolutions, precision, tiles, library_body(problems), chosen), *behind, *idle])


def library_two(lessons: Sequence[Lesson]) -> Model:
    """a·body + c, and the interval that held nine in ten timings when predicted from nine tenths of the others."""
    body = np.concatenate([library_body(one.problems)[one.at] for one in lessons])
    seconds = np.concatenate([one.seconds for one in lessons])
    at = fit_two(body, seconds)
    width = conformal_quantile(_errors(body, seconds), COVERAGE)
    return lambda question: _guess(question, at, width)


def _errors(body: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """|log error| of each timing, predicted from other folds; timings are in the order of their file."""
    fold = np.arange(len(body)) * FOLDS // len(body)
    found = np.empty(len(body))
    for number in range(fold.max() + 1):
        out = fold == number
        found[out] = np.abs(np.log(two(fit_two(body[~out], seconds[~out]), body[out]).sum(axis=0) / seconds[out]))
    return found


def _guess(question: Question, at: np.ndarray, width: float) -> Guess:
    seconds = two(at, library_body(question.problems)[question.at]).sum(axis=0)
    return Guess(seconds, seconds * np.exp(-width), seconds * np.exp(width))
