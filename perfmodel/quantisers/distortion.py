"""How far a quantiser's output is from its input: for tests, and to say what a scheme does to given tensors."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log10, nan

import numpy as np

from perfmodel.errors import InputError
from perfmodel.quantisers.tensors import as_tensor


@dataclass(frozen=True, slots=True)
class Distortion:
    """Error of quantised values q against x, over the elements that are finite in both; NaN where there are none.

    `mean_square` of q - x, and `bias`, its mean. `sqnr_db`: signal to quantisation noise, 10·log₁₀(Σx²/Σ(q - x)²), inf
    without an error, NaN without a signal. `underflowed`: of those with x ≠ 0, the share with q = 0. `saturated`: of
    all finite x, the share beyond the format's ends, None where these were not given. `lost`: of all elements, the
    share that is not finite in x or in q.
    """

    mean_square: float
    sqnr_db: float
    bias: float
    underflowed: float
    saturated: float | None
    lost: float


def distortion(x: np.ndarray, quantised: np.ndarray, ends: tuple[float, float] | None = None) -> Distortion:
    """The distortion of a tensor; `ends`, the least and the largest number of the format, let it count saturation.

    Computed in float64, infinite (the ratio NaN) where squares are beyond it. Raises `InputError` (E1525), also for
    shapes that differ.

    >>> d = distortion(np.array([3.0, 1.0, 0.1, 9.0]), np.array([3.0, 1.0, 0.0, 8.0]), ends=(-8.0, 8.0))
    >>> d.underflowed, d.saturated, round(d.sqnr_db, 1), round(d.bias, 3)
    (0.25, 0.25, 19.5, -0.275)
    """
    before, after = as_tensor(x).astype(np.float64), as_tensor(quantised).astype(np.float64)
    if before.shape != after.shape:
        found = f"has the shape {before.shape}, its quantised values {after.shape}."
        raise InputError.at("E1525", "tensor", found, "Give both of the same shape.")
    usable = np.isfinite(before) & np.isfinite(after)
    signal, kept = before[usable], after[usable]
    with np.errstate(over="ignore"):
        error = kept - signal
        noise, power = np.square(error).sum(), np.square(signal).sum()
        mean_square, bias = _mean(np.square(error)), _mean(error)
    finite = before[np.isfinite(before)]
    return Distortion(
        mean_square=mean_square,
        sqnr_db=_decibels(float(power), float(noise)),
        bias=bias,
        underflowed=_mean(kept[signal != 0] == 0),
        saturated=None if ends is None else _mean((finite < ends[0]) | (finite > ends[1])),
        lost=_mean(~usable),
    )


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else nan


def _decibels(power: float, noise: float) -> float:
    if not power or inf in (power, noise):
        return nan
    return 10 * (log10(power) - log10(noise)) if noise else inf
