"""A training step as kernels: what goes into it, formats of single layers, and that every combination has a price."""

import math
from functools import cache

import numpy as np
import pytest

from perfmodel.cost import Roofline, Tiles
from perfmodel.cost.estimate import price
from perfmodel.devices import device_names, find_device
from perfmodel.errors import InputError, Unsupported
from perfmodel.gemm import Gemm
from perfmodel.lowering import MAPPINGS
from perfmodel.networks import find_network, network_names, read_network
from perfmodel.schemes import Overhead, find_scheme, first_step, scheme_names, training_step
from perfmodel.schemes.formats import StepFormats
from perfmodel.traces import PassPrecision, Segment

RESIDUAL = """
title = "A residual block"
source = "made up"
input = [2, 4, 4]
layers = [
  { op = "conv", name = "first", out = 3, kernel = 1, bias = false },
  { op = "conv", name = "second", out = 3, kernel = 3, pad = 1, bias = false },
  { op = "add", name = "sum", from = ["first", "second"] },
  { op = "linear", name = "fc", out = 5, bias = false },
]
"""
# Devices on which a scheme has no unit for one of its formats, and no proxy; without a format, for its first step.
LACKING = {("muppet", format_): {"p100"} for format_ in ("dfx6", "dfx8", "")} | {
    (name, ""): {"p100"} for name in ("cpt", "dorefa", "fxpnet", "hbfp", "hbfp-tensor")
}


@pytest.fixture
def residual(tmp_path):
    path = tmp_path / "residual.toml"
    path.write_text(RESIDUAL)
    return read_network(path)


def test_a_gradient_of_two_readers_is_summed_once(residual):
    step = training_step(residual, 2, find_scheme("mixed"), StepFormats.everywhere("fp16"), "implicit", Overhead())
    joins = [
        (w.layer, w.pass_, w.kernel.bytes_read, w.kernel.bytes_written, w.count) for w in step if w.kind == "add/concat"
    ]
    # 96 elements of 2 B: the sum reads both inputs; where `first` feeds two layers, two gradients are added.
    assert joins == [("sum", "fprop", 384, 192, 1), ("first", "dgrad", 384, 192, 1)]


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_every_trained_layer_has_its_passes(residual, mapping):
    step = training_step(residual, 2, find_scheme("fp32"), StepFormats.everywhere("fp32"), mapping, Overhead())
    gemms = {(work.layer, work.pass_) for work in step if work.kind == "gemm"}
    assert gemms == {
        ("first", "fprop"), ("first", "wgrad"),
        ("second", "fprop"), ("second", "dgrad"), ("second", "wgrad"),
        ("fc", "fprop"), ("fc", "dgrad"), ("fc", "wgrad"),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["conv9", "", "first ", "\x1b[31m", "x" * 10_000, "relu"])
def test_an_unknown_layer(residual, name):
    formats = StepFormats(PassPrecision.same("dfx8"), ((name, PassPrecision.same("fp32")),))
    with pytest.raises(InputError, match=r"^E1108 residual: layer with a GEMM '.* is not known\. ") as error:
        training_step(residual, 2, find_scheme("muppet"), formats, "implicit", Overhead())
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 200


def test_formats_of_a_segment():
    layers = {"fc": "fp32", "a": {"fprop": "fp32", "dgrad": "dfx8", "wgrad": "dfx12"}}
    formats = StepFormats.of_segment(Segment(3, 10, PassPrecision.same("dfx8"), layers=layers))
    assert [formats.find("fc", pass_).name for pass_ in ("fprop", "dgrad", "wgrad")] == ["fp32", "fp32", "fp32"]
    assert [formats.find("a", pass_).name for pass_ in ("fprop", "dgrad", "wgrad")] == ["fp32", "dfx8", "dfx12"]
    assert [formats.find("other", pass_).name for pass_ in ("fprop", "dgrad", "wgrad")] == ["dfx8", "dfx8", "dfx8"]
    assert formats.label == "dfx8*"
    reordered = Segment(9, 1, PassPrecision.same("dfx8"), layers=dict(reversed(layers.items())))
    assert formats == StepFormats.of_segment(reordered)  # so that the step is priced once


@pytest.mark.parametrize(
    ("passes", "label"),
    [(("fp32", "fp32", "fp32"), "fp32"), (("fp8_e4m3", "fp8_e5m2", "fp8_e5m2"), "fp8_e4m3/fp8_e5m2")],
)
def test_labels(passes, label):
    assert StepFormats(PassPrecision(*passes)).label == label


@pytest.mark.parametrize(
    ("scheme", "format_"), [("fp32", "fp16"), ("mixed", "fp32"), ("mixed", "dfx8"), ("muppet", "fp16")]
)
def test_a_format_that_the_scheme_does_not_train_in(residual, scheme, format_):
    with pytest.raises(Unsupported, match=rf"^E1104 scheme {scheme}: does not train in {format_}"):
        training_step(residual, 2, find_scheme(scheme), StepFormats.everywhere(format_), "implicit", Overhead())


@cache
def steps(scheme, format_, networks, device):
    """The kernels of one step of each network; without a format, of the scheme's first step."""
    found = find_scheme(scheme)
    formats = StepFormats.everywhere(format_) if format_ else first_step(found)
    chip = find_device(device) if device else None
    return {
        name: training_step(find_network(name), 256, found, formats, "implicit", Overhead(), chip) for name in networks
    }


def check_prices(model, scheme, format_, networks, device=None):
    """Every step of a scheme in one format has a time on the model's device, or the device has no unit for it."""
    works = steps(scheme, format_, networks, device)
    kernels = [work.kernel for step in works.values() for work in step]
    if model.device.name in LACKING.get((scheme, format_), ()):
        with pytest.raises(Unsupported, match=rf"^E1103 device {model.device.name}: has no unit for int8\."):
            price(model, kernels)
        return
    seconds = price(model, kernels).seconds
    assert np.isfinite(seconds).all()
    assert (seconds > 0).all()
    ends = np.cumsum([len(step) for step in works.values()])
    for step, part in zip(works.values(), np.split(seconds, ends[:-1]), strict=True):
        assert 1e-6 < math.fsum(part) < 100  # a step takes neither nothing (digits-cnn: 9 µs of H200) nor minutes
        assert any(isinstance(work.kernel, Gemm) for work in step)


COMBINATIONS = [(name, format_) for name in ("fp32", "mixed", "muppet") for format_ in find_scheme(name).formats]


@pytest.mark.parametrize("device", device_names())
@pytest.mark.parametrize(("scheme", "format_"), COMBINATIONS)
def test_everything_has_a_roofline(scheme, format_, device):
    check_prices(Roofline(find_device(device)), scheme, format_, tuple(network_names()))


@pytest.mark.parametrize("device", device_names())
@pytest.mark.parametrize(("scheme", "format_"), COMBINATIONS)
def test_everything_has_a_price(scheme, format_, device):
    check_prices(Tiles(find_device(device)), scheme, format_, tuple(network_names()))


@pytest.mark.parametrize("device", device_names())
@pytest.mark.parametrize("scheme", scheme_names())
def test_every_scheme_has_a_price(scheme, device):
    check_prices(Tiles(find_device(device)), scheme, "", ("resnet20", "googlenet-aux", "mobilenetv2"), device)


def test_layers_of_one_shape_share_kernels_and_keep_their_names(network):
    net = network("""
title = "Twins"
source = "made up"
input = [4, 8, 8]
layers = [
  { op = "conv", name = "a", out = 4, kernel = 3, pad = 1 },
  { op = "relu", name = "r" },
  { op = "conv", name = "b", out = 4, kernel = 3, pad = 1 },
  { op = "relu", name = "s" },
  { op = "conv", name = "c", out = 4, kernel = 3, pad = 1, stride = 2 },
]
""")
    found = {}
    for work in training_step(net, 2, find_scheme("mixed"), StepFormats.everywhere("fp16"), "implicit", Overhead()):
        found.setdefault(work.layer, []).append(work)
    kernels = {
        name: {(work.pass_, work.kind): work.kernel for work in works if work.pass_ != "dgrad"}
        for name, works in found.items()
    }
    assert kernels["a"] == kernels["b"]
    assert kernels["a"]["fprop", "gemm"] is kernels["b"]["fprop", "gemm"]
    assert kernels["r"] == kernels["s"]
    assert kernels["a"]["fprop", "gemm"] != kernels["c"]["fprop", "gemm"]
    assert [work.pass_ for work in found["a"] if work.kind == "gemm"] == ["fprop", "wgrad"]
    assert [work.pass_ for work in found["b"] if work.kind == "gemm"] == ["fprop", "dgrad", "wgrad"]
