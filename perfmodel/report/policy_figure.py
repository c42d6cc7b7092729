"""A replayed rule as a picture: the paper's figure 2, p against its threshold over epochs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from perfmodel.policies.replay import Replay
from perfmodel.report import style
from perfmodel.report.policy import rule_text
from perfmodel.report.style import page

EVALUATIONS, SWITCHES = ("epoch", "ratio", "threshold", "violated"), ("by", "epoch", "format")
BEFORE = -1  # the epoch at whose end a run took its first format
WIDTH_IN, HEIGHT_IN = 8.5, 3.4
MOST_MARKED = 40  # switches with a line
SHADE = 0.16  # opacity of the bands behind
MARGIN = 0.06  # of the epochs, behind the last evaluation
LETTER = 0.012  # of the width of the axes, for a letter
LOOKS = {  # of the lines at switches
    "rule switches": {"color": style.VERMILLION, "linewidth": 1.4},
    "run switched": {"color": style.BLACK, "linewidth": 1.0, "linestyle": (0, (4, 3))},
}


def policy_frames(replay: Replay) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What `policy_figure` draws of a replay: its evaluations, and the switches of the rule and of the run."""
    decisions = [one.decision for one in replay.evaluations]
    evaluations = pd.DataFrame(
        [(one.epoch, one.ratio, one.threshold, bool(one.violated)) for one in decisions], columns=list(EVALUATIONS)
    )
    rows = [("run", BEFORE, replay.begins)]
    rows += [(by, *one) for by, found in (("rule", replay.switches), ("run", replay.ran)) for one in found.items()]
    return evaluations, pd.DataFrame(rows, columns=list(SWITCHES))


def policy_figure(evaluations: pd.DataFrame, switches: pd.DataFrame, title: str, note: str = "") -> Figure:
    """p and T at every evaluation, violations filled, a line at each switch of the rule and of the run.

    `evaluations` has the columns epoch, ratio (p), threshold (T) and violated; `switches` has by (`rule` or `run`), the
    epoch at whose end it was, and the format from then on; what a run began with stands at epoch -1. Behind the curves
    are the formats of the run's epochs. Values that are no finite numbers are left out.

    Raises `ValueError` for a missing column: a mistake of the program.
    """
    for frame, columns in ((evaluations, EVALUATIONS), (switches, SWITCHES)):
        if not set(columns) <= set(frame.columns):
            raise ValueError(f"needs the columns {columns}; has {list(frame.columns)}")
    points = evaluations[np.isfinite(evaluations["threshold"].astype(float))]
    ratios = points[np.isfinite(points["ratio"].astype(float))]
    with style.styled():
        figure = page(title, "", note, WIDTH_IN, HEIGHT_IN)
        axes = figure.subplots()
        axes.plot(*_xy(points, "threshold"), color=style.BLUE, marker=".", linewidth=1.4, label="threshold T")
        axes.plot(*_xy(ratios, "ratio"), color=style.GREY, linewidth=0.8)
        for violated, label in ((False, "p"), (True, "p, a violation")):
            fill = style.ORANGE if violated else style.WHITE
            look = {"color": style.BLACK, "markerfacecolor": fill, "markersize": 5, "label": label}
            axes.plot(*_xy(ratios[ratios["violated"] == violated], "ratio"), "o", **look)
        later = switches[switches["epoch"] != BEFORE]
        for (label, look), by in zip(LOOKS.items(), ("rule", "run"), strict=True):
            _mark(axes, later.loc[later["by"] == by, "epoch"].tolist()[:MOST_MARKED], label, look)
        ran = switches[switches["by"] == "run"]
        if len(ran) <= MOST_MARKED + 1:
            _shade(axes, ran, int(evaluations["epoch"].max()) if len(evaluations) else 0)
        axes.xaxis.set_major_locator(MaxNLocator(10, integer=True, steps=[1, 2, 5, 10]))
        axes.set_xlabel("epoch (from 0) at whose end the rule decides")
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), borderaxespad=0)
        style.clean(axes, "y")
        return style.settle(figure)


def replay_figure(replay: Replay, title: str) -> Figure:
    """`policy_figure` of a replay, the rule and what its log does not hold in the note."""
    note = " ".join((f"Rule: {rule_text(replay.rule)}.", *(f"{note}." for note in replay.notes)))
    return policy_figure(*policy_frames(replay), title, note)


def _shade(axes: Axes, ran: pd.DataFrame, last: int) -> None:
    """A band for each stretch of epochs in one format up to the last evaluation, and its name above where it fits."""
    known = ran[ran["epoch"] <= last].sort_values("epoch", kind="stable")
    begins = [-0.5, *known["epoch"].iloc[1:]]
    edges = [*begins, last + max(1.0, MARGIN * last)]
    axes.set_xlim(edges[0], edges[-1])
    for format_, (begin, end) in zip(known["format"], pairwise(edges), strict=True):
        color = style.PRECISION_COLOR.get(format_, style.GREY)
        axes.axvspan(begin, end, color=color, alpha=SHADE, zorder=0, linewidth=0)
        if (end - begin) / (edges[-1] - edges[0]) > LETTER * len(format_):
            place = {"transform": axes.get_xaxis_transform(), "ha": "center", "va": "bottom", "fontsize": style.SMALL}
            axes.text((begin + end) / 2, 1.01, style.drawable(format_), **place)


def _xy(points: pd.DataFrame, name: str) -> tuple[list[int], list[float]]:
    return points["epoch"].tolist(), points[name].tolist()


def _mark(axes: Axes, epochs: list[int], label: str, look: dict) -> None:
    for i, epoch in enumerate(epochs):
        axes.axvline(epoch, zorder=0.5, label="" if i else label, **look)
