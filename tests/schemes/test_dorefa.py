"""DoReFa-Net: 1, 2 and 6 bits, but for the first and the last layer."""

from perfmodel.devices import find_device
from perfmodel.schemes import bit_operations, find_scheme, first_step

DOREFA = find_scheme("dorefa")


def test_units(units):
    fp32 = ("fp32", "", "fp32")
    expected = {
        "first fprop": fp32, "first wgrad": fp32,
        "middle fprop": ("int4", "", "int32"), "middle dgrad": ("int8", "", "int32"),
        "middle wgrad": ("int8", "", "int32"),
        "last fprop": fp32, "last dgrad": fp32, "last wgrad": fp32,
    }  # fmt: skip
    assert units(DOREFA) == units(DOREFA, device=find_device("a100")) == expected
    expected["middle fprop"] = ("int8", "int2 timed as int8", "int32")
    assert units(DOREFA, device=find_device("h100-sxm")) == expected


def test_what_it_adds(added):
    assert added(DOREFA) == [  # the inputs are clipped: no maximum
        ("middle", "fprop", "quantise", 24, 0, 1), ("middle", "fprop", "quantise", 24, 6, 1),
        ("middle", "dgrad", "quantise", 256, 0, 1), ("middle", "dgrad", "quantise", 256, 64, 1),
        ("middle", "fprop", "quantise", 384, 96, 1),
    ]  # fmt: skip
    assert [row[3:5] for row in added(DOREFA, kinds=("update",))] == [(648, 432), (72, 48), (1980, 1320)]


def test_bit_operations(network):
    # middle: activations 2 x weights 1, errors 6 x weights 1, errors 6 x activations 2
    expected = 2 * (864 * 2 * 1024 + 96 * (2 + 6 + 12) + 160 * 3 * 1024)
    assert bit_operations(DOREFA, network(), 2, first_step(DOREFA)) == expected
