"""What is wrong or doubtful about a profile: bounds it breaks, intervals it lacks, states it was measured in.

After the rule tables of MLPerf's compliance checker: each rule is a function of the profile, each finding says which
kernels it is about and what to do. Levels: `bad`, a number is wrong or missing; `doubtful`, a number may be further
off than its interval says; `note`, what to know when quoting it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from perfmodel.gemm import Gemm
from perfmodel.profiles.kernel import Kernel
from perfmodel.profiles.profile import SIMULATED, Profile
from perfmodel.profiles.statistics import LEAST_VISITS
from perfmodel.profiles.timing import LEAST_SESSIONS, NO_CLOCK, Timing

HALF_WIDTH = 0.01  # where the settings name no target
OVER_SESSIONS = 0.02  # which hold the drift from session to session as well
SPREAD = 0.05
FLAGGED = 0.1  # of a kernel's visits
FASTEST = 0.98  # of the roofline's time
SLOWEST = 20.0  # times the roofline's time
LAUNCH_BOUND_S = 20e-6  # below, the launch takes most of the time, whatever the roofline says
FASTER = 0.98  # of the time of a smaller product
SHARING = ("shared", "mig", "mps")
FINISHED = ("complete", "unconverged", "budget", "disturbed")
AGAIN = "Measure again on an idle device."


@dataclass(frozen=True, slots=True)
class Criticism:
    """One finding: `bad`, `doubtful` or `note`, what it is, which kernels it is about, and what to do."""

    level: str
    what: str
    kernels: tuple[str, ...]
    advice: str


def criticise(profile: Profile, needed: Iterable[Kernel] = ()) -> list[Criticism]:
    """All findings about a profile, the bad ones first. `needed` are kernels that it should have times of.

    A needed kernel without a variant is there if any variant of its problem is.
    """
    found = [*_missing(profile, needed), *(one for rule in RULES for one in rule(profile))]
    return sorted(found, key=lambda one: LEVELS.index(one.level))


def trusted(criticisms: Iterable[Criticism]) -> bool:
    """Whether there is nothing but notes."""
    return all(one.level == "note" for one in criticisms)


LEVELS = ("bad", "doubtful", "note")


def _missing(profile: Profile, needed: Iterable[Kernel]) -> Iterator[Criticism]:
    missing = [
        kernel for kernel in dict.fromkeys(needed)
        if kernel not in profile.timings and (kernel.variant or profile.fastest(kernel.problem) is None)
    ]  # fmt: skip
    yield from _about(
        "bad", "no time of {}that are needed", (kernel.text for kernel in missing),
        "Measure them with perfmodel profile; or let --fill analytical model them.",
    )  # fmt: skip


def _refused(profile: Profile) -> Iterator[Criticism]:
    advice = {
        "wrong": "Their times are not used; repair the kernels.",
        "failed": "See the reasons in the exported table.",
        "skipped": "Free device memory, or measure with a smaller --batch.",
        "open": "perfmodel profile --resume goes on with it; else measure with a larger --budget.",
    }
    for status in sorted({status for status, _ in profile.refused.values()}):
        names = [kernel.text for kernel, (found, _) in profile.refused.items() if found == status]
        level = "bad" if status == "wrong" else "doubtful"
        yield from _about(level, f"no time of {{}}with status {status}", names, advice.get(status, "Measure again."))


def _interval(profile: Profile) -> Iterator[Criticism]:
    yield from _timed(
        profile, "doubtful", f"no interval for {{}}with fewer than {LEAST_VISITS} visits",
        lambda one: one.interval == "none", "Measure with a larger --budget; a table of means has no intervals.",
    )  # fmt: skip
    yield from _timed(
        profile, "note", "the interval of {}is that of one session or two: it holds no drift from day to day",
        lambda one: one.interval == "session", f"Measure {LEAST_SESSIONS} sessions, apart in time (--append).",
    )  # fmt: skip


def _half_width(profile: Profile) -> Iterator[Criticism]:
    given = [settings.get("half_width") for settings in profile.settings]
    target = min((one for one in given if type(one) in (int, float) and 0 < one <= 1), default=HALF_WIDTH)
    yield from _timed(
        profile, "doubtful", f"the half-width of {{}}is above the target of {target:.2%}",
        lambda one: one.interval != "sessions" and one.half_width > target,
        "Measure with a larger --budget or --most-visits.",
    )  # fmt: skip
    yield from _timed(
        profile, "doubtful", f"the half-width of {{}}is above {OVER_SESSIONS:.0%} over sessions",
        lambda one: one.interval == "sessions" and one.half_width > max(target, OVER_SESSIONS),
        "Measure further sessions (--append): what they differ by is the device's own drift.",
    )  # fmt: skip


def _scatter(profile: Profile) -> Iterator[Criticism]:
    yield from _timed(
        profile, "doubtful", f"visits scatter by more than {SPREAD:.0%} for {{}}", lambda one: one.spread > SPREAD,
        AGAIN,
    )  # fmt: skip
    yield from _timed(
        profile, "doubtful", "visits fall into two modes for {}", lambda one: "unstable" in one.flags,
        "Look for a second state of the device, such as another clock; measure again.",
    )  # fmt: skip


def _bounds(profile: Profile) -> Iterator[Criticism]:
    yield from _timed(
        profile, "bad", f"faster than {FASTEST} of the roofline: {{}}",
        lambda one: one.seconds < FASTEST * one.bound_s,
        "A wrong kernel, unwritten output, a wrong FLOP count or a wrong device file: check with --verify strict.",
    )  # fmt: skip
    yield from _timed(
        profile, "doubtful", f"slower than {SLOWEST:g} times the roofline: {{}}",
        lambda one: one.seconds > max(SLOWEST * one.bound_s, LAUNCH_BOUND_S),
        "Let more variants compete, or check the device file.",
    )  # fmt: skip


def _flags(profile: Profile) -> Iterator[Criticism]:
    for flag, what, advice in (
        ("throttle", "the clock was throttled", "Improve the cooling or raise the power limit, and measure again."),
        ("late_enqueue", "the host was late to enqueue", "Free the host's processors, and measure again."),
        ("bad_clock", "samples could not be used", "The event clock or the SM clock does not work: check the driver."),
    ):
        yield from _timed(
            profile, "doubtful", f"{what} in more than {FLAGGED:.0%} of the visits of {{}}",
            lambda one, flag=flag: _share(profile, one, flag) > FLAGGED, advice,
        )  # fmt: skip
    yield from _timed(
        profile, "doubtful", "nobody checked the results of {}", lambda one: "unverified" in one.flags,
        "Measure with --verify strict.",
    )  # fmt: skip


def _share(profile: Profile, timing: Timing, flag: str) -> float:
    visits = [visit for one in profile.seen[timing.kernel] for visit in one.visits]
    return sum(flag in visit.flags for visit in visits) / len(visits)


def _monotone(profile: Profile) -> Iterator[Criticism]:
    slowest: dict[tuple, Timing] = {}
    names = []
    for timing in sorted(profile.timings.values(), key=_rows):
        p = timing.kernel.problem
        if isinstance(p, Gemm):
            key = (timing.kernel.view, p.n, p.k, p.batch, p.precision, timing.kernel.variant)
            smaller = slowest.setdefault(key, timing)
            if _faster(timing, smaller):
                names.append(f"{timing.kernel.text} (than {smaller.kernel.text})")
            slowest[key] = max(smaller, timing, key=lambda one: one.seconds)
    advice = "Other kernels may suit other sizes; where one variant alone was timed, measure again."
    yield from _about("note", "faster than a smaller product: {}", names, advice)


def _rows(timing: Timing) -> int:
    return timing.kernel.problem.m if isinstance(timing.kernel.problem, Gemm) else 0


def _faster(timing: Timing, smaller: Timing) -> bool:
    """Whether more work took less time, by more than the intervals explain; a missing interval explains nothing."""
    one, other = timing.kernel.problem, smaller.kernel.problem
    if one.m == other.m or (one.a_distinct or 0) < (other.a_distinct or 0):
        return False
    return timing.seconds < FASTER * smaller.seconds and not timing.high >= smaller.low


def _sessions(profile: Profile) -> Iterator[Criticism]:
    for session in profile.sessions:
        name = f"session {session.number}"
        if session.settled is False and session.settings.get("state") != "burst":
            yield Criticism("doubtful", f"{name}: the clock had not settled", (), "Raise --settle-most.")
        if session.suspect_rounds or session.status == "disturbed":
            what = f"{name}: something else used the device in {len(session.suspect_rounds)} of {session.rounds} rounds"
            level = "doubtful" if session.status == "disturbed" else "note"
            yield Criticism(level, what, (), "Those rounds do not count; " + AGAIN[0].lower() + AGAIN[1:])
        if session.status not in FINISHED:
            what = f"{name}: it did not finish ({session.status})"
            yield Criticism("note", what, (), "perfmodel profile --resume goes on with it.")
        flags = set(session.flags).union(*(visit.flags for visit in session.visits))
        if shared := [flag for flag in SHARING if flag in flags]:
            what = f"{name}: the device was not the session's own ({', '.join(shared)})"
            yield Criticism("doubtful", what, (), AGAIN)
        if NO_CLOCK in session.flags:
            what = f"{name}: the clock was not read: the times are at any clock"
            yield Criticism("note", what, (), "perfmodel profile --gpu reads it.")


def _file(profile: Profile) -> Iterator[Criticism]:
    if profile.damage:
        count = len(profile.damage)
        which = "a record or row" if count == 1 else f"{count} records or rows"
        what = f"{which} could not be used{', the first' if count > 1 else ''}: {profile.damage[0]}"
        yield Criticism("doubtful", what, (), "Copy the file again, or measure what is missing with --resume.")
    if profile.basis == SIMULATED:
        yield Criticism("note", "the times are simulated", (), "Measure on a GPU before quoting any of them.")


def _timed(
    profile: Profile, level: str, what: str, holds: Callable[[Timing], bool], advice: str
) -> Iterator[Criticism]:
    """One criticism of all timings for which something holds, if there are any; NaN holds in no comparison."""
    yield from _about(level, what, (one.kernel.text for one in profile.timings.values() if holds(one)), advice)


def _about(level: str, what: str, names: Iterable[str], advice: str) -> Iterator[Criticism]:
    """One criticism of kernels, if there are any; `{}` in `what` becomes how many."""
    if names := tuple(names):
        count = f"{len(names)} kernel{'s' * (len(names) > 1)} "
        yield Criticism(level, what.format(count).rstrip(), names, advice)


RULES = (_refused, _interval, _half_width, _scatter, _bounds, _flags, _monotone, _sessions, _file)
