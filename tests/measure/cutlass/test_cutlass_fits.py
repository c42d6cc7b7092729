"""Alignment rules, cuts of k and the order of candidates, with kernels made by hand."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.gemm import Gemm, find_precision
from perfmodel.measure.cutlass.fits import expected_cycles, fits, ranked, splits
from perfmodel.measure.cutlass.kernels import GemmKernel
from perfmodel.units import ceil_div, round_up

FP16 = find_precision("fp16")
WIDE = find_precision("fp16", output="fp32")
BASE = GemmKernel("base", "75", 2, "tensor", FP16, "tn", (128, 128, 32), 2, (1, 1, 1), (8, 8, 8), ("serial",), 8)
SIMT = replace(BASE, name="simt", unit="simt", precision=find_precision("fp32"), tile=(128, 128, 8),
               alignment=(1, 1, 1), split_modes=("serial", "parallel"))  # fmt: skip


def kernel(**changes):
    return replace(BASE, **changes)


def gemm(m, n, k, layout="tn", precision=FP16, batch=1):
    return Gemm(m, n, k, batch, precision, layout=layout)


@pytest.mark.parametrize(
    ("layout", "m", "n", "k", "does"),
    [
        ("tn", 3, 8, 16, True), ("tn", 3, 8, 147, False), ("tn", 8, 12, 16, False),  # k and k, and n for C
        ("tt", 3, 8, 16, True), ("tt", 8, 8, 12, False), ("tt", 8, 147, 16, False),  # k and n
        ("nt", 8, 16, 5, True), ("nt", 12, 16, 8, False), ("nt", 8, 147, 8, False),  # m and n
        ("nn", 8, 8, 16, True), ("nn", 12, 8, 16, False), ("nn", 8, 8, 12, False),  # m and k
    ],
)  # fmt: skip
def test_the_contiguous_sizes_are_aligned(layout, m, n, k, does):
    assert fits(kernel(layout=layout), gemm(m, n, k, layout)) is does


def test_operands_may_be_aligned_otherwise_than_c():
    int8 = kernel(precision=find_precision("int8"), alignment=(16, 16, 4))
    assert fits(int8, gemm(7, 20, 160, precision=find_precision("int8")))
    assert not fits(int8, gemm(7, 18, 160, precision=find_precision("int8")))
    assert not fits(int8, gemm(7, 20, 147, precision=find_precision("int8")))


def test_only_the_kernels_own_precision_and_layout():
    assert not fits(BASE, gemm(128, 128, 128, "tt"))
    assert not fits(BASE, gemm(128, 128, 128, precision=WIDE))
    assert not fits(BASE, gemm(128, 128, 128, precision=find_precision("bf16")))


@given(*[st.integers(1, 200)] * 3, st.sampled_from(["tn", "tt", "nt", "nn"]), st.sampled_from([1, 2, 4, 8]))
def test_a_kernel_of_less_alignment_does_whatever_one_of_more_does(m, n, k, layout, least):
    strict, loose = kernel(layout=layout), kernel(layout=layout, alignment=(least,) * 3)
    assert fits(loose, gemm(m, n, k, layout)) or not fits(strict, gemm(m, n, k, layout))


def test_k_is_cut_while_the_chip_has_room():
    # 2 x 4 tiles on 16 multiprocessors: 2 parts fill them, 8 are four waves.
    assert splits(BASE, gemm(256, 512, 65536), 16) == (("none", 1), ("serial", 2), ("serial", 4), ("serial", 8))
    # 3 tiles on 68: 22 parts make one wave.
    found = [parts for _, parts in splits(BASE, gemm(128, 384, 65536), 68)]
    assert found == [1, 2, 4, 8, 16, 22, 32]


def test_each_part_is_deep_enough_and_none_is_empty():
    # parts of whole lines of 64 elements, of at least 4 tiles of 32
    assert [parts for _, parts in splits(BASE, gemm(128, 128, 256), 68)] == [1, 2]
    assert [parts for _, parts in splits(BASE, gemm(128, 128, 255), 68)] == [1, 2]
    assert [parts for _, parts in splits(BASE, gemm(128, 128, 128), 68)] == [1]
    assert [parts for _, parts in splits(BASE, gemm(128, 128, 520), 68)] == [1, 2]  # 4 parts of 192 would be three


def test_both_modes_where_the_output_is_the_accumulators():
    wide = Gemm(128, 128, 96, layout="tn")
    assert splits(SIMT, wide, 4) == (("none", 1), ("serial", 2), ("parallel", 2))


@pytest.mark.parametrize("modes", [(), ("stream",)])
def test_kernels_that_do_not_cut_k(modes):
    assert splits(kernel(split_modes=modes), gemm(128, 128, 65536), 68) == (("none", 1),)


def test_batches_are_not_cut():
    assert splits(BASE, gemm(128, 128, 65536, batch=2), 68) == (("none", 1),)


@given(*[st.integers(1, 5000)] * 2, st.integers(1, 10**6), st.integers(1, 200))
def test_every_cut_has_as_many_parts_as_it_says(m, n, k, sms):
    """By CUTLASS's own rule: parts are k / parts, rounded up to 8 or 64 elements, and as many as k takes."""
    for _, parts in splits(BASE, gemm(m, n, k), sms):
        for line in (8, 64):
            part = round_up(ceil_div(k, parts), line)
            assert parts == 1 or ceil_div(k, part) == parts


def test_arithmetic_by_hand():
    # One tile, rate 512 · 128 / (128 + 16), (4096 + 4 · 32) deep.
    cycles = 128 * 128 * 4224 / (512 * 128 / 144)
    assert expected_cycles(BASE, gemm(128, 128, 4096), 10, "none", 1) == pytest.approx((cycles, cycles))
    # 8 parts: 512 + 128 deep; each but the last is written and read again, 2 · 2 B at 64 B a cycle.
    cut = 128 * 128 * (640 / (512 * 128 / 144) + 2 * 7 * 2 / 64)
    assert expected_cycles(BASE, gemm(128, 128, 4096), 80, "serial", 8) == pytest.approx((cut, cut))


def test_memory_by_hand():
    # 80 tiles on 80 multiprocessors; A and B of 2 B, C of 4 B, 640 B a cycle.
    thin = gemm(10240, 128, 8, precision=WIDE)
    slowest, arithmetic = expected_cycles(BASE, thin, 80, "none", 1)
    assert slowest == (2 * (10240 * 8 + 8 * 128) + 4 * 10240 * 128) / 640
    assert arithmetic == pytest.approx(128 * 128 * 136 / (512 * 128 / 144))
    # 2 parts: C is written and read once more, or both are written and read.
    for mode, times in (("serial", 2), ("parallel", 4)):
        slowest, arithmetic = expected_cycles(BASE, gemm(128, 128, 512, precision=WIDE), 1, mode, 2)
        assert slowest == max(arithmetic, (2 * 2 * 128 * 512 + 4 * 128 * 128 * (1 + times)) / 8)


def test_int8_counts_double_and_clusters_are_whole():
    int8 = find_precision("int8")
    one = kernel(precision=int8, alignment=(16, 16, 4))
    half = expected_cycles(BASE, gemm(128, 128, 8192), 10, "none", 1)[1] / 2
    assert expected_cycles(one, gemm(128, 128, 8192, precision=int8), 10, "none", 1)[1] == half
    pair = kernel(cluster=(2, 1, 1))
    assert expected_cycles(pair, gemm(128, 128, 8192), 1, "none", 1)[1] == 4 * half


def test_the_best_come_first_and_no_more_than_asked():
    large, narrow = kernel(name="large", tile=(256, 128, 32)), kernel(name="narrow", tile=(128, 64, 32))
    kernels = [BASE, large, narrow, kernel(name="other", layout="nt")]
    few_columns, square = gemm(802816, 64, 576), gemm(8192, 8192, 4096)
    assert [one.name for one, _, _ in ranked(kernels, few_columns, 68, 9)] == ["narrow", "large", "base"]
    assert ranked(kernels, square, 68, 1) == [(large, "none", 1)]
    assert ranked(kernels, square, 68, 0) == []
    assert ranked(kernels, gemm(5, 7, 3), 68, 9) == []


def test_deep_products_with_few_tiles_are_cut():
    small = kernel(name="small", layout="nt", tile=(64, 64, 32))
    best, mode, parts = ranked([small], gemm(64, 576, 802816, "nt"), 68, 1)[0]
    assert (best, mode, parts) == (small, "serial", 7)  # 9 tiles: 63 CTAs on 68 multiprocessors


def test_stream_k_wins_where_k_is_deep_and_loses_nothing_to_whole_waves():
    plain = kernel(name="plain", unit="warpgroup", split_modes=())
    stream = replace(plain, name="stream", split_modes=("stream",))
    order = [one.name for one, _, _ in ranked([plain, stream], gemm(256, 512, 65536), 132, 2)]
    assert order == ["stream", "plain"]


def test_at_most_two_cuts_of_one_kernel():
    found = ranked([SIMT], Gemm(128, 128, 65536), 68, 99)
    assert len(found) == 2


def test_loads_of_single_elements_come_last():
    odd = kernel(name="odd", tile=(128, 128, 32), alignment=(1, 1, 1))
    assert [one.name for one, _, _ in ranked([odd, BASE], gemm(8192, 8192, 8192), 68, 2)] == ["base", "odd"]
