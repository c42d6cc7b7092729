"""Timing launches of one kernel: operands, batches, samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from perfmodel.measure.backend import Backend, CaptureFailed, DeviceFault, NotReadable, OutOfDeviceMemory
from perfmodel.measure.settings import MOST_LAUNCHES, Settings
from perfmodel.profiles.kernel import Kernel
from perfmodel.units import ceil_div

MOST_SETS = 2**16  # of operands: kernels of a few bytes would have millions
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
    return max(2, min(MOST_SETS, 1 + math.ceil(settings.l2_multiple * l2_bytes / kernel.bytes)))


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


@contextmanager
def giving_back(backend: Backend, held: Sequence) -> Iterator[None]:
    """Release operands in the end, but not on a broken device: that fails too, or never returns, and hides why."""
    works = True
    try:
        yield
    except DeviceFault as fault:
        works = not fault.sticky
        raise
    finally:
        if works:
            for operands in held:
                backend.release(operands)


def captured(
    backend: Backend, function, operands, launches: int, starts: Sequence[int], mode: str
) -> tuple[list[Callable], str]:
    """How to launch a batch from each start, and the mode: `graph`, or `stream` where asked for or not to be captured.

    In mode `stream` the host launches one by one.
    """
    if mode == "graph":
        try:
            batches = [backend.capture(function, operands, launches, start) for start in starts]
            return [lambda batch=batch: backend.launch(batch) for batch in batches], mode
        except CaptureFailed:
            pass
    return [lambda at=at: backend.launch_each(function, operands, launches, at) for at in starts], "stream"


def starts_of(first: int, sets: int, launches: int, samples: int) -> list[int]:
    """Where in the rotation the batches of a visit start: each where the last one ended.

    One batch does where it goes through all sets. A shorter one, again and again, would find its few sets in the L2; so
    there are as many as go through all sets, or one for each sample and one before, whichever is less.

    >>> starts_of(3, 11, 4, 5), starts_of(3, 100, 7, 2), starts_of(3, 5, 5, 7)
    ([3, 7, 0], [3, 10, 17], [3])
    """
    count = min(ceil_div(sets, launches), samples + 1)
    return [(first + i * launches) % sets for i in range(count)]


def offset_of(instrument: Mapping, mode: str | None) -> float:
    """What a sample takes beyond its launches [s], by how these are enqueued."""
    offset_s = instrument["graph_offset_s"] if mode == "graph" else None
    return instrument["event_offset_s"] if offset_s is None else offset_s


def timed(
    backend: Backend, launch: Callable, spin_s: float, limit_s: float, one_by_one: int = 1
) -> tuple[float, float, bool]:
    """Seconds and clock of one piece of work, and whether the device had to wait for the host to enqueue it.

    That is where the host takes longer than the spin, and, where it enqueues several launches `one_by_one`, longer than
    the device takes until the last of them.
    """
    start_s = backend.now_s()
    backend.spin(spin_s)
    stamp, event = backend.stamp(), backend.event()
    launch()
    last_event, last_stamp = backend.event(), backend.stamp()
    host_s = backend.now_s() - start_s
    backend.synchronise(limit_s)
    seconds = backend.elapsed_s(event, last_event)
    busy_s = spin_s + ((finite(seconds) or 0.0) * (1 - 1 / one_by_one) if one_by_one > 1 else 0.0)
    return seconds, backend.clock_hz(stamp, last_stamp), host_s > busy_s


def samples_of(
    backend: Backend, batches: Sequence[Callable], mode: str, visit: Visit, settings: Settings
) -> tuple[list, list, bool]:
    """Seconds and clock of each sample of a visit, null where there is none, and whether any was enqueued late.

    Before, the kernel runs for a while unrecorded, to bring caches and power to what it makes of them: the first of
    the batches. The samples then take all of them in turn, from the second on.
    """
    limit_s = max(settings.watchdog_s, TIMES_EXPECTED * visit.sample_s)
    start = backend.now_s()
    while True:
        batches[0]()
        backend.synchronise(limit_s)
        if backend.now_s() - start >= settings.condition_s:
            break
    in_turn = (batches[i % len(batches)] for i in range(1, settings.samples + 1))
    one_by_one = visit.launches if mode == "stream" else 1
    found = [timed(backend, launch, visit.spin_s, limit_s, one_by_one) for launch in in_turn]
    seconds, clocks = ([finite(row[i]) for row in found] for i in (0, 1))
    return seconds, clocks, any(late for *_, late in found)


def pilot(backend: Backend, function, operands, instrument: Mapping, settings: Settings) -> dict:
    """How many launches make a sample: enough for the event tick, and for the offset of a batch not to matter.

    The fields of a `kernel` record from `launches` on. Raises `NotReadable` where the events give no time.
    """
    mode = "stream" if instrument.get("graph_offset_s") is None else "graph"
    launches = 1
    for _ in range(GROWTHS):
        (run,), mode = captured(backend, function, operands, launches, (0,), mode)
        offset_s = offset_of(instrument, mode)
        run()  # first launches load code
        seconds = [timed(backend, run, settings.spin_s, settings.watchdog_s)[0] for _ in range(PILOTS)]
        seconds = [one for one in seconds if 0 <= one < math.inf]
        if not seconds:
            raise NotReadable("no sample has a time: the events give none")
        each = max((min(seconds) - offset_s) / launches, instrument["event_tick_s"] / launches, 1e-9)
        wanted = max(1, min(MOST_LAUNCHES, math.ceil(_least_s(instrument, offset_s, settings) / each)))
        if wanted <= launches:
            break
        launches = min(wanted, launches * GROWTH)
    return {"launches": launches, "offset_s": offset_s, "mode": mode, "expected_s": each}


def _least_s(instrument: Mapping, offset_s: float, settings: Settings) -> float:
    exact_s = max(settings.sample_ticks * instrument["event_tick_s"], offset_s / OFFSET_SHARE)
    return max(settings.sample_s, min(exact_s, LONGEST_SAMPLE_S))


def finite(value: float) -> float | None:
    """The number as a record holds it: null where a broken clock gives none."""
    return value if math.isfinite(value) else None


def positive(value: float) -> float | None:
    """The number where it can be a time or a clock, else null."""
    return value if 0 < value < math.inf else None
