"""Table 3 recomputed: twelve cells in several modes, each cell saying where its number comes from.

A cell that hangs on what is not published is a range: over the schedules that the policy's rule and the inferences
about a run allow, and over what the mode leaves open (the ratio of 8-bit to 16-bit time in the calibrated mode; in the
mode with a constant, whether quantised epochs pay it).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan

from perfmodel.calibration import NONE, find_calibrated_model
from perfmodel.devices import Device
from perfmodel.networks import Network
from perfmodel.reproduce.explanation import (
    EXPLANATION,
    Cell,
    StepTimes,
    fit_constant,
    six_cells,
    step_times,
)
from perfmodel.reproduce.intervals import cell_interval
from perfmodel.reproduce.overhead import PUBLISHED_OVERHEAD
from perfmodel.reproduce.published import COLUMNS, Row, table3
from perfmodel.reproduce.schedules import Schedule, region
from perfmodel.reproduce.steps import Steps, price_steps
from perfmodel.schemes import Overhead
from perfmodel.simulate import IDEAL, Setting

TAKEN, MODELLED, SOLVED = "taken from the paper", "modelled", "solved from the paper"
WITH_CONSTANT = "modelled, with the fitted constant"
CALIBRATED = "calibrated"
NO_CONSTANT = "uncalibrated, no constant"
ONE_CONSTANT = "uncalibrated, one constant"
GOOD = "uncalibrated, good kernels"


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds of one epoch at 8 and 16 bits and in FP32, and what conversions add.

    `overhead` is added to each quantised epoch, `transposes` besides to each one of 8 bits.
    """

    t8: float
    t16: float
    t32: float
    overhead: float
    transposes: float = 0.0

    @property
    def rho(self) -> float:
        """8-bit over 16-bit time."""
        return self.t8 / self.t16


@dataclass(frozen=True, slots=True)
class End:
    """One end of a range: its seconds, and the schedule and ratio of 8-bit to 16-bit time that give it."""

    seconds: float
    schedule: Schedule | None = None
    rho: float | None = None


@dataclass(frozen=True, slots=True)
class Reproduced:
    """One cell: the published time [s], ours from `low` to `high`, where ours comes from, and its 90 % interval [s]."""

    mode: str
    network: str
    title: str
    column: str
    published: float
    low: End
    high: End
    status: str
    interval: tuple[float, float] = (nan, nan)

    @property
    def errors(self) -> tuple[float, float]:
        """Relative differences of both ends from the published time."""
        return self.low.seconds / self.published - 1, self.high.seconds / self.published - 1


@dataclass(frozen=True)
class Reproduction:
    """All modes, and the figures behind them."""

    cells: tuple[Reproduced, ...]
    explained: dict[str, StepTimes]
    good: dict[str, StepTimes]
    constant_s: float  # for each parameter and iteration
    overhead: Overhead | str

    def rhos(self, network: str) -> tuple[float, float]:
        """The ratios of 8-bit to 16-bit time that the two sets of kernels give, least first."""
        low, high = sorted((self.explained[network].rho, self.good[network].rho))
        return low, high

    def mean_error(self, mode: str, but_solved: bool = False) -> float:
        """Mean absolute error of a mode's FP32 and mixed-precision cells, if asked without those met exactly."""
        chosen = [cell for cell in self.cells if cell.mode == mode and cell.column in COLUMNS[:2]]
        chosen = [cell for cell in chosen if not (but_solved and cell.status == SOLVED)]
        return sum(abs(cell.errors[0]) for cell in chosen) / len(chosen)


def reproduce(networks: Mapping[str, Network], device: Device, overhead: Overhead | str) -> Reproduction:
    """Recompute all twelve cells in every mode; `overhead` is a level, or "table3" to solve it from the paper."""
    level = IDEAL if overhead == PUBLISHED_OVERHEAD else overhead
    rows, batch = table3().rows, table3().batch
    explained = {row.network: step_times(networks[row.network], EXPLANATION, device, batch, level) for row in rows}
    setting = Setting(find_calibrated_model("tiles", device, calibration=NONE), overhead=level)
    best = {row.network: price_steps(networks[row.network], batch, setting) for row in rows}
    good = {name: steps.times for name, steps in best.items()}
    six = six_cells(explained)
    constant = fit_constant(six)
    cells: list[Reproduced] = []
    for row in table3().rows:
        ours = explained[row.network]
        cells += _calibrated(row, (ours, good[row.network]), overhead)
        cells += uncalibrated(row, ours, NO_CONSTANT, overhead)
        cells += _fitted(row, ours, constant, six, overhead)
        cells += from_steps(row, best[row.network], GOOD, overhead)
    return Reproduction(tuple(cells), explained, good, constant, overhead)


def _calibrated(row: Row, kernels: Sequence[StepTimes], overhead) -> Iterator[Reproduced]:
    """FP32 and mixed precision as published; 16 bits at the latter's rate, 8 bits faster by the kernels' ratios."""
    for column in COLUMNS[:2]:
        yield _fixed(row, CALIBRATED, column, getattr(row, column), TAKEN)
    n = table3().iterations
    t16 = row.epoch("mixed")
    paces = [
        Pace(t16 * times.rho, t16, row.epoch("fp32"), times.overhead * n, times.transposes * n) for times in kernels
    ]
    yield from _scheduled(row, CALIBRATED, paces, overhead)


def uncalibrated(row: Row, times: StepTimes, mode: str, overhead) -> Iterator[Reproduced]:
    """The four cells of a network from the times of its steps: nothing taken but the schedule."""
    n = table3().iterations
    for column in COLUMNS[:2]:
        yield _fixed(row, mode, column, getattr(times, column) * n * row.baseline_epochs, MODELLED)
    yield from _scheduled(row, mode, [_pace(times)], overhead)


def from_steps(row: Row, steps: Steps, mode: str, overhead) -> Iterator[Reproduced]:
    """The same from the kernels of the steps, with intervals where theirs are known."""
    for cell in uncalibrated(row, steps.times, mode, overhead):
        ends = tuple((end.seconds, end.schedule) for end in (cell.low, cell.high))
        yield cell if cell.status == SOLVED else replace(cell, interval=cell_interval(row, steps, cell.column, ends))


def _fitted(row: Row, times: StepTimes, constant: float, six: Sequence[Cell], overhead) -> Iterator[Reproduced]:
    """The same with the constant in mixed precision, and in the quantised epochs or not."""
    n, added = table3().iterations, constant * times.parameters
    (mixed,) = (cell for cell in six if cell.row.network == row.network and cell.column == "mixed")
    met = abs(mixed.error(constant)) < 1e-9
    yield _fixed(row, ONE_CONSTANT, "fp32", times.fp32 * n * row.baseline_epochs, MODELLED)
    seconds = (times.mixed + added) * n * row.baseline_epochs
    yield _fixed(row, ONE_CONSTANT, "mixed", seconds, SOLVED if met else WITH_CONSTANT)
    yield from _scheduled(row, ONE_CONSTANT, [_pace(times), _pace(times, added)], overhead)


def _pace(times: StepTimes, added: float = 0.0) -> Pace:
    """Epochs of a MuPPET run, with so many seconds added to each quantised iteration."""
    n = table3().iterations
    paces = (times.int8 + added, times.fp16 + added, times.fp32, times.overhead, times.transposes)
    return Pace(*(seconds * n for seconds in paces))


def _fixed(row: Row, mode: str, column: str, seconds: float, status: str) -> Reproduced:
    end = End(seconds)
    return Reproduced(mode, row.network, row.title, column, getattr(row, column), end, end, status)


def _scheduled(row: Row, mode: str, paces: Sequence[Pace], overhead) -> Iterator[Reproduced]:
    """The MuPPET column and its limit: least and greatest over the feasible schedules and the paces left open."""
    solved = overhead == PUBLISHED_OVERHEAD
    limits = [
        End(schedule.seconds(pace.t8, pace.t16, pace.t32), schedule, pace.rho)
        for pace in paces
        for schedule in region(row)
    ]
    conversions = [
        row.muppet - row.limit if solved else schedule.quantised * pace.overhead + schedule.n8 * pace.transposes
        for pace in paces
        for schedule in region(row)
    ]
    runs = [End(end.seconds + added, end.schedule, end.rho) for end, added in zip(limits, conversions, strict=True)]
    for column, ends in (("muppet", runs), ("limit", limits)):
        low, high = (pick(ends, key=lambda end: end.seconds) for pick in (min, max))
        status = SOLVED if solved and column == "muppet" else MODELLED
        yield Reproduced(mode, row.network, row.title, column, getattr(row, column), low, high, status)
