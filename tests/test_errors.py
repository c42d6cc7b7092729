"""The one-line form of errors, whatever the offending text holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.errors import (
    InputError,
    OutputError,
    PerfModelError,
    Problem,
    UnknownName,
    Unsupported,
    printable,
    quote,
    unknown_name,
)


def test_a_line_is_code_place_found_fix():
    problem = Problem("E1207", "train.csv:413:9", "'97,1' is not a number.", "Replace ',' by '.'.")
    assert str(problem) == "E1207 train.csv:413:9 '97,1' is not a number. Replace ',' by '.'."


def test_empty_parts_leave_no_double_space():
    assert str(Problem("E1201", "", "does not exist.", "")) == "E1201 does not exist."
    assert InputError.at("E1201", "a.csv", "does not exist.").lines() == ["E1201 a.csv does not exist."]


@pytest.mark.parametrize("kind", [InputError, UnknownName, Unsupported, OutputError])
def test_every_kind_is_caught_as_one(kind):
    with pytest.raises(PerfModelError) as caught:
        raise kind.at("E1", "here", "is wrong.", "Mend it.")
    assert type(caught.value) is kind
    assert str(caught.value) == "E1 here is wrong. Mend it."


@pytest.mark.parametrize(("count", "last"), [(1, "E0"), (20, "E19"), (21, "… 1 more"), (57, "… 37 more")])
def test_twenty_problems_are_printed_and_the_rest_counted(count, last):
    error = InputError(Problem(f"E{i}", "", "", "") for i in range(count))
    lines = error.lines()
    assert len(error.problems) == count  # all are kept
    assert lines[-1] == last
    assert len(lines) == min(count, 21)
    assert str(error).splitlines() == lines


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a\x1b[31mb", "a\\x1b[31mb"),  # a terminal colour
        ("a\nE9999 forged", "a\\nE9999 forged"),
        ("a\rb\tc\0", "a\\rb\\tc\\x00"),
        ("\u202egnp.exe", "\\u202egnp.exe"),  # right-to-left override
        ("a\u200bb\ufeff", "a\\u200bb\\ufeff"),  # zero width
        ("\udc80", "\\udc80"),  # a byte of a file name that is not UTF-8
        ("\x9b2J", "\\x9b2J"),  # C1 control
        ("naïve ×2 – ok", "naïve ×2 – ok"),
    ],
)
def test_control_characters_are_escaped(text, escaped):
    assert printable(text) == escaped
    assert str(Problem("E1", text, "", "")) == f"E1 {escaped}"
    assert quote(text).isprintable()


@given(st.text())
def test_a_line_is_always_printable(text):
    line = str(Problem("E1", text, text, text))
    assert line.isprintable()
    assert printable(line) == line


@given(st.text() | st.integers() | st.floats() | st.lists(st.text()), st.integers(2, 90))
def test_quote_is_printable_and_no_longer_than_its_limit(value, limit):
    text = quote(value, limit)
    assert text.isprintable()
    assert len(text) <= limit


def test_quote_cuts_at_80_characters():
    assert quote("a" * 78) == "'" + "a" * 78 + "'"
    assert quote("a" * 79) == "'" + "a" * 78 + "…"


def nested(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


def test_quote_survives_deep_nesting():
    assert quote(nested(200_000)) == "a deeply nested list"


@pytest.mark.parametrize("value", [1 << 20_000, [1 << 20_000], {"a": (1, -(1 << 20_000))}], ids=["int", "list", "dict"])
def test_quote_survives_numbers_of_thousands_of_digits(value):
    assert quote(value) == f"{type(value).__name__} of thousands of digits"  # repr() refuses more than 4300


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("alex-net", "Did you mean alexnet?"),
        ("ALEXNET", "Did you mean alexnet?"),
        ("resnet1", "Did you mean resnet18 or resnet50?"),
        ("bert", "Known: alexnet, resnet18, resnet50."),
        ("", "Known: alexnet, resnet18, resnet50."),
        (None, "Known: alexnet, resnet18, resnet50."),
    ],
)
def test_unknown_name_offers_the_nearest_else_all(name, fix):
    error = unknown_name("E1002", "network", name, ["alexnet", "resnet18", "resnet50"])
    assert isinstance(error, UnknownName)
    assert error.lines() == [f"E1002 network {name!r} is not known. {fix}"]


def test_unknown_name_lists_at_most_40_names():
    line = str(unknown_name("E1002", "network", "?", (f"n{i:02d}" for i in range(43))))
    assert line.endswith("n38, n39 … (43 in all).")


def test_unknown_name_of_megabytes_is_cut():
    line = str(unknown_name("E1002", "network", "x" * 5_000_000, ["alexnet"]))
    assert line.startswith("E1002 network 'xxx")
    assert len(line) < 200


def test_a_beginning_of_names_proposes_them():
    line = str(unknown_name("E1004", "format", "FP8", ["int8", "fp8_e5m2", "fp8_e4m3", "fp16"]))
    assert line == "E1004 format 'FP8' is not known. Did you mean fp8_e5m2 or fp8_e4m3?"
    assert "Did you mean" not in str(unknown_name("E1004", "format", "", ["int8"]))
