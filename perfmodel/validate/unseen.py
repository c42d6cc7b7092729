"""A GPU that nobody timed: the prediction needs no timing of it, what a watt gives and its interval those of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from math import inf

import numpy as np

from perfmodel.calibration.fit import conformal_quantile
from perfmodel.cost.tiles import LIMITED, Tiles
from perfmodel.validate.baselines import KEPT, modelled
from perfmodel.validate.ledger import Model
from perfmodel.validate.problems import Guess, Lesson, Problems, Question
from perfmodel.validate.scores import COVERAGE

SUSTAINED = 0.9  # quantile of a device's achieved FLOP/s that counts as what it sustains


def tiles_unseen(lessons: Sequence[Lesson]) -> Model:
    """`tiles` with what a watt gives on other GPUs, and the interval that its errors there suggest.

    The half-width (natural log) has two parts: one for what a device's GEMMs share, the 90 % quantile of the devices'
    median errors (the greatest, of fewer than nine), and one for single GEMMs, that of the errors about the medians.
    """
    flop_per_j = simt_flop_per_j(lessons)
    errors = [np.log(one.seconds / limited_seconds(one.problems, flop_per_j)[one.at]) for one in lessons]
    medians = np.array([np.median(one) for one in errors])
    about = np.concatenate([np.abs(one - middle) for one, middle in zip(errors, medians, strict=True)])
    shared, own = (conformal_quantile(part, COVERAGE) for part in (np.abs(medians), about))
    return lambda question: _guess(question, flop_per_j, float(np.hypot(shared, own)))


def simt_flop_per_j(lessons: Sequence[Lesson]) -> float:
    """The most that CUDA cores sustain for each watt on any of the GPUs of the lessons; infinite where none tells."""
    found = []
    for one in lessons:
        device, gemms = one.problems.device, [one.problems.kernels[i] for i in one.at]
        told = device.power_w is not None and device.architecture in LIMITED
        if told and device.rate(gemms[0].precision).unit == "simt":
            rates = np.array([gemm.flop for gemm in gemms]) / one.seconds
            found.append(float(np.quantile(rates, SUSTAINED)) / device.power_w)
    return max(found, default=inf)


@lru_cache(maxsize=KEPT)
def limited_seconds(problems: Problems, flop_per_j: float) -> np.ndarray:
    """What `tiles` says of each GEMM with this much work for each watt."""
    model = Tiles(problems.device)
    return modelled(replace(model, constants=replace(model.constants, simt_flop_per_j=flop_per_j)), problems)


def _guess(question: Question, flop_per_j: float, width: float) -> Guess:
    seconds = limited_seconds(question.problems, flop_per_j)[question.at]
    return Guess(seconds, seconds * np.exp(-width), seconds * np.exp(width))
