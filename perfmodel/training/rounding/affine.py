"""`perfmodel.quantisers.affine`: CPT's evenly spaced levels over a range."""

from __future__ import annotations

import torch

from perfmodel.quantisers.affine import LARGEST_BITS, RULES
from perfmodel.quantisers.tensors import check_bits, check_option
from perfmodel.training.rounding.tensors import Uniform, rint_


@torch.no_grad()
def rounded(
    x: torch.Tensor, bits: int, uniform: Uniform = None, rule: str = "paper", by_channel: bool = False
) -> torch.Tensor:
    """x on 2^b levels from the least to the greatest of the tensor, or with `by_channel` of each of the first axis.

    `rule`: as `perfmodel.quantisers.affine.tensor_range`. `InputError`: E1521 (bits), E1528 (rule).

    >>> rounded(torch.tensor([0.0, 0.4, 1.0, 3.0]), 2).tolist()
    [0.0, 0.0, 1.0, 3.0]
    """
    check_option("rule", rule, RULES)
    top = 2 ** check_bits(bits, 1, LARGEST_BITS) - 1
    if not x.numel():
        return x.clone()
    low, high = _range(x, rule, by_channel)
    step = (high - low) / top
    steps = (x - low).div_(torch.where(step > 0, step, torch.ones_like(step)))
    return rint_(steps, uniform).clamp_(0, top).mul_(step).add_(low)


def _range(x: torch.Tensor, rule: str, by_channel: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """The ends, of as many axes as x or of none."""
    if not by_channel and rule == "paper":
        return torch.aminmax(x)
    low, high = torch.aminmax(x.reshape(len(x), -1), dim=1)
    if by_channel:
        shape = (-1, *(1,) * (x.ndim - 1))
        return low.view(shape), high.view(shape)
    return low.amin(), high.amin()  # the least of the greatest: as the released code
