"""What-if as a table: the run, its alternatives, and FP32 side by side."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from perfmodel.report.table import Table
from perfmodel.report.text import duration, ratio, rounded_interval, signed_percent, span, supported, widest
from perfmodel.simulate import Comparison, RunCost
from perfmodel.traces import Trace
from perfmodel.whatif import UNCHANGED, Priced

HEADERS = {
    "training": "training", "epochs": "epochs", "epochs_by_precision": "epochs by precision", "time": "time",
    "speedup": "speedup", "interval": "90 %", "against_run": "against the run", "basis": "basis",
}  # fmt: skip
SPEEDUP_ENDS = ("speedup_interval_low", "speedup_interval_high")


def whatif_frame(comparison: Comparison, priced: Sequence[Priced]) -> pd.DataFrame:
    """One row for FP32, the run and each alternative, ranges as `_low` and `_high` where the trace leaves some open.

    `speedup` is over FP32, `against_run` the time relative to that of the run less 1, end by end.
    """
    base = [run.seconds for run in comparison.runs]
    known = comparison.trace.completions()[: len(base)]
    rows = [_row("FP32", (comparison.fp32,), f"fp32: {comparison.fp32.epochs}", comparison, base)]
    rows.append(_row("the run", comparison.runs, _counts(known), comparison, base))
    rows += [_row(one.name, one.runs, _counts(one.traces), comparison, base) for one in priced]
    return pd.DataFrame(rows)


def whatif_table(frame: pd.DataFrame, title: str, priced: Sequence[Priced], notes: tuple[str, ...], raw: bool) -> Table:
    """The frame as people read it, or `raw` as programs do, with what is assumed."""
    changed = (*(f"Assumed: {one}." for one in dict.fromkeys(each.assumes for each in priced) if one), unchanged_note())
    if raw:
        return Table(title, frame, notes=(*changed, *notes))
    shown = frame[["training", "epochs", "epochs_by_precision", "basis"]].copy()
    for column, show, first, last, known in (
        ("time", duration, "time_low_s", "time_high_s", ("time_interval_low_s", "time_interval_high_s")),
        ("speedup", ratio, "speedup_high", "speedup_low", SPEEDUP_ENDS),  # the greater belongs to the lesser time
    ):
        shows = [supported(show, *ends) for ends in zip(frame[known[0]], frame[known[1]], strict=True)]
        shown[column] = list(map(span, shows, frame[first], frame[last]))
    pairs = zip(frame["against_run_low"], frame["against_run_high"], strict=True)
    shown["against_run"] = [span(signed_percent, low, high) for low, high in pairs]
    ends = zip(*(frame[name] for name in SPEEDUP_ENDS), strict=True)
    shown["interval"] = [rounded_interval(ratio, low, high) for low, high in ends]
    headers = {name: text for name, text in HEADERS.items() if name != "interval" or shown["interval"].notna().any()}
    return Table(title, shown, headers=headers, notes=(*changed, *notes))


def unchanged_note() -> str:
    """What every alternative assumes."""
    return f"Assumed unchanged, but for what the table shows: {'; '.join(UNCHANGED)}."


def _row(name: str, runs: Sequence[RunCost], counts: str, comparison: Comparison, base: Sequence[float]) -> dict:
    seconds = [run.seconds for run in runs]
    paired = seconds if len(seconds) == len(base) else seconds * len(base)
    changes = [one / other - 1 for one, other in zip(paired, base, strict=True)]
    speedups = [comparison.fp32.seconds / one for one in seconds]
    low, high = widest(run.speedup_interval(comparison.fp32) for run in runs)
    time_low, time_high = widest(run.interval() for run in runs)
    epochs = sorted({run.epochs for run in runs})
    return {
        "training": name, "epochs": " … ".join(map(str, dict.fromkeys((epochs[0], epochs[-1])))),
        "epochs_by_precision": counts, "time_low_s": min(seconds), "time_high_s": max(seconds),
        "time_interval_low_s": time_low, "time_interval_high_s": time_high,
        "speedup_low": min(speedups), "speedup_high": max(speedups),
        "speedup_interval_low": low, "speedup_interval_high": high, "against_run_low": min(changes),
        "against_run_high": max(changes), "basis": runs[0].basis,
    }  # fmt: skip


def _counts(traces: Sequence[Trace]) -> str:
    """The epochs of each format, a range where the ends differ."""
    found = [trace.epochs_by_precision() for trace in traces]
    texts = []
    for name in dict.fromkeys(name for each in found for name in each):
        counts = [each.get(name, 0) for each in found]
        texts.append(f"{name}: {span(str, min(counts), max(counts))}")
    return ", ".join(texts)
