"""Loss scales: the loss is multiplied so that gradients do not underflow in FP16 or FP8, and gradients divided again.

Static (Micikevicius et al. 2018, section 3.2: 8 to 32K; Wang et al. 2018: 1000), or dynamic
(`perfmodel.quantisers.scaling.DynamicScale`). Dividing by a power of two loses nothing above FP32's subnormal numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Protocol

import torch

from perfmodel.quantisers.scaling import HUGE, DynamicScale
from perfmodel.quantisers.tensors import check_number

STATIC, CHUNKED = 128.0, 1000.0  # mixed-static (kumasento/gradient-scaling's fixed one); Wang et al. 2018
STATE = ("scale", "clean", "skipped")


class LossScale(Protocol):
    """What `MasterSGD.step` asks of a loss scale; `value` is that of the step at hand."""

    @property
    def value(self) -> float:
        """What the loss is multiplied with."""

    def scale(self, loss: torch.Tensor) -> torch.Tensor:
        """The loss to call `backward` of."""

    def unscale_(self, gradients: Iterable[torch.Tensor]) -> bool:
        """Divide in place; True where the step must be skipped."""

    def state(self) -> dict[str, float]:
        """Plain numbers for a checkpoint."""

    def restore(self, state: Mapping[str, float]) -> None:
        """Go on from such numbers."""


class StaticScale:
    """A constant loss scale. Nothing is checked, as in the cost model: an overflow goes into the weights unnoticed."""

    def __init__(self, value: float = STATIC):
        """Raises `InputError` (E1527) for a scale that is not positive and finite."""
        self.value = check_number("scale", value, 1 / HUGE, HUGE)

    def scale(self, loss: torch.Tensor) -> torch.Tensor:
        """The loss to call `backward` of."""
        return loss * self.value

    def unscale_(self, gradients: Iterable[torch.Tensor]) -> bool:
        """Divide gradients in place; never says that a step must be skipped."""
        for gradient in gradients:
            gradient.div_(self.value)
        return False

    def state(self) -> dict[str, float]:
        """The scale, for a checkpoint."""
        return {"scale": self.value}

    def restore(self, state: Mapping[str, float]) -> None:
        """Go on with the scale of a checkpoint; E1527 as above."""
        self.value = check_number("scale", state["scale"], 1 / HUGE, HUGE)


class DynamicLossScale:
    """A loss scale that is halved and the step skipped on overflow, and doubled after clean steps: `rule` says when."""

    def __init__(self, rule: DynamicScale | None = None):
        self.rule = rule or DynamicScale()

    @property
    def value(self) -> float:
        """What the loss of the step at hand is multiplied with."""
        return self.rule.scale

    @property
    def skipped(self) -> int:
        """How many steps overflowed."""
        return self.rule.skipped

    def scale(self, loss: torch.Tensor) -> torch.Tensor:
        """The loss to call `backward` of."""
        return loss * self.rule.scale

    def unscale_(self, gradients: Iterable[torch.Tensor]) -> bool:
        """Divide gradients in place; True, and left as they are, where an infinity or a NaN is among them.

        Either way `value` is the next step's afterwards: call it once a step.
        """
        gradients = list(gradients)
        overflow = _overflowed(gradients)
        if not overflow:
            for gradient in gradients:
                gradient.div_(self.rule.scale)
        self.rule = self.rule.after(overflow)
        return overflow

    def state(self) -> dict[str, float]:
        """Scale, clean steps and skipped steps, for a checkpoint; the rule's constants are the run's options."""
        return {name: getattr(self.rule, name) for name in STATE}

    def restore(self, state: Mapping[str, float]) -> None:
        """Go on from a checkpoint's numbers under the constants that this scale has; E1527 as `DynamicScale`."""
        self.rule = replace(self.rule, **{name: state[name] for name in STATE})


def find_scale(scheme_name: str, factor: float | None = None) -> StaticScale | DynamicLossScale | None:
    """The loss scale of a scheme, or None where it has none; `factor` is that of `mixed-static`, or of any to fix it.

    The scheme `fp8`: dynamic as its toolkit has it, not the constant 10,000 of the paper's ResNet-50.
    """
    if factor is not None:
        return StaticScale(factor)
    if scheme_name in ("mixed", "fp8", "fp8-hybrid"):
        return DynamicLossScale()
    static = {"mixed-static": STATIC, "fp8-chunked": CHUNKED}
    return StaticScale(static[scheme_name]) if scheme_name in static else None


def _overflowed(gradients: list[torch.Tensor]) -> bool:
    """One answer of all, so that a GPU is waited for once."""
    sound = [torch.isfinite(gradient).all() for gradient in gradients]
    return bool(sound) and not bool(torch.stack(sound).all())
