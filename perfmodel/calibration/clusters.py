"""Many timings as few points: like ones stand together, with their mean error and how sure it is."""

from __future__ import annotations

import numpy as np

ROUNDS = 4  # of Lloyd's algorithm


def cluster(
    features: np.ndarray, errors: np.ndarray, scatter: np.ndarray, lengths: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centres [P, features], mean errors [P] and their variances [P] of at most `most` groups of like rows.

    Likeness is distance in units of `lengths`. Rows weigh by the inverse of their `scatter` (variances); what errors of
    one group differ by beyond it counts as more scatter. Up to `most` rows stay as they are.
    """
    if len(errors) <= most:
        return features, errors, scatter
    scaled = features / lengths
    centres = scaled[_spread_out(scaled, most)]
    for _ in range(ROUNDS):
        nearest = _nearest(scaled, centres)
        centres = _sums(scaled, nearest, most) / _sums(np.ones((len(scaled), 1)), nearest, most)
    weight = 1 / scatter
    total = np.bincount(nearest, weight, most)
    mean = np.bincount(nearest, weight * errors, most) / total
    count = np.bincount(nearest, minlength=most)
    within = np.bincount(nearest, (errors - mean[nearest]) ** 2, most) / count
    return centres * lengths, mean, np.maximum(1 / total, within / count)


def _spread_out(scaled: np.ndarray, most: int) -> np.ndarray:
    """Rows far from each other: each the farthest from those chosen before, beginning in the middle."""
    first = int(((scaled - np.median(scaled, axis=0)) ** 2).sum(axis=1).argmin())
    chosen, distance = [first], ((scaled - scaled[first]) ** 2).sum(axis=1)
    while len(chosen) < most:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, ((scaled - scaled[chosen[-1]]) ** 2).sum(axis=1))
    return np.array(chosen)


def _nearest(scaled: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The nearest centre of each row; every centre keeps at least one."""
    squares = (scaled**2).sum(axis=1)[:, None] - 2 * scaled @ centres.T + (centres**2).sum(axis=1)
    nearest = squares.argmin(axis=1)
    for empty in np.setdiff1d(np.arange(len(centres)), nearest):
        crowded = np.bincount(nearest, minlength=len(centres))[nearest] > 1
        nearest[np.flatnonzero(crowded)[squares[crowded, empty].argmin()]] = empty
    return nearest


def _sums(rows: np.ndarray, group: np.ndarray, count: int) -> np.ndarray:
    """Sums of the rows of each group [count, columns]."""
    found = np.zeros((count, rows.shape[1]))
    np.add.at(found, group, rows)
    return found
