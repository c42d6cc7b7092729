"""How the usual tools sample a kernel and when they stop, by their sources and defaults, on a backend of the engine.

Each rule times one kernel, alone, and moves on to the next. Where a tool states no interval it has none here. CuPy
14.2, Kernel Tuner at 96a6abc, Triton 3.4, CUTLASS's profiler at 7107b05, PyTorch 2's Timer, NVBench at 66212f1.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import cached_property
from math import ceil, nan, sqrt
from statistics import fmean, median, quantiles, stdev

from perfmodel.measure.instrument import calibrate
from perfmodel.measure.simulated import Simulated
from perfmodel.profiles.intervals import median_ranks
from perfmodel.profiles.kernel import Kernel

LIMIT_S = 60.0
Z = 1.96
CLEAR_BYTES = 2**28  # Triton writes so much before each run
FLUSH_BYTES = 5.5 * 2**20  # NVBench writes the size of the L2
BLOCKED_S = 30e-6  # so long NVBench keeps the device waiting for the host
TIMER_S = 5e-6  # two readings of PyTorch's timer, which waits for the device
SPIN_S = 150e-6
SAMPLE_S = 300e-6
SAMPLES = 200

Found = tuple[float, float, float]  # seconds, and the ends of the tool's interval, NaN where it states none


class Metered(Simulated):
    """A simulated card that adds up how long it was busy, and not waiting for its host, in `busy_s`."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.busy_s = 0.0

    @cached_property
    def offset_s(self) -> float:
        """What a captured batch takes beyond its kernels, as the engine calibrates it; measured once."""
        return calibrate(self, SPIN_S)["graph_offset_s"]

    def launch(self, batch) -> None:
        """As the card's, metered."""
        self._meter(super().launch, batch)

    def launch_each(self, *arguments) -> None:
        """As the card's, metered from the first launch to the end of the last."""
        self._meter(super().launch_each, *arguments)

    def copy(self, size_bytes: int) -> None:
        """As the card's, metered."""
        self._meter(super().copy, size_bytes)

    def spin(self, seconds: float) -> None:
        """As the card's, metered."""
        self._meter(super().spin, seconds)

    def _meter(self, call: Callable, *arguments) -> None:
        before, instrument = self.stream.world.time_s, self.scenario.instrument
        enqueued = self.stream.host_s + instrument.enqueue_s
        call(*arguments)
        begun = enqueued + instrument.latency_s if enqueued >= before else before
        self.busy_s += self.stream.world.time_s - begun


class Target:
    """One kernel, built and with operands; it is launched one by one, as these tools do."""

    def __init__(self, card: Metered, kernel: Kernel):
        self.card = card
        self._function, self._operands = card.build(kernel), card.allocate(kernel, 1, "normal", 0)

    def run(self, launches: int = 1) -> None:
        """Enqueue."""
        self.card.launch_each(self._function, self._operands, launches, 0)

    def timed(self, launches: int = 1) -> float:
        """Seconds between two events around so many launches; the host waits for them."""
        first = self.card.event()
        self.run(launches)
        last = self.card.event()
        self.card.synchronise(LIMIT_S)
        return self.card.elapsed_s(first, last)

    def blocked(self, spin_s: float, launch: Callable[[], None]) -> float:
        """The same behind a kernel that keeps the device busy while the host enqueues."""
        self.card.spin(spin_s)
        first = self.card.event()
        launch()
        last = self.card.event()
        self.card.synchronise(LIMIT_S)
        return self.card.elapsed_s(first, last)

    def batch(self, launches: int) -> Callable[[], None]:
        """How to launch a captured batch."""
        captured = self.card.capture(self._function, self._operands, launches, 0)
        return lambda: self.card.launch(captured)


def cupyx_benchmark(target: Target) -> Found:
    """`cupyx.profiler.benchmark(n_repeat=100)`: 10 to warm up, then the mean of single launches, each waited for."""
    target.run(10)
    return fmean(target.timed() for _ in range(100)), nan, nan


def kernel_tuner(target: Target) -> Found:
    """The mean of 7 launches, each waited for, after one to warm up."""
    target.timed()
    return fmean(target.timed() for _ in range(7)), nan, nan


def triton_do_bench(target: Target) -> Found:
    """A cleared cache before each launch; as many as fit into 25 ms to warm up, into 100 ms for the mean."""
    card = target.card

    def cleared():
        card.copy(CLEAR_BYTES // 2)  # a copy moves twice its size
        first = card.event()
        target.run()
        return first, card.event()

    target.timed()
    begin = card.event()
    for _ in range(5):
        cleared()
    end = card.event()
    card.synchronise(LIMIT_S)
    each = card.elapsed_s(begin, end) / 5
    for _ in range(max(1, int(0.025 / each))):
        target.run()
    pairs = [cleared() for _ in range(max(1, int(0.100 / each)))]
    card.synchronise(LIMIT_S)
    return fmean(card.elapsed_s(*pair) for pair in pairs), nan, nan


def cutlass_profiler(target: Target) -> Found:
    """50 ms of sleep, 10 launches to warm up, 100 as one interval."""
    target.card.wait(0.05)
    target.run(10)
    return target.timed(100) / 100, nan, nan


def torch_adaptive_autorange(target: Target) -> Found:
    """Host time of blocks until their quartiles are within 10 % of the median, 10 ms and four blocks at least."""
    card = target.card

    def block(launches):
        start = card.now_s()
        target.run(launches)
        card.synchronise(LIMIT_S)
        return card.now_s() - start + TIMER_S

    launches = 1
    while (taken := block(launches)) < 0.05 and TIMER_S / taken > 1e-4:
        launches *= 10
    found: list[float] = []
    while sum(found) < 10.0:
        found.append(block(launches))
        if len(found) > 3 and sum(found) >= 0.01:
            first, middle, third = quantiles(found, n=4, method="inclusive")
            if (third - first) / middle < 0.1:
                break
    return median(found) / launches, nan, nan


def nvbench_stdrel(target: Target) -> Found:
    """A flushed L2 and a blocked stream before each launch; 0.5 s and 10 launches at least, 15 s of wall time at most.

    It stops at a relative deviation below 0.5 %, or where that is stable: its last 64 values within 5 %. The interval
    is mean ± 1.96 standard errors, which is what its "noise" suggests. No clock here is so low that it would discard.
    """
    card, launch = target.card, target.run
    target.timed()
    start, count, mean, squares, total, noise = card.now_s(), 0, 0.0, 0.0, 0.0, deque(maxlen=64)
    while card.now_s() - start < 15.0:
        card.copy(FLUSH_BYTES / 2)
        card.synchronise(LIMIT_S)
        seconds = target.blocked(BLOCKED_S, launch)
        count += 1
        total += seconds
        step = seconds - mean
        mean += step / count
        squares += step * (seconds - mean)
        if count > 4:
            noise.append(sqrt(squares / (count - 1)) / mean if mean else nan)
        if count >= 10 and total >= 0.5 and count % 16 == 0:
            stable = len(noise) == noise.maxlen and stdev(noise) < 0.05 * fmean(noise)
            if noise[-1] < 0.005 or stable:
                break
    half = Z * sqrt(squares / (count - 1) / count)
    return mean, mean - half, mean + half


def one_visit(target: Target) -> Found:
    """200 samples of 300 µs in one go; the median, with the interval for independent samples (order statistics)."""
    card = target.card
    offset_s = card.offset_s
    each = max(min(target.blocked(SPIN_S, target.run) for _ in range(5)), 1e-6)
    launches = max(1, min(512, ceil(SAMPLE_S / each)))
    batch = target.batch(launches)
    for _ in range(10):
        batch()
    card.synchronise(LIMIT_S)
    values = sorted((target.blocked(SPIN_S, batch) - offset_s) / launches for _ in range(SAMPLES))
    low, high = median_ranks(SAMPLES)
    return median(values), values[low - 1], values[high - 1]


RULES = {
    "cupyx benchmark, n = 100": cupyx_benchmark,
    "kernel_tuner, 7 launches": kernel_tuner,
    "triton do_bench": triton_do_bench,
    "cutlass_profiler": cutlass_profiler,
    "torch adaptive_autorange": torch_adaptive_autorange,
    "nvbench cold, stdrel": nvbench_stdrel,
    "one visit, 200 samples": one_visit,
}
