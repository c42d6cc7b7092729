"""A GPU that nobody timed: no timing of it is needed; what a watt gives, pages cost and its interval are of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from math import inf

import numpy as np

from perfmodel.calibration.fit import conformal_quantile
from perfmodel.cost.pages import paged, sector_reads
from perfmodel.cost.tiles import LIMITED, Constants, Tiles
from perfmodel.validate.baselines import KEPT, modelled
from perfmodel.validate.leastsquares import fit_parts, loss_of
from perfmodel.validate.ledger import Model
from perfmodel.validate.problems import Guess, Lesson, Problems, Question
from perfmodel.validate.scores import COVERAGE

SUSTAINED = 0.9  # quantile of a device's achieved FLOP/s that counts as what it sustains
SPANS = tuple(np.geomspace(1e8, 1e10, 41).tolist())  # bytes: where half of the pages' cost may be paid


@dataclass(frozen=True, slots=True)
class Learned:
    """Constants that others' timings settle: those of `Constants`."""

    simt_flop_per_j: float
    page_s: float
    page_bytes: float


def tiles_unseen(lessons: Sequence[Lesson]) -> Model:
    """`tiles` with what a watt gives on other GPUs, and the interval that its errors there suggest.

    The half-width (natural log) has two parts: one for what a device's GEMMs share, the 90 % quantile of the devices'
    median errors (the greatest, of fewer than nine), and one for single GEMMs, that of the errors about the medians.
    """
    learned = learn(lessons)
    errors = [np.log(one.seconds / unseen_seconds(one.problems, learned)[one.at]) for one in lessons]
    medians = np.array([np.median(one) for one in errors])
    about = np.concatenate([np.abs(one - middle) for one, middle in zip(errors, medians, strict=True)])
    shared, own = (conformal_quantile(part, COVERAGE) for part in (np.abs(medians), about))
    return lambda question: _guess(question, learned, float(np.hypot(shared, own)))


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


def learn(lessons: Sequence[Lesson]) -> Learned:
    """What the lessons' GPUs say of the constants that no spec sheet holds."""
    flop_per_j = simt_flop_per_j(lessons)
    return Learned(flop_per_j, *pages(lessons, flop_per_j))


def pages(lessons: Sequence[Lesson], flop_per_j: float) -> tuple[float, float]:
    """`page_s` and `page_bytes` that the lessons of GPUs with such rows suggest, besides one factor; else no cost."""
    lessons = [one for one in lessons if paged(one.problems.device)]
    if not lessons:
        return 0.0, inf
    seconds = np.concatenate([one.seconds for one in lessons])
    plain = np.concatenate([unseen_seconds(one.problems, Learned(flop_per_j, 0.0, inf))[one.at] for one in lessons])
    found = []
    for span in SPANS:
        reads = np.concatenate([_reads(one, span) for one in lessons])
        if not reads.any():
            return 0.0, inf
        parts = partial(_parts, np.stack([plain, reads]))
        at = fit_parts(parts, seconds, [np.log([1.0, Constants().page_s])])
        found.append((loss_of(parts(at), seconds), float(np.exp(at[1])), span))
    return min(found)[1:]


def _parts(bases: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.exp(x)[:, None] * bases


def _reads(lesson: Lesson, span_bytes: float) -> np.ndarray:
    found = np.empty(len(lesson))
    for at, gemms in lesson.problems.by_layout(lesson.at):
        found[at] = sector_reads(gemms, lesson.problems.device, span_bytes)
    return found


@lru_cache(maxsize=KEPT)
def unseen_seconds(problems: Problems, learned: Learned) -> np.ndarray:
    """What `tiles` says of each GEMM with these constants."""
    model = Tiles(problems.device)
    return modelled(replace(model, constants=replace(model.constants, **asdict(learned))), problems)


def _guess(question: Question, learned: Learned, width: float) -> Guess:
    seconds = unseen_seconds(question.problems, learned)[question.at]
    return Guess(seconds, seconds * np.exp(-width), seconds * np.exp(width))
