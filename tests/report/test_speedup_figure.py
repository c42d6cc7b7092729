"""Bars of speedups: their lengths, whiskers and ranges, and names as they are."""

import io
from math import nan

import pandas as pd
import pytest

from perfmodel.report import style
from perfmodel.report.figures import speedup_figure

TRAININGS = ("FP32", "mixed precision", "MuPPET", "MuPPET, theoretical limit")


def rows(trace, speedups, interval=None, high=None):
    ends = interval or [(nan, nan)] * 4
    return [
        {"trace": trace, "training": training, "speedup_low": value, "speedup_high": (high or speedups)[i],
         "speedup_interval_low": ends[i][0], "speedup_interval_high": ends[i][1]}
        for i, (training, value) in enumerate(zip(TRAININGS, speedups, strict=True))
    ]  # fmt: skip


def png(figure):
    file = io.BytesIO()
    style.save(figure, file, "png")
    return file.getvalue()


def bars(figure):
    """Row, left end and length of every bar."""
    return [
        (round(bar.get_y() + bar.get_height() / 2), bar.get_x(), round(bar.get_width(), 9))
        for bars in figure.axes[0].containers for bar in bars
    ]  # fmt: skip


def test_bars_are_as_long_as_the_speedups():
    frame = pd.DataFrame(rows("one", (1, 3.5, 0.7, 1.3)) + rows("two", (1, 2, 3, 5)))
    figure = speedup_figure(frame, "t")
    assert bars(figure) == [(1, 0, 3.5), (2, 0, 0.7), (3, 0, 1.3), (5, 0, 2), (6, 0, 3), (7, 0, 5)]
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [*TRAININGS[1:]] * 2
    texts = [text.get_text().strip() for text in axes.texts]
    assert texts == ["one", "3.50x", "0.70x", "1.30x", "two", "2.00x", "3.00x", "5.00x"]
    assert axes.get_xlim()[1] > 5


def test_intervals_and_ranges():
    frame = pd.DataFrame(rows("one", (1, 3, 2, 4), [(1, 1), (2.5, 7), (1.5, 2.75), (nan, nan)], (1, 3, 2.25, 4)))
    figure = speedup_figure(frame, "t")
    assert bars(figure) == [(1, 0, 3), (2, 0, 2), (2, 2, 0.25), (3, 0, 4)]
    whiskers = [line.get_xdata().tolist() if hasattr(line.get_xdata(), "tolist") else list(line.get_xdata())
                for line in figure.axes[0].lines if line.get_marker() == "|"]  # fmt: skip
    assert whiskers == [[2.5, 7], [1.5, 2.75]]
    assert "2.25x … 2.00x" in [text.get_text() for text in figure.axes[0].texts]
    assert figure.axes[0].get_xlim()[1] > 7


def test_fp32_is_in_sight_of_slower_runs():
    figure = speedup_figure(pd.DataFrame(rows("one", (1, 0.1, 0.2, 0.3))), "t")
    assert figure.axes[0].get_xlim()[1] > 1


def test_the_first_sixty_traces():
    frame = pd.DataFrame([row for i in range(61) for row in rows(f"trace {i}", (1, 2, 3, 4))])
    figure = speedup_figure(frame, "t")
    assert "the first 60 of 61 traces" in [text.get_text() for text in figure.texts]
    assert len(bars(figure)) == 180


@pytest.mark.parametrize("name", ["</script>", "$x^2$", "\x1b[31mred", "\u202eevil", "n" * 9999, "畳み込み", ""])
def test_names_are_drawn_as_they_are(name):
    frame = pd.DataFrame(rows(name, (1, 2, 3, 4))).replace({"training": {"MuPPET": name}})
    assert png(speedup_figure(frame, name, name)).startswith(b"\x89PNG")


def test_mistakes_of_the_program():
    frame = pd.DataFrame(rows("one", (1, 2, 3, 4)))
    for wrong in (frame.iloc[:0], frame.drop(columns="training"), frame.iloc[:3]):
        with pytest.raises(ValueError, match=r"needs rows|four|4 rows|a trace has"):
            speedup_figure(wrong, "t")
