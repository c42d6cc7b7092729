"""A trace as a picture: precision over epochs, below it metrics, gradient diversity and learning rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from perfmodel.report import style
from perfmodel.report.curves import bars, thinned
from perfmodel.report.stretches import levels, pass_words, places, ranked_metrics
from perfmodel.report.style import page, precision_colors, precision_label
from perfmodel.report.table import cut
from perfmodel.report.trace import short_number
from perfmodel.traces import Segment, Trace

WIDTH_IN, METRIC_IN, DIVERSITY_IN, RATE_IN = 8.5, 1.9, 1.2, 0.7  # of the figure, and heights of its panels
MOST_LINES = 4  # of a panel of metrics
MOST_MARKED = 12  # switches with a line and their epoch
LONGEST_LEVEL, LONGEST_METRIC, LONGEST_HEAD = 28, 24, 70  # characters of names beside and above a panel
MOST_DOTS = 12  # points of a curve that get a dot each: with few of them a line would say more than is known
RATE_LABELS = 4  # on the axis of learning rates
LOOKS = (  # not the colours of MuPPET's formats; each thinner than the one below it, so that equal curves all show
    {"color": style.BLACK, "linewidth": 2.4}, {"color": style.GREEN, "linewidth": 1.5, "linestyle": "--"},
    {"color": style.PURPLE, "linewidth": 1.4}, {"color": style.GREY, "linewidth": 1.4, "linestyle": ":"},
)  # fmt: skip

Panel = tuple[float, Callable[[Axes], None]]


def trace_figure(trace: Trace, title: str, note: str = "") -> Figure:
    """Precision of fprop over epochs; below, as far as the trace has them, accuracies, losses, gradient diversity, lr.

    x counts epochs trained: epoch e lies between e and e + 1, and a metric of it at its end. A switch of precision is a
    line through all panels with the epoch that it begins, unless there are more than twelve. Metrics are at most
    four of a kind, as `ranked_metrics` orders them; where none is an accuracy or a loss, the first two of the others.
    """
    where = places(trace)
    panels = [_precision_panel(trace, where), *_metric_panels(trace, where), *_other_panels(trace, where)]
    with style.styled():
        heights = [height for height, _ in panels]
        figure = page(title, "", note, WIDTH_IN, sum(heights) + 0.5 + 0.3 * len(panels))
        rows = figure.subplots(len(panels), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
        for axes, (_, draw) in zip(rows, panels, strict=True):
            draw(axes)
        _mark_switches(rows, trace, where)
        rows[-1].set_xlim(where[0, 0] // 1, np.ceil(where[-1, 1]))
        rows[-1].xaxis.set_major_locator(MaxNLocator(10, integer=True, steps=[1, 2, 5, 10]))
        rows[-1].set_xlabel("epochs trained")
        return style.settle(figure)


def _precision_panel(trace: Trace, where: np.ndarray) -> Panel:
    names = levels(segment.precision.label for segment in trace.segments)

    def draw(axes: Axes) -> None:
        colors = precision_colors(name for name in names if "|" not in name)
        for y, name in enumerate(names):
            here = bars(where[[segment.precision.label == name for segment in trace.segments]], where[-1, 1])
            look = {"facecolor": colors[name]} if name in colors else {"facecolor": style.LIGHT_GREY, "hatch": "////"}
            axes.broken_barh(here, (y - 0.38, 0.76), edgecolor="white", linewidth=0, label=name, **look)
        axes.set_yticks(range(len(names)), [style.drawable(precision_label(name), LONGEST_LEVEL) for name in names])
        axes.set_ylim(-0.6, len(names) - 0.4)
        _head(axes, cut(f"precision{pass_words(trace, precision_label)}", LONGEST_HEAD), grid="x", pad=style.SMALL + 6)

    return 0.2 + 0.3 * len(names), draw


def _metric_panels(trace: Trace, where: np.ndarray) -> Iterator[Panel]:
    ranked = ranked_metrics(trace)
    groups = [("accuracy", ranked["accuracy"][:MOST_LINES]), ("loss", ranked["loss"][:MOST_LINES])]
    if not any(names for _, names in groups):
        groups = [(name, [name]) for name in ranked["other"][:2]]
    for title, names in groups:
        if names:
            yield METRIC_IN, _curves(trace, where, title, {name: ("metrics", name) for name in names})


def _other_panels(trace: Trace, where: np.ndarray) -> Iterator[Panel]:
    found = {name for segment in trace.segments for name in segment.gradient_diversity}
    keys = {name: ("gradient_diversity", name) for name in ("ratio", "threshold") if name in found}
    if keys:
        yield DIVERSITY_IN, _curves(trace, where, "gradient diversity", keys)
    if any(segment.lr is not None for segment in trace.segments):
        yield RATE_IN, lambda axes: _draw_rate(axes, trace, where)


def _curves(trace: Trace, where: np.ndarray, title: str, keys: Mapping[str, tuple[str, str]]) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        for (label, (values, name)), look in zip(keys.items(), LOOKS, strict=False):
            x, y = _curve(trace.segments, where, values, name)
            dots = (
                {"marker": "o", "markersize": 2 + 1.5 * look["linewidth"], "clip_on": False}
                if np.count_nonzero(~np.isnan(y)) <= MOST_DOTS
                else {}
            )
            axes.plot(x, y, label=style.drawable(label, LONGEST_METRIC), **dots, **look)
        _head(axes, style.drawable(title), grid="y")
        if list(keys) != [title]:
            axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), borderaxespad=0)

    return draw


def _curve(segments: Sequence[Segment], where: np.ndarray, values: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The known values at the ends of their segments, with NaN where epochs are missing between two of them."""
    x, y, last = [], [], None
    for segment, end in zip(segments, where[:, 1].tolist(), strict=True):
        if last is not None and segment.epoch > last + 1:
            x.append(end)
            y.append(np.nan)
        last = segment.epoch
        value = getattr(segment, values).get(name)
        if value is not None:
            x.append(end)
            y.append(float(value))
    return thinned(np.array(x), np.array(y))


def _draw_rate(axes: Axes, trace: Trace, where: np.ndarray) -> None:
    """The learning rate as steps on a logarithmic axis: of logarithms, as matplotlib's own overflows at the margins."""
    rates = np.log10([np.nan if segment.lr is None else segment.lr for segment in trace.segments])
    x, y = np.insert(where[:, 1], range(len(rates)), where[:, 0]), np.repeat(rates, 2)
    gaps = np.flatnonzero(where[1:, 0] > where[:-1, 1] + 0.5) + 1
    x, y = np.insert(x, 2 * gaps, where[gaps - 1, 1]), np.insert(y, 2 * gaps, np.nan)
    axes.plot(*thinned(x, y), color=style.DARK_GREY, linewidth=1.2, label="lr")
    labels = _spaced(rates[~np.isnan(rates)].tolist())
    axes.set_yticks(labels, [short_number(10**label) for label in labels])
    _head(axes, "learning rate", grid="y")


def _spaced(values: Sequence[float]) -> list[float]:
    """The least and the greatest value, and those between that are far enough from the one before and the last.

    >>> _spaced([-1.0, -1.0, -1.1, -2.0, -3.0])
    [-3.0, -2.0, -1.0]
    """
    least, greatest = min(values), max(values)
    apart = (greatest - least) / RATE_LABELS
    labels = [least]
    for value in sorted(set(values)):
        if labels[-1] + apart < value <= greatest - apart:
            labels.append(value)
    return labels if least == greatest else [*labels, greatest]


def _mark_switches(rows: Sequence[Axes], trace: Trace, where: np.ndarray) -> None:
    """A line where each new precision begins, its epoch above the first panel."""
    pairs = pairwise(zip(trace.segments, where[:, 0].tolist(), strict=True))
    switches = [begin for (before, _), (after, begin) in pairs if before.precision != after.precision]
    if len(switches) > MOST_MARKED:
        return
    for x in switches:
        for axes in rows:
            axes.axvline(x, color=style.GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0.5)
    room, last = (where[-1, 1] - where[0, 0]) / 25, -np.inf
    for x in switches:
        if x - last < room:  # would lie on the label before
            continue
        last = x
        rows[0].annotate(
            f"{x:g}", (x, 1), (0, 2), xycoords=rows[0].get_xaxis_transform(), textcoords="offset points", ha="center",
            size=style.SMALL, color=style.DARK_GREY,
        )  # fmt: skip


def _head(axes: Axes, title: str, grid: str, pad: float | None = None) -> None:
    axes.set_title(title, loc="left", fontsize=style.LABEL, pad=pad)
    style.clean(axes, grid)
