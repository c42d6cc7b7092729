"""The simple models that ours must beat, and ours before anything but clock and launch is fitted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from perfmodel.cost.roofline import Roofline, compulsory_bytes
from perfmodel.cost.tiles import Tiles
from perfmodel.validate.leastsquares import fit_parts
from perfmodel.validate.ledger import Model
from perfmodel.validate.problems import Guess, Lesson, Problems

KEPT = 512  # series whose modelled times are remembered


@lru_cache(maxsize=KEPT)
def roofline_parts(problems: Problems) -> np.ndarray:
    """Seconds of arithmetic at the peak, and of compulsory traffic at full bandwidth, of each GEMM [2, gemms]."""
    found = np.empty((2, len(problems)))
    device = problems.device
    for at, gemms in problems.by_layout(np.arange(len(problems))):
        found[0, at] = (
            2
            * gemms.batch
            * gemms.m
            * gemms.n
            * gemms.k
            / device.peak_flop_per_s(gemms.precision, device.sustained_clock_hz)
        )
        found[1, at] = compulsory_bytes(gemms) / device.dram_bytes_per_s
    return found


@lru_cache(maxsize=KEPT)
def roofline_seconds(problems: Problems) -> np.ndarray:
    """The bound of each GEMM."""
    return modelled(Roofline(problems.device), problems)


@lru_cache(maxsize=KEPT)
def tiles_seconds(problems: Problems) -> np.ndarray:
    """What `tiles` says of each GEMM, nothing fitted: no power limit either, whose constant comes from such timings."""
    return modelled(Tiles(problems.device).unlimited(), problems)


def modelled(model, problems: Problems) -> np.ndarray:
    """Seconds of each GEMM by a cost model."""
    found = np.empty(len(problems))
    for at, gemms in problems.by_layout(np.arange(len(problems))):
        found[at] = model.gemms(gemms).seconds
    return found


def unfitted(seconds: Callable[[Problems], np.ndarray]) -> Callable[[Sequence[Lesson]], Model]:
    """A model as it is: lessons teach it nothing."""
    return lambda lessons: lambda question: Guess.of(seconds(question.problems)[question.at])


def one_scale(seconds: Callable[[Problems], np.ndarray]) -> Callable[[Sequence[Lesson]], Model]:
    """A model times one factor: the median of measured over modelled, which a few wild rows do not move."""

    def fit(lessons: Sequence[Lesson]) -> Model:
        logs = [np.log(one.seconds / seconds(one.problems)[one.at]) for one in lessons]
        scale = float(np.exp(np.median(np.concatenate(logs))))
        return lambda question: Guess.of(scale * seconds(question.problems)[question.at])

    return fit


def roofline_three(lessons: Sequence[Lesson]) -> Model:
    """max(a·compute, b·traffic) + c: factors on peak and bandwidth, and a constant."""
    parts = np.concatenate([roofline_parts(one.problems)[:, one.at] for one in lessons], axis=1)
    seconds = np.concatenate([one.seconds for one in lessons])
    at = fit_parts(lambda x: _three(x, parts), seconds, _starts(seconds))
    return lambda question: Guess.of(_three(at, roofline_parts(question.problems)[:, question.at]).sum(axis=0))


def _three(x: np.ndarray, parts: np.ndarray) -> np.ndarray:
    compute, traffic = np.exp(x[:2])[:, None] * parts
    bound = compute >= traffic
    return np.stack([compute * bound, traffic * ~bound, np.full(len(bound), np.exp(x[2]))])


def _starts(seconds: np.ndarray) -> list[np.ndarray]:
    """From the spec sheet's factors upwards (natural logs): where one bound hides the other, the descent is stuck."""
    constants = np.log([2e-5, 0.5 * float(seconds.min())])
    return [np.array([a, b, c]) for a in (0.2, 0.9) for b in (0.2, 1.0, 2.0) for c in constants]


def tiles_two(lessons: Sequence[Lesson]) -> Model:
    """a·body + c: `tiles` with a fitted clock (as a factor on all but the launch), and launch with timing overhead."""
    body = np.concatenate([_body(one.problems)[one.at] for one in lessons])
    seconds = np.concatenate([one.seconds for one in lessons])
    at = fit_two(body, seconds)
    return lambda question: Guess.of(two(at, _body(question.problems)[question.at]).sum(axis=0))


def fit_two(body: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """ln a and ln c of a·body + c."""
    starts = [np.array([0.2, np.log(c)]) for c in (8e-6, 0.5 * float(seconds.min()))]
    return fit_parts(lambda x: two(x, body), seconds, starts)


def _body(problems: Problems) -> np.ndarray:
    return tiles_seconds(problems) - Tiles(problems.device).constants.launch_s


def two(x: np.ndarray, body: np.ndarray) -> np.ndarray:
    """a·body and c of each kernel [2, kernels]."""
    return np.stack([np.exp(x[0]) * body, np.full(len(body), np.exp(x[1]))])
