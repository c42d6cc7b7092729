"""Warming the device up until its clock is steady; what the clock then is, is the session's reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from perfmodel.measure.backend import NotReadable
from perfmodel.measure.bench import Bench
from perfmodel.measure.recorder import Interrupted
from perfmodel.profiles.kernel import Kernel

STEP_S = 0.25  # so long may Ctrl-C wait
WINDOW_S = 5.0
STEADY_WITHIN = 0.003


@dataclass(slots=True)
class Warming:
    """Seconds since the start and clock (None where it could not be read) of each step."""

    times_s: list[float] = field(default_factory=list)
    clocks_hz: list[float | None] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return self.times_s[-1] if self.times_s else 0.0

    def add(self, seconds: float, clock_hz: float | None) -> None:
        """One more step."""
        self.times_s.append(self.seconds + seconds)
        self.clocks_hz.append(clock_hz)

    def between(self, begin_s: float, end_s: float) -> list[float]:
        """The clocks of the steps that ended after `begin_s`, until `end_s`."""
        pairs = zip(self.times_s, self.clocks_hz, strict=True)
        return [clock for t, clock in pairs if clock is not None and begin_s < t <= end_s]

    @property
    def steady(self) -> bool:
        """Whether the median clock of the last five seconds is within 0.3 % of that of the five before."""
        end = self.seconds
        if end < 2 * WINDOW_S:
            return False
        last, before = self.between(end - WINDOW_S, end), self.between(end - 2 * WINDOW_S, end - WINDOW_S)
        return bool(last and before) and abs(median(last) / median(before) - 1) < STEADY_WITHIN

    @property
    def reference_hz(self) -> float:
        """The median clock of the last third; `NotReadable` where the clock never was."""
        clocks = self.between(self.seconds * 2 / 3, self.seconds) or self.between(0.0, self.seconds)
        if not clocks:
            raise NotReadable("the SM clock could never be read while warming up")
        return median(clocks)


def warm_up(
    bench: Bench, kernels: Sequence[Kernel], least_s: float, most_s: float, stop: Callable[[], bool],
    tell: Callable[[float], None],
) -> Warming:  # fmt: skip
    """Run kernels in turn for `least_s`, and then until the clock is steady or `most_s` have passed.

    `tell` is told the seconds after each step. Raises `Interrupted` where `stop` says so.
    """
    warming, following = Warming(), 0
    while not warming.times_s or warming.seconds < least_s or (warming.seconds < most_s and not warming.steady):
        if stop():
            raise Interrupted
        step = bench.settle(kernels, following, STEP_S)
        following = step["next"]
        warming.add(step["seconds"], step["clock_hz"])
        tell(warming.seconds)
    return warming
