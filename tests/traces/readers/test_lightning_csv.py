"""Lightning's metrics.csv: the sample by hand, its hparams.yaml, rows of tests, and any rows back again."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given as with_given
from hypothesis import settings
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.traces.logs import Given, read_log

SAMPLE = "lightning/csv/metrics.csv"
SAMPLES = Path(__file__).parents[2] / "data" / "logs" / "samples"
GIVEN = Given(network="net", dataset="data", scheme="own", bits="int")
HPARAMS = (SAMPLES / "lightning/csv/hparams.yaml").read_bytes()
# What Lightning 2.6.6 writes of two epochs of eight batches, logged every fourth, and a test after them.
TESTED = """epoch,step,test_loss,train_loss,val_loss
0,3,,2.5,
0,7,,2.25,
0,7,,,2.75
1,11,,1.5,
1,15,,1.25,
1,15,,,1.75
2,16,1.875,,
"""


def read(folder, text, given=GIVEN, hparams=None):
    (folder / "metrics.csv").write_text(text)
    if hparams is not None:
        (folder / "hparams.yaml").write_text(hparams)
    return read_log(folder / "metrics.csv", given)


def test_the_sample():
    trace = read_log(SAMPLES / SAMPLE, GIVEN)
    assert (trace.source["reader"], trace.batch, trace.samples, trace.corrections) == ("lightning-csv", 8, 64, ())
    assert [one["path"] for one in trace.source["with"]] == ["hparams.yaml"]
    assert [(one.epoch, one.iterations, one.precision.label, one.lr) for one in trace.segments] == [
        (0, 8, "int8", 0.1), (1, 8, "int8", 0.1), (2, 8, "int8", 0.1),
        (3, 8, "int16", 0.010000000000000002), (4, 8, "int16", 0.010000000000000002),
        (5, 8, "int16", 0.010000000000000002),
    ]  # fmt: skip
    assert trace.segments[0].metrics == {
        "train_loss_step": 0.7596203088760376, "val_acc": 0.421875, "train_loss_epoch": 0.8132793307304382,
    }  # fmt: skip
    assert [one.metrics["val_acc"] for one in trace.segments] == [0.421875, 0.453125] + [0.53125] * 4
    assert trace.inferred[0].startswith("batch: the batch size of hparams.yaml")


def test_the_folder_stands_for_the_file():
    assert read_log(SAMPLES / "lightning/csv", GIVEN) == read_log(SAMPLES / SAMPLE, GIVEN)


def test_the_users_batch_wins():
    trace = read_log(SAMPLES / SAMPLE, replace(GIVEN, batch=16))
    assert (trace.batch, trace.samples) == (16, 128)
    assert trace.corrections == ("hparams.yaml:2: batch 16 as given, not 8",)
    assert not any("hparams" in note for note in trace.inferred)


def test_rows_of_tests_are_no_epoch(tmp_path):
    trace = read(tmp_path, TESTED, replace(GIVEN, precision="fp16", batch=4, samples=32))
    assert [(one.epoch, one.iterations, one.metrics) for one in trace.segments] == [
        (0, 8, {"train_loss": 2.25, "val_loss": 2.75}), (1, 8, {"train_loss": 1.25, "val_loss": 1.75}),
    ]  # fmt: skip
    assert trace.corrections == ("metrics.csv 1 rows of tests after the training were left out",)


@pytest.mark.parametrize(
    ("hparams", "batch"),
    [
        ("batch_size: 5\n", 5),
        ("lr: 0.1\ntrain_batch_size: '5'  # of one device\n", 5),
        ("train_batch_size: 7\nbatch_size: 5\n", 5),
        ("data:\n  batch_size: 7\nbatch_size: 5\n", 5),
        ("batch_size: auto\ntrain_batch_size: 5\n", 5),
        ('batch_size: !!python/object/apply:os.system ["echo 5"]\n', None),
        ("batch_size: &a 5\n", None),
        ("batch_size: 0\n", None),
        ("batch_size: 5.0\n", None),
        ("batch_size: ٥\n", None),
        ("batch_size: 99999999\n", None),
    ],
)
def test_hyperparameters(tmp_path, hparams, batch):
    given = replace(GIVEN, precision="fp16", samples=40)
    if batch is not None:
        assert read(tmp_path, TESTED, given, hparams).batch == batch
        return
    with pytest.raises(InputError, match="E1321 batch"):
        read(tmp_path, TESTED, given, hparams)


def rows_of_tests(*lines):
    return "epoch,step,lr,test_acc,train_loss\n" + "".join(line + "\n" for line in lines)


@pytest.mark.parametrize(
    ("lines", "metrics", "left_out"),
    [
        (["0,7,,,2.5", "0,7,,0.25,", "1,15,,,1.5", "1,15,,0.5,"], [0.25, 0.5], 0),
        (["0,7,,0.25,", "0,7,,,2.5", "1,15,,0.5,", "1,15,,,1.5"], [0.25, 0.5], 0),
        (["0,7,,,2.5", "0,7,,0.25,", "1,15,,,1.5", "1,15,,0.5,", "2,16,,0.75,"], [0.25, 0.5], 1),
        (["0,7,,,2.5", "1,8,,0.25,", "1,15,,,1.5", "2,16,,0.75,", "2,16,,0.75,"], [None, 0.25], 2),
        (["0,7,,,2.5", "1,8,,0.25,", ",8,0.5,,", "1,15,,,1.5"], [None, 0.25], 0),
    ],
)
def test_tests_of_epochs_that_were_trained_count(tmp_path, lines, metrics, left_out):
    trace = read(tmp_path, rows_of_tests(*lines), replace(GIVEN, precision="fp16", batch=4, samples=32))
    assert [one.metrics.get("test_acc") for one in trace.segments] == metrics
    note = f"metrics.csv {left_out} rows of tests after the training were left out"
    assert (note in trace.corrections) == (left_out > 0)
    assert left_out or not any("rows of tests" in one for one in trace.corrections)


def test_so_many_rows_are_no_tests(tmp_path, monkeypatch):
    monkeypatch.setattr("perfmodel.traces.readers.lightning_csv.MOST_TESTS", 2)
    given = replace(GIVEN, precision="fp16", batch=4, samples=32)
    lines = ["0,7,,,2.5", "1,15,,0.25,", "2,23,,0.5,", "3,31,,0.75,"]
    assert len(read(tmp_path, rows_of_tests(*lines[:3]), given).segments) == 1
    assert len(read(tmp_path, rows_of_tests(*lines), given).segments) == 4


def test_hyperparameters_elsewhere_are_not_read(tmp_path):
    (tmp_path / "elsewhere").write_text("batch_size: 5\n")
    (tmp_path / "hparams.yaml").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="E1321 batch"):
        read(tmp_path, TESTED, replace(GIVEN, precision="fp16"))


def test_a_hyperparameter_twice(tmp_path):
    with pytest.raises(InputError) as error:
        read(tmp_path, TESTED, GIVEN, "batch_size: 5\nbatch_size: 7\n")
    assert [(one.code, one.place) for one in error.value.problems] == [("E1302", f"{tmp_path}/hparams.yaml:2:")]


@settings(max_examples=50)
@with_given(
    st.lists(st.tuples(st.sampled_from([3, 8, 16]), st.floats(0, 1e6), st.floats(0, 1)), min_size=1, max_size=9),
    st.integers(2, 7),
)
def test_rows_come_back(tmp_path_factory, rows, iterations):
    lines = ["epoch,lr-SGD,precision/bits,step,train_loss,val_acc"]
    for epoch, (bits, loss, acc) in enumerate(rows):
        first, last = epoch * iterations, (epoch + 1) * iterations - 1
        lines += [f",0.5,,{first},,", f"{epoch},,{bits}.0,{last},{loss},", f"{epoch},,,{last},,{acc}"]
    given = replace(GIVEN, batch=3, samples=3 * iterations)
    trace = read(tmp_path_factory.mktemp("lightning"), "\n".join(lines) + "\n", given)
    assert trace.samples == 3 * iterations
    assert [(one.epoch, one.iterations, one.precision.label, one.lr) for one in trace.segments] == [
        (epoch, iterations, f"int{bits}", 0.5) for epoch, (bits, _, _) in enumerate(rows)
    ]
    assert [(one.metrics["train_loss"], one.metrics["val_acc"]) for one in trace.segments] == [row[1:] for row in rows]


def test_mutations(fuzzed):
    fuzzed(SAMPLE, GIVEN, {"hparams.yaml": HPARAMS})


def test_mutations_of_the_hyperparameters(examples, reads, mutations):
    log = (SAMPLES / SAMPLE).read_bytes()

    @settings(max_examples=examples)
    @with_given(mutations(HPARAMS))
    def check(hparams):
        reads(log, "metrics.csv", GIVEN, {"hparams.yaml": hparams})

    check()


def test_truncations(truncated):
    truncated(SAMPLE, replace(GIVEN, batch=8))
