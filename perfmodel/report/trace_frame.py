"""A trace as a flat frame: one row for each segment, for spreadsheets and programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import nan
from typing import Any

import pandas as pd

from perfmodel.errors import OutputError
from perfmodel.traces import Segment, Trace
from perfmodel.units import grouped

MOST_COLUMNS = 1000  # more names of metrics than that are no names, and would make a frame larger than memory
PASSES = ("fprop", "dgrad", "wgrad")
FIXED = ("epoch", "iterations", *(f"precision_{one}" for one in (*PASSES, "master")), "lr")
LARGEST_WHOLE = 2**63  # of a column of whole numbers


def trace_frame(trace: Trace) -> pd.DataFrame:
    """One row for each segment, with flat names: what a CSV file of a trace holds.

    Columns: epoch, iterations, precision_fprop, precision_dgrad, precision_wgrad, precision_master, lr, gd_<name>, and
    the metrics by their own names, with `metrics_` in front of one that is taken. Candidates are joined by `|`,
    missing values are missing. Raises `OutputError` (E1908) for more than 1,000 columns.
    """
    segments = trace.segments
    diversity = dict.fromkeys(name for segment in segments for name in segment.gradient_diversity)
    metrics = dict.fromkeys(name for segment in segments for name in segment.metrics)
    taken = [*FIXED, *(f"gd_{name}" for name in diversity)]
    if len(taken) + len(metrics) > MOST_COLUMNS:
        found = f"the segments have {grouped(len(metrics) + len(diversity))} different metrics."
        raise OutputError.at("E1908", "trace:", found, f"A table has at most {grouped(MOST_COLUMNS)} columns.")
    columns: dict[str, Any] = {
        "epoch": [segment.epoch for segment in segments], "iterations": [segment.iterations for segment in segments],
    }  # fmt: skip
    for key in PASSES:
        columns[f"precision_{key}"] = ["|".join(getattr(segment.precision, key)) for segment in segments]
    columns["precision_master"] = pd.Series([segment.precision.master for segment in segments], dtype=object)
    columns["lr"] = _numbers(segment.lr for segment in segments)
    for name in diversity:
        columns[f"gd_{name}"] = _values(segments, "gradient_diversity", name)
    for name, column in _free_names(metrics, taken).items():
        columns[column] = _values(segments, "metrics", name)
    return pd.DataFrame(columns)


def _free_names(names: Iterable[str], taken: Sequence[str]) -> dict[str, str]:
    """Each name with its column: itself where free."""
    used = {*taken, *names}
    columns = {}
    for name in names:
        column = name
        while column in used and (column != name or name in taken):
            column = f"metrics_{column}"
        used.add(column)
        columns[name] = column
    return columns


def _values(segments: Iterable[Segment], values: str, name: str) -> pd.Series:
    return _numbers(getattr(segment, values).get(name) for segment in segments)


def _numbers(values: Iterable[float | None]) -> pd.Series:
    """Whole numbers where all that are known are, else floats."""
    values = list(values)
    if all(value is None or (isinstance(value, int) and abs(value) < LARGEST_WHOLE) for value in values):
        return pd.Series(values, dtype="Int64")
    return pd.Series([nan if value is None else float(value) for value in values])
