"""What timings of a device have taught about a model: constants, a correction, and how wide its intervals must be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from perfmodel.cost.residual import Residual

COVERAGE = 0.9  # share of intervals that hold the time


@dataclass(frozen=True, slots=True)
class Group:
    """What the timings of one precision have taught.

    A kernel's body takes `body` times what the model says, its launch `launch_s`; timings hold `timing_s` beside,
    which their method adds to each. `residual` corrects the logarithm of the sum. An interval's half-width is
    `quantile` standard deviations of log seconds. `mape` is the mean absolute relative error of timings predicted
    from the others; `least_seconds` and `most_seconds` bound them.
    """

    precision: str
    timings: int
    body: float
    launch_s: float
    timing_s: float
    residual: Residual
    quantile: float
    mape: float
    least_seconds: float
    most_seconds: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """The groups of one device by precision, with what they were fitted on; `name` is that of its file."""

    name: str
    title: str
    source: str
    device: str
    date: str
    groups: Mapping[str, Group]
