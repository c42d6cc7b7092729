"""Schemes side by side, on one device or on several: bars of an epoch's time by what it is spent on."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from perfmodel.report import style
from perfmodel.report.sidebyside import epoch_words
from perfmodel.report.style import check_columns, drawable, page, text_inches
from perfmodel.report.table import is_missing

# The parts of a bar, from its left end: column, word, and the kind of work whose fill it has.
PARTS = (
    ("gemm_share", "GEMM", "gemm"), ("other_share", "other layers", "add/concat"),
    ("conversions_share", "conversions", "quantise"), ("update_share", "update", "update"),
)  # fmt: skip
COLUMNS = ("scheme", "epoch_s", "speedup", "refusal", *(column for column, _, _ in PARTS))
BARS_IN, ROW_IN, BEHIND = 6.5, 0.34, 1.3  # widths [inch]; room for the words behind the longest bar
MOST_DEVICES = 20
LEGEND_IN = 1.2  # height of legend and axis
REFUSAL_LETTERS = 80  # of a refusal in its row
BEHIND_WORDS = {"facecolor": style.WHITE, "edgecolor": "none", "pad": 0.5}  # hides the grid
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
        return _bars(frame, list(range(len(frame))), {}, (title, subtitle, note))


def devices_figure(frame: pd.DataFrame, title: str, subtitle: str = "", note: str = "") -> Figure:
    """The rows of `by_device_frame` as `schemes_figure` draws them, under the name of each device.

    Of more than 20 devices the first are drawn, and the subtitle says so. Raises `ValueError` as `schemes_figure`.
    """
    check_columns(frame, ("device", *COLUMNS))
    names = list(dict.fromkeys(frame["device"]))
    if len(names) > MOST_DEVICES:
        subtitle = f"{subtitle}{', ' * bool(subtitle)}the first {MOST_DEVICES} of {len(names)} devices"
        frame = frame[frame["device"].isin(names[:MOST_DEVICES])]
    if frame["epoch_s"].isna().all():
        raise ValueError("no scheme has a price")
    places, heads, place = [], {}, 0
    for device, rows in frame.groupby("device", sort=False):
        heads[place] = device
        places += range(place + 1, place + 1 + len(rows))
        place += 1 + len(rows)
    with style.styled():
        return _bars(frame, places, heads, (title, subtitle, note))


def _bars(frame: pd.DataFrame, places: list[int], heads: dict[int, str], texts: tuple[str, str, str]) -> Figure:
    """The rows at these places from the top, headings between them."""
    labels = [drawable(name) for name in frame["scheme"]]
    width = text_inches(max(labels, key=len), style.TICK) + BARS_IN
    figure = page(*texts, width, LEGEND_IN + ROW_IN * (len(frame) + len(heads)))
    axes = figure.add_subplot()
    _draw(axes, frame, places)
    for place, name in heads.items():
        axes.text(0, place, f" {drawable(name)} ", va="center", size=style.TICK, weight="bold", bbox=BEHIND_WORDS)
    axes.set_yticks(places, labels, fontsize=style.TICK)
    axes.set_ylim(places[-1] + 0.6, -0.6)  # the first on top
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=len(PARTS) + 1)
    style.clean(axes, "x")
    return style.settle(figure)


def _draw(axes: Axes, frame: pd.DataFrame, places: list[int]) -> None:
    longest = frame["epoch_s"].max()
    unit_s, unit = next((one for one in UNITS if longest >= 2 * one[0]), UNITS[-1])
    times = frame["epoch_s"].astype(float).fillna(0.0).to_numpy() / unit_s
    left = np.zeros(len(frame))
    for column, word, kind in PARTS:
        parts = times * frame[column].astype(float).fillna(0.0).to_numpy()
        axes.barh(places, parts, 0.72, left, label=word, **style.kind_style(kind))
        left += parts
    ends = _draw_intervals(axes, frame, places, left)
    for place, end, row in zip(places, ends, frame.itertuples(), strict=True):
        axes.text(end + 0.01 * ends.max(), place, _words(row), va="center", fontsize=style.SMALL, bbox=BEHIND_WORDS)
    axes.set_xlim(0, BEHIND * ends.max())
    axes.set_xlabel(f"{unit} for an epoch")


def _draw_intervals(axes: Axes, frame: pd.DataFrame, places: list[int], times: np.ndarray) -> np.ndarray:
    """The 90 % interval of each bar that has one, as a whisker; returns where bar and whisker end."""
    if "run_low_s" not in frame.columns:
        return times
    low, high = (frame[name].astype(float) / frame["run_s"].astype(float) for name in ("run_low_s", "run_high_s"))
    known = low.notna().to_numpy()
    middle, rows = times[known], np.array(places)[known]
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
    return epoch_words(row)
