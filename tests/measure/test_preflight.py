"""What is looked at before a session: what is refused, what is waited for, and what is only flagged."""

from dataclasses import replace

import pytest

from perfmodel.errors import InputError
from perfmodel.measure.backend import READINGS, DeviceFacts
from perfmodel.measure.preflight import DISTURBING, PROTOCOL, environment_of, preflight
from perfmodel.measure.settings import Settings

FACTS = DeviceFacts("cuda", "a card", "GPU-7", "9.0", 7, 5, 3, "580.1", "13.0", "13.0", "abc")
QUIET = dict.fromkeys(READINGS) | {"mig": False, "other_processes": 0, "power_limit_w": 250.0}


class FakeBench:
    """A device with these readings, on which others run for so many seconds."""

    def __init__(self, busy_s=0.0, kind="cuda", **readings):
        self.kind, self.busy_s, self.found = kind, busy_s, QUIET | readings
        self.time_s, self.waits = 0.0, []

    def facts(self):
        return replace(FACTS, kind=self.kind)

    def readings(self, names):
        assert tuple(names) == READINGS
        return self.found | ({"other_processes": 2} if self.time_s < self.busy_s else {})

    def now_s(self):
        return self.time_s

    def wait(self, seconds):
        self.waits.append(seconds)
        self.time_s += seconds


def refused(bench, settings=None, variables=None):
    with pytest.raises(InputError) as caught:
        preflight(bench, settings or Settings(), variables or {})
    assert str(caught.value).isprintable() or len(caught.value.problems) > 1
    return [problem.code for problem in caught.value.problems]


def test_a_quiet_device():
    assert preflight(FakeBench(), Settings(), {}) == ([], QUIET)


def test_instances_are_refused_unless_they_are_allowed():
    assert refused(FakeBench(mig=True)) == ["E2010"]
    flags, _ = preflight(FakeBench(mig=True), Settings(allow_mig=True), {})
    assert flags == ["mig"]


@pytest.mark.parametrize("name", DISTURBING)
def test_variables_that_slow_launches_are_refused(name):
    assert refused(FakeBench(), variables={name: "1"}) == ["E2011"]
    assert preflight(FakeBench(), Settings(), {name: "0"})[0] == []
    assert preflight(FakeBench(), Settings(), {name: ""})[0] == []
    assert preflight(FakeBench(kind="simulated"), Settings(), {name: "1"})[0] == []


def test_everything_that_is_refused_is_told_at_once():
    variables = {"CUDA_LAUNCH_BLOCKING": "1", "NVTX_INJECTION64_PATH": "/x.so"}
    assert refused(FakeBench(mig=True), variables=variables) == ["E2011", "E2011", "E2010"]


def test_other_processes_are_waited_for():
    bench = FakeBench(busy_s=6.5)
    flags, readings = preflight(bench, Settings(wait_idle_s=60), {})
    assert (flags, readings["other_processes"], bench.time_s) == ([], 0, 7.0)


@pytest.mark.parametrize(("limit_s", "waited_s"), [(0.0, 0.0), (0.25, 0.25), (5.0, 5.0)])
def test_other_processes_that_stay_are_flagged(limit_s, waited_s):
    bench = FakeBench(busy_s=1e9)
    flags, readings = preflight(bench, Settings(wait_idle_s=limit_s), {})
    assert (flags, readings["other_processes"], bench.time_s) == (["shared"], 2, waited_s)


def test_other_processes_may_be_accepted():
    bench = FakeBench(busy_s=1e9)
    assert preflight(bench, Settings(allow_shared=True), {})[0] == ["shared"]
    assert bench.waits == []


@pytest.mark.parametrize(
    ("readings", "flags"),
    [
        ({"mps": True}, ["mps"]),
        ({"display": True}, ["display"]),
        ({"application_clock_hz": 1.2e9}, []),  # the default is reported as well
        ({"power_limit_w": 200.0, "power_limit_default_w": 250.0}, ["power_limit_lowered"]),
        ({"power_limit_w": 250.0, "power_limit_default_w": 250.0}, []),
        ({"power_limit_w": None, "power_limit_default_w": 250.0}, []),
        ({"mps": True, "display": True}, ["mps", "display"]),
    ],
)
def test_flags(readings, flags):
    assert preflight(FakeBench(**readings), Settings(), {})[0] == flags


def test_a_pipe_of_mps_in_the_environment():
    variables = {"CUDA_MPS_PIPE_DIRECTORY": "/tmp/mps"}
    assert preflight(FakeBench(), Settings(), variables)[0] == ["mps"]
    assert preflight(FakeBench(kind="simulated"), Settings(), variables)[0] == []


@pytest.mark.parametrize("name", READINGS)
def test_any_reading_may_be_missing(name):
    flags, readings = preflight(FakeBench(**{name: None}), Settings(), {})
    assert (flags, readings[name]) == ([], None)


def test_the_environment_of_timings():
    found = environment_of(FACTS)
    assert found == {
        "device": {"kind": "cuda", "name": "a card", "uuid": "GPU-7", "compute_capability": "9.0", "sms": 7,
                   "l2_bytes": 5, "memory_bytes": 3},
        "driver": "580.1", "runtime": "13.0", "compiler": "13.0", "kernels": "abc", "protocol": PROTOCOL,
    }  # fmt: skip
