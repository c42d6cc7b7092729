"""The virtual card: its time, its drifting clock, its heat, and what others do to it. No launches, no host."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, sqrt

from perfmodel.measure.simulated.draws import Draws

PIECE_S = 0.02  # the clock is held that long; the drift is slow against it
MOST_PIECES = 512  # of what is still to do: hours of work must not take minutes to simulate
SLOWEST = 1e9  # by how much all throttles, or all tenants, may slow the card down together: nothing overflows then


@dataclass(frozen=True, slots=True)
class ClockModel:
    """How the SM clock wanders, relative to the boost clock: two Ornstein-Uhlenbeck processes and a droop by heat.

    `sd` and `slow_sd` are stationary standard deviations, the `tau_s` correlation times. Heat follows the load (0 to
    1) with `heat_tau_s`; above `droop_from` the clock falls, by `droop` at a heat of 1. All zero: a clock that stands.
    """

    sd: float = 0.0
    tau_s: float = 2.0
    slow_sd: float = 0.0
    slow_tau_s: float = 60.0
    droop: float = 0.0
    droop_from: float = 0.35
    heat_tau_s: float = 3.0
    lowest: float = 0.5

    def drooped(self, heat: float) -> float:
        """The relative clock at this heat, without drift."""
        return 1.0 - self.droop * max(0.0, heat - self.droop_from) / (1.0 - self.droop_from)


@dataclass(frozen=True, slots=True)
class Span:
    """A number that holds from one device time up to another; `to_s` infinite means for good."""

    from_s: float
    to_s: float
    amount: float

    def holds(self, time_s: float) -> bool:
        """Whether it holds at this time; the infinite time is after all that ends."""
        return self.from_s <= time_s and (time_s < self.to_s or self.to_s == inf)


@dataclass(frozen=True, slots=True)
class Environment:
    """What happens to the card at set times, counted from the time zero of the device.

    `throttles` multiply the clock and show in the clock reasons. `clock_steps` (time, factor; the last one that was
    reached counts) and `bimodal` (factor, period: every other period) multiply it without a reason. `tenants` lengthen
    all work by their amount.
    """

    throttles: tuple[Span, ...] = ()
    tenants: tuple[Span, ...] = ()
    clock_steps: tuple[tuple[float, float], ...] = ()
    bimodal: tuple[float, float] | None = None

    @property
    def changes_clock(self) -> bool:
        """Whether `clock_factor` can differ from 1."""
        return bool(self.throttles or self.clock_steps or self.bimodal)

    def throttled(self, time_s: float) -> bool:
        """Whether a throttle holds."""
        return any(span.holds(time_s) for span in self.throttles)

    def clock_factor(self, time_s: float) -> float:
        """By what the clock is multiplied at this time; at infinity a clock with two modes counts with their mean."""
        factor = 1.0
        for span in self.throttles:
            if span.holds(time_s):
                factor *= span.amount
        for at_s, step in reversed(self.clock_steps):
            if at_s <= time_s:
                factor *= step
                break
        if self.bimodal is not None:
            other, period_s = self.bimodal
            if time_s == inf:
                factor *= (1.0 + other) / 2
            elif int(time_s / period_s) % 2:
                factor *= other
        return max(factor, 1 / SLOWEST)

    def slowdown(self, time_s: float) -> float:
        """By what all work is multiplied at this time."""
        factor = 1.0
        for span in self.tenants:
            if span.holds(time_s):
                factor *= 1.0 + span.amount
        return min(factor, SLOWEST)


class World:
    """The card at one moment of device time. Only `advance` moves it; every step is exact for the model."""

    __slots__ = ("_boost_hz", "_changes_clock", "_draws", "_shared", "clock", "cycles", "environment", "fast", "heat",
                 "load", "slow", "time_s")  # fmt: skip

    def __init__(self, clock: ClockModel, environment: Environment, boost_hz: float, draws: Draws):
        self.clock, self.environment = clock, environment
        self._boost_hz, self._draws = boost_hz, draws
        self._changes_clock, self._shared = environment.changes_clock, bool(environment.tenants)
        self.time_s = self.fast = self.slow = self.heat = self.cycles = self.load = 0.0

    def relative_clock(self) -> float:
        """The SM clock as a share of the boost clock, now."""
        relative = max(self.clock.lowest, self.clock.drooped(self.heat) + self.fast + self.slow)
        return relative * self.environment.clock_factor(self.time_s) if self._changes_clock else relative

    def advance(self, seconds: float, load: float) -> None:
        """Let time pass under a load; the cycle counter runs at the clock of the beginning."""
        if seconds <= 0.0:
            return
        clock = self.clock
        self.cycles += self.relative_clock() * self._boost_hz * seconds
        if clock.sd:
            self.fast = self._wandered(self.fast, clock.sd, seconds / clock.tau_s)
        if clock.slow_sd:
            self.slow = self._wandered(self.slow, clock.slow_sd, seconds / clock.slow_tau_s)
        self.heat = load + (self.heat - load) * exp(-seconds / clock.heat_tau_s)
        self.time_s += seconds
        self.load = load

    def work(self, seconds: float, elasticity: float, load: float, fixed_s: float = 0.0) -> None:
        """Do what takes so many seconds at relative clock 1 and alone, then `fixed_s` that depend on neither."""
        while True:
            rate = self.relative_clock() ** -elasticity
            if self._shared:
                rate *= self.environment.slowdown(self.time_s)
            left = seconds * rate
            if left <= PIECE_S:
                self.advance(left + fixed_s, load)
                return
            piece = max(PIECE_S, left / MOST_PIECES)
            self.advance(piece, load)
            seconds -= piece / rate

    def to_json(self) -> dict[str, float]:
        """What `restore` needs; JSON keeps these numbers exactly."""
        return {
            "device_s": self.time_s, "ou": self.fast, "ext": self.slow, "heat": self.heat, "cycles": self.cycles,
            "load": self.load,
        }  # fmt: skip

    def restore(self, state: dict[str, float]) -> None:
        """Take the moment that `to_json` wrote."""
        self.time_s, self.fast, self.slow = state["device_s"], state["ou"], state["ext"]
        self.heat, self.cycles, self.load = state["heat"], state["cycles"], state["load"]

    def _wandered(self, value: float, sd: float, steps: float) -> float:
        """An Ornstein-Uhlenbeck process after so many correlation times."""
        decay = exp(-steps)
        return value * decay + sd * sqrt(1.0 - decay * decay) * self._draws.normal()
