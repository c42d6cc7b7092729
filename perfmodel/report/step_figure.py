"""Where the time of one training step goes, as a picture.

Nothing is shown or saved, and nothing is drawn that the frame does not say. Names of layers come from files of others
and are drawn as they are, never read as formulas.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import floor, log10

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from perfmodel.lowering import KINDS, PASSES
from perfmodel.report import style
from perfmodel.report.breakdown import layer_order
from perfmodel.report.style import check_columns, drawable, page, precision_colors, text_inches

STEP_COLUMNS = ("precision", "layer", "pass", "kind", "time_s")
ORDER = {"pass": (*PASSES, "update"), "kind": KINDS}
PARTS = (*(f"GEMM {name}" for name in ORDER["pass"]), *KINDS)  # of a stacked bar: GEMMs by pass, the rest by kind
MOST_ROWS = 60  # layers that are shown one by one; more are shown in blocks
ROW_LIMIT = 240  # rows that a picture can hold
PANEL_IN, WIDE_PANEL_IN, LEGEND_IN = 2.8, 4.5, 1.6  # widths [inch]


def breakdown_figure(frame: pd.DataFrame, title: str, by: str = "layer", note: str = "") -> Figure:
    """Where the time of one training step goes.

    `frame` has the columns precision, layer, pass, kind and time_s, with the layers in network order. `by="layer"`
    draws one panel a precision and one bar a layer, stacked by pass for the GEMMs and by kind for the rest. More than
    60 layers are added up by the first parts of their dotted names, as many parts as leave at most 60 rows, and the
    subtitle says so. `by="pass"` and `by="kind"` draw one bar for each precision. All axes are linear and start at 0.

    Raises `ValueError` for an empty frame, a missing column, a missing or negative time, or another `by`: mistakes of
    the program.
    """
    check_columns(frame, STEP_COLUMNS)
    if not (frame["time_s"] >= 0).all():
        raise ValueError("time_s holds a missing or negative time")
    if by not in ("layer", *ORDER):
        raise ValueError(f"by must be layer, pass or kind: {by!r}")
    with style.styled():
        return style.settle(
            _layer_figure(frame, title, note) if by == "layer" else _grouped_figure(frame, title, by, note)
        )


# ---- the time of one step: panels and legend -------------------------------------------------------------------------


def _panels(figure: Figure, count: int, width: float) -> tuple[list[Axes], Axes]:
    """Panels side by side that share both axes, and an empty one for the legend, so that it can cover no bar."""
    figure.get_layout_engine().set(wspace=0.06)  # the last number of one axis and the first of the next
    grid = figure.add_gridspec(1, count + 1, width_ratios=[width] * count + [LEGEND_IN])
    panels = [figure.add_subplot(grid[0])]
    panels += [figure.add_subplot(grid[i], sharex=panels[0], sharey=panels[0]) for i in range(1, count)]
    for axes in panels:
        style.clean(axes, grid="x")
        axes.set_xlabel("ms per training step")
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    for axes in panels[1:]:
        axes.tick_params(labelleft=False)
    legend = figure.add_subplot(grid[count])
    legend.axis("off")
    return panels, legend


def _name_rows(axes: Axes, names: Sequence[str], size: float) -> None:
    """The first row on top."""
    axes.set_yticks(range(len(names)), names, size=size)
    axes.set_ylim(len(names) - 0.4, -0.6)


def _draw_legend(axes: Axes, handles: Sequence[Patch]) -> None:
    axes.legend(handles=handles, loc="upper left", borderaxespad=0)


def _ranked(names: Iterable[str], order: Sequence[str]) -> list[str]:
    """The names in this order; those that are not in it come last, by name."""
    return sorted(set(names), key=lambda name: (order.index(name) if name in order else len(order), name))


def _milliseconds(seconds: float) -> str:
    """Milliseconds with three significant digits, whole ones from 100 on.

    >>> [_milliseconds(x) for x in (1.2345, 0.12345, 0.0012345, 0.0)]
    ['1234 ms', '123 ms', '1.23 ms', '0 ms']
    """
    return f"{seconds * 1e3:.{_decimals(seconds * 1e3)}f} ms"


def _decimals(value: float) -> int:
    """Digits behind the point that make three significant ones."""
    return min(9, max(0, 2 - floor(log10(value)))) if value > 0 else 0


# ---- by layer --------------------------------------------------------------------------------------------------------


def _layer_figure(frame: pd.DataFrame, title: str, note: str) -> Figure:
    rows, subtitle = _rows(frame)
    parts = ("GEMM " + frame["pass"]).where(frame["kind"] == "gemm", frame["kind"])
    frame = frame.assign(row=frame["layer"].map(rows), part=parts)
    times = frame.groupby(["precision", "row", "part"], sort=False)["time_s"].sum().unstack(fill_value=0.0) * 1e3
    totals = frame.groupby("precision", sort=False)["time_s"].sum()
    names = list(dict.fromkeys(rows.values()))
    busy = _ranked(frame.loc[frame["time_s"] > 0, "part"], PARTS)

    labels = [drawable(name) for name in names]
    size = style.TICK if len(names) <= MOST_ROWS else style.SMALL
    width = text_inches(max(labels, key=len), size) + PANEL_IN * len(totals) + LEGEND_IN
    figure = page(title, subtitle, note, width, 0.9 + max(0.21 * len(busy), _row_inches(len(names)) * len(names)))
    panels, legend = _panels(figure, len(totals), PANEL_IN)
    for axes, (precision, total) in zip(panels, totals.items(), strict=True):
        _stack(axes, times.reindex(index=[(precision, name) for name in names], columns=busy, fill_value=0.0))
        axes.set_title(f"{drawable(precision)}: {_milliseconds(total)}", fontsize=style.LABEL)
        if len(names) > MOST_ROWS / 2:  # the axis at the bottom is far away
            axes.tick_params(axis="x", top=True, labeltop=True)
    panels[0].set_xlim(0, 1.04 * times.sum(axis="columns").max() or 1)
    _name_rows(panels[0], labels, size)
    _draw_legend(legend, [Patch(label=drawable(part, 16), **style.part_style(part)) for part in busy])
    return figure


def _row_inches(rows: int) -> float:
    return 0.26 if rows <= 20 else 0.2 if rows <= MOST_ROWS else 0.16


def _stack(axes: Axes, milliseconds: pd.DataFrame) -> None:
    """Bars of one panel, [row, part]; each part's bars are a container of its name."""
    left = np.zeros(len(milliseconds))
    for part, values in milliseconds.items():
        at = np.flatnonzero(values)  # few parts occur in all rows
        axes.barh(at, values.iloc[at], 0.8, left[at], label=part, **style.part_style(part))
        left += values.to_numpy()


def _rows(frame: pd.DataFrame) -> tuple[dict[str, str], str]:
    """Layer → row of the figure, and the sentence that says what was added up or left out."""
    layers = layer_order(frame)
    if len(layers) <= MOST_ROWS:
        return {layer: layer for layer in layers}, ""
    rows, parts = _blocks(layers)
    count = len(set(rows.values()))
    said = f"{len(layers)} layers in {count} rows, added up by the first {parts} of their names." * (
        count < len(layers)
    )
    if count <= ROW_LIMIT:
        return rows, said
    rows, left_out = _longest(frame, rows)
    return rows, f"{said} {left_out}".strip()


def _blocks(layers: Sequence[str]) -> tuple[dict[str, str], str]:
    """Layer → the first parts of its name: as many parts as leave at most 60 rows, at least one.

    >>> rows, parts = _blocks([f"layer{i}.{j}.conv{k}" for i in (1, 2) for j in range(20) for k in (1, 2)])
    >>> len(set(rows.values())), parts
    (40, '2 parts')
    """
    for depth in range(min(9, max(layer.count(".") for layer in layers)), 1, -1):
        rows = {layer: ".".join(layer.split(".")[:depth]) for layer in layers}
        if len(set(rows.values())) <= MOST_ROWS:
            return rows, f"{depth} parts"
    return {layer: layer.split(".")[0] for layer in layers}, "part"


def _longest(frame: pd.DataFrame, rows: dict[str, str]) -> tuple[dict[str, str], str]:
    """The rows that take longest; how long the others take is said, not drawn: their sum would dwarf each row."""
    longest = set(frame["time_s"].groupby(frame["layer"].map(rows)).sum().nlargest(ROW_LIMIT).index)
    kept = {layer: row for layer, row in rows.items() if row in longest}
    others = frame[~frame["layer"].isin(kept)].groupby("precision", sort=False)["time_s"].sum()
    times = ", ".join(f"{_milliseconds(seconds)} in {precision}" for precision, seconds in others.items())
    count = len(set(rows.values())) - ROW_LIMIT
    return kept, f"The {ROW_LIMIT} rows that take longest. The other {count} take {times}; they are not drawn."


# ---- by pass or kind -------------------------------------------------------------------------------------------------


def _grouped_figure(frame: pd.DataFrame, title: str, by: str, note: str) -> Figure:
    times = frame.groupby(["precision", by], sort=False)["time_s"].sum() * 1e3
    names = _ranked(frame.loc[frame["time_s"] > 0, by], ORDER[by])
    colors = precision_colors(frame["precision"])
    labels = ["GEMM" if name == "gemm" else drawable(name) for name in names]

    width = text_inches(max(labels, key=len, default=""), style.TICK) + WIDE_PANEL_IN + LEGEND_IN
    height = max(0.25 * (len(colors) + 1), (0.1 + 0.16 * len(colors)) * len(names))
    figure = page(title, "", note, width, height + 0.6)
    (axes,), legend = _panels(figure, 1, WIDE_PANEL_IN)
    handles = []
    for place, (precision, color) in enumerate(colors.items()):
        here = times[precision].rename(precision)
        _draw_bars(axes, here.reindex(names), place, len(colors), color, max(1, _decimals(times.max())))
        handles.append(Patch(color=color, label=f"{drawable(precision, 16)}: {_milliseconds(here.sum() / 1e3)}"))
    _name_rows(axes, labels, style.TICK)
    axes.set_xlim(0, 1.15 * times.max() or 1)  # room for the numbers behind the bars
    _draw_legend(legend, handles)
    return figure


def _draw_bars(axes: Axes, milliseconds: pd.Series, place: int, of: int, color: str, decimals: int) -> None:
    """The bars of the precision that the series is named after, the milliseconds behind; none where it has no time."""
    height, least = 0.84 / of, 10.0**-decimals
    known = milliseconds.reset_index(drop=True).dropna()
    middles = known.index - 0.42 + height * (place + 0.5)
    bars = axes.barh(middles, known, 0.9 * height, color=color, label=milliseconds.name)
    texts = [f"<{least:.{decimals}f}" if 0 < value < least / 2 else f"{value:.{decimals}f}" for value in known]
    axes.bar_label(bars, texts, padding=3, fontsize=style.SMALL)
