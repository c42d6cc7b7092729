"""What rows that lie pages apart cost, by hand."""

from dataclasses import replace
from math import isclose

import pytest

from perfmodel.cost.estimate import Gemms, price
from perfmodel.cost.pages import sector_reads
from perfmodel.cost.tiles import Tiles
from perfmodel.devices import find_device
from perfmodel.gemm import Gemm

P100 = replace(find_device("p100"), l2_bytes_per_clock=7 * 64)  # 7 slices of L2; tiles of 128x32
P4 = replace(find_device("p4"), l2_bytes_per_clock=7 * 64)  # tiles of 128x128
K = 13312  # rows of 53,248 B: half way from 8,192 to 98,304
SECTORS = 3 * 128 * 64 * K * 4 / 32  # of all products


def reads(gemm, device=P4, half_bytes=1.0):
    (found,) = sector_reads(Gemms.of([gemm]), device, half_bytes).tolist()
    return found


def test_each_tile_reads_its_rows():
    gemm = Gemm(128, 64, K, batch=3)
    assert reads(gemm) == pytest.approx(SECTORS * (1 / 128 + 1 / 128) * 0.5 / 7)
    assert reads(gemm, P100) == pytest.approx(SECTORS * (1 / 32 + 1 / 128) * 0.5 / 7)


@pytest.mark.parametrize(("layout", "share"), [("tt", 1 / 32), ("nn", 1 / 128), ("nt", 0)])
def test_only_lines_of_k_count(layout, share):
    assert reads(Gemm(128, 64, K, batch=3, layout=layout), P100) == pytest.approx(SECTORS * share * 0.5 / 7)


def test_short_rows_are_free_and_long_ones_pay_once():
    assert reads(Gemm(128, 64, 2048)) == 0
    full, longer = reads(Gemm(128, 64, 24576)), reads(Gemm(128, 64, 2 * 24576))
    assert longer == pytest.approx(2 * full)  # twice the sectors at the same price


def test_operands_that_span_little_pay_less():
    gemm = Gemm(128, 64, K)
    assert reads(gemm, half_bytes=(128 + 64) * K * 4) == pytest.approx(reads(gemm) / 2)


def test_an_operand_that_is_stored_in_part_has_other_rows():
    assert reads(Gemm(128, 64, K, a_distinct=128 * K - 1), P100) == pytest.approx(
        reads(Gemm(128, 64, K, layout="nn"), P100)
    )


@pytest.mark.parametrize(("name", "pays"), [("p100", True), ("gtx-1080-ti", True), ("v100", False), ("t4", False)])
def test_pascal_alone_pays_and_calibrations_learn_it_themselves(name, pays):
    model = Tiles(find_device(name))
    gemm = Gemm(8192, 8192, 32768)
    free = replace(model, constants=replace(model.constants, page_s=0.0))
    with_pages, without = (price(one, [gemm]).seconds[0] for one in (model, free))
    assert (with_pages > without) == pays
    unlimited = model.unlimited()
    assert isclose(price(unlimited, [gemm]).seconds[0], price(free.unlimited(), [gemm]).seconds[0])
