"""Very long runs in few strokes: bars that are joined, curves that are thinned."""

from __future__ import annotations

import numpy as np

MOST_POINTS = 2000  # of a curve; more are drawn as their lowest and highest
MOST_BARS, COLUMNS = 500, 1000  # of a row of bars; more are drawn in so many columns


def bars(spans: np.ndarray, end: float) -> list[tuple[float, float]]:
    """Begin and length of each bar of a row: neighbours are one; very many are widened to columns of the picture."""
    bars = _joined(spans, 1e-9 * end)
    if len(bars) > MOST_BARS:
        column = end / COLUMNS
        bars = _joined(np.stack([np.floor(bars[:, 0] / column), np.ceil(bars[:, 1] / column)], axis=1), 0.5) * column
    return [(begin, behind - begin) for begin, behind in bars.tolist()]


def _joined(spans: np.ndarray, closest: float) -> np.ndarray:
    """Ascending spans, those that touch or overlap made one."""
    first = np.r_[True, spans[1:, 0] > spans[:-1, 1] + closest]
    return np.stack([spans[first, 0], spans[np.r_[first[1:], True], 1]], axis=1)


def thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most `MOST_POINTS` points: of more, the lowest and the highest of each group of neighbours."""
    if len(x) <= MOST_POINTS:
        return x, y
    groups = np.array_split(np.arange(len(x)), MOST_POINTS // 2)
    chosen = [i for group in groups for i in sorted((group[np.argmin(y[group])], group[np.argmax(y[group])]))]
    return x[chosen], y[chosen]
