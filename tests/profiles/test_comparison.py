"""GEMMs beside the vendor's library, memory-bound kernels beside a copy: hand-computed shares."""

import pytest

from perfmodel.gemm import Gemm, find_precision
from perfmodel.lowering import MemoryOp
from perfmodel.profiles.comparison import Ratio, copy_ratios, vendor_ratios
from perfmodel.profiles.kernel import VENDOR, Kernel
from perfmodel.profiles.profile import Profile
from perfmodel.report.profile import profile_notes

HALF = find_precision("fp16")
A, B, C = Gemm(3, 5, 7), Gemm(5, 7, 11), Gemm(7, 5, 3, precision=HALF)


def profile(seconds, l2_bytes=1000, copy=2e9):
    """A profile of one session in which each kernel takes so long."""
    rows = [
        {"type": "session", "session": 1, "settings": {}, "request": {}, "started": ""},
        {"type": "settle", "session": 1, "reference_clock_hz": 1e9, "settled": True, "seconds": 1.0},
    ]
    rows += [{"type": "instrument", "session": 1, "copy_bytes_per_s": copy}] if copy else []
    for number, (kernel, each) in enumerate(seconds.items()):
        what = {"session": 1, "kernel": number}
        rows.append({"type": "kernel", "status": "ready", "what": kernel.to_json(), **what})
        rows += [
            {"type": "visit", "round": i, "position": number, "regime": "cold", "launches": 1, "offset_s": 0.0,
             "seconds": [each], "clock_hz": [1e9], "flags": [], **what} for i in range(1, 7)
        ]  # fmt: skip
    device = {"kind": "cuda", "name": "GPU"} | ({"l2_bytes": l2_bytes} if l2_bytes is not None else {})
    return Profile.from_records({"environment": {"device": device}}, rows)


def test_the_vendor_beside_the_fastest_kernel():
    found = profile({
        Kernel(A, "slow"): 5e-6, Kernel(A, "fast"): 4e-6, Kernel(A, VENDOR): 2e-6,  # 1/2
        Kernel(B, "fast"): 1e-6, Kernel(B, VENDOR): 8e-6,  # 8
        Kernel(C, "fast"): 3e-6, Kernel(Gemm(9, 9, 9), VENDOR): 1e-6,  # one of the two alone
    })  # fmt: skip
    assert vendor_ratios(found) == [Ratio("fp32->fp32", 2, pytest.approx(2.0), pytest.approx(0.5))]  # √(1/2 · 8)
    notes = profile_notes(found)
    assert "Beside cublas, geometric mean and least: fp32->fp32 2.00 (0.50 of 2)." in notes


def test_without_a_vendor_nothing_is_said():
    found = profile({Kernel(A, "fast"): 4e-6})
    assert vendor_ratios(found) == []
    assert not [note for note in profile_notes(found) if "eside" in note]


def test_large_kernels_beside_a_copy():
    found = profile({
        Kernel(MemoryOp(4000.0, 1000.0, "quantise_delayed", (1000,))): 5e-6,  # 1 GB/s, half of the copy's
        Kernel(MemoryOp(8000.0, 2000.0, "quantise_delayed", (2000,))): 6.25e-6,  # 1.6 GB/s
        Kernel(MemoryOp(2000.0, 1999.0)): 1e-6,  # below four times the L2
    })  # fmt: skip
    assert copy_ratios(found) == [Ratio("quantise_delayed", 2, pytest.approx(0.65), pytest.approx(0.5))]
    line = "Large kernels beside a copy, median and least: quantise_delayed 0.65 (0.50 of 2)."
    assert line in profile_notes(found)


@pytest.mark.parametrize("unknown", [{"copy": None}, {"l2_bytes": None}])
def test_without_a_copy_or_a_cache_nothing_is_said(unknown):
    assert copy_ratios(profile({Kernel(MemoryOp(8000.0, 0.0)): 1e-6}, **unknown)) == []


def test_how_far_sessions_are_apart_is_said():
    rows = [
        {"type": "session", "session": number, "settings": {}, "request": {}, "started": started}
        for number, started in enumerate(
            ("2026-01-05T10:00:00+00:00", "2026-01-05T10:01:15+00:00", "2026-01-05T11:01:15+00:00"), 1
        )
    ]
    found = Profile.from_records({"environment": {"device": {"kind": "cuda", "name": "GPU"}}}, rows)
    assert "Sessions began 1 min 15 s and 1:00 h after one another." in profile_notes(found)
    rows[1]["started"] = "noon"
    broken = Profile.from_records({"environment": {"device": {"kind": "cuda", "name": "GPU"}}}, rows)
    assert not [note for note in profile_notes(broken) if note.startswith("Sessions")]
