"""Loss scales: the dynamic one's life by hand, a layer's from its formula."""

from dataclasses import replace
from math import erf, inf, nan, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.quantisers.scaling import (
    DynamicScale,
    LayerRule,
    layer_scale,
    overflowed,
    power_of_two,
    two_sided_quantile,
)


def run(scale, steps):
    """The scale before each step and after the last; 'o' overflows, '.' does not."""
    seen = [scale.scale]
    for step in steps:
        scale = scale.after(step == "o")
        seen.append(scale.scale)
    return scale, seen


def test_it_starts_at_2_to_16_and_halves_on_overflow():
    scale, seen = run(DynamicScale(), "oo.")
    assert seen == [65536, 32768, 16384, 16384]
    assert (scale.skipped, scale.clean) == (2, 1)


def test_it_doubles_after_2000_clean_steps_in_a_row():
    scale, seen = run(DynamicScale(), "." * 1999 + "o" + "." * 2000)
    assert seen[1999:2001] == [65536, 32768]
    assert seen[-2:] == [32768, 65536]
    assert (scale.clean, scale.skipped) == (0, 1)


def test_ceiling_floor_and_other_constants():
    assert run(DynamicScale(8.0, interval=1, ceiling=32), "...")[1] == [8, 16, 32, 32]
    assert run(DynamicScale(8.0, floor=3), "oo")[1] == [8, 4, 3]
    assert run(DynamicScale(8.0, interval=2, growth=4, backoff=0.25), "...oo")[1] == [8, 8, 32, 32, 8, 2]
    raised = replace(DynamicScale(1024.0), floor=8192)
    assert run(raised, ".o")[1] == [1024, 8192, 8192]
    assert run(DynamicScale(1.0), "o" * 1100)[1][-1] == 0


@given(st.text("o.", max_size=60), st.integers(1, 5))
def test_it_stays_a_power_of_two_within_its_ends_and_counts_what_it_skips(steps, interval):
    scale, seen = run(DynamicScale(interval=interval, floor=1), steps)
    assert all(np.log2(s) % 1 == 0 and 1 <= s <= 2**24 for s in seen)
    assert scale.skipped == steps.count("o")


@pytest.mark.parametrize(
    "change",
    [{"scale": nan}, {"scale": -1.0}, {"growth": 0.5}, {"backoff": 0.0}, {"backoff": 2.0}, {"interval": 0},
     {"interval": 2.5}, {"floor": 2.0**25}, {"ceiling": inf}, {"scale": "8"}, {"interval": True}],
)  # fmt: skip
def test_constants_without_a_meaning_are_refused(change):
    with pytest.raises(InputError, match=f"E15(21|27) {next(iter(change))} "):
        DynamicScale(**change)


def test_overflow_is_any_infinity_or_nan():
    assert not overflowed(np.ones(3), np.zeros((0, 2)))
    assert not overflowed()
    assert overflowed(np.ones(3), np.array([1, nan]))
    assert overflowed(np.array([-inf], np.float16))


@given(st.floats(1e-6, 0.999))
def test_the_quantile_is_the_inverse_of_the_error_function(share):
    assert erf(two_sided_quantile(share) / sqrt(2)) == pytest.approx(share, rel=1e-9)


def test_the_published_share():
    assert two_sided_quantile(1e-3) == pytest.approx(1.25331446e-3, rel=1e-8)  # x·√(π/2)·(1 + π·x²/12)


def test_a_layer_by_hand():
    # rms 2^-16 and 1, fan_in 2: σ = 2^-16; 6e-8/(1.25331e-3 · 2^-16) = 3.137
    g, w = np.array([[2.0**-16, -(2.0**-16)]]), np.array([[1.0], [-1.0]])
    assert layer_scale(g, w) == 2
    assert layer_scale(g / 2, w) == 4  # 6.27
    assert layer_scale(g / 3, w) == 8  # 9.41
    assert layer_scale(g / 1000, w) == 16  # the layer's limit
    assert layer_scale(g / 1000, w, rule=LayerRule(layer_limit=1e9)) == 1024  # 3137
    assert layer_scale(g * 100, w) == 1


def test_limits_of_the_product_and_of_overflow():
    g, w = np.full((1, 4), 1e-9), np.full((4, 1), 1.0)
    assert [layer_scale(g, w, before) for before in (1, 64, 100, 1024, 4096)] == [16, 16, 8, 1, 0.25]
    big = np.full((1, 4), 60000.0)
    assert layer_scale(big, w) == 0.25  # 65504/(4 · 60000) = 0.27
    mixed = np.concatenate([np.zeros((1, 10**6)), np.full((1, 1), 3000.0)], axis=1)  # rms 3: σ = 4.24
    assert layer_scale(mixed, w, rule=LayerRule(share=1e-9)) == 4  # 65504/(4 · 3000) = 5.5 < 11.3
    assert layer_scale(mixed, w, rule=LayerRule(share=1e-9, largest=1e6)) == 8


def test_fan_in_is_what_an_input_gradient_sums_over():
    g = np.full((1, 2), 2.0**-16)
    assert layer_scale(g, np.ones((8, 3))) == layer_scale(g, np.ones((2, 5, 2, 2))) == layer_scale(g, np.ones((8, 1)))
    assert layer_scale(g, np.ones((2, 1))) == 2  # σ = 2^-16
    assert layer_scale(g / 8, np.ones((8, 1))) == 8  # 3.137 · 8/2
    assert layer_scale(g / 8, np.ones((2, 1))) == 16  # 25.1


def test_nothing_to_go_by_gives_1_and_what_is_not_finite_is_refused():
    w = np.ones((2, 2))
    assert layer_scale(np.zeros((1, 2)), w) == layer_scale(np.ones((1, 2)), w * 0) == layer_scale(np.zeros(0), w) == 1
    assert layer_scale(np.full((1, 2), 1e-200), w) == 16
    for value in (inf, nan):
        with pytest.raises(InputError, match="E1524 gradient"):
            layer_scale(np.array([value]), w)
        with pytest.raises(InputError, match="E1524 weights"):
            layer_scale(np.ones(1), w * value)
    with pytest.raises(InputError, match="E1526"):
        layer_scale(np.ones(2), np.ones(2))
    for before in (0, -1, nan, inf):
        with pytest.raises(InputError, match="E1527 before"):
            layer_scale(np.ones(2), w, before)
    with pytest.raises(InputError, match="E1527 share"):
        LayerRule(share=1)


@given(st.floats(2.0**-1000, 2.0**1000))
def test_powers_of_two_are_the_largest_not_above(value):
    power = power_of_two(value)
    assert power <= value < 2 * power
    assert np.log2(power) % 1 == 0
