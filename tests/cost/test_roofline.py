"""The roofline by hand, and below the tile model on every device."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.cost import Roofline, Tiles
from perfmodel.cost.estimate import Gemms, price
from perfmodel.cost.roofline import compulsory_bytes, roofline_seconds
from perfmodel.devices import device_names, find_device
from perfmodel.errors import Unsupported
from perfmodel.gemm import Gemm, find_precision
from perfmodel.lowering import MemoryOp

DEVICES = [find_device(name) for name in device_names()]
PAIRS = [(device, find_precision(*key)) for device in DEVICES for key in device.rates]
SIZE = st.floats(0, 14).map(lambda x: round(2**x))  # 1 to 16384, small and large alike


@pytest.mark.parametrize(
    ("flop", "size", "seconds"), [(6e9, 1e6, 3e-3), (1e9, 8e9, 2.0), (4e9, 8e6, 2e-3), (0, 4e9, 1.0), (2e12, 0, 1.0)]
)
def test_the_slower_of_two(flop, size, seconds):
    assert roofline_seconds(flop, size, 2e12, 4e9) == pytest.approx(seconds)


def test_arrays():
    assert roofline_seconds(np.array([6.0, 1.0]), np.array([1.0, 8.0]), 2.0, 4.0).tolist() == [3.0, 2.0]


def test_compulsory_bytes_of_a_convolution():
    int8 = find_precision("int8")  # a quarter of A, then a fifth of B
    two = [Gemm(6, 5, 8, 2, int8, a_distinct=24), Gemm(6, 5, 8, 2, int8, b_distinct=16)]
    assert compulsory_bytes(Gemms.of(two)).tolist() == [24 + 80 + 60 * 4, 96 + 16 + 60 * 4]
    assert [gemm.bytes for gemm in two] == [344, 352]


T4 = find_device("t4")


@pytest.mark.parametrize(
    ("precision", "gemm", "seconds"),
    [  # at 1.35 GHz: FP32 64 MAC · 40 SMs · 2 = 6.912 TFLOP/s, FP16 55.296, INT8 110.592; 320 GB/s
        ("fp32", (1000, 1000, 1728), 0.5e-3),  # 3.456 GFLOP
        ("fp16", (1000, 1000, 13824), 0.5e-3),
        ("int8", (1000, 1000, 27648), 0.5e-3),
        ("fp32", (1000, 1000, 1), 4_008_000 / 320e9),
        ("int8", (1000, 1000, 1), 4_002_000 / 320e9),  # the result is INT32
        ("fp16", (1, 1000, 1000), 2 * 1_002_000 / 320e9),
    ],
)
def test_by_hand(precision, gemm, seconds):
    prices = price(Roofline(T4), [Gemm(*gemm, precision=find_precision(precision))])
    assert prices.seconds.tolist() == pytest.approx([seconds], rel=1e-12)
    assert (prices.basis, prices.detail) == (["roofline"], [""])


def test_memory_is_bytes_over_bandwidth():
    assert price(Roofline(T4), [MemoryOp(160e9, 160e9), MemoryOp(0, 32)]).seconds.tolist() == [1.0, 1e-10]


def test_batch_scales():
    one, seven = price(Roofline(T4), [Gemm(300, 500, 700), Gemm(300, 500, 700, 7)]).seconds
    assert seven == pytest.approx(7 * one, rel=1e-14)


def test_no_unit_no_bound():
    with pytest.raises(Unsupported, match="E1103 device t4: has no unit for bf16"):
        price(Roofline(T4), [Gemm(3, 5, 7, precision=find_precision("bf16"))])


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(PAIRS), SIZE, SIZE, SIZE, st.integers(1, 40), st.booleans(), st.booleans(), st.data())
def test_never_above_the_tile_model(pair, m, n, k, batch, split_k, squarest, data):
    device, precision = pair
    gemm = Gemm(m, n, k, batch, precision)
    if data.draw(st.booleans()):
        stored = data.draw(st.integers(1, batch * m * k))
        gemm = replace(gemm, a_distinct=stored)
    (bound,) = price(Roofline(device), [gemm]).seconds
    (modelled,) = price(Tiles(device, split_k=split_k, squarest=squarest), [gemm]).seconds
    assert 0 < bound <= modelled


@pytest.mark.parametrize("device", DEVICES, ids=lambda d: d.name)
def test_memory_never_above_the_tile_model(device):
    ops = [MemoryOp(size, 0) for size in (1, 10**5, 10**10)]
    assert (price(Roofline(device), ops).seconds < price(Tiles(device), ops).seconds).all()
