"""Loss scales: what the loss is multiplied with so that gradients do not underflow.

A static one is a number. `DynamicScale`: halved on overflow, doubled after clean steps (mixed precision; NVIDIA apex,
amp/scaler.py; PyTorch's GradScaler is the same without an upper limit). `layer_scale`: one for each layer, from the
statistics of what its backward GEMM multiplies (Zhao et al. 2019, adaptive loss scaling; kumasento/gradient-scaling,
ada_loss/core.py and chainer_impl/ada_loss_chainer.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import frexp, inf, sqrt
from statistics import NormalDist

import numpy as np

from perfmodel.quantisers.tensors import as_tensor, check_axes, check_bits, check_finite, check_number

FP16_SMALLEST, FP16_LARGEST = 6e-8, 65504.0  # the first as the program has it; it is 5.96e-8
HUGE = 2.0**127


def overflowed(*gradients: np.ndarray) -> bool:
    """Whether an infinity or a NaN is among the gradients, so that the step is skipped. Raises E1525."""
    return not all(np.isfinite(as_tensor(gradient)).all() for gradient in gradients)


@dataclass(frozen=True, slots=True)
class DynamicScale:
    """A dynamic loss scale between steps: `scale` is the next one's.

    A step that overflows is skipped, and the scale multiplied with `backoff`, not below `floor`; `interval` clean steps
    in a row multiply it with `growth`, not above `ceiling`. A rising floor (Mellempudi et al. 2019) is
    `replace(scale, floor=8192)` at its step. E1521 and E1527 where a value has no meaning.

    >>> DynamicScale().after(overflow=True)
    DynamicScale(scale=32768.0, clean=0, skipped=1, growth=2.0, backoff=0.5, interval=2000, floor=0.0, ceiling=16777216)
    """

    scale: float = 2.0**16
    clean: int = 0
    skipped: int = 0
    growth: float = 2.0
    backoff: float = 0.5
    interval: int = 2000
    floor: float = 0.0
    ceiling: float = 2**24

    def __post_init__(self):
        check_number("growth", self.growth, 1, HUGE)
        check_number("backoff", self.backoff, 1 / HUGE, 1)
        check_bits(self.interval, 1, 2**62, "interval")
        check_number("ceiling", self.ceiling, 1 / HUGE, HUGE)
        check_number("floor", self.floor, 0, self.ceiling)
        check_number("scale", self.scale, 0, self.ceiling)

    def after(self, overflow: bool) -> DynamicScale:
        """The scale after a step that did or did not overflow."""
        if overflow:
            lower = max(self.floor, self.scale * self.backoff)
            return replace(self, scale=lower, clean=0, skipped=self.skipped + 1)
        held = max(self.floor, self.scale)  # the floor may have risen
        if self.clean + 1 < self.interval:
            return replace(self, scale=held, clean=self.clean + 1)
        return replace(self, scale=min(self.ceiling, held * self.growth), clean=0)


@dataclass(frozen=True, slots=True)
class LayerRule:
    """The constants of a layer's scale: what share may underflow, the format's ends, and the limits of the scale."""

    share: float = 1e-3
    smallest: float = FP16_SMALLEST
    largest: float = FP16_LARGEST
    layer_limit: float = 16.0
    product_limit: float = 1024.0

    def __post_init__(self):
        check_number("share", self.share, 1e-9, 1 - 1e-9)
        check_number("smallest", self.smallest, 1e-300, HUGE)
        for name in ("largest", "layer_limit", "product_limit"):
            check_number(name, getattr(self, name), 1 / HUGE, HUGE)


def layer_scale(gradient: np.ndarray, weights: np.ndarray, before: float = 1.0, rule: LayerRule | None = None) -> float:
    """The power of two that a layer multiplies its gradient with, `before` being the product of those applied already.

    ⌊max(1, u_min / (√2·erfinv(share)·σ))⌋ to a power of two, at most u_max / (fan_in·max|g|·max|w|),
    `product_limit`/before and `layer_limit`, with σ = rms(g)·rms(w)·√(fan_in/2) of independent g and w. Weights are
    [out, in, …]: fan_in, what an input's gradient sums over, is out times the kernel's positions. Statistics in
    float64 (the program: FP32). The limits may give less than 1; without a gradient or weights σ is 0, and u_min/σ
    counts as 1. Raises `InputError`: E1524 (an infinity or NaN: skip the step), E1525, E1526, E1527.

    >>> layer_scale(np.full((1, 2), 2.0**-16), np.full((2, 1), 1.0)), layer_scale(np.ones((1, 2)), np.ones((2, 1)))
    (2.0, 1.0)
    """
    g, w, rule = as_tensor(gradient).astype(np.float64), as_tensor(weights).astype(np.float64), rule or LayerRule()
    check_axes(w, 2, "A layer's weights, [out, in, …],")
    check_number("before", before, 1 / HUGE, HUGE)
    for name, values in (("gradient", g), ("weights", w)):
        check_finite(values, name, "Skip the step and keep the scale.")
    fan_in = w.shape[0] * int(np.prod(w.shape[2:]))
    sigma = _rms(g) * _rms(w) * sqrt(fan_in / 2)
    wanted = rule.smallest / (two_sided_quantile(rule.share) * sigma) if sigma else 1.0
    product = fan_in * np.abs(g).max(initial=0) * np.abs(w).max(initial=0)
    overflow = rule.largest / product if product else inf
    return power_of_two(min(max(1.0, wanted), overflow, rule.product_limit / before, rule.layer_limit))


def two_sided_quantile(share: float) -> float:
    """√2·erfinv(share): a standard normal number is nearer to zero than this with that probability.

    >>> round(two_sided_quantile(0.6827), 3)
    1.0
    """
    return NormalDist().inv_cdf((1 + check_number("share", share, 1e-9, 1 - 1e-9)) / 2)


def power_of_two(value: float) -> float:
    """The largest power of two not above a positive value.

    >>> power_of_two(15.9), power_of_two(0.3)
    (8.0, 0.25)
    """
    return 2.0 ** (frexp(value)[1] - 1)


def _rms(values: np.ndarray) -> float:
    largest = float(np.abs(values).max(initial=0))
    return largest * sqrt(np.square(values / largest).mean()) if largest else 0.0
