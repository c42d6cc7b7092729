"""A recorded session in the place of a device: the same estimates, earlier ends, and nothing that was not recorded."""

import json

import pytest

from perfmodel.gemm import Gemm
from perfmodel.measure.backend import READINGS, DeviceLost, NotRecorded
from perfmodel.measure.preflight import environment_of, preflight
from perfmodel.measure.replay import Replay
from perfmodel.measure.sampling import Visit
from perfmodel.measure.simulated.faults import Fault
from perfmodel.profiles.environment import make_header
from perfmodel.profiles.kernel import Kernel

TIMES_S = (3e-4, 1e-3, 3e-3)


@pytest.fixture(scope="module")
def recorded(rig):
    recorded = rig(TIMES_S, on="drift", half_width=0.004, most_visits=20, canary_every=2, verify="sample")
    recorded.outcome = recorded.run()
    return recorded


def replay_of(recorded, records=None):
    header = make_header(environment_of(recorded.make().facts()), "2026-11-22T10:00:00Z", "test")
    records = recorded.records if records is None else records
    return Replay(header, json.loads(json.dumps(records)), 1)


def replayed(rig, recorded, records=None, kernels=None, **changes):
    again = rig(
        TIMES_S, on="drift", kernels=kernels, **{"half_width": 0.004, "most_visits": 20, "canary_every": 2} | changes
    )
    again.outcome = again.run(bench=replay_of(recorded, records))
    return again


def estimates(rig):
    return {index: subject.estimate for index, subject in rig.last.subjects.items()}


def test_the_same_settings_give_the_same_estimates(rig, recorded):
    again = replayed(rig, recorded)
    assert estimates(again) == estimates(recorded)
    assert again.outcome.status == recorded.outcome.status
    assert again.outcome.visits == recorded.outcome.visits
    assert again.last.reference_hz == recorded.last.reference_hz
    assert [v["seconds"] for v in again.of("visit")] == [v["seconds"] for v in recorded.of("visit")]
    assert not again.of("fault")
    assert not any("state" in r for r in again.records)


def test_a_wider_interval_stops_earlier(rig, recorded):
    again = replayed(rig, recorded, half_width=0.03)
    assert again.outcome.status == "complete"
    assert again.outcome.visits == 18 < recorded.outcome.visits
    for index in range(3):
        values = [v["seconds"] for v in recorded.of("visit", kernel=index)][:6]
        assert [v["seconds"] for v in again.of("visit", kernel=index)] == values


def test_a_smaller_budget_stops_earlier(rig, recorded):
    again = replayed(rig, recorded, budget_s=recorded.outcome.spent_s / 2)
    assert again.outcome.status == "budget"
    assert 0 < again.outcome.visits < recorded.outcome.visits


def test_more_visits_than_there_were_are_not_invented(rig, recorded):
    again = replayed(rig, recorded, half_width=0.0001, most_visits=40)
    assert {r["failure"] for r in again.of("fault")} == {"NotRecorded"}
    assert "no further visit of gemm 7x5x3 fp32" in {r["message"] for r in again.of("fault")}
    assert again.outcome.failed == 3
    assert again.outcome.visits == recorded.outcome.visits


def test_a_kernel_that_was_not_recorded_fails(rig, recorded):
    other = Kernel(Gemm(9, 9, 9))
    again = replayed(rig, recorded, kernels=[recorded.kernels[0], other], half_width=0.03)
    assert (again.outcome.converged, again.outcome.failed) == (1, 1)
    faults = again.of("fault", kernel=1)
    assert [(r["failure"], r["message"]) for r in faults] == [
        ("NotRecorded", "gemm 9x9x9 fp32 is not in the session")
    ] * 2


def test_a_kernel_that_failed_then_fails_now(rig):
    broken = rig((3e-3, 5e-3), faults=[Fault("build", rig().kernels[1].text)])
    broken.run()
    again = replayed(rig, broken)
    assert again.of("kernel", kernel=1)[0]["reason"] == broken.of("kernel", kernel=1)[0]["reason"]
    assert again.outcome.failed >= 1


def test_what_a_recheck_found_is_found_again(rig):
    plan = {"least_visits": 11, "verify": "sample", "half_width": 0.5}
    plain = rig(**plan)
    plain.run()
    tenth = plain.of("visit", kernel=0)[9]
    wrong = rig(faults=[plain.fault_at(tenth, "wrong", how="guard", always=True)], **plan)
    wrong.run()
    again = rig(**plan)
    again.outcome = again.run(bench=replay_of(wrong))
    assert [(r["kind"], r["kernel"]) for r in again.of("fault")] == [("wrong", 0)]
    assert (again.outcome.converged, again.outcome.failed) == (1, 1)


@pytest.mark.parametrize("kind", ["instrument", "settle"])
def test_without_its_beginning_a_session_cannot_be_replayed(rig, recorded, kind):
    with pytest.raises(DeviceLost):
        replayed(rig, recorded, [r for r in recorded.records if r["type"] != kind])


def test_the_order_in_the_file_does_not_matter(rig, recorded):
    again = replayed(rig, recorded, list(reversed(recorded.records)))
    assert estimates(again) == estimates(recorded)


def test_other_sessions_are_not_mixed_in(rig, recorded):
    others = [record | {"session": 2} for record in recorded.records]
    again = replayed(rig, recorded, others + recorded.records)
    assert again.outcome.visits == recorded.outcome.visits
    assert estimates(again) == estimates(recorded)


def test_procedures_one_by_one(recorded):
    replay = replay_of(recorded)
    kernel = recorded.kernels[1]
    facts = replay.facts()
    assert (facts.kind, facts.uuid) == ("replay", recorded.make().facts().uuid)
    assert replay.readings() == dict.fromkeys(READINGS)
    assert replay.calibrate()["event_tick_s"] == pytest.approx(1.024e-6)
    assert replay.prepare(kernel, {}, 7)["status"] == "ready"
    assert "what" not in replay.prepare(kernel, {}, 7)
    first = recorded.of("visit", kernel=1)[0]
    before = replay.now_s()
    found = replay.visit(Visit(kernel, 1, 1, "graph", 0.0, 3))
    assert found["seconds"] == first["seconds"]
    assert replay.now_s() - before == pytest.approx(first["took_s"])
    assert replay.canary() == {name: recorded.of("canary")[0][name] for name in ("cycles", "copy_s")}
    replay.wait(3.0)
    assert replay.now_s() > before + 3.0
    assert (replay.state(), replay.restore({"a": 1}), replay.restart(), replay.close()) == ({}, False, None, None)
    with pytest.raises(NotRecorded):
        replay.visit(Visit(Kernel(Gemm(9, 9, 9)), 1, 1, "graph", 0.0, 3))
    for _ in recorded.of("canary")[1:]:
        replay.canary()
    with pytest.raises(NotRecorded, match="no further canary"):
        replay.canary()


def test_the_readings_of_the_recording_are_those_of_preflight(rig):
    shared = rig()
    shared.session().run(["shared"], {"other_processes": 3})
    replay = replay_of(shared)
    flags, readings = preflight(replay, rig(wait_idle_s=5).settings, {"CUDA_LAUNCH_BLOCKING": "1"})
    assert (flags, readings["other_processes"]) == (["shared"], 3)
