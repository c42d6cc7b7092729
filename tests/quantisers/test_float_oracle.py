"""FP8 and BF16 against ml_dtypes, an independent implementation: all codes, and random FP32 patterns."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.quantisers.codes import decode, encode
from perfmodel.quantisers.floats import BF16, E4M3, E5M2, FloatFormat, rounded

ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes is the oracle")

PAIRS = [
    (E4M3, ml_dtypes.float8_e4m3fn), (E5M2, ml_dtypes.float8_e5m2), (BF16, ml_dtypes.bfloat16),
    (FloatFormat("e4m3 as IEEE", 4, 3), ml_dtypes.float8_e4m3), (FloatFormat("e3m4", 3, 4), ml_dtypes.float8_e3m4),
]  # fmt: skip
EACH = pytest.mark.parametrize(("format", "theirs"), PAIRS, ids=[format.name for format, _ in PAIRS])
# Random patterns are mostly beyond FP8: exponents around its range are as likely.
PATTERNS = st.integers(0, 2**32 - 1) | st.builds(
    lambda sign, exponent, mantissa: sign << 31 | exponent << 23 | mantissa,
    st.integers(0, 1), st.integers(105, 145), st.integers(0, 2**23 - 1) | st.integers(0, 15).map(lambda m: m << 19),
)  # fmt: skip


@EACH
def test_all_codes_decode_as_theirs(format, theirs):
    codes = np.arange(2**format.bits).astype(np.uint8 if format.bits == 8 else np.uint16)
    np.testing.assert_array_equal(decode(codes, format), codes.view(theirs).astype(np.float32))


@EACH
@given(st.lists(PATTERNS, min_size=1, max_size=30))
@settings(max_examples=700)
def test_float32_rounds_as_theirs(format, theirs, patterns):
    x = np.array(patterns, np.uint32).view(np.float32)
    with np.errstate(all="ignore"):
        wanted = x.astype(theirs)
    ours = rounded(x, format)
    np.testing.assert_array_equal(ours, wanted.astype(np.float32))
    numbers = ~np.isnan(ours)
    assert (encode(x, format)[numbers] == wanted.view(f"u{wanted.dtype.itemsize}")[numbers]).all()
    assert (np.signbit(ours) == np.signbit(x))[numbers].all()


def test_half_a_million_patterns_round_as_theirs():
    x = np.random.default_rng(6).integers(0, 2**32, 500_000, np.uint32).view(np.float32)
    for format, theirs in PAIRS:
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(rounded(x, format), x.astype(theirs).astype(np.float32))
