"""Table 3 of the MuPPET paper and ours, side by side: the table as printed, and cell by cell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pandas as pd

from perfmodel.report.basis import interval_notes
from perfmodel.report.table import Table
from perfmodel.report.text import interval, percent, ratio, signed_percent, span
from perfmodel.reproduce import modes
from perfmodel.reproduce.decomposition import decompose
from perfmodel.reproduce.modes import End, Reproduced, Reproduction
from perfmodel.reproduce.overhead import PUBLISHED_OVERHEAD
from perfmodel.reproduce.published import COLUMN_TITLES, table3
from perfmodel.schemes import Overhead
from perfmodel.units import hours_minutes

CELL_HEADERS = {
    "network": "network", "column": "column", "paper": "paper", "ours": "ours", "interval": "90 %",
    "difference": "difference", "covers": "paper within", "status": "ours is",
}  # fmt: skip
MODE_NOTES = {
    modes.CALIBRATED: (
        "FP32 and mixed precision are the paper's. FP32 epochs run at its FP32 rate, 12 to 16 bits at its "
        "mixed-precision rate with whatever that contains, 8 bits faster by the modelled ratio: the range spans "
        "the ratios of both sets of kernels above, and the schedules.",
    ),
    modes.NO_CONSTANT: ("Nothing is fitted. An explanation of the published times, not a validation of the model.",),
    modes.ONE_CONSTANT: (
        "The constant is a cost for each parameter and iteration of mixed precision. It meets one cell exactly, "
        "so that cell is solved from the paper; its size is no evidence for what causes it. The MuPPET columns "
        "span quantised epochs that pay it and that do not.",
    ),
    modes.GOOD: (
        "What the same GEMMs take with the best tile and split-K: the published times are far from good kernels.",
    ),
}


def summary_table(reproduction: Reproduction) -> Table:
    """The table as the paper prints it, hours:minutes and speedup over FP32, and under each of its rows ours."""
    rows = []
    for row in table3().rows:
        cells = [cell for cell in reproduction.cells if cell.network == row.network]
        published = {c: f"{hours_minutes(getattr(row, c))} ({row.printed[c]})" for c in COLUMN_TITLES}
        rows.append({"network": row.title, "from": "paper", **published})
        for mode in dict.fromkeys(cell.mode for cell in cells):
            ours = {cell.column: cell for cell in cells if cell.mode == mode}
            fp32 = ours["fp32"].low.seconds
            rows.append(
                {"network": row.title, "from": mode, **{c: _with_speedup(ours[c], fp32) for c in COLUMN_TITLES}}
            )
    headers = {"network": "network", "from": "from", **COLUMN_TITLES}
    notes = (
        "A range spans what the paper does not print: the schedules behind its last two columns, and what each mode "
        "leaves open. Each speedup stands in the place of its time.",
        f"Conversions: {overhead_words(reproduction)}.",
        *findings(reproduction),
    )
    return Table("Table 3, GPU hours:minutes and speedup over FP32", pd.DataFrame(rows), {}, headers, notes)


def findings(reproduction: Reproduction) -> list[str]:
    """What the tables add up to, in sentences with their numbers."""
    good = [cell for cell in reproduction.cells if cell.mode == modes.GOOD]
    times = {
        c: sorted(cell.published / cell.low.seconds for cell in good if cell.column == c) for c in ("fp32", "mixed")
    }
    single, half = (span(ratio, found[0], found[-1]) for found in times.values())
    slower = [
        f"{decompose(row, n, row.known.fp32[0], '').quantised_epoch_s / row.epoch('fp32'):.2f} times ({row.title})"
        for row in table3().rows
        for n in row.known.quantised[:1]
    ]
    return [
        f"The published times are {single} (FP32) and {half} (mixed precision) those of good kernels on this card.",
        f"At the inferred schedules a quantised MuPPET epoch takes {' and '.join(slower)} as long as an FP32 epoch: "
        "there, the published gain over FP32 comes from training fewer epochs.",
    ]


def overhead_words(reproduction: Reproduction) -> str:
    """What the MuPPET column charges for quantising, in words."""
    return conversion_words(reproduction.overhead)


def conversion_words(overhead: Overhead | str) -> str:
    """The same of an overhead by itself."""
    if overhead == PUBLISHED_OVERHEAD:
        return "the difference of the paper's own MuPPET columns (table3)"
    return overhead.words


def _with_speedup(cell: Reproduced, fp32: float) -> str:
    low, high = cell.low.seconds, cell.high.seconds
    return f"{span(hours_minutes, low, high)} ({span(ratio, fp32 / low, fp32 / high)})"


def cells_frame(reproduction: Reproduction) -> pd.DataFrame:
    """One row for each mode and cell: seconds and their 90 % interval, differences, status, what gives both ends."""
    return frame_of(reproduction.cells)


def frame_of(cells: Iterable[Reproduced]) -> pd.DataFrame:
    """The same of some cells."""
    return pd.DataFrame([_cell(cell) for cell in cells])


def _cell(cell: Reproduced) -> dict:
    low, high = cell.errors
    return {
        "mode": cell.mode, "network": cell.title, "column": COLUMN_TITLES[cell.column],
        "paper_s": cell.published, "low_s": cell.low.seconds, "high_s": cell.high.seconds,
        "interval_low_s": cell.interval[0], "interval_high_s": cell.interval[1],
        "difference_low": low, "difference_high": high, "status": cell.status,
        "low_schedule": _schedule(cell.low), "high_schedule": _schedule(cell.high),
        "low_t8_over_t16": cell.low.rho, "high_t8_over_t16": cell.high.rho,
    }  # fmt: skip


def _schedule(end: End) -> str:
    if end.schedule is None:
        return ""
    return f"{end.schedule.n8} epochs in 8 bits, {end.schedule.n16} in 12-16, {end.schedule.n32} in FP32"


def cells_tables(reproduction: Reproduction) -> Iterator[Table]:
    """A table of twelve cells for each mode."""
    by_mode: dict[str, list[Reproduced]] = {}
    for cell in reproduction.cells:
        by_mode.setdefault(cell.mode, []).append(cell)
    for mode, cells in by_mode.items():
        frame = pd.DataFrame([_shown(cell) for cell in cells])
        title = f"Table 3, {mode}" + ", fitted on these six cells" * (mode == modes.ONE_CONSTANT)
        known = interval_notes(cell.interval for cell in cells)
        headers = {name: text for name, text in CELL_HEADERS.items() if known or name != "interval"}
        yield Table(title + _error(reproduction, mode), frame, {}, headers, (*MODE_NOTES[mode], *known))


def _error(reproduction: Reproduction, mode: str) -> str:
    if mode == modes.CALIBRATED:
        return ""
    error = percent(reproduction.mean_error(mode))
    text = f": mean error of the FP32 and mixed-precision cells {error}"
    if mode != modes.ONE_CONSTANT:
        return text
    return f"{text}, of the five not met by construction {percent(reproduction.mean_error(mode, but_solved=True))}"


def _shown(cell: Reproduced) -> dict:
    low, high = cell.errors
    return {
        "network": cell.title, "column": COLUMN_TITLES[cell.column], "paper": hours_minutes(cell.published),
        "ours": span(hours_minutes, cell.low.seconds, cell.high.seconds),
        "interval": interval(hours_minutes, *cell.interval),
        "difference": None if cell.status == modes.TAKEN else span(signed_percent, low, high),
        "covers": None if cell.low.schedule is None else "yes" if low <= 0 <= high else "no",
        "status": cell.status,
    }  # fmt: skip
