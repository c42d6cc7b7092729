"""What physics leaves over: a smooth correction of log seconds, learned from few timings, and how far to trust it.

A Gaussian process (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, chapter 2) whose covariance
is a constant, plus a term for each feature alone, plus one for all features together; all of the Matérn 3/2 form
(1 + d)·exp(-d). One-feature terms make it learn a trend (long k is slow, say) from twenty timings; the joint term
follows detail where there are many.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

SHORT_S = 1e-4  # below it, timings scatter more: clocks tick in microseconds, launches vary
BLOCK = 128  # rows at a time: the work arrays stay in cache
FARTHEST = 5.0  # of log seconds: what corrects by more than a factor of 150 is wrong, and exp() stays finite


@dataclass(frozen=True, slots=True)
class Prior:
    """How large corrections are and how fast they vary; standard deviations are of log seconds.

    `each` and `each_length` hold, for each feature, the deviation and the length of its own term; `joint_length` the
    lengths of the term of all features; `noise` scatters every timing, and `short_noise` that of one of `SHORT_S`.
    """

    constant: float
    joint: float
    noise: float
    short_noise: float
    joint_length: np.ndarray
    each: np.ndarray
    each_length: np.ndarray

    @property
    def variance(self) -> float:
        """Of a correction before anything was timed."""
        return self.constant**2 + self.joint**2 + float((self.each**2).sum())

    def covariance(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Of the corrections at `a` [A, features] and `b` [B, features]: [A, B]."""
        found = self.joint**2 * _matern(_distances(a / self.joint_length, b / self.joint_length))
        for j in range(a.shape[1]):
            found += self.each[j] ** 2 * _matern(np.abs(a[:, j, None] - b[None, :, j]) / self.each_length[j])
        return found + self.constant**2

    def scatter(self, seconds: np.ndarray) -> np.ndarray:
        """Variance of log seconds of single timings."""
        return self.noise**2 + (self.short_noise * SHORT_S / seconds) ** 2


@dataclass(frozen=True)
class Residual:
    """The correction learned from points [P, features]: mean log error of what lies there, and that mean's variance."""

    prior: Prior
    points: np.ndarray
    errors: np.ndarray
    variances: np.ndarray

    @cached_property
    def _root(self) -> np.ndarray:
        """The inverse of the Cholesky factor L of the errors' covariance [P, P]."""
        covariance = self.prior.covariance(self.points, self.points) + np.diag(self.variances)
        return np.linalg.inv(np.linalg.cholesky(covariance))

    @cached_property
    def _weights(self) -> np.ndarray:
        """Raises `numpy.linalg.LinAlgError` where the covariance is not positive definite."""
        return self._root.T @ (self._root @ self.errors)

    def correct(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Correction of log seconds at each row of features, and the variance of its own error."""
        mean, variance = np.empty(len(features)), np.empty(len(features))
        for start in range(0, len(features), BLOCK):
            part = slice(start, start + BLOCK)
            near = self.prior.covariance(features[part], self.points)
            mean[part] = np.clip(near @ self._weights, -FARTHEST, FARTHEST)
            known = np.einsum("ij,ij->i", whitened := near @ self._root.T, whitened)
            variance[part] = np.maximum(self.prior.variance - known, 0.0)
        return mean, variance


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Euclidean distances [A, B]."""
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2.0 * a @ b.T
    return np.sqrt(np.maximum(squares, 0.0))


def _matern(distance: np.ndarray) -> np.ndarray:
    found = np.exp(-distance)
    distance += 1.0
    found *= distance
    return found
