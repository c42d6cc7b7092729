"""Speedups against FP32 as a picture: bars from zero, their intervals, and what is left open."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from perfmodel.report import style
from perfmodel.report.speedup import ROWS, SCHEME_ROW
from perfmodel.report.style import check_columns, drawable, page, text_inches
from perfmodel.report.text import ratio, span, supported

COLUMNS = ("trace", "training", "speedup_low", "speedup_high", "speedup_interval_low", "speedup_interval_high")
BARS_IN, ROW_IN, AXIS_IN = 5.2, 0.235, 0.9  # width of the bars, height of a row, of the axis and the legend [inch]
MOST_TRACES = 60
ROOM = 1.18  # of the axis beyond what it holds, for the numbers
# What the rows of a trace after the first, FP32, are called, and how their bars look: as in the timeline.
ROLES = ("mixed precision", "the trace's scheme", "without conversions")
LOOKS = (
    {"facecolor": style.GREEN}, {"facecolor": style.BLACK},
    {"facecolor": style.LIGHT_GREY, "hatch": "////", "edgecolor": style.GREY},
)  # fmt: skip


def speedup_figure(frame: pd.DataFrame, title: str, note: str = "") -> Figure:
    """The rows of `speedup_frame` as horizontal bars, FP32's 1x a line, whiskers where an interval is known.

    A range (of what a trace leaves open) is drawn paler from its lower to its upper end. Of more than 60 traces the
    first are drawn, and the subtitle says so.

    Raises `ValueError` for an empty frame, a missing column, or not four rows a trace: mistakes of the program.
    """
    check_columns(frame, COLUMNS)
    if len(frame) % ROWS:
        raise ValueError(f"a trace has {ROWS} rows")
    count = len(frame) // ROWS
    shown = frame.iloc[: ROWS * MOST_TRACES]
    subtitle = f"the first {MOST_TRACES} of {count} traces" if count > MOST_TRACES else ""
    with style.styled():
        traces = [shown.iloc[start : start + ROWS] for start in range(0, len(shown), ROWS)]
        labels = [drawable(name) for rows in traces for name in rows["training"].iloc[1:]]
        width = text_inches(max(labels, key=len), style.TICK) + BARS_IN
        figure = page(title, subtitle, note, width, AXIS_IN + ROW_IN * ROWS * len(traces))
        axes = figure.add_subplot()
        _draw(axes, traces, labels)
        return style.settle(figure)


def _draw(axes: Axes, traces: Sequence[pd.DataFrame], labels: Sequence[str]) -> None:
    ends = [frame[["speedup_high", "speedup_interval_high"]].iloc[1:].max().max() for frame in traces]
    furthest = max(1.0, *ends)
    for group, rows in enumerate(traces):
        axes.text(
            0.0, group * ROWS, f" {drawable(rows['trace'].iloc[0], 60)} ", va="center", size=style.TICK, weight="bold",
            bbox={"facecolor": style.WHITE, "edgecolor": "none", "pad": 0.5}, zorder=5,  # hides FP32's line
        )  # fmt: skip
        for place, (row, look) in enumerate(zip(rows.iloc[1:].itertuples(), LOOKS, strict=True), 1):
            _draw_bar(axes, group * ROWS + place, row, look, furthest)
    places = [place for place in range(len(traces) * ROWS) if place % ROWS]
    axes.set_yticks(places, labels)
    axes.set_ylim(len(traces) * ROWS - 0.4, -0.6)  # the first on top
    axes.axvline(1.0, color=style.BLUE, linewidth=1.5, linestyle="--", zorder=3)
    axes.set_xlim(0, ROOM * furthest)
    axes.set_xlabel("times as fast as FP32 (dashed)")
    handles = [Patch(label=role, **look) for role, look in zip(ROLES, LOOKS, strict=True)]
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=len(handles), borderaxespad=0.3)
    style.clean(axes, "x")


def _draw_bar(axes: Axes, place: int, row, look: dict, furthest: float) -> None:
    axes.barh(place, row.speedup_low, 0.78, linewidth=0, **look)
    if row.speedup_high > row.speedup_low:
        axes.barh(place, row.speedup_high - row.speedup_low, 0.78, row.speedup_low, alpha=0.35, linewidth=0, **look)
    end = row.speedup_high
    if not np.isnan(row.speedup_interval_low):
        low, high = row.speedup_interval_low, row.speedup_interval_high
        whisker = style.BLACK if "hatch" in look else style.GREY  # seen on its bar
        axes.plot([low, high], [place, place], color=whisker, linewidth=2, marker="|", markersize=6, zorder=4)
        end = max(end, high)
    ends = row.speedup_interval_low, row.speedup_interval_high
    text = span(supported(ratio, *ends), row.speedup_high, row.speedup_low)  # as in the table
    axes.text(end + 0.012 * furthest, place, text, va="center", size=style.SMALL)


def scheme_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of `speedup_frame` that are the runs with the traces' own schemes, one a trace."""
    return frame.iloc[SCHEME_ROW::ROWS]
