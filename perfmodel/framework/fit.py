"""Constants of frameworks from whole iterations: a robust fit of logarithms in which frameworks share their libraries.

    minimise  sum over rows of w · rho(log(predicted / measured)) + sum of (pull · common)² + sum of (tie · deviation)²

With F frameworks and G constants each (`GROUPS` and the host's time for each kernel), the logarithm of a constant is
that of its a-priori value (1, and 10 us) plus `common` [G] plus `deviation` [F, G]. Frameworks call the same library
for convolutions, so those deviations are tied tightly; pools, passes over tensors and launches are their own. rho
grows like the absolute value beyond `SOFT` (10 %), so that one odd network does not decide. Each framework has the
same weight whatever its number of rows. Solved by Levenberg and Marquardt's method with reweighted rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.framework.groups import GROUPS

CONSTANTS = (*GROUPS, "kernel_s")
PRIOR = np.array([1.0] * len(GROUPS) + [10e-6])
PULL = 0.05  # of what frameworks have in common towards the a-priori value
TIES = np.array([3.0, 3.0, 3.0, 0.2, 0.2, 0.2, 0.2])  # of each framework towards what they have in common
SOFT = 0.1
STEPS, SMALLEST_GAIN = 200, 1e-10


@dataclass(frozen=True, slots=True)
class Rows:
    """Iterations as arrays of equal length.

    `work` [rows, GROUPS + 1] holds modelled seconds of each group and launches, `given_s` what no framework changes,
    `framework` the index of each row's framework, of which there are `frameworks`.
    """

    work: np.ndarray
    given_s: np.ndarray
    measured_s: np.ndarray
    framework: np.ndarray
    frameworks: int

    def __len__(self) -> int:
        return len(self.measured_s)

    def part(self, kept: np.ndarray) -> Rows:
        """The rows that a mask keeps."""
        return Rows(
            self.work[kept], self.given_s[kept], self.measured_s[kept], self.framework[kept], self.frameworks
        )  # fmt: skip


def fit(rows: Rows) -> np.ndarray:
    """The constants of each framework [frameworks, CONSTANTS]; those of one without rows are what others have.

    Raises `ValueError` without rows.
    """
    if not len(rows):
        raise ValueError("no rows to fit")
    x = np.zeros((rows.frameworks + 1) * len(CONSTANTS))
    weights = _row_weights(rows)
    ridge = np.concatenate([np.full(len(CONSTANTS), PULL), np.tile(TIES, rows.frameworks)])
    damping, error = 1e-2, _objective(rows, weights, ridge, x)
    for _ in range(STEPS):
        step = _newton_step(rows, weights, ridge, x, damping)
        tried = _objective(rows, weights, ridge, x + step)
        if tried <= error:
            x, gain, error = x + step, error - tried, tried
            damping = max(damping / 5, 1e-9)
            if gain <= SMALLEST_GAIN * (error + 1e-12):
                break
        else:
            damping *= 5
            if damping > 1e12:
                break
    return _constants(x, rows.frameworks)


def predict(constants: np.ndarray, rows: Rows) -> np.ndarray:
    """Seconds of each row by the constants of its framework [rows]."""
    return (rows.work * constants[rows.framework]).sum(axis=1) + rows.given_s


def leave_out(rows: Rows, labels: Sequence[object]) -> np.ndarray:
    """Each row predicted by constants that were fitted without any row of its label [rows].

    Raises `ValueError` where all rows have one label.
    """
    labels = np.asarray(labels, dtype=object)
    predicted = np.empty(len(rows))
    for label in dict.fromkeys(labels):
        out = labels == label
        predicted[out] = predict(fit(rows.part(~out)), rows.part(out))
    return predicted


def _constants(x: np.ndarray, frameworks: int) -> np.ndarray:
    common, own = x[: len(CONSTANTS)], x[len(CONSTANTS) :].reshape(frameworks, len(CONSTANTS))
    return PRIOR * np.exp(common + own)


def _row_weights(rows: Rows) -> np.ndarray:
    counts = np.bincount(rows.framework, minlength=rows.frameworks)
    return (counts.max() / counts[rows.framework]).astype(float)


def _residuals(rows: Rows, x: np.ndarray) -> np.ndarray:
    return np.log(predict(_constants(x, rows.frameworks), rows) / rows.measured_s)


def _objective(rows: Rows, weights: np.ndarray, ridge: np.ndarray, x: np.ndarray) -> float:
    scaled = _residuals(rows, x) / SOFT
    robust = 2 * SOFT**2 * (np.sqrt(1 + scaled**2) - 1)
    return float((weights * robust).sum() + ((ridge * x) ** 2).sum())


def _newton_step(rows: Rows, weights: np.ndarray, ridge: np.ndarray, x: np.ndarray, damping: float) -> np.ndarray:
    constants = _constants(x, rows.frameworks)
    parts = rows.work * constants[rows.framework]  # [rows, CONSTANTS]
    predicted = parts.sum(axis=1) + rows.given_s
    shares = parts / predicted[:, None]  # derivative of log(predicted) to the logarithm of each constant
    size = len(CONSTANTS)
    slope = np.zeros((len(rows), len(x)))
    slope[:, :size] = shares
    for i in range(rows.frameworks):
        own = rows.framework == i
        slope[own, size * (i + 1) : size * (i + 2)] = shares[own]
    residual = np.log(predicted / rows.measured_s)
    robust = weights / np.sqrt(1 + (residual / SOFT) ** 2)
    normal = slope.T @ (robust[:, None] * slope) + np.diag(ridge**2)
    gradient = slope.T @ (robust * residual) + ridge**2 * x
    return np.linalg.solve(normal + damping * np.diag(np.diag(normal)), -gradient)
