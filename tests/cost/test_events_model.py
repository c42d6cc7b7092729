"""Simulated GEMMs: by hand, beside the closed form, and how they must behave."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.cost import Tiles
from perfmodel.cost.estimate import Gemms, price
from perfmodel.cost.events import Events, queue
from perfmodel.cost.tiles import Constants
from perfmodel.cost.tileset import tiles_for
from perfmodel.devices import find_device
from perfmodel.errors import InputError, Unsupported
from perfmodel.gemm import Gemm, find_precision
from perfmodel.lowering import MemoryOp

V100, T4, P4 = find_device("v100"), find_device("t4"), find_device("p4")
FP32, FP16 = find_precision("fp32"), find_precision("fp16")
MAINS = replace(T4, power_w=None)  # no power limit: twice the SMs would halve the clock
BUSY = settings(deadline=None)  # the machine may be
SIZE = st.floats(0, 12).map(lambda x: round(2**x))

# Three SMs of 64 MAC per cycle at 1 GHz, each with room for two CTAs of 128 threads, and memory that never limits.
TINY = replace(
    V100,
    sms=3,
    sustained_clock_hz=1e9,
    threads_per_sm=256,
    l2_bytes_per_clock=1e9,
    dram_bytes_per_s=1e18,
    l2_bytes=10**9,
)
PLAIN = Constants(issue=1.0, dram=1.0, launch_s=1e-6, latency=500.0, sync=40.0, epilogue=900.0, overlap=0.0)


def seconds(gemm, device, tile="best", split_k=False, constants=PLAIN):
    """Simulated seconds of one GEMM."""
    return float(Events(device, tile, split_k, constants).gemms(Gemms.of([gemm])).seconds[0])


# Of the second on an SM, while a seventh waits: what the first leaves until 1604, all until 2568.
SECOND = 1104 / 1024 - 1 + (2568 - 1604) / 1104


@pytest.mark.parametrize(
    ("m", "cycles"),
    [
        # 64x64x8: a k-step is 64·64·8/64 = 512 cycles of issue, a lone one max(512, 500) + 40; k of 11 is two steps.
        # Prologue 500; epilogue 900 - 500 + 64·64·4/(2·128) = 464.
        (65, 500 + 2 * 552 + 464),  # two CTAs on two SMs
        (64 * 5 - 7, 500 + 4 * 512 + 464),  # five on three SMs: two SMs have two
        # The seventh takes the slot that is free at 1604 + 464, its loop begins at 2568, and both share evenly.
        (64 * 7, 2568 + (1 - SECOND) * 2048 + SECOND * 1104 + 464),
    ],
)
def test_three_sms_by_hand(m, cycles):
    assert seconds(Gemm(m, 33, 11), TINY, "64x64") == pytest.approx(1e-6 + cycles * 1e-9)


def test_split_k_by_hand():
    # 64 is the least k that is split in two (four k-steps each): one tile, two CTAs of four k-steps, on two SMs.
    slow = replace(TINY, dram_bytes_per_s=1e9)
    found = Events(slow, "64x64", True, PLAIN).gemms(Gemms.of([Gemm(5, 3, 64)]))
    whole, halves = 500 + 8 * 552 + 464, 500 + 4 * 552 + 464
    # The second kernel: 0.6 launches, 2·15 FP32 numbers from L2 at 2 B/ns, 15 of C at 1 B/ns. In the first, main loops
    # read 8·64·4 B at 1 B/ns.
    assert found.detail[0].startswith("64x64x8 split 2, ")
    assert found.seconds[0] == pytest.approx(1e-6 + halves * 1e-9 + 0.6e-6 + 60e-9 + 60e-9)
    assert seconds(Gemm(5, 3, 64), slow, "64x64") == pytest.approx(1e-6 + whole * 1e-9)  # C drains meanwhile


def test_partial_results_that_l2_does_not_hold_are_written_and_read():
    gemm = Gemms.of([Gemm(5, 3, 64)])
    roomy, tight = (Events(replace(TINY, l2_bytes=size), "64x64", True, PLAIN).kernel(gemm, 0) for size in (201, 200))
    assert (roomy.split, roomy.partial_bytes) == (2, 120)
    assert (roomy.block().written_bytes, tight.block().written_bytes) == (0, 60)
    assert tight.reduction_s() - roomy.reduction_s() == pytest.approx(60 / 1e18)


def test_panels_are_what_is_stored_of_whole_tiles_and_edges():
    gemm = Gemm(65, 130, 10, 3, a_distinct=975, b_distinct=390)  # half of A, a tenth of B
    kernel = Events(T4, "64x64", False).kernel(Gemms.of([gemm]), 0)
    panels = kernel.panels()
    assert (panels.grid.rows, panels.grid.columns, panels.grid.depth) == (2, 3, 3)
    assert (panels.row_bytes, panels.last_row_bytes) == (64 * 20, 20)
    assert (panels.column_bytes, panels.last_column_bytes) == pytest.approx((64 * 4, 2 * 4))
    assert panels.held_bytes == T4.l2_bytes / 2
    assert kernel.machine().buffer_bytes == T4.l2_bytes


@BUSY
@given(st.integers(1, 900), st.integers(1, 900), st.integers(1, 300), st.integers(1, 5))
def test_agrees_with_the_closed_form_where_nothing_contends(m, n, k, batch):
    gemm = Gemm(m, n, k, batch)
    lone = replace(TINY, threads_per_sm=128)  # one CTA to an SM: epilogues are exposed once for each wave in both
    closed = Tiles(lone, "64x64", False, constants=PLAIN).gemms(Gemms.of([gemm])).seconds[0]
    assert seconds(gemm, lone, "64x64") == pytest.approx(closed, rel=1e-9)


def test_pairs_expose_all_of_an_epilogue_in_one_wave_and_cover_each_other_in_many():
    half = (900 + 64) * 0.5e-9  # of an epilogue: what the closed form exposes in each full wave
    waves = [Gemm(64 * 6 * count, 64, 800) for count in (1, 9)]
    closed = Tiles(TINY, "64x64", False, constants=PLAIN).gemms(Gemms.of(waves)).seconds
    assert seconds(waves[0], TINY, "64x64") == pytest.approx(closed[0] + half)
    assert closed[1] - 9 * half < seconds(waves[1], TINY, "64x64") < closed[1]


@pytest.mark.parametrize(("m", "n", "k"), [(5120, 4096, 2048), (6144, 6144, 1024)])
def test_large_gemms_agree_with_the_closed_form(m, n, k):
    gemm = Gemm(m, n, k)
    assert seconds(gemm, V100, split_k=True, constants=Constants()) == pytest.approx(
        Tiles(V100).gemms(Gemms.of([gemm])).seconds[0], rel=0.02
    )


@st.composite
def cases(draw):
    """A GEMM, half of the time with an operand that is partly stored, and a tile."""
    precision = draw(st.sampled_from([FP32, FP16]))
    gemm = Gemm(draw(SIZE), draw(SIZE), draw(SIZE), draw(st.sampled_from([1, 3, 40])), precision)
    if draw(st.booleans()):
        gemm = replace(gemm, a_distinct=draw(st.integers(1, gemm.batch * gemm.m * gemm.k)))
    return gemm, draw(st.sampled_from(["best", *(tile.name for tile in tiles_for(precision, T4))]))


@BUSY
@given(cases(), st.booleans())
def test_never_faster_than_arithmetic_and_compulsory_traffic(case, split_k):
    gemm, tile = case
    c = Constants()
    arithmetic = gemm.macs / (T4.rate(gemm.precision).macs_per_clock * c.issue * T4.sms * T4.sustained_clock_hz)
    traffic = gemm.bytes / (c.dram * T4.dram_bytes_per_s)
    assert seconds(gemm, T4, tile, split_k, c) >= max(arithmetic, traffic) + c.launch_s * 0.999


@BUSY
@given(cases(), st.sampled_from(["dram_bytes_per_s", "l2_bytes_per_clock", "l2_bytes", "sustained_clock_hz"]))
def test_more_of_a_resource_is_not_slower(case, resource):
    gemm, tile = case
    tile = "128x128" if tile == "best" else tile  # another tile may be chosen for reasons of the closed form
    better = replace(MAINS, **{resource: type(getattr(MAINS, resource))(1.5 * getattr(MAINS, resource))})
    # What is left out of large grids is known to a percent or so.
    slower = seconds(gemm, MAINS, tile, constants=Constants())
    assert seconds(gemm, better, tile, constants=Constants()) <= 1.02 * slower


@BUSY
@given(cases())
def test_twice_the_sms_are_hardly_ever_slower(case):
    gemm, tile = case
    tile = "128x128" if tile == "best" else tile
    # Not exactly so: where twice the slots hold the whole grid, all CTAs read together and then write together. Of
    # 4,444 GEMMs at random, 1 % were slower, the worst by 11 %.
    double = seconds(gemm, replace(MAINS, sms=2 * MAINS.sms), tile, constants=Constants())
    assert double <= 1.2 * seconds(gemm, MAINS, tile, constants=Constants())


@pytest.mark.parametrize(
    ("device", "gemm", "tile", "share"),
    [
        (V100, Gemm(5200, 5300, 300), "32x32", 0.003),
        (T4, Gemm(300, 200, 70, 1500), "64x64", 0.003),  # writes
        (P4, Gemm(9000, 7777, 333), "32x128", 0.003),  # operands that L2 does not hold
        (T4, Gemm(8000, 8000, 64, 1, FP16), "32x64", 0.003),
        (find_device("a100"), Gemm(1036, 5405, 364, 9), "32x64", 0.05),  # few waves in a window
    ],
)
def test_leaving_out_the_middle_agrees_with_the_whole(monkeypatch, device, gemm, tile, share):
    kernel = Events(device, tile, False).kernel(Gemms.of([gemm]), 0)
    part = kernel.simulate()
    assert part.queue.skipped > 100
    monkeypatch.setattr(queue, "MOST_WAVES", 10**9)
    monkeypatch.setattr(queue, "MOST_CTAS", 10**9)
    whole = kernel.simulate()
    assert whole.queue.skipped == 0
    assert whole.events > part.events
    assert part.seconds == pytest.approx(whole.seconds, rel=share)
    assert part.filled_bytes + part.skipped_bytes == pytest.approx(whole.filled_bytes, rel=0.02)


def test_the_largest_grids_cost_no_more_than_large_ones():
    kernels = [Events(T4, "32x32").kernel(Gemms.of([Gemm(size, size, 32)]), 0) for size in (2**15, 2**30)]
    large, huge = (kernel.simulate() for kernel in kernels)
    assert huge.events < 1.2 * large.events
    assert huge.seconds == pytest.approx(2**30 * large.seconds, rel=0.02)


def test_estimates_are_deterministic_and_say_what_was_busy():
    some = Gemms.of([Gemm(1024, 1024, 4096), Gemm(3, 5, 7), Gemm(64, 4096, 4096, 3)])
    first, second = (Events(V100).gemms(some) for _ in range(2))
    assert first.seconds.tolist() == second.seconds.tolist()
    assert first.detail == second.detail
    assert first.basis == "analytical"
    names = [detail.partition(",")[0] for detail in first.detail]
    assert names == list(Tiles(V100).gemms(some).detail)
    issue, dram = (float(part.split()[1]) for part in first.detail[0].split(", ")[1:])
    assert 80 < issue <= 100
    assert 5 < dram < 60
    assert np.all(Events(V100, split_k=False).gemms(some).seconds[0] > 0)


def test_memory_bound_kernels_cost_what_the_closed_form_says():
    ops = [MemoryOp(3e6, 5e6), MemoryOp(7e6, 0.0, "fused"), Gemm(128, 128, 128)]
    prices = price(Events(T4, constants=PLAIN), ops)
    assert prices.seconds.tolist() == [*price(Tiles(T4, constants=PLAIN), ops[:2]).seconds, prices.seconds[2]]
    assert prices.seconds[:2] == pytest.approx([1e-6 + 8e6 / 320e9, 7e6 / 320e9])
    assert prices.basis == ["analytical"] * 3


def test_errors_are_those_of_the_closed_form():
    with pytest.raises(InputError, match="E1106"):
        Events(T4, "17x19").gemms(Gemms.of([Gemm(3, 5, 7)]))
    with pytest.raises(Unsupported, match="E1103"):
        Events(V100).gemms(Gemms.of([Gemm(3, 5, 8, 1, find_precision("tf32"))]))
