"""Each layer's GEMMs under the roofs of a device, as a picture."""

from __future__ import annotations

from math import floor, log10, sqrt

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from perfmodel.lowering import PASSES
from perfmodel.report import style
from perfmodel.report.roofline import POINT_COLUMNS, ROOF_COLUMNS
from perfmodel.report.style import check_columns, drawable, page
from perfmodel.report.text import percent
from perfmodel.units import GIGA, TERA, grouped

PANEL_IN, LEGEND_IN, HEIGHT_IN = 3.9, 1.5, 3.6  # widths of a panel and of the legend, height [inch]
MARKS = dict(zip(PASSES, ("o", "s", "^"), strict=True))
LARGEST, SMALLEST = 130.0, 8.0  # areas of the heaviest point, and the least [pt²]
AREAS = 12  # steps between them
MANY = 500  # points of a panel from which on they are small dots
MOST_POINTS = 1000  # of a panel; of more the longest are drawn
MOST_NAMED, LONGEST = 4, 22  # points with a name, and its letters
ROOM = 1.6  # factor of axes beyond what they hold
PASS = "pass_"  # no attribute of a row may be called `pass`
LINE = 0.08  # of the height of a panel: a line of text


def roofline_figure(points: pd.DataFrame, roofs: pd.DataFrame, title: str, note: str = "") -> Figure:
    """GEMMs by FLOP for each byte and FLOP/s, one panel for each step precision, the device's roofs above them.

    `points` is `roofline_frame`'s, `roofs` that of `roofs_frame`; both axes are logarithmic and shared. A point is a
    layer's pass, its area the share of the step's time; the heaviest are named. Kernels that only move bytes have no
    place on it: how much of each step they take stands above its panel.

    Raises `ValueError` for an empty frame, a missing column, or no GEMM at all: mistakes of the program.
    """
    check_columns(points, POINT_COLUMNS)
    check_columns(roofs, ROOF_COLUMNS)
    gemms = points[points["flop"] > 0]
    if gemms.empty:
        raise ValueError("no GEMM to draw")
    with style.styled():
        steps = points.groupby("precision", sort=False)["time_s"].sum()
        most = gemms.groupby("precision").size().max()
        subtitle = f"the {grouped(MOST_POINTS)} longest of {grouped(most)} GEMMs" if most > MOST_POINTS else ""
        figure = page(title, subtitle, note, PANEL_IN * len(steps) + LEGEND_IN, HEIGHT_IN + 0.7)
        grid = figure.add_gridspec(1, len(steps) + 1, width_ratios=[PANEL_IN] * len(steps) + [LEGEND_IN])
        first = None
        for place, (precision, total_s) in enumerate(steps.items()):
            first = axes = figure.add_subplot(grid[place], sharex=first, sharey=first)
            mine = gemms[gemms["precision"] == precision].nlargest(MOST_POINTS, "time_s")
            _set_up(axes, gemms, roofs)
            _draw_roofs(axes, roofs[roofs["precision"].isin(mine["kernel_precision"])])
            if total_s > 0:
                _draw_points(axes, mine, total_s)
            in_gemms_s = gemms.loc[gemms["precision"] == precision, "time_s"].sum()
            share = percent(1 - in_gemms_s / total_s if total_s else 0.0)
            axes.set_title(f"{drawable(precision)}: {share} not in GEMMs", loc="left", fontsize=style.LABEL)
            axes.tick_params(labelleft=place == 0)
            if place == 0:
                axes.set_ylabel("TFLOP/s")
        _draw_legend(figure.add_subplot(grid[len(steps)]))
        return style.settle(figure)


def _set_up(axes: Axes, gemms: pd.DataFrame, roofs: pd.DataFrame) -> None:
    x, y, ridges = gemms["intensity_flop_per_byte"], gemms["flop_per_s"] / TERA, roofs["ridge_flop_per_byte"]
    axes.set(xscale="log", yscale="log", xlabel="FLOP for each byte of compulsory traffic")
    axes.set_xlim(min(x.min(), ridges.min()) / ROOM**2, max(x.max(), ridges.max()) * ROOM**2)
    low, high = y.min() / ROOM, roofs["peak_flop_per_s"].max() / TERA * ROOM**2
    axes.set_ylim(low * (low / high) ** LINE, high)  # below all points a line of text
    style.clean(axes, "both")


def _draw_roofs(axes: Axes, roofs: pd.DataFrame) -> None:
    """Bandwidth's slope up to the highest ridge, each precision's peak from its ridge on, named on the line."""
    (low, high), bandwidth = axes.get_xlim(), roofs["dram_bytes_per_s"].iloc[0]
    ridge = roofs["ridge_flop_per_byte"].max()
    axes.plot([low, ridge], [low * bandwidth / TERA, ridge * bandwidth / TERA], color=style.DARK_GREY, linewidth=1.2)
    axes.text(
        0.02, 0.02, f"slope: {bandwidth / GIGA:.0f} GB/s", transform=axes.transAxes, size=style.SMALL,
        color=style.DARK_GREY,
    )  # fmt: skip
    for row in roofs.itertuples():
        peak = row.peak_flop_per_s / TERA
        axes.plot([row.ridge_flop_per_byte, high], [peak, peak], color=style.DARK_GREY, linewidth=1.2)
        text = f"{drawable(row.precision, LONGEST)} {_three_digits(peak)}"
        axes.text(high / 1.05, peak, text, ha="right", va="bottom", size=style.SMALL, color=style.DARK_GREY)


def _draw_points(axes: Axes, gemms: pd.DataFrame, total_s: float) -> None:
    for (pass_, area), chosen in gemms.groupby(["pass", _areas(gemms["time_s"])], sort=False):
        look = {"marker": MARKS[pass_], "markersize": sqrt(area), "markerfacecolor": style.PASS_COLOR[pass_]}
        axes.plot(
            chosen["intensity_flop_per_byte"], chosen["flop_per_s"] / TERA, linestyle="", label=pass_,
            markeredgecolor=style.WHITE, markeredgewidth=0.5, **look,
        )  # fmt: skip
    _name_heaviest(axes, gemms, total_s)


def _areas(seconds: pd.Series) -> np.ndarray:
    """Areas of points in a few steps: those of one size are one mark, which keeps files small."""
    if len(seconds) > MANY:
        return np.full(len(seconds), SMALLEST)
    share = seconds.to_numpy() / max(seconds.max(), np.finfo(float).tiny)
    return SMALLEST + (LARGEST - SMALLEST) * np.round(share * AREAS) / AREAS


def _name_heaviest(axes: Axes, gemms: pd.DataFrame, total_s: float) -> None:
    """The heaviest points by name and share of the step, above the slope, where no point can be, with a thin line."""
    heaviest = gemms.nlargest(MOST_NAMED, "time_s").rename(columns={"pass": PASS})
    heaviest = heaviest.sort_values("flop_per_s", ascending=False)
    for place, row in enumerate(heaviest.itertuples()):
        words = f"{drawable(row.layer, LONGEST)} {getattr(row, PASS)}, {percent(row.time_s / total_s)}"
        leader = {"arrowstyle": "-", "color": style.GREY, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 4}
        axes.annotate(
            words, (row.intensity_flop_per_byte, row.flop_per_s / TERA), (0.02, 0.955 - 0.062 * place),
            textcoords="axes fraction", va="center", size=style.SMALL, arrowprops=leader | {"relpos": (1, 0.5)},
        )  # fmt: skip


def _draw_legend(axes: Axes) -> None:
    axes.axis("off")
    marks = [
        Line2D([], [], linestyle="", marker=mark, color=style.PASS_COLOR[pass_], markersize=7, label=f"GEMM {pass_}")
        for pass_, mark in MARKS.items()
    ]
    marks += [Line2D([], [], color=style.DARK_GREY, linewidth=1.2, label="roofs")]
    axes.legend(handles=marks, loc="upper left", borderaxespad=0)
    axes.text(0, 0.4, "area: time, the\nlongest the largest", transform=axes.transAxes, size=style.SMALL, va="top")


def _three_digits(value: float) -> str:
    """Three significant digits without an exponent.

    >>> _three_digits(107.5), _three_digits(0.01234)
    ('108', '0.0123')
    """
    return f"{value:.{min(9, max(0, 2 - floor(log10(value))))}f}" if value > 0 else "0"
