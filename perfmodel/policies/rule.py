"""MuPPET's switching rule as the paper has it and as the authors' code has it: every difference is an option.

Rajagopal et al., ICML 2020, section 3.3; ICIdsl/muppet @ a5cbb13, policy.py. What is not stated in one of them is said
at the option.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from perfmodel.errors import InputError, unknown_name
from perfmodel.formats import find_format
from perfmodel.policies.diversity import ON_UNDEFINED
from perfmodel.traces import PassPrecision, values
from perfmodel.traces.schedule import LADDER, paper_fp32_rates, reference_fp32_rates
from perfmodel.units import ceil_div

# What an option may be, the reference's choice first.
CHOICES = {
    "window": ("tumbling", "sliding"),
    "terms": ("r", "r+1"),
    "evaluate": ("every-r", "every-epoch"),
    "violations": ("reach", "exceed"),
    "counting": ("cumulative", "consecutive"),
    "maximum": ("with-current", "before"),
    "threshold_from": ("start", "switch"),
    "mean_over": ("parameters", "layers"),
    "gradient": ("stepped", "raw"),
    "first_term": ("own", "aliased"),
    "window_at_switch": ("cleared", "kept"),
    "fp32_stage": ("reference", "paper"),
    "on_undefined": ON_UNDEFINED,
}
MODES = ("reference", "paper")


@dataclass(frozen=True, slots=True)
class MuppetRule:
    """When MuPPET climbs its ladder; the defaults are the reference's. In brackets: the rows of `docs/policy.md`.

    `resolution` r and `patience` γ; `alpha`, `beta`, `decay` (λ) of the threshold T(j) = α + β exp(-λ j) [6];
    `ladder`, formats from the lowest [26].
    `window` [1]: gradients of r epochs that no other window shares, or of the last ones at every evaluation.
    `terms` [2]: how many gradients a window has, r or r + 1.
    `evaluate` [1]: at epochs e with (e + 1) mod r = 0, or at all, once the window is full.
    `violations` [3]: a switch when they reach γ, or when they exceed it. `counting` [3]: all since the last switch, or
    only those that follow one another (in neither source: the paper's text could be read so).
    `maximum` [4]: whether the current Δ counts, so that p is never below 1, or only those before it.
    `threshold_from` [5]: j counts from the start of training, or from the last switch.
    `mean_over` [7]: named parameters, or layers (the name of a parameter up to its last dot).
    `gradient` [8]: what the training loop hands over of the last mini-batch of an epoch: `stepped`, what the optimiser
    left there (quantised, plus weight decay times the quantised weight), or `raw`. It changes no arithmetic here.
    `first_term` [9]: the first gradient of a window itself, or the raw one of the next epoch's first mini-batch in its
    place, as the code seems to do (read, not run); that needs gradients, so it is refused where only numbers are fed.
    `window_at_switch` [10]: whether a window survives a switch; a tumbling one never does.
    `fp32_stage` [13]: how long the FP32 phase lasts, see `perfmodel.traces.schedule`.
    `on_undefined`: what a zero, infinite or NaN gradient does, see `perfmodel.policies.diversity`.

    Raises `InputError` (E1306 wrong kind, E1307 out of range, E1501 options that exclude one another) or
    `UnknownName` (E1004 format, E1504 choice).
    """

    resolution: int = 3
    patience: int = 2
    alpha: float = 1.0
    beta: float = 1.5
    decay: float = 0.1
    ladder: tuple[str, ...] = LADDER
    window: str = "tumbling"
    terms: str = "r"
    evaluate: str = "every-r"
    violations: str = "reach"
    counting: str = "cumulative"
    maximum: str = "with-current"
    threshold_from: str = "start"
    mean_over: str = "parameters"
    gradient: str = "stepped"
    first_term: str = "own"
    window_at_switch: str = "cleared"
    fp32_stage: str = "reference"
    on_undefined: str = "reference"

    def __post_init__(self):
        for key in ("resolution", "patience"):
            object.__setattr__(self, key, values.whole(key, getattr(self, key), 1, 10**4))
        for key in ("alpha", "beta", "decay"):
            object.__setattr__(self, key, float(values.number(key, getattr(self, key))))
        if self.decay < 0:
            raise InputError.at("E1307", "decay:", f"{self.decay:g} is below 0.", "T would grow without bound.")
        for key, known in CHOICES.items():
            if getattr(self, key) not in known:
                raise unknown_name("E1504", key, getattr(self, key), known)
        object.__setattr__(self, "ladder", PassPrecision.same(self.ladder).fprop)
        for low, high in pairwise(self.ladder):
            if find_format(low).bits >= find_format(high).bits:
                raise InputError.at("E1509", "ladder:", f"{high} is not wider than {low}.", "Give the narrowest first.")
        self._check_together()

    def _check_together(self) -> None:
        beside = (self.terms, self.evaluate, self.window_at_switch)
        if self.window == "tumbling" and beside != ("r", "every-r", "cleared"):
            found = "a tumbling window has r terms, is evaluated every r epochs and is empty after a switch."
            raise InputError.at("E1501", "window:", found, "Take a sliding window, or leave those options out.")
        if self.window == "sliding" and self.first_term == "aliased":
            found = "aliased is what the code does to a tumbling window."
            raise InputError.at("E1501", "first_term:", found, "Take window tumbling.")

    @property
    def window_length(self) -> int:
        """How many gradients a full window has."""
        return self.resolution + (self.terms == "r+1")

    @property
    def needed(self) -> int:
        """How many violations switch."""
        return self.patience + (self.violations == "exceed")

    @property
    def min_dwell(self) -> int:
        """Least epochs from one switch to the next: one evaluation sets the maximum, each of the next violates it."""
        if self.window_at_switch == "cleared":
            return self.first_dwell
        return self._every * (1 + self.needed)

    @property
    def first_dwell(self) -> int:
        """Least epochs on the first rung, where the window has to fill before the first evaluation."""
        return self._every * (ceil_div(self.window_length, self._every) + self.needed)

    @property
    def _every(self) -> int:
        return self.resolution if self.evaluate == "every-r" else 1

    def due(self, epoch: int) -> bool:
        """Whether the end of this epoch (from 0) is one at which the rule may decide."""
        return self.evaluate == "every-epoch" or (epoch + 1) % self.resolution == 0

    def threshold(self, epoch: int, stage_start: int = 0) -> float:
        """T at this epoch (from 0), of a rung whose first epoch is `stage_start`.

        >>> MuppetRule().threshold(2)
        2.228096129616973
        """
        j = epoch - stage_start if self.threshold_from == "switch" else epoch
        return self.alpha + self.beta * math.exp(-self.decay * j)

    def fp32_rates(
        self, lr0: float, min_lr: float, gamma: float = 0.1, every: int = 15, most: int = 150
    ) -> list[float]:
        """The learning rate of each FP32 epoch that follows the last switch, at most `most` of them."""
        if self.fp32_stage == "paper":
            return paper_fp32_rates(lr0, gamma, every)[:most]
        return reference_fp32_rates(lr0, min_lr, gamma, every, most) if most else []


def muppet_rule(mode: str = "reference", **options: Any) -> MuppetRule:
    """The rule of the code (`reference`) or of the paper (`paper`), with other options where given.

    The paper's threshold counts from the start, as it does not say otherwise; its sums have r + 1 terms, as printed,
    and survive a switch, at which only the set of earlier Δ is emptied. Raises `UnknownName` (E1504) and as the rule.
    """
    if mode not in MODES:
        raise unknown_name("E1504", "mode", mode, MODES)
    return replace(PAPER if mode == "paper" else REFERENCE, **options)


def impossible(switches: Sequence[int], rule: MuppetRule | None = None) -> tuple[str, ...]:
    """Why no run under the rule can have switched at the ends of these epochs (from 0); empty where one can.

    >>> impossible([17, 29, 50, 65])
    ()
    >>> impossible([17, 24])
    ('epoch 24 is no 2 mod 3', '7 epochs from 18 to 24: the rule needs 9')
    """
    rule = rule or REFERENCE
    found = []
    if len(switches) >= len(rule.ladder):
        found.append(f"{len(switches)} switches on a ladder of {len(rule.ladder)} formats")
    before = -1
    for epoch in switches:
        least = rule.min_dwell if before >= 0 else rule.first_dwell
        if not rule.due(epoch):
            found.append(f"epoch {epoch} is no {rule.resolution - 1} mod {rule.resolution}")
        if epoch - before < least:
            found.append(f"{epoch - before} epochs from {before + 1} to {epoch}: the rule needs {least}")
        before = epoch
    return tuple(found)


REFERENCE = MuppetRule()
PAPER = MuppetRule(
    window="sliding", terms="r+1", evaluate="every-epoch", violations="exceed", maximum="before", mean_over="layers",
    gradient="raw", window_at_switch="kept", fp32_stage="paper", on_undefined="skip",
)  # fmt: skip
