"""Variants of a kernel compete: the fastest that is right is measured; the journal says what became of the others."""

from dataclasses import replace

import pytest

from perfmodel.gemm import Gemm
from perfmodel.measure.job import Job
from perfmodel.measure.simulated.faults import Fault
from perfmodel.profiles.kernel import VENDOR, Kernel
from perfmodel.profiles.profile import Profile

PROBLEM = Kernel(Gemm(7, 5, 3))
NAMES = ("slow", "fast", "middle")
SECONDS = {"slow": 5e-3, "fast": 2e-3, "middle": 3e-3}


def variant(name):
    return replace(PROBLEM, variant=name)


@pytest.fixture
def competing(rig):
    """A session of one problem with three variants; keywords as for `rig`."""

    def make(names=NAMES, **keywords):
        plan = rig(kernels=[variant(name) for name in NAMES], times_s=[SECONDS[name] for name in NAMES], **keywords)
        plan.kernels, plan.jobs = [PROBLEM], [Job(PROBLEM, 3.0, variants=tuple(names))]
        return plan

    return make


def test_the_fastest_is_measured(competing):
    plan = competing()
    outcome = plan.run()
    assert (outcome.kernels, outcome.converged, outcome.failed) == (1, 1, 0)
    (record,) = plan.of("kernel")
    assert (record["what"]["variant"], record["weight"], record["status"]) == ("fast", 3.0, "ready")
    turns = [*NAMES, NAMES[0]]  # the first once more
    assert [row["what"]["variant"] for row in plan.of("pilot")] == turns
    assert [row["expected_s"] for row in plan.of("pilot")] == pytest.approx([SECONDS[n] for n in turns], rel=0.05)
    assert [row["what"]["variant"] for row in plan.of("candidate")] == ["fast"]
    assert plan.last.subjects[0].estimate.seconds == pytest.approx(2e-3, rel=0.05)


def test_a_single_variant_is_not_timed_twice(competing):
    plan = competing(["middle"])
    plan.run()
    assert plan.of("pilot") == []
    assert [row["what"]["variant"] for row in plan.of("kernel")] == ["middle"]


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault("wrong", variant("fast").text, times=0, how="zero_element"), "wrong"),
        (Fault("build", variant("fast").text, times=0, message="error: registers"), None),
    ],
)
def test_the_next_is_taken_where_the_fastest_fails(competing, fault, status):
    plan = competing(faults=[fault], verify="strict")
    assert plan.run().failed == 0
    (record,) = plan.of("kernel")
    assert record["what"]["variant"] == "middle"
    refused = [row["status"] for row in plan.of("candidate") if row["what"]["variant"] == "fast"]
    assert refused == ([status] if status else [])
    if status is None:
        assert [row["reason"][:16] for row in plan.of("pilot") if "reason" in row] == ["error: registers"]


def test_where_none_is_right_the_fastest_ones_fault_is_told(competing):
    faults = [Fault("wrong", variant(name).text, times=0, how="zero_element") for name in NAMES]
    plan = competing(faults=faults, verify="strict")
    outcome = plan.run()
    assert (outcome.failed, outcome.converged) == (1, 0)
    (record,) = plan.of("kernel")
    assert (record["status"], record["what"]["variant"]) == ("wrong", "fast")
    assert record["reason"].startswith("launch 1, integers data: ")


def test_a_variant_that_brings_the_device_down_is_left_out(competing):
    plan = competing(faults=[Fault("illegal address", variant("fast").text, times=0)])
    assert plan.run().failed == 0
    assert plan.of("kernel")[0]["what"]["variant"] == "middle"
    assert [row["kind"] for row in plan.of("fault")] == ["pilot", "pilot"]
    assert [row["what"]["variant"] for row in plan.of("candidate")] == ["middle"]


@pytest.mark.parametrize("steps", range(1, 12))
def test_an_interrupted_choice_goes_on_where_it_was(competing, steps, sorted_records):
    whole = competing()
    whole.run()
    cut = competing()
    assert cut.run_until(steps)
    again = competing(records=cut.records)
    again.run()
    assert sorted_records(again.records) == sorted_records(whole.records)


def test_a_profile_takes_the_chosen_variant_and_keeps_the_vendor_aside():
    environment = {"device": {"kind": "cuda", "name": "GPU"}}
    rows = [{"type": "session", "session": 1, "settings": {}, "request": {}, "started": ""},
            {"type": "settle", "session": 1, "reference_clock_hz": 1e9, "settled": True, "seconds": 1.0}]  # fmt: skip
    for number, (name, seconds) in enumerate((("tile", 4e-3), (VENDOR, 3e-3))):
        what = {"session": 1, "kernel": number}
        rows.append({"type": "kernel", "status": "ready", "what": variant(name).to_json(), **what})
        rows += [
            {"type": "visit", "round": i, "position": number, "regime": "cold", "launches": 1, "offset_s": 0.0,
             "seconds": [seconds], "clock_hz": [1e9], "flags": [], **what} for i in range(1, 7)
        ]  # fmt: skip
    profile = Profile.from_records({"environment": environment}, rows)
    assert profile.fastest(PROBLEM.problem).kernel.variant == "tile"
    assert profile.vendor(PROBLEM.problem).seconds == pytest.approx(3e-3)
    table = profile.frame().set_index("variant")
    assert table.loc["tile"].of_vendor == pytest.approx(0.75)
    assert table.loc[VENDOR].of_vendor == pytest.approx(1.0)
    assert profile.fastest(Gemm(9, 9, 9)) is None
    assert profile.vendor(Gemm(9, 9, 9)) is None


def test_an_implementation_that_brings_the_device_down_is_not_tried_with_the_next_kernel(rig):
    problems = [Kernel(Gemm(7, 5, 3)), Kernel(Gemm(7, 5, 9))]
    both = [replace(problem, variant=name) for problem in problems for name in ("fast", "slow split2")]
    faults = [Fault("illegal address", kernel.text, times=0) for kernel in both if kernel.variant == "fast"]
    plan = rig(kernels=both, times_s=(2e-3, 4e-3, 2e-3, 4e-3), faults=faults)
    plan.kernels, plan.jobs = problems, [Job(problem, variants=("fast", "slow split2")) for problem in problems]
    assert plan.run().failed == 0
    assert [row["what"]["variant"] for row in plan.of("kernel")] == ["slow split2"] * 2
    assert {row["kernel"] for row in plan.of("fault")} == {0}


def test_where_all_are_deadly_they_are_tried_all_the_same(rig):
    problems = [Kernel(Gemm(7, 5, 3)), Kernel(Gemm(7, 5, 9))]
    both = [replace(problem, variant="fast") for problem in problems]
    plan = rig(kernels=both, faults=[Fault("illegal address", both[0].text, times=0)])
    plan.kernels, plan.jobs = problems, [Job(problem, variants=("fast",)) for problem in problems]
    outcome = plan.run()
    assert (outcome.failed, outcome.converged) == (1, 1)
