"""FP8 three ways: formats, units with and without FP8, what is quantised and cast, the update."""

import pytest

from perfmodel.devices import find_device
from perfmodel.networks import find_network
from perfmodel.schemes import bit_operations, find_scheme, first_step

FP16 = ("fp16", "", "fp16")
CHECKS = [
    ("first", "update", "cast", 108, 108, 1), ("middle", "update", "cast", 12, 12, 1),
    ("last", "update", "cast", 330, 330, 1),
]  # fmt: skip


def layers(first, middle, last):
    """The same for all passes of a layer."""
    return {
        f"{name} {pass_}": unit
        for name, unit in (("first", first), ("middle", middle), ("last", last))
        for pass_ in ("fprop", "dgrad", "wgrad")
        if (name, pass_) != ("first", "dgrad")
    }


@pytest.mark.parametrize(
    ("device", "middle"),
    [
        (None, ("fp8_e5m2", "", "fp16")),
        ("h200", ("fp8_e5m2", "", "fp16")),
        ("rtx-2080-ti", ("fp16", "fp8_e5m2 timed as fp16", "fp16")),
        ("p100", ("fp16", "fp8_e5m2 timed as fp16", "fp16")),
    ],
)
def test_first_and_last_layer_stay_in_fp16(units, device, middle):
    device = device and find_device(device)
    assert units(find_scheme("fp8"), device=device) == layers(FP16, middle, FP16)


def test_what_fp8_adds(added):
    assert added(find_scheme("fp8")) == [  # of the middle layer: 96 inputs and 64 gradients of 2 B, in one pass
        ("middle", "fprop", "quantise", 192, 96, 1),
        ("middle", "dgrad", "quantise", 128, 64, 1),
        ("middle", "fprop", "cast", 12, 6, 1),
        *CHECKS,
    ]
    assert added(find_scheme("fp8"), level="ideal") == []


@pytest.mark.parametrize(
    ("level", "read", "written", "count"),
    [("epilogue", 0, 96, 1), ("delayed", 192, 96, 1), ("naive", 8 * 192, 6 * 192 + 96, 8), ("unfused", 1728, 1728, 14)],
)
def test_levels_move_two_bytes_an_element(added, level, read, written, count):
    row = added(find_scheme("fp8"), level=level)[0]  # 96 inputs of the middle layer
    assert row[:3] == ("middle", "fprop", "quantise")
    assert (row[3] * count, row[4] * count, row[5]) == pytest.approx((read, written, count))


@pytest.mark.parametrize(("name", "read", "written"), [("fp8", 8, 6), ("fp8-hybrid", 8, 6), ("fp8-chunked", 6, 4)])
def test_updates(added, name, read, written):
    assert [row[3:] for row in added(find_scheme(name), kinds=("update",))] == [
        (54 * read, 54 * written, 1), (6 * read, 6 * written, 1), (165 * read, 165 * written, 1),
    ]  # fmt: skip


def test_hybrid(units, added):
    hybrid = find_scheme("fp8-hybrid")
    assert first_step(hybrid).label == "fp8_e4m3/fp8_e5m2"
    backward = ("fp8_e5m2", "", "fp16")
    assert units(hybrid) == layers(FP16, backward, FP16) | {"middle fprop": ("fp8_e4m3", "", "fp16")}
    assert units(hybrid, device=find_device("a100")) == layers(
        FP16, ("fp16", "fp8_e5m2 timed as fp16", "fp16"), FP16
    ) | {"middle fprop": ("fp16", "fp8_e4m3 timed as fp16", "fp16")}
    assert added(hybrid) == [  # a maximum first, of each tensor
        ("middle", "fprop", "quantise", 192, 0, 1), ("middle", "fprop", "quantise", 192, 96, 1),
        ("middle", "fprop", "quantise", 12, 0, 1), ("middle", "fprop", "quantise", 12, 6, 1),
        ("middle", "dgrad", "quantise", 128, 0, 1), ("middle", "dgrad", "quantise", 128, 64, 1),
        *CHECKS,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("device", "middle"),
    [(None, ("fp8_e5m2+fp16", "", "fp16")), ("h100-pcie", ("fp8_e5m2+fp16", "", "fp16")),
     ("t4", ("fp16+fp16", "fp8_e5m2 timed as fp16", "fp16"))],
)  # fmt: skip
def test_chunked_sums_in_fp16(units, device, middle):
    device, fp16 = device and find_device(device), ("fp16+fp16", "", "fp16")
    assert units(find_scheme("fp8-chunked"), device=device) == layers(fp16, middle, fp16)


def test_what_chunked_adds(added):
    # The image is in FP16, the first layer's weights and errors are not; the factor is constant: nothing is checked.
    assert added(find_scheme("fp8-chunked")) == [
        ("first", "dgrad", "quantise", 192, 96, 1),
        ("middle", "fprop", "quantise", 192, 96, 1), ("middle", "dgrad", "quantise", 128, 64, 1),
        ("first", "fprop", "cast", 108, 54, 1), ("middle", "fprop", "cast", 12, 6, 1),
    ]  # fmt: skip


def test_bit_operations(network):
    net = network()
    fp8, chunked = find_scheme("fp8"), find_scheme("fp8-chunked")
    last = 3 * 160 * 16 * 16
    assert bit_operations(fp8, net, 2, first_step(fp8)) == 2 * (2 * 864 * 256 + 3 * 96 * 64 + last)
    assert bit_operations(chunked, net, 2, first_step(chunked)) == 2 * (2 * 864 * 128 + 3 * 96 * 64 + last)


def test_classifiers_of_auxiliary_heads_are_last(units):
    found = units(find_scheme("fp8"), net=find_network("googlenet-aux"))
    wide = {name.split()[0] for name, unit in found.items() if unit == FP16}
    assert len(wide) == 4  # the first convolution and three classifiers
