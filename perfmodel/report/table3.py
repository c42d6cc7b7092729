"""Table 3 of the MuPPET paper and ours, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

import pandas as pd

from perfmodel.devices import Device
from perfmodel.report.table import Table
from perfmodel.report.text import milliseconds, percent, ratio, signed_percent, span
from perfmodel.reproduce import explanation, modes, schedules
from perfmodel.reproduce.explanation import StepTimes, Tried
from perfmodel.reproduce.modes import Reproduced, Reproduction
from perfmodel.reproduce.published import COLUMN_TITLES, Row, table3
from perfmodel.units import hours_minutes

CELL_HEADERS = {
    "network": "network", "column": "column", "paper": "paper", "ours": "ours", "difference": "difference",
    "covers": "paper inside", "status": "ours is",
}  # fmt: skip
MODE_NOTES = {
    modes.CALIBRATED: (
        "FP32 and mixed precision are the paper's; 12 to 16 bits run at its mixed-precision rate, 8 bits faster by the "
        "modelled ratio of INT8 to FP16 steps, FP32 epochs at its FP32 rate.",
    ),
    modes.NO_CONSTANT: ("Nothing is taken but the schedule. An explanation, not a validation.",),
    modes.ONE_CONSTANT: (
        "The constant is a cost of mixed precision for each parameter and iteration, fitted on the six FP32 and "
        "mixed-precision "
        "cells above, so their agreement is no evidence; the MuPPET columns do without it.",
    ),
    modes.GOOD: (
        "What the same GEMMs take with the best tile and split-K: the published times are far from good kernels.",
    ),
}


def cells_frame(reproduction: Reproduction) -> pd.DataFrame:
    """One row for each mode and cell: seconds, relative differences, status, and the schedules of both ends."""
    return pd.DataFrame([_cell(cell) for cell in reproduction.cells])


def _cell(cell: Reproduced) -> dict:
    low, high = cell.errors
    return {
        "mode": cell.mode, "network": cell.title, "column": COLUMN_TITLES[cell.column],
        "paper_s": cell.published, "low_s": cell.low, "high_s": cell.high,
        "difference_low": low, "difference_high": high, "status": cell.status,
        "low_schedule": _schedule(cell, 0), "high_schedule": _schedule(cell, -1),
    }  # fmt: skip


def _schedule(cell: Reproduced, end: int) -> str:
    if not cell.schedules:
        return ""
    found = cell.schedules[end]
    return f"{found.n8} epochs in 8 bits, {found.n16} in 12-16, {found.n32} in FP32"


def cells_tables(reproduction: Reproduction) -> Iterator[Table]:
    """A table of twelve cells for each mode."""
    by_mode: dict[str, list[Reproduced]] = {}
    for cell in reproduction.cells:
        by_mode.setdefault(cell.mode, []).append(cell)
    for mode, cells in by_mode.items():
        title = f"Table 3, {mode}"
        if mode in reproduction.errors:
            fitted = ", fitted on these six cells" if mode == modes.ONE_CONSTANT else ""
            title += f"{fitted}: mean error of the FP32 and mixed-precision cells {percent(reproduction.errors[mode])}"
        yield Table(title, pd.DataFrame([_shown(cell) for cell in cells]), {}, CELL_HEADERS, MODE_NOTES[mode])


def _shown(cell: Reproduced) -> dict:
    low, high = cell.errors
    return {
        "network": cell.title, "column": COLUMN_TITLES[cell.column], "paper": hours_minutes(cell.published),
        "ours": span(hours_minutes, cell.low, cell.high),
        "difference": None if cell.status == modes.TAKEN else span(signed_percent, low, high),
        "covers": None if not cell.schedules else "yes" if low <= 0 <= high else "no",
        "status": cell.status,
    }  # fmt: skip


def summary_table(reproduction: Reproduction) -> Table:
    """The table as the paper prints it, hours:minutes and speedup over FP32, and under each of its rows ours."""
    rows = []
    for row in table3().rows:
        cells = [cell for cell in reproduction.cells if cell.network == row.network]
        published = {column: (getattr(row, column),) * 2 for column in COLUMN_TITLES}
        rows.append({"network": row.title, "from": "paper", **_with_speedups(published)})
        for mode in dict.fromkeys(cell.mode for cell in cells):
            ours = {cell.column: (cell.low, cell.high) for cell in cells if cell.mode == mode}
            rows.append({"network": row.title, "from": mode, **_with_speedups(ours)})
    headers = {"network": "network", "from": "from", **COLUMN_TITLES}
    notes = (
        "A range spans the schedules that may stand behind the paper's last two columns, which it does not print.",
        "calibrated: FP32 and mixed precision are the paper's own. uncalibrated: nothing but the schedule is.",
    )
    return Table("Table 3, GPU hours:minutes and speedup over FP32", pd.DataFrame(rows), {}, headers, notes)


def _with_speedups(times: dict[str, tuple[float, float]]) -> dict[str, str]:
    """Each column as `23:52 (1.27x)`; of a range both ends, each speedup in the place of its time."""
    fp32 = times["fp32"][0]
    return {
        column: f"{span(hours_minutes, low, high)} ({span(ratio, fp32 / low, fp32 / high)})"
        for column, (low, high) in times.items()
    }


def schedules_table(reproduction: Reproduction) -> Table:
    """What the published limit says about each network's schedule, and what it cannot say."""
    rows = [_solutions(row, n32, reproduction) for row in table3().rows for n32 in row.known.fp32]
    headers = {
        "network": "network", "n32": "FP32 epochs", "known": "epochs before FP32", "ratio": "8/16-bit time",
        "least": "least N",
        "solutions": "N that reproduce the limit", "n8": "8-bit epochs", "n16": "12-16-bit epochs",
    }  # fmt: skip
    notes = (
        "The limit gives one equation for each network: limit = n8 t8 + n16 t16 + n32 t32. The split of N = n8 "
        "+ n16 cannot be told "
        "apart from the ratio t8/t16: any N of the column fits exactly. Rule of the reference: N a multiple of "
        "3, n8 >= 9, n16 >= 27.",
        *(f"{row.title}: {row.known.source}." for row in table3().rows),
    )
    return Table("Schedules that the published limit allows", pd.DataFrame(rows), {}, headers, notes)


def _solutions(row: Row, n32: int, reproduction: Reproduction) -> dict:
    steps = reproduction.explained[row.network]
    rho = steps.int8 / steps.fp16
    found = schedules.solutions(row, n32, rho)
    ends = (found[0], found[-1]) if found else ()
    return {
        "network": row.title, "n32": n32, "known": row.known.quantised, "ratio": f"{rho:.2f}",
        "least": f"{schedules.least_quantised(row, n32):.1f}",
        "solutions": span(str, *(round(end.quantised) for end in ends)) if ends else "none",
        "n8": span(lambda n: f"{n:.0f}", *(end.n8 for end in ends)) if ends else "–",
        "n16": span(lambda n: f"{n:.0f}", *(end.n16 for end in ends)) if ends else "–",
    }  # fmt: skip


def decomposition_table() -> Table:
    """Where the published gain comes from, by arithmetic on Table 3 alone: fewer epochs, or faster ones."""
    table = table3()
    rows = []
    for row in table.rows:
        for n32 in row.known.fp32:
            quantised = row.known.quantised or ceil(schedules.least_quantised(row, n32) / 3) * 3
            total = quantised + n32
            epoch = (row.muppet - n32 * row.fp32 / table.baseline_epochs) / quantised
            rows.append({
                "network": row.title, "epochs": f"{quantised} + {n32}" + ("" if row.known.quantised else " (least)"),
                "published_speedup": row.fp32 / row.muppet, "epoch_factor": table.baseline_epochs / total,
                "equal_epoch_speedup": row.fp32 / row.muppet * total / table.baseline_epochs,
                "quantised_epoch_s": epoch, "fp32_epoch_s": row.fp32 / table.baseline_epochs,
                "overhead_ms": schedules.implied_overhead(row, quantised) / table.iterations,
                "break_even": schedules.break_even_quantised(row, n32),
            })  # fmt: skip
    minutes = "{:.1f}".format
    show = {
        "published_speedup": ratio, "epoch_factor": ratio, "equal_epoch_speedup": ratio,
        "quantised_epoch_s": lambda s: minutes(s / 60), "fp32_epoch_s": lambda s: minutes(s / 60),
        "overhead_ms": lambda s: f"{s * 1e3:.0f}", "break_even": minutes,
    }  # fmt: skip
    headers = {
        "network": "network", "epochs": "epochs (quantised + FP32)", "published_speedup": "published",
        "epoch_factor": "by fewer epochs",
        "equal_epoch_speedup": "at equal epochs", "quantised_epoch_s": "quantised epoch, min",
        "fp32_epoch_s": "FP32 epoch, min",
        "overhead_ms": "conversions, ms/iteration", "break_even": "faster from N =",
    }  # fmt: skip
    notes = (
        "published speedup = (by fewer epochs) x (at equal epochs); below 1 at equal epochs, all of the gain is "
        "fewer epochs. "
        "A quantised MuPPET epoch is faster than an FP32 epoch only for N above the last column.",
    )
    return Table("What the published speedup consists of", pd.DataFrame(rows), show, headers, notes)


def method_table(reproduction: Reproduction, device: Device) -> Table:
    """The modelled iterations behind the uncalibrated times; in the notes kernels, clock, constant, variants."""
    rows = [
        {"network": row.title, "kernels": kernels, **_milliseconds(times[row.network])}
        for kernels, times in (("explanation", reproduction.explained), ("good", reproduction.good))
        for row in table3().rows
    ]
    headers = {
        "network": "network", "kernels": "kernels", "fp32_s": "FP32, ms", "mixed_s": "mixed precision, ms",
        "fp16_s": "MuPPET 12-16 bit, ms", "int8_s": "MuPPET 8 bit, ms", "ratio": "8/16-bit time",
    }  # fmt: skip
    show = dict.fromkeys(("fp32_s", "mixed_s", "fp16_s", "int8_s"), milliseconds) | {"ratio": "{:.2f}".format}
    notes = (
        f"Explanation: {explanation.EXPLANATION.label()}.",
        f"Good: {explanation.GOOD_KERNELS.label()}.",
        f"The one constant: {reproduction.constant_s * 1e9:.2f} ns for each parameter and iteration of mixed "
        f"precision.",
        f"Clock: {device.sustained_clock_hz / 1e6:.0f} MHz on {device.title}, for all networks.",
        f"There are {explanation.count_variants(device)} combinations of mapping, tiles, split-K, accumulation "
        f"and activation width "
        "to choose from (--search tries them all). Three networks and six numbers cannot tell them apart: this is one "
        "explanation that fits, found among many, and says nothing about how well the model predicts other "
        "measurements.",
        f"Published: {table3().source}.",
    )
    return Table("Modelled iterations, batch 256, no conversions of MuPPET", pd.DataFrame(rows), show, headers, notes)


def _milliseconds(times: StepTimes) -> dict:
    return {
        "fp32_s": times.fp32, "mixed_s": times.mixed, "fp16_s": times.fp16, "int8_s": times.int8,
        "ratio": times.int8 / times.fp16,
    }  # fmt: skip


def search_table(tried: list[Tried]) -> Table:
    """The ten best variants without a constant, the ten best with one, and the explanation's ranks."""
    fitted = sorted(tried, key=lambda t: t.error_with_constant)
    ranks = {id(t): (tried.index(t) + 1, fitted.index(t) + 1) for t in (*tried[:10], *fitted[:10])}
    ours = next(t for t in tried if t.variant == explanation.EXPLANATION)
    ranks[id(ours)] = (tried.index(ours) + 1, fitted.index(ours) + 1)
    chosen = sorted({id(t): t for t in (*tried[:10], *fitted[:10], ours)}.values(), key=lambda t: t.error_with_constant)
    rows = [
        {"variant": t.variant.label() + (" *" if t is ours else ""), "error": t.error, "rank": ranks[id(t)][0],
         "constant_s": t.constant, "error_with_constant": t.error_with_constant, "rank_with_constant": ranks[id(t)][1]}
        for t in chosen
    ]  # fmt: skip
    headers = {
        "variant": "variant", "error": "mean error", "rank": "rank", "constant_s": "constant, ns",
        "error_with_constant": "mean error with it", "rank_with_constant": "rank with it",
    }  # fmt: skip
    show = {"error": percent, "error_with_constant": percent, "constant_s": lambda s: f"{s * 1e9:.2f}"}
    notes = ("* the explanation used above, fixed before this search was written.",)
    return Table(f"Search over {len(tried)} variants: the best of both kinds", pd.DataFrame(rows), show, headers, notes)
