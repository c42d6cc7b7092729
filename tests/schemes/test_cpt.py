"""CPT: forward and backward widths, exceptions by size of image, what is quantised, and the shares of its widths."""

import pytest

from perfmodel.devices import find_device
from perfmodel.networks import find_network
from perfmodel.schemes import bit_operations, find_scheme, first_step, run_stretches
from perfmodel.schemes.formats import StepFormats
from perfmodel.traces import PassPrecision

CPT = find_scheme("cpt")
FP32 = ("fp32", "", "fp32")
INT4, INT8 = ("int4", "", "int32"), ("int8", "", "int32")


def test_it_begins_narrow_forward_and_wide_backward(units):
    assert first_step(CPT) == StepFormats(PassPrecision("int3", "int8", "int8"))
    assert units(CPT) == {
        "first fprop": INT4, "first wgrad": INT8,
        "middle fprop": INT4, "middle dgrad": INT8, "middle wgrad": INT8,
        "last fprop": FP32, "last dgrad": FP32, "last wgrad": FP32,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("device", "forward"), [("t4", INT4), ("h200", ("int8", "int3 timed as int8", "int32"))]
)  # fmt: skip
def test_devices_with_and_without_int4(units, device, forward):
    found = units(CPT, device=find_device(device))
    assert (found["middle fprop"], found["middle dgrad"]) == (forward, INT8)


def test_what_is_quantised(added):
    assert added(CPT) == [  # a maximum first, 4 B and 4 B read, 1 B written; the fully connected layer is left alone
        ("first", "fprop", "quantise", 256, 0, 1), ("first", "fprop", "quantise", 256, 64, 1),
        ("first", "fprop", "quantise", 216, 0, 1), ("first", "fprop", "quantise", 216, 54, 1),
        ("first", "dgrad", "quantise", 384, 0, 1), ("first", "dgrad", "quantise", 384, 96, 1),
        ("middle", "fprop", "quantise", 384, 0, 1), ("middle", "fprop", "quantise", 384, 96, 1),
        ("middle", "fprop", "quantise", 24, 0, 1), ("middle", "fprop", "quantise", 24, 6, 1),
        ("middle", "dgrad", "quantise", 256, 0, 1), ("middle", "dgrad", "quantise", 256, 64, 1),
    ]  # fmt: skip


def wide(name):
    """The layers of a network that stay in FP32."""
    operands = CPT.operands(find_network(name), first_step(CPT))
    return {layer for layer, one in operands.items() if one.format("fprop").name == "fp32"}


def test_exceptions():
    of_resnet18 = wide("resnet18")
    network = {layer.name: layer for layer in find_network("resnet18").gemm_layers}
    assert len(of_resnet18) == 5
    assert sorted((network[name].op, network[name].in_shape[0]) for name in of_resnet18) == [
        ("conv", 3), ("conv", 64), ("conv", 128), ("conv", 256), ("linear", 512),
    ]  # fmt: skip
    assert {network[name].kernel for name in of_resnet18 if network[name].op == "conv"} == {(7, 7), (1, 1)}


@pytest.mark.parametrize(("name", "layers"), [("resnet20", 1), ("alexnet-cifar", 1), ("mobilenetv2", 2)])
def test_exceptions_of_small_images_and_of_networks_without_shortcuts(name, layers):
    network = find_network(name)
    linear = {layer.name for layer in network.gemm_layers if layer.op == "linear"}
    found = wide(name)
    assert linear <= found
    assert (len(found), len(found - linear)) == (layers, name == "mobilenetv2")


def test_bit_operations(network):
    net = network()
    expected = 2 * (864 * (9 + 24) + 96 * (9 + 24 + 24) + 160 * 3 * 1024)
    assert bit_operations(CPT, net, 2, first_step(CPT)) == expected


def test_shares_of_widths():
    # 64,000 iterations in 32 cycles: counts of 2000 as b(t) has them, from the code's formula.
    found = run_stretches(CPT, 1, 64_000)
    assert [(one.formats.precision.fprop, one.formats.precision.wgrad) for one in found] == [
        ((f"int{bits}",), ("int8",)) for bits in range(3, 9)
    ]
    assert [one.iterations / 64_000 for one in found] == [0.2050, 0.1645, 0.1305, 0.1310, 0.1645, 0.2045]


def test_relative_bit_operations():
    """On a network without exceptions the measure is the paper's: its mean over a run, relative to FP32."""
    conv = find_network("resnet20").gemm_layers[3].name  # one of the middle
    net = find_network("resnet20")
    costs = []
    for one in run_stretches(CPT, 1, 64_000):
        operands = CPT.operands(net, one.formats)[conv]
        costs.append(one.iterations * sum(operands.bits(pass_) for pass_ in ("fprop", "dgrad", "wgrad")))
    assert sum(costs) / 64_000 / (3 * 32 * 32) == pytest.approx(0.039579, abs=5e-7)
