"""How far a modelled cell of Table 3 may be off: the kernels' errors, carried through the run."""

from __future__ import annotations

from math import nan

from perfmodel.cost.spread import Spread
from perfmodel.reproduce.published import Row, table3
from perfmodel.reproduce.schedules import Schedule
from perfmodel.reproduce.steps import Steps
from perfmodel.simulate import OVERHEAD_KINDS

UNKNOWN = nan, nan


def cell_interval(
    row: Row, steps: Steps, column: str, ends: tuple[tuple[float, Schedule | None], ...]
) -> tuple[float, float]:
    """The 90 % interval of a cell [s]: from the lower bound of its least time to the upper bound of its greatest.

    `ends` are the seconds and schedules of both. NaN where a kernel's interval is not known.
    """
    found = [run_spread(row, steps, column, schedule).interval(seconds) for seconds, schedule in ends]
    return (found[0][0], found[-1][1]) if found else UNKNOWN


def run_spread(row: Row, steps: Steps, column: str, schedule: Schedule | None) -> Spread:
    """That of a whole run: FP32 or mixed precision throughout, or a schedule of MuPPET's with its conversions or not.

    Of a ratio of 8-bit to 16-bit time, and of what else the schedules hang on, it knows nothing.
    """
    iterations = table3().iterations
    if schedule is None:
        return getattr(steps, column).spread * (iterations * row.baseline_epochs)
    quantised = (steps.int8, steps.fp16)
    if column == "limit":
        quantised = tuple(step.without(OVERHEAD_KINDS) for step in quantised)
    int8, fp16 = (step.spread for step in quantised)
    return (int8 * schedule.n8 + fp16 * schedule.n16 + steps.fp32.spread * schedule.n32) * iterations
