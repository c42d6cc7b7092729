"""Numbers of logs: what Python takes beyond plain ASCII is refused, and nothing turns into another number."""

from math import inf, isnan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.traces.logs.numbers import looks_like_number, number, whole


def fault(text, comma=False):
    with pytest.raises(InputError) as error:
        number(text, "f:1:2", "column 'x'", comma)
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0.0), ("-1.5", -1.5), ("+.5", 0.5), ("3.", 3.0), ("1e-3", 0.001), ("7E+02", 700.0), ("1e-999", 0.0)],
)
def test_numbers_are_read(text, value):
    assert number(text, "f:1:1", "x") == value
    assert looks_like_number(text)


@pytest.mark.parametrize(("text", "value"), [("inf", inf), ("-Inf", -inf), ("+INFINITY", inf), ("-infinity", -inf)])
def test_infinities_are_numbers(text, value):
    assert number(text, "f:1:1", "x") == value


@pytest.mark.parametrize("text", ["nan", "NaN", "-nan", "+NAN"])
def test_nan_is_a_number(text):
    assert isnan(number(text, "f:1:1", "x"))


@pytest.mark.parametrize(
    "text",
    ["1_0", "１２", "١٢", "²", "0x1p3", " 1", "1 ", "1e", "e5", ".", "", "--1", "1.2.3", "1,2,3", "True", "1e99999"],
)
def test_what_is_no_number_is_refused(text):
    assert fault(text).startswith("E1207 f:1:2 column 'x': ")


def test_a_number_may_be_too_large():
    assert fault("1e301") == "E1207 f:1:2 column 'x': '1e301' is too large. At most 1e+300 is read."
    assert "too large" in fault("-1e999")
    assert "too large" in fault("9" * 400)


def test_decimal_commas_are_read_where_the_user_says_so():
    assert fault("0,93") == (
        "E1207 f:1:2 column 'x': '0,93' is not a number (decimal comma). Use --decimal comma or replace ',' by '.'."
    )
    assert number("0,93", "f:1:1", "x", comma=True) == 0.93
    assert number("-,5e1", "f:1:1", "x", comma=True) == -5
    assert number("7", "f:1:1", "x", comma=True) == 7
    assert "a point where decimals follow a comma" in fault("1.234", comma=True)  # 1234 in such a file
    assert "a point" in fault("1.234,5", comma=True)
    assert "is not a number" in fault("1,2,3", comma=True)


def test_control_characters_are_escaped():
    assert r"'\x1b[31m' is not a number" in fault("\x1b[31m")


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("007", 7), ("12", 12)])
def test_whole_numbers_are_digits_alone(text, value):
    assert whole(text, "f:1:1", "x", 12) == value


@pytest.mark.parametrize("text", ["13", "-1", "+1", "1.0", "1_0", "²", "１", "", " 1", "9" * 5000])
def test_what_is_no_whole_number_is_refused(text):
    with pytest.raises(InputError, match=r"E1207 f:1:1 x: .* is not a whole number from 0 to 12"):
        whole(text, "f:1:1", "x", 12)


@settings(max_examples=500)
@given(st.text(st.sampled_from("0123456789.,+-eE_naifNI ٣\x00")))
def test_any_text_is_a_number_or_an_error(text):
    for comma in (False, True):
        try:
            found = number(text, "f:1:1", "x", comma)
        except InputError:
            continue
        assert looks_like_number(text)
        plain = float(text.replace(",", ".") if comma else text)
        assert found == plain or isnan(found) == isnan(plain)


@settings(max_examples=500)
@given(st.floats(-1e300, 1e300))
def test_numbers_round_trip(value):
    assert number(repr(value), "f:1:1", "x") == value
    assert number(repr(value).replace(".", ","), "f:1:1", "x", comma=True) == value


def test_many_digits_cost_no_more_than_their_number():
    """A million digits and a letter: a second look at each digit would never end."""
    assert not looks_like_number("1" * 10**6 + "x")
    assert not looks_like_number("1" * 10**6 + "," + "1" * 10**6 + "x")
