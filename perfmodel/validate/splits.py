"""Which rows are fitted on and which are judged: shapes are split, never rows."""

from __future__ import annotations

import numpy as np

from perfmodel.validate.problems import Series

FEW = 20  # timings, where few are drawn
Split = tuple[np.ndarray, np.ndarray]  # positions of the rows to fit on, and of those to judge


def split(series: Series) -> list[Split]:
    """Both directions between the halves of shapes; one with nothing on a side is left out.

    A shape lies in the same half for every device, precision and pass, because its sizes alone decide.
    """
    halves = series.problems.halves
    one, other = np.flatnonzero(halves == 0), np.flatnonzero(halves == 1)
    return [(fitted, judged) for fitted, judged in ((one, other), (other, one)) if len(fitted) and len(judged)]


def draw(rows: np.ndarray, seed: int, count: int = FEW) -> np.ndarray:
    """So many of the rows, all of them where there are no more; in ascending order.

    >>> draw(np.arange(5), 1, 20).tolist(), len(draw(np.arange(50), 1, 20))
    ([0, 1, 2, 3, 4], 20)
    """
    if len(rows) <= count:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, count, replace=False))


def each_shape(series: Series) -> list[Split]:
    """For each shape (a network, of iterations) in turn: the rows of all others to fit on, and its own to judge."""
    shapes = series.problems.shapes
    return [(np.flatnonzero(shapes != one), np.flatnonzero(shapes == one)) for one in np.unique(shapes)]
