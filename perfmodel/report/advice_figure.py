"""Advice as a picture: what a narrow format gains by batch size, and layer by layer what it saves and what it costs."""

from __future__ import annotations

from itertools import cycle

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, NullLocator

from perfmodel.report import style
from perfmodel.report.style import check_columns, drawable, page, text_inches
from perfmodel.report.table import is_missing
from perfmodel.report.text import milliseconds
from perfmodel.units import grouped

COLUMNS = ("layer", "base", "narrow", "base_s", "gemm_s", "copies_s", "convert_s", "net_s", "passes", "plan")
BASE, GEMM = {"facecolor": style.LIGHT_GREY}, {"facecolor": style.BLUE}
# The parts of a narrow format's bar, from its left end: column, word, fill.
PARTS = (
    ("gemm_s", "", GEMM), ("copies_s", "operands turned round", style.kind_style("transpose")),
    ("convert_s", "conversions", style.kind_style("quantise")),
)  # fmt: skip
MOST_LAYERS = 40  # that are drawn: of more the longest
BARS_IN, AXES_IN = 5.8, 5.2  # widths beside the layers' names [inch]: of the page, and of the axes at the least
BAR_IN, GAP, AXIS_IN, SPEEDUPS_IN = 0.15, 0.7, 1.0, 2.3  # heights [inch]; the gap between layers in bars
BEHIND_WORDS = {"facecolor": style.WHITE, "edgecolor": "none", "pad": 0.5}  # hides the grid
# Of formats throughout, again from the first where there are more; the plan's is black.
LINES = (style.BLUE, style.ORANGE, style.PURPLE, style.GREEN, style.SKY, style.VERMILLION, style.DARK_GREY)


def advice_figure(frame: pd.DataFrame, title: str, note: str = "", batches: pd.DataFrame | None = None) -> Figure:
    """The rows of `layers_frame`: each layer's GEMMs in the base format, and below it in each narrow one with all that
    this costs; behind them what the layer gains as a whole, and what the plan has.

    `batches`, the rows of `batches_frame`, adds speedups by batch size above. Of more than 40 layers the longest are
    drawn, and the subtitle says so.

    Raises `ValueError` for an empty frame or a missing column: mistakes of the program.
    """
    check_columns(frame, COLUMNS)
    shown, subtitle = _longest(frame)
    layers, narrow = shown["layer"].unique().tolist(), shown["narrow"].unique().tolist()
    base = shown["base"].iloc[0]
    order = ", ".join([base, *narrow])
    subtitle = f"{subtitle}bars of a layer, from above: {order}; behind them what it gains as a whole, and its passes "
    subtitle += "that the plan has in that format"
    with style.styled():
        width = text_inches(max(map(drawable, layers), key=len), style.TICK) + BARS_IN
        heights = [AXIS_IN + BAR_IN * (len(narrow) + 1 + GAP) * len(layers)]
        heights = heights if batches is None else [SPEEDUPS_IN, *heights]
        figure = page(title, subtitle, note, width, sum(heights))
        panels = figure.subplots(len(heights), height_ratios=heights, squeeze=False)[:, 0]
        if batches is not None:
            _draw_speedups(panels[0], batches, base, narrow)
        _draw_layers(panels[-1], shown, layers, len(narrow) + 1)
        return style.settle(figure)


def _longest(frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The rows of the layers that take longest in the base format, in their order, and what is left out."""
    totals = frame.groupby("layer", sort=False)["base_s"].first()
    if len(totals) <= MOST_LAYERS:
        return frame, ""
    kept = totals.nlargest(MOST_LAYERS).index
    return frame[frame["layer"].isin(kept)], f"the {MOST_LAYERS} longest of {grouped(len(totals))} layers; "


def _draw_speedups(axes: Axes, batches: pd.DataFrame, base: str, narrow: list[str]) -> None:
    looks = {name: {"color": color, "linestyle": "--"} for name, color in zip(narrow, cycle(LINES), strict=False)}
    lines = {f"{name} throughout": (f"{name}_speedup", look) for name, look in looks.items()}
    lines["the plan"] = ("plan_speedup", {"color": style.BLACK, "linewidth": 2.0})
    for label, (column, look) in lines.items():
        axes.plot(batches["batch"], batches[column], label=label, marker="o", markersize=3.5, **look)
    axes.axhline(1.0, color=style.GREY, linewidth=1.2, zorder=1)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(batches["batch"].tolist()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(batches["batch"].tolist(), [grouped(batch) for batch in batches["batch"]])
    axes.set_xlabel("batch size")
    axes.set_title(f"times as fast as {drawable(base)} throughout", loc="left", fontsize=style.LABEL)
    axes.legend(loc="lower right", frameon=True, framealpha=1.0, edgecolor=style.WHITE, facecolor=style.WHITE)
    style.clean(axes, "y")


def _draw_layers(axes: Axes, frame: pd.DataFrame, layers: list[str], bars: int) -> None:
    """A group of bars for each layer, the first on top."""
    step = bars + GAP
    longest = frame["base_s"].max() * 1e3
    for group, (_, rows) in enumerate(frame.groupby("layer", sort=False)):
        top = group * step
        axes.barh(top, rows["base_s"].iloc[0] * 1e3, 0.86, linewidth=0, **BASE)
        for place, row in enumerate(rows.itertuples(), 1):
            end = 0.0
            for column, _, look in PARTS:
                axes.barh(top + place, getattr(row, column) * 1e3, 0.86, end, **({"linewidth": 0} | look))
                end += getattr(row, column) * 1e3
            words = f" {_words(row)}"
            axes.text(end, top + place, words, va="center", size=style.SMALL, bbox=BEHIND_WORDS)
            longest = max(longest, end / (1 - text_inches(words, style.SMALL) / AXES_IN))
    axes.set_yticks([group * step + (bars - 1) / 2 for group in range(len(layers))], [drawable(one) for one in layers])
    axes.set_ylim(len(layers) * step - 0.5, -1.0)
    axes.set_xlim(0, 1.02 * longest)
    axes.set_xlabel("milliseconds of a step")
    names = frame["narrow"].unique()
    words = [f"{drawable(name)} GEMMs" for name in (frame["base"].iloc[0], names[0] if len(names) == 1 else "narrow")]
    handles = [Patch(label=word, **look) for word, look in zip(words, (BASE, GEMM), strict=True)]
    handles += [Patch(label=word, **look) for _, word, look in PARTS[1:]]
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0.3)
    style.clean(axes, "x")


def _words(row) -> str:
    """What the layer gains as a whole, and which of its passes the plan has in the format."""
    planned = "none" if is_missing(row.plan) else "all" if row.plan.count(",") == row.passes - 1 else row.plan
    return f"{'loses' if row.net_s < 0 else 'gains'} {milliseconds(abs(row.net_s))} ms; plan: {planned}"
