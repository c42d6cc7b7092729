"""A simulated GPU: a `Backend` on a virtual clock, whose truth is known and which fails as its scenario says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

import numpy as np

from perfmodel.measure.backend import BuildFailed, CaptureFailed, DeviceFacts, Hang, NotReadable, OutOfDeviceMemory
from perfmodel.measure.simulated.draws import Draws
from perfmodel.measure.simulated.faults import BAD_VALUES
from perfmodel.measure.simulated.gate import Gate
from perfmodel.measure.simulated.handles import SPIN_LOAD, Batch, Function, Operands, captured, sample_jitter, single
from perfmodel.measure.simulated.products import SimulatedProduct, simulate_product
from perfmodel.measure.simulated.readings import simulated_reading
from perfmodel.measure.simulated.scenario import Scenario
from perfmodel.measure.simulated.stream import Event, Stamp, Stream, Work
from perfmodel.measure.simulated.truth import Truth, default_truth, stationary_clock, stationary_seconds
from perfmodel.measure.simulated.world import World
from perfmodel.profiles.kernel import Kernel

COPY_LOAD = 0.3
LARGEST_STATE = 1e300


class Simulated:
    """One simulated card, of a scenario and a seed.

    `truths` says how fast kernels are; those not in it are priced by `default_truth`. Timing depends on scenario,
    seed, truths and the order of the calls alone. A placement is drawn when operands are allocated and is not part of
    the state: a device that goes on from a state allocates after `restore` what the other allocates after `state`.
    """

    def __init__(self, scenario: Scenario, seed: int = 0, truths: Mapping[Kernel, Truth] | None = None):
        self.scenario, self.seed = scenario, seed
        self._truths = dict(truths or {})
        self._counter = 0
        self._draws = Draws(seed)
        world = World(scenario.clock, scenario.environment, scenario.device.boost_clock_hz, self._draws)
        self.stream = Stream(scenario.instrument, scenario.noise, world, self._draws)
        self._gate = Gate(scenario.faults)
        self._plan = self._gate.plan
        self.stream.slow_enqueues = tuple((f.from_s, f.to_s, f.factor) for f in self._plan.active("late enqueue"))
        self._allocated_bytes = 0
        self._produced: dict[Kernel, int] = {}

    def truth(self, kernel: Kernel) -> Truth:
        """What is true of this kernel; `BuildFailed` for a precision that the device has no unit for."""
        return self._truths.get(kernel) or default_truth(kernel, self.scenario.device)

    def long_run_clock(self, kernels: Sequence[Kernel]) -> float:
        """The relative clock (1: the boost clock) once these kernels have warmed the card up for long."""
        return stationary_clock([self.truth(kernel) for kernel in kernels], self.scenario)

    def long_run_seconds(self, kernels: Sequence[Kernel]) -> np.ndarray:
        """Seconds of one launch of each kernel at that clock: what measuring them all together should find."""
        return stationary_seconds([self.truth(kernel) for kernel in kernels], self.scenario)

    def facts(self) -> DeviceFacts:
        """The device of the scenario; the UUID is that of the scenario's file."""
        self._gate.called()
        device = self.scenario.device
        return DeviceFacts(
            kind="simulated", name=f"{device.title} (simulated)", uuid=f"SIM-{self.scenario.digest[:16]}",
            compute_capability=".".join(map(str, device.compute_capability)), sms=device.sms,
            l2_bytes=device.l2_bytes, memory_bytes=device.memory_bytes, kernels="simulated",
        )  # fmt: skip

    def reading(self, name: str) -> float | int | bool | str:
        """What the scenario fixes, else what follows from the state of the card; `NotReadable` otherwise."""
        self._gate.called()
        if self._plan.strikes("reading", name):
            raise NotReadable(f"{name}: the scenario says so")
        value = self.scenario.readings.get(name)
        if value is None:
            value = simulated_reading(name, self.stream.world, self.scenario.device.boost_clock_hz)
        if value is None:
            raise NotReadable(f"{name} is not simulated")
        return value

    def build(self, kernel: Kernel) -> Function:
        """The kernel with its truth; `BuildFailed` as the scenario says, or where the device has no such unit."""
        self._gate.called()
        if fault := self._plan.strikes("build", kernel.text):
            raise BuildFailed(fault.message, f"Build {kernel.text} in the scenario {self.scenario.name}.")
        return Function(kernel, kernel.text, self.truth(kernel))

    def resources(self, function: Function) -> Mapping[str, int]:
        """The same for every kernel."""
        self._gate.called()
        return {"registers": 128, "shared_bytes": 32768, "spilled_bytes": 0}

    def free_bytes(self) -> int:
        """The memory of the device, or what a fault leaves of it, less what is allocated."""
        self._gate.called()
        limits = [f.free_bytes for f in self._plan.active("memory limit") if f.free_bytes is not None]
        return max(0, min([self.scenario.device.memory_bytes, *limits]) - self._allocated_bytes)

    def allocate(self, kernel: Kernel, sets: int, data: str, seed: int) -> Operands:
        """So many sets of the stored operands and the output; each call draws a placement."""
        needed, free = sets * ceil(kernel.bytes), self.free_bytes()
        if needed > free or self._plan.strikes("out of memory", kernel.text):
            raise OutOfDeviceMemory(needed, free)
        self._allocated_bytes += needed
        placement = self.scenario.noise.placement
        return Operands(needed, placement * self._draws.normal() if placement else 0.0)

    def release(self, operands: Operands) -> None:
        """Give the memory back; a second time it does nothing."""
        if operands.live:
            operands.live = False
            self._allocated_bytes -= operands.size_bytes

    def capture(self, function: Function | None, operands: Operands | None, launches: int, start: int) -> Batch:
        """A batch; the sets differ in nothing, so `start` has no effect."""
        self._gate.called()
        if self._plan.strikes("capture", function.text if function else ""):
            raise CaptureFailed("the scenario says so")
        return Batch(captured(self.scenario, function, operands, launches), operands)

    def launch(self, batch: Batch) -> None:
        """Enqueue a captured batch."""
        self._gate.called()
        self._gate.launched(batch.work.text, batch.operands is None or batch.operands.live)
        self.stream.run(batch.work)

    def launch_each(self, function: Function | None, operands: Operands | None, launches: int, start: int) -> None:
        """Enqueue launches one by one; the host may well be slower than the device."""
        self._gate.called()
        self._gate.launched(function.text if function else "", operands is None or operands.live)
        self.stream.run_each(single(self.scenario, function, operands, launches), launches)

    def copy(self, size_bytes: int) -> None:
        """Enqueue a copy at the scenario's share of the memory bandwidth."""
        self._gate.called()
        bandwidth = self.scenario.instrument.copy_share * self.scenario.device.dram_bytes_per_s
        self.stream.run(Work(2 * size_bytes / bandwidth, 0.0, COPY_LOAD, jitter=sample_jitter(self.scenario.noise, 1)))

    def spin(self, seconds: float) -> None:
        """Enqueue a kernel that lasts exactly so long."""
        self._gate.called()
        self.stream.spin(seconds, SPIN_LOAD)

    def event(self) -> Event:
        """Enqueue an event."""
        self._gate.called()
        return self.stream.event()

    def elapsed_s(self, first: Event, last: Event) -> float:
        """Seconds on the grid of the tick, or what a fault makes of them."""
        self._gate.called()
        true = self.stream.elapsed_s(first, last)
        fault = self._plan.strikes("bad samples", last.text) if self._plan else None
        return BAD_VALUES[fault.value](true, self.scenario.instrument.event_tick_s) if fault else true

    def stamp(self) -> Stamp:
        """Enqueue a stamp."""
        self._gate.called()
        return self.stream.stamp()

    def clock_hz(self, first: Stamp, last: Stamp) -> float:
        """Mean SM clock between two stamps, or what a fault makes of it."""
        self._gate.called()
        true = self.stream.clock_hz(first, last)
        fault = self._plan.strikes("bad clock", last.text) if self._plan else None
        return BAD_VALUES[fault.value](true, 1.0) if fault else true

    def synchronise(self, limit_s: float) -> None:
        """Wait for the device. Faults of launches show here: `KernelFault`, `Hang`; both stay until a restart."""
        self._gate.called()
        try:
            self._gate.waited(limit_s)
        except Hang:
            self.stream.host_s += limit_s
            raise
        self.stream.synchronise(limit_s)

    def now_s(self) -> float:
        """Virtual time of the host."""
        return self.stream.host_s

    def wait(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.stream.wait(seconds)

    def product(self, function: Function, kernel: Kernel, data: str, seed: int) -> SimulatedProduct:
        """The product of a smaller problem in the kernel's own arithmetic; it takes no virtual time."""
        self._gate.called()
        fault = self._plan.strikes("wrong", kernel.text)
        launched = self._produced[kernel] = self._produced.get(kernel, 0) + 1
        return simulate_product(kernel, data, seed, fault.how if fault else "", again=launched > 1)

    def state(self) -> dict:
        """Where the card stands. It moves on to the random numbers of the next counter, as a restored device does."""
        self._gate.called()
        self._move_to(self._counter + 1, restored=False)
        return {"counter": self._counter, "time_s": self.stream.host_s, **self.stream.world.to_json()}

    def restore(self, state: Mapping) -> bool:
        """Go on from there; False for what `state` did not write."""
        self._gate.called()
        names = ("time_s", *self.stream.world.to_json())
        counter, numbers = state.get("counter"), {name: state.get(name) for name in names}
        if type(counter) is not int or counter < 1:
            return False
        if not all(type(value) in (int, float) and abs(value) < LARGEST_STATE for value in numbers.values()):
            return False
        self.stream.host_s = numbers["time_s"]
        self.stream.world.restore(numbers)
        self._move_to(counter, restored=True)
        return True

    def close(self) -> None:
        """Nothing to give back."""

    def _move_to(self, counter: int, restored: bool) -> None:
        self._counter = counter
        self._draws.restart(counter)
        self._plan.reach(counter, restored)
