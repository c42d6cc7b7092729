"""Kernels under their roofs: the frame by hand, and what is drawn of it."""

import io
from math import inf

import numpy as np
import pandas as pd
import pytest

from perfmodel.cost.estimate import Prices
from perfmodel.devices import find_device
from perfmodel.errors import Unsupported
from perfmodel.gemm import Gemm, find_precision
from perfmodel.lowering import PASSES, Delay, MemoryOp, Work
from perfmodel.report import style
from perfmodel.report.figures import roofline_figure
from perfmodel.report.roofline import roofline_frame, roofs_frame
from perfmodel.simulate import StepCost

T4 = find_device("t4")
HOSTILE = ("</script>", "$x^2$", "a|b", "\x1b[31mred", "\u202eevil", "n" * 10_000, "畳み込み", "")


def step(*pairs):
    works, seconds = zip(*pairs, strict=True)
    return StepCost(works, Prices(np.array(seconds), ["analytical"] * len(works), [""] * len(works)))


def gemm(layer, pass_, m, n, k, precision="fp16", count=1):
    return Work(layer, pass_, "gemm", Gemm(m, n, k, 1, find_precision(precision)), count)


def points(count=30, precisions=("fp32", "fp16"), names="layer{}"):
    rng = np.random.default_rng(3)
    steps = {
        name: step(*(
            (gemm(names.format(i), pass_, *rng.integers(8, 4000, 3).tolist(), name), rng.uniform(1e-3, 1e-2))
            for i in range(count) for pass_ in ("fprop", "dgrad", "wgrad")
        ), (Work("bn", "fprop", "batch norm", MemoryOp(300.0, 100.0)), 0.5))
        for name in precisions
    }  # fmt: skip
    frame = roofline_frame(steps, T4)
    return frame, roofs_frame(T4, frame["kernel_precision"].unique())


def png(figure):
    file = io.BytesIO()
    style.save(figure, file, "png")
    return file.getvalue()


def panels(figure):
    return [axes for axes in figure.axes if axes.get_xscale() == "log"]


def marks(axes):
    """The points of each pass."""
    found = {}
    for line in axes.lines:
        if line.get_label() in PASSES:
            found.setdefault(line.get_label(), []).append(np.asarray(line.get_xydata()))
    return {pass_: np.concatenate(some) for pass_, some in found.items()}


def test_the_frame_by_hand():
    two = (gemm("a", "fprop", 3, 5, 7, count=2), 0.5)  # 2·2·105 FLOP; bytes 2·2·(21 + 35 + 15) = 284; 1 s
    others = [
        (Work("a", "fprop", "pooling", MemoryOp(30.0, 10.0)), 0.25),
        (Work("a", "fprop", "quantise", Delay(9.0, "given")), 9.0),
    ]
    frame = roofline_frame({"mixed": step(two, *others)}, T4)
    first, second = frame.to_dict("records")
    assert (first["kernel_precision"], first["flop"], first["bytes"], first["time_s"]) == ("fp16", 420, 284, 1.0)
    assert (first["intensity_flop_per_byte"], first["flop_per_s"]) == (pytest.approx(420 / 284), 420)
    assert first["bound_flop_per_s"] == pytest.approx(420 / 284 * T4.dram_bytes_per_s)
    assert (second["kind"], second["bytes"], second["flop"], second["kernel_precision"]) == ("pooling", 40, 0, "")
    assert np.isnan(second["intensity_flop_per_byte"])
    assert len(frame) == 2  # a given time is no kernel


def test_beyond_the_ridge_the_peak_bounds():
    frame = roofline_frame({"fp16": step((gemm("a", "wgrad", 4096, 4096, 4096), 0.01))}, T4)
    (roof,) = roofs_frame(T4, ["fp16", ""]).to_dict("records")
    assert roof["unit"] == "tensor"
    assert roof["ridge_flop_per_byte"] == roof["peak_flop_per_s"] / roof["dram_bytes_per_s"]
    assert frame["bound_flop_per_s"].tolist() == [roof["peak_flop_per_s"]]


def test_a_unit_that_is_not_there():
    with pytest.raises(Unsupported, match=r"^E1103 device p100"):
        roofs_frame(find_device("p100"), ["int8"])


def test_points_are_where_the_frame_says():
    frame, roofs = points(2)
    figure = roofline_figure(frame, roofs, "a title")
    assert [axes.get_title(loc="left").partition(":")[0] for axes in panels(figure)] == ["fp32", "fp16"]
    for axes, precision in zip(panels(figure), ("fp32", "fp16"), strict=True):
        mine = frame[(frame["precision"] == precision) & (frame["flop"] > 0)]
        drawn = marks(axes)
        for pass_, rows in mine.groupby("pass"):
            wanted = np.stack([rows["intensity_flop_per_byte"], rows["flop_per_s"] / 1e12], axis=1)
            assert sorted(drawn[pass_].tolist()) == [pytest.approx(one) for one in sorted(wanted.tolist())]
            (low, high), (bottom, top) = axes.get_xlim(), axes.get_ylim()
            assert (low < wanted[:, 0]).all()
            assert (wanted[:, 0] < high).all()
            assert (bottom < wanted[:, 1]).all()
            assert (wanted[:, 1] < top).all()
        assert len(axes.texts) == 2 + 4  # bandwidth, one peak, and the four heaviest


def test_what_is_not_in_gemms_stands_above():
    figure = roofline_figure(*points(1, ("fp16",)), "t")
    gemm_s = points(1, ("fp16",))[0].query("flop > 0")["time_s"].sum()
    share = 0.5 / (0.5 + gemm_s)
    assert panels(figure)[0].get_title(loc="left") == f"fp16: {share * 100:.1f} % not in GEMMs"


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_drawn_as_they_are(name):
    frame, roofs = points(1, ("fp16",), name.replace("{", "{{").replace("}", "}}") + "{}")
    assert png(roofline_figure(frame, roofs, name, name)).startswith(b"\x89PNG")


def test_thousands_of_layers_are_small_dots():
    frame, roofs = points(3000, ("fp16",))
    (axes,) = panels(roofline_figure(frame, roofs, "t"))
    assert {round(line.get_markersize() ** 2, 9) for line in axes.lines if line.get_label() in PASSES} == {8}
    assert len(axes.texts) == 2 + 4
    assert sum(map(len, marks(axes).values())) == 1000
    assert "the 1,000 longest of 9,000 GEMMs" in [text.get_text() for text in axes.figure.texts]


def test_the_longest_kernels_have_the_largest_marks():
    frame, roofs = points(5, ("fp16",))
    (axes,) = panels(roofline_figure(frame, roofs, "t"))
    sizes = [line.get_markersize() ** 2 for line in axes.lines if line.get_label() in PASSES]
    assert max(sizes) == pytest.approx(130)
    assert min(sizes) >= 8


def test_no_time_at_all():
    frame = roofline_frame({"fp16": step((gemm("a", "fprop", 9, 9, 9), 1.0))}, T4).assign(time_s=0.0, flop_per_s=inf)
    frame["flop_per_s"] = 1.0
    assert png(roofline_figure(frame, roofs_frame(T4, ["fp16"]), "t"))


def test_mistakes_of_the_program():
    frame, roofs = points(1)
    for wrong in (frame.iloc[:0], frame.drop(columns="flop"), frame.assign(flop=0.0)):
        with pytest.raises(ValueError, match=r"needs rows|no GEMM"):
            roofline_figure(wrong, roofs, "t")
    with pytest.raises(ValueError, match="needs rows"):
        roofline_figure(frame, pd.DataFrame(), "t")
