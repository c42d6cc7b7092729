"""Estimates add and scale; `price` answers in order and asks its model only once for equal kernels."""

from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.cost import Roofline, Tiles, find_cost_model
from perfmodel.cost.estimate import BASES, Estimate, Estimates, Gemms, merge_bases, price
from perfmodel.devices import find_device
from perfmodel.errors import InputError, UnknownName
from perfmodel.gemm import Gemm, find_precision
from perfmodel.lowering import Delay, MemoryOp

FP32, FP16 = find_precision("fp32"), find_precision("fp16")


class Recorder:
    """A cost model that takes 1 s for each multiplication or byte, and remembers what it was asked."""

    device = find_device("t4")

    def __init__(self):
        self.asked = []

    def gemms(self, gemms):
        self.asked.append((gemms.precision.name, gemms.m.tolist()))
        names = np.array([f"m {m:.0f}" for m in gemms.m])
        return Estimates(gemms.batch * gemms.m * gemms.n * gemms.k, "measured", names)

    def memory(self, streams):
        self.asked.append(("memory", [*zip(streams.bytes_read.tolist(), streams.bytes_written.tolist(), strict=True)]))
        return Estimates(streams.bytes, "roofline")


def test_price_keeps_order_and_asks_once_for_equal_kernels():
    model = Recorder()
    kernels = [
        MemoryOp(3, 4), Gemm(2, 3, 5), Delay(0.25, "given"), Gemm(7, 1, 1, precision=FP16), Gemm(2, 3, 5),
        Gemm(11, 1, 1), MemoryOp(3.0, 4.0), Delay(0.25, "published"), MemoryOp(4, 3), Delay(0.5, "given"),
    ]  # fmt: skip
    prices = price(model, kernels)
    assert prices.seconds.tolist() == [7, 30, 0.25, 7, 30, 11, 7, 0.25, 7, 0.5]
    assert prices.basis == [
        "roofline", "measured", "given", "measured", "measured",
        "measured", "roofline", "published", "roofline", "given",
    ]  # fmt: skip
    assert prices.detail == ["", "m 2", "", "m 7", "m 2", "m 11", "", "", "", ""]
    assert sorted(model.asked) == [("fp16", [7]), ("fp32", [2, 11]), ("memory", [(3, 4), (4, 3)])]


def test_precisions_that_differ_in_the_accumulator_are_priced_apart():
    model = Recorder()
    price(model, [Gemm(2, 3, 5, 1, FP16), Gemm(2, 3, 5, 1, find_precision("fp16+fp16"))])
    assert [name for name, _ in model.asked] == ["fp16", "fp16+fp16"]


def test_price_of_nothing():
    prices = price(Recorder(), [])
    assert (prices.seconds.tolist(), prices.basis, prices.detail) == ([], [], [])


def test_delays_ask_no_model():
    model = Recorder()
    assert price(model, [Delay(7.0, "given")] * 3).seconds.tolist() == [7, 7, 7]
    assert model.asked == []


@given(st.permutations([Gemm(m, 3, 5, 1, p) for m in (1, 7, 300) for p in (FP32, FP16)] + [MemoryOp(9, 9)]))
def test_a_price_does_not_depend_on_company(kernels):
    model = Tiles(find_device("t4"))
    together = price(model, kernels)
    for i, kernel in enumerate(kernels):
        alone = price(model, [kernel])
        assert (together.seconds[i], together.detail[i]) == (alone.seconds[0], alone.detail[0])


def test_gemms_as_arrays():
    gemms = Gemms.of([Gemm(3, 5, 7, 2, FP16), Gemm(4, 6, 8, 2, FP16, a_distinct=16, b_distinct=1000)])
    assert (gemms.m.tolist(), gemms.n.tolist(), gemms.k.tolist(), gemms.batch.tolist()) == (
        [3, 4],
        [5, 6],
        [7, 8],
        [2, 2],
    )
    assert gemms.a_fraction.tolist() == [1, 0.25]  # 16 of 2·4·8
    assert gemms.b_fraction.tolist() == [1, 1]  # never more than the view
    assert (len(gemms), gemms.precision) == (2, FP16)


def test_fractions_are_one_when_nothing_is_said():
    one = np.ones(3)
    gemms = Gemms(FP32, one, one, one, one)
    assert gemms.a_fraction.tolist() == gemms.b_fraction.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("bases", "merged"),
    [
        ((), ""), (("given",), "given"), (("roofline", "measured"), "measured+roofline"),
        (("given+calibrated", "published", "calibrated"), "calibrated+published+given"),
        (("zzz", "given"), "given+zzz"),
    ],
)  # fmt: skip
def test_bases_merge(bases, merged):
    assert merge_bases(*bases) == merged


def test_estimates_add_and_scale():
    total = Estimate(2.0, "measured", 1.0, 3.0) + 3 * Estimate(5.0, "published", 4.0, 7.0)
    assert total == Estimate(17.0, "measured+published", 13.0, 24.0)
    assert (
        Estimate(2.0, "given", 1.0, 3.0) * 0.5
        == 0.5 * Estimate(2.0, "given", 1.0, 3.0)
        == Estimate(1.0, "given", 0.5, 1.5)
    )


def test_one_unknown_interval_makes_the_sum_unknown():
    total = Estimate(2.0, "measured", 1.0, 3.0) + Estimate(1.0, "analytical")
    assert (total.seconds, total.basis) == (3.0, "measured+analytical")
    assert isnan(total.low)
    assert isnan(total.high)


SECONDS = st.integers(0, 2**40).map(float)  # whole: sums are exact
ESTIMATES = st.builds(
    lambda seconds, basis, below, above: Estimate(seconds, basis, seconds - below, seconds + above),
    SECONDS, st.sampled_from(BASES), SECONDS, SECONDS,
)  # fmt: skip


@given(ESTIMATES, ESTIMATES, ESTIMATES)
def test_algebra(a, b, c):
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert 2 * (a + b) == 2 * a + 2 * b
    assert a + a == 2 * a
    total = a + b + c
    assert total.low <= total.seconds <= total.high
    assert set(total.basis.split("+")) == {a.basis, b.basis, c.basis}


def test_cost_models_by_name():
    device = find_device("t4")
    assert find_cost_model("tiles", device) == Tiles(device)
    assert find_cost_model("tiles", device, "64x64", split_k=False) == Tiles(device, "64x64", False)
    assert find_cost_model("roofline", device) == Roofline(device)
    with pytest.raises(UnknownName, match=r"E1007 model 'tile' is not known. Did you mean tiles"):
        find_cost_model("tile", device)
    with pytest.raises(InputError, match=r"E1106 model roofline: has neither tiles nor split-K\."):
        find_cost_model("roofline", device, "64x64")


@pytest.mark.parametrize("name", ["tiles", "roofline"])
def test_bases_of_the_models(name):
    model = find_cost_model(name, find_device("t4"))
    basis = {"tiles": "analytical", "roofline": "roofline"}[name]
    assert price(model, [Gemm(3, 5, 7), MemoryOp(1, 1)]).basis == [basis, basis]


def test_unknown_interval_is_nan_by_default():
    assert str(Estimate(1.0, "given").low) == str(nan)
