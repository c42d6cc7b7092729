"""Thread blocks on three SMs, by hand."""

from dataclasses import replace
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.cost.events.grid import Grid
from perfmodel.cost.events.machine import Block, Machine
from perfmodel.cost.events.panels import Panels
from perfmodel.cost.events.simulation import simulate

BUSY = settings(deadline=None)  # the machine may be
FREE = Machine(sms=3, l2_bytes_per_s=inf, port_bytes_per_s=inf, dram_bytes_per_s=inf, buffer_bytes=0.0, overlap=0.0)
SLOW = replace(FREE, dram_bytes_per_s=12.0, buffer_bytes=1000.0)
LONE = Block(resident=1, prologue_s=2.0, alone_s=10.0, busy_s=10.0, epilogue_s=1.0, written_bytes=0.0)
PAIR = replace(LONE, resident=2, busy_s=6.0)


def run(ctas, block, machine=FREE, a=0.0, b=0.0):
    """Simulate `ctas` in one column; each reads `a` bytes of its own and the same `b` bytes."""
    return simulate(machine, block, Panels(Grid(ctas, 1, 1, 1), inf, a, a, b, b))


@pytest.mark.parametrize(("ctas", "seconds"), [(1, 13), (3, 13), (4, 26), (6, 26), (7, 39)])
def test_one_cta_to_an_sm_runs_in_waves(ctas, seconds):
    assert run(ctas, LONE).seconds == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("ctas", "seconds"),
    [
        (3, 13),  # one on each SM
        (4, 2 + 2 * 6 + 1),  # two on one SM
        (6, 2 + 2 * 6 + 1),
    ],
)
def test_residents_share_issue_evenly_when_none_waits(ctas, seconds):
    assert run(ctas, PAIR).seconds == pytest.approx(seconds)


def test_the_oldest_resident_goes_first_while_others_wait():
    # The older's loop takes until 12, as if it were alone. The other gets 10/6 - 1 of that pace, then all of it. At 13
    # the seventh takes the older's slot; at 15 the second has done 29/30, and both share evenly until 15.4.
    assert run(7, PAIR).seconds == pytest.approx(15.4 + 10 * 29 / 30 + 1)
    # Of ten, one still waits at 13: the second goes first until 46/3, when 1/45 of the seventh is done. The tenth has
    # its prologue until 55/3, then both share evenly.
    seventh = 1 / 45 + (55 - 46) / 3 / 10
    assert run(10, PAIR).seconds == pytest.approx(55 / 3 + 12 * (1 - seventh) + 10 * seventh + 1)


def test_main_loops_slow_down_to_what_dram_delivers():
    # 3 CTAs ask for 3·80 B in 10 s, of 12 B/s: 20 s
    assert run(3, LONE, SLOW, a=80.0).seconds == pytest.approx(2 + 20 + 1)
    # the fourth alone asks for 8 B/s, and has them
    assert run(4, LONE, SLOW, a=80.0).seconds == pytest.approx(23 + 13)


def test_what_all_share_is_read_once():
    found = run(3, LONE, SLOW, b=600.0)
    assert found.filled_bytes == pytest.approx(600)
    assert found.seconds == pytest.approx(2 + 600 / 12 + 1)


def test_l2_limits_all_and_its_ports_one():
    machine = replace(FREE, l2_bytes_per_s=6.0, port_bytes_per_s=4.0)
    assert run(3, LONE, machine, b=80.0).seconds == pytest.approx(2 + 240 / 6 + 1)
    assert run(1, LONE, machine, b=80.0).seconds == pytest.approx(2 + 80 / 4 + 1)


def test_a_share_of_the_lesser_does_not_overlap():
    machine = replace(SLOW, overlap=0.5, l2_bytes_per_s=240.0)
    # DRAM is asked for 2 times, L2 for 0.1 times what it has: 2 + 0.5·0.1 of memory, and 0.5·1 of issue
    assert run(3, LONE, machine, a=80.0).seconds == pytest.approx(2 + 25.5 + 1)


def test_writes_drain_while_the_next_wave_runs():
    block = replace(LONE, written_bytes=60.0)  # 180 B a wave, 15 s of DRAM
    assert run(3, block, SLOW).seconds == pytest.approx(12 + 15)
    assert run(6, block, SLOW).seconds == pytest.approx(12 + 30)  # DRAM never rests after the first loop


def test_epilogues_wait_when_the_buffer_of_writes_is_full():
    block, machine = replace(LONE, written_bytes=60.0), replace(SLOW, buffer_bytes=90.0)
    # first wave: 90 B go to DRAM, 90 B into the buffer: 12 + 7.5; it empties in the 12 s before the next epilogues
    assert run(6, block, machine).seconds == pytest.approx(19.5 + 12 + 15)
    none = replace(SLOW, buffer_bytes=0.0)
    assert run(6, block, none).seconds == pytest.approx(27 + 12 + 15)


def test_sms_in_one_state_cost_as_much_to_simulate_as_one():
    few, many = run(12, PAIR), run(1200, PAIR, replace(FREE, sms=300))
    assert few.seconds == many.seconds
    assert few.events == many.events < 20


SECONDS = st.floats(0.1, 20)


@BUSY
@given(
    st.integers(1, 60),
    st.builds(Block, st.integers(1, 5), SECONDS, st.floats(10, 30), st.floats(0.5, 10), SECONDS, st.floats(0, 50)),
    st.floats(0, 200),
    st.floats(0, 200),
    st.sampled_from([0.0, 1e-6, 1.0, 70.0, 1e6]),
    st.floats(0, 0.5),
)
def test_bounds_and_bandwidth(ctas, block, a, b, buffer, overlap):
    machine = Machine(3, 90.0, 40.0, 12.0, buffer, overlap)
    found = run(ctas, block, machine, a, b)
    moved = ctas * (a + block.written_bytes) + b
    rounding = 1 - 1e-6
    assert found.filled_bytes + found.skipped_bytes == pytest.approx(moved, abs=1e-6)
    assert found.seconds >= moved / 12.0 * rounding
    assert found.seconds >= ctas * block.busy_s / 3 * rounding
    assert found.seconds >= ctas * (a + b) / 90.0 * rounding
    assert found.seconds >= (block.prologue_s + block.alone_s + block.epilogue_s) * rounding
    assert found.events < 20 * ctas + 20
    assert simulate(machine, block, Panels(Grid(ctas, 1, 1, 1), inf, a, a, b, b)).seconds == found.seconds


@BUSY
@given(st.integers(1, 60), st.integers(1, 5), SECONDS, st.integers(1, 12))
def test_more_sms_are_never_slower_where_nothing_contends(ctas, resident, busy, sms):
    block = Block(resident, 2.0, max(7.0, busy), busy, 1.0, 0.0)
    slower = run(ctas, block, replace(FREE, sms=sms)).seconds
    assert run(ctas, block, replace(FREE, sms=sms + 1)).seconds <= slower * (1 + 1e-9)
