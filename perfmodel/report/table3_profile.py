"""Table 3 from a profile: published, timed and modelled side by side, and how far the model is from each kernel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, fields

import pandas as pd

from perfmodel.devices import find_device
from perfmodel.report.basis import coverage_note, interval_notes, source_words, step_parts
from perfmodel.report.table import Table
from perfmodel.report.table3 import conversion_words, frame_of
from perfmodel.report.table3_details import iterations_table
from perfmodel.report.text import interval, percent, ratio, signed_percent, span
from perfmodel.reproduce.accuracy import GroupError, KernelError, group_errors, kernel_errors, worst
from perfmodel.reproduce.modes import Reproduced
from perfmodel.reproduce.profiled import FromProfile, Priced
from perfmodel.reproduce.published import COLUMN_TITLES, table3
from perfmodel.units import hours_minutes

WORST = 10
ERROR_HEADERS = {
    "group": "kernels", "kernels": "distinct", "median": "median error", "mean": "mean error", "bias": "bias",
    "together": "time together",
}  # fmt: skip
WORST_HEADERS = {
    "kernel": "kernel", "use": "used by", "seconds": "profile, µs", "modelled": "model, µs", "error": "error",
}  # fmt: skip


def profile_tables(found: FromProfile, setting: str) -> Iterator[Table]:
    """Iterations, the model's errors where there is a model, then hours and speedups; `setting` goes into titles."""
    sources = {one.mode: {name: steps.times for name, steps in one.steps.items()} for one in _sources(found)}
    yield iterations_table(f"Iterations, batch {table3().batch}: {setting}", "from", sources, ())
    if found.model is not None:
        errors = kernel_errors(found.profile, found.model, found.basis)
        if errors:
            yield errors_table(errors, found)
            yield worst_table(errors)
    yield hours_table(found, setting)
    yield speedups_table(found, setting)


def cells(found: FromProfile) -> pd.DataFrame:
    """One row for each source and cell, in seconds; `status` is the basis."""
    return frame_of(cell for one in _sources(found) for cell in one.cells)


def _sources(found: FromProfile) -> tuple[Priced, ...]:
    return (found.profile,) if found.model is None else (found.profile, found.model)


def hours_table(found: FromProfile, setting: str) -> Table:
    """The twelve cells in hours:minutes; beside the paper's only where the paper's device was timed."""
    rows = [_hours(cell, other) for cell, other in _both(found)]
    headers = {"network": "network", "column": "column"}
    if found.same_device:
        headers |= {"paper": "paper", "profile": "profile", "interval": "90 %", "difference": "difference"}
    else:
        headers |= {"profile": "profile", "interval": "90 %"}
    known = interval_notes(cell.interval for cell in found.profile.cells)
    if not known:
        del headers["interval"]
    headers |= {"basis": "basis"} | ({} if found.model is None else {"model": "model", "error": "model to profile"})
    notes = (*_device_notes(found), *_cell_notes(found), *known)
    return Table(f"Table 3, GPU hours:minutes: {setting}", pd.DataFrame(rows), {}, headers, notes)


def _both(found: FromProfile) -> Iterator[tuple[Reproduced, Reproduced | None]]:
    """Each cell from the profile, with the model's."""
    others = [None] * len(found.profile.cells) if found.model is None else found.model.cells
    return zip(found.profile.cells, others, strict=True)


def _hours(cell: Reproduced, other: Reproduced | None) -> dict:
    ends = cell.low.seconds, cell.high.seconds
    row = {
        "network": cell.title, "column": COLUMN_TITLES[cell.column], "paper": hours_minutes(cell.published),
        "profile": span(hours_minutes, *ends), "interval": interval(hours_minutes, *cell.interval),
        "difference": span(signed_percent, *cell.errors), "basis": cell.status,
    }  # fmt: skip
    if other is None:
        return row
    theirs = other.low.seconds, other.high.seconds
    errors = (b / a - 1 for a, b in zip(ends, theirs, strict=True))
    return row | {"model": span(hours_minutes, *theirs), "error": span(signed_percent, *errors)}


def speedups_table(found: FromProfile, setting: str) -> Table:
    """The speedups over FP32 of the other nine cells: a ratio means the same on any device."""
    rows = [_speedups(cell, other, found) for cell, other in _both(found) if cell.column != "fp32"]
    headers = {
        "network": "network", "column": "column", "paper": "paper", "profile": "profile", "difference": "difference",
        "basis": "basis",
    } | ({} if found.model is None else {"model": "model"})  # fmt: skip
    notes = ("Each over FP32 from the same source. Of a range, the first value belongs to the least time.",)
    return Table(f"Table 3, speedup over FP32: {setting}", pd.DataFrame(rows), {}, headers, notes)


def _speedups(cell: Reproduced, other: Reproduced | None, found: FromProfile) -> dict:
    row = table3().row(cell.network)
    published, ours = row.fp32 / cell.published, found.profile.speedups(cell)
    shown = {
        "network": cell.title, "column": COLUMN_TITLES[cell.column], "paper": row.printed[cell.column],
        "profile": span(ratio, *ours), "difference": span(signed_percent, *(one / published - 1 for one in ours)),
        "basis": cell.status,
    }  # fmt: skip
    return shown if other is None else shown | {"model": span(ratio, *found.model.speedups(other))}


def _device_notes(found: FromProfile) -> Iterator[str]:
    """Whose times these are, and what may be compared."""
    yield f"{source_words(found.basis)}: the profile is of {found.device_name}."
    if not found.same_device:
        why = "The paper's times are of another device" if found.known else "The paper's device may be another one"
        yield f"{why}, {find_device(table3().device).title}: hours are not compared, only speedups."
    if found.model is None:
        yield "No analytical model: no device file is known to describe the profile's device. Name one with --device."
    else:
        yield f"Model: tiles on {found.device.title}, {found.mapping}, best tile, split-K."


def _cell_notes(found: FromProfile) -> Iterator[str]:
    yield coverage_note(step_parts(step for steps in found.profile.steps.values() for step in steps.each))
    yield f"Conversions: {conversion_words(found.overhead)}."
    yield (
        "Nothing is fitted, and the constant of the other modes is in none of these numbers: mixed precision and 12 to "
        "16 bits are FP16 kernels that sum in FP32. A range spans the schedules, which are not published."
    )


def errors_table(errors: Sequence[KernelError], found: FromProfile) -> Table:
    """The model's relative error of the kernels of each group."""
    names = [one.name for one in fields(GroupError)]
    frame = pd.DataFrame([astuple(one) for one in group_errors(errors)], columns=names)
    show = {"median": percent, "mean": percent, "bias": signed_percent, "together": signed_percent}
    notes = (
        "error = model / profile - 1 of one launch; median and mean of its size, bias is its mean with the sign. time "
        "together: of all launches in one of each step. A kernel that several groups need counts in each, and in all "
        "once.",
    )
    if "measured" not in found.basis:
        notes += (f"The times are {found.basis}: the errors say nothing about the model.",)
    return Table(f"The analytical model against the profile of {found.device_name}", frame, show, ERROR_HEADERS, notes)


def worst_table(errors: Sequence[KernelError]) -> Table:
    """The kernels where model and profile are furthest apart, by factor."""
    rows = [
        {
            "kernel": one.kernel.text, "use": one.use, "seconds": one.seconds, "modelled": one.modelled,
            "error": one.error, "launches": one.launches,
        }
        for one in worst(errors, WORST)
    ]  # fmt: skip
    show = {"seconds": _microseconds, "modelled": _microseconds, "error": signed_percent}
    return Table("Where model and profile are furthest apart", pd.DataFrame(rows), show, WORST_HEADERS)


def _microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:.4g}"
