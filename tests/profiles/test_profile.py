"""What a profile says: times by hand, independence of order, joining, and records that nobody vouches for."""

import copy
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.errors import InputError, PerfModelError
from perfmodel.gemm import Gemm, find_precision
from perfmodel.lowering import MemoryOp
from perfmodel.profiles.criticism import criticise
from perfmodel.profiles.environment import environment_key, make_header
from perfmodel.profiles.journal import encode
from perfmodel.profiles.kernel import Kernel
from perfmodel.profiles.profile import Profile, join_profiles, read_profile
from perfmodel.profiles.timing import Timing

CLOCK = 1.5e9
GEMM = Kernel(Gemm(3, 5, 7, precision=find_precision("fp16")), "64x64")
OTHER = Kernel(Gemm(3, 5, 7, precision=find_precision("fp16")), "128x64")
STREAM = Kernel(MemoryOp(3000.0, 1000.0))
DEVICE = {"kind": "cuda", "name": "NVIDIA T4", "uuid": "GPU-1"}
ENVIRONMENT = {"device": DEVICE, "driver": "580"}
SIX = (11e-6, 13e-6, 12e-6, 11e-6, 12e-6, 12e-6)  # median 12


def session(number=1, started="2026-11-22T10:00:00", **setting):
    return {"type": "session", "session": number, "settings": setting, "request": {}, "started": started}


def kernel(what=GEMM, number=17, session=1, status="ready", **more):
    row = {"type": "kernel", "session": session, "kernel": number, "what": what.to_json(), "weight": 2, "prior": 0.5}
    return row | {"status": status, "bound_s": 9e-6} | more


def visit(seconds, round=1, position=0, number=17, session=1, **more):
    """A visit of one sample of 10 launches, which took `seconds` each, at the reference clock."""
    samples = [seconds * 10 + 3e-6] if isinstance(seconds, float) else seconds
    return {
        "type": "visit", "session": session, "round": round, "position": position, "kernel": number,
        "regime": "cold", "launches": 10, "offset_s": 3e-6, "seconds": samples, "clock_hz": [CLOCK] * len(samples),
        "flags": [], "took_s": 0.5, "state": {"x": 1}, "sets": 3, "mode": "graph", "readings": {},
    } | more  # fmt: skip


def visits(values=SIX, **more):
    return [visit(value, round, **more) for round, value in enumerate(values, 1)]


def settle(session=1, reference_hz=CLOCK, settled=True):
    row = {"type": "settle", "session": session, "seconds": 20.0, "reference_clock_hz": reference_hz}
    return row | {"settled": settled}


def canary(round, cycles, session=1, copy_s=1e-3):
    """Before the first visit of a round, with its position."""
    place = {"round": round, "position": 0}
    return {"type": "canary", "session": session, "cycles": cycles, "copy_s": copy_s} | place


def fault(failure, number=17, session=1, kind="visit"):
    row = {"type": "fault", "session": session, "kernel": number, "kind": kind, "failure": failure}
    return row | {"message": "it broke"}


def end(status="complete", session=1, elapsed_s=33.0):
    return {"type": "end", "session": session, "status": status, "elapsed_s": elapsed_s, "ended": ""}


def whole(number=1, values=SIX, **more):
    """All records of a session with one kernel."""
    first = [session(number, **more), kernel(session=number), settle(number)]
    return [*first, *visits(values, session=number), end(session=number)]


def profile(records, environment=ENVIRONMENT, source="p.jsonl"):
    return Profile.from_records({"environment": environment}, records, (), source)


def timing(records, what=GEMM):
    return profile(records).timings[what]


def codes(profile):
    return [problem.code for problem in profile.damage]


def same(one, other):
    """Equal, with NaN equal to itself."""
    return repr(one) == repr(other)


# Times


def test_a_session_by_hand():
    a, d = 11e-6, 0.01
    values = [a * math.exp(sign * d) for sign in (1, -1, 1, -1, 1, -1)]
    found = timing(whole(values=values))
    half = 2.570582 * d / math.sqrt(5)  # Student's t, standard deviation d·√(6/5), six visits
    assert found.seconds == pytest.approx(a * math.cosh(d), rel=1e-9)
    assert found.low == pytest.approx(a * math.exp(-half), rel=1e-9)
    assert found.high == pytest.approx(a * math.exp(half), rel=1e-9)
    assert found.half_width == pytest.approx(half, rel=1e-3)
    assert (found.interval, found.visits, found.sessions) == ("session", 6, 1)
    assert (found.reference_hz, found.bound_s, found.weight, found.flags) == (CLOCK, 9e-6, 2, ())
    assert found.raw_seconds == pytest.approx(found.seconds)
    assert found.spread == pytest.approx(d * math.sqrt(6 / 5), rel=1e-6)


def test_five_visits_have_a_time_and_no_interval():
    found = timing([session(), kernel(), settle(), *visits(SIX[:5])])
    assert found.seconds == pytest.approx(12e-6)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert math.isnan(found.half_width)
    assert found.interval == "none"


def test_the_time_is_the_one_at_the_reference_clock():
    slow = [visit(value, r, clock_hz=[CLOCK * 0.8]) for r, value in enumerate(SIX, 1)]
    found = timing([session(), kernel(prior=0.5), settle(), *slow])
    assert found.elasticity == pytest.approx(0.5)  # clocks that never change say nothing about it: the prior stays
    assert found.seconds == pytest.approx(12e-6 * 0.8**0.5)
    assert found.raw_seconds == pytest.approx(12e-6)


@pytest.mark.parametrize("records", [[], [settle(reference_hz=0)], [settle(reference_hz=None)]])
def test_without_settling_the_reference_is_the_median_clock_of_the_visits(records):
    rows = [visit(11e-6, r, clock_hz=[clock]) for r, clock in enumerate((1.1e9, 1.3e9, 1.7e9), 1)]
    assert timing([session(), kernel(), *records, *rows]).reference_hz == 1.3e9


def test_half_a_tick_is_in_the_interval():
    tick = {"type": "instrument", "session": 1, "event_tick_s": 1.024e-6, "flags": []}
    sample = 11e-6 * 10
    assert timing(whole(values=[11e-6] * 6)).half_width == pytest.approx(0.0, abs=1e-12)
    assert timing([*whole(values=[11e-6] * 6), tick]).half_width == pytest.approx(1.024e-6 / sample / 2, rel=1e-4)
    tick["event_tick_s"] = 1.0  # longer than any sample: absurd, and still a number
    assert 0 < timing([*whole(), tick]).half_width < 1


def test_only_usable_samples_make_the_value_of_a_visit():
    rows = visits(SIX[:5])
    rows.append(visit([None, 1.13e-4, -3.0, 1e300], 6, clock_hz=[CLOCK, CLOCK, CLOCK, CLOCK]))  # (1.13e-4 - 3e-6) / 10
    rows.append(visit([1e-3], 7, clock_hz=[None]))
    rows.append(visit([1e-3], 8, clock_hz=[-1.0]))
    rows.append(visit([], 9, clock_hz=[]))
    rows.append(visit([2e-6], 10))  # shorter than the offset
    found = timing([session(), kernel(), settle(), *rows])
    assert same(found, timing([session(), kernel(), settle(), *visits((*SIX[:5], 1.1e-5))]))


@pytest.mark.parametrize("regime", ["hot", "isolated"])
def test_other_regimes_do_not_count(regime):
    extra = [visit(5e-6, 7, regime=regime, flags=["late_enqueue"])]
    assert same(timing([*whole(), *extra]), timing(whole()))


def test_suspect_rounds_do_not_count():
    rows = [*whole(values=(*SIX, 99e-6)), *(canary(r, 1000.0 + r % 2) for r in range(1, 7)), canary(7, 1200.0)]
    found = profile(rows)
    assert found.sessions[0].suspect_rounds == frozenset({7})
    assert found.sessions[0].rounds == 7
    assert found.timings[GEMM].visits == 6
    assert found.timings[GEMM].seconds == pytest.approx(12e-6)


def test_two_modes_are_unstable():
    values = [11e-6, 13e-6] * 5
    assert timing(whole(values=values)).flags == ("unstable",)
    assert timing(whole(values=[11e-6] * 10)).flags == ()


def test_flags_come_from_the_visits_and_from_what_happened_later():
    rows = [session(verify="off"), kernel(), settle(), *visits(SIX[:4], flags=["high", "throttle"])]
    rows += [visit(12e-6, 7, flags=["high", "tick"]), fault("Hang"), fault("Odd"), end()]
    assert timing(rows).flags == ("failed", "hang", "high", "throttle", "tick", "unverified")


def test_a_device_without_a_clock_still_has_times():
    flags = {"type": "instrument", "session": 1, "event_tick_s": 0.0, "flags": ["no_clock"]}
    rows = [visit(value, r, clock_hz=[None]) for r, value in enumerate(SIX, 1)]
    found = timing([session(), flags, kernel(), *rows])
    assert found.seconds == pytest.approx(12e-6)
    assert found.interval == "session"
    assert math.isnan(found.reference_hz)
    assert math.isnan(found.elasticity)


@pytest.mark.parametrize("clock", [5e-324, 1e-9, 1e11])
def test_clocks_that_cannot_be(clock):
    found = timing([*whole(), visit(12e-6, 7, clock_hz=[clock])])
    assert 0 < found.low <= found.seconds <= found.high < math.inf


def test_two_numbers_of_one_kernel_are_one_kernel():
    rows = [session(), kernel(number=17), kernel(number=18, weight=5), settle(), *visits(SIX[:3])]
    found = timing([*rows, *visits(SIX[3:], number=18, position=1)])
    assert (found.visits, found.weight) == (6, 5)
    assert same(replace_weight(found, 2.0), timing(whole()))


def replace_weight(found, weight):
    values = {name: getattr(found, name) for name in Timing.__slots__}
    return Timing(**values | {"weight": weight})


# Kernels without a time


@pytest.mark.parametrize("status", ["failed", "skipped", "wrong"])
def test_kernels_that_were_never_ready(status):
    found = profile([session(), kernel(status=status, reason="because\x1b[31m")])
    assert found.timings == {}
    assert found.refused == {GEMM: (status, "because\\x1b[31m")}
    assert found.kernels == ()


@pytest.mark.parametrize(("failure", "status"), [("Hang", "hang"), ("DeviceLost", "lost"), ("KernelFault", "failed")])
def test_a_fault_says_why_there_is_no_time(failure, status):
    assert profile([session(), kernel(), fault(failure)]).refused == {GEMM: (status, "it broke")}
    assert GEMM in profile([*whole(), fault(failure)]).timings


def test_wrong_results_take_the_time_away_in_all_sessions():
    assert profile([*whole(), fault("Wrong", kind="wrong")]).refused == {GEMM: ("wrong", "it broke")}
    late = [*whole(1), *whole(2), kernel(session=2, status="wrong", reason="bits")]
    assert profile(late).refused == {GEMM: ("wrong", "bits")}


def test_a_kernel_that_was_never_visited():
    (found,) = profile([session(), kernel(), visit([None])]).refused.values()
    assert found == ("open", "there is no visit that can be used")


def test_ready_after_a_failure_is_ready():
    rows = whole()
    assert profile([*rows, kernel(status="failed", reason="x")]).refused == {}
    assert profile([kernel(status="skipped", reason="x"), *rows]).refused == {}


# Sessions


def test_what_a_session_says_of_itself():
    rows = [*whole(3, half_width=0.02), {"type": "round", "session": 3, "round": 9, "order": [17]}]
    (found,) = profile([*rows, canary(2, 7.0, session=3), fault("DeviceLost", None, 3)]).sessions
    assert (found.number, found.status, found.reference_hz, found.settled) == (3, "complete", CLOCK, True)
    assert (found.rounds, found.elapsed_s, found.settings) == (9, 33.0, {"half_width": 0.02})
    assert [(one.round, one.cycles) for one in found.canaries] == [(2, 7.0)]
    assert found.started == "2026-11-22T10:00:00"


def test_a_session_without_an_end_is_open():
    (found,) = profile([session(), kernel(), *visits(took_s=7.5)]).sessions
    assert (found.status, found.elapsed_s, found.settled) == ("open", 6 * 7.5, None)


def test_three_sessions_by_hand():
    rows = [row for n, t in ((1, 11e-6), (2, 13e-6), (3, 17e-6)) for row in whole(n, [t] * 6)]
    found = timing(rows)
    logs = [math.log(t) for t in (11e-6, 13e-6, 17e-6)]
    mean = sum(logs) / 3
    half = 4.302653 * math.sqrt(sum((one - mean) ** 2 for one in logs) / 2 / 3 * 1.2 / 0.9)  # correlated by 0.1
    assert found.seconds == pytest.approx(math.exp(mean))
    assert found.low == pytest.approx(math.exp(mean - half))
    assert found.high == pytest.approx(math.exp(mean + half))
    assert (found.interval, found.sessions, found.visits) == ("sessions", 3, 18)
    assert found.raw_seconds == pytest.approx(13e-6)


def test_two_sessions_have_the_interval_of_a_session():
    found = timing([*whole(1), *whole(2)])
    assert (found.interval, found.sessions) == ("session", 2)


# Order, and what occurs twice

ORDERED = [
    *whole(1, (*SIX, 13e-6, 12e-6, 11.5e-6)),
    *whole(2, started="later"),
    *visits((3e-6, 3.1e-6, 3.2e-6, 3e-6, 3e-6, 3e-6), number=4, position=1),
    kernel(STREAM, 4),
    kernel(OTHER, 5, 2, status="failed", reason="registers"),
    *(canary(r, 1000.0 + 200 * (r == 3)) for r in range(1, 8)),
    {"type": "instrument", "session": 1, "event_tick_s": 3.2e-8, "flags": ["shared"]},
]


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.permutations(ORDERED))
def test_the_order_of_records_does_not_matter(records):
    found, plain = profile(records), profile(ORDERED)
    assert same(found.timings, plain.timings)
    assert same(found.refused, plain.refused)
    assert same(found.sessions, plain.sessions)
    assert found.damage == ()


def test_the_same_record_twice_counts_once():
    found = profile([*whole(), *whole()])
    assert same(found.timings, profile(whole()).timings)
    assert found.damage == ()
    odd = visit([None, 1e-4], 7, clock_hz=[CLOCK, CLOCK])
    assert profile([*whole(), odd, copy.deepcopy(odd)]).damage == ()


def test_of_two_visits_at_one_place_the_first_counts():
    found = profile([*whole(), visit(99e-6, 3)])
    assert same(found.timings, profile(whole()).timings)
    (problem,) = found.damage
    assert problem.code == "W2104"
    assert problem.place == "p.jsonl: record 12: visit:"
    assert "position 0 of round 3, session 1" in problem.found


def test_a_number_that_changes_its_kernel():
    found = profile([*whole(), kernel(OTHER)])
    assert codes(found) == ["W2104"]
    assert list(found.timings) == [GEMM]
    assert codes(profile([*whole(), session(half_width=0.5)])) == ["W2104"]


# Records that are not what they should be


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"launches": 0}, "launches"), ({"launches": True}, "launches"), ({"launches": 10**6 + 1}, "launches"),
        ({"launches": 1.0}, "launches"), ({"offset_s": 1.5}, "offset_s"), ({"offset_s": "0"}, "offset_s"),
        ({"seconds": {}}, "seconds"), ({"seconds": ["1"]}, "seconds"), ({"seconds": [True]}, "seconds"),
        ({"seconds": [1e-4] * 10_001}, "seconds"), ({"clock_hz": []}, "clock_hz"), ({"clock_hz": None}, "clock_hz"),
        ({"flags": "high"}, "flags"), ({"flags": [1]}, "flags"), ({"regime": "warm"}, "regime"),
        ({"regime": None}, "regime"), ({"round": -1}, "round"), ({"position": "0"}, "position"),
        ({"kernel": 1e9}, "kernel"), ({"session": 0}, "session"), ({"took_s": -1}, "took_s"),
    ],
)  # fmt: skip
def test_a_visit_with_a_wrong_value_is_left_out(change, key):
    found = profile([*whole(), visit(99e-6, 7) | change])
    assert same(found.timings, profile(whole()).timings)
    (problem,) = found.damage
    assert problem.code == "W2105"
    assert problem.place == f"p.jsonl: record 12: visit {key}:"
    assert str(problem).isprintable()


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (7, "record 2: 7 has no type."), ({"session": 1}, "has no type."), ({"type": None}, "has no type."),
        (kernel(prior=1.5), "kernel prior: 1.5 is not a number from 0 to 1."),
        (kernel(weight=-1), "kernel weight: -1 is not"), (kernel(status="fine"), "kernel status: 'fine' is not one of"),
        (kernel(bound_s="9"), "kernel bound_s: '9' is not"), (kernel() | {"what": {"op": "conv"}}, "kernel what: "),
        (settle(reference_hz=2e11), "settle reference_clock_hz: 2"), (settle(settled=1), "settle settled: 1 is not"),
        (canary(1, -5.0), "canary cycles: -5.0 is not"), (end(7), "end status: 7 is not a text"),
        (fault("Hang", kind=None), "fault kind: None is not a text"),
        (session() | {"settings": []}, "session settings: [] is not"),
        ({"type": "round", "session": 1}, "round round: is missing."),
        ({"type": "instrument", "session": 1, "event_tick_s": 2}, "instrument event_tick_s: 2 is not"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_record(record, text):
    (problem,) = profile([record]).damage
    assert problem.code == "W2105"
    assert text in str(problem)


def test_what_is_not_known_is_passed_over():
    rows = [{"type": "novelty", "session": "?"}, *({**row, "new": [{}]} for row in whole())]
    found = profile(rows)
    assert found.damage == ()
    assert same(found.timings, profile(whole()).timings)


def test_visits_of_a_kernel_without_a_record():
    found = profile([session(), *visits()])
    assert (found.timings, codes(found)) == ({}, ["W2105"])
    assert str(found.damage[0]).startswith("W2105 p.jsonl: session 1: no record says what kernel 17 is.")


def test_many_problems_are_counted():
    found = profile([7] * 1003).damage
    assert len(found) == 1001
    assert found[-1].found == "3 more records were left out."


HEADERS = [{}, None, {"environment": []}, {"environment": {"device": []}}, {"environment": {"device": {"name": 1}}}]


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_without_an_environment(header):
    with pytest.raises(InputError, match=r"^E2106 p\.jsonl: environment:"):
        Profile.from_records(header, [], (), "p.jsonl")


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**400), 10**400), st.integers(-3, 30), st.text(max_size=3),
    st.floats(allow_nan=False), st.sampled_from([1e308, 5e-324, -1.0, 0, 1e-300, [], {}, [None], [1e-5], "wrong"]),
    st.lists(st.floats(allow_nan=False), max_size=3),
)  # fmt: skip
FUZZED = [*ORDERED[:14], *ORDERED[-14:], fault("Hang"), session(2, half_width=0.01, verify="off")]


def keys_of(value, path=()):
    """The paths to all values of nested JSON."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from keys_of(item, (*path, key))


PATHS = list(keys_of(FUZZED))


def mutated(changes):
    records = copy.deepcopy(FUZZED)
    for path, value in changes:
        where = records
        try:
            for key in path[:-1]:
                where = where[key]
            where[path[-1]] = copy.deepcopy(value)
        except (KeyError, IndexError, TypeError):  # an earlier change took that value away
            continue
    return records


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from(PATHS), VALUES), min_size=1, max_size=6))
def test_any_change_of_a_record_gives_times_or_an_error(changes):
    check_mutated(changes)


@pytest.mark.nightly
@settings(max_examples=20_000, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PATHS), VALUES), min_size=1, max_size=30))
def test_many_changes_of_records_give_times_or_an_error(changes):
    check_mutated(changes)


def check_mutated(changes):
    try:
        found = profile(mutated(changes))
    except PerfModelError:
        return
    assert all(0 < one.seconds < math.inf and one.visits >= 1 for one in found.timings.values())
    assert all(not one.low > one.seconds and not one.high < one.seconds for one in found.timings.values())
    assert not set(found.timings) & set(found.refused)
    assert all(str(problem).isprintable() for problem in found.damage)
    assert all(one.what.isprintable() for one in criticise(found))
    assert same(join_profiles([found]).timings.keys(), found.timings.keys())


# Joining


def test_joined_sessions_are_numbered_by_their_start():
    a, b = (profile(whole(1, values, started=at)) for values, at in ((SIX, "b"), ([13e-6] * 6, "a")))
    joined = join_profiles([a, b])
    assert [(one.number, one.started) for one in joined.sessions] == [(1, "a"), (2, "b")]
    assert joined.timings[GEMM].visits == 12
    assert joined.sources == ("p.jsonl",)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.permutations([(whole(1, SIX, started=f"{n % 2}", seed=n), f"{n}.jsonl") for n in range(4)]))
def test_the_order_of_files_does_not_matter(files):
    def joined(files):
        found = join_profiles([profile([*records, 7], source=name) for records, name in files])
        return found.timings, found.sessions, found.damage, found.sources, found.environment_key

    assert same(joined(files), joined(sorted(files, key=str)))


def test_a_session_in_two_files_counts_once():
    short, long = profile(whole(1, SIX)[:-3]), profile(whole(1, (*SIX, 12e-6)))
    for files in ([short, long], [long, short], [long, long]):
        joined = join_profiles(files)
        assert same(joined.timings, long.timings)
        assert joined.damage == ()


def test_two_continuations_of_a_session():
    a, b = profile(whole(1, (*SIX, 12e-6))), profile(whole(1, (*SIX[:5], 14e-6)))
    joined = join_profiles([b, a])
    assert same(joined.timings, a.timings)
    assert codes(joined) == ["W2104"]


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        (ENVIRONMENT | {"driver": "590"}, "driver is '580' in a.jsonl and '590' in b.jsonl."),
        (
            ENVIRONMENT | {"device": ENVIRONMENT["device"] | {"uuid": "GPU-2"}},
            "device.uuid is 'GPU-1' in a.jsonl and 'GPU-2' in b",
        ),
        (ENVIRONMENT | {"compiler": "x"}, "compiler is None in a.jsonl and 'x' in b.jsonl."),
        ({"device": DEVICE}, "driver is '580' in a.jsonl and None in b.jsonl."),
    ],
)
def test_other_environments_do_not_join(environment, text):
    files = [profile(whole(), ENVIRONMENT, "a.jsonl"), profile(whole(), environment, "b.jsonl")]
    for given_files in (files, files[::-1]):
        with pytest.raises(InputError, match=r"^E2108 environment: ") as error:
            join_profiles(given_files)
        assert text in str(error.value)
    with pytest.raises(InputError, match="E2108"):
        join_profiles([])


# The profile as a whole


def test_the_fastest_variant():
    rows = [*whole(), kernel(OTHER, 4), *visits([7e-6] * 6, number=4, position=1)]
    found = profile([*rows, kernel(STREAM, 5), *visits([3e-6], number=5, position=2)])
    assert found.fastest(GEMM.problem).kernel == OTHER
    assert found.fastest(MemoryOp(3000.0, 1000.0)).seconds == pytest.approx(3e-6)
    assert found.fastest(Gemm(3, 5, 9)) is None
    assert set(found.kernels) == {GEMM, OTHER, STREAM}


@pytest.mark.parametrize(("kind", "basis"), [("cuda", "measured"), ("simulated", "simulated"), ("replay", "measured")])
def test_basis(kind, basis):
    assert profile([], {"device": {"kind": kind, "name": ""}}).basis == basis


def test_the_table():
    rows = [*whole(), kernel(STREAM, 5), *visits([3e-6], number=5, position=2, flags=["tick", "high"])]
    table = profile([*rows, kernel(OTHER, 6, status="failed", reason="registers")]).frame()
    assert len(table) == 3
    by_variant = table.set_index("variant")
    timed, stream, failed = by_variant.loc["64x64"], by_variant.loc[""], by_variant.loc["128x64"]
    assert (timed.m, timed.n, timed.k, timed.batch) == (3, 5, 7, 1)
    assert (timed.operand, timed.accumulator, timed.output) == ("fp16", "fp32", "fp16")
    assert (timed.op, timed["view"], timed.status, timed.basis) == ("gemm", "gemm", "ready", "measured")
    assert timed.seconds == pytest.approx(12e-6)
    assert timed.share_of_bound == pytest.approx(0.75)
    assert (stream.op, stream.bytes_read, stream.bytes_written, stream["flags"]) == ("stream", 3000, 1000, "high tick")
    assert (failed.status, failed.reason, failed.visits) == ("failed", "registers", 0)
    assert math.isnan(failed.seconds)
    header = (
        "op,view,m,n,k,batch,operand,accumulator,output,a_distinct,b_distinct,layout,kind,shape,bytes_read,"
        "bytes_written,variant,seconds,low,high,interval,visits,sessions,half_width,raw_seconds,reference_hz,elasticity,"
        "spread,bound_s,share_of_bound,of_vendor,weight,flags,status,reason,basis"
    )
    assert table.to_csv(index=False).splitlines()[0] == header
    assert list(profile([]).frame().columns) == header.split(",")


def test_a_file(tmp_path):
    path = tmp_path / "p.jsonl"
    header = make_header(ENVIRONMENT, "2026-11-22", "test")
    path.write_bytes(b"".join(map(encode, [header, *whole()])))
    found = read_profile(path)
    assert same(found.timings, profile(whole()).timings)
    assert found.sources == (str(path),)
    assert found.environment_key == header["environment_key"] == environment_key(ENVIRONMENT)
    with open(path, "ab") as file:
        file.write(encode(visit(12e-6, 7))[:-9])
    torn = read_profile(path)
    assert same(torn.timings, found.timings)
    assert len(torn.damage) == 1
    with pytest.raises(InputError, match="E1201"):
        read_profile(tmp_path / "missing.jsonl")


def test_records_survive_json():
    assert same(profile(json.loads(json.dumps(ORDERED))).timings, profile(ORDERED).timings)
