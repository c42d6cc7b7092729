"""Binary and fixed-point numbers as FxpNet uses them, of which only the abstract was at hand.

That says: weights and activations are binarised in the forward pass, master weights and gradients are fixed point, of
12 bits each on CIFAR-10, and their binary points are adapted during training. Here are the numbers; how the point is
adapted it does not say, and `fitting_point` is ours. Chen, Hu, Xu and Li 2017, FxpNet: training deep convolutional
neural network in fixed-point representation.
"""

from __future__ import annotations

import numpy as np

from perfmodel.quantisers.tensors import (
    Uniform,
    as_tensor,
    check_bits,
    check_finite,
    check_point,
    floor_log2_ratio,
    whole,
)

SMALLEST_BITS, LARGEST_BITS = 2, 22


def signs(x: np.ndarray) -> np.ndarray:
    """1 from 0 (and -0) upwards, -1 below; NaN stays NaN. Raises E1525.

    >>> signs(np.array([-0.3, 0.0, 2.0])).tolist()
    [-1.0, 1.0, 1.0]
    """
    tensor = as_tensor(x)
    return np.where(np.isnan(tensor), tensor, np.where(tensor >= 0, 1, -1)).astype(tensor.dtype)


def rounded(x: np.ndarray, bits: int, point: int, uniform: Uniform = None) -> np.ndarray:
    """q·2^-point, q = rint(x·2^point) held within [-2^(b-1), 2^(b-1) - 1]; rint(y + (u - ½)) with `uniform`.

    A negative point drops whole bits. An infinity goes to its end of the range, NaN stays NaN. Raises `InputError`:
    E1521 (bits: 2 to 22), E1523, E1525, E1527 (point).

    >>> rounded(np.array([0.3, -2.0, 1.9]), bits=4, point=2).tolist()
    [0.25, -2.0, 1.75]
    """
    tensor, half, point = as_tensor(x), 2.0 ** (check_bits(bits, SMALLEST_BITS, LARGEST_BITS) - 1), check_point(point)
    with np.errstate(over="ignore"):
        return np.ldexp(np.clip(whole(np.ldexp(tensor, point), uniform), -half, half - 1), -point)


def fitting_point(x: np.ndarray, bits: int) -> int:
    """The largest binary point with which nothing saturates: ⌊log₂((2^(b-1) - 1) / max|x|)⌋, 0 where all is zero.

    Raises `InputError`: E1521, E1524 (an infinity or a NaN), E1525.

    >>> fitting_point(np.array([0.5, -1.75]), 4), fitting_point(np.array([0.5, -1.76]), 4)
    (2, 1)
    """
    tensor, bits = as_tensor(x), check_bits(bits, SMALLEST_BITS, LARGEST_BITS)
    check_finite(tensor, "tensor", "No binary point fits it.")
    largest = np.abs(tensor).max(initial=0)
    return int(floor_log2_ratio(2.0 ** (bits - 1) - 1, largest)) if largest else 0
