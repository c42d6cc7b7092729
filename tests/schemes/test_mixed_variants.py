"""Mixed precision with a constant factor, and with one for each layer."""

import pytest

from perfmodel.schemes import find_scheme

CASTS = [
    ("first", "fprop", "cast", 216, 108, 1), ("middle", "fprop", "cast", 24, 12, 1),
    ("last", "fprop", "cast", 660, 330, 1),
]  # fmt: skip
CHECKS = [
    ("first", "update", "cast", 216, 216, 1), ("middle", "update", "cast", 24, 24, 1),
    ("last", "update", "cast", 660, 660, 1),
]  # fmt: skip


@pytest.mark.parametrize("level", ["epilogue", "delayed", "current", "naive", "unfused", "measured"])
def test_a_static_scale_is_divided_out_in_passing(added, level):
    assert added(find_scheme("mixed-static"), level=level) == CASTS
    assert added(find_scheme("mixed"), level=level) == CASTS + CHECKS


@pytest.mark.parametrize("name", ["mixed", "mixed-static", "mixed-adaptive"])
def test_without_overhead_nothing_is_converted(added, units, name):
    assert added(find_scheme(name), level="ideal") == []
    assert set(units(find_scheme(name)).values()) == {("fp16", "", "fp16")}


def test_one_factor_for_each_layer(added):
    assert added(find_scheme("mixed-adaptive")) == [
        *CASTS,
        *CHECKS,
        ("first", "dgrad", "scale", 192, 192, 1),  # 96 gradients of 2 B
        ("middle", "dgrad", "scale", 128, 128, 1),
        ("last", "dgrad", "scale", 20, 20, 1),
        # Twice 2 B of gradients and weights are read, once in 1000 steps.
        ("first", "dgrad", "scale", 384, 0, 0.001), ("first", "fprop", "scale", 216, 0, 0.001),
        ("middle", "dgrad", "scale", 256, 0, 0.001), ("middle", "fprop", "scale", 24, 0, 0.001),
        ("last", "dgrad", "scale", 40, 0, 0.001), ("last", "fprop", "scale", 660, 0, 0.001),
    ]  # fmt: skip
