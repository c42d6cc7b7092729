"""How far off a new network is: the conformal quantile of errors that come in groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def grouped_quantile(errors: Sequence[float], groups: Sequence[object], level: float = 0.9) -> float:
    """The error that a row of a new group stays below with probability `level`, if groups are exchangeable.

    Each of the K groups has the mass 1/(K + 1), spread evenly over its rows; the new one has the rest, at infinity.
    Infinite where K is too small for the level (fewer than 9 groups at 0.9). Source: Dunn, Wasserman, Ramdas,
    'Distribution-free prediction sets for two-layer hierarchical models', JASA 118 (2023), pooled CDFs.

    >>> grouped_quantile([0.1] * 5 + [0.2, 0.3, 0.4, 0.5], range(9))
    0.5
    >>> grouped_quantile([0.1, 0.2], "ab")
    inf
    """
    errors = np.asarray(errors, dtype=float)
    _, index, counts = np.unique([str(group) for group in groups], return_inverse=True, return_counts=True)
    mass = 1.0 / (counts[index] * (len(counts) + 1))
    order = np.argsort(errors, kind="stable")
    reached = np.cumsum(mass[order]) >= level - 1e-12
    return float(errors[order][reached.argmax()]) if reached.any() else float("inf")
