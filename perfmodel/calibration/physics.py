"""The constants that few timings settle: how much slower a device runs than modelled, and what each launch adds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Before anything was timed: ln of the body's factor, and of what each timing adds in seconds, with their deviations.
EXPECTED = np.array([0.2, np.log(1.6e-5)])
SPREAD = np.array([0.35, 1.5])
SCATTER = 0.12  # of log seconds about such a simple model; three times that is an outlier, and counts less
STEPS = 60


@dataclass(frozen=True, slots=True)
class Physics:
    """Seconds of a timing are `body` times the model's, without its launch, plus `added_s`."""

    body: float
    added_s: float

    def seconds(self, body_s: np.ndarray) -> np.ndarray:
        """What a timing of each kernel shows; `body_s` is the model's time without launch."""
        return self.body * body_s + self.added_s


def fit_physics(body_s: np.ndarray, seconds: np.ndarray) -> Physics:
    """The constants that explain measured `seconds` best, from two timings up.

    Minimises the squares of log errors, those beyond `SCATTER` weighed down as by the soft-L1 loss, and of the distance
    from what was expected, by Levenberg's damped Gauss-Newton steps.

    >>> body = np.array([1e-4, 1e-3, 1e-2] * 50)
    >>> found = fit_physics(body, 1.5 * body + 4e-5)
    >>> round(found.body, 2), round(found.added_s * 1e6)
    (1.5, 40)
    """
    at, damping = EXPECTED.copy(), 1e-3
    loss = _loss(at, body_s, seconds)
    for _ in range(STEPS):
        gradient, curvature = _slopes(at, body_s, seconds)
        trial = at - np.linalg.solve(curvature + damping * np.diag(np.diag(curvature)), gradient)
        trial_loss = _loss(trial, body_s, seconds)
        if trial_loss < loss:
            done = loss - trial_loss < 1e-9 * loss
            at, loss, damping = trial, trial_loss, damping / 3
            if done:
                break
        else:
            damping *= 4
    return Physics(float(np.exp(at[0])), float(np.exp(at[1])))


def _misses(at: np.ndarray, body_s: np.ndarray, seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log errors in units of `SCATTER`, and the distance from what was expected."""
    model = np.exp(at[0]) * body_s + np.exp(at[1])
    return np.log(model / seconds) / SCATTER, (at - EXPECTED) / SPREAD


def _loss(at: np.ndarray, body_s: np.ndarray, seconds: np.ndarray) -> float:
    error, away = _misses(at, body_s, seconds)
    return float(2 * (np.sqrt(1 + error**2) - 1).sum() + (away**2).sum())


def _slopes(at: np.ndarray, body_s: np.ndarray, seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Half of the loss's gradient [2] and Gauss-Newton curvature [2, 2]."""
    error, away = _misses(at, body_s, seconds)
    parts = np.stack([np.exp(at[0]) * body_s, np.full(len(body_s), np.exp(at[1]))])
    slope = parts / parts.sum(axis=0) / SCATTER  # of each error along each constant [2, timings]
    weight = 1 / np.sqrt(1 + error**2)
    return slope @ (weight * error) + away / SPREAD, (slope * weight) @ slope.T + np.diag(1 / SPREAD**2)
