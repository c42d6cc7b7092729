"""`perfmodel.quantisers.program`: the quantiser of MuPPET's code."""

from __future__ import annotations

from math import isinf, isnan

import torch

from perfmodel.errors import InputError
from perfmodel.quantisers.dynamic import LARGEST_BITS, SMALLEST_BITS
from perfmodel.quantisers.program import exponents
from perfmodel.quantisers.tensors import check_bits, floor_log2_ratio
from perfmodel.training.rounding.tensors import Uniform, ends, rint_, scale_, scaled


@torch.no_grad()
def rounded(x: torch.Tensor, bits: int, uniform: Uniform = None, per_image: bool = False) -> torch.Tensor:
    """q·2^-s with q = rint(x·2^s + (u - ½)), or to nearest even; one s, or with `per_image` one for each image.

    `InputError`: E1521 (bits), E1524 (an infinity).

    >>> rounded(torch.tensor([127.4, -128.4]), 8, torch.tensor([0.99, 0.0])).tolist()
    [128.0, -129.0]
    """
    if per_image:
        return _by_image(x, bits, uniform)
    power = _exponent(x, bits)
    return scale_(rint_(scaled(x, power), uniform), -power)


def _exponent(x: torch.Tensor, bits: int) -> int:
    low, high = ends(x)
    if isnan(low):  # passed over
        known = x[~x.isnan()]
        low, high = ends(known)
    if isinf(low) or isinf(high):
        raise InputError.at("E1524", "tensor", "has an infinity.", "MuPPET's program stops there.")
    half = 2.0 ** (check_bits(bits, SMALLEST_BITS, LARGEST_BITS) - 1)
    limits = ((half - 0.5, abs(high)), (half + 0.5, abs(low)))
    return min((int(floor_log2_ratio(limit, end)) for limit, end in limits if end), default=0)


def _by_image(x: torch.Tensor, bits: int, uniform: Uniform) -> torch.Tensor:
    """Images are few and small: their exponents come from the quantiser in NumPy."""
    found = torch.from_numpy(exponents(x.detach().cpu().numpy(), bits, per_image=True)).to(x.device)
    powers = torch.ldexp(torch.ones(len(x), dtype=torch.float64, device=x.device), found)
    powers = powers.view(-1, *(1,) * (x.ndim - 1))
    codes = rint_((x * powers).to(x.dtype), uniform)
    return (codes / powers).to(x.dtype)
