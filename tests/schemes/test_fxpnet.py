"""FxpNet: binary forward, 12 bits backward, no FP32 anywhere."""

from perfmodel.devices import find_device
from perfmodel.schemes import find_scheme

FXPNET = find_scheme("fxpnet")


def test_units(units):
    forward, backward = ("int4", "", "int32"), ("fp16", "dfx12 timed as fp16", "fp16")
    found = units(FXPNET)
    assert found == units(FXPNET, device=find_device("t4"))
    assert {name: unit for name, unit in found.items() if "fprop" in name} == {
        "first fprop": forward, "middle fprop": forward, "last fprop": forward,
    }  # fmt: skip
    assert {unit for name, unit in found.items() if "fprop" not in name} == {backward}
    assert units(FXPNET, device=find_device("h200"))["last fprop"] == ("int8", "int1 timed as int8", "int32")


def test_what_it_adds(added):
    assert added(FXPNET) == [  # tensors are stored in 2 B
        ("first", "fprop", "quantise", 128, 64, 1), ("first", "dgrad", "quantise", 192, 96, 1),
        ("first", "fprop", "quantise", 108, 54, 1),
        ("middle", "fprop", "quantise", 192, 96, 1), ("middle", "dgrad", "quantise", 128, 64, 1),
        ("middle", "fprop", "quantise", 12, 6, 1),
        ("last", "fprop", "quantise", 128, 64, 1), ("last", "dgrad", "quantise", 20, 10, 1),
        ("last", "fprop", "quantise", 330, 165, 1),
    ]  # fmt: skip
    assert [row[3:5] for row in added(FXPNET, kinds=("update",))] == [(324, 216), (36, 24), (990, 660)]
