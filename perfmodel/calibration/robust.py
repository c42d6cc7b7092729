"""Timings that do not fit their neighbours count less: a correction's errors have the tails of Student's t."""

from __future__ import annotations

import numpy as np

from perfmodel.cost.residual import Prior

FREEDOM = 4.0  # degrees of freedom of the tails
MOST = 10.0  # times that a timing's variance may grow: where a device's outliers are many, they are its rule
STEPS = 8


def widened(prior: Prior, points: np.ndarray, errors: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """The variances [P] of points [P, features], greater where an error is far from what its neighbours say.

    Expectation-maximisation of a Gaussian process under t-distributed noise (Lange, Little and Taylor, Journal of the
    American Statistical Association 84(408), 1989): each step weighs a point by its expected squared miss.
    """
    covariance, found = prior.covariance(points, points), variances.copy()
    for _ in range(STEPS):
        inverse = np.linalg.inv(covariance + np.diag(found))
        miss = found * (inverse @ errors)
        doubt = found - found**2 * np.diag(inverse)  # of the correction there, once it knows the point
        found = variances * (FREEDOM + (miss**2 + doubt) / variances) / (FREEDOM + 1)
    return np.minimum(found, MOST * variances)
