"""`perfmodel.quantisers.floats`: small floating-point formats, subnormals, ties and overflow exact."""

from __future__ import annotations

from math import inf, nan

import torch

from perfmodel.quantisers.floats import FloatFormat
from perfmodel.training.rounding.tensors import Uniform, drawn

MANTISSA, BIAS = 23, 127  # of float32
TOP = 254  # its last exponent field of numbers


@torch.no_grad()
def rounded(x: torch.Tensor, format: FloatFormat, uniform: Uniform = None, saturate: bool = False) -> torch.Tensor:
    """The numbers of a format next to x: the nearest, ties to even, or stochastic with `uniform`.

    >>> from perfmodel.quantisers.floats import E4M3
    >>> rounded(torch.tensor([1.0625, 464.0, 465.0, 2.0**-10]), E4M3).tolist()
    [1.0, 448.0, nan, 0.0]
    """
    magnitude = x.abs()
    if format.first_exponent + BIAS > format.mantissa_bits:
        step, inverse = _steps(magnitude, format)
        near = _cut(magnitude * inverse, uniform).mul_(step)
    else:  # subnormal numbers of the format are those of float32: scaled in float64
        step = _steps_double(magnitude, format)
        near = _cut(magnitude / step, uniform).mul_(step)
    beyond = format.largest if saturate else inf if format.infinities else nan
    return near.masked_fill_(near > format.largest, beyond).to(x.dtype).copysign_(x)


def _steps(magnitude: torch.Tensor, format: FloatFormat) -> tuple[torch.Tensor, torch.Tensor]:
    """The distance of the format's neighbours at each number, and its inverse, made from exponent fields."""
    field = magnitude.view(torch.int32) >> MANTISSA
    field.clamp_(min=format.first_exponent + BIAS).sub_(format.mantissa_bits)
    inverse = (TOP - field) << MANTISSA
    return (field << MANTISSA).view(torch.float32), inverse.view(torch.float32)


def _steps_double(magnitude: torch.Tensor, format: FloatFormat) -> torch.Tensor:
    _, exponent = torch.frexp(magnitude.double())
    power = (exponent - 1).clamp_(min=format.first_exponent) - format.mantissa_bits
    return torch.ldexp(torch.ones_like(magnitude, dtype=torch.float64), power)


def _cut(steps: torch.Tensor, uniform: Uniform) -> torch.Tensor:
    if uniform is None:
        return steps.round_()
    low = steps.floor()
    up = (steps - low).double() >= 1 - drawn(uniform, steps).double()  # float32 would round both
    return low.add_(up)
