"""What a session does when something goes wrong: the rest of it is measured, and nothing wrong becomes a time."""

import time
from dataclasses import replace
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.formats import find_format
from perfmodel.gemm import Gemm, Precision
from perfmodel.lowering import MemoryOp
from perfmodel.measure.backend import READINGS, DeviceLost
from perfmodel.measure.simulated import Simulated
from perfmodel.measure.simulated.faults import BAD_VALUES, Fault
from perfmodel.measure.simulated.products import WRONG
from perfmodel.measure.simulated.scenario import Instrument, Noise
from perfmodel.measure.simulated.world import Environment, Span
from perfmodel.profiles.environment import make_header
from perfmodel.profiles.journal import encode
from perfmodel.profiles.kernel import Kernel
from perfmodel.profiles.profile import Profile

TWENTY = {"least_visits": 10, "half_width": 0.5}  # visits, of two kernels
MANY_S = tuple(1e-4 * (3 + i) for i in range(20))
HEADER = make_header({"device": {"kind": "simulated", "name": "a card"}}, "2026-11-22T10:00:00Z", "test")
BROKEN = ("launch failure", "illegal address", "hang")


@pytest.fixture(scope="module")
def clean(rig):
    """The session of 20 visits in which nothing goes wrong."""
    clean = rig(**TWENTY)
    assert clean.run().visits == 20
    return clean


@pytest.fixture(scope="module")
def many(rig):
    """20 kernels without a fault."""
    many = rig(MANY_S)
    many.outcome = many.run()
    assert (many.outcome.status, many.outcome.converged) == ("complete", 20)
    return many


def timed(rig):
    """How far the estimates of the kernels that are not left alone are off, at most."""
    return max(abs(error) for i, error in enumerate(rig.errors()) if rig.last.subjects[i].faults == 0)


# F1: memory


def test_one_failed_allocation_anywhere_costs_no_kernel(rig, many):
    calls = []
    counted = rig(MANY_S)
    session = counted.session()
    allocate = session.bench._backend.allocate
    session.bench._backend.allocate = lambda *args: calls.append(args) or allocate(*args)
    session.run()
    prepared = len(counted.kernels)
    within = [*range(1, prepared + 1), *range(prepared + 1, len(calls) + 1, 37)]
    for call in within:
        broken = rig(MANY_S, faults=[Fault("out of memory", call=call)])
        outcome = broken.run()
        assert (outcome.status, outcome.converged, outcome.failed) == ("complete", 20, 0), call
        assert timed(broken) < 0.01
        if call <= prepared:  # half as many sets, which are too few for the L2
            record = broken.of("kernel", kernel=call - 1)[0]
            assert record["sets"] == many.of("kernel", kernel=call - 1)[0]["sets"] // 2
            assert record["cold"] == "partial"


@pytest.mark.nightly
def test_one_failed_allocation_at_every_call(rig):
    for call in range(1, 1200):
        broken = rig(MANY_S, faults=[Fault("out of memory", call=call)])
        assert broken.run().converged == 20, call


@pytest.mark.parametrize("index", [0, 7, 19])
def test_a_kernel_that_never_fits_is_skipped(rig, index):
    text = rig(MANY_S).kernels[index].text
    broken = rig(MANY_S, faults=[Fault("out of memory", text, times=0)])
    outcome = broken.run()
    assert (outcome.status, outcome.converged, outcome.failed) == ("complete", 19, 1)
    record = broken.of("kernel", kernel=index)[0]
    assert record["status"] == "skipped"
    assert record["reason"] == "out of memory (needs 0.0 GB, 11.8 free)"
    assert not broken.of("visit", kernel=index)


def test_sets_shrink_to_what_the_device_has(rig):
    """Of 16 MB, 60 % may be taken: 9.6 MB hold nine sets of 1 MB, and not the one of 12 MB."""
    small, large = Kernel(MemoryOp(5e5, 5e5)), Kernel(MemoryOp(8e6, 4e6))
    broken = rig((3e-4, 5e-4), kernels=[small, large], faults=[Fault("out of memory", free_bytes=16_000_000)])
    broken.run()
    rows = broken.of("kernel")
    assert [(r["status"], r["sets"], r["cold"]) for r in rows] == [("ready", 9, "partial"), ("ready", 1, "partial")]
    broken = rig((3e-4, 5e-4), kernels=[small, large], faults=[Fault("out of memory", free_bytes=10_000_000)])
    outcome = broken.run()
    assert (outcome.converged, outcome.failed) == (1, 1)
    assert broken.of("kernel", kernel=1)[0]["reason"] == "out of memory (needs 0.0 GB, 0.0 free)"


def test_memory_that_is_gone_after_preparing_costs_its_kernel_only(rig, many):
    counter = many.of("settle")[0]["state"]["counter"] - 1
    text = many.kernels[7].text
    broken = rig(MANY_S, faults=[Fault("out of memory", text, counter=counter, always=True)])
    outcome = broken.run()
    assert (outcome.status, outcome.converged, outcome.failed) == ("complete", 19, 1)
    assert not broken.of("visit", kernel=7)
    assert {r["failure"] for r in broken.of("fault")} == {"OutOfDeviceMemory"}


# F2: builds


def test_a_kernel_that_does_not_build_costs_itself_only(rig, many):
    for index in range(20):
        text = many.kernels[index].text
        broken = rig(MANY_S, faults=[Fault("build", text, message="ptxas error: too many resources")])
        outcome = broken.run()
        assert (outcome.status, outcome.converged, outcome.failed) == ("complete", 19, 1)
        row = broken.of("kernel", kernel=index)[0]
        assert row["status"] == "failed"
        assert row["reason"].startswith(f"ptxas error: too many resources; Build {text}")
        assert {r["kernel"] for r in broken.of("visit")} == set(range(20)) - {index}


def test_no_kernel_builds(rig):
    broken = rig(faults=[Fault("build", times=0)])
    outcome = broken.run()
    assert (outcome.status, outcome.kernels, outcome.failed, outcome.visits) == ("complete", 2, 2, 0)
    assert broken.records[-1]["type"] == "end"


# F3: faults that need a restart


@pytest.mark.parametrize("kind", BROKEN)
def test_a_fault_at_any_visit_costs_no_visit(rig, clean, kind):
    names = ("kernel", "round", "position")
    for number, visit in enumerate(clean.of("visit")):
        broken = rig(faults=[clean.fault_at(visit, kind)], **TWENTY)
        outcome = broken.run()
        assert (outcome.status, outcome.converged, outcome.failed, outcome.visits) == ("complete", 2, 0, 20)
        (fault,) = broken.of("fault")
        assert [fault[name] for name in names] == [visit[name] for name in names]
        assert (fault["kind"], fault["failure"]) == ("visit", "Hang" if kind == "hang" else "KernelFault")
        assert broken.of("visit")[:number] == clean.of("visit")[:number]
        assert broken.of("visit")[number]["trial"] == 1
        assert timed(broken) < 0.005


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("number", [0, 5, 13])
def test_a_kernel_that_fails_from_some_visit_on_is_left_alone(rig, clean, kind, number):
    visit = clean.of("visit")[number]
    broken = rig(faults=[clean.fault_at(visit, kind, always=True)], **TWENTY)
    outcome = broken.run()
    assert (outcome.converged, outcome.failed) == (1, 1)
    assert [r.get("trial", 0) for r in broken.of("fault", kernel=visit["kernel"])] == [0, 1]
    assert len(broken.of("visit", kernel=1 - visit["kernel"])) == 10
    before = [v for v in clean.of("visit")[:number] if v["kernel"] == visit["kernel"]]
    assert broken.of("visit", kernel=visit["kernel"]) == before


@pytest.mark.parametrize("kind", BROKEN)
def test_a_kernel_that_never_runs_is_not_visited(rig, kind):
    text = rig().kernels[0].text
    broken = rig(faults=[Fault(kind, text, times=0)])
    outcome = broken.run()
    assert (outcome.status, outcome.converged, outcome.failed) == ("complete", 1, 1)
    assert broken.of("kernel", kernel=0)[0]["status"] == "failed"
    assert len(broken.of("fault", kernel=0)) == 2


@pytest.mark.parametrize("kind", BROKEN)
def test_a_canary_that_fails_once_is_made_again(rig, clean, kind):
    canary = clean.of("canary")[2]
    fault = Fault(kind, "1024x1024x1024", counter=canary["state"]["counter"] - 1)
    broken = rig(faults=[fault], **TWENTY)
    assert broken.run().converged == 2
    assert len(broken.of("canary")) == len(clean.of("canary"))
    assert [r["kind"] for r in broken.of("fault")] == ["canary"]


def test_a_session_does_without_canaries(rig):
    broken = rig(faults=[Fault("out of memory", "1024x1024x1024", times=0)], **TWENTY)
    outcome = broken.run()
    assert (outcome.status, outcome.converged, outcome.visits) == ("complete", 2, 20)
    assert not broken.of("canary")


class Real(Simulated):
    """A device that cannot go back to a state: only the counter of the faults does."""

    def restore(self, state):
        super().restore(state)
        return False


def mixes_of(plan):
    """Run a session on such a device; which kernels warmed it up, step by step, after the first time."""
    arguments, mixes = plan.make.args, []
    plan.make = lambda: Real(*arguments)
    session = plan.session()
    settle = session.bench.settle

    def watched(kernels, *rest):
        mixes.append([plan.kernels.index(kernel) for kernel in kernels])
        return settle(kernels, *rest)

    session.bench.settle = watched
    return session.run(), mixes[1:]


def test_a_device_without_states_is_warmed_up_without_the_kernel_that_broke_it(rig, clean):
    """As a real one: the kernel must not break it again while it settles."""
    visit = clean.of("visit")[9]
    outcome, mixes = mixes_of(rig(faults=[clean.fault_at(visit, "hang", always=True)], **TWENTY))
    assert (outcome.converged, outcome.failed) == (1, 1)
    assert len(mixes) > 34  # twice 5 s in steps of 0.25 s and what was in flight then
    assert all(mix == [1 - visit["kernel"]] for mix in mixes)


def test_a_kernel_that_is_left_alone_does_not_warm_up_either(rig):
    """When another one breaks the device later."""
    times_s = (3e-3, 5e-3, 7e-3)
    plain = rig(times_s)
    plain.run()
    always = plain.fault_at(plain.of("visit", kernel=0, round=2)[0], "hang", always=True)
    one = rig(times_s, faults=[always])
    _, mixes = mixes_of(one)
    assert all(mix == [1, 2] for mix in mixes)
    later = one.fault_at(one.of("visit", kernel=1, round=4)[0], "hang")
    two = rig(times_s, faults=[always, later])
    outcome, mixes = mixes_of(two)
    assert (outcome.converged, outcome.failed) == (2, 1)
    assert [fault["kernel"] for fault in two.of("fault")] == [0, 0, 1]
    assert mixes[-15:] == [[2]] * 15
    assert not any(0 in mix for mix in mixes)


# F5: the device is gone


@pytest.mark.parametrize("call", [1, 2, 100, 1000, 1500, 3000, 4000])
def test_a_lost_device_ends_the_session_and_loses_nothing(rig, clean, sorted_records, call):
    start = time.monotonic()
    broken = rig(faults=[Fault("device lost", call=call)], **TWENTY)
    with pytest.raises(DeviceLost):
        broken.run()
    assert time.monotonic() - start < 5
    assert broken.records == clean.records[: len(broken.records)]
    rest = rig(records=broken.records, **TWENTY)
    assert rest.run().visits == 20
    assert sorted_records(rest.records) == sorted_records(clean.records)


def test_a_device_lost_at_a_launch(rig, clean):
    for visit in clean.of("visit")[::4]:
        broken = rig(faults=[clean.fault_at(visit, "device lost")], **TWENTY)
        with pytest.raises(DeviceLost, match="bus"):
            broken.run()
        assert broken.of("visit") == clean.of("visit")[: len(broken.of("visit"))]


def test_four_kernels_in_a_row_that_always_crash_are_a_lost_device(rig):
    crash = Fault("launch failure", "gemm 7x5", times=0)
    broken = rig((3e-3, 5e-3, 7e-3, 9e-3), faults=[crash])
    with pytest.raises(DeviceLost, match="8 steps in a row failed, the last with: launch failure"):
        broken.run()
    assert len(broken.of("fault")) == 7
    three = rig((3e-3, 5e-3, 7e-3), faults=[crash])
    assert three.run().failed == 3


# F6, F7: clocks


def throttled(rig, seed):
    times = [1e-3 * (2 + 0.5 * i) for i in range(10)]
    plan = {"times_s": times, "on": "drift", "seed": seed, "elasticity": 0.6, "least_visits": 12}
    plain = rig(**plan)
    plain.run()
    start = plain.of("canary", round=4, position=0)[0]["state"]["device_s"]
    broken = rig(change={"environment": Environment(throttles=(Span(start, start + 2.0, 0.5),))}, **plan)
    broken.run()
    return broken


def check_throttled(rig, sessions):
    covered, errors = [], []
    for seed in range(sessions):
        broken = throttled(rig, seed)
        flagged = [v for v in broken.of("visit") if "throttle" in v["flags"]]
        assert flagged
        assert all(len(v["seconds"]) == 5 and None not in v["seconds"] for v in flagged)
        kept = sum(len(subject.visits) for subject in broken.last.subjects.values())
        assert kept == len(broken.of("visit"))
        covered += broken.covered()
        errors += broken.errors()
    assert sum(covered) / len(covered) >= 0.92
    assert max(map(abs, errors)) < 0.02


def test_a_throttle_is_flagged_and_not_dropped(rig):
    check_throttled(rig, 30)


@pytest.mark.nightly
def test_a_throttle_in_many_sessions(rig):
    check_throttled(rig, 200)


def test_a_card_that_is_always_hot_has_results(rig):
    hot = rig((3e-3, 5e-3, 7e-3), on="hot", settle_least_s=12, settle_most_s=60)
    outcome = hot.run()
    assert (outcome.status, outcome.converged) == ("complete", 3)
    (settle,) = hot.of("settle")
    assert settle["settled"] is True
    assert settle["reference_clock_hz"] < 0.65 * hot.scenario.device.boost_clock_hz
    assert timed(hot) < 0.02
    assert all(len(v["seconds"]) == 5 for v in hot.of("visit"))
    assert not any("throttle" in v["flags"] for v in hot.of("visit"))  # it is the reference


# F9, F10: noise, and none


def test_noise_ends_at_the_most_visits(rig):
    noisy = rig(on="noisy", most_visits=12)
    outcome = noisy.run()
    assert (outcome.status, outcome.converged, outcome.visits) == ("unconverged", 0, 24)
    assert all(subject.estimate.half_width > 0.01 for subject in noisy.last.subjects.values())


def test_noise_ends_with_the_budget(rig):
    noisy = rig(on="noisy", most_visits=1000, budget_s=1.0)
    outcome = noisy.run()
    assert outcome.status == "budget"
    assert 1.0 <= outcome.spent_s < 1.2


def test_intervals_in_noise_are_honest(rig):
    covered = []
    for seed in range(20):
        noisy = rig((3e-4, 4e-4, 5e-4, 6e-4), on="noisy", most_visits=12, seed=seed)
        noisy.run()
        covered += noisy.covered()
    assert sum(covered) >= 0.9 * len(covered)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.lists(st.floats(-7.0, -2.0), min_size=1, max_size=2),
    st.sampled_from([0.0, 32e-9, 1.024e-6, 5e-5]),
    st.sampled_from([0.0, 3e-6, 2e-5]),
)
def test_without_noise_the_tick_is_all(rig, exponents, tick_s, offset_s):
    times = [10.0**e for e in exponents]
    still = rig(
        times, settle_least_s=0, settle_most_s=0, half_width=0.011,
        change={"noise": Noise(), "instrument": Instrument(event_tick_s=tick_s, graph_offset_s=offset_s)},
    )  # fmt: skip
    outcome = still.run()
    assert outcome.status in ("complete", "unconverged")
    for index, error in enumerate(still.errors()):
        row = still.of("kernel", kernel=index)[0]
        step = (tick_s + offset_s / 41) / (row["launches"] * times[index])  # of a sample, and the offset's own tick
        assert abs(error) <= 1.5 * step + 1e-3


# F11: broken event clocks


@pytest.mark.parametrize("value", BAD_VALUES)
@pytest.mark.parametrize("kind", ["bad samples", "bad clock"])
def test_a_bad_reading_is_flagged_and_does_not_count(rig, clean, kind, value):
    for visit in clean.of("visit")[::6]:
        for call in (1, 4):
            fault = replace(clean.fault_at(visit, kind, value=value), call=call)
            broken = rig(faults=[fault], **TWENTY)
            outcome = broken.run()
            assert (outcome.status, outcome.converged, outcome.visits) == ("complete", 2, 20)
            place = {name: visit[name] for name in ("kernel", "round", "position")}
            (found,) = broken.of("visit", **place)
            assert "bad_clock" in found["flags"]
            others = [v for v in broken.of("visit") if v is not found]
            assert not any("bad_clock" in v["flags"] for v in others)
            assert timed(broken) < 0.005


@pytest.mark.parametrize("value", BAD_VALUES)
@pytest.mark.parametrize("kind", ["bad samples", "bad clock"])
def test_a_kernel_whose_readings_are_always_bad_has_no_time(rig, clean, kind, value):
    first = clean.of("visit", kernel=0)[0]
    broken = rig(faults=[clean.fault_at(first, kind, value=value, always=True)], most_visits=10, **TWENTY)
    outcome = broken.run()
    assert (outcome.status, outcome.converged) == ("unconverged", 1)
    assert all("bad_clock" in v["flags"] for v in broken.of("visit", kernel=0))
    assert broken.last.subjects[0].estimate is None
    assert abs(broken.last.subjects[1].estimate.seconds / 5e-3 - 1) < 0.005


@pytest.mark.parametrize("value", BAD_VALUES)
@pytest.mark.parametrize("kind", ["bad samples", "bad clock"])
@pytest.mark.parametrize("call", [1, 300, 375])
def test_a_bad_reading_anywhere_breaks_nothing(rig, kind, value, call):
    broken = rig(faults=[Fault(kind, call=call, times=3, value=value)])
    outcome = broken.run()
    assert (outcome.status, outcome.converged) == ("complete", 2)
    assert timed(broken) < 0.01


@pytest.mark.parametrize("value", BAD_VALUES)
def test_no_reading_is_ever_good(rig, value):
    """Zeros look like work below the tick; anything else cannot be a time."""
    broken = rig(faults=[Fault("bad samples", times=0, value=value)], most_visits=6)
    if value == "zero":
        assert broken.run().status == "unconverged"
        assert all(subject.estimate is None for subject in broken.last.subjects.values())
    else:
        with pytest.raises(DeviceLost, match="calibrated"):
            broken.run()
        assert [r["failure"] for r in broken.of("fault")] == ["NotReadable"] * 2
    broken = rig(faults=[Fault("bad clock", times=0, value=value)])
    with pytest.raises(DeviceLost):
        broken.run()
    assert "clock" in broken.of("fault")[0]["message"]


# F12: wrong results

FP32, FP16, BF16, TF32, INT8 = (
    Precision(*map(find_format, names))
    for names in (("fp32",) * 3, ("fp16", "fp32", "fp16"), ("bf16", "fp32", "fp32"), ("tf32", "fp32", "fp32"),
                  ("int8", "int32", "int32"))
)  # fmt: skip
RIGHT = {  # what changes nothing for these
    ("tf32", TF32), ("tf32", FP16), ("tf32", BF16), ("tf32", INT8), ("bf16", BF16), ("bf16", INT8),
    ("fp16_accumulate", INT8),
}  # fmt: skip


@pytest.mark.parametrize("precision", [FP32, FP16, BF16, TF32, INT8], ids=lambda p: p.name)
@pytest.mark.parametrize("how", WRONG)
def test_a_wrong_kernel_has_no_time(rig, how, precision):
    if (how, precision) in RIGHT:
        return
    kernels = [Kernel(Gemm(96, 80, 1152, precision=precision), name) for name in ("bad", "good")]
    broken = rig(kernels=kernels, faults=[Fault("wrong", "bad", times=0, how=how)], verify="strict")
    outcome = broken.run()
    assert (outcome.status, outcome.converged, outcome.failed) == ("complete", 1, 1)
    bad, good = broken.of("kernel")
    assert (bad["status"], bad["verification"]["ok"], good["status"]) == ("wrong", False, "ready")
    assert bad["reason"]
    assert {v["kernel"] for v in broken.of("visit")} == {1}


def test_a_kernel_that_becomes_wrong_is_found_by_the_recheck(rig):
    """The tenth visit of a kernel checks it again."""
    kernels = [Kernel(Gemm(96, 80, 152), name) for name in ("bad", "good")]
    plan = {"kernels": kernels, "verify": "sample", "least_visits": 11}
    plain = rig(**plan)
    plain.run()
    tenth = plain.of("visit", kernel=0)[9]
    assert [("verification" in v) for v in plain.of("visit", kernel=0)] == [False] * 9 + [True, False]
    broken = rig(faults=[plain.fault_at(tenth, "wrong", how="four_percent", always=True)], **plan)
    outcome = broken.run()
    assert (outcome.converged, outcome.failed) == (1, 1)
    assert len(broken.of("visit", kernel=0)) == 10
    (fault,) = broken.of("fault")
    assert (fault["kind"], fault["kernel"]) == ("wrong", 0)
    assert broken.of("visit", kernel=0)[-1]["verification"]["ok"] is False
    again = rig(records=broken.records, **plan)
    assert (again.run(), again.records) == (outcome, broken.records)


def test_what_is_not_verified_is_not_checked_again(rig):
    broken = rig(faults=[Fault("wrong", times=0, how="guard")], least_visits=11, verify="off")
    assert broken.run().converged == 2
    assert not any("verification" in v for v in broken.of("visit"))


# F13: others on the card


@pytest.mark.parametrize("seed", range(4))
def test_rounds_with_a_tenant_are_found_and_made_again(rig, seed):
    plan = {"times_s": [1e-3 * (1 + 0.1 * i) for i in range(8)], "seed": seed}
    plain = rig(**plan)
    plain.run()
    starts = {n: plain.of("canary", round=n, position=0)[0] for n in (3, 5)}
    begin, end = (row["state"]["device_s"] for row in starts.values())
    tenant = Span(begin - starts[3]["took_s"] * 1.01, begin + 1.15 * (end - begin), 0.2)
    broken = rig(change={"environment": Environment(tenants=(tenant,))}, **plan)
    outcome = broken.run()
    assert (outcome.status, outcome.converged) == ("complete", 8)
    assert {3, 4} <= broken.last.suspect <= {3, 4, 5}
    assert timed(broken) < 0.01
    assert {len(broken.of("visit", kernel=i)) - len(broken.last.suspect) for i in range(8)} == {6}
    assert len(broken.of("visit")) == outcome.visits  # those of suspect rounds are kept


def test_a_round_that_was_not_finished_may_be_suspect(rig):
    """The session and its profile agree on it."""
    times_s = [1e-3 * (1 + 0.1 * i) for i in range(8)]
    plain = rig(times_s)
    plain.run()
    fourth, fifth = (plain.of("canary", round=n, position=0)[0] for n in (4, 5))
    begin = fourth["state"]["device_s"] - 1.01 * fourth["took_s"]
    before = plain.records[: plain.records.index(fifth)]
    spent_s = sum(r["took_s"] for r in before if r["type"] in ("visit", "canary"))
    tenants = (Span(begin, begin + 100, 0.2),)
    tight = rig(times_s, budget_s=1.15 * spent_s, change={"environment": Environment(tenants=tenants)})
    assert tight.run().status == "budget"
    assert tight.records[-2]["round"] == 5
    (session,) = Profile.from_records(HEADER, tight.records).sessions
    assert tight.last.suspect == session.suspect_rounds == {4, 5}


def test_a_card_that_is_never_alone_is_disturbed(rig):
    spans = tuple(Span(0.1 * i, 0.1 * i + 0.05, 0.3) for i in range(200))
    broken = rig((3e-3, 3.1e-3), most_visits=40, change={"environment": Environment(tenants=spans)})
    assert broken.run().status == "disturbed"


# F14: readings


@pytest.mark.parametrize("name", [*READINGS, "all"])
def test_a_missing_reading_changes_nothing_else(rig, clean, name):
    blind = rig(faults=[Fault("reading", names=(name,), times=0)], **TWENTY)
    blind.run()
    nulled = [
        r | {"readings": {k: None if name in (k, "all") else v for k, v in r["readings"].items()}}
        if "readings" in r else r
        for r in clean.records
    ]  # fmt: skip
    assert blind.records == nulled


# F23: sizes


@pytest.mark.parametrize("budget_s", [0.0, 1e-9, 0.05, 1e7])
def test_budgets(rig, many, budget_s):
    tight = rig(MANY_S, budget_s=budget_s)
    outcome = tight.run()
    if budget_s == 1e7:
        assert tight.records == many.records
        return
    assert outcome.status == "budget"
    assert tight.of("visit") == many.of("visit")[: outcome.visits]  # a beginning of the same session
    assert (outcome.visits > 0) == (budget_s == 0.05)
    assert tight.records[-1] == {"type": "end", "session": 1, "status": "budget", "elapsed_s": outcome.spent_s}


def test_one_kernel(rig):
    one = rig((7e-3,))
    outcome = one.run()
    assert (outcome.status, outcome.kernels, outcome.visits) == ("complete", 1, 6)


def test_no_kernel(rig):
    none = rig(())
    outcome = none.run()
    assert (outcome.status, outcome.kernels, outcome.visits) == ("complete", 0, 0)


def test_two_thousand_kernels(rig):
    large = rig([1e-3 * (1 + i % 7) for i in range(2000)], budget_s=1.5, samples=1, condition_s=0.0)
    outcome = large.run()
    assert (outcome.status, outcome.kernels, outcome.failed) == ("budget", 2000, 0)
    counts = [len(large.of("visit", kernel=i)) for i in range(0, 2000, 40)]
    assert set(counts) <= {0, 1}  # no second visit before everybody had the first
    assert outcome.visits > 100


# F26: who is visited


def check_allocation(rig, times, weights, sample_jitter, budget_s):
    plan = rig(times, change={"noise": Noise(sample_jitter=sample_jitter)}, budget_s=budget_s, most_visits=15,
               half_width=0.002)  # fmt: skip
    plan.jobs = [replace(job, weight=weight) for job, weight in zip(plan.jobs, weights, strict=False)]
    outcome = plan.run()
    steps = [(r["type"], r.get("kernel"), r["took_s"]) for r in plan.records if r["type"] in ("visit", "canary")]
    spent = list(accumulate(took for _, _, took in steps))
    assert outcome.spent_s == pytest.approx(spent[-1] if spent else 0.0)
    over = [step for step, total in zip(steps, spent, strict=True) if total >= budget_s]
    assert [kind for kind, _, _ in over].count("visit") <= 1
    assert [kind for kind, _, _ in over].count("canary") <= 1
    counts = dict.fromkeys(range(len(times)), 0)
    for kind, kernel, _ in steps:
        if kind == "visit":
            counts[kernel] += 1
            mean = sum(counts.values()) / len(counts)
            assert min(counts.values()) >= 6 or counts[kernel] <= max(2 * mean, 1)


KERNELS = st.lists(st.tuples(st.floats(-3.5, -2.0), st.floats(0.0, 1e6)), min_size=1, max_size=6)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(KERNELS, st.floats(0, 0.3), st.floats(0, 1.0))
def test_visits_are_balanced_and_within_the_budget(rig, kernels, jitter, budget_s):
    check_allocation(rig, [10.0**e for e, _ in kernels], [weight for _, weight in kernels], jitter, budget_s)


@pytest.mark.nightly
@settings(max_examples=2000, deadline=None)
@given(KERNELS, st.floats(0, 0.3), st.floats(0, 1.0))
def test_visits_are_balanced_in_many_sessions(rig, kernels, jitter, budget_s):
    check_allocation(rig, [10.0**e for e, _ in kernels], [weight for _, weight in kernels], jitter, budget_s)


# F27, F28: the host, and graphs


def test_a_host_that_becomes_slow_is_flagged(rig, clean):
    """5 µs become 200 µs for each of the six calls of a sample: 1.2 ms against a spin of 0.15 ms."""
    start = clean.of("canary", round=4, position=0)[0]["state"]["time_s"]
    slow = rig(faults=[Fault("late enqueue", factor=40.0, from_s=start, times=0)], **TWENTY)
    slow.run()
    late = {r["round"] for r in slow.of("visit") if "late_enqueue" in r["flags"]}
    assert not late & {1, 2, 3}
    assert late >= set(range(4, 11))  # and those that are made again: the canary is late as well
    assert not any("late_enqueue" in r["flags"] for r in clean.of("visit"))


def test_a_host_that_is_always_slow_gets_a_longer_spin(rig):
    slow = rig(change={"instrument": Instrument(enqueue_s=2e-4)})
    assert slow.run().converged == 2
    assert slow.last.spin_s == pytest.approx(3 * 5 * 2e-4)
    assert not any("late_enqueue" in r["flags"] for r in slow.of("visit"))


def test_without_graphs_launches_go_one_by_one(rig):
    plain, without = rig((1e-4, 5e-3)), rig((1e-4, 5e-3), faults=[Fault("capture", times=0)])
    assert plain.run().converged == without.run().converged == 2
    assert {v["mode"] for v in plain.of("visit")} == {"graph"}
    assert {v["mode"] for v in without.of("visit")} == {"stream"}
    assert without.of("instrument")[0]["graph_offset_s"] is None
    assert timed(without) < 0.01


def test_one_kernel_that_cannot_be_captured(rig):
    text = rig().kernels[0].text
    mixed = rig((1e-4, 5e-3), faults=[Fault("capture", text, times=0)])
    assert mixed.run().converged == 2
    assert {(v["kernel"], v["mode"]) for v in mixed.of("visit")} == {(0, "stream"), (1, "graph")}
    assert timed(mixed) < 0.01


# Anything at once

FAULTS = st.builds(
    Fault,
    kind=st.sampled_from(
        ["out of memory", "build", "capture", *BROKEN, "device lost", "reading", "bad samples", "bad clock", "wrong",
         "late enqueue"]
    ),
    kernel=st.sampled_from(["", "x3 fp32", "x5 fp32", "1024x1024x1024"]),
    counter=st.none() | st.integers(0, 30),
    call=st.integers(1, 6),
    times=st.integers(0, 4),
    always=st.booleans(),
    how=st.sampled_from(WRONG),
    value=st.sampled_from(sorted(BAD_VALUES)),
    names=st.just(("all",)),
    message=st.text(max_size=9),
    free_bytes=st.none() | st.integers(0, 10**8),
    factor=st.floats(1, 1e3),
)  # fmt: skip


def check_anything(rig, faults):
    """A session ends, or its device is lost; what it recorded can be stored, read and gone on with."""
    plan = {"faults": faults, "verify": "sample", "most_visits": 8}
    records, lost = [], 0
    while lost < 3:
        session = rig(records=records, **plan)
        try:
            outcome = session.run()
            break
        except DeviceLost:
            assert session.records[: len(records)] == records
            records, lost = session.records, lost + 1
    for record in session.records:
        encode(record)
    profile = Profile.from_records(HEADER, session.records)
    assert not profile.damage
    wrong = {r["kernel"] for r in session.of("kernel", status="wrong") + session.of("fault", kind="wrong")}
    assert not {session.kernels[index] for index in wrong} & set(profile.timings)
    assert all(0 < found.seconds < 1 for found in profile.timings.values())
    if lost < 3:
        assert outcome.status in ("complete", "unconverged", "disturbed", "budget")
        assert outcome.converged + outcome.failed <= 2
        assert session.records[-1]["type"] == "end"


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.lists(FAULTS, min_size=1, max_size=3, unique_by=lambda fault: fault.kind))
def test_any_faults_end_in_an_outcome(rig, faults):
    check_anything(rig, faults)


@pytest.mark.nightly
@settings(max_examples=5000, deadline=None)
@given(st.lists(FAULTS, min_size=1, max_size=5, unique_by=lambda fault: fault.kind))
def test_many_faults_end_in_an_outcome(rig, faults):
    check_anything(rig, faults)
