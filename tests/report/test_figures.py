"""Figures: the bars are the frame's sums, nothing overlaps, and names are drawn as they are."""

import io

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text

from perfmodel.lowering import KINDS, PASSES
from perfmodel.report import style
from perfmodel.report.figures import breakdown_figure, timeline_figure
from perfmodel.report.run_figure import shaded_words

PRECISIONS = ("fp32", "dfx8")
LADDER = ("fp32", "dfx8", "dfx12", "dfx14", "dfx16")
WORK = (("fprop", "gemm"), ("dgrad", "gemm"), ("wgrad", "gemm"), ("fprop", "pooling"), ("update", "update"))
HOSTILE = ("</script>", "$x^2$", "$\\frac{1}", "a|b", "=1+1", "\x1b[31mred", "\u202eevil", "n" * 10_000, "畳み込み", "")


def step_frame(layers, precisions=PRECISIONS, work=WORK):
    rows = [(p, layer, pass_, kind) for p in precisions for layer in layers for pass_, kind in work]
    frame = pd.DataFrame(rows, columns=["precision", "layer", "pass", "kind"])
    return frame.assign(time_s=np.random.default_rng(1).uniform(1e-5, 1e-3, len(rows)))


def run_frame(precisions, hours=0.2, after_end=20, **more):
    """A run of these formats, one an epoch, beside baselines that go on for 20 epochs."""
    total = len(precisions) + after_end
    run = np.cumsum([hours * (0.5 if p != "fp32" else 1.0) for p in precisions])
    return pd.DataFrame({
        "epoch": range(total),
        "precision": [*precisions, *[None] * after_end],
        "run_hours": [*run, *[np.nan] * after_end],
        "fp32_hours": hours * np.arange(1, total + 1),
        "mixed_hours": hours * 0.6 * np.arange(1, total + 1),
    }).assign(**more)  # fmt: skip


CLIMB = ["dfx8"] * 30 + ["dfx12"] * 9 + ["dfx16"] * 9 + ["fp32"] * 44


def panels(figure):
    """The axes with bars, without that of the legend."""
    return [axes for axes in figure.axes if axes.containers]


def bar_sums(axes):
    """Milliseconds of each container by its label."""
    return {bars.get_label(): sum(bar.get_width() for bar in bars) for bars in axes.containers}


def row_sums(axes):
    """Milliseconds of each row, top to bottom."""
    sums = np.zeros(len(axes.get_yticks()))
    for bar in (bar for bars in axes.containers for bar in bars):
        sums[round(bar.get_y() + bar.get_height() / 2)] += bar.get_width()
    return sums


def boxes(texts, figure):
    """Where the texts are drawn; of an annotation without its line, which may cross what it likes."""
    figure.draw_without_rendering()
    return [Text.get_window_extent(text) for text in texts if text.get_visible() and text.get_text()]


def tick_labels(axis):
    """The labels of an axis that are drawn: matplotlib keeps some beyond its ends."""
    low, high = sorted(axis.get_view_interval())
    ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    return [label for tick in ticks for label in (tick.label1, tick.label2)]


def apart(found):
    """Whether no two of the boxes overlap."""
    return not any(a.overlaps(b) for i, a in enumerate(found) for b in found[i + 1 :])


def inside(found, figure):
    width, height = figure.get_size_inches() * figure.dpi
    return all(b.x0 >= 0 and b.y0 >= 0 and b.x1 <= width and b.y1 <= height for b in found)


def svg(figure):
    file = io.BytesIO()
    style.save(figure, file, "svg")
    return file.getvalue().decode()


# ---- breakdown -------------------------------------------------------------------------------------------------------


def test_bars_by_layer_are_the_sums():
    layers = [f"conv{i}" for i in range(9)]
    frame = step_frame(layers)
    frame = pd.concat([frame, frame.iloc[:7]])  # the same work twice adds up
    figure = breakdown_figure(frame, "t")
    for axes, precision in zip(panels(figure), PRECISIONS, strict=True):
        here = frame[frame["precision"] == precision]
        expected = here.groupby("layer")["time_s"].sum()[layers] * 1e3
        assert row_sums(axes) == pytest.approx(expected.to_numpy())
        gemm = here[here["kind"] == "gemm"].groupby("pass")["time_s"].sum() * 1e3
        parts = bar_sums(axes)
        assert {name: parts[f"GEMM {name}"] for name in PASSES} == pytest.approx(gemm.to_dict())
        assert parts["pooling"] == pytest.approx(here[here["kind"] == "pooling"]["time_s"].sum() * 1e3)
    assert [text.get_text() for text in panels(figure)[0].get_yticklabels()] == layers


def test_stacked_bars_touch():
    (axes, _) = panels(breakdown_figure(step_frame(["a", "b"]), "t"))
    for row in (0, 1):
        bars = [container[row] for container in axes.containers]
        ends = np.cumsum([bar.get_width() for bar in bars])
        assert [bar.get_x() for bar in bars] == pytest.approx([0, *ends[:-1]])


@pytest.mark.parametrize("by", ["pass", "kind"])
def test_grouped_bars_are_the_sums(by):
    frame = step_frame(["a", "b"], ("fp32", "dfx8", "mine"))
    (axes,) = panels(breakdown_figure(frame, "t", by))
    names = sorted(set(frame[by]), key=[*PASSES, *KINDS].index)
    for bars, precision in zip(axes.containers, ("fp32", "dfx8", "mine"), strict=True):
        expected = frame[frame["precision"] == precision].groupby(by)["time_s"].sum()[names] * 1e3
        assert bars.get_label() == precision
        assert [bar.get_width() for bar in bars] == pytest.approx(expected.to_list())
    assert len({to_hex(bars[0].get_facecolor()) for bars in axes.containers}) == 3


def test_grouped_bars_leave_out_what_a_precision_does_not_do():
    frame = step_frame(["a"])
    frame.loc[(frame["precision"] == "dfx8") & (frame["kind"] == "pooling"), "kind"] = "quantise"
    (axes,) = panels(breakdown_figure(frame, "t", "kind"))
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == ["GEMM", "pooling", "update", "quantise"]
    assert [[round(bar.get_y() + 0.2) for bar in bars] for bars in axes.containers] == [[0, 1, 2], [0, 2, 3]]


def test_axes_start_at_zero_are_linear_and_shared():
    for by in ("layer", "pass", "kind"):
        found = panels(breakdown_figure(step_frame(["a", "b"]), "t", by))
        assert {axes.get_xlim() for axes in found} == {found[0].get_xlim()}
        assert all(axes.get_xlim()[0] == 0 and axes.get_xscale() == "linear" for axes in found)


def test_titles_say_the_total():
    frame = step_frame(["a"]).assign(time_s=0.0025)
    titles = [axes.get_title() for axes in panels(breakdown_figure(frame, "t"))]
    assert titles == ["fp32: 12.5 ms", "dfx8: 12.5 ms"]


@pytest.mark.parametrize(
    ("count", "precisions"),
    [(9, PRECISIONS[:1]), (1, LADDER), (9, LADDER), (64, LADDER), (9, PRECISIONS), (64, PRECISIONS), (200, PRECISIONS)],
)
def test_no_label_overlaps_and_the_legend_covers_no_bar(count, precisions):
    figure = breakdown_figure(step_frame([f"layer_{i}" for i in range(count)], precisions), "A title of some length")
    found = panels(figure)
    rows = boxes(found[0].get_yticklabels(), figure)
    numbers = boxes([text for axes in found for text in tick_labels(axes.xaxis)], figure)
    titles = boxes([axes.title for axes in found], figure)
    assert len(rows) == count
    assert apart(rows)
    assert apart(numbers + titles + boxes(figure.texts, figure))
    assert inside(rows + numbers + titles + boxes(figure.texts, figure), figure)
    (legend,) = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    legend_box = legend.get_window_extent()
    assert inside([legend_box], figure)
    assert not any(legend_box.overlaps(axes.get_window_extent()) for axes in found)


@pytest.mark.parametrize("by", ["pass", "kind"])
def test_numbers_behind_grouped_bars_do_not_overlap(by):
    work = [(PASSES[i % 3], kind) for i, kind in enumerate(KINDS)]
    figure = breakdown_figure(step_frame(["a"], LADDER, work), "t", by)
    (axes,) = panels(figure)
    found = boxes(axes.texts, figure)
    assert len(found) == len(LADDER) * (len(KINDS) if by == "kind" else 3)
    assert apart(found)
    assert inside(found, figure)


def test_many_layers_are_added_up_and_the_figure_says_so():
    layers = [f"layer{i}.{j}.conv{k}" for i in range(4) for j in range(10) for k in range(3)]
    frame = step_frame(["conv1", *layers, "fc"])
    figure = breakdown_figure(frame, "t")
    (axes, _) = panels(figure)
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels[:3] == ["conv1", "layer0.0", "layer0.1"]
    assert len(labels) == 42
    assert "122 layers in 42 rows, added up by the first 2 parts of their names." in svg(figure)
    total = frame[frame["precision"] == "fp32"]["time_s"].sum()
    assert row_sums(axes).sum() == pytest.approx(total * 1e3)


def test_sixty_layers_are_shown_one_by_one():
    figure = breakdown_figure(step_frame([f"a.{i}" for i in range(60)]), "t")
    assert len(panels(figure)[0].get_yticks()) == 60
    assert len(figure.texts) == 1  # no subtitle


def test_more_rows_than_a_picture_holds_are_left_out_aloud():
    frame = step_frame([f"layer{i}" for i in range(300)]).sort_values("time_s", ascending=False)
    figure = breakdown_figure(frame, "t")
    assert len(panels(figure)[0].get_yticks()) == 240
    drawn = " ".join(text.get_text() for text in figure.texts)
    assert "The 240 rows that take longest. The other 60 take" in drawn
    assert "they are not drawn" in drawn
    total = frame[frame["precision"] == "fp32"]["time_s"].sum()
    assert f"fp32: {total * 1e3:.0f} ms" in {axes.get_title() for axes in panels(figure)}  # of all layers


def test_a_layer_of_one_precision_stands_where_it_belongs():
    frame = pd.concat([step_frame(["a", "c"], ["fp32"]), step_frame(["input", "a", "b", "c", "d"], ["dfx8"])])
    (axes, _) = panels(breakdown_figure(frame, "t"))
    assert [text.get_text() for text in axes.get_yticklabels()] == ["input", "a", "b", "c", "d"]


def test_names_are_drawn_as_they_are():
    figure = breakdown_figure(step_frame(HOSTILE), "$\\alpha$ \x1b[0m" + "x" * 1000)
    text = svg(figure)
    assert "$x^2$" in text
    assert "$\\alpha$ \\x1b[0m" in text
    assert "&lt;/script&gt;" in text
    assert "\\u202eevil" in text
    assert "\x1b" not in text
    labels = [label.get_text().replace(r"\$", "$") for label in panels(figure)[0].get_yticklabels()]
    assert max(map(len, labels)) <= style.LONGEST_NAME


def test_unknown_kinds_and_passes_keep_their_time():
    frame = step_frame(["a"], work=[("fprop", "gemm"), ("other", "gemm"), ("fprop", "fft"), ("other", "loss")])
    for by in ("layer", "pass", "kind"):
        for axes in panels(breakdown_figure(frame, "t", by)):
            assert row_sums(axes).sum() > 0
    (axes, _) = panels(breakdown_figure(frame, "t"))
    assert sum(bar_sums(axes).values()) == pytest.approx(frame["time_s"][:4].sum() * 1e3)


@pytest.mark.parametrize("by", ["layer", "pass", "kind"])
def test_a_step_without_time_is_drawn(by):
    svg(breakdown_figure(step_frame(["a"]).assign(time_s=0.0), "t", by))


def test_frames_that_are_no_steps_are_refused():
    frame = step_frame(["a"])
    for wrong in (frame.iloc[:0], frame.drop(columns="kind"), frame.assign(time_s=np.nan), frame.assign(time_s=-1.0)):
        with pytest.raises(ValueError, match=r"time_s|columns"):
            breakdown_figure(wrong, "t")
    with pytest.raises(ValueError, match="by must be"):
        breakdown_figure(frame, "t", "colour")


# ---- timeline --------------------------------------------------------------------------------------------------------


def test_lines_are_the_hours():
    frame = run_frame(CLIMB)
    below = timeline_figure(frame, "t").axes[1]
    lines = {line.get_label(): line for line in below.lines}
    for label, column in {"FP32": "fp32_hours", "mixed precision": "mixed_hours", "this run": "run_hours"}.items():
        known = frame.dropna(subset=column)
        assert list(lines[label].get_xdata()) == [0, *(known["epoch"] + 1)]
        assert list(lines[label].get_ydata()) == pytest.approx([0, *known[column]])
    assert below.get_yscale() == "linear"
    assert [text.get_text() for text in below.texts] == [
        "mixed precision: 13:26 h",
        "this run: 13:36 h",
        "FP32: 22:24 h",
    ]


def test_intervals_are_shaded_and_rule_the_digits():
    frame = run_frame(CLIMB)
    wide = frame.assign(
        run_interval_low_hours=lambda f: f.run_hours * 0.8, run_interval_high_hours=lambda f: f.run_hours * 1.3,
        fp32_interval_low_hours=np.nan, fp32_interval_high_hours=np.nan,
    )  # fmt: skip
    below = timeline_figure(wide, "t").axes[1]
    assert shaded_words(wide).startswith(" Shaded: 90 % intervals.")
    assert (
        shaded_words(frame)
        == shaded_words(wide.assign(run_interval_low_hours=np.nan, run_interval_high_hours=np.nan))
        == ""
    )
    (shade,) = below.collections
    corners = shade.get_paths()[0].get_extents()
    assert (corners.x0, corners.y0, corners.x1, corners.y1) == pytest.approx((0, 0, 92, 13.6 * 1.3))
    assert [text.get_text() for text in below.texts] == [
        "mixed precision: 13:26 h",
        "this run: 13:40 h",  # 10.9 to 17.7
        "FP32: 22:24 h",
    ]
    assert below.get_title(loc="left") == "hours since the start"
    far = wide.assign(run_interval_high_hours=wide.run_hours * 1e6, run_hours=wide.run_hours / 60)
    far = far.assign(fp32_hours=np.nan, mixed_hours=np.nan)
    unit = timeline_figure(far, "t").axes[1].get_title(loc="left")
    assert unit == "minutes since the start"  # of the curves, however far the interval reaches
    long = run_frame(["dfx8"] * 5000)
    long = long.assign(run_interval_low_hours=long.run_hours / 2, run_interval_high_hours=long.run_hours * 2)
    path = timeline_figure(long, "t").axes[1].collections[0].get_paths()[0]
    assert len(path.vertices) < 5000
    assert path.get_extents().y1 == pytest.approx(long.run_interval_high_hours.max())


def test_steps_are_the_precisions():
    above = timeline_figure(run_frame(CLIMB), "t").axes[0]
    steps = [path.get_extents() for bars in above.collections for path in bars.get_paths()]
    assert [(step.x0, step.x1) for step in steps] == [(0, 30), (30, 39), (39, 48), (48, 92)]
    assert [text.get_text() for text in above.get_yticklabels()] == ["8-bit", "12-bit", "16-bit", "FP32"]
    assert [text.get_text() for text in above.texts] == ["30 epochs", "9 epochs", "9 epochs", "44 epochs"]


def test_unknown_precisions_are_named_as_such():
    above = timeline_figure(run_frame(["dfx8|dfx12|dfx14|dfx16"] * 69 + ["fp32"] * 44), "t").axes[0]
    assert [text.get_text() for text in above.get_yticklabels()] == ["8–16-bit (not known)", "FP32"]
    assert above.collections[0].get_hatch()
    assert to_hex(above.collections[1].get_facecolor()[0]) == style.PRECISION_COLOR["fp32"].lower()


CASES = {
    "climb": run_frame(CLIMB),
    "band": run_frame(CLIMB).assign(
        run_low_hours=lambda f: f.run_hours * 0.9, run_high_hours=lambda f: f.run_hours * 1.1
    ),
    "bounds only": run_frame(CLIMB).assign(
        run_low_hours=lambda f: f.run_hours * 0.9, run_high_hours=lambda f: f.run_hours * 1.1, run_hours=np.nan
    ),
    "all alike": run_frame(["fp32"] * 50, after_end=0).assign(mixed_hours=lambda f: f.fp32_hours),
    "minutes": run_frame(CLIMB, hours=1e-3),
    "days": run_frame(CLIMB, hours=20.0),
    "no mixed": run_frame(CLIMB, mixed_hours=np.nan),
    "one epoch": run_frame(["dfx8"], after_end=0),
    "cyclic": run_frame(["dfx8", "dfx8", "fp32"] * 40),
    "steep": run_frame([f"dfx{bits}" for bits in (8, 12, 14, 16)] + ["fp32"] * 300),
    "late": run_frame(["fp32"] * 300 + ["dfx8"], after_end=0),
    "no run": run_frame([], after_end=20),
}


@pytest.mark.parametrize("case", CASES)
def test_no_text_of_a_timeline_overlaps(case):
    figure = timeline_figure(CASES[case], "A title", "A note about the basis. " * 20)
    above, below = figure.axes
    texts = [text for axis in (above.yaxis, below.xaxis, below.yaxis) for text in tick_labels(axis)]
    texts += [above._left_title, below._left_title, below.xaxis.label, *below.texts, *above.texts, *figure.texts]
    found = boxes(texts, figure)
    assert len(found) > 8
    assert apart(found)
    assert inside(found, figure)


def test_hours_of_a_band_are_said():
    below = timeline_figure(CASES["band"], "t").axes[1]
    assert any(text.get_text() == "this run: 13:36 h\n(12:14 h to 14:58 h)" for text in below.texts)
    assert len(below.collections) == 1


def test_bounds_are_drawn_and_said_without_a_point_between_them():
    below = timeline_figure(CASES["bounds only"], "t").axes[1]
    assert any(text.get_text() == "this run: 12:14 h to 14:58 h" for text in below.texts)
    ends = sorted(line.get_ydata()[-1] for line in below.lines if line.get_color() == style.BLACK)
    assert ends == pytest.approx([13.6 * 0.9, 13.6 * 1.1], rel=1e-3)


def test_frames_that_are_no_runs_are_refused():
    frame = run_frame(CLIMB)
    for wrong in (frame.iloc[:0], frame.drop(columns="run_hours"), frame.iloc[::-1], pd.concat([frame, frame])):
        with pytest.raises(ValueError, match=r"columns|ascend"):
            timeline_figure(wrong, "t")


# ---- both ------------------------------------------------------------------------------------------------------------


def test_svg_is_the_same_twice_and_its_text_is_text():
    def draw():
        return svg(breakdown_figure(step_frame(["conv1"]), "One step")) + svg(
            timeline_figure(run_frame(CLIMB), "A run")
        )

    first = draw()
    assert first == draw()
    assert "conv1</text>" in first
    assert "<dc:date>" not in first


def test_figures_do_not_depend_on_settings_of_the_user_nor_change_them():
    expected = svg(breakdown_figure(step_frame(["a"]), "t"))
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "text.usetex": True, "figure.dpi": 300}):
        before = {key: matplotlib.rcParams[key] for key in ("font.size", "text.usetex", "svg.fonttype")}
        assert svg(breakdown_figure(step_frame(["a"]), "t")) == expected
        assert before == {key: matplotlib.rcParams[key] for key in before}


def test_every_kind_of_work_and_pass_has_a_look_of_its_own():
    parts = [f"GEMM {name}" for name in PASSES] + [kind for kind in KINDS if kind != "gemm"]
    looks = [tuple(style.part_style(part).values()) for part in parts]
    assert set(style.KIND_COLOR) == set(KINDS)
    assert len(set(looks)) == len(looks)
