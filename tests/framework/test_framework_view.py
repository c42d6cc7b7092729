"""A step as a framework runs it: factors, host times, intervals; and the files that hold them."""

from math import exp, log

import numpy as np
import pytest

from perfmodel.cost.estimate import Prices
from perfmodel.cost.tiles import Tiles
from perfmodel.devices import find_device
from perfmodel.errors import InputError, UnknownName, Unsupported
from perfmodel.framework import FrameworkView, find_framework, framework_names, read_framework
from perfmodel.gemm import Gemm
from perfmodel.lowering import Delay, MemoryOp, Work
from perfmodel.networks import find_network
from perfmodel.schemes import find_scheme
from perfmodel.schemes.formats import StepFormats
from perfmodel.simulate import Setting, StepCost, step_cost

FACTORS = {"conv_3x3": 0.5, "pointwise": 2.0, "conv_other": 3.0, "pooling": 11.0, "forward": 5.0, "backward": 7.0}
VIEW = FrameworkView("mine", "fp32", FACTORS, 0.125, spread=log(2))
MODEL = Tiles(find_device("rtx-2080-ti"))

FILE = """
title = "Mine"
source = "made up"
accumulates_gradients = true
[[views]]
format = "fp32"
conv_3x3 = 0.5
pointwise = 2
conv_other = 3.0
pooling = 11.0
forward = 5.0
backward = 7.0
kernel_us = 13
fitted_on = "nothing"
timings = 13
networks = 1
error_percent = { unseen_network = 17.0 }
"""


def step():
    works = (
        Work("fc", "fprop", "gemm", Gemm(3, 5, 7)),
        Work("relu", "fprop", "activation", MemoryOp(8, 8), 2),
        Work("relu", "dgrad", "activation", MemoryOp(8, 8, "fused")),
        Work("fc", "fprop", "scale", Delay(1.0, "given")),
    )
    basis = ["analytical", "analytical", "analytical", "given"]
    return StepCost(works, Prices(np.array([1.0, 2.0, 4.0, 8.0]), basis, ["128x64", "", "", ""]))


def test_every_kernel_takes_its_factor_and_the_hosts_time():
    scaled = VIEW.scaled(step())
    assert scaled.prices.seconds.tolist() == [2.125, 10.125, 28.0, 8.0]
    assert scaled.total.seconds == 2.125 + 2 * 10.125 + 28 + 8
    assert scaled.prices.basis == ["calibrated", "calibrated", "calibrated", "given"]
    assert scaled.prices.detail == ["128x64", "", "", ""]
    assert scaled.works == step().works


def test_an_estimate_has_the_interval_of_an_unseen_network():
    estimate = VIEW.estimate(step())
    assert (estimate.seconds, estimate.low, estimate.high) == pytest.approx((17.0, 8.5, 34.0))
    assert estimate.basis == "analytical+given"
    unknown = FrameworkView("mine", "fp32", FACTORS, 0.0).estimate(step())
    assert np.isnan([unknown.low, unknown.high]).all()


def resnet(mapping="implicit"):
    formats = StepFormats.everywhere("fp32")
    return step_cost(find_network("resnet18"), 3, find_scheme("fp32"), formats, Setting(MODEL, mapping))


def test_a_neutral_view_that_does_not_accumulate_changes_nothing():
    view = FrameworkView("mine", "fp32", dict.fromkeys(FACTORS, 1.0), 0.0)
    assert view.step(resnet(), MODEL).total.seconds == pytest.approx(resnet().total.seconds)


def test_a_view_that_accumulates_adds_its_kernels():
    view = FrameworkView("mine", "fp32", dict.fromkeys(FACTORS, 1.0), 0.0, accumulates=True)
    more = view.step(resnet(), MODEL).total.seconds - resnet().total.seconds
    parameters, layers = 11_689_512, 21 + 20  # with weights, and batch norms
    rate = 0.82 * 616e9
    assert more == pytest.approx(16 * parameters / rate + 2 * layers * 4e-6)
    half = view.step(resnet(), MODEL, gradient_bytes=2.0).total.seconds - resnet().total.seconds
    assert half == pytest.approx(8 * parameters / rate + 2 * layers * 4e-6)


@pytest.mark.parametrize("mapping", ["im2col", "im2col-per-image"])
def test_explicit_convolutions_are_refused(mapping):
    with pytest.raises(Unsupported, match="E1113 framework view: the step has convolutions as explicit GEMMs"):
        VIEW.step(resnet(mapping), MODEL)


def test_the_bundled_frameworks_read_and_say_what_they_are():
    assert framework_names() == ["pytorch-1.0", "tensorflow-1.15", "tensorflow-1.15-xla"]
    for name in framework_names():
        framework = find_framework(name)
        assert framework.name == name
        assert framework.source
        assert list(framework.views) == ["fp32", "fp16"]
        for format_, view in framework.views.items():
            assert (view.name, view.format) == (name, format_)
            assert view.accumulates == name.startswith("pytorch")
            assert 0 < view.spread < 0.3


def test_frameworks_share_their_librarys_factors_and_have_hosts_of_their_own():
    torch, flow = (find_framework(name).view("fp32") for name in ("pytorch-1.0", "tensorflow-1.15"))
    for group in ("conv_3x3", "pointwise", "conv_other"):
        assert torch.factors[group] == pytest.approx(flow.factors[group], rel=0.02)
    assert torch.factors["conv_3x3"] < 0.7  # Winograd
    assert flow.kernel_s > 2 * torch.kernel_s


def test_a_small_networks_inference_takes_longer_in_a_framework_than_its_kernels():
    view = find_framework("pytorch-1.0").view("fp32")
    step = resnet()
    assert view.step(step, MODEL, "forward").total.seconds > 75 * view.kernel_s  # one launch for each of its layers
    assert view.step(step, MODEL, "forward").total.seconds < view.step(step, MODEL, "gradients").total.seconds


def test_a_file_reads(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(FILE, encoding="utf-8")
    view = find_framework(str(path)).view("fp32")
    assert view == FrameworkView("mine", "fp32", FACTORS, 13e-6, True, view.spread)
    assert np.isnan(view.spread)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("forward = 5.0\n", "", "E1210 .*: views[0].forward: is missing"),
        ("forward = 5.0", 'forward = "5"', "E1211 .*: views[0].forward: '5' is not a number"),
        ("forward = 5.0", "forward = 0", "E1212 .*: views[0].forward: 0 is not a number above 0"),
        ("forward = 5.0", "forward = nan", "E1212 .*: views[0].forward: nan is not"),
        ("kernel_us = 13", "kernel_us = -1", "E1212 .*: views[0].kernel_us: -1 is not"),
        ("forward = 5.0", "forward = 5.0\nforwards = 1", "E1213 .*: views[0].forwards: is not a key"),
        ('source = "made up"', 'source = " "', "E1211 .*: source: is blank"),
        ("timings = 13", "timings = 0", "E1212 .*: views[0].timings: 0 is not between 1"),
        ("true", "1", "E1211 .*: accumulates_gradients: 1 is not"),
        ("[[views]]", "[views]", "E1211 .*: views: .* is not a list of tables"),
    ],
)
def test_a_slip_in_a_file_is_told_with_its_place(tmp_path, old, new, message):
    path = tmp_path / "mine.toml"
    path.write_text(FILE.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match=message.replace("[", r"\[").replace("]", r"\]")):
        read_framework(path)


def test_a_format_twice_and_a_file_without_views_are_told(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(FILE + FILE[FILE.index("[[views]]") :], encoding="utf-8")
    with pytest.raises(InputError, match=r"E1211 .*views\[1\].format: fp32 stands here twice"):
        read_framework(path)
    path.write_text('title = "Mine"\nsource = "made up"\nviews = []\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"E1210 .*views: is empty"):
        read_framework(path)


def test_names_and_formats_that_are_not_there_are_told():
    with pytest.raises(UnknownName, match=r"E1014 framework 'pytorch-1.1' is not known. Did you mean pytorch-1.0\?"):
        find_framework("pytorch-1.1")
    with pytest.raises(Unsupported, match=r"E1112 framework pytorch-1.0: has no constants for int8"):
        find_framework("pytorch-1.0").view("int8")


def test_an_interval_is_what_its_spread_says():
    assert VIEW.estimate(step()).high / VIEW.estimate(step()).low == pytest.approx(exp(2 * log(2)))
