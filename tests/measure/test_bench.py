"""How a kernel is prepared and visited, and what of it does not depend on how the device is disturbed."""

import math
from contextlib import suppress
from dataclasses import replace

import pytest

from perfmodel.lowering import MemoryOp
from perfmodel.measure.backend import READINGS, DeviceLost, Hang, KernelFault, NotReadable, OutOfDeviceMemory
from perfmodel.measure.bench import Bench
from perfmodel.measure.sampling import LONGEST_SAMPLE_S, Visit, finite, positive
from perfmodel.measure.settings import MOST_LAUNCHES
from perfmodel.measure.simulated.faults import Fault
from perfmodel.measure.simulated.scenario import Instrument, Noise
from perfmodel.measure.simulated.world import Environment, Span
from perfmodel.profiles.kernel import Kernel

PLAIN = {"event_tick_s": 1e-6, "event_offset_s": 0.0, "graph_offset_s": 3e-6}
L2_BYTES = 5.5 * 2**20  # of the card of the scenario


def prepared(plan, index=0, instrument=PLAIN):
    return Bench(plan.make, plan.settings).prepare(plan.kernels[index], instrument, 7)


def a_visit(plan, index=0, launches=1, sets=1, mode="graph", spin_s=150e-6, seed=3, recheck=False):
    return Visit(plan.kernels[index], launches, sets, mode, spin_s, seed, recheck)


# Launches


@pytest.mark.parametrize(
    ("seconds", "instrument", "least_s"),
    [
        (7e-6, PLAIN, 6e-4),  # 200 times the offset of 3 µs
        (7e-6, PLAIN | {"graph_offset_s": 0.0}, 3e-4),  # the setting
        (7e-6, PLAIN | {"event_tick_s": 9e-6}, 9e-4),  # 100 ticks
        (3e-3, PLAIN, 6e-4),
    ],
)
def test_a_sample_is_long_enough(rig, seconds, instrument, least_s):
    plan = rig((seconds,), change={"noise": Noise(), "instrument": Instrument(event_tick_s=1e-6)})
    row = prepared(plan, instrument=instrument)
    assert row["status"] == "ready"
    assert row["launches"] == math.ceil(least_s / seconds) or abs(row["launches"] - least_s / seconds) < 2
    assert row["expected_s"] == pytest.approx(seconds, rel=0.02)
    assert (row["mode"], row["offset_s"]) == ("graph", instrument["graph_offset_s"])


def test_launches_end_with_the_queue(rig):
    assert prepared(rig((1e-7,)))["launches"] == MOST_LAUNCHES


def test_no_tick_asks_for_endless_samples(rig):
    plan = rig((1e-3,))
    row = prepared(plan, instrument=PLAIN | {"event_tick_s": 0.5})
    assert row["launches"] * 1e-3 <= LONGEST_SAMPLE_S * 1.1


def test_without_a_graph_offset_there_are_no_graphs(rig):
    row = prepared(rig(), instrument=PLAIN | {"graph_offset_s": None, "event_offset_s": 1e-6})
    assert (row["mode"], row["offset_s"]) == ("stream", 1e-6)


def test_a_kernel_that_cannot_be_captured_has_the_offset_of_events(rig):
    plan = rig(faults=[Fault("capture", times=0)])
    row = prepared(plan, instrument=PLAIN | {"event_offset_s": 1e-6})
    assert (row["mode"], row["offset_s"]) == ("stream", 1e-6)


def test_one_bad_reading_of_a_pilot_does_not_count(rig):
    plan = rig((7e-6,), faults=[Fault("bad samples", value="nan", call=2)])
    assert prepared(plan)["expected_s"] == pytest.approx(7e-6, rel=0.02)


@pytest.mark.parametrize("value", ["nan", "inf", "negative", "decreasing"])
def test_a_kernel_without_any_time(rig, value):
    plan = rig((7e-6,), faults=[Fault("bad samples", value=value, times=0)])
    with pytest.raises(NotReadable, match="no sample has a time"):
        prepared(plan)


# Sets


@pytest.mark.parametrize("megabytes", [0.1, 1.0, 7.0, 100.0])
def test_sets_rotate_over_three_times_the_l2(rig, megabytes):
    kernel = Kernel(MemoryOp(megabytes * 5e5, megabytes * 5e5))
    row = prepared(rig((1e-3,), kernels=[kernel]))
    assert row["sets"] * kernel.bytes >= 3 * L2_BYTES
    assert row["sets"] == max(2, 1 + math.ceil(3 * L2_BYTES / kernel.bytes))
    assert row["cold"] == "full"


def test_memory_is_given_back(rig):
    plan = rig((1e-3,), kernels=[Kernel(MemoryOp(5e6, 5e6))])
    bench = Bench(plan.make, plan.settings)
    free = bench._backend.free_bytes()
    bench.prepare(plan.kernels[0], PLAIN, 7)
    bench.visit(a_visit(plan, sets=3))
    bench.settle(plan.kernels, 0, 0.1)
    bench.canary()
    assert bench._backend.free_bytes() == free


def test_memory_is_given_back_after_a_failure(rig):
    plan = rig((1e-3,), kernels=[Kernel(MemoryOp(5e6, 5e6))], faults=[Fault("bad samples", value="nan", times=0)])
    bench = Bench(plan.make, plan.settings)
    free = bench._backend.free_bytes()
    with pytest.raises(NotReadable):
        bench.prepare(plan.kernels[0], PLAIN, 7)
    assert bench._backend.free_bytes() == free


def test_a_visit_takes_fewer_sets_where_memory_became_short(rig):
    kernel = Kernel(MemoryOp(5e6, 5e6))
    plan = rig((1e-3,), kernels=[kernel], faults=[Fault("out of memory", free_bytes=50_000_000)])
    assert Bench(plan.make, plan.settings).visit(a_visit(plan, sets=7))["sets"] == 3  # 60 % of 50 MB


def test_one_set_that_does_not_fit_is_out_of_memory(rig):
    plan = rig((1e-3,), kernels=[Kernel(MemoryOp(5e6, 5e6))], faults=[Fault("out of memory", free_bytes=9_000_000)])
    with pytest.raises(OutOfDeviceMemory) as caught:
        Bench(plan.make, plan.settings).visit(a_visit(plan))
    assert (caught.value.needed_bytes, caught.value.free_bytes) == (10_000_000, 9_000_000)
    assert prepared(plan)["reason"] == "out of memory (needs 0.0 GB, 0.0 free)"


# Visits


def test_a_visit(rig):
    plan = rig((7e-4,), change={"noise": Noise(), "instrument": Instrument(event_tick_s=0, timer_tick_s=0)})
    found = Bench(plan.make, plan.settings).visit(a_visit(plan, launches=3, sets=2))
    assert found["seconds"] == pytest.approx([3 * 7e-4 + 3e-6] * 5, rel=1e-9)
    assert found["clock_hz"] == pytest.approx([plan.scenario.device.boost_clock_hz] * 5, rel=1e-6)
    assert (found["launches"], found["sets"], found["mode"], found["flags"]) == (3, 2, "graph", [])
    assert found["readings"].keys() == {"clock_reasons", "temperature_c", "power_w"}
    assert "verification" not in found


def test_the_kernel_runs_before_its_samples(rig):
    plan = rig((4e-4,), condition_s=1e-3, samples=2)
    bench = Bench(plan.make, plan.settings)
    launched = []
    launch = bench._backend.launch
    bench._backend.launch = lambda batch: launched.append(batch) or launch(batch)
    bench.visit(a_visit(plan))
    assert len(launched) == 3 + 2  # 1 ms of 0.4 ms launches


@pytest.mark.parametrize(("expected_s", "hangs"), [(0.0, True), (0.05, True), (0.2, False)])
def test_a_visit_may_take_twenty_times_as_long_as_expected(rig, expected_s, hangs):
    """The sample takes 3 s; the watchdog waits for 1 s at least."""
    plan = rig((3.0,), watchdog_s=1.0)
    visit = replace(a_visit(plan), expected_s=expected_s)
    bench = Bench(plan.make, plan.settings)
    if hangs:
        with pytest.raises(Hang):
            bench.visit(visit)
    else:
        assert bench.visit(visit)["seconds"] == pytest.approx([3.0] * 5, rel=0.01)


@pytest.mark.parametrize(
    ("launches", "sets", "samples", "starts"),
    [
        (4, 11, 7, [3, 7, 0, 3, 7, 0, 3, 7]),  # three batches go through eleven sets
        (7, 100, 2, [3, 10, 17]),  # one batch a sample: no set comes twice
        (11, 11, 2, [3, 3, 3]),
    ],
)
@pytest.mark.parametrize("mode", ["graph", "stream"])
def test_samples_find_no_operands_in_the_cache(rig, launches, sets, samples, starts, mode):
    """A batch that is shorter than the rotation, launched again and again, would find its own."""
    plan = rig((1e-3,), samples=samples)
    bench = Bench(plan.make, plan.settings)
    backend, launched = bench._backend, []
    batch_of, launch, each = backend.capture, backend.launch, backend.launch_each
    backend.capture = lambda *arguments: (batch_of(*arguments), arguments[-1])
    backend.launch = lambda batch: launched.append(batch[1]) or launch(batch[0])
    backend.launch_each = lambda *arguments: launched.append(arguments[-1]) or each(*arguments)
    bench.visit(a_visit(plan, launches=launches, sets=sets, seed=3 + 2 * sets, mode=mode))
    assert launched == starts


class Stubborn:
    """A device that gives nothing back once it is broken; the simulated one would."""

    def __init__(self, backend):
        self._backend, self.released = backend, 0

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def release(self, operands):
        self._backend.facts()  # a call, which fails on a broken device
        self.released += 1
        self._backend.release(operands)

    def close(self):
        raise DeviceLost("nothing can be given back")


@pytest.mark.parametrize("call", ["visit", "prepare", "settle", "canary"])
def test_a_broken_device_says_what_broke_it(rig, call):
    """Giving operands back would fail as well, or wait for a kernel that never ends."""
    for fault, error in (("illegal address", KernelFault), ("hang", Hang)):
        plan = rig(faults=[Fault(fault, times=0)])
        bench = Bench(plan.make, plan.settings)
        bench._backend = Stubborn(bench._backend)
        arguments = {
            "visit": (a_visit(plan),), "prepare": (plan.kernels[0], PLAIN, 7), "settle": (plan.kernels, 0, 0.1),
            "canary": (),
        }  # fmt: skip
        with pytest.raises(error):
            getattr(bench, call)(*arguments[call])
        assert bench._backend.released == 0
        bench.close()


def test_a_device_that_works_gets_its_memory_back(rig):
    plan = rig(faults=[Fault("bad samples", value="nan", times=0)])
    bench = Bench(plan.make, plan.settings)
    free = bench._backend.free_bytes()
    with suppress(NotReadable):
        bench.prepare(plan.kernels[0], PLAIN, 7)
    bench.visit(a_visit(plan))
    bench.settle(plan.kernels, 0, 0.01)
    bench.canary()
    assert bench._backend.free_bytes() == free


def test_where_operands_lie_differs_between_visits(rig):
    plan = rig((1e-3,), change={"noise": Noise(placement=0.01), "instrument": Instrument(event_tick_s=0)})
    bench = Bench(plan.make, plan.settings)
    first, second = (bench.visit(a_visit(plan))["seconds"] for _ in range(2))
    assert max(first) - min(first) < 1e-9
    assert abs(first[0] - second[0]) > 1e-7


@pytest.mark.parametrize(("spin_s", "late"), [(20e-6, True), (30e-6, True), (40e-6, False), (150e-6, False)])
def test_late_enqueueing(rig, spin_s, late):
    """Six calls of 5 µs: spin, stamp, event, launch, event, stamp."""
    plan = rig((1e-3,), change={"instrument": Instrument(enqueue_s=5.1e-6)})
    found = Bench(plan.make, plan.settings).visit(a_visit(plan, spin_s=spin_s))
    assert found["flags"] == ["late_enqueue"] * late


@pytest.mark.parametrize(("seconds", "launches", "late"), [(1e-6, 100, True), (1e-4, 100, False), (1e-6, 20, False)])
def test_late_enqueueing_one_by_one(rig, seconds, launches, late):
    """5 µs a launch: the host is ahead while a spin of 150 µs, or longer kernels, keep the device busy."""
    plan = rig((seconds,), change={"instrument": Instrument(enqueue_s=5e-6)})
    visit = a_visit(plan, launches=launches, mode="stream")
    found = Bench(plan.make, plan.settings).visit(visit)
    assert (found["mode"], found["flags"]) == ("stream", ["late_enqueue"] * late)


@pytest.mark.parametrize(("reasons", "throttled"), [(0, False), (0x4, False), (0x20, True), (0x44, True)])
def test_a_slowdown_that_the_driver_tells_of(rig, reasons, throttled):
    plan = rig(change={"readings": {"clock_reasons": reasons}})
    assert Bench(plan.make, plan.settings).visit(a_visit(plan))["flags"] == ["throttle"] * throttled


def test_rechecks_and_what_is_not_verified(rig):
    for check, expected in (("sample", True), ("off", None)):
        plan = rig(verify=check)
        found = Bench(plan.make, plan.settings).visit(a_visit(plan, recheck=True))
        assert found.get("verification", {}).get("ok") is expected


def test_a_visit_without_graphs(rig):
    plan = rig((7e-4,), faults=[Fault("capture", times=0)])
    found = Bench(plan.make, plan.settings).visit(a_visit(plan))
    assert found["mode"] == "stream"


# Settling and canaries


def test_settling_takes_its_time_and_goes_round(rig):
    plan = rig((3e-3, 5e-3), change={"noise": Noise()})
    bench = Bench(plan.make, plan.settings)
    found = bench.settle(plan.kernels, 0, 0.018)
    assert 0.019 <= found["seconds"] < 0.0195
    assert found["next"] == 1  # 3, then 5 + 3 + 5 at once, then 3 ms, and what the host takes
    assert bench.settle(plan.kernels, 1, 0.004)["next"] == 0


def test_settling_keeps_the_device_busy(rig):
    plan = rig((3e-5, 5e-5), change={"noise": Noise()})
    bench = Bench(plan.make, plan.settings)
    launches = []
    launch_each = bench._backend.launch_each
    bench._backend.launch_each = lambda *arguments: (launches.append(bench.now_s()), launch_each(*arguments))
    found = bench.settle(plan.kernels, 0, 0.02)
    assert len(launches) * 4e-5 > 0.95 * found["seconds"]  # one wait for each launch would idle a third of the time
    assert found["clock_hz"] == pytest.approx(plan.scenario.device.boost_clock_hz, rel=1e-3)


def test_settling_leaves_out_what_finds_no_memory(rig):
    plan = rig((3e-3, 5e-3), faults=[Fault("out of memory", rig().kernels[0].text, times=0)])
    bench = Bench(plan.make, plan.settings)
    assert bench.settle(plan.kernels, 0, 0.02)["seconds"] >= 0.02
    with pytest.raises(OutOfDeviceMemory):
        bench.settle(plan.kernels[:1], 0, 0.02)


def test_settling_without_a_clock(rig):
    plan = rig(faults=[Fault("bad clock", value="negative", times=0)])
    assert Bench(plan.make, plan.settings).settle(plan.kernels, 0, 0.02)["clock_hz"] is None


def test_canaries_do_not_depend_on_the_clock(rig):
    """Half the clock: the arithmetic takes as many cycles, and the copy as long."""
    found = []
    for factor in (1.0, 0.5):
        plan = rig(change={"noise": Noise(), "environment": Environment(throttles=(Span(0, math.inf, factor),))})
        found.append(Bench(plan.make, plan.settings).canary())
    full, half = found
    assert half["cycles"] == pytest.approx(full["cycles"], rel=0.005)
    assert half["copy_s"] == pytest.approx(full["copy_s"], rel=0.005)
    expected = 2 * 2**26 / (0.88 * plan.scenario.device.dram_bytes_per_s)
    assert full["copy_s"] == pytest.approx(expected, rel=0.01)


def test_canaries_show_a_tenant(rig):
    plan = rig(change={"environment": Environment(tenants=(Span(0, math.inf, 0.2),))})
    alone = rig()
    shared, free = (Bench(p.make, p.settings).canary() for p in (plan, alone))
    assert shared["cycles"] == pytest.approx(1.2 * free["cycles"], rel=0.01)
    assert shared["copy_s"] == pytest.approx(1.2 * free["copy_s"], rel=0.01)


def test_a_canary_after_a_restart_is_like_any_other(rig):
    """Nothing about it is remembered: a session that is resumed must do the same."""
    plan = rig(on="drift")
    one, other = (Bench(plan.make, plan.settings) for _ in range(2))
    one.canary()
    state = one.state()
    assert other.restore(state)
    assert one.canary() == other.canary()
    assert one.state() == other.state()


@pytest.mark.parametrize("value", ["nan", "inf", "negative", "zero", "decreasing"])
def test_a_canary_with_bad_readings(rig, value):
    good = Bench(rig().make, rig().settings).canary()
    one = rig(faults=[Fault("bad samples", value=value, call=3), Fault("bad clock", value=value, call=4)])
    found = Bench(one.make, one.settings).canary()
    assert found["cycles"] == pytest.approx(good["cycles"], rel=0.01)
    none = rig(faults=[Fault("bad samples", value=value, times=0)])
    assert Bench(none.make, none.settings).canary() == {"cycles": None, "copy_s": None}


# The rest


def test_readings_that_are_not_there_are_null(rig):
    plan = rig(faults=[Fault("reading", names=("power_w", "mig"), times=0)])
    found = Bench(plan.make, plan.settings).readings()
    assert list(found) == list(READINGS)
    assert (found["mig"], found["power_w"], found["ecc"]) == (None, None, False)


def test_builds_are_kept_until_a_restart(rig):
    plan = rig()
    bench = Bench(plan.make, plan.settings)
    built = []

    def watch():
        build = bench._backend.build
        bench._backend.build = lambda kernel: built.append(kernel) or build(kernel)

    watch()
    assert bench.build(plan.kernels[0]) is None
    bench.visit(a_visit(plan))
    assert len(built) == 1
    bench.restart()
    watch()
    bench.visit(a_visit(plan))
    assert len(built) == 2


def test_a_kernel_that_does_not_build(rig):
    plan = rig(faults=[Fault("build", message="ptxas error", times=0)])
    bench = Bench(plan.make, plan.settings)
    failure = bench.build(plan.kernels[0])
    assert failure["status"] == "failed"
    assert failure["reason"].startswith("ptxas error; Build gemm 7x5x3")
    assert bench.prepare(plan.kernels[0], PLAIN, 7) == failure


def test_an_empty_state_is_none(rig):
    plan = rig()
    assert Bench(plan.make, plan.settings).restore({}) is False


def test_numbers_for_records():
    assert [finite(x) for x in (1.5, -2.0, 0.0, math.nan, math.inf)] == [1.5, -2.0, 0.0, None, None]
    assert [positive(x) for x in (1.5, -2.0, 0.0, math.nan, math.inf)] == [1.5, None, None, None, None]
