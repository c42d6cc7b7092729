"""Small floats against values worked by hand and against exact arithmetic with fractions."""

from fractions import Fraction
from math import floor, inf, isnan, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.quantisers import bf16_of, fp16_of
from perfmodel.quantisers.codes import decode, encode
from perfmodel.quantisers.floats import BF16, E4M3, E5M2, FLOATS, FP16, TF32, WANG8, WANG16, FloatFormat, rounded

F = np.float32
FORMATS = [*FLOATS.values(), FloatFormat("e2m1", 2, 1), FloatFormat("e3m4", 3, 4, infinities=False)]
EACH = pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)


def exact(value: float, format: FloatFormat, u: Fraction | None = None) -> float:
    """The definition, one number at a time."""
    if isnan(value) or value == 0:
        return value
    if abs(value) == inf:
        return value if format.infinities else nan
    size = abs(Fraction(value))
    power = max(size.numerator.bit_length() - size.denominator.bit_length() - 1, format.first_exponent)
    power += size >= Fraction(2) ** (power + 1)
    step = Fraction(2) ** (power - format.mantissa_bits)
    size = step * (round(size / step) if u is None else floor(size / step + u))
    size = float(size) if size <= Fraction(format.largest) else inf if format.infinities else nan
    return -size if value < 0 else size


@pytest.mark.parametrize(
    ("format", "bits", "bias", "largest", "normal", "smallest"),
    [
        (E4M3, 8, 7, 448, 2**-6, 2**-9), (E5M2, 8, 15, 57344, 2**-14, 2**-16), (WANG8, 8, 15, 57344, 2**-14, 2**-16),
        (FP16, 16, 15, 65504, 2**-14, 2**-24), (WANG16, 16, 31, 2**32 - 2**22, 2**-30, 2**-39),
        (BF16, 16, 127, 2**128 - 2**120, 2**-126, 2**-133), (TF32, 19, 127, 2**128 - 2**117, 2**-126, 2**-136),
        (FloatFormat("e4m3 as IEEE", 4, 3), 8, 7, 240, 2**-6, 2**-9),
    ],
)  # fmt: skip
def test_the_formats_have_the_published_ranges(format, bits, bias, largest, normal, smallest):
    assert (format.bits, format.bias, format.largest) == (bits, bias, largest)
    assert (format.smallest_normal, format.smallest) == (normal, smallest)


@pytest.mark.parametrize(
    ("format", "x", "near"),
    [
        (E4M3, 1.0625, 1), (E4M3, 1.1875, 1.25), (E4M3, -1.19, -1.25), (E4M3, 464, 448), (E4M3, 447, 448),
        (E4M3, 2**-10, 0), (E4M3, 1.5 * 2**-9, 2**-8), (E4M3, 2**-10 * 1.001, 2**-9), (E4M3, -(2**-11), -0.0),
        (E5M2, 1.125, 1), (E5M2, 1.375, 1.5), (E5M2, 61439, 57344), (E5M2, 61440, inf), (E5M2, -1e9, -inf),
        (E5M2, 2**-17, 0), (E5M2, 3 * 2**-17, 2**-15), (BF16, 3.4e38, inf), (BF16, 3.39e38, 255 * 2**120),
        (TF32, 1 + 2**-11, 1), (TF32, 1 + 3 * 2**-11, 1 + 2**-9), (TF32, 1 + 2**-10, 1 + 2**-10),
        (FP16, 65519, 65504), (FP16, 65520, inf), (WANG16, 1 + 2**-10, 1), (WANG16, 4.29e9, 4290772992.0),
        (E5M2, inf, inf), (E5M2, 1e300, inf), (E5M2, 5e-324, 0), (BF16, 1e-45, 0),
    ],
)  # fmt: skip
def test_nearest_by_hand(format, x, near):
    got = rounded(np.array([x]), format)
    assert got.tobytes() == np.array([near], float).tobytes()


def test_overflow_is_nan_without_infinities_and_saturates_where_asked():
    x = np.array([465.0, -1e9, inf, -inf, nan])
    assert np.isnan(rounded(x, E4M3)).all()
    assert rounded(x, E4M3, saturate=True)[:4].tolist() == [448, -448, 448, -448]
    assert rounded(x, E5M2, saturate=True)[:4].tolist() == [448, -57344, 57344, -57344]
    assert np.isnan(rounded(x, E5M2, saturate=True)[4])


def test_stochastic_by_hand():
    x = np.array([1.1, 1.1, -1.1, -1.1, 1.125, 470, 470, 2**-11, 2**-11, inf, nan])
    u = np.array([0.1, 0.3, 0.1, 0.3, 0.99, 0.3, 0.32, 0.7, 0.75, 0.5, 0.5])
    got = rounded(x, E4M3, u, saturate=True)
    assert got[:-1].tolist() == [1, 1.125, -1, -1.125, 1.125, 448, 448, 0, 2**-9, 448]
    got = rounded(x, E4M3, u)
    assert got[5] == 448  # 470 is 0.6875 of the way to 480, which is no number
    assert np.isnan(got[[6, 9, 10]]).all()


def test_the_type_stays_and_halves_become_float32():
    for given_type, type_ in ((np.float64, np.float64), (F, F), (np.float16, F), (int, np.float64)):
        assert rounded(np.array([1, 2], given_type), E4M3).dtype == type_
    assert rounded([], E5M2).shape == (0,)
    assert rounded(1.3, E5M2) == 1.25


@EACH
@given(st.floats(), st.floats(0, 1, exclude_max=True, width=32))
@settings(max_examples=200)
def test_float64_as_by_the_definition(format, value, u):
    near, up = rounded(np.array([value]), format), rounded(np.array([value]), format, np.array([u]))
    np.testing.assert_array_equal(near, [exact(value, format)])
    np.testing.assert_array_equal(up, [exact(value, format, Fraction(u))])


@EACH
@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=20))
@settings(max_examples=200)
def test_float32_patterns_as_by_the_definition(format, patterns):
    x = np.array(patterns, np.uint32).view(F)
    with np.errstate(invalid="ignore"):  # signalling NaN
        wanted = np.array([exact(float(value), format) for value in x])
    np.testing.assert_array_equal(rounded(x, format).astype(float), wanted)


@EACH
def test_every_code_is_a_number_and_every_number_its_code(format):
    codes = np.arange(2**format.bits, dtype=np.uint32)
    values = decode(codes, format)
    numbers = ~np.isnan(values)
    assert (encode(values, format)[numbers] == codes[numbers]).all()
    np.testing.assert_array_equal(rounded(values, format), values)
    finite = values[np.isfinite(values)]
    assert finite.max() == format.largest
    assert finite[finite > 0].min() == format.smallest
    assert np.isnan(decode(encode(values[~numbers], format), format)).all()
    assert (~numbers).sum() == (2 ** (format.mantissa_bits + 1) - 2 if format.infinities else 2)


def test_codes_by_hand():
    x = np.array([1, -1, 448, 2**-9, -0.0, 1.1, nan, -nan])
    assert encode(x, E4M3).tolist() == [0x38, 0xB8, 0x7E, 1, 0x80, 0x39, 0x7F, 0xFF]
    assert encode(x, E5M2).tolist() == [0x3C, 0xBC, 0x5F, 0x18, 0x80, 0x3C, 0x7E, 0xFE]
    assert encode(np.array([1, inf, -inf, nan]), BF16).tolist() == [0x3F80, 0x7F80, 0xFF80, 0x7FC0]
    assert [encode(x, format).dtype for format in (E4M3, BF16, TF32)] == [np.uint8, np.uint16, np.uint32]
    assert encode(np.array([1e9]), E4M3).tolist() == [0x7F]
    assert encode(np.array([1e9]), E4M3, saturate=True).tolist() == [0x7E]


@EACH
@given(st.lists(st.floats(allow_nan=False), min_size=2, max_size=20), st.floats(0, 1, exclude_max=True))
def test_rounding_keeps_the_order(format, values, u):
    x = np.sort(np.array(values))
    near, up = rounded(x, format, saturate=True), rounded(x, format, np.array([u]), saturate=True)
    assert (np.diff(near) >= 0).all()
    assert (np.diff(up) >= 0).all()


@EACH
@given(st.floats(-1, 1))
def test_stochastic_is_unbiased_within_a_part_of_a_step(format, share):
    n = 64
    value = share * format.largest
    got = rounded(np.full(n, value), format, (np.arange(n) + 0.5) / n)
    step = max(2.0 ** (np.frexp(abs(value))[1] - 1 - format.mantissa_bits), format.smallest)
    assert abs((got / step).mean() - value / step) <= 1 / n + 1e-9


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=20))
def test_bf16_and_fp16_are_what_the_kernels_cast_to(patterns):
    x = np.array(patterns, np.uint32).view(F)
    numbers = ~np.isnan(x)
    assert (encode(x, BF16) == bf16_of(x))[numbers].all()
    assert (encode(x, FP16) == fp16_of(x).view(np.uint16))[numbers].all()
