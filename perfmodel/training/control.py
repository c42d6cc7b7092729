"""Which format each iteration of a run has, and which learning rate each epoch: what differs between schemes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Protocol

import numpy as np

from perfmodel.policies.cyclic import Cycle
from perfmodel.policies.decision import Decision
from perfmodel.policies.diversity import Norms
from perfmodel.policies.muppet import MuppetPolicy
from perfmodel.schemes import Scheme
from perfmodel.schemes.schedule import Constant, Cyclic
from perfmodel.traces import values
from perfmodel.training.options import MOST, Options

GAMMA = 0.1  # what a stage multiplies the learning rate with
STAGES = 3  # of a run in one format: the paper's 150 epochs have drops at 50 and 100
EPOCHS_PER_LR = 15  # of MuPPET's FP32 phase

Observed = Callable[[str], Mapping[str, np.ndarray]]  # the last step's gradients, "stepped" or "raw"


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What a policy decided at the end of an epoch, and the norms that it decided by where it looked at gradients."""

    decision: Decision
    norms: Mapping[str, Norms]


class Control(Protocol):
    """What a training loop asks at the beginning and the end of each epoch."""

    def rate(self, epoch: int) -> float | None:
        """The learning rate of an epoch; None where training is over."""
        ...

    def formats(self, epoch: int) -> Sequence[str]:
        """The format of each iteration of the epoch."""
        ...

    def end(self, epoch: int, gradients: Observed) -> Evaluated | None:
        """Decide at the end of an epoch; None where nothing decides."""
        ...

    def state(self) -> dict[str, Any]:
        """Numbers and arrays for a checkpoint."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from such a state."""
        ...


def find_control(options: Options, scheme: Scheme, iterations: int) -> Control:
    """The control of a run whose epochs have so many iterations.

    Raises `InputError` (E1501) for fewer iterations than the cycles of a cyclic schedule.
    """
    rates = tuple(stepped_rates(options.lr, options.epochs))
    if options.switches:
        return Switching(options, iterations)
    if isinstance(scheme.schedule, Cyclic):
        return CyclicBits(scheme.schedule.cycle, rates, iterations)
    return OneFormat(options.ladder[0] if options.ladder else fixed_format(scheme), rates, iterations)


def fixed_format(scheme: Scheme) -> str:
    """The format of a scheme's runs in one format: its schedule's, or the first that it trains in."""
    schedule = scheme.schedule
    wanted = schedule.format if isinstance(schedule, Constant) else ""
    return wanted if wanted in scheme.formats else scheme.formats[0]


def stepped_rates(lr: float, epochs: int) -> list[float]:
    """The learning rate of each epoch of a run in one format: a tenth at each third.

    Section 5.1 of the MuPPET paper, whose FP32 baselines have 150 epochs.

    >>> [f"{rate:g}" for rate in stepped_rates(0.5, 7)]
    ['0.5', '0.5', '0.5', '0.05', '0.05', '0.005', '0.005']
    """
    return [lr * GAMMA ** (STAGES * epoch // epochs) for epoch in range(epochs)]


class OneFormat:
    """One format throughout, the rates given."""

    def __init__(self, format_: str, rates: Sequence[float], iterations: int):
        self._formats = tuple(repeat(format_, iterations))
        self._rates = rates

    def rate(self, epoch: int) -> float | None:
        """The epoch's, as long as there are epochs."""
        return self._rates[epoch] if epoch < len(self._rates) else None

    def formats(self, epoch: int) -> Sequence[str]:
        """The one, as often as there are iterations."""
        return self._formats

    def end(self, epoch: int, gradients: Observed) -> None:
        """Nothing is decided."""

    def state(self) -> dict[str, Any]:
        """Nothing: the epoch says it all."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Nothing to do."""


class CyclicBits(OneFormat):
    """CPT: bits that change from iteration to iteration, over all epochs."""

    def __init__(self, cycle: Cycle, rates: Sequence[float], iterations: int):
        super().__init__("", rates, iterations)
        self._cycle, self._iterations, self._total = cycle, iterations, iterations * len(rates)
        cycle.length(self._total)  # checks

    def formats(self, epoch: int) -> Sequence[str]:
        """Those of the cycle from the epoch's first iteration on."""
        steps = np.arange(self._iterations) + epoch * self._iterations
        return [f"int{bits}" for bits in self._cycle.bits(self._total, steps)]


class Switching:
    """MuPPET: `perfmodel.policies.MuppetPolicy` decides, and the rate is constant up to the last rung.

    There it falls stage by stage until the rule's FP32 phase ends, or `epochs` are over. A ladder whose last rung is
    quantised has the same phase there.
    """

    def __init__(self, options: Options, iterations: int):
        self.policy = MuppetPolicy(options.rule)
        self._options, self._iterations = options, iterations
        self._last_stage = 0  # its first epoch, once it is reached

    def rate(self, epoch: int) -> float | None:
        """The first rate, in the last stage the rule's."""
        given = self._options
        if not self.policy.finished:
            return given.lr if epoch < given.epochs else None
        left = given.epochs - self._last_stage
        rates = self.policy.rule.fp32_rates(given.lr, given.min_lr, GAMMA, EPOCHS_PER_LR, left)
        since = epoch - self._last_stage
        return rates[since] if since < len(rates) else None

    def formats(self, epoch: int) -> Sequence[str]:
        """The policy's, as often as there are iterations."""
        return tuple(repeat(self.policy.format, self._iterations))

    def end(self, epoch: int, gradients: Observed) -> Evaluated | None:
        """What the policy says of the epoch's last gradients."""
        if self.policy.finished:
            return None
        before = self.policy.norms
        decision = self.policy.observe(epoch, gradients(self.policy.rule.gradient))
        if self.policy.finished:
            self._last_stage = epoch + 1
        looked = self.policy.norms is not before
        return Evaluated(decision, self.policy.norms if looked else {})

    def state(self) -> dict[str, Any]:
        """The policy's, and where the last stage began."""
        return {"policy": self.policy.state(), "last_stage": self._last_stage}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from such a state; `InputError` as `MuppetPolicy.restore`."""
        self.policy.restore(state["policy"])
        self._last_stage = values.whole("last_stage", state["last_stage"], 0, MOST["epochs"])
