"""A replayed rule as a picture: the paper's figure 2, p against its threshold over epochs."""

from __future__ import annotations

from math import isfinite

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from perfmodel.policies.replay import Replay
from perfmodel.report import style
from perfmodel.report.policy import rule_text
from perfmodel.report.style import page

WIDTH_IN, HEIGHT_IN = 8.5, 3.4
MOST_MARKED = 40  # switches with a line
LOOKS = {  # of the lines at switches
    "rule switches": {"color": style.VERMILLION, "linewidth": 1.4},
    "run switched": {"color": style.BLACK, "linewidth": 1.0, "linestyle": (0, (4, 3))},
}


def replay_figure(replay: Replay, title: str) -> Figure:
    """p and T at every evaluation, violations filled, a line at each switch of the rule and of the run.

    Values that are no finite numbers are left out.
    """
    points = [one.decision for one in replay.evaluations if one.decision.threshold is not None]
    points = [point for point in points if isfinite(point.threshold)]
    ratios = [point for point in points if point.ratio is not None and isfinite(point.ratio)]
    with style.styled():
        note = " ".join((f"Rule: {rule_text(replay.rule)}.", *(f"{note}." for note in replay.notes)))
        figure = page(title, "", note, WIDTH_IN, HEIGHT_IN)
        axes = figure.subplots()
        axes.plot(*_xy(points, "threshold"), color=style.BLUE, marker=".", linewidth=1.4, label="threshold T")
        axes.plot(*_xy(ratios, "ratio"), color=style.GREY, linewidth=0.8)
        for violated, label in ((False, "p"), (True, "p, a violation")):
            chosen = [point for point in ratios if point.violated == violated]
            fill = style.ORANGE if violated else "white"
            axes.plot(*_xy(chosen, "ratio"), "o", color=style.BLACK, markerfacecolor=fill, markersize=5, label=label)
        for (label, look), switches in zip(LOOKS.items(), (replay.switches, replay.ran), strict=True):
            _mark(axes, list(switches)[:MOST_MARKED], label, look)
        axes.xaxis.set_major_locator(MaxNLocator(10, integer=True, steps=[1, 2, 5, 10]))
        axes.set_xlabel("epoch (from 0) at whose end the rule decides")
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), borderaxespad=0)
        style.clean(axes, "y")
        return style.settle(figure)


def _xy(points: list, name: str) -> tuple[list[int], list[float]]:
    return [point.epoch for point in points], [getattr(point, name) for point in points]


def _mark(axes: Axes, epochs: list[int], label: str, look: dict) -> None:
    for i, epoch in enumerate(epochs):
        axes.axvline(epoch, zorder=0.5, label="" if i else label, **look)
