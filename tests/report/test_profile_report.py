"""Findings and timings of a profile as tables, from records written by hand."""

import csv
import io
import json

import pytest

from perfmodel.gemm import Gemm, find_precision
from perfmodel.lowering import MemoryOp
from perfmodel.profiles.criticism import Criticism, criticise
from perfmodel.profiles.kernel import Kernel
from perfmodel.profiles.profile import Profile
from perfmodel.report.profile import findings_table, profile_notes, timings_table
from perfmodel.report.render import render

CLOCK_HZ = 1.5e9
GEMM = Kernel(Gemm(3, 5, 7, precision=find_precision("fp16")), "64x64")
STREAM = Kernel(MemoryOp(3000.0, 1000.0))
BROKEN = Kernel(Gemm(9, 5, 7))
SIX = (11.2e-6, 13e-6, 12e-6, 11e-6, 12e-6, 12e-6)  # median 12 µs
FORMATS = (".txt", ".md", ".tex", ".csv", ".json")


def session(number=1, **settings):
    return {"type": "session", "session": number, "settings": settings, "request": {}, "started": f"day {number}"}


def kernel(what, number, session=1, status="ready", **more):
    row = {"type": "kernel", "session": session, "kernel": number, "what": what.to_json(), "weight": 2, "prior": 0.5}
    return row | {"status": status, "bound_s": 9e-6} | more


def visits(values, number, session=1, **more):
    """One sample of one launch each, at the reference clock."""
    return [
        {
            "type": "visit", "session": session, "round": round_, "position": number, "kernel": number,
            "regime": "cold", "launches": 1, "offset_s": 0.0, "seconds": [value], "clock_hz": [CLOCK_HZ], "flags": [],
            "sets": 3, "mode": "graph", "readings": {},
        } | more
        for round_, value in enumerate(values, 1)
    ]  # fmt: skip


def settle(session=1):
    return {"type": "settle", "session": session, "seconds": 20.0, "reference_clock_hz": CLOCK_HZ, "settled": True}


def profile(*records, kind="cuda", name="NVIDIA T4"):
    flat = [row for one in records for row in (one if isinstance(one, list) else [one])]
    return Profile.from_records({"environment": {"device": {"kind": kind, "name": name}}}, flat, (), "p.jsonl")


def one_kernel(number=1, values=SIX):
    return [session(number), kernel(GEMM, 0, number), settle(number), *visits(values, 0, number)]


def cells(table):
    return [line.split() for line in render([table], ".txt").splitlines()]


def test_timings_are_in_microseconds_and_percent():
    gone = kernel(BROKEN, 2, status="failed", reason="ptxas says no")
    found = profile(one_kernel(), kernel(STREAM, 1), visits([3e-5] * 6, 1, flags=["high"]), gone)
    table = timings_table(found, "p.jsonl")
    assert table.title == "Timings of p.jsonl: NVIDIA T4"
    header, _, *rows = cells(table)[2:7]
    gemm, broken, stream = rows
    assert " ".join(header) == "kernel µs ± interval visits of roofline elasticity flags status"
    assert gemm[:5] == ["gemm", "3x5x7", "fp16", "64x64", "12.00"]
    assert gemm[6] == "%"
    assert gemm[7:12] == ["session", "6", "75.0", "%", "0.50"]
    assert gemm[-1] == "ready"
    assert stream[7:16] == ["30.00", "0.00", "%", "session", "6", "30.0", "%", "0.50", "high"]
    assert (broken[:3], broken[-1]) == (["gemm", "9x5x7", "fp32"], "failed")
    assert broken[3:-1] == ["–", "–", "none", "0", "–", "–"]


def test_timings_for_programs_are_in_seconds_with_every_column():
    (row,) = csv.DictReader(io.StringIO(render([timings_table(profile(one_kernel()), "p")], ".csv")))
    assert (row["kernel"], row["op"], row["m"], row["variant"]) == (GEMM.text, "gemm", "3", "64x64")
    assert float(row["seconds"]) == pytest.approx(12e-6)
    assert float(row["low"]) < 12e-6 < float(row["high"])
    assert (row["basis"], row["visits"], row["weight"], float(row["bound_s"])) == ("measured", "6", "2.0", 9e-6)


def test_notes_count_kernels_visits_and_sessions():
    found = profile(one_kernel(), kernel(STREAM, 1), visits([3e-5] * 7, 1), kernel(BROKEN, 2, status="failed"))
    first, clock, second, third = profile_notes(found)
    assert clock == "Reference clock: 1500 MHz."
    assert first == "2 of 3 kernels have a time (measured), from 13 visits in 1 session."
    widths = [timing.half_width for timing in found.timings.values()]
    assert second == (
        f"Half-widths of the intervals: median {50 * sum(widths):.2f} %, largest {100 * max(widths):.2f} %."
    )
    assert third == "Interval session: 95 % at the session's reference clock; it says nothing of other days."


def test_notes_of_three_sessions():
    first, *_, kind = profile_notes(profile(*(one_kernel(number) for number in (1, 2, 3)), kind="simulated"))
    assert first == "1 of 1 kernels have a time (simulated), from 18 visits in 3 sessions."
    assert kind.startswith("Interval sessions: 95 % over sessions")


def test_notes_of_intervals_of_several_kinds():
    found = profile(one_kernel(), kernel(STREAM, 1), visits([3e-5] * 3, 1))
    *_, none, one = profile_notes(found)
    assert (none, one[:17]) == ("Interval none: too few visits for an interval.", "Interval session:")


def test_notes_of_nothing():
    assert profile_notes(profile()) == ("0 of 0 kernels have a time (measured), from 0 visits in 0 sessions.",)


def test_findings_name_the_first_kernel_and_count_the_rest():
    found = [
        Criticism("bad", "too fast", ("a", "b", "c"), "Look."), Criticism("note", "one", ("d",), "Wait."),
        Criticism("doubtful", "a session", (), "Again."),
    ]  # fmt: skip
    table = findings_table(profile(one_kernel()), "p.jsonl", found)
    assert table.title == "Profile p.jsonl: NVIDIA T4"
    lines = render([table], ".txt").splitlines()
    assert lines[2].split() == ["level", "finding"]
    assert [" ".join(line.split()) for line in lines[4:7]] == [
        "1 bad too fast", "2 note one", "3 doubtful a session"
    ]  # fmt: skip
    assert table.notes[:3] == ("1: a and 2 more. Look.", "2: d. Wait.", "3: Again.")
    assert table.notes[-1] == "Not to be trusted as it is: see above."
    rows = json.loads(render([table], ".json"))["rows"]
    assert [row["kernels"] for row in rows] == ["a; b; c", "d", ""]


@pytest.mark.parametrize(
    ("values", "verdict"),
    [([12e-6] * 6, "Nothing bad or doubtful was found."), (SIX, "Not to be trusted as it is: see above.")],
)
def test_the_verdict_is_the_last_note(values, verdict):
    found = profile(one_kernel(values=values))
    assert findings_table(found, "p", criticise(found)).notes[-1] == verdict


def test_nothing_to_trust():
    assert findings_table(profile(), "p", []).notes[-1] == "It holds no time of any kernel."


def test_a_device_without_a_name():
    assert timings_table(profile(one_kernel(), name=""), "t.csv").title == "Timings of t.csv: unknown device"


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("records", [(), (one_kernel(),), (session(), kernel(BROKEN, 0, status="skipped"))])
def test_every_format(suffix, records):
    found = profile(*records)
    for table in (timings_table(found, "p"), findings_table(found, "p", criticise(found))):
        assert render([table], suffix)
