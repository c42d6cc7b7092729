"""A training run epoch by epoch, as a picture: its precision, and its hours against both baselines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from perfmodel.formats import FORMATS
from perfmodel.report import style
from perfmodel.report.curves import MOST_POINTS, bars, thinned
from perfmodel.report.style import check_columns, line_inches, page, precision_colors, precision_label, text_inches
from perfmodel.report.text import HOUR, duration, supported
from perfmodel.units import ceil_div

SHADED = " Shaded: 90 % intervals. Much of them moves all curves together, so their ratio is surer."
RUN_COLUMNS = ("epoch", "precision", "run_hours", "fp32_hours", "mixed_hours")
BAND_COLUMNS = ("run_low_hours", "run_high_hours")
RUN_IN, HOURS_IN = 8.5, 3.2  # width of a timeline, height of its lower part
UNITS = ((1, "hours"), (60, "minutes"), (3600, "seconds"))  # of the axis, and how many an hour has
HOURS_LINES = (
    ("FP32", "fp32_hours", {"color": style.BLUE, "linestyle": "--", "linewidth": 1.5}),
    ("mixed precision", "mixed_hours", {"color": style.GREEN, "linestyle": "--", "linewidth": 1.5}),
    ("", "run_hours", {"color": style.BLACK, "linewidth": 2.2}),
)


def timeline_figure(frame: pd.DataFrame, title: str, note: str = "", run: str = "this run") -> Figure:
    """A run, epoch by epoch: above its precision, below its hours so far and those of both baselines.

    `frame` has the columns epoch (ascending), precision (missing after the run's end; candidates joined by `|`),
    run_hours, fp32_hours and mixed_hours: hours from the start to the end of that epoch, NaN after that run's end and
    everywhere for a baseline that there is not. `run_low_hours` and `run_high_hours`, where given, are drawn as a band;
    a run of which only these bounds are known has NaN in all of run_hours. Intervals (run_interval_low_hours,
    run_interval_high_hours, and those of fp32 and mixed), where given, are shaded
    in the colour of their curve. `run` is what its curve is called.

    Raises `ValueError` for an empty frame, a missing column or epochs out of order: mistakes of the program.
    """
    check_columns(frame, RUN_COLUMNS)
    if not (frame["epoch"].is_monotonic_increasing and frame["epoch"].is_unique):
        raise ValueError("epochs must ascend")
    with style.styled():
        levels = _levels(frame["precision"].dropna().unique())
        heights = (0.2 + 0.3 * len(levels), HOURS_IN)
        figure = page(title, "", note, RUN_IN, sum(heights) + 1.1)
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=heights)
        _draw_precisions(above, frame, levels)
        _draw_hours(below, frame, run)
        return style.settle(figure)


def shaded_words(frame: pd.DataFrame) -> str:
    """What is shaded in the figure of this frame, to follow other words of a note; empty where nothing is."""
    known = [name for name in frame.columns if "_interval_" in name]
    return SHADED if frame[known].notna().any(axis=None) else ""


def _levels(names: Iterable[str]) -> list[str]:
    """Precisions from narrow to wide; what is no format comes last."""

    def bits(name: str) -> float:
        widths = [FORMATS[part].bits for part in name.split("|") if part in FORMATS]
        return sum(widths) / len(widths) if widths else float("inf")

    return sorted(names, key=lambda name: (bits(name), name))


def _spans(frame: pd.DataFrame) -> Iterator[tuple[str, int, int]]:
    """Precision, first epoch and number of epochs of each stretch without a switch or a gap."""
    known = frame.dropna(subset="precision")
    rows = list(zip(known["epoch"], known["precision"], strict=True))
    breaks = [i for i, (a, b) in enumerate(pairwise(rows), 1) if b != (a[0] + 1, a[1])]
    for start, end in pairwise([0, *breaks, len(rows)]):
        if end > start:  # the run may have no epoch at all
            yield rows[start][1], int(rows[start][0]), end - start


def _draw_precisions(axes: Axes, frame: pd.DataFrame, levels: Sequence[str]) -> None:
    colors = precision_colors(name for name in levels if "|" not in name)
    spans = list(_spans(frame))
    total = int(frame["epoch"].iloc[-1]) + 1
    for y, name in enumerate(levels):
        here = [(first, count) for found, first, count in spans if found == name]
        drawn = bars(np.array([(first, first + count) for first, count in here], dtype=float), total)
        color, hatch = colors.get(name, style.LIGHT_GREY), None if name in colors else "////"
        axes.broken_barh(drawn, (y - 0.38, 0.76), facecolor=color, hatch=hatch, edgecolor="white", linewidth=0)
        if len(spans) <= len(levels) + 4:  # a cyclic schedule would be covered with numbers
            for first, count in here:
                _name_span(axes, y, first, count, total, color)
    axes.set_yticks(range(len(levels)), [precision_label(name) for name in levels])
    axes.set_ylim(-0.6, len(levels) - 0.4)
    axes.set_title("precision", loc="left", fontsize=style.LABEL)
    style.clean(axes, grid="x")


def _name_span(axes: Axes, y: int, first: int, count: int, total: int, color: str) -> None:
    """The number of epochs: inside the bar if there is room, else behind it, else before it."""
    text = f"{count} epoch{'s' * (count > 1)}"
    needed = total * (text_inches(text, style.SMALL) + 0.1) / (0.6 * RUN_IN)  # epochs that the text is wide
    if needed < count:
        x, side, ink = first + count / 2, "center", style.BLACK if color == style.LIGHT_GREY else style.ink_on(color)
    elif first + count + needed < total:
        x, side, ink = first + count + needed / 20, "left", style.BLACK
    else:
        x, side, ink = first - needed / 20, "right", style.BLACK
    box = (
        None if side == "center" and color != style.LIGHT_GREY else {"color": style.WHITE, "pad": 0.5}
    )  # hides the lines
    axes.text(x, y, text, ha=side, va="center_baseline", size=style.SMALL, color=ink, bbox=box)


def _draw_hours(axes: Axes, frame: pd.DataFrame, run: str) -> None:
    curves = [name for name in frame.columns if name.endswith("_hours") and "_interval_" not in name]
    longest = frame[curves].max().max()
    scale, unit = next((scale, unit) for scale, unit in UNITS if longest * scale >= 1 or unit == "seconds")
    bounds, ends = _draw_bounds(axes, frame, scale), []
    for baseline, column, look in HOURS_LINES:
        name, mine = baseline or run, bounds if column == "run_hours" else None
        shown = _draw_interval(axes, frame, column, scale, look["color"])
        x, hours = _curve(frame, column)
        between = " to ".join(map(shown, mine[2])) if mine else ""
        if len(x) == 1:  # a baseline that there is not, or a run of which only the bounds are known
            ends += [(*mine[:2], f"{name}: {between}", look["color"])] if mine else []
            continue
        axes.plot(x, hours * scale, label=name, **look)
        axes.plot(x[-1], hours[-1] * scale, "o", markersize=5, color=look["color"], clip_on=False)
        text = f"{name}: {shown(hours[-1])}" + (f"\n({between})" if mine else "")
        ends.append((x[-1], hours[-1] * scale, text, look["color"]))
    axes.set_xlim(0, int(frame["epoch"].iloc[-1]) + 1)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlabel("epochs trained")
    axes.set_title(f"{unit} since the start", loc="left", fontsize=style.LABEL)
    style.clean(axes, grid="y")
    _name_ends(axes, ends)


def _curve(frame: pd.DataFrame, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Epochs trained and hours taken, from 0 and 0 on; missing hours are left out."""
    known = frame.dropna(subset=column)
    x, y = thinned(np.array(known["epoch"] + 1, dtype=float), known[column].to_numpy(dtype=float))
    return np.r_[0, x], np.r_[0.0, y]


def _draw_interval(axes: Axes, frame: pd.DataFrame, column: str, scale: float, color: str) -> Callable[[float], str]:
    """Shade the intervals of a curve, where there are any; how hours are written with the digits that the last has."""
    names = [column.replace("_hours", f"_interval_{end}_hours") for end in ("low", "high")]
    known = frame.dropna(subset=names) if set(names) <= set(frame.columns) else frame[:0]
    if known.empty:
        return lambda hours: duration(hours * HOUR)
    drawn = known.iloc[np.unique(np.r_[: len(known) : ceil_div(len(known), MOST_POINTS), len(known) - 1])]
    x, low, high = (np.r_[0.0, one] for one in (drawn["epoch"] + 1, *(drawn[name] for name in names)))
    axes.fill_between(x, low * scale, high * scale, color=color, alpha=0.12, linewidth=0)
    return lambda hours: supported(duration, low[-1] * HOUR, high[-1] * HOUR)(hours * HOUR)


def _draw_bounds(axes: Axes, frame: pd.DataFrame, scale: float) -> tuple[float, float, list[float]] | None:
    """The bounds of the run's hours, where there are any: where their end lies, and both."""
    if not set(BAND_COLUMNS) <= set(frame.columns):
        return None
    known = frame.dropna(subset=list(BAND_COLUMNS))
    if known.empty:
        return None
    (x, low), (_, high) = (_curve(known, column) for column in BAND_COLUMNS)
    axes.fill_between(x, low * scale, high * scale, color=style.BLACK, alpha=0.15, linewidth=0)
    if known["run_hours"].isna().all():  # nothing runs through the band, so its edges are the run
        for edge in (low, high):
            axes.plot(x, edge * scale, color=style.BLACK, linewidth=1.2)
    return x[-1], (low[-1] + high[-1]) / 2 * scale, [low[-1], high[-1]]


def _name_ends(axes: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Name and time of each curve, right of the axes where no line runs, with a thin line of its colour to its end."""
    per_inch = axes.get_ylim()[1] / HOURS_IN
    ends = sorted(ends, key=lambda end: end[1])
    heights = [(line_inches(style.TICK) * (text.count("\n") + 1) + 0.06) * per_inch for _, _, text, _ in ends]
    middles = _spread([y for _, y, _, _ in ends], heights)
    for (x, y, text, color), middle in zip(ends, middles, strict=True):
        leader = {
            "arrowstyle": "-", "color": color, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 4, "relpos": (0, 0.5)
        }  # fmt: skip
        axes.annotate(
            text, (x, y), (1.04, middle), textcoords=axes.get_yaxis_transform(), va="center",
            size=style.TICK, annotation_clip=False, arrowprops=leader,
        )  # fmt: skip


def _spread(middles: Sequence[float], heights: Sequence[float]) -> list[float]:
    """Ascending middles, neighbours pushed apart until boxes of these heights do not overlap.

    >>> _spread([1.0, 1.0, 9.0], [2.0, 2.0, 2.0])
    [0.0, 2.0, 9.0]
    """
    moved = list(middles)
    for _ in range(50):  # each push may touch the next neighbour; a handful of labels settles long before
        for i in range(1, len(moved)):
            overlap = (heights[i - 1] + heights[i]) / 2 - (moved[i] - moved[i - 1])
            if overlap > 0:
                moved[i - 1] -= overlap / 2
                moved[i] += overlap / 2
    return moved
