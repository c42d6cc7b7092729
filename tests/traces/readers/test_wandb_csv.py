"""Exports of Weights & Biases: histories, charts, what `_step` is not, and any rows back again."""

from dataclasses import replace

import pytest
from hypothesis import given as with_given
from hypothesis import settings
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.traces.logs import Given, read_log

GIVEN = Given(network="net", dataset="data", scheme="own", samples=63, batch=8)
HISTORY = """_step,_runtime,_timestamp,epoch,loss,lr,precision,note
3,10.5,1795000010.5,0,2.5,0.5,fp8_e4m3,begin
5,20.5,1795000020.5,1,1.5,0.25,bf16,
"""
CHART = """"Step","calm-sea-7 - epoch","calm-sea-7 - loss","calm-sea-7 - loss__MIN","calm-sea-7 - loss__MAX"
"0","0","2.5","2.25","2.75"
"9","1","1.5","1.25","1.75"
"""


def read(folder, text, given=GIVEN):
    (folder / "export.csv").write_text(text)
    return read_log(folder / "export.csv", given)


def notes(trace):
    """The corrections but that of the iterations, which these logs do not say."""
    return [note for note in trace.corrections if "iterations an epoch: ceil(" not in note]


def problems(folder, text, given=GIVEN):
    with pytest.raises(InputError) as error:
        read(folder, text, given)
    return [(one.code, one.place.removeprefix(str(folder))) for one in error.value.problems]


def test_a_history(tmp_path):
    trace = read(tmp_path, HISTORY)
    assert trace.source["reader"] == "wandb-csv"
    assert [(one.epoch, one.iterations, one.precision.label, one.lr, one.metrics) for one in trace.segments] == [
        (0, 8, "fp8_e4m3", 0.5, {"loss": 2.5}), (1, 8, "bf16", 0.25, {"loss": 1.5}),
    ]  # fmt: skip
    assert notes(trace) == ["export.csv:1 columns of texts left out: 'note'"]


def test_the_step_of_the_history_counts_nothing_unless_the_user_says_so(tmp_path):
    rows = "_step,_runtime,loss\n0,1.5,2.5\n1,2.5,1.5\n"
    given = replace(GIVEN, precision="fp16")
    assert problems(tmp_path, rows, given) == [("E1323", "/export.csv:2:")]
    trace = read(tmp_path, rows, replace(given, keys={"epoch": "_step"}))
    assert [(one.epoch, one.metrics) for one in trace.segments] == [(0, {"loss": 2.5}), (1, {"loss": 1.5})]


def test_the_index_of_a_data_frame_is_nothing(tmp_path):
    lines = [f"{start},{line}" for start, line in zip(["", "0", "1"], HISTORY.splitlines(), strict=True)]
    trace = read(tmp_path, "\n".join(lines) + "\n")
    assert trace.source["reader"] == "wandb-csv"
    assert trace.segments == read(tmp_path, HISTORY).segments


def test_the_names_that_trainers_log_by(tmp_path):
    rows = "_step,_timestamp,train/epoch,train/global_step,train/loss\n"
    rows += "0,1,0.5,4,3.5\n1,2,1,8,2.5\n2,3,1.5,12,2.25\n3,4,2,16,1.5\n"
    trace = read(tmp_path, rows, replace(GIVEN, precision="fp16"))
    assert [(one.epoch, one.iterations, one.metrics) for one in trace.segments] == [
        (0, 8, {"train/loss": 2.5}), (1, 8, {"train/loss": 1.5}),
    ]  # fmt: skip


def test_a_chart_of_one_run(tmp_path):
    trace = read(tmp_path, CHART, replace(GIVEN, precision="fp16"))
    assert trace.source["reader"] == "wandb-csv"
    assert [(one.epoch, one.metrics) for one in trace.segments] == [(0, {"loss": 2.5}), (1, {"loss": 1.5})]


def test_a_chart_without_epochs(tmp_path):
    chart = '"Step","run-a - bits","run-a - bits__MIN","run-a - bits__MAX"\n"0","8","8","8"\n"1","16","16","16"\n'
    given = replace(GIVEN, bits="int")
    assert problems(tmp_path, chart, given) == [("E1323", "/export.csv:2:")]
    for names in ({"epoch": "Step"}, {"epoch": "Step", "precision": "bits"}):
        trace = read(tmp_path, chart, replace(given, keys=names))
        assert [(one.epoch, one.precision.label, one.metrics) for one in trace.segments] == [
            (0, "int8", {}), (1, "int16", {}),
        ]  # fmt: skip


def test_a_chart_of_several_runs(tmp_path):
    chart = CHART.replace("calm-sea-7 - loss__MAX", "windy-hill-9 - loss")
    assert problems(tmp_path, chart) == [("E1334", "/export.csv:1:")]


@settings(max_examples=50)
@with_given(
    st.lists(
        st.tuples(st.sampled_from(["fp16", "int8", "fp32"]), st.floats(0, 1e6), st.none() | st.floats(0, 1)), min_size=1
    )
)
def test_rows_come_back(tmp_path_factory, rows):
    lines = ["_runtime,_step,_timestamp,acc,epoch,loss,precision"]
    for i, (name, loss, accuracy) in enumerate(rows):
        lines.append(f"{i}.5,{7 * i},{i},{'' if accuracy is None else accuracy},{i},{loss},{name}")
    trace = read(tmp_path_factory.mktemp("wandb"), "\n".join(lines) + "\n")
    assert [(one.epoch, one.precision.label) for one in trace.segments] == [(i, row[0]) for i, row in enumerate(rows)]
    assert [(one.metrics["loss"], one.metrics.get("acc")) for one in trace.segments] == [row[1:] for row in rows]


@pytest.mark.parametrize("seed", [HISTORY, CHART], ids=["history", "chart"])
def test_mutations(fuzzed, seed):
    given = replace(GIVEN, precision="fp16" if seed is CHART else None)
    fuzzed(seed.encode(), given, name="export.csv")


def test_truncations(reads):
    for seed in (HISTORY.encode(), CHART.encode()):
        for end in range(len(seed)):
            reads(seed[:end], "export.csv", GIVEN)
