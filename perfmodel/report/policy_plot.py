"""A replayed rule in a terminal: p and its threshold over epochs, and below them where rule and run switched."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import isfinite

from perfmodel.policies.replay import Replay
from perfmodel.report.trace import short_number

NARROWEST, ROWS = 40, 11


@dataclass(frozen=True, slots=True)
class Marks:
    """The characters of a plot."""

    threshold: str = "─"
    ratio: str = "●"
    violated: str = "✗"
    switch: str = "▲"
    bar: str = "│"
    corner: str = "└"


ASCII = Marks("-", "o", "x", "^", "|", "+")


def replay_plot(replay: Replay, width: int = 80, ascii: bool = False) -> str:
    """p, marked where it violates, and T at every evaluation that has both as finite numbers; empty without any."""
    marks = ASCII if ascii else Marks()
    points = [one.decision for one in replay.evaluations if one.decision.ratio is not None]
    points = [point for point in points if isfinite(point.ratio) and isfinite(point.threshold)]
    if not points:
        return ""
    values = [value for point in points for value in (point.ratio, point.threshold)]
    least, greatest = min(values), max(values)
    ends = (short_number(greatest), short_number(least))
    gutter = max(len("epoch"), *map(len, ends))
    epochs = [one.decision.epoch for one in replay.evaluations]
    columns = max(width, NARROWEST) - gutter - 2
    column = _scale(epochs[0], epochs[-1], columns)
    height = _scale(least, greatest, ROWS)
    grid = [[" "] * columns for _ in range(ROWS)]
    for point in points:
        grid[height(point.threshold)][column(point.epoch)] = marks.threshold
    for point in points:
        grid[height(point.ratio)][column(point.epoch)] = marks.violated if point.violated else marks.ratio
    labels = [ends[0], *[""] * (ROWS - 2), ends[1]]
    lines = [f"p ({marks.ratio}, {marks.violated} where it violates) and its threshold T ({marks.threshold})"]
    lines += [f"{label:>{gutter}} {marks.bar}{''.join(row)}" for label, row in zip(labels, grid[::-1], strict=True)]
    lines.append(f"{'':>{gutter}} {marks.corner}{marks.threshold * columns}")
    for who, switches in (("rule", replay.switches), ("run", replay.ran)):
        signs = dict.fromkeys(map(column, switches), marks.switch)
        lines.append(f"{who:>{gutter}}  {''.join(signs.get(i, ' ') for i in range(columns))}")
    lines.append(f"{'epoch':>{gutter}}  {_labels(epochs, column, columns)}")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _scale(least: float, greatest: float, places: int) -> Callable[[float], int]:
    """The place of a value, from 0 to `places` - 1."""
    halves = greatest / 2 - least / 2  # of numbers whose difference may be beyond all floats
    return lambda value: round((value / 2 - least / 2) / halves * (places - 1)) if halves > 0 else 0


def _labels(epochs: Iterable[int], column: Callable[[float], int], columns: int) -> str:
    """Evaluated epochs at their columns, as many as there is room for."""
    text = ""
    for epoch in epochs:
        label = str(epoch)
        at = min(column(epoch), columns - len(label))
        if not text or at > len(text) + 1:
            text = text.ljust(at) + label
    return text
