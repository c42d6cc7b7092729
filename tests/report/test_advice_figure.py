"""Advice as a picture: the bars and words of frames by hand."""

import pandas as pd
import pytest

from perfmodel.report.figures import advice_figure

COLUMNS = ["layer", "base", "narrow", "base_s", "gemm_s", "copies_s", "convert_s", "net_s", "passes", "plan"]
FRAME = pd.DataFrame(
    [
        ("conv1", "fp16", "int8", 0.003, 0.001, 0.0005, 0.002, -0.0005, 2, None),
        ("$fc$", "fp16", "int8", 0.007, 0.003, 0.0, 0.001, 0.003, 3, "fprop, dgrad, wgrad"),
    ],
    columns=COLUMNS,
)
BATCHES = pd.DataFrame({"batch": [3, 5], "plan_speedup": [1.0, 1.7], "int8_speedup": [0.5, 1.5]})


def bars(axes):
    """Left end and length of each bar [ms], from above."""
    found = sorted((round(one.get_y(), 6), one.get_x(), one.get_width()) for one in axes.patches)
    return [(pytest.approx(left), pytest.approx(length)) for _, left, length in found]


def words(axes):
    return [text.get_text().strip() for text in axes.texts]


def test_bars_and_words():
    figure = advice_figure(FRAME, "t", "n")
    (axes,) = figure.axes
    assert bars(axes) == [(0, 3), (0, 1), (1, 0.5), (1.5, 2), (0, 7), (0, 3), (3, 0), (3, 1)]
    assert words(axes) == ["loses 0.5 ms; plan: none", "gains 3 ms; plan: all"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["conv1", r"\$fc\$"]
    assert axes.get_xlim()[0] == 0
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first layer on top
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["fp16 GEMMs", "int8 GEMMs", "operands turned round", "conversions"]


def test_words_lie_within_the_page():
    figure = advice_figure(FRAME.assign(net_s=-0.123456, convert_s=0.05), "t")
    (axes,) = figure.axes
    figure.canvas.draw()
    right = [text.get_window_extent().x1 for text in axes.texts]
    assert max(right) <= figure.bbox.x1


def test_two_narrow_formats_and_some_passes():
    other = FRAME.assign(narrow="fp8_e4m3", plan=[None, "fprop, wgrad"])
    figure = advice_figure(pd.concat([FRAME.assign(plan=None), other]), "t")
    (axes,) = figure.axes
    assert words(axes) == [
        "loses 0.5 ms; plan: none", "loses 0.5 ms; plan: none",
        "gains 3 ms; plan: none", "gains 3 ms; plan: fprop, wgrad",
    ]  # fmt: skip
    assert len(axes.patches) == 2 * (1 + 3 + 3)
    assert "fp16, int8, fp8_e4m3;" in " ".join(text.get_text() for text in figure.texts)


def test_speedups_by_batch_size():
    above, below = advice_figure(FRAME, "t", batches=BATCHES).axes
    lines = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in above.lines}
    assert lines["int8 throughout"] == ([3, 5], [0.5, 1.5])
    assert lines["the plan"] == ([3, 5], [1.0, 1.7])
    assert [label.get_text() for label in above.get_xticklabels()] == ["3", "5"]
    assert len(below.patches) == 8


def test_no_format_is_without_its_line():
    names = [f"dfx{bits}" for bits in range(2, 11)]
    rows = pd.concat([FRAME.assign(narrow=name) for name in names])
    above = advice_figure(rows, "t", batches=BATCHES.assign(**{f"{name}_speedup": 0.5 for name in names})).axes[0]
    labels = {line.get_label() for line in above.lines}
    assert {f"{name} throughout" for name in names} <= labels


def test_of_many_layers_the_longest():
    rows = [(f"conv{i}", "fp16", "int8", 0.001 * i, 0.0, 0.0, 0.0, 0.001 * i, 1, "fprop") for i in range(1, 43)]
    figure = advice_figure(pd.DataFrame(rows, columns=COLUMNS), "t")
    (axes,) = figure.axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == [f"conv{i}" for i in range(3, 43)]
    assert any("the 40 longest of 42 layers; " in text.get_text() for text in figure.texts)


@pytest.mark.parametrize("frame", [FRAME[:0], FRAME.drop(columns="plan")])
def test_wrong_frames(frame):
    with pytest.raises(ValueError, match="needs rows and the columns"):
        advice_figure(frame, "t")
