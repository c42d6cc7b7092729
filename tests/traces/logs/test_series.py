"""Series: restarts, repeated steps, bounds, and rows by step."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.traces.logs import series as module
from perfmodel.traces.logs.series import Series


def series_of(*values):
    series = Series("run.log:")
    for tag, step, value in values:
        (series.add_text if isinstance(value, str) else series.add)(tag, step, value)
    return series


def rows_of(*values):
    series = series_of(*values)
    return list(series.rows(series.tags()))


def test_rows_hold_the_values_of_a_step():
    series = series_of(("loss", 3, 0.7), ("bits", 3, 8.0), ("loss", 5, 0.5), ("bits", 9, 16.0), ("loss", 11, 0.25))
    assert list(series.rows(["loss", "bits"])) == [
        (3, {"loss": 0.7, "bits": 8.0}), (5, {"loss": 0.5}), (9, {"bits": 16.0}), (11, {"loss": 0.25}),
    ]  # fmt: skip
    assert list(series.rows(["bits"])) == [(3, {"bits": 8.0}), (9, {"bits": 16.0})]
    assert series.tags() == {"loss": 3, "bits": 2}
    assert list(series.steps("loss")) == [3, 5, 11]
    assert series.corrections() == []


def test_unknown_tags_have_no_rows():
    series = series_of(("loss", 3, 0.7))
    assert list(series.rows(["acc"])) == list(series.rows([])) == list(series.steps("acc")) == []


def test_a_tag_asked_for_twice_is_one():
    assert list(series_of(("loss", 0, 7.0)).rows(["loss", "loss"])) == [(0, {"loss": 7.0})]


def test_a_step_that_goes_back_replaces_what_follows():
    series = series_of(
        *(("loss", step, float(step)) for step in (10, 20, 31, 40)), ("loss", 31, 7.0), ("loss", 50, 5.0)
    )
    assert list(series.rows(["loss"])) == [
        (10, {"loss": 10.0}), (20, {"loss": 20.0}), (31, {"loss": 7.0}), (50, {"loss": 5.0}),
    ]  # fmt: skip
    assert series.corrections() == ["restart: 'loss' went back from step 40 to 31; steps 31 to 40 were replaced"]


def test_a_restart_before_all_steps_replaces_them_all():
    assert rows_of(("loss", 5, 0.5), ("loss", 7, 0.7), ("loss", -3, 0.3)) == [(-3, {"loss": 0.3})]


def test_tags_that_go_back_alike_share_a_line():
    values = [(tag, step, 1.0) for step in (3, 7, 5) for tag in ("loss", "lr", "acc")]
    assert series_of(*values).corrections() == [
        "restart: 'loss' and 2 more went back from step 7 to 5; steps 5 to 7 were replaced"
    ]


def test_the_same_value_at_the_same_step_is_dropped_quietly():
    series = series_of(("loss", 3, 0.7), ("loss", 3, 0.7), ("acc", 3, math.nan), ("acc", 3, math.nan))
    assert series.tags() == {"loss": 1, "acc": 1}
    assert series.corrections() == []


@pytest.mark.parametrize(("first", "second"), [(0.7, 0.5), (math.nan, 0.5), (0.5, math.inf)])
def test_another_value_at_the_same_step_replaces(first, second):
    series = series_of(("loss", 3, first), ("loss", 3, second))
    assert list(series.rows(["loss"])) == [(3, {"loss": second})]
    what = "another value at the same step once, first at step 3; the last was kept"
    assert series.corrections() == [f"same step: 'loss' had {what}"]


def test_nan_replaces_a_number():
    [(step, row)] = rows_of(("loss", 3, 0.5), ("loss", 3, math.nan))
    assert step == 3
    assert math.isnan(row["loss"])


def test_values_that_are_not_finite_are_kept():
    (_, nan), (_, inf), (_, minus) = rows_of(("loss", 1, math.nan), ("loss", 2, math.inf), ("loss", 3, -math.inf))
    assert math.isnan(nan["loss"])
    assert (inf["loss"], minus["loss"]) == (math.inf, -math.inf)


def test_texts_are_values_and_restart_too():
    series = series_of(("format", 0, "fp16"), ("loss", 0, 7.0), ("format", 9, "bf16"), ("format", 7, "tf32"))
    assert list(series.rows(["format", "loss"])) == [(0, {"format": "fp16", "loss": 7.0}), (7, {"format": "tf32"})]
    assert series.corrections() == ["restart: 'format' went back from step 9 to 7; steps 7 to 9 were replaced"]
    assert series.tags() == {"loss": 1, "format": 2}


def test_a_number_wins_over_a_text_of_its_tag_and_step():
    series = series_of(("bits", 3, "eight"), ("bits", 3, 8.0), ("bits", 5, "nine"))
    assert list(series.rows(["bits"])) == [(3, {"bits": 8.0}), (5, {"bits": "nine"})]
    assert list(series.steps("bits")) == [3, 5]
    assert series.tags() == {"bits": 3}


def test_long_texts_are_left_out():
    series = series_of(("config", 3, "x" * 1000), ("config", 5, "x" * 1001), ("config", 7, "x" * 1001))
    assert series.tags() == {"config": 1}
    assert series.corrections() == [
        "long text: 'config' had a text of more than 1000 characters 2 times, first at step 5; left out"
    ]
    assert series_of(("config", 5, "x" * 1001)).tags() == {}


def test_twenty_corrections_and_how_many_more():
    steps = [step for i in range(27) for step in (100 + i, i)]
    lines = series_of(*(("loss", step, 1.0) for step in steps)).corrections()
    assert lines[0] == "restart: 'loss' went back from step 100 to 0; steps 0 to 100 were replaced"
    assert len(lines) == 21
    assert lines[20] == "… 7 more"


def test_restarts_without_end_are_counted(monkeypatch):
    monkeypatch.setattr(module, "MOST_RESTARTS", 3)
    steps = [step for i in range(25) for step in (100 + i, i)]
    lines = series_of(*(("loss", step, 1.0) for step in steps)).corrections()
    assert len(lines) == 4
    assert lines[3] == "… 22 more"


def test_notes_come_first():
    series = series_of(("loss", 5, 1.0), ("loss", 3, 1.0))
    series.note("torn tail")
    assert series.corrections()[0] == "torn tail"
    assert len(series.corrections()) == 2


@pytest.mark.parametrize(
    ("bound", "values"),
    [
        ("MOST_TAGS", [("a", 0, 1.0), ("b", 0, 1.0), ("c", 0, "x"), ("d", 0, 1.0)]),
        ("MOST_VALUES", [("a", 0, 1.0), ("b", 0, 1.0), ("a", 5, 1.0), ("a", 7, 1.0)]),
        ("MOST_TEXTS", [("a", 0, "x"), ("b", 0, "x"), ("a", 5, "x"), ("a", 7, "x")]),
        ("MOST_CHARACTERS", [("a", 0, "xx"), ("a", 5, "y"), ("a", 7, "z")]),
        ("LONGEST_TAG", [("abc", 0, 1.0), ("abcd", 0, 1.0)]),
    ],
)
def test_bounds(monkeypatch, bound, values):
    monkeypatch.setattr(module, bound, 3)
    series_of(*values[:-1])
    with pytest.raises(InputError) as caught:
        series_of(*values)
    assert str(caught.value).startswith("E1340 run.log: ")


def test_what_a_restart_replaces_makes_room(monkeypatch):
    monkeypatch.setattr(module, "MOST_VALUES", 3)
    monkeypatch.setattr(module, "MOST_TEXTS", 3)
    steps = (1, 2, 3, 2, 3, 1, 2, 3)
    series = series_of(*(("a", step, 1.0) for step in steps), *(("b", step, "x") for step in steps))
    assert series.tags() == {"a": 3, "b": 3}


values = st.lists(st.tuples(st.sampled_from("abc"), st.integers(-4, 9), st.sampled_from([1.0, 2.0, math.inf])))


@settings(max_examples=500)
@given(values)
def test_rows_are_those_of_a_plain_dictionary(values):
    expected = {}
    for tag, step, value in values:
        kept = {key: one for key, one in expected.items() if key[0] != tag or key[1] < step}
        expected = kept | {(tag, step): value}
    assert {(tag, step): value for step, row in rows_of(*values) for tag, value in row.items()} == expected
    steps = [step for step, _ in rows_of(*values)]
    assert steps == sorted(set(steps))
