"""Which name of a log is which field."""

import pytest

from perfmodel.errors import InputError
from perfmodel.traces.logs.given import FIELDS, Given
from perfmodel.traces.logs.keys import ALIASES, Keys


def fields(*names, without=(), usual=None, **given):
    keys = Keys(Given(**given), frozenset(without), usual or {})
    keys.see(names)
    return keys.fields()


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("epoch", "epoch"), ("Epoch", "epoch"), (" current epoch ", "epoch"), ("train/epoch", "epoch"),
        ("trainer/global_step", "step"), ("iter", "step"), ("Iteration", "step"), ("iterations", "iterations"),
        ("precision", "precision"), ("precision/bits", "precision"), ("Num Bits", "precision"), ("dtype", "precision"),
        ("precision_fprop", "fprop"), ("wgrad", "wgrad"), ("precision_master", "master"),
        ("LR", "lr"), ("Learning Rate", "lr"), ("learning-rate", "lr"), ("optim/0/lr", "lr"),
        ("lr-SGD", "lr"), ("lr-Adam-1", "lr"), ("lr-SGD/pg2", "lr"), ("lr-Adam-1/pg1", "lr"),
        ("MeanGD", "gd_mean"), ("stats/MaxGD", "gd_max"), ("gd_ratio", "gd_ratio"),
    ],
)  # fmt: skip
def test_names_that_people_use(name, field):
    assert fields(name) == {name: field}


@pytest.mark.parametrize(
    "name",
    [
        "val/precision", "train_precision", "precision_score", "lr-SGD-momentum", "lr-SGD/pgx", "epoch/x", "lrs", "",
        "stats/gd_ratio", "/", "fprop/x", "x/fprop", "time/iterations", "/lr",
    ],
)  # fmt: skip
def test_names_that_mean_something_else(name):
    assert fields(name) == {}


def test_of_several_names_the_preferred_one_is_the_field():
    assert fields("step", "iter", "global_step", "iteration") == {"global_step": "step"}
    assert fields("bits", "precision") == {"precision": "precision"}
    assert fields("train/lr", "lr-SGD", "lr") == {"lr": "lr"}
    assert fields("train/lr", "lr-SGD") == {"lr-SGD": "lr"}
    assert fields("lr-SGD", "lr-Adam") == {"lr-SGD": "lr"}  # the first
    assert fields("Epoch", "epoch") == {"Epoch": "epoch"}


def test_what_the_user_maps_is_the_field_and_nothing_else_is():
    assert fields("step", "iter", "x", keys={"step": "iter"}) == {"iter": "step"}
    assert fields("lr", "rate", keys={"lr": "rate"}) == {"rate": "lr"}
    assert fields("lr", keys={"lr": "rate"}) == {}
    assert fields("epoch", "e", keys={"step": "epoch"}) == {"epoch": "step"}
    assert fields("Bits", keys={"precision": "bits"}) == {}  # exactly as the log has it


def test_names_of_the_format_come_before_those_of_people():
    assert fields("_step", "step", usual={"step": "_step"}) == {"_step": "step"}
    assert fields("_step", "step", usual={"step": "_step"}, keys={"step": "step"}) == {"step": "step"}
    assert fields("_step", usual={"step": "_step"}, without={"step"}) == {}


def test_some_fields_are_not_looked_for():
    assert fields("step", "lr", without={"step"}) == {"lr": "lr"}
    assert fields("step", without={"step"}, keys={"step": "step"}) == {"step": "step"}


def test_where_the_user_says_the_precision_no_name_is_one():
    assert fields("precision", "fprop", "precision_master", "lr", precision="fp16") == {"lr": "lr"}


def test_a_name_that_was_mapped_must_be_there():
    keys = Keys(Given(keys={"lr": "rate"}))
    keys.check_mapped(["a", "rate"], "f.csv")
    with pytest.raises(InputError) as error:
        keys.check_mapped(["a", "b\x1b"], "f.csv")
    assert str(error.value) == (
        r"E1320 f.csv: there is no 'rate' for lr (the learning rate); found 'a', 'b\x1b'. Correct --map lr=NAME."
    )
    with pytest.raises(InputError, match="found nothing"):
        keys.check_mapped([], "f.csv")
    with pytest.raises(InputError, match="'29' …"):
        keys.check_mapped(map(str, range(40)), "f.csv")


def test_every_field_has_usual_names_and_no_two_the_same():
    assert set(ALIASES) == set(FIELDS)
    names = [name for aliases in ALIASES.values() for name in aliases]
    assert len(set(names)) == len(names)
    for field, aliases in ALIASES.items():
        assert [fields(name) for name in aliases] == [{name: field} for name in aliases]
