"""Keras' CSVLogger: the sample by hand, files that were appended to, and any rows back again."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given as with_given
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.traces.logs import Given, read_log

SAMPLE = "keras/training.csv"
SAMPLES = Path(__file__).parents[2] / "data" / "logs" / "samples"
GIVEN = Given(network="net", dataset="data", scheme="own", samples=63, batch=8, bits="int")


def read(tmp_path, text, given=GIVEN):
    (tmp_path / "training.csv").write_text(text)
    return read_log(tmp_path / "training.csv", given)


def notes(trace):
    """The corrections but that of the iterations, which these logs do not say."""
    return [note for note in trace.corrections if "iterations an epoch: ceil(" not in note]


def test_the_sample():
    trace = read_log(SAMPLES / SAMPLE, GIVEN)
    assert trace.source["reader"] == "keras-csv"
    assert [(one.epoch, one.iterations, one.precision.label) for one in trace.segments] == [
        (0, 8, "int8"), (1, 8, "int8"), (2, 8, "int16"), (3, 8, "int16"),
    ]  # fmt: skip
    assert [one.lr for one in trace.segments] == [0.10000000149011612] * 2 + [0.009999999776482582] * 2
    assert trace.segments[2].metrics == {
        "accuracy": 0.546875, "loss": 0.6909549832344055, "val_accuracy": 0.546875, "val_loss": 0.6906942129135132,
    }  # fmt: skip


def test_na_is_a_missing_value(tmp_path):
    trace = read(tmp_path, "epoch,bits,loss,val_loss\n0,8,1.5,NA\n1,8,1.25,1.75\n")
    assert [one.metrics for one in trace.segments] == [{"loss": 1.5}, {"loss": 1.25, "val_loss": 1.75}]


def test_what_was_appended_replaces_the_run_before(tmp_path):
    trace = read(tmp_path, "epoch,bits,loss\n0,8,3\n1,8,2.5\n2,8,2\n0,16,3.5\n1,16,3.25\n")
    assert [(one.epoch, one.precision.label, one.metrics["loss"]) for one in trace.segments] == [
        (0, "int16", 3.5), (1, "int16", 3.25),
    ]  # fmt: skip
    assert notes(trace) == ["training.csv:5 restart: epochs 0 to 2 were replaced by what follows"]


def test_a_diverged_loss_is_marked(tmp_path):
    trace = read(tmp_path, "epoch,bits,loss\n0,8,3\n1,8,nan\n")
    assert trace.segments[1].metrics == {}
    assert "epoch 1" in trace.corrections[0]
    assert "diverged" in trace.corrections[0]


def test_a_cell_that_is_no_number(tmp_path):
    with pytest.raises(InputError) as error:
        read(tmp_path, "epoch,bits,loss\n0,8,3\n1,8,2_5\n")
    assert [(one.code, one.place) for one in error.value.problems] == [("E1207", f"{tmp_path}/training.csv:3:3")]


rows = st.lists(
    st.tuples(st.sampled_from([2, 3, 8, 12, 16]), st.floats(0, 1e6), st.none() | st.floats(-1e9, 1e9)), min_size=1
)


@with_given(rows)
def test_rows_come_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("keras") / "training.csv"
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "bits", "loss", "val_loss"])
        for epoch, (bits, loss, val_loss) in enumerate(rows):
            writer.writerow([epoch, bits, loss, "NA" if val_loss is None else val_loss])
    trace = read_log(path, replace(GIVEN, bits="dfx"))
    assert [(one.epoch, one.precision.label) for one in trace.segments] == [
        (epoch, f"dfx{bits}") for epoch, (bits, _, _) in enumerate(rows)
    ]
    assert [(one.metrics["loss"], one.metrics.get("val_loss")) for one in trace.segments] == [row[1:] for row in rows]


def test_mutations(fuzzed):
    fuzzed(SAMPLE, GIVEN)


def test_truncations(truncated):
    truncated(SAMPLE, GIVEN)
