"""Fitting few positive constants to times, by the squares of log errors, outliers weighed down."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

SCATTER = 0.1  # log errors beyond it count less (soft-L1 loss)
FIRST_STEPS, STEPS = 8, 100  # from every start, then from the best few
KEPT = 3
Parts = Callable[[np.ndarray], np.ndarray]


def fit_parts(parts: Parts, seconds: np.ndarray, starts: Iterable[np.ndarray]) -> np.ndarray:
    """Logarithms x of the constants for which the sum of `parts(x)` [constants, timings] comes nearest to `seconds`.

    Each part is proportional to its constant, or zero. Levenberg's damped Gauss-Newton steps, a few from every start
    and all from the most promising; the best end counts.

    >>> base = np.array([1.0, 2.0, 4.0])
    >>> found = fit_parts(lambda x: np.exp(x[:1])[:, None] * base, 3 * base, [np.zeros(1)])
    >>> round(float(np.exp(found[0])), 6)
    3.0
    """
    tried = [_descend(parts, seconds, np.array(start, dtype=np.float64), FIRST_STEPS) for start in starts]
    best = sorted(tried, key=lambda end: end[1])[:KEPT]
    ends = [_descend(parts, seconds, at, STEPS) for at, _ in best]
    return min(ends, key=lambda end: end[1])[0]


def _descend(parts: Parts, seconds: np.ndarray, at: np.ndarray, steps: int) -> tuple[np.ndarray, float]:
    damping, loss = 1e-3, loss_of(parts(at), seconds)
    for _ in range(steps):
        found = parts(at)
        total = found.sum(axis=0)
        slope = found / total / SCATTER
        error = np.log(total / seconds) / SCATTER
        weight = 1 / np.sqrt(1 + error**2)
        curvature = (slope * weight) @ slope.T
        step = np.linalg.solve(curvature + damping * np.eye(len(at)), slope @ (weight * error))
        trial = at - np.clip(step, -2.0, 2.0)
        trial_loss = loss_of(parts(trial), seconds)
        if trial_loss < loss:
            done = loss - trial_loss < 1e-10 * loss
            at, loss, damping = trial, trial_loss, max(damping / 3, 1e-9)
            if done:
                break
        else:
            damping *= 4
            if damping > 1e12:
                break
    return at, loss


def loss_of(found: np.ndarray, seconds: np.ndarray) -> float:
    """How far the sum of the parts [constants, timings] is from `seconds`."""
    error = np.log(found.sum(axis=0) / seconds) / SCATTER
    return float(2 * (np.sqrt(1 + error**2) - 1).sum())
