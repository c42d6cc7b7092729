"""FP32 as BF16 and FP16, as the GPU kernels that cast leave them, NaN filled with ones."""

from __future__ import annotations

import numpy as np


def bf16_of(x: np.ndarray) -> np.ndarray:
    """BF16 bit patterns (uint16) of FP32 values, rounded to nearest even; NaN as 0x7FFF."""
    bits = np.asarray(x, np.float32).view(np.uint32).astype(np.uint64)
    rounded = (bits + np.uint64(0x7FFF) + (bits >> np.uint64(16) & np.uint64(1))) >> np.uint64(16)
    return np.where(np.isnan(x), np.uint64(0x7FFF), rounded).astype(np.uint16)


def fp16_of(x: np.ndarray) -> np.ndarray:
    """FP16 of FP32 values, rounded to nearest even, beyond the range to infinity; NaN as 0x7FFF."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        halves = np.asarray(x, np.float32).astype(np.float16)
    return np.where(np.isnan(x), np.uint16(0x7FFF).view(np.float16), halves)
