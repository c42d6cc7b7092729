"""What is true of a kernel on a simulated card: what a measurement should find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from perfmodel.devices import Device
from perfmodel.errors import PerfModelError
from perfmodel.gemm import Gemm
from perfmodel.measure.backend import BuildFailed
from perfmodel.measure.simulated.scenario import Scenario
from perfmodel.profiles.kernel import Kernel

ABOVE_ROOFLINE = 1.4
OVERHEAD_S = 2e-6
MEMORY_ELASTICITY = 0.3  # of a kernel that is almost bound by arithmetic


@dataclass(frozen=True, slots=True)
class Truth:
    """Time of one launch at relative clock 1 [s], its elasticity to the clock (0 to 1), its load (0 to 1).

    At relative clock f a launch takes `seconds` · f^-`elasticity`.
    """

    seconds: float
    elasticity: float
    power: float


def default_truth(kernel: Kernel, device: Device) -> Truth:
    """1.4 times the roofline at the boost clock, plus 2 µs; bound by arithmetic, the time follows the clock in full.

    Raises `BuildFailed` for a precision that the device has no unit for.
    """
    arithmetic_s = 0.0
    if isinstance(kernel.problem, Gemm):
        try:
            arithmetic_s = kernel.flop / device.peak_flop_per_s(kernel.problem.precision, device.boost_clock_hz)
        except PerfModelError as error:
            raise BuildFailed(f"error: {error}", f"Build {kernel.text} for {device.name}.") from None
    traffic_s = kernel.bytes / device.dram_bytes_per_s
    elasticity = 1.0 if arithmetic_s >= traffic_s else MEMORY_ELASTICITY * arithmetic_s / traffic_s
    seconds = ABOVE_ROOFLINE * max(arithmetic_s, traffic_s) + OVERHEAD_S
    return Truth(seconds, elasticity, 0.3 + 0.7 * elasticity)


def stationary_clock(truths: Sequence[Truth], scenario: Scenario) -> float:
    """The relative clock once these kernels, each as often as the others, have warmed the card up.

    Both drifts stand at their median, 0; of the environment only what never ends counts.
    """
    load = sum(t.power * t.seconds for t in truths) / sum(t.seconds for t in truths)
    clock = scenario.clock
    return max(clock.lowest, clock.drooped(load)) * scenario.environment.clock_factor(inf)


def stationary_seconds(truths: Sequence[Truth], scenario: Scenario) -> np.ndarray:
    """Seconds of one launch of each kernel at that clock."""
    clock, slowdown = stationary_clock(truths, scenario), scenario.environment.slowdown(inf)
    return np.array([t.seconds * clock**-t.elasticity * slowdown for t in truths])
