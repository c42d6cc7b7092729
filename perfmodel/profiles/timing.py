"""The time of one kernel, from all of its visits in all sessions of a profile."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from perfmodel.profiles.anomalies import is_unstable, usable
from perfmodel.profiles.kernel import Kernel
from perfmodel.profiles.session import Planned, Session, Visit
from perfmodel.profiles.statistics import (
    SessionEstimate,
    combine_sessions,
    estimate_session,
    resolution_of,
    visit_seconds,
)

NO_CLOCK = "no_clock"  # flag of an instrument that never reads a clock: its times are taken as they are
LEAST_SESSIONS = 3  # fewer say nothing about what differs between sessions
SHORTEST_S, LONGEST_S = 1e-100, 1e100  # no time is out here, but a file that was edited may say so


@dataclass(frozen=True, slots=True)
class Timing:
    """The time of one launch of a kernel, and how well it is known.

    `seconds` is the time at the clock `reference_hz`, `raw_seconds` at whatever clocks there were. `low` and `high`
    enclose it with 95 %, as `interval` says: `session` over the visits of one session (of two: the envelope), at
    their reference clock; `sessions` over three or more sessions; `none`, where they are NaN. `elasticity` is b in
    t ~ clock**-b. `spread` is the relative deviation between the visits of a session. With several sessions
    `reference_hz`, `raw_seconds`, `elasticity` and `spread` are medians over them. `bound_s` is the roofline (NaN
    where none is stored), `weight` how often the plan's training steps launch the kernel: of several, the largest.
    `flags` are those of the visits, what went wrong later (`hang`, `lost`, `failed`), `unstable`, and `unverified`.
    """

    kernel: Kernel
    seconds: float
    low: float
    high: float
    interval: str
    visits: int
    sessions: int
    raw_seconds: float
    reference_hz: float
    elasticity: float
    elasticity_sd: float
    spread: float
    bound_s: float
    weight: float
    flags: tuple[str, ...]

    @property
    def half_width(self) -> float:
        """Half of the interval as a share of the time; NaN where there is none."""
        return (self.high - self.low) / 2 / self.seconds


@dataclass(frozen=True, slots=True)
class Seen:
    """What one session says about one kernel: its records of the plan (one, as a rule), and the visits that count."""

    session: Session
    planned: tuple[Planned, ...]
    visits: tuple[Visit, ...]


def timing(kernel: Kernel, seen: Sequence[Seen], later: Iterable[str] = ()) -> Timing | None:
    """The time of a kernel; None where no visit can be used. `later` are further flags, such as `hang`."""
    estimates, references, flags = [], [], set(later)
    for one in seen:
        pairs = [pair for visit in one.visits if (pair := _value(visit, one.session)) is not None]
        if not pairs:
            continue
        estimate = _estimate(pairs, one)
        estimates.append(estimate)
        references.append(math.nan if _clockless(one.session) else one.session.reference_hz)
        flags.update(flag for visit in one.visits for flag in visit.flags)
        if is_unstable(_adjusted(pairs, one.session, estimate)):
            flags.add("unstable")
        if one.session.settings.get("verify") == "off":
            flags.add("unverified")
    if not estimates:
        return None
    total = combine_sessions(estimates)
    found = "none" if math.isnan(total.low) else "sessions" if len(estimates) >= LEAST_SESSIONS else "session"
    planned = [plan for one in seen for plan in one.planned]
    return Timing(
        kernel, total.seconds, total.low, total.high, found, sum(one.visits for one in estimates), len(estimates),
        _median(one.raw_seconds for one in estimates), _median(references),
        _median(one.elasticity for one in estimates), _median(one.elasticity_sd for one in estimates),
        _median(one.spread for one in estimates),
        max((plan.bound_s for plan in planned if plan.bound_s > 0), default=math.nan),
        max((plan.weight for plan in planned), default=1.0), tuple(sorted(flags)),
    )  # fmt: skip


def _clockless(session: Session) -> bool:
    return NO_CLOCK in session.flags


def _value(visit: Visit, session: Session) -> tuple[float, float] | None:
    """Seconds of a launch and clock of a visit, from the samples that have both; None where there are none."""
    if _clockless(session):
        seconds, clock = visit.seconds, 1.0
    else:
        seconds = [one for one, hz in zip(visit.seconds, visit.clocks_hz, strict=True) if usable(one, hz)]
        clock = visit.clock_hz
    value = visit_seconds(seconds, visit.launches, visit.offset_s)
    return None if math.isnan(value) else (value, clock)


def _estimate(pairs: Sequence[tuple[float, float]], seen: Seen) -> SessionEstimate:
    values, clocks = zip(*pairs, strict=True)
    prior = _median(plan.prior for plan in seen.planned)
    if not _clockless(seen.session):
        return estimate_session(values, clocks, seen.session.reference_hz, prior, _resolution(seen))
    found = estimate_session(values, clocks, 1.0, 0.0, _resolution(seen))
    return SessionEstimate(
        found.seconds, found.low, found.high, found.visits, math.nan, math.nan, found.raw_seconds, found.spread
    )  # fmt: skip


def _resolution(seen: Seen) -> float:
    found = ((_value(visit, seen.session), visit.launches) for visit in seen.visits)
    samples = (value[0] * launches for value, launches in found if value is not None)
    return resolution_of(seen.session.event_tick_s, samples)


def _adjusted(pairs: Sequence[tuple[float, float]], session: Session, estimate: SessionEstimate) -> list[float]:
    """The visit values at the reference clock."""
    if _clockless(session):
        return [value for value, _ in pairs]
    reference = math.log(session.reference_hz)
    return [_scaled(value, estimate.elasticity * (math.log(clock) - reference)) for value, clock in pairs]


def _scaled(seconds: float, log_factor: float) -> float:
    factor = math.exp(min(max(log_factor, -100.0), 100.0))
    return min(max(seconds * factor, SHORTEST_S), LONGEST_S)


def _median(values: Iterable[float]) -> float:
    """The median of the values that are not NaN; NaN without any."""
    known = [value for value in values if not math.isnan(value)]
    return median(known) if known else math.nan
