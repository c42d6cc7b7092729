"""Shapes in two halves that stay the same everywhere: what is learned on one may be judged on the other."""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

import numpy as np


def half_of(*sizes: float) -> int:
    """The half, 0 or 1, of a shape: decided by its sizes alone, so that no device, pass or precision moves it.

    >>> half_of(1, 1760, 128, 1760), half_of(1, 1760, 16, 1760)
    (1, 0)
    """
    return crc32(",".join(str(int(size)) for size in sizes).encode()) & 1


def halves(*columns: Iterable[float]) -> np.ndarray:
    """`half_of` for each row of several columns of sizes."""
    return np.array([half_of(*sizes) for sizes in zip(*columns, strict=True)], dtype=np.intp)
