"""Each criticism appears for a profile made to show it, and none for a clean one."""

import math

import pytest

from perfmodel.gemm import Gemm, find_precision
from perfmodel.lowering import MemoryOp
from perfmodel.profiles.criticism import criticise, trusted
from perfmodel.profiles.kernel import Kernel
from perfmodel.profiles.profile import Profile

CLOCK = 1.5e9
GEMM = Kernel(Gemm(30, 50, 70, precision=find_precision("fp16")), "64x64")
STREAM = Kernel(MemoryOp(3e6, 1e6))
SIX = (11e-6, 11.01e-6, 10.99e-6, 11e-6, 11.01e-6, 10.99e-6)
STANDARD = {"half_width": 0.01, "verify": "strict", "state": "sustained"}


def kernel(what=GEMM, number=17, session=1, **more):
    row = {"type": "kernel", "session": session, "kernel": number, "what": what.to_json(), "weight": 2.0, "prior": 0.5}
    return row | {"status": "ready", "bound_s": 9e-6} | more


def visits(values=SIX, number=17, session=1, **more):
    """One visit a round, each of one sample of one launch."""
    place = {"type": "visit", "session": session, "kernel": number, "position": number}
    rest = {"regime": "cold", "launches": 1, "offset_s": 0.0, "clock_hz": [CLOCK], "flags": []}
    return [place | rest | {"round": r, "seconds": [value]} | more for r, value in enumerate(values, 1)]


def session(number=1, values=SIX, status="complete", settled=True, flags=(), **setting):
    """All records of a session of one kernel."""
    at = {"session": number}
    head = {"type": "session", "settings": STANDARD | setting, "started": f"2026-11-2{number}"}
    tail = [{"type": "end", "status": status, "elapsed_s": 9.0} | at] if status else []
    return [
        head | at, {"type": "instrument", "event_tick_s": 3.2e-8 / 1e3, "flags": list(flags)} | at,
        {"type": "settle", "seconds": 20.0, "reference_clock_hz": CLOCK, "settled": settled} | at,
        kernel(session=number), *visits(values, session=number), *tail,
    ]  # fmt: skip


def three(**more):
    """Three sessions, alike but for a 0.1 % of their times."""
    values = [[value * (1 + 0.001 * n) for value in SIX] for n in (1, 2, 3)]
    return [row for n in (1, 2, 3) for row in session(n, **{"values": values[n - 1]} | more)]


def add(what, values=SIX, number=4, **more):
    """A second kernel, in all of three sessions."""
    kernels = [kernel(what, number, n, **{"bound_s": None} | more) for n in (1, 2, 3)]
    scaled = [visits([value * (1 + 0.001 * n) for value in values], number, n) for n in (1, 2, 3)]
    return [*kernels, *(row for rows in scaled for row in rows)]


def canaries(cycles):
    place = {"type": "canary", "session": 1, "position": 1000, "copy_s": 1e-3}
    return [place | {"round": r, "cycles": value} for r, value in enumerate(cycles, 1)]


def profile(records, kind="cuda"):
    return Profile.from_records({"environment": {"device": {"kind": kind, "name": "x"}}}, records, (), "p.jsonl")


def findings(records, needed=(), kind="cuda"):
    return [(one.level, one.what) for one in criticise(profile(records, kind), needed)]


def test_a_clean_profile():
    clean = three()
    assert criticise(profile(clean), [GEMM, Kernel(GEMM.problem)]) == []
    assert trusted([])
    assert profile(clean).timings[GEMM].interval == "sessions"


INTERVAL = "the interval of 1 kernel is that of one session or two: it holds no drift from day to day"
MORE = Kernel(Gemm(60, 50, 70, precision=find_precision("fp16")), "64x64")
DISTURBED = "session 1: something else used the device in 1 of 7 rounds"
CASES = {
    "no interval": (session(values=SIX[:5]), "doubtful", "no interval for 1 kernel with fewer than 6 visits"),
    "one session": (session(), "note", INTERVAL),
    "half-width": (
        session(half_width=0.0005), "doubtful", "the half-width of 1 kernel is above the target of 0.05%",
    ),
    "spread": (
        session(values=[11e-6, 12.5e-6] * 3), "doubtful", "visits scatter by more than 5% for 1 kernel",
    ),
    "modes": (
        session(values=[11e-6] * 5 + [11.4e-6] * 5), "doubtful", "visits fall into two modes for 1 kernel",
    ),
    "throttle": (
        [*session()[:4], *visits(SIX[:1], flags=["throttle"]), *session()[5:]],
        "doubtful", "the clock was throttled in more than 10% of the visits of 1 kernel",
    ),
    "late": (
        [*session()[:4], *visits(SIX[:1], flags=["late_enqueue"]), *session()[5:]],
        "doubtful", "the host was late to enqueue in more than 10% of the visits of 1 kernel",
    ),
    "unverified": (session(verify="off"), "doubtful", "nobody checked the results of 1 kernel"),
    "settled": (session(settled=False), "doubtful", "session 1: the clock had not settled"),
    "suspect": ([*session(values=(*SIX, 15e-6)), *canaries([1e6] * 6 + [1.1e6])], "note", DISTURBED),
    "disturbed": (
        [*session(values=(*SIX, 15e-6), status="disturbed"), *canaries([1e6] * 6 + [1.1e6])], "doubtful", DISTURBED,
    ),
    "open": (session(status=""), "note", "session 1: it did not finish (open)"),
    "other": (session(status="lost"), "note", "session 1: it did not finish (lost)"),
    "shared": (
        session(flags=["shared"]), "doubtful", "session 1: the device was not the session's own (shared)",
    ),
    "mig": (session(flags=["mig"]), "doubtful", "session 1: the device was not the session's own (mig)"),
    "visits shared": (
        [*session(), *visits([5e-6], number=17, flags=["shared"], regime="hot", round=9)],
        "doubtful", "session 1: the device was not the session's own (shared)",
    ),
    "wide over sessions": (
        [row for n, factor in ((1, 1.0), (2, 1.02), (3, 1.04)) for row in session(n, [one * factor for one in SIX])],
        "doubtful", "the half-width of 1 kernel is above 2% over sessions",
    ),
    "no clock": (session(flags=["no_clock"]), "note", "session 1: the clock was not read: the times are at any clock"),
    "damage": (
        [*session(), 7], "doubtful",
        "a record or row could not be used: W2105 p.jsonl: record 13: 7 has no type. The record is left "
        "out; measure again if it is needed.",
    ),
    "fast": ([*three(), *add(STREAM, bound_s=12e-6)], "bad", "faster than 0.98 of the roofline: 1 kernel"),
    "slow": (
        [*three(), *add(STREAM, [3 * one for one in SIX], bound_s=5e-7)], "doubtful",
        "slower than 20 times the roofline: 1 kernel",
    ),
    "monotone": (
        [*three(), *add(MORE, [value * 0.9 for value in SIX])], "note", "faster than a smaller product: 1 kernel",
    ),
    "wrong": (
        [*three(), kernel(STREAM, 4, status="wrong", reason="bits")], "bad", "no time of 1 kernel with status wrong",
    ),
    "failed": (
        [*three(), kernel(STREAM, 4, status="failed", reason="x")], "doubtful",
        "no time of 1 kernel with status failed",
    ),
    "hang": (
        [*three(), kernel(STREAM, 4), {"type": "fault", "session": 1, "kernel": 4, "kind": "visit", "failure": "Hang"}],
        "doubtful", "no time of 1 kernel with status hang",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_each_criticism(name):
    records, level, what = CASES[name]
    found = findings(records)
    assert (level, what) in found
    implied = [INTERVAL, what]  # most cases are one session, and what scatters has a wide interval
    assert [text for _, text in found if text not in implied and "half-width" not in text] == []
    assert trusted(criticise(profile(records))) == all(one == "note" for one, _ in found)


def test_simulated_times():
    assert findings(three(), kind="simulated") == [("note", "the times are simulated")]


def test_what_is_missing():
    hidden = Kernel(GEMM.problem, "128x128")
    (found,) = criticise(profile(three()), [GEMM, STREAM, Kernel(GEMM.problem), hidden, STREAM])
    assert (found.level, found.what) == ("bad", "no time of 2 kernels that are needed")
    assert found.kernels == (STREAM.text, hidden.text)
    assert "--fill" in found.advice


def test_the_bad_come_first_and_every_one_has_advice():
    records = [*session(values=SIX[:5], settled=False, status=""), kernel(STREAM, 4, status="wrong", reason="x")]
    found = criticise(profile(records), [STREAM])
    levels = [one.level for one in found]
    assert levels == sorted(levels)  # bad, doubtful, note
    assert set(levels) == {"bad", "doubtful", "note"}
    assert all(one.advice.endswith(".") and "{" not in one.what for one in found)
    assert not trusted(found)


@pytest.mark.parametrize(
    "what",
    [
        Kernel(Gemm(60, 51, 70, precision=find_precision("fp16")), "64x64"),
        Kernel(Gemm(60, 50, 70, precision=find_precision("bf16")), "64x64"),
        Kernel(Gemm(60, 50, 70, precision=find_precision("fp16")), "64x32"),
        Kernel(Gemm(60, 50, 70, precision=find_precision("fp16"), a_distinct=300), "64x64"),
        Kernel(Gemm(15, 50, 70, precision=find_precision("fp16")), "64x64"),
    ],
)
def test_products_that_do_not_compare(what):
    assert findings([*three(), *add(what, [value * 0.9 for value in SIX])]) == []


@pytest.mark.parametrize(
    ("factor", "found"), [(0.985, []), (1.0, []), (0.97, ["faster than a smaller product: 1 kernel"])]
)
def test_a_larger_product_may_be_2_percent_faster(factor, found):
    assert [what for _, what in findings([*three(), *add(MORE, [value * factor for value in SIX])])] == found


def test_wide_intervals_explain_a_faster_larger_product():
    wide = [value * factor for value, factor in zip(SIX, (0.8, 1.1, 0.9, 1.0, 0.85, 0.95), strict=True)]
    found = [what for _, what in findings([*session(), kernel(MORE, 4), *visits(wide, 4)])]
    assert not any("smaller product" in what for what in found)


@pytest.mark.parametrize(
    ("bound_s", "found"), [(33.2e-6, 0), (34e-6, 1), (1.68e-6, 0), (1.62e-6, 1), (None, 0), (0, 0)]
)
def test_bounds(bound_s, found):
    """33.066 µs is the time: 0.98 of 33.741, and 20 times 1.6533."""
    thrice = [3 * one for one in SIX]
    assert len(findings([*three(), *add(STREAM, thrice, bound_s=bound_s)])) == found


def test_short_kernels_are_bound_by_their_launch():
    assert findings([*three(), *add(STREAM, [value / 3 for value in SIX], bound_s=1e-9)]) == []


def test_one_throttled_visit_in_ten_is_no_matter():
    times = [SIX[i % 3] for i in range(10)]
    calm = [*session(values=times[:9]), *visits([times[9]], round=10, flags=["throttle"])]
    assert [what for _, what in findings(calm)] == [INTERVAL]
    again = visits([times[8]], round=11, flags=["throttle"])
    assert len(findings([*calm, *again])) == 2


def test_burst_sessions_need_not_settle():
    assert findings(session(settled=False, state="burst")) == [("note", INTERVAL)]


@pytest.mark.parametrize("half_width", [None, "x", True, -1, math.nan, 10**400])
def test_a_target_that_is_none(half_width):
    assert findings(session(half_width=half_width)) == [("note", INTERVAL)]
