"""The stream between host and card: when the device begins what the host enqueues, and what events and stamps read."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, floor, log, nan

from perfmodel.measure.backend import DeviceFault, Hang
from perfmodel.measure.simulated.draws import Draws
from perfmodel.measure.simulated.scenario import Instrument, Noise
from perfmodel.measure.simulated.world import World

LONGEST_ENQUEUE_S = 1e9  # whatever slows the host down together: its time stays finite


@dataclass(frozen=True, slots=True)
class Work:
    """One enqueued piece of work: seconds at relative clock 1, elasticity, load, and seconds that are constant.

    `jitter` is the log-normal sd of the whole; `text` names the kernel.
    """

    seconds: float
    elasticity: float
    load: float
    fixed_s: float = 0.0
    jitter: float = 0.0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """A moment of the device; `phase` is where the event clock stands within its tick, `text` the kernel before it."""

    time_s: float
    phase: float
    text: str


@dataclass(frozen=True, slots=True)
class Stamp:
    """A moment of the device as its own counters show it."""

    timer_s: float
    cycles: int
    text: str
    time_s: float


class Stream:
    """One stream and the clock of the host that feeds it.

    The device begins at max(its own time, the host's), and `latency_s` later where it was idle. Events and stamps are
    free on the device; every call costs the host `enqueue_s`.
    """

    __slots__ = ("_draws", "_instrument", "_noise", "_text", "host_s", "slow_enqueues", "world")

    def __init__(self, instrument: Instrument, noise: Noise, world: World, draws: Draws):
        self._instrument, self._noise, self._draws = instrument, noise, draws
        self.world, self.host_s, self._text = world, 0.0, ""
        self.slow_enqueues: tuple[tuple[float, float, float], ...] = ()  # from, to (host time), factor

    def enqueue(self, latency_s: float = 0.0) -> None:
        """Spend the host's time; an idle device idles until then, and for the latency."""
        cost = self._instrument.enqueue_s
        for start, end, factor in self.slow_enqueues:
            if start <= self.host_s < end:
                cost *= factor
        self.host_s += min(cost, LONGEST_ENQUEUE_S)
        idle = self.host_s - self.world.time_s
        if idle >= 0.0:
            self.world.advance(idle + latency_s, 0.0)

    def run(self, work: Work) -> None:
        """Enqueue and do one piece of work."""
        self.enqueue(self._instrument.latency_s)
        self._do(work)

    def run_each(self, work: Work, launches: int) -> None:
        """Enqueue the same work so many times; noise and interrupts are those of one sample, as in a batch."""
        factor = self._noisy(work.jitter)
        for _ in range(launches):
            self.enqueue(self._instrument.latency_s)
            self.world.work(work.seconds * factor, work.elasticity, work.load, work.fixed_s)
        self.world.advance(self._interrupted(), work.load)
        self._text = work.text

    def spin(self, seconds: float, load: float) -> None:
        """Keep the device busy for a time that no clock and no noise changes."""
        self.enqueue(self._instrument.latency_s)
        self.world.advance(seconds, load)

    def event(self) -> Event:
        """Enqueue an event."""
        self.enqueue()
        return Event(self.world.time_s, self._draws.uniform(), self._text)

    def stamp(self) -> Stamp:
        """Enqueue a reading of both counters: the timer on the grid of its tick, whole cycles."""
        self.enqueue()
        now, tick = self.world.time_s, self._instrument.timer_tick_s
        return Stamp(floor(now / tick) * tick if tick else now, int(self.world.cycles), self._text, now)

    def elapsed_s(self, first: Event, last: Event) -> float:
        """Whole ticks that the event clock counts between two events; the mean is the true time."""
        self._done(first, last)
        passed, tick = last.time_s - first.time_s, self._instrument.event_tick_s
        return floor(first.phase + passed / tick) * tick if tick else passed

    def clock_hz(self, first: Stamp, last: Stamp) -> float:
        """Cycles over time between two stamps; not a number where the timer has not moved."""
        self._done(first, last)
        passed = last.timer_s - first.timer_s
        return (last.cycles - first.cycles) / passed if passed else nan

    def synchronise(self, limit_s: float) -> None:
        """Let the host wait for the device; `Hang` where that takes longer than the limit."""
        ahead = self.world.time_s - self.host_s
        if ahead > limit_s:
            self.host_s += limit_s
            raise Hang(f"the device is busy for another {ahead - limit_s:.3g} s")
        self.host_s = max(self.host_s, self.world.time_s)

    def wait(self, seconds: float) -> None:
        """Let the host's time pass; a device that has nothing left to do cools down."""
        self.host_s += seconds
        self.world.advance(self.host_s - self.world.time_s, 0.0)

    def _do(self, work: Work) -> None:
        seconds = work.seconds * self._noisy(work.jitter)
        self.world.work(seconds, work.elasticity, work.load, work.fixed_s + self._interrupted())
        self._text = work.text

    def _noisy(self, jitter: float) -> float:
        return exp(jitter * self._draws.normal()) if jitter else 1.0

    def _interrupted(self) -> float:
        share = self._noise.interrupt_share
        if share and self._draws.uniform() < share:
            return -self._noise.interrupt_s * log(1.0 - self._draws.uniform())
        return 0.0

    def _done(self, first: Event | Stamp, last: Event | Stamp) -> None:
        if max(first.time_s, last.time_s) > self.host_s:
            raise DeviceFault("an event or stamp was read before the device had reached it")
