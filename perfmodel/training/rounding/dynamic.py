"""`perfmodel.quantisers.dynamic`: dynamic fixed point as MuPPET's paper defines it."""

from __future__ import annotations

from math import isnan, nan

import torch

from perfmodel.quantisers.dynamic import scale_of
from perfmodel.training.noise import Noise
from perfmodel.training.rounding.tensors import Uniform, drawn, ends


@torch.no_grad()
def rounded(x: torch.Tensor, bits: int, uniform: Uniform = None) -> torch.Tensor:
    """q / s: ⌊x·s + u⌋, or x·s to nearest even, held within the codes of `bits`; all NaN where x has one.

    Zeros may be -0, which codes are not.

    >>> rounded(torch.tensor([0.3, -1.7]), 8).tolist()
    [0.296875, -1.703125]
    """
    low, high = ends(x)
    largest = nan if isnan(low) or isnan(high) else max(-low, high)
    if isnan(largest):
        return torch.full_like(x, nan)
    scale, limit = float(scale_of(largest, bits)), 2.0 ** (bits - 1)
    codes = x * scale
    if uniform is None:
        codes.round_()
    else:
        numbers = drawn(uniform, x)
        codes = numbers.add_(codes).floor_() if isinstance(uniform, Noise) else codes.add_(numbers).floor_()
    return codes.clamp_(-limit, limit - 1).mul_(1 / scale)
