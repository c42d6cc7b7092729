"""What all quantisers need: numbers to round with, and exact scaling by powers of two."""

from __future__ import annotations

import torch

from perfmodel.training.noise import Noise

Uniform = torch.Tensor | Noise | None
LARGEST_POWER = 126  # of a factor whose inverse is a normal float32 too


def drawn(uniform: torch.Tensor | Noise, like: torch.Tensor) -> torch.Tensor:
    """Numbers in [0, 1) of the shape of `like`: those given, or the next of a stream."""
    return uniform.uniform(like.shape) if isinstance(uniform, Noise) else uniform


def rint_(y: torch.Tensor, uniform: Uniform) -> torch.Tensor:
    """y itself, to nearest even, or rint(y + (u - ½))."""
    if uniform is None:
        return y.round_()
    numbers = drawn(uniform, y)
    numbers = numbers.sub_(0.5) if isinstance(uniform, Noise) else numbers - 0.5
    return y.add_(numbers).round_()


def ends(x: torch.Tensor) -> tuple[float, float]:
    """The least and the greatest element; NaN where there is one, zeros where there are none."""
    if not x.numel():
        return 0.0, 0.0
    low, high = torch.aminmax(x)
    return low.item(), high.item()


def scaled(x: torch.Tensor, power: int) -> torch.Tensor:
    """x·2^power, a new tensor, rounded once."""
    if abs(power) <= LARGEST_POWER:
        return x * 2.0**power
    return (x.double() * 2.0**power).to(x.dtype)


def scale_(x: torch.Tensor, power: int) -> torch.Tensor:
    """x·2^power in the place of x where that is exact to do."""
    return x.mul_(2.0**power) if abs(power) <= LARGEST_POWER else scaled(x, power)
