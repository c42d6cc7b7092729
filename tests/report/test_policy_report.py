"""Replayed rules as tables, plot and figure; numbers of any size go through all of them."""

import json
import warnings
from math import inf, nan

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from perfmodel.policies.replay import replay, rule_of
from perfmodel.report.figures import policy_figure
from perfmodel.report.policy import replay_frame, replay_tables, rule_text
from perfmodel.report.policy_figure import replay_figure
from perfmodel.report.policy_plot import replay_plot
from perfmodel.report.render import render
from perfmodel.traces import PassPrecision, Segment, Trace

PLOT = """\
p (o, x where it violates) and its threshold T (-)
    4 |                                x
      |
      |
      |
      |
      |
      |
      |                x
      |
      |
    1 |o               -               -
      +---------------------------------
 rule                                  ^
  run                  ^
epoch  0               1               2
"""


def made(diversities, formats=None):
    formats = formats or ["dfx8"] * len(diversities)
    segments = [
        Segment(i, 5, PassPrecision.same(name), gradient_diversity={} if value is None else {"mean": value})
        for i, (value, name) in enumerate(zip(diversities, formats, strict=True))
    ]
    params = {"resolution": 1, "patience": 2}
    return Trace("resnet20", "cifar10", "muppet", 50, 10, segments, {"made": "here"}, params)


def replayed(diversities, formats=None, **options):
    trace = made(diversities, formats)
    return replay(trace, rule_of(trace, **{"beta": 0.0} | options))


FOUND = replayed([4.0, 2.0, 1.0, None], ["dfx8", "dfx8", "dfx12", "dfx12"])


def test_the_frame_by_hand():
    rows = replay_frame(FOUND).astype(object).where(lambda f: f.notna(), None).to_numpy().tolist()
    assert rows == [
        [0, 4.0, 4.0, 1.0, 1.0, 0, None, None, True],
        [1, 2.0, 4.0, 2.0, 1.0, 1, None, "dfx12", False],
        [2, 1.0, 4.0, 4.0, 1.0, 2, "dfx12", None, False],
    ]


def test_the_tables_say_who_switched_when():
    text = render(replay_tables("log", FOUND), ".txt")
    lines = text.splitlines()
    assert [line.split() for line in lines if line.startswith(("rule ", "run "))] == [
        ["rule", "2", "–", "–", "–"], ["run", "1", "–", "–", "–"],
    ]  # fmt: skip
    assert "The rule does not switch where the run did. Of 3 evaluations 1 agree." in text
    assert "Note: rule and run part at the end of epoch 1" in text
    assert rule_text(FOUND.rule).startswith("resolution 1, patience 2, T(j) = 1 + 0 exp(-0.1 j), window tumbling")
    switches, evaluations = json.loads(render(replay_tables("log", FOUND, ".json"), ".json"))
    assert switches["rows"][0]["dfx12"] == "2"
    assert len(evaluations["rows"]) == 3
    assert render(replay_tables("log", FOUND, ".csv"), ".csv").splitlines()[1] == "0,4.0,4.0,1.0,1.0,0,,,True"


def test_the_plot_by_hand():
    assert replay_plot(FOUND, width=40, ascii=True) == PLOT


def test_nothing_to_plot():
    assert replay_plot(replayed([None, 0.0], on_undefined="skip")) == ""


def test_the_figure_has_a_line_for_each_switch_and_both_curves():
    axes = replay_figure(FOUND, "run").axes[0]
    labels = axes.get_legend_handles_labels()[1]
    assert labels == ["threshold T", "p", "p, a violation", "rule switches", "run switched"]
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines["p, a violation"].get_ydata()) == [2.0, 4.0]
    assert list(lines["rule switches"].get_xdata()) == [2, 2]
    bands = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in axes.patches]
    assert bands == [(-0.5, 1.0), (1.0, 3.0)]  # 8 bits in epochs 0 and 1, then 12
    assert [text.get_text() for text in axes.texts] == ["dfx8", "dfx12"]


VALUES = st.one_of(
    st.none(), st.floats(1e-3, 1e3), st.sampled_from([0.0, -1.0, 1e300, -1e300, 1e-300, 5e-324, 1.0])
)  # fmt: skip


@settings(max_examples=500)
@given(
    st.lists(VALUES, min_size=1, max_size=30), st.sampled_from(["skip", "reference"]),
    st.sampled_from(["reference", "paper"]), st.sampled_from([0.0, 1.5, 1e300, -1e300]), st.booleans(),
)  # fmt: skip
def test_numbers_of_any_size_are_told(values, on_undefined, mode, beta, ascii):
    assume(any(value is not None for value in values))
    found = replayed(values, mode=mode, on_undefined=on_undefined, beta=beta)
    for suffix in (".txt", ".csv", ".json"):
        assert render(replay_tables("log", found, suffix), suffix)
    assert all(len(line) <= 60 for line in replay_plot(found, 60, ascii).splitlines())


@pytest.mark.parametrize("values", [[1.0], [1e300, 1e-300, 1e-300, 1e-300], [0.0, 1e300, -1e300, 5e-324]])
def test_figures_of_any_numbers(values):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert replay_figure(replayed(values), "$run$").axes


def test_the_picture_of_frames():
    evaluations = pd.DataFrame(
        {"epoch": [2, 5, 8, 11], "ratio": [1.5, 1.25, nan, 3.0], "threshold": [2.0, 1.75, 1.5, inf],
         "violated": [False, True, False, True]}
    )  # fmt: skip
    switches = pd.DataFrame(
        [("run", -1, "dfx8"), ("run", 5, "dfx12"), ("rule", 8, "dfx12")], columns=["by", "epoch", "format"]
    )
    figure = policy_figure(evaluations, switches, "a title")
    (axes,) = figure.axes
    drawn = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert drawn["threshold T"] == [[2, 2], [5, 1.75], [8, 1.5]]
    assert (drawn["p"], drawn["p, a violation"]) == ([[2, 1.5]], [[5, 1.25]])
    assert (drawn["rule switches"][0][0], drawn["run switched"][0][0]) == (8, 5)
    assert [text.get_text() for text in axes.texts] == ["dfx8", "dfx12"]
    with pytest.raises(ValueError, match="needs the columns"):
        policy_figure(evaluations, switches.drop(columns="by"), "a title")
