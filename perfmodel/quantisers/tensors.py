"""What every quantiser asks of what it is given: real numbers, a width that it has, uniform numbers to round with."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real

import numpy as np

from perfmodel.errors import InputError, quote

Uniform = np.ndarray | np.random.Generator | None


def as_tensor(x) -> np.ndarray:
    """A copy, float64 of float64 and whole numbers, else float32, every NaN quiet; E1525 for anything else."""
    try:
        array = np.asarray(x)
    except ValueError:  # lists of uneven lengths
        raise InputError.at("E1525", "tensor", "is no array.", "Give rows of equal length.") from None
    if array.dtype.kind not in "biuf":
        raise InputError.at("E1525", "tensor", f"is of {array.dtype}, not of real numbers.", "Give floating point.")
    with np.errstate(over="ignore", invalid="ignore"):
        tensor = array.astype(np.float32 if array.dtype in (np.float16, np.float32) else np.float64)
        return np.multiply(tensor, 1, out=tensor)  # makes signalling NaN quiet, of which every operation would warn


def as_matrix(tensor: np.ndarray, lines: int | None = None) -> np.ndarray:
    """[lines, the rest]: as many lines as the first axis is long, one of a number alone."""
    lines = (len(tensor) if tensor.ndim else 1) if lines is None else lines
    return tensor.reshape(lines, tensor.size // lines if lines else 0)


def drawn(uniform: Uniform, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Numbers in [0, 1) for a tensor: those given, or drawn from a generator; E1523 where they do not fit it."""
    if isinstance(uniform, np.random.Generator):
        return uniform.random(shape, dtype)
    numbers = np.asarray(uniform)
    if numbers.dtype not in (np.float32, np.float64):
        found = f"is of {numbers.dtype}."
        raise InputError.at("E1523", "uniform", found, "Give float32 or float64 in [0, 1), or a NumPy Generator.")
    try:
        numbers = np.broadcast_to(numbers, shape)
    except ValueError:
        found = f"has the shape {numbers.shape}, the tensor {shape}."
        raise InputError.at("E1523", "uniform", found, "Give one number for each element.") from None
    if not ((numbers >= 0) & (numbers < 1)).all():
        raise InputError.at("E1523", "uniform", "has numbers outside [0, 1).", "Draw from a uniform distribution.")
    return numbers


def whole(y: np.ndarray, uniform: Uniform = None) -> np.ndarray:
    """y to nearest, ties to even, or rint(y + (u - ½)): how the schemes' own programs round stochastically.

    The sum is rounded in the wider type of y and u: FP32 for FP32, as those programs do.
    """
    if uniform is None:
        return np.rint(y)
    return np.rint(y + (drawn(uniform, y.shape, y.dtype) - 0.5)).astype(y.dtype)


def floor_log2_ratio(limit: float, magnitudes: np.ndarray) -> np.ndarray:
    """⌊log₂(limit / m)⌋ of finite magnitudes above 0, exactly: neither a quotient nor a logarithm is rounded.

    >>> floor_log2_ratio(127.5, np.array([127.5, 127.6, 1.0])).tolist()
    [0, -1, 6]
    """
    head, power = np.frexp(limit)
    mantissa, exponent = np.frexp(magnitudes)
    return int(power) - exponent - (mantissa > head)


def check_bits(bits: object, smallest: int, largest: int, what: str = "bits") -> int:
    """The width as an int; E1521 where it is no whole number of this range."""
    return _whole_number("E1521", what, bits, smallest, largest)


def check_tile(tile: object) -> int:
    """The side of a tile as an int, 0 for the whole tensor; E1522 where it is no such number."""
    return _whole_number("E1522", "tile", tile, 0, 2**31 - 1)


def check_point(point: object) -> int:
    """A binary point as an int, E1527 beyond what float64 has."""
    return _whole_number("E1527", "point", point, -1100, 1100)


def check_number(what: str, value: object, low: float, high: float) -> float:
    """The value as a float, E1527 where it is not within [low, high]."""
    if isinstance(value, Real) and not isinstance(value, bool) and low <= value <= high:
        return float(value)
    raise InputError.at("E1527", what, f"{quote(value)} is not within {low:g} to {high:g}.")


def check_option(what: str, value: object, known: Iterable[str]) -> None:
    """E1528 where a named option is none of those known."""
    if value not in tuple(known):
        raise InputError.at("E1528", what, f"{quote(value)} is not known.", f"Known: {', '.join(known)}.")


def check_axes(tensor: np.ndarray, least: int, why: str) -> None:
    """E1526 where a tensor has fewer axes than a rule needs."""
    if tensor.ndim < least:
        found = f"has {tensor.ndim} axes."
        raise InputError.at("E1526", "tensor", found, f"{why} needs at least {least}.")


def check_finite(values: np.ndarray | float, what: str, why: str) -> None:
    """E1524 where an infinity or a NaN is among the values."""
    if not np.isfinite(values).all():
        raise InputError.at("E1524", what, "has an infinity or a NaN.", why)


def _whole_number(code: str, what: str, value: object, low: int, high: int) -> int:
    if isinstance(value, Integral) and not isinstance(value, bool) and low <= value <= high:
        return int(value)
    raise InputError.at(code, what, f"{quote(value)} is not a whole number.", f"Give one from {low} to {high}.")
