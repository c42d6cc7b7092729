"""DoReFa-Net's quantisers of weights, activations and gradients: q_k(x) = rint((2^k - 1)·x) / (2^k - 1) on [0, 1].

Zhou et al. 2016; tensorpack, examples/DoReFa-Net/dorefa.py @ 03f1897. 32 bits leave a tensor as it is.
"""

from __future__ import annotations

import numpy as np

from perfmodel.quantisers.tensors import Uniform, as_tensor, check_axes, check_bits, drawn

LARGEST_BITS, UNCHANGED = 16, 32


def weights(w: np.ndarray, bits: int) -> np.ndarray:
    """2·q_k(tanh w / (2·max|tanh w|) + ½) - 1; with one bit sign(w)·mean|w|, where zeros stay zero.

    With more bits zero is no value: a zero, and an all-zero tensor, becomes one of ±1/(2^k - 1). With a NaN all are
    NaN. The mean is summed in float64. Raises `InputError`: E1521 (bits: 1 to 16, or 32), E1525.

    >>> weights(np.array([3.0, -1.0, 2.0]), 1).tolist()
    [2.0, -2.0, 2.0]
    """
    tensor, bits = as_tensor(w), _bits(bits)
    if bits == UNCHANGED or not tensor.size:
        return tensor
    with np.errstate(invalid="ignore", over="ignore"):
        if bits == 1:
            return np.sign(tensor) * tensor.dtype.type(np.abs(tensor).mean(dtype=np.float64))
        bent = np.tanh(tensor)
        largest = np.abs(bent).max()
        return 2 * _q(bent / (largest if largest != 0 else 1) * 0.5 + 0.5, bits) - 1


def activations(x: np.ndarray, bits: int) -> np.ndarray:
    """q_k of x clipped to [0, 1]; NaN stays NaN. Raises E1521, E1525.

    >>> activations(np.array([-1.0, 0.2, 0.9, 5.0]), 2).tolist() == [0, 1 / 3, 1, 1]
    True
    """
    tensor, bits = as_tensor(x), _bits(bits)
    return tensor if bits == UNCHANGED else _q(np.clip(tensor, 0, 1), bits)


def gradients(g: np.ndarray, bits: int, uniform: Uniform = None) -> np.ndarray:
    """2·M·(q_k(g/(2·M) + ½ + noise) - ½), M = max|g| of each of the first axis, noise (u - ½)/(2^k - 1), or none.

    What noise takes beyond [0, 1] is clipped, so that only the inner codes are unbiased in the noise, and ±M stays.
    Zeros of an all-zero sample stay zero; a sample with an infinity or a NaN has no finite values. Raises `InputError`:
    E1521, E1523, E1525, E1526 (a number alone has no samples).
    """
    tensor, bits = as_tensor(g), _bits(bits)
    check_axes(tensor, 1, "One maximum for each sample")
    if bits == UNCHANGED or not tensor.size:
        return tensor
    largest = np.abs(tensor).max(axis=tuple(range(1, tensor.ndim)), keepdims=True)
    with np.errstate(invalid="ignore", over="ignore"):
        share = tensor / np.where(largest == 0, 1, largest) * 0.5 + 0.5
        if uniform is not None:
            share = share + (drawn(uniform, tensor.shape, tensor.dtype) - 0.5) / (2**bits - 1)
        return ((_q(np.clip(share, 0, 1), bits) - 0.5) * largest * 2).astype(tensor.dtype)


def _q(x: np.ndarray, bits: int) -> np.ndarray:
    return np.rint(x * (2**bits - 1)) / (2**bits - 1)


def _bits(bits: object) -> int:
    return UNCHANGED if bits == UNCHANGED else check_bits(bits, 1, LARGEST_BITS)
