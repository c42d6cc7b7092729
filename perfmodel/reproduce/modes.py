"""Table 3 recomputed: twelve cells in several modes, each cell saying where its number comes from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from perfmodel.devices import Device
from perfmodel.errors import Unsupported
from perfmodel.networks import Network
from perfmodel.reproduce.explanation import (
    EXPLANATION,
    GOOD_KERNELS,
    StepTimes,
    Variant,
    fit_constant,
    six_cells,
    step_times,
)
from perfmodel.reproduce.published import COLUMNS, Row, table3
from perfmodel.reproduce.schedules import Schedule, implied_overhead, region
from perfmodel.schemes import Overhead
from perfmodel.traces import Trace

TAKEN, MODELLED, SOLVED = "taken from the paper", "modelled", "solved from the paper"
PUBLISHED_OVERHEAD = "table3"


@dataclass(frozen=True, slots=True)
class Reproduced:
    """One cell [s]: the published time, ours from `low` to `high` over the feasible schedules, and its status."""

    mode: str
    network: str
    title: str
    column: str
    published: float
    low: float
    high: float
    status: str
    schedules: tuple[Schedule, ...] = ()  # of the two ends

    @property
    def errors(self) -> tuple[float, float]:
        """Relative differences of both ends from the published time."""
        return self.low / self.published - 1, self.high / self.published - 1


@dataclass(frozen=True, slots=True)
class Epochs:
    """Seconds of one epoch at each precision, and what quantising adds to a quantised one."""

    fp32: float
    mixed: float
    t16: float
    t8: float
    overhead: float


@dataclass(frozen=True)
class Reproduction:
    """All modes, and the figures behind them."""

    cells: tuple[Reproduced, ...]
    explained: dict[str, StepTimes]
    good: dict[str, StepTimes]
    constant_s: float  # for each parameter and iteration
    errors: dict[str, float]  # mean error of the six FP32 and mixed-precision cells, by mode


CALIBRATED = "calibrated"
NO_CONSTANT = "uncalibrated, no constant"
ONE_CONSTANT = "uncalibrated, one constant"
GOOD = "uncalibrated, good kernels"


def reproduce(networks: dict[str, Network], device: Device, overhead: Overhead | str) -> Reproduction:
    """Recompute all twelve cells in every mode; `overhead` is a level, or "table3" to solve it from the paper."""
    explained = _times(networks, EXPLANATION, device, overhead)
    good = _times(networks, GOOD_KERNELS, device, overhead)
    ideal, fast = ({name: pair[0] for name, pair in times.items()} for times in (explained, good))
    constant = fit_constant(six_cells(ideal))
    cells: list[Reproduced] = []
    for row in table3().rows:
        pair, best = explained[row.network], good[row.network]
        cells += _calibrated(row, pair, overhead)
        cells += _uncalibrated(row, pair, NO_CONSTANT, 0.0, overhead)
        cells += _uncalibrated(row, pair, ONE_CONSTANT, constant, overhead)
        cells += _uncalibrated(row, best, GOOD, 0.0, overhead)
    errors = {mode: _mean_error(cells, mode) for mode in (NO_CONSTANT, ONE_CONSTANT, GOOD)}
    return Reproduction(tuple(cells), ideal, fast, constant, errors)


def _times(networks, variant: Variant, device: Device, overhead) -> dict[str, tuple[StepTimes, StepTimes]]:
    """Of each network: steps without and with the conversions of MuPPET."""
    batch = table3().batch
    level = Overhead("ideal") if overhead == PUBLISHED_OVERHEAD else overhead
    return {
        row.network: (
            step_times(networks[row.network], variant, device, batch),
            step_times(networks[row.network], variant, device, batch, level),
        )
        for row in table3().rows
    }


def _calibrated(row: Row, times: tuple[StepTimes, StepTimes], overhead) -> Iterator[Reproduced]:
    """FP32 and mixed precision as published; 16 bits at the latter's rate, 8 bits faster by the modelled ratio."""
    ideal, real = times
    table = table3()
    t32, t16 = row.fp32 / table.baseline_epochs, row.mixed / table.baseline_epochs
    epochs = Epochs(t32, t16, t16, t16 * ideal.int8 / ideal.fp16, (real.fp16 - ideal.fp16) * table.iterations)
    for column in ("fp32", "mixed"):
        value = getattr(row, column)
        yield Reproduced(CALIBRATED, row.network, row.title, column, value, value, value, TAKEN)
    yield from _scheduled(row, CALIBRATED, epochs, overhead)


def _uncalibrated(
    row: Row, times: tuple[StepTimes, StepTimes], mode: str, constant: float, overhead
) -> Iterator[Reproduced]:
    """Nothing taken but the schedule; the constant is a cost of mixed precision alone."""
    ideal, real = times
    table = table3()
    n = table.iterations
    mixed = (ideal.mixed + constant * ideal.parameters) * n
    epochs = Epochs(ideal.fp32 * n, mixed, ideal.fp16 * n, ideal.int8 * n, (real.fp16 - ideal.fp16) * n)
    for column in ("fp32", "mixed"):
        value = getattr(epochs, column) * table.baseline_epochs
        yield Reproduced(mode, row.network, row.title, column, getattr(row, column), value, value, MODELLED)
    yield from _scheduled(row, mode, epochs, overhead)


def _scheduled(row: Row, mode: str, epochs: Epochs, overhead) -> Iterator[Reproduced]:
    """The MuPPET column and its limit: least and greatest over the feasible schedules."""
    solved = overhead == PUBLISHED_OVERHEAD
    for column in ("muppet", "limit"):

        def seconds(schedule: Schedule, column=column) -> float:
            limit = schedule.seconds(epochs.t8, epochs.t16, epochs.fp32)
            if column == "limit":
                return limit
            return limit + (row.muppet - row.limit if solved else schedule.quantised * epochs.overhead)

        ends = sorted(region(row), key=seconds)
        status = SOLVED if solved and column == "muppet" else MODELLED
        yield Reproduced(
            mode, row.network, row.title, column, getattr(row, column), seconds(ends[0]), seconds(ends[-1]), status,
            (ends[0], ends[-1]),
        )  # fmt: skip


def _mean_error(cells: list[Reproduced], mode: str) -> float:
    six = [cell for cell in cells if cell.mode == mode and cell.column in COLUMNS[:2]]
    return sum(abs(cell.errors[0]) for cell in six) / len(six)


def published_overhead(network: str, trace: Trace) -> Overhead:
    """What Table 3 charges for quantising: (MuPPET − limit) spread over the quantised epochs of a trace, per iteration.

    Raises `Unsupported` (E1109) for a network that Table 3 does not have, or a trace without quantised epochs.
    """
    row = table3().row(network)
    quantised = {s.epoch for s in trace.segments if any(name.startswith("dfx") for name in s.precision.fprop)}
    if row is None or not quantised:
        known = ", ".join(row.network for row in table3().rows)
        raise Unsupported.at(
            "E1109", "--overhead table3:", f"Table 3 says nothing of {network} over {len(quantised)} quantised epochs.",
            f"It has {known}. Choose another overhead.",
        )  # fmt: skip
    return Overhead("table3", implied_overhead(row, len(quantised)) / table3().iterations, "published")
