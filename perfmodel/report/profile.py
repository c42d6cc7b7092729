"""A profile for people: its timings, and what is wrong or doubtful about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from statistics import median

import pandas as pd

from perfmodel.profiles.comparison import Ratio, copy_ratios, vendor_ratios
from perfmodel.profiles.criticism import Criticism, trusted
from perfmodel.profiles.kernel import VENDOR
from perfmodel.profiles.profile import Profile
from perfmodel.report.table import Table
from perfmodel.report.text import duration, percent
from perfmodel.units import MEGA

FINDING_HEADERS = {"number": "", "level": "level", "finding": "finding"}
TIMING_HEADERS = {
    "kernel": "kernel", "seconds": "µs", "half_width": "±", "interval": "interval", "visits": "visits",
    "share_of_bound": "of roofline", "elasticity": "elasticity", "flags": "flags", "status": "status",
}  # fmt: skip
COLUMNS = (
    "µs: one launch, at the reference clock. ±: half of the 95 % interval. of roofline: 100 % is as fast as peak and "
    "bandwidth allow. elasticity: 0 if the clock does not matter, 1 if time goes as 1 / clock. flags: of any visit."
)
INTERVALS = {
    "session": "session: 95 % at the session's reference clock; it says nothing of other days.",
    "sessions": "sessions: 95 % over sessions, if these are nearly independent, for what measuring again would find.",
    "none": "none: too few visits for an interval.",
}


def findings_table(profile: Profile, name: str, found: Sequence[Criticism], notes: tuple[str, ...] = ()) -> Table:
    """One row for each finding, numbered.

    The notes say for each number which kernels it is about and what to do, then what is in `notes`, what the profile
    holds, and whether to trust it. A finding and its advice beside each other would be wider than a terminal.
    """
    rows = [
        {
            "number": number, "level": one.level, "finding": one.what, "about": _about(one.kernels),
            "advice": one.advice, "kernels": "; ".join(one.kernels),
        }
        for number, one in enumerate(found, 1)
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["number", "level", "finding", "about", "advice", "kernels"])
    reasons = {kernel.text: why for kernel, (_, why) in profile.refused.items()}
    advice = (f"{number}: {_details(one, reasons)}{one.advice}" for number, one in enumerate(found, 1))
    verdict = "Nothing bad or doubtful was found." if trusted(found) else "Not to be trusted as it is: see above."
    if not profile.timings:
        verdict = "It holds no time of any kernel."
    told = (*advice, *notes, *profile_notes(profile), verdict)
    return Table(f"Profile {name}: {_device(profile)}", frame, {}, FINDING_HEADERS, told)


def timings_table(profile: Profile, name: str) -> Table:
    """One row for each kernel; files for programs get every column of `Profile.frame`, in seconds."""
    frame = profile.frame()
    frame.insert(0, "kernel", [kernel.text for kernel in profile.seen])
    show = {
        "seconds": lambda seconds: f"{seconds * 1e6:.2f}", "half_width": _narrow,
        "share_of_bound": percent, "elasticity": lambda b: f"{b:.2f}",
    }  # fmt: skip
    return Table(
        f"Timings of {name}: {_device(profile)}", frame, show, TIMING_HEADERS, (COLUMNS, *profile_notes(profile))
    )


def profile_notes(profile: Profile) -> tuple[str, ...]:
    """How many kernels, visits and sessions there are, at which clocks, how wide the intervals, and of what kind."""
    timings = list(profile.timings.values())
    visits = sum(timing.visits for timing in timings)
    count = len(profile.sessions)
    notes = [
        f"{len(timings)} of {len(profile.seen)} kernels have a time ({profile.basis}), from {visits} visits in {count} "
        f"session{'s' * (count != 1)}."
    ]
    if profile.basis == "measured" and (apart := _apart(profile)):
        notes.append(f"Sessions began {' and '.join(map(duration, apart))} after one another.")
    if clocks := [one.reference_hz for one in profile.sessions if one.reference_hz > 0]:
        low, high = (f"{hz / MEGA:.0f}" for hz in (min(clocks), max(clocks)))
        notes.append(f"Reference clock{'s' * (low != high)}: {low if low == high else f'{low} to {high}'} MHz.")
    widths = [timing.half_width for timing in timings if timing.interval != "none"]
    if widths:
        notes.append(f"Half-widths of the intervals: median {_narrow(median(widths))}, largest {_narrow(max(widths))}.")
    kinds = dict.fromkeys(timing.interval for timing in timings)
    return (*notes, *_comparisons(profile), *(f"Interval {INTERVALS[kind]}" for kind in sorted(kinds)))


def _apart(profile: Profile) -> list[float]:
    """Seconds from the beginning of each session to the next; none where one of them does not say when it began."""
    try:
        began = sorted(datetime.fromisoformat(session.started) for session in profile.sessions)
    except (ValueError, TypeError):
        return []
    return [(later - earlier).total_seconds() for earlier, later in pairwise(began)]


def _comparisons(profile: Profile) -> Iterator[str]:
    """How fast the kernels are beside the vendor's library, and beside a copy, where the profile has these."""
    if vendor := vendor_ratios(profile):
        yield f"Beside {VENDOR}, geometric mean and least: {_ratios(vendor)}."
    if copies := copy_ratios(profile):
        yield f"Large kernels beside a copy, median and least: {_ratios(copies)}."


def _ratios(found: Sequence[Ratio]) -> str:
    return ", ".join(f"{one.what} {one.mean:.2f} ({one.least:.2f} of {one.count})" for one in found)


def _device(profile: Profile) -> str:
    return str(profile.environment["device"]["name"]) or "unknown device"


def _about(kernels: Sequence[str]) -> str:
    """The first kernel, and how many more there are."""
    if not kernels:
        return ""
    return kernels[0] + (f" and {len(kernels) - 1} more" if len(kernels) > 1 else "")


def _details(one: Criticism, reasons: Mapping[str, str]) -> str:
    """Which kernels a finding is about, and why the first of them has no time, where that is known."""
    if not one.kernels:
        return ""
    why = reasons.get(one.kernels[0])
    return f"{_about(one.kernels)}{f' ({why})' if why else ''}. "


def _narrow(share: float) -> str:
    """A small share in percent.

    >>> _narrow(0.00123)
    '0.12 %'
    """
    return f"{share * 100:.2f} %"
