"""From a plan to a profile: which session is begun or gone on with, what the simulated card is, and signals."""

import json
import os
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from perfmodel.cost import find_cost_model
from perfmodel.devices import find_device
from perfmodel.errors import PerfModelError
from perfmodel.gemm import Gemm
from perfmodel.lowering import MemoryOp
from perfmodel.measure.bench import Bench
from perfmodel.measure.job import Job
from perfmodel.measure.recorder import Interrupted
from perfmodel.measure.settings import Settings
from perfmodel.measure.simulated import Simulated, find_scenario
from perfmodel.measuring import (
    TRUTH_DEVIATION,
    _compare,
    _other_environment,
    jobs_of,
    measure,
    simulated_truths,
    stopped_by_signals,
)
from perfmodel.networks import find_network
from perfmodel.plan import Plan, PlannedKernel, make_plan
from perfmodel.profiles.kernel import Kernel
from perfmodel.profiles.profile import join_profiles, read_profile
from perfmodel.schemes import find_overhead

SETTINGS = Settings(state="burst", half_width=0.5)
PLAN = Plan(
    (
        PlannedKernel(Kernel(Gemm(300, 500, 700)), 3, ("a fprop",), 7e-5, 5e-5, 1.0),
        PlannedKernel(Kernel(MemoryOp(3e6, 1e6)), 7, ("a update",), 9e-6, 7e-6, 0.0),
    ),
    {"networks": ["a"], "batch": [3]},
)
VISITS = 2 * 6


def simulated(plan=PLAN, scenario="calm", settings=SETTINGS):
    return Bench(partial(Simulated, find_scenario(scenario), settings.seed, simulated_truths(plan)), settings)


def run(path, mode="new", plan=PLAN, scenario="calm", settings=SETTINGS, **more):
    return measure(path, plan, simulated(plan, scenario, settings), settings, mode, **more)


def rows(path, kind=None):
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return [row for row in found if kind in (None, row["type"])]


def timeless(path):
    """All records but the header, without what tells two runs apart."""
    return [{key: x for key, x in row.items() if key not in ("crc32", "started")} for row in rows(path)[1:]]


def stopping_after(asked):
    """Says stop when asked for the nth time."""
    left = iter(range(asked, -1, -1))
    return lambda: next(left) == 0


def refusal(path, mode="resume", **more):
    before = path.read_bytes()
    with pytest.raises(PerfModelError) as error:
        run(path, mode, **more)
    (problem,) = error.value.problems
    assert path.read_bytes() == before
    assert sorted(path.parent.iterdir()) == [path]
    return str(problem)


def test_jobs_are_the_kernels_of_the_plan():
    assert jobs_of(PLAN) == [
        Job(Kernel(Gemm(300, 500, 700)), 3, 1.0, 5e-5, 7e-5), Job(Kernel(MemoryOp(3e6, 1e6)), 7, 0.0, 7e-6, 9e-6)
    ]  # fmt: skip


def test_truths_are_a_tenth_off_the_model_and_never_below_the_roofline():
    kernels = [PlannedKernel(Kernel(Gemm(m, 64, 64)), 1, (), 2e-5, 1e-9, 0.25) for m in range(1, 401)]
    truths = simulated_truths(Plan(tuple(kernels), {}))
    assert truths == simulated_truths(Plan(tuple(reversed(kernels)), {}))
    ratios = sorted(truth.seconds / 2e-5 for truth in truths.values())
    assert len(set(ratios)) == 400
    assert ratios[64] == pytest.approx(1 - TRUTH_DEVIATION, abs=0.03)  # one standard deviation below
    assert ratios[336] == pytest.approx(1 + TRUTH_DEVIATION, abs=0.03)
    elasticities = sorted(truth.elasticity for truth in truths.values())
    assert elasticities[200] == pytest.approx(0.25, abs=0.02)
    assert elasticities[64] == pytest.approx(0.25 - TRUTH_DEVIATION, abs=0.03)
    assert 0.0 <= elasticities[0] < elasticities[-1] <= 1.0
    assert all(truth.power == pytest.approx(0.3 + 0.7 * truth.elasticity) for truth in truths.values())
    bound = simulated_truths(Plan((PlannedKernel(kernels[0].kernel, 1, (), 2e-5, 3e-5, 1.0),), {}))
    assert [truth.seconds for truth in bound.values()] == [3e-5]


def test_a_new_profile(tmp_path):
    path = tmp_path / "a.jsonl"
    outcome = run(path)
    assert (outcome.status, outcome.kernels, outcome.visits, outcome.failed) == ("complete", 2, VISITS, 0)
    header, session = rows(path)[:2]
    assert header["made_by"].startswith("perfmodel ")
    assert header["environment"]["device"]["kind"] == "simulated"
    assert session["settings"] == SETTINGS.to_json()
    assert session["request"] == {"networks": ["a"], "batch": [3], "kernels": 2}
    assert [(row["what"], row["weight"]) for row in rows(path, "kernel")] == [
        (PLAN.kernels[0].kernel.to_json(), 3), (PLAN.kernels[1].kernel.to_json(), 7)
    ]  # fmt: skip
    assert sorted(tmp_path.iterdir()) == [path]
    truths = simulated_truths(PLAN)
    for kernel, timing in read_profile(path).timings.items():
        assert timing.seconds == pytest.approx(truths[kernel].seconds, rel=0.01)


def test_the_default_networks_have_a_truth_for_every_kernel():
    device = find_device("rtx-2080-ti")
    model, roofline = (find_cost_model(name, device) for name in ("tiles", "roofline"))
    network = find_network("resnet20")
    plan = make_plan([network], [16], ["fp32", "int8"], "implicit", find_overhead("current"), model, roofline)
    truths = simulated_truths(plan)
    assert set(truths) == {planned.kernel for planned in plan.kernels}
    assert all(truths[planned.kernel].seconds >= planned.bound_s > 0 for planned in plan.kernels)


@pytest.mark.parametrize("asked", range(1, 14, 3))
def test_stopped_and_resumed_is_as_if_never_stopped(tmp_path, asked):
    whole, path = tmp_path / "whole.jsonl", tmp_path / "a.jsonl"
    run(whole)
    with pytest.raises(Interrupted):
        run(path, stop=stopping_after(asked))
    saved = path.read_bytes()
    run(path, "resume")
    assert path.read_bytes().startswith(saved)
    assert timeless(path) == timeless(whole)


def test_progress_is_told(tmp_path):
    told = []
    run(tmp_path / "a.jsonl", progress=told.append)
    assert list(dict.fromkeys(one.phase for one in told)) == ["calibrating", "preparing", "settling", "measuring"]
    assert {one.total for one in told} == {2}


# Which session


def begun(tmp_path, asked=9, **more):
    path = tmp_path / "a.jsonl"
    with pytest.raises(Interrupted):
        run(path, stop=stopping_after(asked), **more)
    return path


def test_resuming_needs_an_open_session(tmp_path):
    path = tmp_path / "a.jsonl"
    run(path)
    assert refusal(path) == f"E2111 {path}: no session is open. --append measures once more."


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"settings": Settings(state="burst", half_width=0.25)}, "half_width 0.5, not 0.25."),
        ({"settings": Settings(state="burst", half_width=0.5, seed=3)}, "seed 0, not 3."),
        ({"plan": Plan(PLAN.kernels, PLAN.request | {"batch": [5]})}, "batch [3], not [5]."),
        ({"plan": Plan(PLAN.kernels, {"networks": ["a"]})}, "batch [3], not None."),
        ({"plan": Plan(PLAN.kernels, PLAN.request | {"tile": "64x64"})}, "tile None, not '64x64'."),
        ({"plan": Plan(PLAN.kernels[:1], PLAN.request)}, "kernels 2, not 1."),
    ],
)
def test_resuming_needs_the_same_request(tmp_path, changed, found):
    path = begun(tmp_path)
    fix = "Give the same command as before, with --resume."
    assert refusal(path, **changed) == f"E2110 {path}: the session was begun with {found} {fix}"


def test_resuming_needs_the_same_kernels(tmp_path):
    path = begun(tmp_path)
    fix = "a network has changed. Give the same command as before, with --resume."
    first, second = PLAN.kernels
    start = f"E2110 {path}: kernel 0 of the session was another one; now it is "
    turned = Plan((second, first), PLAN.request)
    assert refusal(path, plan=turned) == f"{start}7 x stream 3000000 B in, 1000000 B out: {fix}"
    heavier = Plan((PlannedKernel(first.kernel, 5, (), 7e-5, 5e-5, 1.0), second), PLAN.request)
    assert refusal(path, plan=heavier) == f"{start}5 x gemm 300x500x700 fp32: {fix}"


def test_another_environment_is_named(tmp_path):
    path = begun(tmp_path)
    for mode in ("resume", "append"):
        line = refusal(path, mode, scenario="h200")
        assert line.startswith(f"E2109 {path}: was measured in another environment: name was 'NVIDIA GeForce RTX 20")
        assert line.endswith("Write another file; profiles of two environments do not mix.")


@pytest.mark.parametrize("value", [[1], "x", 7])
@pytest.mark.parametrize("part", ["settings", "request"])
def test_a_session_whose_request_was_edited_is_another_one(part, value):
    recorded = {"settings": {"seed": 3}, "request": {"seed": 3}} | {part: value}
    with pytest.raises(PerfModelError, match=r"E2110 a\.jsonl: the session was begun with seed None, not 3"):
        _compare(Path("a.jsonl"), recorded, {"settings": {"seed": 3}, "request": {"seed": 3}})


@pytest.mark.parametrize("device", [[1], "x", 7, None])
def test_an_environment_without_a_device_is_another_one(device):
    error = _other_environment("a.jsonl", {"device": device}, {"device": {"kind": "cuda"}, "driver": "5"})
    assert "kind was None and is 'cuda'" in str(error)


def test_appending_leaves_an_open_session_open(tmp_path):
    path = begun(tmp_path)
    run(path, "append")
    assert [(row["session"], row["status"]) for row in rows(path, "end")] == [(2, "complete")]
    run(path, "resume")
    assert [row["session"] for row in rows(path, "end")] == [2, 1]
    assert len({row["started"] for row in rows(path, "session")}) == 2


def test_a_session_that_lost_its_first_record_keeps_its_number(tmp_path):
    path = begun(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join((lines[0], *lines[2:])))
    assert refusal(path).startswith(f"E2111 {path}: no session is open.")
    run(path, "append")
    assert len([row for row in rows(path, "visit") if row["session"] == 2]) == VISITS


def test_a_profile_that_ends_after_its_header_is_resumed(tmp_path):
    path, whole = begun(tmp_path), tmp_path / "whole.jsonl"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    run(path, "resume")
    run(whole)
    assert timeless(path) == timeless(whole)


def test_sessions_in_two_files_are_two_sessions(tmp_path):
    names = ("a.jsonl", "b.jsonl")
    for name, seed in zip(names, (3, 5), strict=True):
        run(tmp_path / name, settings=replace(SETTINGS, seed=seed))  # within the same second
    joined = join_profiles([read_profile(tmp_path / name) for name in names])
    assert [session.number for session in joined.sessions] == [1, 2]
    assert joined.damage == ()


def test_the_same_visits_in_two_files_are_one_session(tmp_path):
    """As where a simulated card is run twice with one seed: that is no second measurement."""
    names = ("a.jsonl", "b.jsonl")
    for name in names:
        run(tmp_path / name)
    joined = join_profiles([read_profile(tmp_path / name) for name in names])
    assert [session.number for session in joined.sessions] == [1]


def test_preflight_comes_before_the_file(tmp_path):
    (tmp_path / "mig.toml").write_text(
        'title = "Split"\nsource = "made up"\ndevice = "rtx-2080-ti"\n[readings]\nmig = true\n'
    )
    with pytest.raises(PerfModelError, match=r"^E2010 "):
        run(tmp_path / "a.jsonl", scenario=str(tmp_path / "mig.toml"))
    assert [path.name for path in tmp_path.iterdir()] == ["mig.toml"]
    run(tmp_path / "a.jsonl", scenario=str(tmp_path / "mig.toml"), settings=Settings(state="burst", allow_mig=True))
    assert "mig" in rows(tmp_path / "a.jsonl", "instrument")[0]["flags"]


# Signals

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("number", STOPS)
def test_a_signal_is_noted_and_the_handlers_come_back(number):
    before = [signal.getsignal(one) for one in STOPS]
    with stopped_by_signals() as stop:
        assert not stop()
        os.kill(os.getpid(), number)
        assert stop()
    assert [signal.getsignal(one) for one in STOPS] == before


@pytest.mark.parametrize("first", STOPS)
def test_ctrl_c_after_any_signal_ends_at_once(first):
    with stopped_by_signals() as stop:
        os.kill(os.getpid(), first)
        assert stop()
        os.kill(os.getpid(), signal.SIGTERM)  # once more: no reason to hurry
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopped_by_signals() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
