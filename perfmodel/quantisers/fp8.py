"""FP8 training's rounding of each tensor: Mellempudi et al. 2019, and the scaled hybrid of its authors' toolkit.

Weights and activations to nearest even, errors and weight gradients stochastically, all E5M2; the hybrid has weights
and activations in E4M3 with a scale for each tensor. IntelLabs/FP8-Emulation-Toolkit, mpemu/e5m2_emu.py, hybrid_emu.py
and qutils.py. Not followed: it converts FP32 to FP16 before FP8, rounding twice, and its random bits are few.
"""

from __future__ import annotations

import numpy as np

from perfmodel.errors import InputError
from perfmodel.quantisers import floats
from perfmodel.quantisers.tensors import Uniform, as_tensor, check_option

NEAREST, STOCHASTIC = ("weights", "activations"), ("errors", "gradients")
LARGEST_SCALE, SCALE_AT_MOST = 65500.0, 32750.0  # a scale above the second becomes the first


def rounded(x: np.ndarray, kind: str, uniform: Uniform = None, hybrid: bool = False) -> np.ndarray:
    """`weights`, `activations`, `errors` or `gradients` in FP8; beyond the range infinite, which a loss scale watches.

    Raises `InputError`: E1523 where errors or gradients come without `uniform`, E1525, E1528 (no such kind).
    """
    check_option("kind", kind, (*NEAREST, *STOCHASTIC))
    if kind in NEAREST:
        return scaled(x)[0] if hybrid else floats.rounded(x, floats.E5M2)
    if uniform is None:
        raise InputError.at("E1523", "uniform", f"is not given, and {kind} are rounded stochastically.", "Give it.")
    return floats.rounded(x, floats.E5M2, uniform)


def scaled(
    x: np.ndarray, format: floats.FloatFormat = floats.E4M3, uniform: Uniform = None
) -> tuple[np.ndarray, np.ndarray]:
    """(values, scale): x·scale rounded to the format, divided by scale = largest / max|x| again, both of x's type.

    A scale above 32,750 becomes 65,500, that of an all-zero tensor too. An infinity or a NaN makes all of them NaN.

    >>> values, scale = scaled(np.array([1.0, 0.13, -7.0]))
    >>> values.tolist(), scale.item()
    ([1.0, 0.125, -7.0], 64.0)
    """
    tensor = as_tensor(x)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        scale = tensor.dtype.type(format.largest) / np.max(np.abs(tensor), initial=0)
        scale = np.where(scale > SCALE_AT_MOST, LARGEST_SCALE, scale).astype(tensor.dtype)
        return floats.rounded(tensor * scale, format, uniform, saturate=True) / scale, scale
