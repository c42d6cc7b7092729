"""Quantities as people read them."""

import pytest

from perfmodel.report.text import duration, milliseconds, percent, ratio, signed_percent, span


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
