"""GEMM features, one by one by hand."""

from dataclasses import replace

import numpy as np
import pytest

from perfmodel.cost.estimate import Gemms
from perfmodel.cost.features import GEMM_FEATURES, gemm_features
from perfmodel.devices import find_device
from perfmodel.gemm import Gemm, find_precision

# 10 SMs, L2 of 4096 B; FP32: 2 · 5 MAC · 10 SMs · 1 GHz = 1e11 FLOP/s; DRAM 1e9 B/s
DEVICE = replace(
    find_device("v100"), sms=10, l2_bytes=4096, boost_clock_hz=1e9, dram_bytes_per_s=1e9,
    rates={("fp32", "fp32"): replace(find_device("v100").rate(find_precision("fp32")), macs_per_clock=5)},
)  # fmt: skip


def raw(gemms: Gemms, seconds: float = 1e-3) -> dict[str, float]:
    """The features without centre and scale."""
    (row,) = gemm_features(gemms, DEVICE, np.array([seconds]))
    centre, scale = np.array(list(GEMM_FEATURES.values())).T
    return dict(zip(GEMM_FEATURES, row * scale + centre, strict=True))


def test_each_by_hand():
    found = raw(Gemms.of([Gemm(200, 100, 50, batch=3)]))
    # stored 3·(200·50 + 100·50)·4 = 180,000 B, written 3·200·100·4 = 240,000 B; FLOP 2·3·10^6
    compute_s, memory_s = 6e6 / 1e11, 420_000 / 1e9
    assert found["k"] == pytest.approx(np.log(50))
    assert found["footprint"] == pytest.approx(np.log(180_000 / 4096))
    assert found["waves"] == pytest.approx(np.log(3 * 20_000 / (128 * 128 * 10)))
    assert found["least_edge"] == pytest.approx(np.log(100))
    assert found["aspect"] == pytest.approx(np.log(2))
    assert found["seconds"] == pytest.approx(np.log(1e-3))
    assert found["roof"] == pytest.approx(np.log(1e-3 / memory_s))
    assert found["intensity"] == pytest.approx(np.log(compute_s / memory_s))
    assert found["batch"] == pytest.approx(np.log(3))
    assert found["padded_m"] == pytest.approx(np.log(256 / 200))
    assert found["padded_n"] == pytest.approx(np.log(128 / 100))
    assert found["tail"] == pytest.approx(6 / 20)  # 2·1·3 tiles on 20 places
    assert (found["a_in_lines_of_m"], found["b_in_lines_of_n"]) == (0, 0)
    # DRAM binds for 420 of 480 us; A and B, all of them in lines of k, are 180,000 of 420,000 B and exceed L2
    streamed = 180 / 420 * 420 / 480 * 180_000 / 184_096
    assert (found["streamed"], found["streamed_odd"]) == (pytest.approx(streamed), pytest.approx(streamed))


def test_what_is_streamed_lies_in_lines_of_k():
    # of 120,000 B of A, 60,000 B of B and 240,000 B of C; k is a power of two in the second
    only_a, only_b = (raw(Gemms.of([Gemm(200, 100, 50, batch=3, layout=one)]))["streamed"] for one in ("tt", "nn"))
    assert only_a == pytest.approx(2 * only_b)
    assert raw(Gemms.of([Gemm(200, 100, 50, layout="nt")]))["streamed"] == 0
    even = raw(Gemms.of([Gemm(200, 100, 64)]))
    assert even["streamed"] > 0 == even["streamed_odd"]


def test_each_kernel_has_its_own_layout():
    gemms = Gemms.of([Gemm(200, 100, 50, layout=one) for one in ("tn", "tt", "nt")])
    names = list(GEMM_FEATURES)
    found = gemm_features(gemms, DEVICE, np.full(3, 1e-3))
    assert found[:, names.index("a_in_lines_of_m")].tolist() == [0, 0, 1]
    assert found[:, names.index("b_in_lines_of_n")].tolist() == [0, 1, 1]


def test_layouts_and_a_convolutions_stored_part():
    plain = Gemms.of([Gemm(200, 100, 50, layout="nt")])
    stored = Gemms.of([Gemm(200, 100, 50, a_distinct=1000)])
    one, other = raw(replace(plain, layout="nt")), raw(stored)
    assert (one["a_in_lines_of_m"], one["b_in_lines_of_n"]) == (1, 1)
    assert other["footprint"] == pytest.approx(np.log((1000 + 5000) * 4 / 4096))


def test_padding_of_a_sliver_is_bounded():
    assert raw(Gemms.of([Gemm(1, 100, 50)]))["padded_m"] == pytest.approx(np.log(2))
