"""Block floating point of HBFP: tiles of a tensor share an exponent, 2^e being at least the largest magnitude.

e = ⌈log₂(max|x| + 10⁻⁸)⌉ for each tile, step 2^(e-m), and codes from -(2^m - 1) to 2^m - 1; m is the mantissa without
its sign. A tensor is the matrix [first axis, all others], as in the program (a convolution's weights: one line for each
output channel), cut into square tiles from its first element; those at the ends are smaller.
parsa-epfl/HBFPEmulator, bfp/bfp_ops.py.
"""

from __future__ import annotations

import numpy as np

from perfmodel.quantisers.tensors import Uniform, as_matrix, as_tensor, check_bits, check_tile, drawn, whole

HBFP8, HBFP12, WIDE = 7, 11, 15  # mantissa bits without the sign; the last of the weights that are updated
TILE = 24
EPSILON = 1e-8


def rounded(x: np.ndarray, mantissa_bits: int, tile: int = TILE, uniform: Uniform = None) -> np.ndarray:
    """The tensor in tiles of `tile` × `tile`, 0 for a single one: to nearest even, or rint(y + (u - ½)) with `uniform`.

    A tile with an infinity or a NaN becomes NaN. What is above 2^e - step, such as a power of two itself, is held
    there: it is not unbiased, and a maximum that was rounded to a power of two changes when rounded again. The exponent
    is exact; the program's FP32 logarithm takes a maximum within an ulp or so above a power of two for that power.
    Raises `InputError`: E1521 (mantissa bits), E1522 (tile), E1523, E1525.

    >>> rounded(np.array([[0.8, 0.3, -0.1], [0.01, 0.02, 0.0]]), 3, tile=2).tolist()
    [[0.75, 0.25, -0.09375], [0.0, 0.0, 0.0]]
    """
    tile, tensor = check_tile(tile), as_tensor(x)
    tall, wide = (min(tile, side) if tile else side for side in as_matrix(tensor).shape)
    return _rounded(tensor, mantissa_bits, (tall, wide), uniform)


def rounded_by_sample(x: np.ndarray, mantissa_bits: int, uniform: Uniform = None) -> np.ndarray:
    """The same with one exponent for each of the first axis: what a layer does to its inputs, weights and gradients."""
    tensor = as_tensor(x)
    return _rounded(tensor, mantissa_bits, (1, as_matrix(tensor).shape[1]), uniform)


def _rounded(tensor: np.ndarray, mantissa_bits: int, tile: tuple[int, int], uniform: Uniform) -> np.ndarray:
    bits = check_bits(mantissa_bits, 1, 22, "mantissa_bits")
    if not tensor.size:
        return tensor
    matrix = as_matrix(tensor)
    if uniform is not None:
        uniform = drawn(uniform, tensor.shape, tensor.dtype).reshape(matrix.shape)
    largest = _maxima(np.abs(matrix), tile)
    power = _spread(_exponents(largest), tile, matrix.shape) - bits
    limit = 2.0**bits - 1
    with np.errstate(invalid="ignore", over="ignore"):
        values = np.ldexp(np.clip(whole(np.ldexp(matrix, -power), uniform), -limit, limit), power)
    usable = _spread(np.isfinite(largest), tile, matrix.shape)
    return np.where(usable, values, matrix.dtype.type(np.nan)).reshape(tensor.shape)


def _maxima(magnitudes: np.ndarray, tile: tuple[int, int]) -> np.ndarray:
    for axis, side in enumerate(tile):
        magnitudes = np.maximum.reduceat(magnitudes, np.arange(0, magnitudes.shape[axis], side), axis=axis)
    return magnitudes


def _exponents(largest: np.ndarray) -> np.ndarray:
    mantissa, exponent = np.frexp(largest + EPSILON)
    return exponent - (mantissa == 0.5)


def _spread(of_tiles: np.ndarray, tile: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    for axis, side in enumerate(tile):
        of_tiles = np.repeat(of_tiles, side, axis=axis)
    return of_tiles[: shape[0], : shape[1]]
