"""Codes, scales and random numbers against published vectors, exact arithmetic and values worked by hand."""

from fractions import Fraction
from math import floor, inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel import quantisers as q

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
F = np.float32


@pytest.mark.parametrize(
    ("rounds", "counter", "key", "words"),
    [  # Random123 1.x, tests/kat_vectors
        (10, (0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        (10, (0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (10, (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0),
         (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
    ],
)  # fmt: skip
def test_philox_known_answers(rounds, counter, key, words):
    assert tuple(q.philox4x32(np.array([counter], np.uint32), key, rounds)[0]) == words


def test_dither_takes_the_words_in_order():
    words = q.philox4x32(np.array([[0, 0, 5, 0], [1, 0, 5, 0]], np.uint32), (7, 9)).ravel()
    seed = 9 << 32 | 7
    octets = q.dither(18, seed, 5, "philox10x16")
    assert octets[0] == (int(words[0] & 255) + 0.5) / 256
    assert octets[6] == (int(words[1] >> 16 & 255) + 0.5) / 256  # byte 2 of word 1
    assert octets[17] == (int(words[4] >> 8 & 255) + 0.5) / 256  # the second group
    assert q.dither(5, seed, 5, "philox10x4")[4] == int(words[4] >> 8) / 2**24
    assert q.dither(0, seed, 5).size == 0


@pytest.mark.parametrize(
    ("largest", "bits", "scale"),
    [
        (1.0, 8, 64.0),  # 127.5 -> 64
        (127.5, 8, 1.0), (np.nextafter(F(127.5), F(200)), 8, 0.5), (63.75, 8, 2.0),
        (1.0, 16, 2.0**14), (32767.5, 16, 1.0), (1.5, 2, 1.0), (1.0, 2, 1.0), (2.0, 2, 0.5),
        (0.0, 8, 1.0), (inf, 8, 2.0**-126), (1e-45, 8, 2.0**126), (3.4e38, 8, 2.0**-122), (3.4e38, 2, 2.0**-126),
    ],
)  # fmt: skip
def test_scales_by_hand(largest, bits, scale):
    assert q.scale_of(largest, bits) == scale
    assert list(q.scale_pair(largest, bits)) == [scale, 1 / scale]


def test_a_nan_has_no_scale():
    assert np.isnan(q.scale_pair(nan, 8)).all()


@given(st.floats(2.0**-100, 2.0**100, width=32), st.integers(2, 16))
def test_scale_is_the_largest_power_of_two_that_fits(largest, bits):
    scale, limit = Fraction(float(q.scale_of(largest, bits))), Fraction(2**bits - 1, 2)
    assert scale * Fraction(largest) <= limit < 2 * scale * Fraction(largest)


def test_absmax_is_of_magnitudes_and_keeps_infinity_and_nan():
    assert q.absmax(np.array([1, -3, 2], F)) == 3
    assert q.absmax(np.array([1, -inf], F)) == inf
    assert np.isnan(q.absmax(np.array([inf, nan, 1], F)))
    assert q.absmax(np.array([], F)) == 0
    assert q.absmax(np.array([-0.0], F)).tobytes() == F(0).tobytes()


def test_nearest_by_hand():
    x = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 127.4, 127.6, 300, -128.4, -300, inf, -inf, nan, -0.0, 1e-40], F)
    assert q.quantise_nearest(x, 1, 8).tolist() == [0, 2, 2, 0, -2, 127, 127, 127, -128, -128, 127, -128, 0, 0, 0]
    assert q.quantise_nearest(x[:8] * 100, 1, 12).tolist() == [50, 150, 250, -50, -150, 2047, 2047, 2047]
    assert q.quantise_nearest(x, 1, 8).dtype == np.int8
    assert q.quantise_nearest(x, 1, 9).dtype == np.int16


def test_stochastic_by_hand():
    x = np.array([0.25, 0.25, -0.25, -0.25, 127.9, -129.5, inf, -inf, nan], F)
    u = np.array([0.7, 0.8, 0.2, 0.3, 0.5, 0.5, 0.5, 0.5, 0.5], F)
    assert q.quantise_stochastic(x, 1, 8, u).tolist() == [0, 1, -1, 0, 127, -128, 127, -128, 0]


@given(st.floats(-126, 126, width=32))
def test_eight_random_bits_are_unbiased_within_a_512th(value):
    u = (np.arange(256, dtype=F) + F(0.5)) / F(256)  # all that there are
    codes = q.quantise_stochastic(np.full(256, value, F), 1, 8, u)
    assert abs(codes.mean(dtype=float) - value) <= 1 / 512 + 2.0**-18  # half an ulp of the sum


@pytest.mark.parametrize("kind", q.DITHERS)
def test_rounding_is_unbiased_with_the_generator(kind):
    n = 1 << 16
    for step, value in enumerate((0.3, -7.9, 99.03)):
        codes = q.quantise_stochastic(np.full(n, value, F), 1, 8, q.dither(n, 1234, step, kind))
        part = value - floor(value)
        sigma = (part * (1 - part) / n) ** 0.5
        assert abs(codes.mean(dtype=float) - value) < 5 * sigma + (1 / 512 if kind == "philox10x16" else 1e-5)


def test_steps_seeds_and_groups_draw_different_numbers():
    drawn = [q.dither(4096, seed, step) for seed, step in ((1, 0), (1, 1), (2, 0), (1 << 40, 0))]
    for i, one in enumerate(drawn):
        for other in drawn[:i]:
            assert abs(np.corrcoef(one, other)[0, 1]) < 0.1
    assert abs(np.corrcoef(drawn[0][:-16], drawn[0][16:])[0, 1]) < 0.1


@given(st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=40), st.integers(2, 16), st.booleans())
def test_what_is_dequantised_is_within_a_step(values, bits, nearest):
    x = np.array(values, F)
    scale, inverse = q.scale_pair(q.absmax(x), bits)
    u = q.dither(x.size, 3, 0)
    codes = q.quantise_nearest(x, scale, bits) if nearest else q.quantise_stochastic(x, scale, bits, u)
    back = q.dequantise(codes, inverse).astype(np.float64)
    assert (abs(back - x) <= float(inverse)).all()


def test_sgd_by_hand():
    weights, momentum = q.sgd(np.array([2.0], F), np.array([4.0], F), np.array([1.0], F), 0.5, 0.25, 0.125)
    assert (momentum[0], weights[0]) == (1 + 1.25, 2 - 0.5 * 2.25)


def test_every_product_and_sum_of_sgd_is_rounded():
    w, v, g = F(1.1), F(-0.7), F(0.3)
    decayed = F(g + F(F(1e-4) * w))
    velocity = F(F(F(0.9) * v) + decayed)
    assert q.sgd(*(np.array([x]) for x in (w, v, g)), 0.1, 0.9, 1e-4)[0] == F(w - F(F(0.1) * velocity))


def test_halves_by_hand():
    x = np.array([1, -2, 65504, 65519, 65520, 1e-8, 6e-8, nan, -inf, -0.0], F)
    halves = [0x3C00, 0xC000, 0x7BFF, 0x7BFF, 0x7C00, 0, 1, 0x7FFF, 0xFC00, 0x8000]
    assert q.fp16_of(x).view(np.uint16).tolist() == halves
    tie_down, tie_up = (np.array([bits], np.uint32).view(F)[0] for bits in (0x3F808000, 0x3F818000))
    brains = q.bf16_of(np.array([1, -2, tie_down, tie_up, 3.4e38, nan, -inf, -0.0], F))
    assert brains.tolist() == [0x3F80, 0xC000, 0x3F80, 0x3F82, 0x7F80, 0x7FFF, 0xFF80, 0x8000]


@given(FLOATS)
def test_bf16_is_the_nearest(value):
    low = np.array([value], F).view(np.uint32) & np.uint32(0xFFFF0000)
    near = [(low + np.uint32(step << 16)).astype(np.uint32).view(F)[0] for step in (0, 1)]
    rounded = (q.bf16_of(np.array([value], F)).astype(np.uint32) << np.uint32(16)).view(F)[0]
    if np.isfinite(near[1]):
        assert abs(Fraction(float(rounded)) - Fraction(value)) == min(
            abs(Fraction(float(one)) - Fraction(value)) for one in near
        )
