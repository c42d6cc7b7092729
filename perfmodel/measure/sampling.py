"""Timing launches of one kernel: operands, batches, samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from perfmodel.measure.backend import Backend, CaptureFailed, NotReadable, OutOfDeviceMemory
from perfmodel.measure.settings import MOST_LAUNCHES, Settings
from perfmodel.profiles.kernel import Kernel

TIMES_EXPECTED = 20.0  # what takes so many times longer than expected has hung
OFFSET_SHARE = 0.005  # of a sample that its own start and end may take
LONGEST_SAMPLE_S = 0.25  # that a coarse tick or a large offset may ask for
PILOTS, GROWTHS, GROWTH = 3, 4, 16  # samples of each length; lengths; how much longer one may be than the last


@dataclass(frozen=True, slots=True)
class Visit:
    """What one visit is asked to do; the numbers are those of the kernel's record (`expected_s`: of one launch)."""

    kernel: Kernel
    launches: int
    sets: int
    mode: str
    spin_s: float
    seed: int
    recheck: bool = False
    expected_s: float = 0.0

    @property
    def sample_s(self) -> float:
        """How long a sample is expected to take [s]."""
        return self.launches * self.expected_s


def cold_sets(kernel: Kernel, settings: Settings, l2_bytes: int) -> int:
    """Operand sets that together exceed the L2 so often that no set is still there when its turn comes."""
    return max(2, 1 + math.ceil(settings.l2_multiple * l2_bytes / kernel.bytes))


def allocate(backend: Backend, kernel: Kernel, sets: int, settings: Settings, seed: int):
    """How many sets were allocated, and these: where memory is short half as many until they fit, one at last."""
    allowed = settings.memory_share * backend.free_bytes()
    sets = max(1, min(sets, int(allowed // kernel.bytes)))
    while True:
        try:
            return sets, backend.allocate(kernel, sets, settings.data, seed)
        except OutOfDeviceMemory:
            if sets == 1:
                raise
            sets = max(1, sets // 2)


def captured(backend: Backend, function, operands, launches: int, start: int, mode: str) -> tuple[Callable, str]:
    """How to launch a batch, and its mode: `graph`, or `stream` (one by one) where asked for or not to be captured."""
    if mode == "graph":
        try:
            batch = backend.capture(function, operands, launches, start)
            return (lambda: backend.launch(batch)), mode
        except CaptureFailed:
            pass
    return (lambda: backend.launch_each(function, operands, launches, start)), "stream"


def timed(backend: Backend, launch: Callable, spin_s: float, limit_s: float) -> tuple[float, float, bool]:
    """Seconds and clock of one piece of work, and whether the host was later to enqueue it than the spin lasts."""
    enqueued = backend.now_s()
    backend.spin(spin_s)
    stamp, event = backend.stamp(), backend.event()
    launch()
    last_event, last_stamp = backend.event(), backend.stamp()
    late = backend.now_s() - enqueued > spin_s
    backend.synchronise(limit_s)
    return backend.elapsed_s(event, last_event), backend.clock_hz(stamp, last_stamp), late


def samples_of(backend: Backend, launch: Callable, visit: Visit, settings: Settings) -> tuple[list, list, bool]:
    """Seconds and clock of each sample of a visit, null where there is none, and whether any was enqueued late.

    Before, the kernel runs for a while unrecorded, to bring caches and power to what it makes of them.
    """
    limit_s = max(settings.watchdog_s, TIMES_EXPECTED * visit.sample_s)
    start = backend.now_s()
    while True:
        launch()
        backend.synchronise(limit_s)
        if backend.now_s() - start >= settings.condition_s:
            break
    found = [timed(backend, launch, visit.spin_s, limit_s) for _ in range(settings.samples)]
    seconds, clocks = ([finite(row[i]) for row in found] for i in (0, 1))
    return seconds, clocks, visit.mode == "graph" and any(late for *_, late in found)


def pilot(backend: Backend, function, operands, instrument: Mapping, settings: Settings) -> dict:
    """How many launches make a sample: enough for the event tick, and for the offset of a batch not to matter.

    The fields of a `kernel` record from `launches` on. Raises `NotReadable` where the events give no time.
    """
    mode = "stream" if instrument.get("graph_offset_s") is None else "graph"
    offset_s = instrument["event_offset_s" if mode == "stream" else "graph_offset_s"]
    exact_s = max(settings.sample_ticks * instrument["event_tick_s"], offset_s / OFFSET_SHARE)
    least_s = max(settings.sample_s, min(exact_s, LONGEST_SAMPLE_S))
    launches = 1
    for _ in range(GROWTHS):
        run, mode = captured(backend, function, operands, launches, 0, mode)
        run()  # first launches load code
        seconds = [timed(backend, run, settings.spin_s, settings.watchdog_s)[0] for _ in range(PILOTS)]
        seconds = [one for one in seconds if 0 <= one < math.inf]
        if not seconds:
            raise NotReadable("no sample has a time: the events give none")
        each = max((min(seconds) - offset_s) / launches, instrument["event_tick_s"] / launches, 1e-9)
        wanted = max(1, min(MOST_LAUNCHES, math.ceil(least_s / each)))
        if wanted <= launches:
            break
        launches = min(wanted, launches * GROWTH)
    return {"launches": launches, "offset_s": offset_s, "mode": mode, "expected_s": each}


def finite(value: float) -> float | None:
    """The number as a record holds it: null where a broken clock gives none."""
    return value if math.isfinite(value) else None


def positive(value: float) -> float | None:
    """The number where it can be a time or a clock, else null."""
    return value if 0 < value < math.inf else None
