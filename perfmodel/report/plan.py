"""What a profile will time: a plan as a table, the kernels that take most of the training steps first."""

from __future__ import annotations

import pandas as pd

from perfmodel.gemm import Gemm
from perfmodel.measure.settings import Settings
from perfmodel.plan import Plan, PlannedKernel
from perfmodel.report.table import Table
from perfmodel.report.text import duration, milliseconds, percent
from perfmodel.units import GIGA, MEGA, TERA

HEADERS = {
    "kernel": "kernel", "launches": "launches", "flop": "GFLOP", "bytes": "MB", "time_s": "ms", "share": "share",
    "used_by": "used by",
}  # fmt: skip
SIZES = ("m", "n", "k", "batch", "a_distinct", "b_distinct")
COLUMNS = (
    "kernel", "view", "precision", "m", "n", "k", "batch", "accumulator", "output", "a_distinct", "b_distinct",
    "bytes_read", "bytes_written", "launches", "flop", "bytes", "time_s", "bound_s", "prior", "share", "used_by",
    "uses",
)  # fmt: skip


def plan_table(plan: Plan, title: str, notes: tuple[str, ...] = (), settings: Settings | None = None) -> Table:
    """The kernels of a plan, sorted by what all their launches are estimated to take; the last note sums them up.

    The frame holds FLOP, bytes and seconds of one launch, the launches, and the share of the time of all launches of
    all kernels. `settings` are those of the session whose GPU seconds the note estimates, by default the usual ones.
    """
    rows = sorted(plan.kernels, key=lambda planned: -planned.weight * planned.seconds)
    networks = plan.request.get("networks", ())
    alone = f"{networks[0]} " if len(networks) == 1 else ""
    frame = pd.DataFrame([_row(planned, plan.step_s, alone) for planned in rows], columns=COLUMNS)
    frame = frame.astype(dict.fromkeys(SIZES, "Int64"))
    show = {
        "launches": lambda count: f"{count:.6g}", "flop": lambda flop: _digits(flop / GIGA),
        "bytes": lambda size: _digits(size / MEGA), "time_s": milliseconds, "share": percent,
    }  # fmt: skip
    return Table(title, frame, show, HEADERS, (*notes, _summary(plan, settings or Settings())))


def _row(planned: PlannedKernel, step_s: float, alone: str) -> dict:
    kernel, problem = planned.kernel, planned.kernel.problem
    row = {
        "kernel": kernel.text, "view": kernel.view, "launches": planned.weight, "flop": kernel.flop,
        "bytes": kernel.bytes, "time_s": planned.seconds, "bound_s": planned.bound_s, "prior": planned.prior,
        "share": planned.weight * planned.seconds / step_s, "used_by": _used_by(planned.uses).removeprefix(alone),
        "uses": "; ".join(planned.uses),
    }  # fmt: skip
    if not isinstance(problem, Gemm):
        return row | {"bytes_read": problem.bytes_read, "bytes_written": problem.bytes_written}
    precision = problem.precision
    names = {"precision": precision.name, "accumulator": precision.accumulator.name, "output": precision.output.name}
    return row | names | {size: getattr(problem, size) for size in SIZES}


def _used_by(uses: tuple[str, ...]) -> str:
    """The first use, and how many more there are.

    >>> _used_by(("a conv1 fprop", "a conv2 fprop", "b conv1 fprop"))
    'a conv1 fprop and 2 more'
    """
    return uses[0] + (f" and {len(uses) - 1} more" if len(uses) > 1 else "")


def _digits(value: float) -> str:
    """Three significant digits, whole numbers from 100 on.

    >>> _digits(1644.2), _digits(0.0123456)
    ('1644', '0.0123')
    """
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _summary(plan: Plan, settings: Settings) -> str:
    return (
        f"{len(plan.kernels)} distinct kernels, {_digits(plan.step_flop / TERA)} TFLOP in all their launches. One "
        f"session takes about {duration(plan.measuring_s(settings))} of GPU time at least: {settings.least_visits} "
        f"visits to each kernel, settling included; times are estimated by the model."
    )
