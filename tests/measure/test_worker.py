"""A bench in a process of its own: real processes that hang, are killed, and end with their parent."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

import perfmodel
from perfmodel.measure.backend import BuildFailed, DeviceLost, Hang, KernelFault, OutOfDeviceMemory
from perfmodel.measure.bench import Bench
from perfmodel.measure.sampling import Visit
from perfmodel.measure.simulated import Simulated
from perfmodel.measure.simulated.faults import Fault
from perfmodel.measure.worker import WorkerBench, WorkerDied

TWENTY = {"least_visits": 10, "half_width": 0.5}
WATCHDOG_S = 1.0  # a call takes some milliseconds; the machine may be busy


class SlowCompiler(Simulated):
    """A device for which compiling takes longer than the watchdog waits."""

    def build(self, kernel):
        time.sleep(1.1 * WATCHDOG_S)
        return super().build(kernel)


class Stubborn(Simulated):
    """A device whose driver fails when it is given back."""

    def close(self):
        raise ValueError("no context")


class NoDevice(Exception):
    """Not a fault of the device."""


def fail_to_start(fault):
    """A driver that finds no device."""
    raise fault


@pytest.fixture
def workers():
    """Makes worker benches that are closed in the end."""
    made = []

    def make(plan):
        made.append(WorkerBench(plan.make, plan.settings))
        return made[-1]

    yield make
    for bench in made:
        bench.kill()


def pid_of(bench):
    return bench._process.pid


def is_running(pid):
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone_within(pid, limit_s):
    end = time.monotonic() + limit_s
    while is_running(pid):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_a_worker_gives_the_records_of_a_bench(rig, workers):
    plan, alone = rig(on="drift", verify="sample"), rig(on="drift", verify="sample")
    session = plan.session(bench=workers(plan))
    outcome = session.run()
    here = alone.session(bench=Bench(alone.make, alone.settings))
    assert outcome == here.run()
    assert plan.records == alone.records


def test_all_calls_cross(rig, workers):
    plan = rig(faults=[Fault("build", rig().kernels[1].text, times=0)])
    bench, here = workers(plan), Bench(plan.make, plan.settings)
    instrument = here.calibrate()
    for name, arguments in (
        ("calibrate", ()), ("facts", ()), ("readings", (("ecc", "power_w"),)), ("now_s", ()), ("state", ()),
        ("prepare", (plan.kernels[0], instrument, 7)), ("prepare", (plan.kernels[1], instrument, 7)),
        ("settle", (plan.kernels[:1], 0, 0.1)), ("canary", ()), ("wait", (3.0,)), ("now_s", ()),
        ("visit", (Visit(plan.kernels[0], 3, 2, "graph", 1e-4, 7, True),)), ("restore", ({"a": 1},)),
    ):  # fmt: skip
        expected = None if name == "calibrate" else getattr(here, name)(*arguments)
        found = getattr(bench, name)(*arguments)
        assert name == "calibrate" or found == expected, name
    assert bench.restore(bench.state()) is True


def test_a_compiler_may_be_slow_at_any_time(rig, workers):
    """A worker that was started again, or a session that goes on, must build everything anew."""
    plan = rig((7e-4,), watchdog_s=WATCHDOG_S)
    plan.make = partial(SlowCompiler, *plan.make.args)
    bench = workers(plan)
    visit = Visit(plan.kernels[0], 1, 1, "graph", 1e-4, 7)
    assert bench.settle(plan.kernels, 0, 0.01)["seconds"] > 0
    start = time.monotonic()
    assert len(bench.visit(visit)["seconds"]) == 5
    assert time.monotonic() - start < WATCHDOG_S  # it was built already
    bench.restart()
    assert len(bench.visit(visit)["seconds"]) == 5


@pytest.mark.parametrize("name", ["no_such_method", "_allocate", "__wrapped__"])
def test_nothing_else_is_called(rig, workers, name):
    bench = WorkerBench.__new__(WorkerBench)
    with pytest.raises(AttributeError):
        getattr(bench, name)


@pytest.mark.parametrize(
    "fault", [KernelFault("illegal address"), OutOfDeviceMemory(7, 5), DeviceLost("gone"), BuildFailed("error", "how")]
)
def test_faults_cross_as_they_are(rig, fault):
    with pytest.raises(type(fault)) as caught:
        WorkerBench(partial(fail_to_start, fault), rig().settings)
    assert caught.value.args == fault.args


def test_a_bug_in_the_worker_is_told_with_its_traceback(rig):
    with pytest.raises(RuntimeError, match=r"(?s)in the worker:.*fail_to_start.*NoDevice: what"):
        WorkerBench(partial(fail_to_start, NoDevice("what")), rig().settings)


def broken_product(scenario, seed, truths):
    """A card whose software has a bug that shows when a kernel is verified."""
    card = Simulated(scenario, seed, truths)
    card.product = lambda *arguments: {}["missing"]
    return card


def test_a_bug_with_one_kernel_is_a_fault_of_it(rig, workers):
    plan = rig(verify="strict")
    plan.make = partial(broken_product, *plan.make.args)
    bench = workers(plan)
    with pytest.raises(WorkerDied, match="a bug in the worker: KeyError: 'missing'"):
        bench.prepare(plan.kernels[0], bench.calibrate(), 7)


def test_the_mix_is_sent_once(rig, workers, monkeypatch):
    bench, sent = workers(plan := rig()), []
    call = bench.call
    monkeypatch.setattr(bench, "call", lambda name, *rest, **more: (sent.append(name), call(name, *rest, **more))[1])
    following = bench.settle(plan.kernels, 0, 0.01)["next"]
    bench.settle(plan.kernels, following, 0.01)
    bench.settle(plan.kernels[:1], 0, 0.01)
    assert sent.count("keep_mix") == 2
    assert sent.count("settle") == 3


def check_hang(rig, workers, clean, number, always):
    visit = clean.of("visit")[number]
    hang = clean.fault_at(visit, "hang", real=True, always=always)
    plan = rig(faults=[hang], watchdog_s=WATCHDOG_S, **TWENTY)
    bench = workers(plan)
    start = time.monotonic()
    outcome = plan.session(bench=bench).run()
    assert time.monotonic() - start < 20
    faults = plan.of("fault")
    assert {(r["failure"], r["message"]) for r in faults} == {("Hang", f"no answer within {WATCHDOG_S:g} s")}
    other = 1 - visit["kernel"]
    assert len(plan.of("visit", kernel=other)) == 10
    assert (len(faults), outcome.converged, outcome.failed) == ((2, 1, 1) if always else (1, 2, 0))


@pytest.fixture(scope="module")
def clean(rig):
    clean = rig(**TWENTY)
    clean.session().run()
    return clean


@pytest.mark.parametrize(("number", "always"), [(0, False), (7, True), (19, False)])
def test_a_kernel_that_hangs_is_ended(rig, workers, clean, number, always):
    check_hang(rig, workers, clean, number, always)


@pytest.mark.nightly
@pytest.mark.parametrize("number", range(20))
def test_a_hang_at_every_visit(rig, workers, clean, number):
    check_hang(rig, workers, clean, number, always=number % 2 == 0)


def test_a_kernel_that_hangs_while_it_is_prepared_is_ended_as_soon(rig, workers):
    """Only the compiler may take minutes."""
    plan = rig(faults=[Fault("hang", rig().kernels[0].text, times=0, real=True)], watchdog_s=WATCHDOG_S)
    bench = workers(plan)
    start = time.monotonic()
    outcome = plan.session(bench=bench).run()
    assert time.monotonic() - start < 20
    assert (outcome.converged, outcome.failed) == (1, 1)
    assert plan.of("kernel", kernel=0)[0]["status"] == "failed"


def test_after_a_hang_only_a_restart_helps(rig, workers, clean):
    text = rig().kernels[0].text
    plan = rig(faults=[Fault("hang", text, real=True)], watchdog_s=WATCHDOG_S)
    bench = workers(plan)
    request = Visit(plan.kernels[0], 1, 1, "graph", 1e-4, 7)
    pid = pid_of(bench)
    with pytest.raises(Hang):
        bench.visit(request)
    assert not is_running(pid)
    with pytest.raises(WorkerDied, match="exit code -9"):
        bench.now_s()
    bench.restart()
    assert pid_of(bench) != pid
    assert bench.now_s() == 0.0


class KilledAt:
    """A bench whose worker is killed before the calls with these numbers."""

    def __init__(self, bench, calls):
        self.bench, self.calls, self.count = bench, calls, 0

    def __getattr__(self, name):
        def call(*arguments):
            self.count += name != "restart"
            if self.count in self.calls and name != "restart":
                os.kill(pid_of(self.bench), signal.SIGKILL)
                self.calls.remove(self.count)
                self.bench._process.join(5.0)
            return getattr(self.bench, name)(*arguments)

        return call


@pytest.mark.parametrize("call", [1, 31, 32, 33, 34])
def test_a_worker_that_is_killed_is_started_again(rig, workers, call):
    """Before any of the calls that make one step: time, the step itself, time, state."""
    plan = rig()
    outcome = plan.session(bench=KilledAt(workers(plan), {call})).run()
    assert (outcome.status, outcome.converged, outcome.failed) == ("complete", 2, 0)
    (fault,) = plan.of("fault")
    assert fault["failure"] == "WorkerDied"
    assert fault["message"] == "the worker process ended with exit code -9"
    assert [len(plan.of("visit", kernel=i)) for i in (0, 1)] == [6, 6]


def test_a_worker_that_is_closed_ends(rig, workers):
    bench = workers(rig())
    pid = pid_of(bench)
    bench.close()
    assert gone_within(pid, 5)


def test_a_worker_that_fails_to_close_ends(rig, workers):
    plan = rig()
    plan.make = partial(Stubborn, *plan.make.args)
    bench = workers(plan)
    pid = pid_of(bench)
    with pytest.raises(RuntimeError, match="no context"):
        bench.close()
    assert not is_running(pid)


def test_the_worker_ignores_ctrl_c(rig, workers):
    bench = workers(rig())
    os.kill(pid_of(bench), signal.SIGINT)
    time.sleep(0.1)
    assert bench.now_s() == 0.0


PARENT = """
import sys, time
from functools import partial
from perfmodel.measure.settings import Settings
from perfmodel.measure.simulated import Simulated, find_scenario
from perfmodel.measure.worker import WorkerBench

if __name__ == "__main__":
    bench = WorkerBench(partial(Simulated, find_scenario("calm")), Settings())
    print(bench._process.pid, flush=True)
    while True:
        bench.now_s()
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_worker_ends_with_its_parent(tmp_path, number):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = os.environ | {"PYTHONPATH": str(Path(perfmodel.__file__).parents[1])}
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.send_signal(number)
        parent.wait(10)
    assert gone_within(pid, 5)


def test_a_worker_without_a_parent_pipe_is_dead(rig, workers):
    bench = workers(rig())
    bench._pipe.close()
    with pytest.raises(WorkerDied):
        bench.now_s()


def test_settings_and_scenario_cross(rig, workers):
    plan = rig(seed=7)
    plan.make = partial(Simulated, replace(plan.scenario, title="another"), 7)
    assert workers(plan).facts() == plan.make().facts()
