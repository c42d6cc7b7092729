"""The simulated device: its times against values worked by hand, determinism, going on from a state, memory, truth."""

import inspect
import json
from dataclasses import replace
from math import exp, floor, inf, isnan, log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.gemm import Gemm, find_precision
from perfmodel.lowering import MemoryOp
from perfmodel.measure.backend import (
    READINGS,
    Backend,
    BuildFailed,
    DeviceFault,
    Hang,
    KernelFault,
    NotReadable,
    OutOfDeviceMemory,
)
from perfmodel.measure.simulated import Simulated, Truth, find_scenario, scenario_names
from perfmodel.measure.simulated.scenario import Instrument, Noise
from perfmodel.measure.simulated.world import ClockModel, Environment, Span
from perfmodel.profiles.kernel import Kernel

CALM, DRIFT = find_scenario("calm"), find_scenario("drift")
KERNEL, OTHER = Kernel(Gemm(3, 5, 7)), Kernel(MemoryOp(3e6, 1e6))
TRUTHS = {KERNEL: Truth(100e-6, 0.5, 0.9), OTHER: Truth(70e-6, 0.0, 0.3)}
EXACT = replace(CALM, noise=Noise(), instrument=replace(CALM.instrument, event_tick_s=0.0))
BOOST_HZ = 1545e6


def card(scenario=EXACT, seed=0, **changes):
    return Simulated(replace(scenario, **changes), seed, TRUTHS)


def batch(device, kernel=KERNEL, launches=3):
    function = device.build(kernel)
    return device.capture(function, device.allocate(kernel, 1, "normal", 0), launches, 0)


def sample(device, work, spin_s=150e-6):
    """Elapsed time and clock of one launch of a batch."""
    if spin_s:
        device.spin(spin_s)
    before, first = device.stamp(), device.event()
    device.launch(work)
    last, after = device.event(), device.stamp()
    device.synchronise(30.0)
    return device.elapsed_s(first, last), device.clock_hz(before, after)


def test_it_is_a_backend():
    for name, method in inspect.getmembers(Backend, inspect.isfunction):
        if not name.startswith("_"):
            assert list(inspect.signature(getattr(Simulated, name)).parameters) == list(
                inspect.signature(method).parameters
            )


def test_facts():
    facts = card().facts()
    assert (facts.kind, facts.name) == ("simulated", "NVIDIA GeForce RTX 2080 Ti (simulated)")
    assert (facts.compute_capability, facts.sms, facts.l2_bytes, facts.memory_bytes) == (
        "7.5",
        68,
        5632 * 1024,
        11 * 2**30,
    )
    assert (facts.uuid, facts.kernels, facts.driver) == (f"SIM-{CALM.digest[:16]}", "simulated", "")
    assert card(seed=7).facts() == facts
    assert len({Simulated(find_scenario(name)).facts().uuid for name in scenario_names()}) == len(scenario_names())


def test_a_batch_behind_a_spin_takes_its_launches_and_the_offset():
    device = card()
    elapsed_s, clock_hz = sample(device, batch(device))
    assert elapsed_s == pytest.approx(3 * 100e-6 + 3e-6, rel=1e-12)
    assert clock_hz == pytest.approx(BOOST_HZ, rel=2e-4)  # the timer ticks every 32 ns
    gaps = card(instrument=replace(EXACT.instrument, graph_gap_s=2e-6))
    assert sample(gaps, batch(gaps))[0] == pytest.approx(3 * 102e-6 + 3e-6, rel=1e-12)


def test_without_a_spin_the_latency_shows():
    device = card()
    elapsed_s, _ = sample(device, batch(device), spin_s=0.0)  # the event, 5 µs of the host, 12 µs of latency, the batch
    assert elapsed_s == pytest.approx(5e-6 + 12e-6 + 303e-6, rel=1e-12)


@pytest.mark.parametrize(("spin_s", "hidden"), [(9e-6, True), (2e-6, False)])
def test_a_spin_hides_it_only_if_it_lasts_until_the_launch(spin_s, hidden):
    device = card()  # the spin begins 12 µs late; stamp, event and launch take the host 15 µs from its call
    elapsed_s, _ = sample(device, batch(device), spin_s=spin_s)
    assert (elapsed_s < 304e-6) == hidden


def test_times_of_host_and_device():
    device = card()
    assert device.now_s() == 0
    device.spin(1e-3)
    assert device.now_s() == 5e-6
    device.synchronise(1.0)
    assert device.now_s() == pytest.approx(5e-6 + 12e-6 + 1e-3, rel=1e-12)
    device.wait(3.0)
    assert device.now_s() == pytest.approx(3.001017, rel=1e-12)


def test_launches_one_by_one():
    device = card()
    function, operands = device.build(KERNEL), device.allocate(KERNEL, 1, "normal", 0)
    device.spin(150e-6)
    first = device.event()
    device.launch_each(function, operands, 7, 0)
    last = device.event()
    device.synchronise(1.0)
    assert device.elapsed_s(first, last) == pytest.approx(700e-6, rel=1e-12)


def test_launches_one_by_one_are_as_slow_as_the_host():
    device = card(instrument=replace(EXACT.instrument, empty_s=1e-6, latency_s=0.0))
    first = device.event()
    device.launch_each(None, None, 7, 0)  # each begins when the host has enqueued it, every 5 µs
    last = device.event()
    device.synchronise(1.0)
    assert device.elapsed_s(first, last) == pytest.approx(8 * 5e-6, rel=1e-12)


def test_empty_kernels_and_copies():
    device = card()
    elapsed_s, _ = sample(device, device.capture(None, None, 7, 0))
    assert elapsed_s == pytest.approx(7e-6 + 3e-6, rel=1e-9)
    device.spin(100e-6)
    first = device.event()
    device.copy(3 * 10**8)
    last = device.event()
    device.synchronise(1.0)
    assert device.elapsed_s(first, last) == pytest.approx(6e8 / (0.88 * 616e9), rel=1e-9)


def test_time_follows_the_clock_by_its_elasticity():
    slow = replace(EXACT.environment, throttles=(Span(0.0, inf, 0.25),))
    device = card(environment=slow)
    elapsed_s, clock_hz = sample(device, batch(device))
    assert elapsed_s == pytest.approx(2 * 300e-6 + 3e-6, rel=1e-12)
    assert clock_hz == pytest.approx(BOOST_HZ / 4, rel=2e-4)
    assert sample(device, batch(device, OTHER))[0] == pytest.approx(3 * 70e-6 + 3e-6, rel=1e-9)


def test_heat_comes_from_the_load():
    device = card(clock=replace(DRIFT.clock, sd=0.0, slow_sd=0.0))
    work = batch(device, launches=100)
    while device.now_s() < 30.0:
        device.launch(work)
        device.synchronise(1.0)
    assert device.reading("temperature_c") == pytest.approx(35 + 45 * 0.9, abs=0.1)
    drooped = 1 - 0.12 * 0.55 / 0.65
    assert sample(device, work)[1] == pytest.approx(drooped * BOOST_HZ, rel=1e-3)
    device.wait(300.0)
    assert device.reading("temperature_c") == pytest.approx(35)


def test_placement_is_drawn_at_every_allocation():
    device = card(noise=Noise(placement=0.004))
    works = [batch(device) for _ in range(300)]
    shifts = np.array([(sample(device, work)[0] - 3e-6) / 300e-6 - 1 for work in works])
    assert abs(shifts.mean()) < 4 * 0.004 / sqrt(300)
    assert abs(shifts.std() / 0.004 - 1) < 0.2
    assert sample(device, works[0])[0] == pytest.approx(300e-6 * (1 + shifts[0]) + 3e-6, rel=1e-9)


@pytest.mark.parametrize("launches", [1, 16])
def test_jitter_shrinks_with_the_launches_of_a_sample(launches):
    device = card(noise=Noise(jitter=0.02))
    work = batch(device, launches=launches)
    logs = [log((sample(device, work)[0] - 3e-6) / launches / 100e-6) for _ in range(1500)]
    assert abs(np.std(logs) / (0.02 / sqrt(launches)) - 1) < 0.08
    assert abs(np.mean(logs)) < 4 * 0.02 / sqrt(launches * 1500)


def test_sample_jitter_does_not():
    device = card(noise=Noise(sample_jitter=0.3))
    work = batch(device, launches=100)
    logs = [log((sample(device, work)[0] - 3e-6) / 10e-3) for _ in range(1500)]
    assert abs(np.std(logs) / 0.3 - 1) < 0.08


def test_interrupts():
    device = card(noise=Noise(interrupt_share=0.1, interrupt_s=60e-6))
    work = batch(device)
    extra = np.array([sample(device, work)[0] - 303e-6 for _ in range(5000)])
    struck = extra[extra > 1e-9]
    assert abs(len(struck) / 5000 - 0.1) < 4 * sqrt(0.09 / 5000)
    assert abs(struck.mean() / 60e-6 - 1) < 4 / sqrt(500)
    assert extra.min() > -1e-9


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.floats(1e-9, 1e-3), st.sampled_from([32e-9, 1.024e-6, 7e-6]), st.integers(0, 2**32))
def test_elapsed_times_are_whole_ticks_around_the_truth(seconds, tick_s, seed):
    device = card(instrument=Instrument(event_tick_s=tick_s, latency_s=0.0, enqueue_s=0.0), seed=seed)
    first = device.event()
    device.spin(seconds)
    last = device.event()
    device.synchronise(1.0)
    elapsed_s = device.elapsed_s(first, last)
    ticks = round(elapsed_s / tick_s)
    assert elapsed_s == ticks * tick_s
    assert floor(seconds / tick_s * (1 - 1e-9)) <= ticks <= floor(seconds / tick_s * (1 + 1e-9)) + 1
    assert device.elapsed_s(first, last) == elapsed_s
    assert device.elapsed_s(first, first) == 0.0


def test_the_tick_does_not_bias():
    device = card(instrument=Instrument(event_tick_s=7e-6))
    spun = []
    for _ in range(4000):
        device.spin(20e-6)
        first = device.event()
        device.spin(10e-6)
        last = device.event()
        device.synchronise(1.0)
        spun.append(device.elapsed_s(first, last))
    assert set(np.round(np.array(spun) / 7e-6, 9)) == {1.0, 2.0}
    assert np.mean(spun) == pytest.approx(10e-6, abs=4 * 3.5e-6 / sqrt(4000))


def test_stamps_between_which_the_timer_stands_still_give_no_clock():
    device = card(instrument=Instrument(timer_tick_s=1.0))
    assert isnan(sample(device, batch(device))[1])


def test_events_cannot_be_read_before_the_device_is_there():
    device = card()
    device.spin(1e-3)
    first, stamp = device.event(), device.stamp()
    with pytest.raises(DeviceFault, match="before the device had reached it"):
        device.elapsed_s(first, first)
    with pytest.raises(DeviceFault, match="before the device had reached it"):
        device.clock_hz(stamp, stamp)


def test_waiting_has_a_limit():
    device = card()
    device.spin(3.0)
    with pytest.raises(Hang):
        device.synchronise(1.0)
    assert device.now_s() == pytest.approx(1.000005)
    device.synchronise(5.0)
    assert device.now_s() == pytest.approx(3.000017)


def test_the_clock_of_samples_has_the_mean_and_deviation_of_the_model():
    device = card(DRIFT, seed=3)
    work = batch(device, launches=5)
    clocks = []
    for _ in range(3000):
        device.wait(30.0)
        clocks.append(sample(device, work)[1] / BOOST_HZ)
    deviation = sqrt(0.012**2 + 0.010**2)
    correlation = exp(-0.5) * 0.010**2 / deviation**2  # of the slow part, from one sample to the next
    error = deviation * sqrt((1 + 2 * correlation / (1 - exp(-0.5))) / 3000)
    assert abs(np.mean(clocks) - 1) < 4 * error
    assert abs(np.std(clocks) / deviation - 1) < 0.06


def run(device, count):
    work = batch(device)
    return [sample(device, work) for _ in range(count)]


def test_a_seed_gives_the_same_numbers_another_gives_others():
    assert run(card(DRIFT, 3), 50) == run(card(DRIFT, 3), 50)
    assert run(card(DRIFT, 3), 50) != run(card(DRIFT, 5), 50)


CALLS = st.lists(
    st.one_of(
        st.just("state"),
        st.just("allocate"),
        st.just("sample"),
        st.just("each"),
        st.just("copy"),
        st.floats(0, 50).map(lambda seconds: ("wait", seconds)),
    ),
    max_size=12,
)


def play(device, calls):
    """What the device answers to these calls."""
    answers, function = [], device.build(KERNEL)
    operands = device.allocate(KERNEL, 1, "normal", 0)
    work = device.capture(function, operands, 3, 0)
    for call in calls:
        if call == "state":
            answers.append(json.dumps(device.state()))
        elif call == "allocate":
            operands = device.allocate(KERNEL, 1, "normal", 0)
            work = device.capture(function, operands, 5, 0)
        elif call == "sample":
            answers.append(sample(device, work))
        elif call == "each":
            device.launch_each(function, operands, 3, 0)
        elif call == "copy":
            device.copy(10**6)
        else:
            device.wait(call[1])
    device.synchronise(1e9)
    return [*answers, device.now_s(), device.reading("sm_clock_hz"), device.state()]


@settings(max_examples=500, deadline=None, derandomize=True)
@given(CALLS, CALLS, st.integers(0, 2**32 - 1))
def test_a_restored_device_goes_on_bit_for_bit(before, after, seed):
    scenario = replace(
        DRIFT, noise=replace(DRIFT.noise, interrupt_share=0.3), environment=Environment(bimodal=(0.9, 0.7))
    )
    first, second = card(scenario, seed), card(scenario, seed)
    play(first, before)
    play(second, after[::-1])  # whatever it did before does not matter
    saved = json.loads(json.dumps(first.state()))
    assert second.restore(saved) is True
    assert play(second, after) == play(first, after)


def test_states_count_and_move_on():
    device = card(DRIFT)
    states = [device.state() for _ in range(3)]
    assert [state["counter"] for state in states] == [1, 2, 3]
    assert set(states[0]) == {"counter", "time_s", "device_s", "ou", "ext", "heat", "cycles", "load"}
    devices = [card(DRIFT) for _ in range(2)]
    for other, state in zip(devices, states, strict=False):
        other.restore(state)
    assert run(devices[0], 3) != run(devices[1], 3)  # the same moment, but other numbers


STATE = Simulated(CALM).state()


@pytest.mark.parametrize(
    "state",
    [
        {}, {"counter": 1}, STATE | {"counter": 0}, STATE | {"counter": True}, STATE | {"counter": "1"},
        STATE | {"heat": None}, STATE | {"heat": float("nan")}, STATE | {"ou": inf}, STATE | {"ext": "0"},
        STATE | {"time_s": 10**400}, {key: value for key, value in STATE.items() if key != "cycles"},
    ],
)  # fmt: skip
def test_what_is_no_state_is_refused_and_changes_nothing(state):
    device = card(DRIFT)
    assert device.restore(state) is False
    assert run(device, 3) == run(card(DRIFT), 3)


def test_memory_is_counted():
    device = card()
    total = 11 * 2**30
    assert device.free_bytes() == total
    implicit = Kernel(Gemm(100, 30, 70, 1, find_precision("fp16"), a_distinct=900))
    operands = device.allocate(implicit, 7, "normal", 0)
    assert device.free_bytes() == total - 7 * 2 * (900 + 70 * 30 + 100 * 30)
    stream = device.allocate(OTHER, 3, "normal", 0)
    assert device.free_bytes() == total - 7 * 2 * 6000 - 3 * 4_000_000
    device.release(operands)
    device.release(operands)
    device.release(stream)
    assert device.free_bytes() == total


def test_memory_ends():
    device = card()
    device.allocate(OTHER, 1000, "normal", 0)
    with pytest.raises(OutOfDeviceMemory) as error:
        device.allocate(OTHER, 3000, "normal", 0)
    assert (error.value.needed_bytes, error.value.free_bytes) == (12 * 10**9, 11 * 2**30 - 4 * 10**9)
    device.allocate(OTHER, 1952, "normal", 0)
    with pytest.raises(OutOfDeviceMemory):
        device.allocate(OTHER, 1, "normal", 0)


def test_launching_what_was_released_is_an_illegal_address():
    device = card()
    function, operands = device.build(KERNEL), device.allocate(KERNEL, 1, "normal", 0)
    device.release(operands)
    device.launch_each(function, operands, 1, 0)
    with pytest.raises(KernelFault, match="illegal address"):
        device.synchronise(1.0)


def test_the_default_truth_is_above_the_roofline():
    device = Simulated(CALM)
    truth = device.truth(Kernel(Gemm(4096, 4096, 4096)))
    assert truth.seconds == pytest.approx(1.4 * 2 * 4096**3 / (2 * 64 * 68 * BOOST_HZ) + 2e-6, rel=1e-12)
    assert (truth.elasticity, truth.power) == (1.0, 1.0)
    assert device.truth(OTHER).seconds == pytest.approx(1.4 * 4e6 / 616e9 + 2e-6, rel=1e-12)
    assert (device.truth(OTHER).elasticity, device.truth(OTHER).power) == (0.0, 0.3)
    between = device.truth(Kernel(Gemm(4096, 8, 4096)))
    assert 0 < between.elasticity < 0.3
    assert between.power == pytest.approx(0.3 + 0.7 * between.elasticity)


def test_a_precision_that_the_device_lacks_does_not_build():
    device = Simulated(CALM)
    with pytest.raises(BuildFailed) as error:
        device.build(Kernel(Gemm(8, 8, 8, 1, find_precision("bf16"))))
    assert error.value.args == (
        "error: E1103 device rtx-2080-ti: has no unit for bf16. It computes in fp16, fp32, int4, int8.",
        "Build gemm 8x8x8 bf16 for rtx-2080-ti.",
    )


def test_the_long_run():
    device = Simulated(DRIFT, truths=TRUTHS)
    load = (100 * 0.9 + 70 * 0.3) / 170
    clock = 1 - 0.12 * (load - 0.35) / 0.65
    assert device.long_run_clock([KERNEL, OTHER]) == pytest.approx(clock, rel=1e-12)
    seconds = device.long_run_seconds([KERNEL, OTHER])
    assert seconds == pytest.approx([100e-6 / sqrt(clock), 70e-6], rel=1e-12)
    assert device.long_run_clock([OTHER]) == 1.0


def test_the_long_run_knows_what_never_ends():
    ends = Environment(throttles=(Span(3, 5, 0.1),), tenants=(Span(3, 5, 0.7),))
    assert card(environment=ends).long_run_seconds([OTHER, KERNEL]) == pytest.approx([70e-6, 100e-6])
    stays = Environment((Span(3, inf, 0.25),), (Span(3, inf, 0.5),))
    assert card(environment=stays).long_run_seconds([OTHER, KERNEL]) == pytest.approx([105e-6, 300e-6])


def test_long_runs_come_to_the_long_run():
    device = card(DRIFT, clock=replace(DRIFT.clock, sd=0.0, slow_sd=0.0), noise=Noise())
    kernels = [KERNEL, OTHER]
    works = [batch(device, kernel, 30) for kernel in kernels]
    for _ in range(6000):
        for work in works:
            device.launch(work)
    device.synchronise(1e9)
    found = [(sample(device, work)[0] - 3e-6) / 30 for work in works]
    assert found == pytest.approx(device.long_run_seconds(kernels), rel=2e-3)


def test_readings_follow_the_state():
    environment = Environment(throttles=(Span(1, 2, 0.5),), tenants=(Span(3, 4, 0.2),))
    device = card(environment=environment)
    work = batch(device)
    sample(device, work)
    assert (device.reading("clock_reasons"), device.reading("other_processes")) == (0, 0)
    assert device.reading("sm_clock_hz") == BOOST_HZ
    assert device.reading("power_w") == pytest.approx(25 + 225 * 0.9)
    device.wait(1.5)
    assert (device.reading("clock_reasons"), device.reading("sm_clock_hz")) == (4, BOOST_HZ / 2)
    assert device.reading("power_w") == 25
    device.wait(2.0)
    assert (device.reading("clock_reasons"), device.reading("other_processes")) == (0, 1)


def test_every_reading_answers_or_says_that_it_does_not():
    device = card()
    missing = []
    for name in READINGS:
        try:
            assert isinstance(device.reading(name), (int, float, str))
        except NotReadable:
            missing.append(name)
    assert missing == ["memory_clock_hz"]


def test_a_tenant_lengthens_kernels_and_copies():
    device = card(environment=Environment(tenants=(Span(0, inf, 0.2),)), clock=ClockModel())
    assert sample(device, batch(device))[0] == pytest.approx(1.2 * 300e-6 + 3e-6, rel=1e-12)
    start = device.now_s()
    device.copy(3 * 10**8)
    device.synchronise(1.0)
    assert device.now_s() - start == pytest.approx(1.2 * 6e8 / (0.88 * 616e9) + 17e-6, rel=1e-9)
