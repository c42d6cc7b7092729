"""A trace as tables and as a figure: merged stretches, flat rows, chosen metrics, panels."""

import io
import json

import numpy as np
import pytest
from matplotlib.colors import to_hex

from perfmodel.errors import OutputError
from perfmodel.report.render import render
from perfmodel.report.stretches import chosen_metrics, places, ranked_metrics, stretches
from perfmodel.report.style import PRECISION_COLOR, save
from perfmodel.report.trace import head_table, source_text, stretches_table, trace_tables
from perfmodel.report.trace_figure import trace_figure
from perfmodel.report.trace_frame import trace_frame
from perfmodel.traces import PassPrecision, Segment, Trace, find_trace, trace_files


def trace(segments, samples=9, batch=3, **header):
    header = {"source": {"reader": "hand", "path": "a.log"}} | header
    return Trace("net", "data", "muppet", samples, batch, segments, **header)


def epoch(number, fprop, iterations=3, lr=None, gd=None, metrics=None, master=None, **more):
    return Segment(number, iterations, PassPrecision.same(fprop, master), lr, gd or {}, metrics or {}, **more)


DIVERSITY = {"ratio": 1.5, "threshold": 2.25, "violations": 1}
SIX = [
    epoch(0, "dfx8", lr=0.5, metrics={"loss": 9, "val_acc": 11.5}, master="fp32"),
    epoch(1, "dfx8", lr=0.5, metrics={"loss": 7.25}, gd=DIVERSITY, master="fp32"),
    epoch(2, "dfx12", lr=0.5, metrics={"loss": 5, "val_acc": 33}, master="fp32"),
    epoch(3, "dfx12", lr=0.05, metrics={"loss": 3, "val_acc": 55}, master="fp32"),
    epoch(5, "dfx12", lr=0.05, master="fp32"),
    epoch(6, "fp32", lr=0.05, iterations=1),
]  # fmt: skip


# ---- tables ----------------------------------------------------------------------------------------------------------


def test_head_and_stretches_as_text():
    made = trace(
        SIX, title="A run", notes="By hand.", inferred=("iterations",), corrections=("corrected: one row", "another"),
    )  # fmt: skip
    assert render(trace_tables("a", made), ".txt") == (
        "A run: a\n"
        "\n"
        "network  dataset  scheme  samples  batch  iterations/epoch  epochs  iterations\n"
        "-------  -------  ------  -------  -----  ----------------  ------  ----------\n"
        "net      data     muppet        9      3                 3       6          16\n"
        "\n"
        "Source: reader: hand; path: a.log.\n"
        "Missing: epoch 4.\n"
        "Fewer iterations than the samples make: epoch 6.\n"
        "Inferred: iterations\n"
        "Corrected: one row\n"
        "Corrected: another\n"
        "By hand.\n"
        "\n\n"
        "Precision over epochs\n"
        "\n"
        "epochs  iterations  precision  master  lr           gd ratio  gd threshold  val_acc  loss\n"
        "------  ----------  ---------  ------  -----------  --------  ------------  -------  ----\n"
        "0-1              6  dfx8       fp32    0.5               1.5          2.25     11.5  7.25\n"
        "2-3              6  dfx12      fp32    0.5 to 0.05         –             –       55     3\n"
        "5                3  dfx12      fp32    0.05                –             –        –     –\n"
        "6                1  fp32       –       0.05                –             –        –     –\n"
        "\n"
        "Metrics and gradient diversity: the last value known in the stretch.\n"
    )


def test_iterations_of_one_epoch():
    passes = [PassPrecision(name, "dfx8", "fp16") for name in ("dfx4", "dfx6", "dfx6")]
    made = trace([Segment(0, 1, one) for one in passes])
    assert render([stretches_table(made)], ".txt") == (
        "Precision over epochs\n"
        "\n"
        "epochs  from iteration  iterations  fprop  dgrad  wgrad\n"
        "------  --------------  ----------  -----  -----  -----\n"
        "0                    0           1  dfx4   dfx8   fp16\n"
        "0                    1           2  dfx6   dfx8   fp16\n"
    )


def test_candidates_layers_and_inferred_begin_stretches():
    made = trace([
        epoch(0, ["dfx8", "dfx12"]), epoch(1, "fp16"), epoch(2, "fp16", layers={"fc": "fp32"}),
        epoch(3, "fp16", layers={"fc": "fp32"}), epoch(4, "fp16", inferred=True),
    ])  # fmt: skip
    assert stretches_table(made).rows() == [
        ["0", "3", "dfx8|dfx12", "–", "no"], ["1", "3", "fp16", "–", "no"], ["2-3", "6", "fp16", "1", "no"],
        ["4", "3", "fp16", "–", "yes"],
    ]  # fmt: skip


@pytest.mark.parametrize(("count", "more"), [(40, None), (41, "… 1 more"), (4000, "… 3,960 more")])
def test_many_stretches_are_cut_in_the_middle(count, more):
    rows = stretches_table(trace([epoch(e, ("fp16", "fp32")[e % 2]) for e in range(count)])).rows()
    epochs = [row[0] for row in rows]
    middle = [more] if more else []
    assert epochs == [*map(str, range(20)), *middle, *map(str, range(count - 20, count))]


def test_many_corrections_are_cut():
    notes = head_table("a", trace(SIX, corrections=tuple(f"line {i}" for i in range(23)))).notes
    assert notes[-2:] == ("Corrected: line 19", "… 3 more.")


def test_csv_has_one_row_for_each_segment():
    assert render(trace_tables("a", trace(SIX[:3]), ".csv"), ".csv") == (
        "epoch,iterations,precision_fprop,precision_dgrad,precision_wgrad,precision_master,lr,"
        "gd_ratio,gd_threshold,gd_violations,loss,val_acc\n"
        "0,3,dfx8,dfx8,dfx8,fp32,0.5,,,,9.0,11.5\n"
        "1,3,dfx8,dfx8,dfx8,fp32,0.5,1.5,2.25,1,7.25,\n"
        "2,3,dfx12,dfx12,dfx12,fp32,0.5,,,,5.0,33.0\n"
    )


def test_json_has_the_head_and_the_segments():
    head, segments = json.loads(render(trace_tables("a", trace(SIX), ".json"), ".json"))
    assert head["rows"][0]["samples"] == 9
    assert [row["epoch"] for row in segments["rows"]] == [0, 1, 2, 3, 5, 6]


def test_metrics_called_like_columns_get_a_prefix():
    names = {"lr": 1, "metrics_lr": 2, "gd_ratio": 3, "epoch": 4, "loss": 5}
    frame = trace_frame(trace([epoch(0, "fp16", lr=0.5, gd={"ratio": 7}, metrics=names)]))
    assert list(frame.columns)[6:] == [
        "lr", "gd_ratio", "metrics_metrics_lr", "metrics_lr", "metrics_gd_ratio", "metrics_epoch", "loss",
    ]  # fmt: skip
    assert frame.iloc[0, 6:].tolist() == [0.5, 7, 1, 2, 3, 4, 5]


def test_whole_numbers_beyond_64_bit_are_floats():
    frame = trace_frame(trace([epoch(0, "fp16", metrics={"a": 2**63, "b": 2**63 - 1})]))
    assert frame["a"].tolist() == [2.0**63]
    assert frame["b"].tolist() == [2**63 - 1]


def test_too_many_columns():
    many = trace([epoch(e, "fp16", metrics={f"m{e}": 1}) for e in range(994)])
    with pytest.raises(OutputError, match=r"E1908 trace: the segments have 994 different metrics"):
        trace_frame(many)
    assert trace_frame(trace(many.segments[:993])).shape == (993, 1000)


def test_source_in_words():
    assert (
        source_text({"reader": "x", "files": [{"path": "a", "bytes": 3}, "b"]}) == "reader: x; files: path a bytes 3, b"
    )


@pytest.mark.parametrize("name", trace_files())
def test_bundled_traces_keep_their_epochs(name):
    found = find_trace(name)
    frame = trace_frame(found)
    assert len(frame) == len(found.segments)
    assert frame["iterations"].sum() == sum(one.iterations for one in stretches(found)) == found.iterations


# ---- metrics and places ----------------------------------------------------------------------------------------------


def named(*names):
    return trace([epoch(0, "fp16", metrics=dict.fromkeys(names, 1))])


def test_metrics_are_ranked():
    muppet = [f"{split}_{what}" for split in ("train", "test", "val") for what in ("loss", "top1", "top5")]
    assert ranked_metrics(named(*muppet, "grad_norm")) == {
        "accuracy": ["val_top1", "test_top1", "train_top1", "val_top5", "test_top5", "train_top5"],
        "loss": ["val_loss", "test_loss", "train_loss"],
        "other": ["grad_norm"],
    }
    assert chosen_metrics(named(*muppet), 4) == ["val_top1", "test_top1", "val_loss", "test_loss"]
    assert chosen_metrics(named(*muppet), 2) == ["val_top1", "val_loss"]


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["loss", "accuracy", "val_loss", "val_accuracy"], ["val_accuracy", "accuracy", "val_loss", "loss"]),
        (["eval_loss", "grad_norm", "loss"], ["eval_loss", "loss", "grad_norm"]),
        (["b", "a", "d", "c", "e"], ["b", "a", "d", "c"]),
        (["accelerator_s", "Acc@1", "trainval_x", "prec1"], ["Acc@1", "prec1", "accelerator_s", "trainval_x"]),
        ([], []),
    ],
)
def test_at_most_four_are_chosen(names, chosen):
    assert chosen_metrics(named(*names), 4) == chosen


def test_places_within_epochs():
    segments = [epoch(0, "fp16", 1), epoch(0, "fp32", 3), epoch(2, "fp16", 1), epoch(2, "fp16", 1)]
    assert places(trace(segments, samples=12)).tolist() == [[0, 0.25], [0.25, 1], [2, 2.25], [2.25, 2.5]]


# ---- figure ----------------------------------------------------------------------------------------------------------


def panels(figure):
    return {axes.get_title(loc="left"): axes for axes in figure.axes}


def lines(axes):
    return {line.get_label(): line.get_xydata().tolist() for line in axes.lines if not line.get_label().startswith("_")}


def drawn(figure):
    file = io.BytesIO()
    save(figure, file, "svg")
    return file.getvalue().decode()


def test_panels_curves_and_switches():
    figure = trace_figure(trace(SIX), "A run", "A note")
    found = panels(figure)
    assert list(found) == ["precision", "accuracy", "loss", "gradient diversity", "learning rate"]
    assert lines(found["accuracy"]) == {
        "val_acc": [[1, 11.5], [3, 33], [4, 55], pytest.approx([6, np.nan], nan_ok=True)]
    }
    assert lines(found["loss"])["loss"][:4] == [[1, 9], [2, 7.25], [3, 5], [4, 3]]
    assert set(lines(found["gradient diversity"])) == {"ratio", "threshold"}
    assert lines(found["learning rate"])["lr"][5:7] == [[3, pytest.approx(-0.30103)], [3, pytest.approx(-1.30103)]]
    assert [label.get_text() for label in found["learning rate"].get_yticklabels()] == ["0.05", "0.5"]
    assert [text.get_text() for text in found["precision"].texts] == ["2", "6"]
    assert all(sum(line.get_xdata()[0] in (2, 6) for line in axes.lines[-2:]) == 2 for axes in found.values())
    assert {"A run", "A note"} <= {text.get_text() for text in figure.texts}


def test_bars_are_the_epochs_of_their_format():
    axes = panels(trace_figure(trace(SIX), "t"))["precision"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["8-bit", "12-bit", "FP32"]
    for bars, name, spans in zip(
        axes.collections, ("dfx8", "dfx12", "fp32"), ([[0, 2]], [[2, 4], [5, 6]], [[6, 6 + 1 / 3]]), strict=True
    ):
        assert to_hex(bars.get_facecolor()[0]).upper() == PRECISION_COLOR[name]
        found = [[path.vertices[:, 0].min(), path.vertices[:, 0].max()] for path in bars.get_paths()]
        assert np.array(found) == pytest.approx(np.array(spans))


def test_candidates_are_hatched():
    axes = panels(trace_figure(find_trace("muppet-alexnet-imagenet"), "t"))["precision"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["8–16-bit (not known)", "FP32"]
    assert axes.collections[0].get_hatch() == "////"


def test_without_anything_but_precision():
    passes = [PassPrecision(name, "fp8_e5m2", name) for name in ("fp8_e4m3", "fp16")]
    figure = trace_figure(trace([Segment(0, 1, one) for one in passes]), "t")
    assert list(panels(figure)) == ["precision of fprop; dgrad FP8 E5M2"]


def test_metrics_that_are_neither_accuracy_nor_loss():
    made = trace([epoch(e, "fp16", metrics={"c": e, "$x^2$": 1e300, "a": -1e300}) for e in range(3)])
    assert list(panels(trace_figure(made, "t"))) == ["precision", "c", r"\$x^2\$"]


def test_many_switches_are_not_marked():
    axes = panels(trace_figure(trace([epoch(e, ("fp16", "fp32")[e % 2]) for e in range(14)]), "t"))["precision"]
    assert not axes.texts
    assert not axes.lines


def test_long_traces_are_drawn_with_few_points():
    segments = [
        epoch(e, ("fp16", "fp32")[e % 2], lr=0.1 + e / 1e5, metrics={"loss": (e * 7919) % 5003}) for e in range(5003)
    ]
    found = panels(trace_figure(trace(segments), "t"))
    values = [y for _, y in lines(found["loss"])["loss"]]
    assert len(values) == 2000
    assert (min(values), max(values)) == (0, 5002)
    assert len(found["learning rate"].lines[0].get_xdata()) == 2000
    assert [len(bars.get_paths()) for bars in found["precision"].collections] == [1, 1]  # a column holds five epochs


def test_long_names_leave_room():
    passes = PassPrecision(
        ["fp32", "fp16", "int8", "dfx8", "mxfp6"], ["fp32", "int4", "dfx16"], ["bf16", "tf32", "int8"]
    )
    figure = trace_figure(trace([Segment(0, 3, passes, metrics={"loss" * 99: 1, "精" * 99: 2})]), "t" * 999)
    assert all(axes.get_position().width > 0.4 for axes in figure.axes)


@pytest.mark.parametrize("value", [0, 5e-324, 1e300, -1e300])
def test_extreme_values_are_drawn(value):
    rates = (1e-300, 1e300)
    made = trace([epoch(e, "fp16", lr=rates[e], metrics={"loss": value * e, "val_acc": -value}) for e in (0, 1)])
    assert "</svg>" in drawn(trace_figure(made, "</svg>\x1b[31m $x$"))


def test_the_same_trace_gives_the_same_bytes():
    assert drawn(trace_figure(trace(SIX), "t")) == drawn(trace_figure(trace(SIX), "t"))
