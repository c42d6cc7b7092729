"""Times are looked up, never scaled; what a profile lacks is filled with the filler's basis, or named."""

from dataclasses import dataclass, field, replace
from math import nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.cost import Roofline, Tiles
from perfmodel.cost.estimate import Estimates, Gemms, merge_bases, price
from perfmodel.cost.measured import Measured, NotTimed, is_device
from perfmodel.cost.spread import UNKNOWN, Spreads
from perfmodel.devices import find_device
from perfmodel.errors import Unsupported
from perfmodel.gemm import Gemm, find_precision
from perfmodel.lowering import Delay, MemoryOp
from perfmodel.profiles.kernel import Kernel

T4 = find_device("t4")
FP16, FP16_TO_FP32 = find_precision("fp16"), find_precision("fp16", "fp32", "fp32")


@dataclass(frozen=True)
class Timing:
    kernel: Kernel
    seconds: float
    low: float = nan
    high: float = nan


@dataclass
class Profile:
    """Times by kernel, and kernels that have none."""

    times: dict
    basis: str = "measured"
    environment: dict = field(default_factory=lambda: {"device": {"name": "Tesla T4"}})
    refused: dict = field(default_factory=dict)

    @property
    def timings(self):
        return {kernel: Timing(kernel, seconds) for kernel, seconds in self.times.items()}

    def fastest(self, problem):
        same = [timing for kernel, timing in self.timings.items() if kernel.problem == problem]
        return min(same, key=lambda timing: timing.seconds, default=None)


def measured(times, fill=None, **facts):
    return Measured(Profile({Kernel(*key): seconds for key, seconds in times.items()}, **facts), T4, fill)


CONV = Gemm(9, 5, 7, a_distinct=21)
PROFILE = {
    (Gemm(3, 5, 7), "128x64x8"): 11.0, (Gemm(3, 5, 7), "64x64x8"): 7.0, (CONV, ""): 13.0,
    (Gemm(3, 5, 8, 1, FP16), ""): 2.0, (MemoryOp(6, 3), ""): 5.0, (MemoryOp(3, 6), ""): 0.5,
}  # fmt: skip


def test_each_kernel_has_its_own_time_and_the_fastest_variant():
    kernels = [MemoryOp(3, 6), CONV, Gemm(3, 5, 7), Delay(0.25, "given"), Gemm(3, 5, 8, 1, FP16), MemoryOp(6.0, 3.0)]
    prices = price(measured(PROFILE), kernels)
    assert prices.seconds.tolist() == [0.5, 13, 7, 0.25, 2, 5]
    assert prices.basis == ["measured", "measured", "measured", "given", "measured", "measured"]
    assert prices.detail == ["", "", "64x64x8", "", "", ""]


def test_a_simulated_profile_is_never_called_measured():
    prices = price(measured(PROFILE, basis="simulated"), [CONV, MemoryOp(6, 3)])
    assert prices.basis == ["simulated", "simulated"]
    assert merge_bases("analytical", "simulated", "measured") == "measured+simulated+analytical"


@pytest.mark.parametrize(
    "near",
    [
        Gemm(5, 3, 7), Gemm(3, 5, 8), Gemm(3, 5, 7, 2), Gemm(3, 5, 7, 1, FP16), Gemm(3, 5, 8, 1, FP16_TO_FP32),
        Gemm(3, 5, 7, a_distinct=21), Gemm(9, 5, 7), Gemm(9, 5, 7, a_distinct=20), Gemm(9, 5, 7, b_distinct=21),
        MemoryOp(6, 2), MemoryOp(9, 0),
    ],
)  # fmt: skip
def test_what_is_not_quite_the_same_has_no_time(near):
    with pytest.raises(NotTimed, match=r"^E2201 profile of Tesla T4: has no time of "):
        price(measured(PROFILE), [near])
    assert price(measured(PROFILE, Roofline(T4)), [near]).basis == ["roofline"]


def test_what_is_missing_is_filled_with_the_fillers_basis():
    tiles, extra = Tiles(T4), (Gemm(300, 500, 700), Gemm(64, 64, 64, a_distinct=99), MemoryOp(1e6, 3))
    kernels = [extra[0], Gemm(3, 5, 7), extra[1], extra[2], MemoryOp(6, 3)]
    prices, modelled = price(measured(PROFILE, tiles), kernels), price(tiles, list(extra))
    a, b, c = modelled.seconds
    assert prices.seconds.tolist() == [a, 7, b, c, 5]
    assert prices.basis == ["analytical", "measured", "analytical", "analytical", "measured"]
    assert prices.detail == [modelled.detail[0], "64x64x8", modelled.detail[1], "", ""]


def test_the_filler_is_not_asked_for_what_was_measured():
    class Never:
        device = T4

        def gemms(self, gemms):
            raise AssertionError(gemms)

        memory = gemms

    assert price(measured(PROFILE, Never()), [CONV, MemoryOp(6, 3)]).seconds.tolist() == [13, 5]


def test_gemms_that_come_as_arrays_are_found():
    sizes = np.array([[9, 5, 7, 1], [3, 5, 7, 1]], dtype=float).T
    fractions = np.array([21 / 63, 1.0])
    found = measured(PROFILE).gemms(Gemms(find_precision("fp32"), *sizes, fractions))
    assert found.seconds.tolist() == [13, 7]


SIZE = st.integers(1, 10**5)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(SIZE, SIZE, SIZE, st.integers(1, 9), st.data())
def test_gemms_survive_arrays(m, n, k, batch, data):
    stored = data.draw(st.one_of(st.none(), st.integers(1, batch * m * k - 1) if batch * m * k > 1 else st.none()))
    gemm = Gemm(m, n, k, batch, FP16, b_distinct=None, a_distinct=stored)
    arrays = Gemms.of([gemm])
    assert arrays.each() == (gemm,)
    assert replace(arrays, kernels=()).each() == (gemm,)


@pytest.mark.parametrize(
    ("kernels", "count"),
    [
        ([Gemm(1, 1, 1), Gemm(3, 5, 7), Gemm(2, 2, 2)], "gemm 1x1x1 fp32; 2 of 3 GEMMs in fp32 are missing."),
        (
            [MemoryOp(6, 3), MemoryOp(3e6, 1e6)],
            "stream 3000000 B in, 1000000 B out; 1 of 2 streams are missing.",
        ),
    ],
)
def test_the_first_missing_kernel_is_named(kernels, count):
    with pytest.raises(Unsupported) as caught:
        price(measured(PROFILE), kernels)
    assert caught.value.lines() == [
        f"E2201 profile of Tesla T4: has no time of {count} perfmodel profile NETWORK … measures them; --fill "
        f"analytical models them."
    ]


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (Gemm(9, 5, 7), "There is one of implicit 9x5x7 fp32 a=21, which goes with --mapping implicit."),
        (Gemm(3, 5, 7, a_distinct=20), "There is one of gemm 3x5x7 fp32, which goes with --mapping im2col."),
    ],
)
def test_the_other_view_is_named(problem, said):
    with pytest.raises(NotTimed, match=r"1 of 1 GEMMs in fp32 are missing\. There is one") as caught:
        price(measured(PROFILE), [problem])
    assert said in str(caught.value)


def test_no_other_view_is_named_where_there_is_none():
    for problem in (Gemm(9, 5, 8), Gemm(9, 5, 7, a_distinct=20), Gemm(9, 5, 7, b_distinct=20), Gemm(9, 5, 7, 3)):
        with pytest.raises(NotTimed) as caught:
            price(measured(PROFILE), [problem])
        assert "--mapping" not in str(caught.value)


def test_why_a_kernel_has_no_time():
    refused = {Kernel(Gemm(2, 2, 2), "64x64x8"): ("skipped", "out of memory.")}
    with pytest.raises(NotTimed, match=r"of gemm 2x2x2 fp32 \(skipped: out of memory\); 1 of 1 "):
        price(measured(PROFILE, refused=refused), [Gemm(2, 2, 2)])


@pytest.mark.parametrize("environment", [{}, {"device": None}, {"device": {}}, {"device": {"name": 7}}])
def test_a_profile_of_an_unknown_device(environment):
    with pytest.raises(NotTimed, match=r"^E2201 profile of an unknown device: "):
        price(measured(PROFILE, environment=environment), [Gemm(2, 2, 2)])


def test_one_basis_for_all_or_one_for_each():
    seconds = np.array([3.0, 5.0])
    assert list(Estimates(seconds, "given").rows()) == [(3.0, "given", "", UNKNOWN), (5.0, "given", "", UNKNOWN)]
    spreads = Spreads(np.array([0.1, 0.2]), np.array([0.3, 0.4]), "gemm")
    rows = Estimates(seconds, ["given", "measured"], np.array(["a", "b"]), spreads).rows()
    assert list(rows) == [(3.0, "given", "a", (0.1, 0.3, "gemm")), (5.0, "measured", "b", (0.2, 0.4, "gemm"))]
    with pytest.raises(ValueError, match="zip"):
        list(Estimates(seconds, ["given"]).rows())


@pytest.mark.parametrize(
    ("reported", "title", "same"),
    [
        ("NVIDIA GeForce RTX 2080 Ti (simulated)", "NVIDIA GeForce RTX 2080 Ti", True),
        ("GeForce RTX 2080 Ti", "NVIDIA GeForce RTX 2080 Ti", True),
        ("NVIDIA GeForce RTX 2080 Ti", "NVIDIA GeForce RTX 2080", False),
        ("NVIDIA GeForce RTX 2080", "NVIDIA GeForce RTX 2080 SUPER", False),
        ("NVIDIA L40", "NVIDIA L4", False), ("NVIDIA H200", "NVIDIA H200 SXM5 141 GB", True),
        ("NVIDIA H100 80GB HBM3", "NVIDIA H100 SXM5 80 GB", True),
        ("NVIDIA H100 PCIe", "NVIDIA H100 SXM5 80 GB", False), ("Tesla T4", "NVIDIA Tesla T4", True),
        ("NVIDIA A100-SXM4-40GB", "NVIDIA A100 SXM4 40 GB", True),
        ("NVIDIA A100-SXM4-80GB", "NVIDIA A100 SXM4 40 GB", False),
        ("Tesla V100-SXM2-16GB", "NVIDIA Tesla V100 PCIe 16 GB", False),
        ("NVIDIA H200 MIG 1g.18gb", "NVIDIA H200 SXM5 141 GB", False), ("", "A slow GPU", False),
        ("A slow GPU (simulated, with drift)", "A slow GPU", True),
    ],
)  # fmt: skip
def test_names_of_devices(reported, title, same):
    assert is_device(reported, title) is same


@pytest.mark.parametrize(
    ("low", "high", "own"),
    [(0.9, 6.0, 0.796), (1.0, 1.0, 0.0), (1e-6, 1e-2, 3.865)],  # ln(high / low) / 2 · 1.645 / 1.96
)
def test_a_timings_interval_counts_in_log(low, high, own):
    class Scattered(Profile):
        def fastest(self, problem):
            return Timing(Kernel(problem, "64x64x8"), 1.0, low, high)

    (width,) = price(Measured(Scattered({}), T4), [Gemm(3, 5, 7)]).widths
    assert width == pytest.approx((0.0, own, ""), abs=1e-3)
