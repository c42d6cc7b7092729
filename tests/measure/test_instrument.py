"""What calibration finds is what the scenario was given."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.measure.backend import DeviceLost, NotReadable
from perfmodel.measure.instrument import calibrate, tick_of
from perfmodel.measure.simulated import Simulated, find_scenario
from perfmodel.measure.simulated.faults import Fault
from perfmodel.measure.simulated.scenario import Instrument, Noise

CALM = find_scenario("calm")


def card(faults=(), noise=None, **instrument):
    scenario = replace(CALM, instrument=Instrument(**instrument), noise=noise or Noise(), faults=tuple(faults))
    return Simulated(scenario, 7)


@pytest.mark.parametrize("tick_s", [1.024e-6, 32e-9, 5e-7, 1e-5])
def test_the_tick(tick_s):
    assert calibrate(card(event_tick_s=tick_s), 150e-6)["event_tick_s"] == pytest.approx(tick_s, rel=1e-3)


def test_parts_of_the_instrument():
    found = calibrate(card(event_tick_s=1e-9, graph_gap_s=0.7e-6, graph_offset_s=5e-6, empty_s=1.3e-6), 150e-6)
    assert found["event_offset_s"] == pytest.approx(0.0, abs=2e-9)  # events take no time on this card
    assert found["launch_s"] == pytest.approx(1.3e-6, abs=2e-9)
    assert found["graph_gap_s"] == pytest.approx(2.0e-6, abs=2e-9)  # the gap and the empty kernel
    assert found["graph_offset_s"] == pytest.approx(5e-6, abs=3e-9)
    assert found["spin_s"] == pytest.approx(150e-6 + 12e-6 + 5e-6, abs=2e-9)  # of a device that is idle, and its host
    assert found["enqueue_s"] == pytest.approx(5 * 5e-6)  # two stamps, two events, a launch


def test_the_offset_of_a_coarse_clock_is_right_on_the_mean():
    """5 µs and one of 2 µs lie on a grid of 3 µs: the median of readings does not hide it."""
    found = calibrate(card(event_tick_s=3e-6, graph_gap_s=0.0, graph_offset_s=9e-6, empty_s=0.0), 150e-6)
    assert found["graph_offset_s"] == pytest.approx(9e-6, abs=3e-6)


def test_the_copy_rate():
    device = CALM.device
    found = calibrate(card(copy_share=0.7), 150e-6)["copy_bytes_per_s"]
    assert found == pytest.approx(0.7 * device.dram_bytes_per_s, rel=0.01)


@pytest.mark.parametrize("free_bytes", [0, 2**21])
def test_no_copy_rate_without_memory(free_bytes):
    """A quarter of the free memory is copied, and less than 1 MB says nothing."""
    found = calibrate(card([Fault("out of memory", free_bytes=free_bytes, times=0)]), 150e-6)
    assert found["copy_bytes_per_s"] is None


def test_a_small_copy_where_memory_is_short():
    found = calibrate(card([Fault("out of memory", free_bytes=2**26, times=0)]), 150e-6)
    taken_s = 2 * 2**24 / (0.88 * CALM.device.dram_bytes_per_s) + 12e-6 + 5e-6
    assert found["copy_bytes_per_s"] == pytest.approx(2 * 2**24 / taken_s, rel=0.02)


def test_no_graphs():
    found = calibrate(card([Fault("capture", times=0)]), 150e-6)
    assert (found["graph_gap_s"], found["graph_offset_s"]) == (None, None)
    assert found["launch_s"] > 0


@pytest.mark.parametrize("value", ["nan", "inf", "negative", "decreasing"])
def test_a_third_of_the_readings_is_bad(value):
    faults = [Fault("bad samples", value=value, call=call) for call in range(1, 1500, 3)]
    bad, good = calibrate(card(faults), 150e-6), calibrate(card(), 150e-6)
    assert bad["event_tick_s"] == pytest.approx(good["event_tick_s"])
    assert all(math.isfinite(number) for number in bad.values())
    assert bad["graph_offset_s"] == pytest.approx(good["graph_offset_s"], abs=1.1e-6)
    assert bad["copy_bytes_per_s"] == pytest.approx(good["copy_bytes_per_s"], rel=1e-3)


@pytest.mark.parametrize("value", ["nan", "inf", "negative", "decreasing"])
def test_all_readings_are_bad(value):
    with pytest.raises(NotReadable, match="no times"):
        calibrate(card([Fault("bad samples", value=value, times=0)]), 150e-6)


def test_a_lost_device_passes_through():
    with pytest.raises(DeviceLost):
        calibrate(card([Fault("device lost", call=100)]), 150e-6)


def test_without_readings_there_is_no_tick():
    assert tick_of([]) == tick_of([3e-6]) == tick_of([5e-6] * 7) == 0.0
    assert tick_of([math.nan, math.inf, -1e-6, 3.0, 5e-6]) == 0.0


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.sampled_from([1e-9, 32e-9, 1.024e-6, 7e-6]), st.lists(st.integers(0, 10**4), min_size=3))
def test_the_tick_divides_every_reading(tick_s, counts):
    found = tick_of([count * tick_s for count in counts])
    distinct = sorted(set(counts))
    least = min((b - a for a, b in pairwise(distinct)), default=0)
    assert found == pytest.approx(least * tick_s, abs=1.01e-10 * 2)
