"""Speedup tables: a trace's run beside FP32, mixed precision and its own theoretical limit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import nan

import numpy as np
import pandas as pd

from perfmodel.devices import Device
from perfmodel.report.basis import interval_notes
from perfmodel.report.table import Table
from perfmodel.report.text import HOUR, duration, percent, ratio, rounded_interval, span, supported, widest
from perfmodel.report.units import units_note
from perfmodel.simulate import Comparison, RunCost

HEADERS = {
    "trace": "trace", "training": "training", "epochs": "epochs", "time": "time", "speedup": "speedup",
    "interval": "90 %", "same_epochs": "at equal epochs", "epoch_factor": "by fewer epochs",
    "overhead": "conversions", "basis": "basis",
}  # fmt: skip
ROWS, SCHEME_ROW = 4, 2  # rows of a trace, and which of them, from 0, is the run with the trace's scheme
SPANS = (
    ("time", "time_low_s", "time_high_s", duration, "time_interval"),
    ("speedup", "speedup_high", "speedup_low", ratio, "speedup_interval"),  # the greater belongs to the lesser time
    ("same_epochs", "equal_epoch_speedup_high", "equal_epoch_speedup_low", ratio, "equal_epoch_interval"),
    ("overhead", "overhead_share_low", "overhead_share_high", percent, ""),
)
NOTES = (
    "speedup = FP32's time / this time = (at equal epochs) x (by fewer epochs): what precision and schedule give, and "
    "what training fewer epochs than the FP32 baseline gives. A range spans what the trace leaves open.",
    "conversions: share of the time in quantise, cast, transpose and gradient-check kernels; the theoretical limit has "
    "none.",
)


def speedup_frame(names: Sequence[str], comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Four rows for each trace: FP32, mixed precision, the scheme, and the scheme without conversions.

    Columns that may be a range come as `_low` and `_high`, equal where the trace is known: `time_low_s`,
    `speedup_low`, `equal_epoch_speedup_low`, `overhead_share_low` and so on; the others are `epochs`, `epoch_factor`,
    `basis`, `proxies`. `time_interval_low_s` to `speedup_interval_high` are the ends of 90 % intervals, over all that
    the trace leaves open; NaN where not known.
    """
    pairs = zip(names, comparisons, strict=True)
    return pd.DataFrame([row for name, comparison in pairs for row in _rows(name, comparison)])


def speedup_table(frame: pd.DataFrame, title: str, notes: tuple[str, ...]) -> Table:
    """The frame as people read it: ranges in one column."""
    shown = frame[["trace", "training", "epochs", "epoch_factor", "basis"]].copy()
    for column, first, last, show, interval in SPANS:
        shows = [supported(show, *ends) for ends in _ends(frame, interval)] if interval else [show] * len(frame)
        shown[column] = list(map(span, shows, frame[first], frame[last]))
    shown["interval"] = [rounded_interval(ratio, *ends) for ends in _ends(frame, "speedup_interval")]
    headers = {name: text for name, text in HEADERS.items() if name != "interval" or shown["interval"].notna().any()}
    return Table(title, shown, {"epoch_factor": ratio}, headers, notes)


def _ends(frame: pd.DataFrame, interval: str) -> list[tuple[float, float]]:
    """The ends of each row's interval; those at equal epochs are the speedup's, less what fewer epochs give."""
    if interval == "equal_epoch_interval":
        factor, interval = frame["epoch_factor"], "speedup_interval"
    else:
        factor = 1.0
    low, high = (frame[f"{interval}_{end}" + "_s" * interval.startswith("time")] / factor for end in ("low", "high"))
    return list(zip(low, high, strict=True))


def speedup_notes(comparisons: Sequence[Comparison], device: Device) -> tuple[str, ...]:
    """What the columns mean, which units run the GEMMs, and what stands for something else."""
    runs = [run for c in comparisons for run in (c.fp32, c.mixed, *c.runs)]
    proxies = list(dict.fromkeys(proxy for run in runs for proxy in run.proxies))
    units = units_note(device, (step for run in runs for step in run.steps.values()))
    if ("tf32", "fp32") in device.rates:
        units += " Frameworks may run FP32 convolutions as TF32 on this chip: breakdown --precision fp32,tf32 compares."
    known = interval_notes((run.interval() for run in runs), rounded=True)
    return (*NOTES, *known, units, *([f"Proxies: {', '.join(proxies)}."] if proxies else []))


def _rows(name: str, comparison: Comparison) -> Iterator[dict]:
    fp32 = comparison.fp32
    runs = (
        ("FP32", (fp32,)), ("mixed precision", (comparison.mixed,)),
        (comparison.runs[0].title, comparison.runs),
        (f"{comparison.runs[0].title}, theoretical limit", comparison.limits),
    )  # fmt: skip
    for title, costs in runs:
        yield {"trace": name, "network": comparison.network.name, "training": title, **_figures(costs, fp32)}


def _figures(costs: tuple[RunCost, ...], fp32: RunCost) -> dict:
    """The raw columns of one row; the extremes of several costs."""
    factor = fp32.iterations / costs[0].iterations  # of epochs, some of which may have been cut short
    seconds = sorted(cost.seconds for cost in costs)
    speedups = sorted(fp32.seconds / cost.seconds for cost in costs)
    shares = sorted(cost.overhead_s / cost.seconds for cost in costs)
    time_low, time_high = widest(cost.interval() for cost in costs)
    ratio_low, ratio_high = widest(cost.speedup_interval(fp32) for cost in costs)
    return {
        "epochs": costs[0].epochs,
        "time_low_s": seconds[0], "time_high_s": seconds[-1],
        "time_interval_low_s": time_low, "time_interval_high_s": time_high,
        "speedup_low": speedups[0], "speedup_high": speedups[-1],
        "equal_epoch_speedup_low": speedups[0] / factor, "equal_epoch_speedup_high": speedups[-1] / factor,
        "speedup_interval_low": ratio_low, "speedup_interval_high": ratio_high,
        "epoch_factor": factor,
        "overhead_share_low": shares[0], "overhead_share_high": shares[-1],
        "basis": costs[0].basis,
        "proxies": "; ".join(costs[0].proxies),
    }  # fmt: skip


def timeline_frame(comparison: Comparison) -> pd.DataFrame:
    """One row an epoch: its format, and the hours so far of the run (a band where not known) and of both baselines.

    Their 90 % intervals are in columns such as `run_interval_low_hours`.
    """
    ends = {"fp32": [comparison.fp32], "mixed": [comparison.mixed], "run": list(comparison.runs)}
    longest = max(cost.segments[-1].epoch for costs in ends.values() for cost in costs) + 1
    frame = pd.DataFrame({"epoch": range(longest)})
    labels: dict[int, dict[str, None]] = {}
    for segment in comparison.trace.segments:
        labels.setdefault(segment.epoch, {})[segment.precision.label] = None
    frame["precision"] = [", ".join(labels[epoch]) if epoch in labels else None for epoch in frame.epoch]
    for name, costs in ends.items():
        hours = np.full((len(costs), longest, 3), nan)
        for mine, cost in zip(hours, costs, strict=True):
            found = np.column_stack([cost.epoch_ends_s(), cost.epoch_end_intervals()]) / HOUR
            mine[: len(found)] = found
        if len(costs) > 1:  # only bounds are known, and no point between them is chosen
            frame["run_low_hours"], frame["run_high_hours"] = hours[:, :, 0].min(axis=0), hours[:, :, 0].max(axis=0)
        frame[f"{name}_hours"] = hours[0, :, 0] if len(costs) == 1 else nan
        frame[f"{name}_interval_low_hours"] = hours[:, :, 1].min(axis=0)
        frame[f"{name}_interval_high_hours"] = hours[:, :, 2].max(axis=0)
    return frame
