"""A trace as a small plot for a terminal: its precision, and below it one or two metrics, over epochs.

No library: a plot of one line for each format, with empty gaps and names from files of others, is not what terminal
plotting libraries draw, and what they do draw is the fifty lines of `_dots`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from perfmodel.errors import printable
from perfmodel.report.render import width as columns_of
from perfmodel.report.stretches import chosen_metrics, levels, pass_words, places
from perfmodel.report.trace import short_number
from perfmodel.traces import Trace
from perfmodel.units import grouped

NARROWEST = 24  # columns of a plot: below, its labels would leave no room
METRICS = 2  # that are plotted
METRIC_ROWS = 5
TICKS = (1, 2, 5)  # times a power of ten: epochs between labels
LEFT, RIGHT = (0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08)  # Braille dots of U+2800, from the bottom up


@dataclass(frozen=True, slots=True)
class Signs:
    """The characters of a plot."""

    known: str = "█"
    candidate: str = "░"
    bar: str = "│"
    corner: str = "└"
    line: str = "─"
    tick: str = "┬"
    ellipsis: str = "…"


ASCII = Signs("#", "?", "|", "+", "-", "+", "...")


@dataclass(frozen=True, slots=True)
class Axis:
    """Epochs from `first` on, `count` of them, over so many columns of characters or dots."""

    first: int
    count: int
    columns: int

    def spans(self, where: np.ndarray) -> list[tuple[int, int]]:
        """The columns, first and behind the last, of each segment: at least one, shared where there are too few."""
        begin, end = ((where - self.first) * (self.columns / self.count)).T
        low, high = np.rint(begin).astype(int), np.rint(end).astype(int)
        low = np.where(high > low, low, np.minimum(((begin + end) / 2).astype(int), self.columns - 1))
        return list(zip(low.tolist(), np.maximum(high, low + 1).tolist(), strict=True))

    def column(self, epoch: int) -> int:
        """The column in which an epoch begins."""
        return round((epoch - self.first) * self.columns / self.count)


def terminal_plot(trace: Trace, width: int = 80, ascii: bool = False) -> str:
    """Precision of fprop, and one or two metrics as `chosen_metrics` picks them, over epochs; lines without colours.

    At most `width` columns (and 24 at least). `ascii` draws with ASCII alone, else blocks and Braille dots are used.
    A metric's value is drawn over the segment at whose end it was logged. Where a column stands for several segments
    it shows all their formats, and a metric from its lowest to its highest value; what is missing stays empty.
    """
    signs = ASCII if ascii else Signs()
    width = max(width, NARROWEST)
    names, metrics = levels(_formats(trace)), _metrics(trace)
    gutter = max(map(len, ["epoch", *names, *(label for _, values in metrics for label in _ends(values))]))
    axis = _axis(trace, width - gutter - 2)
    lines = [_fitted(f"precision{pass_words(trace)}", width, signs)]
    lines += _precision_rows(trace, axis, names, gutter, signs)
    for name, values in metrics:
        lines += [_fitted(name, width, signs), *_metric_rows(trace, axis, values, gutter, signs)]
    lines += _axis_rows(axis, gutter, signs)
    lines += [_fitted(note, width, signs) for note in _notes(trace, axis, signs)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _notes(trace: Trace, axis: Axis, signs: Signs) -> Iterator[str]:
    if any(len(segment.precision.fprop) > 1 for segment in trace.segments):
        yield f"{signs.candidate}  one of these formats, not known which"
    if len(trace.segments) > axis.columns:
        yield f"{grouped(len(trace.segments))} segments in {axis.columns} columns: each shows all of its values"


def _formats(trace: Trace) -> set[str]:
    return {name for segment in trace.segments for name in segment.precision.fprop}


def _metrics(trace: Trace) -> list[tuple[str, list[float | None]]]:
    """Name and value at each segment of what is plotted."""
    names = chosen_metrics(trace, METRICS)
    values = ([segment.metrics.get(name) for segment in trace.segments] for name in names)
    return [(name, [None if x is None else float(x) for x in each]) for name, each in zip(names, values, strict=True)]


def _ends(values: Sequence[float | None]) -> tuple[str, ...]:
    """The labels of the greatest and the least value, or of the only one."""
    known = [value for value in values if value is not None]
    least, greatest = min(known), max(known)
    texts = tuple(dict.fromkeys((short_number(greatest), short_number(least))))
    return texts if greatest / 2 > least / 2 else texts[:1]  # not so for the least of all floats


def _axis(trace: Trace, room: int) -> Axis:
    """As many columns as there is room for; where every epoch can have one, all epochs have the same number of them."""
    first = trace.segments[0].epoch
    count = trace.segments[-1].epoch - first + 1
    return Axis(first, count, room // count * count or room)


def _precision_rows(trace: Trace, axis: Axis, names: Sequence[str], gutter: int, signs: Signs) -> Iterator[str]:
    """A row for each format, the widest on top."""
    rows = {name: np.full(axis.columns, " ") for name in names}
    for segment, (low, high) in zip(trace.segments, axis.spans(places(trace)), strict=True):
        candidates = segment.precision.fprop
        for name in candidates:
            here = rows[name][low:high]
            here[here != signs.known] = signs.known if len(candidates) == 1 else signs.candidate
    for name in reversed(names):
        yield f"{name:>{gutter}} {signs.bar}{''.join(rows[name])}"


def _metric_rows(trace: Trace, axis: Axis, values: Sequence[float | None], gutter: int, signs: Signs) -> Iterator[str]:
    """Five rows from the greatest value on top to the least; one where all values are the same."""
    dots = (2, 4) if signs is not ASCII else (1, 1)  # of a character, across and up
    fine = replace(axis, columns=axis.columns * dots[0])
    labels = _ends(values)
    if len(labels) == 2:
        labels = (labels[0], *[""] * (METRIC_ROWS - 2), labels[1])
    grid = _grid(fine.spans(places(trace)), values, fine.columns, len(labels) * dots[1])
    rows = _dots(grid) if signs is not ASCII else ["".join(" *"[int(dot)] for dot in row) for row in grid]
    for label, row in zip(labels, rows[::-1], strict=True):
        yield f"{label:>{gutter}} {signs.bar}{row}"


def _grid(spans: Sequence[tuple[int, int]], values: Sequence[float | None], columns: int, rows: int) -> np.ndarray:
    """[rows, columns], the lowest row first: whether a dot is drawn."""
    low, high = np.full(columns, np.inf), np.full(columns, -np.inf)
    for (first, behind), value in zip(spans, values, strict=True):
        if value is not None:
            low[first:behind] = np.minimum(low[first:behind], value)
            high[first:behind] = np.maximum(high[first:behind], value)
    least, greatest = low.min() / 2, high.max() / 2  # halved, since their difference may be beyond all floats
    grid = np.zeros((rows, columns), bool)
    for column in np.flatnonzero(low <= high):
        ends = (low[column] / 2, high[column] / 2)
        shares = ((end - least) / (greatest - least) if greatest > least else 0.5 for end in ends)
        bottom, top = (round(share * (rows - 1)) for share in shares)
        grid[bottom : top + 1, column] = True
    return grid


def _dots(grid: np.ndarray) -> list[str]:
    """Rows of Braille characters, each two dots wide and four high, the lowest row first."""
    lines = []
    for start in range(0, len(grid), 4):
        left, right = grid[start : start + 4, 0::2], grid[start : start + 4, 1::2]
        codes = np.array(LEFT) @ left + np.array(RIGHT) @ right
        lines.append("".join(chr(0x2800 + code) if code else " " for code in codes.tolist()))
    return lines


def _axis_rows(axis: Axis, gutter: int, signs: Signs) -> list[str]:
    """The line below the plot, and the epochs at its ticks."""
    line, labels = list(signs.line * axis.columns), [" "] * axis.columns
    for epoch in _ticks(axis):
        column, text = axis.column(epoch), str(epoch)
        if column + len(text) <= axis.columns:
            line[column] = signs.tick
            labels[column : column + len(text)] = text
    if not "".join(labels).strip():  # one tick at least, however little room there is
        line[0], labels = signs.tick, list(f"{axis.first}")
    return [f"{'':>{gutter}} {signs.corner}{''.join(line)}", f"{'epoch':>{gutter}}  {''.join(labels)}"]


def _ticks(axis: Axis) -> range:
    """Round epochs, at least the width of a label apart."""
    apart = (len(str(axis.first + axis.count)) + 2) * axis.count / axis.columns
    step = next(step for power in range(8) for n in TICKS if (step := n * 10**power) >= apart)
    return range(-(-axis.first // step) * step, axis.first + axis.count, step)


def _fitted(text: str, width: int, signs: Signs) -> str:
    """Printable text of at most `width` columns."""
    text = printable(text)
    if signs is ASCII:
        text = text.encode("ascii", "backslashreplace").decode()
    if columns_of(text) <= width:
        return text
    while columns_of(text) > width - len(signs.ellipsis):
        text = text[: min(len(text) - 1, width)]
    return text + signs.ellipsis
