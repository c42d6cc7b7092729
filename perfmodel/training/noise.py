"""Uniform numbers for stochastic rounding: a stream of its own, so that data and initialisation never shift it."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch

PER_WORD = 4  # numbers in a word of 64 bits: drawing words is most of the cost
LEVELS = 2.0**16


class Noise:
    """Numbers u in [0, 1) on one device, the same for the same seed there: (w + ½)/65536 with whole w of 16 bits.

    Rounding with them is unbiased to 2⁻¹⁷ of a step. Other devices have other numbers.
    """

    def __init__(self, seed: int, device: str | torch.device = "cpu"):
        self.device = torch.device(device)
        self._generator = torch.Generator(self.device).manual_seed(seed)

    def uniform(self, shape: Sequence[int]) -> torch.Tensor:
        """The next numbers of the stream, float32.

        >>> u = Noise(1).uniform((3, 5))
        >>> tuple(u.shape), bool((u > 0).all() and (u < 1).all()), bool((u == Noise(1).uniform((3, 5))).all())
        ((3, 5), True, True)
        """
        count = prod(shape)
        words = torch.empty(-(-count // PER_WORD), dtype=torch.int64, device=self.device)
        words.random_(-(2**63), None, generator=self._generator)  # all 64 bits
        numbers = words.view(torch.int16)[:count].to(torch.float32)
        return numbers.add_((LEVELS + 1) / 2).mul_(1 / LEVELS).view(tuple(shape))

    def state(self) -> torch.Tensor:
        """What a checkpoint keeps of the stream: bytes."""
        return self._generator.get_state()

    def restore(self, state: torch.Tensor) -> None:
        """Go on where the stream was that `state` is of."""
        self._generator.set_state(state.cpu())
