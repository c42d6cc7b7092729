"""What the user says of a log: every slip is one line."""

import pytest

from perfmodel.errors import PerfModelError
from perfmodel.traces.logs.given import FIELDS, Given


def fault(**given):
    with pytest.raises(PerfModelError) as error:
        Given(**given)
    return str(error.value)


def test_nothing_need_be_said():
    given = Given()
    assert (given.samples, given.keys, given.on_duplicate, given.decimal) == (None, {}, "error", "point")


def test_all_may_be_said():
    given = Given(
        "net", "data", "muppet", samples=7, batch=3, keys={"step": "iter", "lr": "rate/0"}, formats={"lo": "half"},
        bits="dfx", step_is="iteration", epoch_is="progress", on_duplicate="last", decimal="comma",
        reader="csv", run="a",
    )  # fmt: skip
    assert given.keys == {"step": "iter", "lr": "rate/0"}
    assert Given(precision="fprop=fp16,dgrad=fp16,wgrad=fp32").precision == "fprop=fp16,dgrad=fp16,wgrad=fp32"


def test_tables_are_copied():
    keys = {"lr": "rate"}
    given = Given(keys=keys)
    keys["nonsense"] = "x"
    assert given.keys == {"lr": "rate"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"samples": 0}, "E1307 samples: 0 is not between 1 and 1000000000000."),
        ({"samples": True}, "E1306 samples: True is not a whole number."),
        ({"batch": 2.5}, "E1306 batch: 2.5 is not a whole number."),
        ({"batch": 10**7 + 1}, "E1307 batch: 10000001 is not between 1 and 10000000."),
        ({"largest_bytes": 0}, "E1307 largest_bytes: 0 is not between"),
        ({"network": " "}, "E1306 network: ' ' is not a text that is not blank."),
        ({"run": 3}, "E1306 run: 3 is not a text"),
        ({"precision": 16}, "E1306 precision: 16 is not a text"),
        ({"bits": "float"}, "E1105 --bits: 'float' is not known. Known: dfx, int, fp."),
        ({"step_is": "batch"}, "E1105 --step-is: 'batch' is not known. Known: epoch, iteration."),
        ({"epoch_is": "0"}, "E1105 --epoch-is: '0' is not known. Known: index, progress."),
        ({"on_duplicate": None}, "E1105 --on-duplicate: None is not known. Known: error, last, first."),
        ({"decimal": ","}, "E1105 --decimal: ',' is not known. Known: point, comma."),
        ({"keys": {"rate": "lr"}}, "E1320 field 'rate' is not known."),
        ({"keys": {"lr": ""}}, "E1306 keys['lr']: '' is not a text that is not blank."),
        ({"keys": ["lr"]}, "E1306 keys: ['lr'] is not a table of texts."),
        ({"keys": {"lr": "x", "step": "x"}}, "E1320 --map: 'x' cannot be both lr and step. Give one of them."),
        (
            {"keys": {"fprop": "x"}, "precision": "fp16"},
            "E1320 --map: fprop is read from 'x', but --precision says it for the whole run. Give one of them.",
        ),
        ({"formats": {"x": "fp7"}}, "E1004 format 'fp7' is not known."),
        ({"formats": {"x": 7}}, "E1306 formats['x']: 7 is not a text."),
        ({"precision": "fp7"}, "E1004 precision: format 'fp7' is not known."),
        ({"precision": "fprop=fp16"}, "E1322 precision: 'fprop=fp16' is not the precision of a run."),
    ],
)
def test_a_slip_is_one_line(given, message):
    found = fault(**given)
    assert message in found
    assert "\n" not in found


def test_what_is_missing_says_how_to_give_it():
    problem = Given().missing("samples", "a.csv: the log does not say it (csv).")
    assert str(problem) == "E1321 samples: a.csv: the log does not say it (csv). Give --samples N."


def test_every_field_can_be_mapped():
    for field in FIELDS:
        assert Given(keys={field: "x"}).keys == {field: "x"}
