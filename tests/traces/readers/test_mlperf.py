"""MLPerf's logs: the sample by hand, blocks, restarts, what a whole run says, and any epochs back again."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given as with_given
from hypothesis import settings
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.traces.logs import Given, read_log

SAMPLE = "mlperf/result_0.txt"
SAMPLES = Path(__file__).parents[2] / "data" / "logs" / "samples"
GIVEN = Given(network="net", dataset="data", scheme="own", bits="int", samples=63, batch=8)
FP16 = replace(GIVEN, precision="fp16")


def event(key, value=None, **metadata):
    return ":::MLLOG " + json.dumps({"time_ms": 1, "key": key, "value": value, "metadata": metadata})


def epoch(number, *events):
    return [event("epoch_start", epoch_num=number), *events, event("epoch_stop", epoch_num=number)]


def read(folder, lines, given=FP16):
    (folder / "result_0.txt").write_text("\n".join(lines) + "\n")
    return read_log(folder / "result_0.txt", given)


def problems(folder, lines, given=FP16):
    with pytest.raises(InputError) as error:
        read(folder, lines, given)
    return [(one.code, one.place.removeprefix(str(folder))) for one in error.value.problems]


def notes(trace):
    """The corrections but that of the iterations, which these logs do not say."""
    return [note for note in trace.corrections if "iterations an epoch: ceil(" not in note]


def test_the_sample():
    trace = read_log(SAMPLES / SAMPLE, replace(GIVEN, samples=None, batch=None))
    assert (trace.source["reader"], trace.title) == ("mlperf", "resnet on 1xH200")
    assert (trace.samples, trace.batch, notes(trace)) == (1281167, 256, [])
    assert [(one.epoch, one.iterations, one.precision.label) for one in trace.segments] == [
        (0, 5005, "int8"), (1, 5005, "int8"), (2, 5005, "int16"), (3, 5005, "int16"),
    ]  # fmt: skip
    assert [one.metrics for one in trace.segments] == [
        {"eval_accuracy": 0.1}, {"eval_accuracy": 0.2}, {"eval_accuracy": 0.30000000000000004}, {"eval_accuracy": 0.4},
    ]  # fmt: skip


def test_a_key_of_the_users_own():
    mapped = read_log(SAMPLES / SAMPLE, replace(GIVEN, keys={"precision": "precision_bits"}, samples=None, batch=None))
    assert mapped.epochs_by_precision() == {"int8": 2, "int16": 2}


def test_bits_of_no_family_have_the_line_of_their_event():
    with pytest.raises(InputError) as error:
        read_log(SAMPLES / SAMPLE, replace(GIVEN, bits=None))
    assert [one.code for one in error.value.problems] == ["E1322"] * 2  # each text once
    assert [one.place.split(":")[1] for one in error.value.problems] == ["12", "20"]


def test_epochs_from_1_and_lines_of_others(tmp_path):
    lines = [
        "starting …", "0: " + epoch(1)[0], *epoch(1)[1:], event("eval_accuracy", 0.25, epoch_num=1), "",
        *epoch(2), event("eval_accuracy", 0.5, epoch_num=2),
    ]  # fmt: skip
    trace = read(tmp_path, lines)
    assert [(one.epoch, one.metrics) for one in trace.segments] == [
        (0, {"eval_accuracy": 0.25}), (1, {"eval_accuracy": 0.5}),
    ]  # fmt: skip
    assert "renumbered from 0" in trace.corrections[0]


def test_the_last_value_of_an_epoch_counts(tmp_path):
    stats = [event("tracked_stats", {"loss": loss, "lr": 0.5, "note": "x"}, epoch_num=0) for loss in (3.5, 2.5)]
    trace = read(tmp_path, epoch(0, *stats, event("eval_start"), event("cache_clear", True)))
    assert [(one.lr, one.metrics) for one in trace.segments] == [(0.5, {"tracked_stats/loss": 2.5})]


def block(first, count, *events):
    number = {"first_epoch_num": first, "epoch_count": count}
    return [event("block_start", **number), *events, event("block_stop", first_epoch_num=first)]


BLOCKS = [
    *block(1, 3, event("bits", 8), event("loss", 2.5)), event("eval_accuracy", 0.25, epoch_num=3),
    *block(4, 2, event("bits", 16)), event("eval_accuracy", 0.5, epoch_num=5),
]  # fmt: skip


def test_blocks_of_epochs(tmp_path):
    trace = read(tmp_path, BLOCKS, GIVEN)
    assert [(one.epoch, one.precision.label, one.metrics) for one in trace.segments] == [
        (0, "int8", {}), (1, "int8", {}), (2, "int8", {"loss": 2.5, "eval_accuracy": 0.25}),
        (3, "int16", {}), (4, "int16", {"eval_accuracy": 0.5}),
    ]  # fmt: skip


def test_many_epochs_of_a_few_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("perfmodel.traces.logs.mlperf.epochs.MOST_IN_BLOCKS", 8)
    lines = [*block(0, 4), *block(4, 3), *epoch(7), *epoch(8)]
    assert len(read(tmp_path, [*lines, *block(9, 1)]).segments) == 10
    assert problems(tmp_path, [*lines, *block(9, 1), "", *block(0, 1)]) == [("E1328", "/result_0.txt:12:")]


def test_blocks_that_repeat_a_lifetime_of_epochs(tmp_path):
    lines = block(0, 199_999) + block(199_999, 1)
    assert problems(tmp_path, lines * 3) == [("E1328", "/result_0.txt:5:")]


def test_a_block_without_a_number_is_none(tmp_path):
    lines = [event("block_start", first_epoch_num=None), *epoch(0), event("block_stop")]
    assert [one.epoch for one in read(tmp_path, lines).segments] == [0]


def test_epochs_within_a_block_count_themselves(tmp_path):
    lines = [event("block_start", first_epoch_num=0, epoch_count=4), *epoch(0), *epoch(1), event("block_stop")]
    assert [one.epoch for one in read(tmp_path, lines).segments] == [0, 1]


def test_a_run_that_was_aborted_in_an_epoch(tmp_path):
    lines = [event("run_start"), *epoch(0), *epoch(1)[:1], event("run_stop", status="aborted")]
    assert notes(read(tmp_path, lines)) == [
        "result_0.txt:5: the run stopped with status aborted",
        "result_0.txt:4 epoch 1 was not stopped: counted in full",
    ]


def test_a_run_that_was_started_again(tmp_path):
    lines = [event("run_start"), *epoch(0), *epoch(1, event("loss", 3.5)), event("run_start"), *epoch(1), *epoch(2)]
    trace = read(tmp_path, lines)
    assert [(one.epoch, one.metrics) for one in trace.segments] == [(0, {}), (1, {}), (2, {})]
    assert notes(trace) == [
        "result_0.txt:7: the run was started again",
        "result_0.txt:4 restart: epoch 1 begins again later",
    ]
    trace = read(tmp_path, [*lines, event("run_start"), *epoch(1)])
    assert [one.epoch for one in trace.segments] == [0, 1]
    assert notes(trace)[3].endswith("restart: epochs 1 to 2 were replaced by what follows")


def test_what_is_said_twice(tmp_path):
    lines = [event("global_batch_size", 4), event("global_batch_size", 8), event("train_samples", 24), *epoch(0)]
    trace = read(tmp_path, lines, replace(FP16, samples=None, batch=None))
    assert (trace.batch, trace.samples) == (8, 24)
    assert notes(trace) == ["result_0.txt:2: global_batch_size 8.0 replaces 4.0"]


class TestThePrecisionOfTheRun:
    @pytest.mark.parametrize(
        ("value", "name"), [("bfloat16", "bf16"), ("fp64", "fp64"), ("mxfp6", "mxfp6"), ("uint8", "int8")]
    )
    def test_by_its_name(self, tmp_path, value, name):
        trace = read(tmp_path, [event("lowest_numerical_precision_in_linear", value), *epoch(0)], GIVEN)
        assert trace.segments[0].precision.label == name
        assert trace.inferred[0].startswith("precision: lowest_numerical_precision_in_linear")

    def test_fp8_is_two_formats(self, tmp_path):
        lines = ["", event("lowest_numerical_precision_in_linear", "fp8"), *epoch(0)]
        place = ("E1322", "/result_0.txt:2: lowest_numerical_precision_in_linear:")
        assert problems(tmp_path, lines, GIVEN) == [place]
        trace = read(tmp_path, lines, replace(GIVEN, formats={"fp8": "fp8_e4m3"}))
        assert trace.segments[0].precision.label == "fp8_e4m3"

    def test_epochs_that_say_theirs_win(self, tmp_path):
        lines = [event("lowest_numerical_precision_in_linear", "fp8"), *epoch(0, event("bits", 8))]
        assert read(tmp_path, lines, GIVEN).segments[0].precision.label == "int8"

    def test_the_user_wins(self, tmp_path):
        lines = [event("lowest_numerical_precision_in_linear", "fp8"), *epoch(0)]
        assert read(tmp_path, lines).segments[0].precision.label == "fp16"


def test_samples_instead_of_epochs(tmp_path):
    lines = [event("run_start"), event("block_start", samples_count=0), event("eval_accuracy", 0.5, samples_count=7)]
    assert problems(tmp_path, lines) == [("E1333", "/result_0.txt:2:")]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (':::MLLOG {"key": "loss", "value": 1', ("E1301", "/result_0.txt:3:36")),
        ('x :::MLLOG  {"key": "loss" "value": 1}', ("E1301", "/result_0.txt:3:28")),
        (':::MLLOG {"key": "a", "key": "b"}', ("E1302", "/result_0.txt:3:10")),
        (':::MLLOG {"key": "a", "value": 1e999}', ("E1207", "/result_0.txt:3:10")),
        (':::MLLOG {"value": 1}', ("E1301", "/result_0.txt:3:10")),
        (':::MLLOG {"key": "a", "metadata": 1}', ("E1301", "/result_0.txt:3:10")),
        (':::MLLOG [1]', ("E1301", "/result_0.txt:3:10")),
        (':::MLLOG', ("E1301", "/result_0.txt:3:9")),
        (event("epoch_start", epoch_num=1.5), ("E1207", "/result_0.txt:3:")),
        (event("epoch_start", epoch_num="1"), ("E1207", "/result_0.txt:3:")),
        (event("block_start", first_epoch_num=10**6, epoch_count=2), ("E1207", "/result_0.txt:3:")),
        (event("block_start", first_epoch_num=-1), ("E1207", "/result_0.txt:3:")),
        (event("global_batch_size", 0), ("E1207", "/result_0.txt:3:")),
        (event("train_samples", None), ("E1207", "/result_0.txt:3:")),
    ],
)  # fmt: skip
def test_errors_have_their_place(tmp_path, line, problem):
    assert problems(tmp_path, [*epoch(0), line, *epoch(1)]) == [problem]


def test_a_last_line_that_is_cut_off(tmp_path):
    path = tmp_path / "result_0.txt"
    path.write_text("\n".join([*epoch(0), event("eval_accuracy", 0.5)[:-5]]))
    trace = read_log(path, FP16)
    assert trace.segments[0].metrics == {}
    assert notes(trace) == ["result_0.txt:3 the last line is cut off: left out"]


@settings(max_examples=50)
@with_given(
    st.lists(st.tuples(st.sampled_from([3, 8, 16]), st.floats(0, 1e6), st.none() | st.floats(0, 1)), min_size=1),
    st.sampled_from([0, 1]),
)
def test_epochs_come_back(tmp_path_factory, rows, first):
    lines = [event("global_batch_size", 3), event("train_samples", 20)]
    for number, (bits, loss, accuracy) in enumerate(rows, first):
        lines += epoch(number, event("bits", bits), event("train_loss", loss, epoch_num=number))
        lines += [] if accuracy is None else [event("eval_accuracy", accuracy, epoch_num=number + 1)]
    trace = read(tmp_path_factory.mktemp("mlperf"), lines, replace(GIVEN, samples=None, batch=None))
    assert [(one.epoch, one.iterations, one.precision.label) for one in trace.segments] == [
        (i, 7, f"int{bits}") for i, (bits, _, _) in enumerate(rows)
    ]
    assert [(m["train_loss"], m.get("eval_accuracy")) for m in (one.metrics for one in trace.segments)] == [
        row[1:] for row in rows
    ]


def test_mutations(fuzzed):
    fuzzed(SAMPLE, GIVEN)


def test_mutations_of_blocks(fuzzed):
    said = [event("global_batch_size", 3), event("train_samples", 20), event("run_start")]
    lines = [*said, *BLOCKS, *epoch(5), event("run_stop", status="aborted")]
    fuzzed("\n".join(lines).encode(), GIVEN, name="result_0.txt")


def test_truncations(truncated):
    truncated(SAMPLE, GIVEN)
