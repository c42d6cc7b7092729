"""Schemes side by side as a picture: one bar for each scheme, the time of an epoch by what it is spent on."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from perfmodel.report import style
from perfmodel.report.style import check_columns, drawable, page, text_inches
from perfmodel.report.table import is_missing
from perfmodel.report.text import duration, ratio

# The parts of a bar, from its left end: column, word, and the kind of work whose fill it has.
PARTS = (
    ("gemm_share", "GEMM", "gemm"), ("other_share", "other layers", "add/concat"),
    ("conversions_share", "conversions", "quantise"), ("update_share", "update", "update"),
)  # fmt: skip
COLUMNS = ("scheme", "epoch_s", "speedup", "refusal", *(column for column, _, _ in PARTS))
BARS_IN, ROW_IN, BEHIND = 6.5, 0.34, 1.3  # widths [inch]; room for the words behind the longest bar
LEGEND_IN = 1.2  # height of legend and axis
REFUSAL_LETTERS = 80  # of a refusal in its row
BEHIND_WORDS = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # hides the grid
UNITS = ((3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"), (1e-3, "milliseconds"))


def schemes_figure(frame: pd.DataFrame, title: str, subtitle: str = "", note: str = "") -> Figure:
    """The rows of `schemes_frame` as stacked bars from zero, whiskers where the time's interval is known.

    A scheme without a price is named with its refusal.

    Raises `ValueError` for an empty frame, a missing column or no price at all: mistakes of the program.
    """
    check_columns(frame, COLUMNS)
    if frame["epoch_s"].isna().all():
        raise ValueError("no scheme has a price")
    with style.styled():
        labels = [drawable(name) for name in frame["scheme"]]
        width = text_inches(max(labels, key=len), style.TICK) + BARS_IN
        figure = page(title, subtitle, note, width, LEGEND_IN + ROW_IN * len(frame))
        axes = figure.add_subplot()
        _draw(axes, frame)
        axes.set_yticks(range(len(labels)), labels, fontsize=style.TICK)
        axes.set_ylim(len(labels) - 0.4, -0.6)  # the first on top
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=len(PARTS) + 1)
        style.clean(axes, "x")
        return style.settle(figure)


def _draw(axes: Axes, frame: pd.DataFrame) -> None:
    longest = frame["epoch_s"].max()
    unit_s, unit = next((one for one in UNITS if longest >= 2 * one[0]), UNITS[-1])
    times = frame["epoch_s"].astype(float).fillna(0.0).to_numpy() / unit_s
    left = np.zeros(len(frame))
    for column, word, kind in PARTS:
        parts = times * frame[column].astype(float).fillna(0.0).to_numpy()
        axes.barh(range(len(frame)), parts, 0.72, left, label=word, **style.kind_style(kind))
        left += parts
    ends = _draw_intervals(axes, frame, left)
    for place, (end, row) in enumerate(zip(ends, frame.itertuples(), strict=True)):
        axes.text(end + 0.01 * ends.max(), place, _words(row), va="center", fontsize=style.SMALL, bbox=BEHIND_WORDS)
    axes.set_xlim(0, BEHIND * ends.max())
    axes.set_xlabel(f"{unit} for an epoch")


def _draw_intervals(axes: Axes, frame: pd.DataFrame, times: np.ndarray) -> np.ndarray:
    """The 90 % interval of each bar that has one, as a whisker; returns where bar and whisker end."""
    if "run_low_s" not in frame.columns:
        return times
    low, high = (frame[name].astype(float) / frame["run_s"].astype(float) for name in ("run_low_s", "run_high_s"))
    known = low.notna().to_numpy()
    middle, rows = times[known], np.flatnonzero(known)
    reach = np.stack([middle * (1 - low[known]), middle * (high[known] - 1)])
    if len(rows):
        axes.errorbar(
            middle, rows, xerr=reach, fmt="none", ecolor=style.BLACK, elinewidth=1, capsize=2.5, label="90 % interval"
        )
    ends = times.copy()
    ends[known] = middle + reach[1]
    return ends


def _words(row) -> str:
    if is_missing(row.epoch_s):
        return drawable(f"refused: {row.refusal.partition('. ')[0]}", REFUSAL_LETTERS)
    return duration(row.epoch_s) + ("" if is_missing(row.speedup) else f", {ratio(row.speedup)}")
