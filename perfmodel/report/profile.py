"""A profile for people: its timings, and what is wrong or doubtful about them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import pandas as pd

from perfmodel.profiles.criticism import Criticism, trusted
from perfmodel.profiles.profile import Profile
from perfmodel.report.table import Table
from perfmodel.report.text import percent

FINDING_HEADERS = {"level": "level", "finding": "finding", "about": "kernels", "advice": "advice"}
TIMING_HEADERS = {
    "kernel": "kernel", "seconds": "µs", "half_width": "±", "interval": "95 % interval", "visits": "visits",
    "sessions": "sessions", "share_of_bound": "of roofline", "elasticity": "elasticity", "flags": "flags",
    "status": "status",
}  # fmt: skip
INTERVALS = {
    "session": "session: 95 % at the session's reference clock; it says nothing of other days.",
    "sessions": "sessions: 95 % over sessions, for what measuring the device again would find.",
    "none": "none: too few visits for an interval.",
}


def findings_table(profile: Profile, name: str, found: Sequence[Criticism]) -> Table:
    """One row for each finding; the notes say what the profile holds, and whether to trust it."""
    rows = [
        {
            "level": one.level, "finding": one.what, "about": _about(one.kernels), "advice": one.advice,
            "kernels": "; ".join(one.kernels),
        }
        for one in found
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["level", "finding", "about", "advice", "kernels"])
    verdict = "Nothing bad or doubtful was found." if trusted(found) else "Not to be trusted as it is: see above."
    if not profile.timings:
        verdict = "It holds no time of any kernel."
    return Table(f"Profile {name}: {_device(profile)}", frame, {}, FINDING_HEADERS, (*profile_notes(profile), verdict))


def timings_table(profile: Profile, name: str) -> Table:
    """One row for each kernel; files for programs get every column of `Profile.frame`, in seconds."""
    frame = profile.frame()
    frame.insert(0, "kernel", [kernel.text for kernel in profile.seen])
    show = {
        "seconds": lambda seconds: f"{seconds * 1e6:.2f}", "half_width": _narrow,
        "share_of_bound": percent, "elasticity": lambda b: f"{b:.2f}",
    }  # fmt: skip
    return Table(f"Timings of {name}: {_device(profile)}", frame, show, TIMING_HEADERS, profile_notes(profile))


def profile_notes(profile: Profile) -> tuple[str, ...]:
    """How many kernels, visits and sessions there are, how wide the intervals, and what kind of interval they are."""
    timings = list(profile.timings.values())
    visits = sum(timing.visits for timing in timings)
    count = len(profile.sessions)
    notes = [
        f"{len(timings)} of {len(profile.seen)} kernels have a time ({profile.basis}), from {visits} visits in {count} "
        f"session{'s' * (count != 1)}."
    ]
    widths = [timing.half_width for timing in timings if timing.interval != "none"]
    if widths:
        notes.append(f"Half-widths of the intervals: median {_narrow(median(widths))}, largest {_narrow(max(widths))}.")
    kinds = dict.fromkeys(timing.interval for timing in timings)
    return (*notes, *(f"Interval {INTERVALS[kind]}" for kind in sorted(kinds)))


def _device(profile: Profile) -> str:
    return str(profile.environment["device"]["name"]) or "unknown device"


def _about(kernels: Sequence[str]) -> str:
    """The first kernel, and how many more there are."""
    if not kernels:
        return ""
    return kernels[0] + (f" and {len(kernels) - 1} more" if len(kernels) > 1 else "")


def _narrow(share: float) -> str:
    """A small share in percent.

    >>> _narrow(0.00123)
    '0.12 %'
    """
    return f"{share * 100:.2f} %"
