"""What the simulated device hands out: functions, operands, batches; and the work that launching them is."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from perfmodel.measure.simulated.scenario import Noise, Scenario
from perfmodel.measure.simulated.stream import Work
from perfmodel.measure.simulated.truth import Truth
from perfmodel.profiles.kernel import Kernel

SPIN_LOAD = 0.1  # of kernels that compute nothing


@dataclass(frozen=True, slots=True)
class Function:
    """A kernel that was built."""

    kernel: Kernel
    text: str
    truth: Truth


@dataclass(eq=False, slots=True)
class Operands:
    """Allocated sets; `placement` is by how much this allocation slows its kernel down."""

    size_bytes: int
    placement: float
    live: bool = True


@dataclass(frozen=True, slots=True)
class Batch:
    """A captured batch: its work, and the operands that must still be there."""

    work: Work
    operands: Operands | None


def sample_jitter(noise: Noise, launches: int) -> float:
    """The log-normal sd of a sample of so many launches."""
    return sqrt(noise.jitter**2 / launches + noise.sample_jitter**2)


def captured(scenario: Scenario, function: Function | None, operands: Operands | None, launches: int) -> Work:
    """The launches as one piece of work, constant times included; empty kernels without a function."""
    instrument = scenario.instrument
    fixed_s = instrument.graph_offset_s + launches * instrument.graph_gap_s
    return _work(scenario, function, operands, launches, launches, fixed_s)


def single(scenario: Scenario, function: Function | None, operands: Operands | None, launches: int) -> Work:
    """One of so many launches that the host enqueues one by one; the jitter is that of all of them."""
    return _work(scenario, function, operands, 1, launches, 0.0)


def _work(
    scenario: Scenario,
    function: Function | None,
    operands: Operands | None,
    at_once: int,
    launches: int,
    fixed_s: float,
) -> Work:
    truth = function.truth if function else Truth(scenario.instrument.empty_s, 0.0, SPIN_LOAD)
    seconds = at_once * truth.seconds * (1.0 + (operands.placement if operands else 0.0))
    jitter = sample_jitter(scenario.noise, launches)
    return Work(seconds, truth.elasticity, truth.power, fixed_s, jitter, function.text if function else "")
