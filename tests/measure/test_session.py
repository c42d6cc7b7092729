"""A session in which nothing goes wrong: its steps, its times, what it tells, and what a profile makes of it."""

import gc
import math
import tracemalloc

import pytest

from perfmodel.measure.backend import DeviceLost
from perfmodel.measure.simulated.faults import Fault
from perfmodel.measure.simulated.scenario import Noise
from perfmodel.profiles.environment import make_header
from perfmodel.profiles.journal import Journal, read_journal
from perfmodel.profiles.profile import Profile, read_profile

ENVIRONMENT = {"device": {"kind": "simulated", "name": "a card", "uuid": "SIM-7"}}
HEADER = make_header(ENVIRONMENT, "2026-11-22T10:00:00Z", "test")


def profile_of(rig):
    return Profile.from_records(HEADER, rig.records)


@pytest.fixture(scope="module")
def drift(rig):
    """Five kernels on a drifting card."""
    drift = rig((3e-5, 3e-4, 1e-3, 3e-3, 5e-3), on="drift", settle_least_s=12, settle_most_s=20, seed=3)
    drift.outcome = drift.run()
    return drift


def test_the_steps_of_a_session(rig):
    plan = rig(canary_every=2)
    assert plan.run().status == "complete"
    kinds = [record["type"] for record in plan.records]
    a_round = ["round", "canary", "visit", "visit", "canary"]
    assert kinds == ["instrument", "kernel", "kernel", "settle", *a_round * 6, "end"]
    assert all(record["session"] == 1 for record in plan.records)
    assert [r["round"] for r in plan.of("round")] == [1, 2, 3, 4, 5, 6]
    assert all(sorted(r["order"]) == [0, 1] for r in plan.of("round"))
    assert {tuple(r["order"]) for r in plan.of("round")} == {(0, 1), (1, 0)}


def test_canaries_come_every_few_visits(rig):
    plan = rig([1e-3] * 7, canary_every=3)
    plan.run()
    assert [r["position"] for r in plan.of("canary", round=1)] == [0, 3, 6, 7]


def test_times_are_those_of_the_truth(drift):
    assert (drift.outcome.status, drift.outcome.converged) == ("complete", 5)
    assert all(abs(error) < 0.01 for error in drift.errors())
    assert sum(drift.covered()) >= 4
    assert all(subject.estimate.half_width <= 0.01 for subject in drift.last.subjects.values())


def test_a_profile_sees_what_the_session_saw(drift):
    profile = profile_of(drift)
    assert profile.sessions[0].reference_hz == drift.last.reference_hz
    assert profile.sessions[0].status == "complete"
    for subject in drift.last.subjects.values():
        found = profile.timings[subject.job.kernel]
        assert found.seconds == pytest.approx(subject.estimate.seconds, rel=1e-12)
        assert found.low == pytest.approx(subject.estimate.low, rel=1e-4)  # the resolution is that of the pilot
        assert found.visits == subject.estimate.visits


def test_also_where_samples_are_bad(rig):
    """Of four good samples, the clock is the mean of the two in the middle."""
    plain = rig(on="drift")
    plain.run()
    bad = rig(on="drift", faults=[plain.fault_at(visit, "bad clock", value="nan") for visit in plain.of("visit")[:5]])
    bad.run()
    profile = profile_of(bad)
    assert sum("bad_clock" in v["flags"] for v in bad.of("visit")) == 5
    for subject in bad.last.subjects.values():
        assert profile.timings[subject.job.kernel].seconds == pytest.approx(subject.estimate.seconds, rel=1e-12)


def test_the_reference_is_the_median_clock_of_the_last_third(rig):
    plan = rig(on="drift", settle_least_s=6, settle_most_s=6)
    session = plan.session()
    clocks = []
    settle = session.bench.settle

    def keep(*arguments):
        found = settle(*arguments)
        clocks.append((found["seconds"], found["clock_hz"]))
        return found

    session.bench.settle = keep
    session.run()
    total = sum(seconds for seconds, _ in clocks)
    ends = [sum(seconds for seconds, _ in clocks[: i + 1]) for i in range(len(clocks))]
    late = sorted(hz for end, (_, hz) in zip(ends, clocks, strict=True) if end > total * 2 / 3)
    middle = (late[(len(late) - 1) // 2] + late[len(late) // 2]) / 2
    assert session.reference_hz == pytest.approx(middle)
    assert plan.of("settle")[0]["settled"] is False  # 6 s are not enough to tell


def test_settling_ends_when_the_clock_is_steady(rig):
    plan = rig(settle_least_s=1, settle_most_s=60)
    plan.run()
    (settle,) = plan.of("settle")
    assert settle["settled"] is True
    assert 10 <= settle["seconds"] <= 10.6


def test_burst_has_a_reference_from_one_step(rig):
    plan = rig(on="drift", state="burst", settle_least_s=20, settle_most_s=60)
    plan.run()
    (settle,) = plan.of("settle")
    assert settle["settled"] is False
    assert settle["seconds"] < 0.5


def test_visits_of_a_kernel_that_is_done_stop(rig):
    """One kernel is calm, the other is not: from the sixth round on only that one is visited."""
    plan = rig((3e-3, 5e-3), on="drift", half_width=0.002, most_visits=12)
    outcome = plan.run()
    counts = [len(plan.of("visit", kernel=i)) for i in (0, 1)]
    assert max(counts) <= 12
    assert outcome.visits == sum(counts)
    for record in plan.of("round"):
        assert record["round"] <= 6 or len(record["order"]) <= 2


def test_progress_is_told(rig):
    told = []
    plan = rig(settle_least_s=1, settle_most_s=1)
    session = plan.session()
    session.tell = told.append
    session.run()
    phases = [progress.phase for progress in told]
    assert list(dict.fromkeys(phases)) == ["calibrating", "preparing", "settling", "measuring"]
    last = told[-1]
    assert (last.total, last.budget_s) == (2, 300.0)
    assert [p.visits for p in told if p.phase == "measuring"] == [0, 2, 4, 6, 8, 10]
    assert last.worst is None  # nothing was judged before the sixth round ended
    assert 0 < last.spent_s < session.spent_s


def test_a_kernel_that_is_done_counts_as_done(rig):
    told = []
    plan = rig((3e-3, 5e-3), on="drift", half_width=0.003, most_visits=12)
    session = plan.session()
    session.tell = told.append
    session.run()
    assert told[-1].worst is not None
    assert told[-1].worst > 0
    assert told[-1].visits > 12


def test_an_instrument_that_cannot_be_calibrated_is_no_device(rig):
    plan = rig(faults=[Fault("bad samples", times=0, value="nan")])
    with pytest.raises(DeviceLost, match="calibrated"):
        plan.run()


def test_a_session_without_flags_and_with(rig):
    plan = rig()
    plan.session().run(["shared"], {"mig": False})
    (row,) = plan.of("instrument")
    assert (row["flags"], row["readings"]) == (["shared"], {"mig": False})


def test_records_hold_what_the_schema_says(rig):
    plan = rig(verify="sample")
    plan.jobs = [type(job)(job.kernel, 3.0, 0.25, 1e-4) for job in plan.jobs]
    plan.run()
    kernel, visit = plan.of("kernel")[0], plan.of("visit")[0]
    assert {"what", "weight", "prior", "bound_s", "status", "resources", "verification", "launches", "sets", "cold",
            "offset_s", "expected_s", "mode", "took_s", "state"} <= kernel.keys()  # fmt: skip
    assert (kernel["weight"], kernel["prior"], kernel["bound_s"]) == (3.0, 0.25, 1e-4)
    assert {"round", "position", "kernel", "regime", "launches", "sets", "mode", "offset_s", "seconds", "clock_hz",
            "flags", "readings"} <= visit.keys()  # fmt: skip
    assert visit["regime"] == "cold"
    assert len(visit["seconds"]) == len(visit["clock_hz"]) == 5


def memory_of(rig, folder, samples):
    """Bytes that are live at the end of a session whose journal is on the disk."""
    plan = rig((3e-3, 5e-3), samples=samples, change={"noise": Noise(jitter=0.001)})
    with Journal.create(folder / f"{samples}.jsonl", HEADER, sync=False) as journal:
        session = plan.session(journal=journal)
        tracemalloc.start()
        try:
            session.run()
            gc.collect()
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()


def test_memory_does_not_grow_with_the_samples(rig, tmp_path):
    memory_of(rig, tmp_path, 4)  # what is made once
    few, many = memory_of(rig, tmp_path, 5), memory_of(rig, tmp_path, 500)
    assert many < 1.2 * few
    assert len(read_journal(tmp_path / "500.jsonl").records) == len(read_journal(tmp_path / "5.jsonl").records)
    timings = [read_profile(tmp_path / f"{n}.jsonl").timings for n in (5, 500)]
    for one, other in zip(*(t.values() for t in timings), strict=True):
        assert math.isclose(one.seconds, other.seconds, rel_tol=0.003)
