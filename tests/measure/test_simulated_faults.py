"""Faults of the simulated device: each kind, each trigger, and what a restarted worker meets."""

import signal
import subprocess
import sys
import time
from dataclasses import replace
from math import inf, isnan

import pytest

from perfmodel.gemm import Gemm
from perfmodel.measure.backend import (
    READINGS,
    BuildFailed,
    CaptureFailed,
    DeviceLost,
    Hang,
    KernelFault,
    NotReadable,
    OutOfDeviceMemory,
)
from perfmodel.measure.simulated import Simulated, Truth, find_scenario
from perfmodel.measure.simulated.faults import Fault, Plan
from perfmodel.measure.simulated.scenario import Noise
from perfmodel.profiles.kernel import Kernel

CALM = find_scenario("calm")
EXACT = replace(CALM, noise=Noise(), instrument=replace(CALM.instrument, event_tick_s=0.0))
FIRST, SECOND = Kernel(Gemm(3, 5, 7)), Kernel(Gemm(11, 13, 17))  # gemm 3x5x7 fp32, gemm 11x13x17 fp32
TRUTHS = {FIRST: Truth(100e-6, 0.0, 0.5), SECOND: Truth(100e-6, 0.0, 0.5)}


def card(*faults, scenario=EXACT):
    return Simulated(replace(scenario, faults=faults), 0, TRUTHS)


def measure(device, kernel=FIRST):
    """Elapsed seconds and clock of one sample."""
    function = device.build(kernel)
    operands = device.allocate(kernel, 1, "normal", 0)
    work = device.capture(function, operands, 1, 0)
    device.spin(150e-6)
    before, first = device.stamp(), device.event()
    device.launch(work)
    last, after = device.event(), device.stamp()
    device.synchronise(30.0)
    device.release(operands)
    return device.elapsed_s(first, last), device.clock_hz(before, after)


def visit(device, kernel=FIRST):
    """The same, after which the state is saved: the counter goes up."""
    answer = measure(device, kernel)
    device.state()
    return answer


def struck(fault, kind, subject="", calls=6):
    """At which of the first calls a fault happens, from 1."""
    plan = Plan([fault])
    return [call for call in range(1, calls + 1) if plan.strikes(kind, subject) is fault]


@pytest.mark.parametrize(
    ("trigger", "calls"),
    [
        ({}, [1]),
        ({"call": 3}, [3]),
        ({"call": 3, "times": 2}, [3, 4]),
        ({"times": 0}, [1, 2, 3, 4, 5, 6]),
        ({"call": 5, "times": 0}, [5, 6]),
        ({"call": 5, "always": True}, [5, 6]),
        ({"kernel": "3x5"}, [1]),
        ({"kernel": "3x7"}, []),
        ({"counter": 0}, [1]),
        ({"counter": 1}, []),
        ({"counter": 1, "always": True}, []),
    ],
)
def test_at_which_calls_a_fault_happens(trigger, calls):
    assert struck(Fault("build", **trigger), "build", FIRST.text) == calls


@pytest.mark.parametrize(
    ("trigger", "reached", "restored"),
    [
        ({"counter": 3}, [3], []),
        ({"counter": 3, "times": 0}, [3], []),
        ({"counter": 3, "always": True}, [3, 4, 5], [3, 4, 5]),
        ({"times": 0}, [1, 2, 3, 4, 5], [1, 2, 3, 4, 5]),
    ],
)
def test_a_counter_that_was_restored_does_not_repeat_its_fault(trigger, reached, restored):
    for again, counters in ((False, reached), (True, restored)):
        found = []
        for counter in range(1, 6):
            plan = Plan([Fault("build", **trigger)])
            plan.reach(counter, again)
            if plan.strikes("build"):
                found.append(counter)
        assert found == counters


def test_only_matching_calls_count():
    plan = Plan([Fault("build", kernel="3x5", call=2), Fault("build", kernel="3x5", call=2)])
    subjects = [FIRST.text, SECOND.text, SECOND.text, FIRST.text, FIRST.text]
    assert [bool(plan.strikes("build", subject)) for subject in subjects] == [False, False, False, True, False]
    assert plan.strikes("capture") is None


@pytest.mark.parametrize("index", range(1, 6))
def test_out_of_memory_at_any_allocation(index):
    device = card(Fault("out of memory", call=index))
    for call in range(1, 7):
        if call == index:
            with pytest.raises(OutOfDeviceMemory) as error:
                device.allocate(FIRST, 3, "normal", 0)
            assert error.value.args == (3 * 284, device.free_bytes())
        else:
            device.allocate(FIRST, 3, "normal", 0)
    assert device.free_bytes() == 11 * 2**30 - 5 * 3 * 284


def test_less_memory_than_the_device_has():
    device = card(Fault("out of memory", free_bytes=1000))
    assert device.free_bytes() == 1000
    operands = device.allocate(FIRST, 3, "normal", 0)
    assert device.free_bytes() == 1000 - 3 * 284
    with pytest.raises(OutOfDeviceMemory) as error:
        device.allocate(FIRST, 1, "normal", 0)
    assert error.value.args == (284, 148)
    device.release(operands)
    device.allocate(FIRST, 3, "normal", 0)


def test_memory_that_another_process_takes_later():
    device = card(Fault("out of memory", free_bytes=1000, counter=1, always=True))
    device.allocate(FIRST, 30, "normal", 0)
    device.state()
    assert device.free_bytes() == 0


def test_a_build_that_fails():
    device = card(Fault("build", kernel="11x13", message="error: too many resources"))
    device.build(FIRST)
    with pytest.raises(BuildFailed) as error:
        device.build(SECOND)
    assert error.value.args == ("error: too many resources", "Build gemm 11x13x17 fp32 in the scenario calm.")
    device.build(SECOND)


def test_a_capture_that_fails():
    device = card(Fault("capture", times=0))
    function = device.build(FIRST)
    for _ in range(3):
        with pytest.raises(CaptureFailed):
            device.capture(function, None, 3, 0)
    device.launch_each(function, None, 3, 0)
    device.synchronise(1.0)


@pytest.mark.parametrize("kind", ["launch failure", "illegal address"])
def test_a_kernel_fault_shows_at_the_synchronise_and_stays(kind):
    device = card(Fault(kind, kernel="11x13"))
    visit(device, FIRST)
    function = device.build(SECOND)
    device.launch_each(function, None, 1, 0)
    event, stamp = device.event(), device.stamp()
    calls = [
        lambda: device.synchronise(1.0), device.facts, device.free_bytes, device.event, device.stamp, device.state,
        lambda: device.build(FIRST), lambda: device.allocate(FIRST, 1, "normal", 0), lambda: device.spin(1e-6),
        lambda: device.launch_each(function, None, 1, 0), lambda: device.capture(function, None, 1, 0),
        lambda: device.copy(3), lambda: device.elapsed_s(event, event), lambda: device.clock_hz(stamp, stamp),
        lambda: device.product(function, FIRST, "normal", 0), lambda: device.restore({}),
        lambda: device.resources(function), lambda: device.reading("power_w"), lambda: device.synchronise(1.0),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(KernelFault, match=kind):
            call()
    assert device.now_s() > 0
    device.wait(1.0)
    device.close()


def test_a_kernel_fault_at_a_counter_hits_one_visit_and_not_its_repetition():
    fault = Fault("launch failure", counter=3)
    device = card(fault)
    for _ in range(3):
        measure(device)
        saved = device.state()
    with pytest.raises(KernelFault):
        measure(device)
    worker, untroubled = card(fault), card()
    assert worker.restore(saved)
    assert untroubled.restore(saved)
    assert [visit(worker) for _ in range(5)] == [visit(untroubled) for _ in range(5)]


def test_a_kernel_fault_without_a_counter_meets_every_worker():
    for _ in range(2):
        worker = card(Fault("illegal address", kernel="3x5"))
        visit(worker, SECOND)
        with pytest.raises(KernelFault):
            visit(worker, FIRST)


def test_a_hang():
    device = card(Fault("hang", kernel="3x5", call=2))
    visit(device)
    start = device.now_s()
    with pytest.raises(Hang):
        visit(device)
    assert device.now_s() > start + 30
    with pytest.raises(Hang):
        device.synchronise(7.0)
    assert device.now_s() > start + 37


def test_a_real_hang_blocks_the_process():
    code = (
        "from dataclasses import replace\n"
        "from perfmodel.measure.simulated import Simulated, find_scenario\n"
        "from perfmodel.measure.simulated.faults import Fault\n"
        "device = Simulated(replace(find_scenario('calm'), faults=(Fault('hang', real=True),)))\n"
        "device.launch_each(None, None, 1, 0)\n"
        "print('launched', flush=True)\n"
        "device.synchronise(1e-9)\n"
        "print('back', flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "launched\n"
        time.sleep(0.2)
        assert process.poll() is None
        process.kill()
        assert process.stdout.read() == ""


def test_a_device_that_is_lost():
    device = card(Fault("device lost", counter=2))
    visit(device), visit(device)
    for call in (device.facts, device.free_bytes, device.state, device.event, lambda: device.synchronise(1.0)):
        with pytest.raises(DeviceLost):
            call()
    device.close()


def test_a_device_that_a_kernel_throws_off_the_bus():
    device = card(Fault("device lost", kernel="11x13"))
    visit(device)
    device.build(SECOND)
    with pytest.raises(DeviceLost):
        device.launch_each(device.build(SECOND), None, 1, 0)
    with pytest.raises(DeviceLost):
        device.facts()


def test_a_device_that_never_was_there_and_one_lost_at_a_call():
    with pytest.raises(DeviceLost):
        card(Fault("device lost", always=True)).facts()
    device = card(Fault("device lost", call=3))
    device.facts(), device.facts()
    with pytest.raises(DeviceLost):
        device.event()


@pytest.mark.parametrize("name", READINGS)
def test_each_reading_can_be_missing(name):
    device = card(Fault("reading", names=(name,), times=0))
    other = "power_w" if name != "power_w" else "temperature_c"
    for _ in range(2):
        with pytest.raises(NotReadable, match=name):
            device.reading(name)
        device.reading(other)
    with pytest.raises(NotReadable):
        card(Fault("reading", names=("all",), times=0)).reading(other)


def test_readings_change_no_time():
    assert visit(card(Fault("reading", names=("all",), times=0))) == visit(card())


@pytest.mark.parametrize(
    ("value", "wrong"),
    [("inf", inf), ("zero", 0.0), ("negative", pytest.approx(-103e-6)), ("decreasing", -0.0)],
)
def test_bad_samples(value, wrong):
    device = card(Fault("bad samples", kernel="3x5", call=2, value=value))
    answers = [visit(device, SECOND)[0], *(visit(device)[0] for _ in range(3))]
    assert answers == [pytest.approx(103e-6), pytest.approx(103e-6), wrong, pytest.approx(103e-6)]


def test_bad_samples_that_are_no_number_or_go_back_by_a_tick():
    assert isnan(visit(card(Fault("bad samples", value="nan")))[0])
    assert visit(card(Fault("bad samples", value="decreasing"), scenario=CALM))[0] == -1.024e-6


def test_bad_clocks():
    good = visit(card())[1]
    assert good == pytest.approx(1545e6, rel=1e-3)
    assert visit(card(Fault("bad clock", value="negative")))[1] == -good
    assert visit(card(Fault("bad clock", value="decreasing")))[1] == -1.0
    assert visit(card(Fault("bad clock", kernel="11x13", value="zero")))[1] == good
    assert visit(card(Fault("bad clock", value="negative")))[0] == visit(card())[0]


def test_an_interrupt_comes_in_the_middle_of_a_visit_and_only_once():
    caught = []
    previous = signal.signal(signal.SIGINT, lambda *_: caught.append(device.now_s()))
    try:
        device = card(Fault("interrupt", counter=2))
        for _ in range(4):
            visit(device)
    finally:
        signal.signal(signal.SIGINT, previous)
    assert len(caught) == 1
    assert 2 * 250e-6 < caught[0] < 3 * 350e-6


def test_an_interrupt_is_a_real_signal():
    with pytest.raises(KeyboardInterrupt):
        visit(card(Fault("interrupt")))


def test_a_host_that_is_late_exposes_the_latency():
    device = card(Fault("late enqueue", factor=30.0, from_s=1.0, to_s=2.0))
    assert visit(device)[0] == pytest.approx(103e-6)
    device.wait(1.0)  # 150 µs for each call: the spin is over before the launch, the work before the second event
    assert visit(device)[0] == pytest.approx(2 * 150e-6)
    device.wait(1.0)
    assert visit(device)[0] == pytest.approx(103e-6)
