"""Which rows and columns of a product are looked at one by one."""

from __future__ import annotations

import numpy as np

LEAST_SAMPLED, MOST_SAMPLED = 4, 48  # rows, and as many columns: 16 elements at least, and the probe sees all of them
SAMPLED_NUMBERS = 2**19  # of A and of B each, where k is deep: the host spends seconds on more


def most_sampled(k: int) -> int:
    """How many rows, and columns, of a product of this depth."""
    return min(max(SAMPLED_NUMBERS // k, LEAST_SAMPLED), MOST_SAMPLED)


def chosen_of(generator: np.random.Generator, size: int, most: int) -> np.ndarray:
    """At most so many of `size` indices, in order; the last is among them, where tiles are cut off."""
    chosen = generator.choice(size, min(size, most), replace=False)
    if size - 1 not in chosen:
        chosen[0] = size - 1
    return np.sort(chosen)
