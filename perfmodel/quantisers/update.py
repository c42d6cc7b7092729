"""The optimiser's step on FP32 master weights, every product and sum rounded by itself."""

from __future__ import annotations

import numpy as np


def sgd(
    weights: np.ndarray, momentum: np.ndarray, gradient: np.ndarray, rate: float, decay_of_momentum: float, decay: float
) -> tuple[np.ndarray, np.ndarray]:
    """New weights and momentum v = μ·v + (g + λ·w), w = w - η·v in FP32, every product and sum rounded by itself."""
    rate, mu, decay = np.float32(rate), np.float32(decay_of_momentum), np.float32(decay)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        velocity = mu * momentum + (gradient + decay * weights)
        return weights + -rate * velocity, velocity
