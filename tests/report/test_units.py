"""The note that says which unit of the chip runs each GEMM precision, what it sums in, and at which clock."""

import pytest

from perfmodel.cost import Roofline
from perfmodel.devices import find_device
from perfmodel.networks import find_network
from perfmodel.report.units import units_note
from perfmodel.schemes import find_breakdown_scheme
from perfmodel.simulate import Setting, step_cost


def note(device_name, *precisions):
    device, network, steps = find_device(device_name), find_network("resnet20"), []
    for precision in precisions:
        scheme, formats = find_breakdown_scheme(precision)
        steps.append(step_cost(network, 4, scheme, formats, Setting(Roofline(device))))
    return units_note(device, iter(steps))


@pytest.mark.parametrize(
    ("device", "precisions", "text"),
    [
        (
            "rtx-2080-ti", ("fp32", "fp16", "int8"),
            "GEMMs on rtx-2080-ti at 1750 MHz: fp32 (sums in fp32) on CUDA cores, fp16 (sums in fp32) on tensor "
            "cores, int8 (sums in int32) on tensor cores.",
        ),
        ("t4", ("dfx8",), "GEMMs on t4 at 1350 MHz: int8 (sums in int32) on tensor cores."),
        ("t4", ("fp16+fp16",), "GEMMs on t4 at 1350 MHz: fp16 (sums in fp16) on tensor cores."),
        # In the order of the steps.
        (
            "t4", ("int8", "fp32"),
            "GEMMs on t4: int8 (sums in int32) on tensor cores at 1350 MHz, fp32 (sums in fp32) on CUDA cores at 892 "
            "MHz.",
        ),
        # Mixed precision and MuPPET's 12 to 16 bits differ in what they write: one unit, named once.
        ("t4", ("fp16", "dfx12", "dfx16"), "GEMMs on t4 at 1350 MHz: fp16 (sums in fp32) on tensor cores."),
    ],
)  # fmt: skip
def test_units(device, precisions, text):
    assert note(device, *precisions) == text


@pytest.mark.parametrize("device", ["gtx-1080-ti", "p4", "v100"])
def test_int8_without_tensor_cores(device):
    assert note(device, "int8").endswith(" MHz: int8 (sums in int32) on CUDA cores (DP4A).")


def test_fp16_without_tensor_cores():
    assert note("p100", "fp16").endswith(" MHz: fp16 (sums in fp32) on CUDA cores.")
