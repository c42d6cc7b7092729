"""Quantities as people read them."""

import re
from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.report.text import (
    NOT_KNOWN,
    duration,
    milliseconds,
    percent,
    ratio,
    rounded_interval,
    signed_percent,
    span,
    supported,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (84000, "23:20 h"), (3145, "52 min 25 s"), (108780, "30:13 h"), (477960, "132:46 h"),
        (3600, "1:00 h"), (3570, "1:00 h"), (3569, "59 min 29 s"), (3569.9, "59 min 30 s"),
        (60, "1 min 00 s"), (61.5, "1 min 02 s"), (119.6, "2 min 00 s"),
        (59.94, "59.9 s"), (12.34, "12.3 s"), (7.68, "7.68 s"), (0.00123, "0.00123 s"), (0, "0 s"),
    ],
)  # fmt: skip
def test_durations_carry_their_unit(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("show", "low", "high", "text"),
    [
        (duration, 84000, 84010, "23:20 h"), (duration, 3145, 84000, "52 min 25 s … 23:20 h"),
        (ratio, 1.30, 1.20, "1.30x … 1.20x"),  # in the order given
        (percent, 0.1, 0.25, "10.0 % … 25.0 %"), (signed_percent, -0.446, 0.0, "-44.6 % … +0.0 %"),
        (str, 48, 48, "48"),
    ],
)  # fmt: skip
def test_ranges(show, low, high, text):
    assert span(show, low, high) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.0999, "99.9"), (0.1449, "145"), (0.0012345, "1.23"), (0.0, "0")])
def test_milliseconds(seconds, text):
    assert milliseconds(seconds) == text


def test_no_negative_zero():
    assert signed_percent(-0.0) == "+0.0 %"


H, M = 3600, 60


@pytest.mark.parametrize(
    ("show", "low", "value", "high", "texts"),
    [
        # half the width is 0.107 s, 0.0278 s, 1.61 ms, 0.99 ms (reads 0.99), 0.00465 ms, nothing
        (milliseconds, 0.232, 0.308, 0.447, ("230", "310", "450")),
        (milliseconds, 0.0410, 0.0617, 0.0967, ("41", "62", "97")),
        (milliseconds, 0.00487, 0.00622, 0.0081, ("4.9", "6.2", "8.1")),
        (milliseconds, 0.00903, 0.00951, 0.01101, ("9.03", "9.51", "11.0")),  # three digits at most
        (milliseconds, 1.21e-5, 1.61e-5, 2.14e-5, ("0.0121", "0.0161", "0.0214")),
        (milliseconds, 0.1449, 0.1449, 0.1449, ("145", "145", "145")),
        (milliseconds, 9.9e-8, 1.25e-7, 2.1e-7, ("0.000099", "0.000125", "0.000210")),
        (milliseconds, 2.1e-10, 3.2e-10, 7.7e-10, ("2.1e-07", "3.2e-07", "7.7e-07")),
        (milliseconds, 1231.0, 2345.6, 4567.0, ("1200000", "2300000", "4600000")),
        (ratio, 1.21, 1.38, 1.57, ("1.21x", "1.38x", "1.57x")), (ratio, 1.87, 2.83, 4.31, ("1.9x", "2.8x", "4.3x")),
        (ratio, 1.004, 1.005, 1.006, ("1.00x", "1.00x", "1.01x")),
        (ratio, 231.0, 345.0, 612.0, ("230x", "340x", "610x")),
        # half the width is 7 h 38 min, of which a tenth is 45 min; 50 h; 20 h 1 min; 6 min; 200 h; 20,000 h
        (duration, 18 * H + 240, 24 * H + 600, 33 * H + 1200, ("18:00 h", "24:00 h", "33:30 h")),
        (duration, 50 * H, 77 * H, 150 * H, ("50:00 h", "75:00 h", "150:00 h")),
        (duration, 59 * H, 77 * H, 99 * H + 120, ("59:00 h", "77:00 h", "99:00 h")),
        (duration, 9 * H + 62, 9 * H + 400, 9 * H + 782, ("9:01 h", "9:07 h", "9:13 h")),
        (duration, 201 * H, 333 * H, 601 * H, ("200:00 h", "330:00 h", "600:00 h")),
        (duration, 10007 * H, 33333 * H, 50007 * H, ("10000:00 h", "33000:00 h", "50000:00 h")),
        # 10 min 20 s; 100 s; 12 s; 40 min
        (duration, 50 * M, 61 * M + 9, 70 * M + 40, ("50 min", "1:01 h", "1:11 h")),
        (duration, 101, 222, 301, ("1 min 40 s", "3 min 40 s", "5 min 00 s")),
        (duration, 52, 61, 76, ("52 s", "1 min 01 s", "1 min 16 s")),
        (duration, 20 * M, 58 * M, 100 * M, ("20 min", "58 min", "1:40 h")),
        (duration, 1.234, 2.345, 3.456, ("1.2 s", "2.3 s", "3.5 s")),
        (duration, 12.34, 12.345, 12.36, ("12.3 s",) * 2 + ("12.4 s",)),
    ],
)  # fmt: skip
def test_two_digits_of_half_the_width(show, low, value, high, texts):
    about = supported(show, low, high)
    assert (about(low), about(value), about(high)) == texts
    assert rounded_interval(show, low, high) == f"{texts[0]} … {texts[2]}"


@pytest.mark.parametrize(
    ("show", "low", "value", "high", "text"),
    [
        (milliseconds, 0.001, 0.0234, 1.0, "20"), (milliseconds, 0.001, 0.0145, 1.0, "14"),
        (ratio, 0.3, 3.4, 40.0, "3x"),
        (duration, 2 * H, 26 * H, 99 * H, "30:00 h"), (duration, 2 * H, 7 * H + 120, 99 * H, "7:00 h"),
        (ratio, 0.0, 0.77, 1.0, "0.8x"),
    ],
)  # fmt: skip
def test_beyond_a_factor_of_ten(show, low, value, high, text):
    assert supported(show, low, high)(value) == text
    assert rounded_interval(show, low, high) == NOT_KNOWN


def test_what_is_not_known_is_shown_as_ever():
    assert supported(ratio, nan, nan) is ratio
    assert rounded_interval(ratio, nan, nan) is None
    assert rounded_interval(milliseconds, 0.0, 0.0) == "0 … 0"


UNITS = {"h": 3600.0, "min": 60.0, "s": 1.0, "x": 1.0, "": 1.0}


def number(text):
    """What a text says, in seconds or as a plain number."""
    if found := re.fullmatch(r"(\d+):(\d\d) h", text):
        return int(found[1]) * 3600 + int(found[2]) * 60
    parts = re.findall(r"([0-9.e+-]+)\s*(h|min|s|x|)", text)
    return sum(float(value) * UNITS[unit] for value, unit in parts)


@given(
    st.sampled_from([(milliseconds, 1e3), (ratio, 1.0), (duration, 1.0)]), st.floats(1e-6, 1e6), st.floats(1.0, 30.0),
    st.floats(0.0, 1.0),
)  # fmt: skip
def test_what_is_printed_stays_in_order_and_near(shown, low, factor, part):
    show, scale = shown
    high = low * factor
    value = min(low + part * (high - low), high)
    about = supported(show, low, high)
    if rounded_interval(show, low, high) == NOT_KNOWN:
        assert factor > 9.99
        return
    found = [number(about(one)) for one in (low, value, high)]
    assert found == sorted(found)
    assert found[0] > 0 or show is ratio  # two decimals may be none
    for read, one in zip(found, (low, value, high), strict=True):
        usual = abs(number(show(one)) - one * scale)
        assert abs(read - one * scale) <= max((high - low) * scale / 40 * 1.01, usual) * (1 + 1e-6)
