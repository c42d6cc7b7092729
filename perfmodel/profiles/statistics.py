"""What the visits to a kernel say about its time: estimates, intervals, and where the next visit pays most.

A visit is a handful of samples; its value is their median. A session has some visits to each kernel, spread over all
of its length, and an interval is always one over visits or over sessions, never over samples: these share the clock,
the heat and the placement of their visit. Everything is computed on the scale of logarithms, so that the unit does not
matter, and in sums that do not depend on the order of the visits. Times are in seconds, clocks in Hz.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from perfmodel.profiles.anomalies import positive
from perfmodel.profiles.intervals import ORDER_STATISTICS, TO_SD, deviation, median, reach, student_t

LEAST_VISITS = 6  # fewer give no distribution-free interval at 95 %
SHARED = 0.1  # correlation of sessions of one card that is allowed for: room and neighbours outlast the pause between
PRIOR_SD = 0.15  # of the elasticity, about the value that the roofline predicts
COARSEST = 0.99  # relative step of a visit value, where the tick is as long as the sample
VISIT_SD = 0.005  # relative, of visits at one clock
TINY, HUGE = 1e-300, 1e300  # seconds; no time is out here, but a file that was edited may say so


@dataclass(frozen=True, slots=True)
class SessionEstimate:
    """The time of one kernel at the reference clock, as one session saw it.

    `seconds` is the median of the visit values after their adjustment to the reference clock, `raw_seconds` before it.
    `low` and `high` are the ends of the 95 % interval, nan below six visits. `elasticity` is b in t ~ f**-b. `spread`
    is the relative standard deviation between adjusted visits: from nine visits on 1.4826 MAD / median, below that of
    the logarithms, and nan for a single visit.
    """

    seconds: float
    low: float
    high: float
    visits: int
    elasticity: float
    elasticity_sd: float
    raw_seconds: float
    spread: float

    @property
    def half_width(self) -> float:
        """Half of the interval as a share of the time; nan below six visits."""
        return (self.high - self.low) / 2 / self.seconds


@dataclass(frozen=True, slots=True)
class CombinedEstimate:
    """The time of one kernel over several sessions, with a 95 % interval; `spread` is relative, nan for one session."""

    seconds: float
    low: float
    high: float
    sessions: int
    spread: float

    @property
    def half_width(self) -> float:
        """Half of the interval as a share of the time; nan where there is no interval."""
        return (self.high - self.low) / 2 / self.seconds


def visit_seconds(seconds: Iterable[float], launches: int, offset_s: float) -> float:
    """The time of one launch: the median over the samples of (sample - offset) / launches.

    Samples that are not finite, not positive or not above the offset do not count; nan where none is left. Raises
    `ValueError` for fewer than one launch.

    >>> visit_seconds([7e-4, 9e-4, float("nan"), -1.0, 8e-4], 3, 2e-4)
    0.0002
    """
    if launches < 1:
        raise ValueError(f"{launches} launches")
    each = [(float(one) - offset_s) / launches for one in seconds if positive(one)]
    counted = sorted(one for one in each if positive(one))
    return median(counted) if counted else math.nan


def estimate_session(
    values: Iterable[float], clocks_hz: Iterable[float], reference_hz: float, prior: float, resolution: float = 0.0
) -> SessionEstimate:
    """The time at the reference clock from one value and one clock of each usable visit.

    The clock is a control variate: log t = a - b log f, where b has the prior N(`prior`, 0.15²) and visits scatter by
    0.5 %, or by what they show about a line where that is more. b is the posterior's mean, cut to 0..1, and a visit
    counts as t (f / f_ref)**b. The interval has three terms: the scatter of the visits (see `reach`), the uncertainty
    of b times the mean distance of the clocks from the reference, and half of `resolution`, the relative step of a
    visit value (event tick over sample). They combine as the root of the sum of squares, on the scale of logarithms,
    either side by itself. The step is not simply added: it matters where all values fall on one step, and is averaged
    out where they scatter over several.

    Without a visit everything but the prior is nan. Raises `ValueError` for what is not finite and positive; `usable`
    is the filter.
    """
    raw, clocks = list(values), list(clocks_hz)
    if not all(map(positive, (*raw, *clocks, reference_hz))) or not math.isfinite(prior) or not 0 <= resolution < 1:
        raise ValueError("times and clocks must be finite and positive, the prior finite, the resolution below 1")
    raw, reference = [float(one) for one in raw], math.log(reference_hz)
    offsets = [math.log(clock) - reference for clock in clocks]
    elasticity, sd = _elasticity([math.log(one) for one in raw], offsets, prior)
    adjusted = sorted(_scaled(one, elasticity * offset) for one, offset in zip(raw, offsets, strict=True))
    count = len(adjusted)
    if not count:
        return SessionEstimate(math.nan, math.nan, math.nan, 0, elasticity, sd, math.nan, math.nan)
    seconds, low, high = median(adjusted), math.nan, math.nan
    centre = math.log(seconds)
    logs = [math.log(one) - centre for one in adjusted]
    if count >= LEAST_VISITS:
        slope = 1.96 * sd * abs(math.fsum(offsets) / count)
        below, above = (math.hypot(side, slope, resolution / 2) for side in reach(logs))
        low, high = _scaled(seconds, -below), _scaled(seconds, above)
    return SessionEstimate(
        seconds, low, high, count, elasticity, sd, median(sorted(raw)), _spread(adjusted, logs, seconds)
    )


def resolution_of(tick_s: float, samples_s: Iterable[float]) -> float:
    """The relative step of a visit value: the event tick over the median sample, whose offset is taken off."""
    lengths = sorted(samples_s)
    return min(tick_s / median(lengths), COARSEST) if lengths else 0.0


def combine_sessions(estimates: Sequence[SessionEstimate]) -> CombinedEstimate:
    """The geometric mean over sessions; only from three sessions on does the interval hold what changes between them.

    Three or more: Student's t on the logarithms of their estimates, widened by √((1 + (n - 1) ρ) / (1 - ρ)) for a
    correlation ρ = 0.1 between sessions: one after the other on one card, they are never quite independent. Two: the
    envelope of both intervals. One: its own interval. Sessions without a visit do not count; without any session all
    is nan.
    """
    counted = [one for one in estimates if one.visits]
    if not counted:
        return CombinedEstimate(math.nan, math.nan, math.nan, 0, math.nan)
    base = min(one.seconds for one in counted)
    logs = sorted(math.log(one.seconds) - math.log(base) for one in counted)
    mean, count, spread = math.fsum(logs) / len(logs), len(logs), deviation(logs)
    seconds = _scaled(base, mean)
    if count >= 3:
        half = student_t(count - 1) * spread / math.sqrt(count) * math.sqrt((1 + (count - 1) * SHARED) / (1 - SHARED))
        return CombinedEstimate(seconds, _scaled(seconds, -half), _scaled(seconds, half), count, spread)
    ends = [end for one in counted for end in (one.low, one.high)]
    if any(map(math.isnan, ends)):
        return CombinedEstimate(seconds, math.nan, math.nan, count, spread)
    return CombinedEstimate(seconds, min(*ends, seconds), max(*ends, seconds), count, spread)


def expected_gain(weight: float, spread: float, visits: int, cost_s: float) -> float:
    """How much one more visit reduces the variance of the total time, for each second that it costs.

    `weight` is the kernel's share of the total, `spread` its relative deviation between visits: the variance falls
    from w²s²/n to w²s²/(n + 1). To visit next where this is largest is Neyman's allocation. Infinite where nothing
    is known yet (no visit, or a spread that is nan). Raises `ValueError` for a cost that is not positive.

    >>> expected_gain(0.5, 0.02, 4, 0.01)
    0.0005
    """
    if not cost_s > 0:
        raise ValueError(f"a visit of {cost_s} s")
    if visits < 1 or math.isnan(spread):
        return math.inf
    return (weight * spread) ** 2 / (visits * (visits + 1) * cost_s)


def _spread(adjusted: Sequence[float], logs: Sequence[float], seconds: float) -> float:
    if len(logs) < ORDER_STATISTICS:
        return deviation(logs)
    return TO_SD * median(sorted(abs(one - seconds) for one in adjusted)) / seconds


def _elasticity(times: Sequence[float], clocks: Sequence[float], prior: float) -> tuple[float, float]:
    """Posterior mean of b, cut to 0..1, and its standard deviation, from logarithms of times and clocks."""
    count = len(times)
    mean_time, mean_clock = (math.fsum(logs) / max(count, 1) for logs in (times, clocks))
    x, y = [one - mean_clock for one in clocks], [one - mean_time for one in times]
    xx, xy = math.fsum(one * one for one in x), math.fsum(one * other for one, other in zip(x, y, strict=True))
    noise = VISIT_SD**2
    if count > 2:  # one wild visit must not pass for a precise slope
        line = xy / xx if xx else 0.0
        noise = max(noise, math.fsum((v - line * u) ** 2 for u, v in zip(x, y, strict=True)) / (count - 2))
    precision = 1 / PRIOR_SD**2 + xx / noise
    return min(max((prior / PRIOR_SD**2 - xy / noise) / precision, 0.0), 1.0), precision**-0.5


def _scaled(value: float, log_factor: float) -> float:
    """Value times exp(log_factor), within bounds that cannot overflow."""
    return min(max(value * math.exp(min(max(log_factor, -700.0), 700.0)), TINY), HUGE)
