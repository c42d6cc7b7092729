"""Number formats: how wide, how aligned."""

import pytest

from perfmodel.errors import UnknownName
from perfmodel.formats import FORMATS, find_format

BITS = {
    "fp64": 64, "fp32": 32, "tf32": 32, "bf16": 16, "fp16": 16, "fp8_e4m3": 8, "fp8_e5m2": 8, "int32": 32, "mxfp8": 8,
    "mxfp6": 6, "mxfp4": 4, "nvfp4": 4,
    **{f"int{bits}": bits for bits in range(1, 17)}, **{f"dfx{bits}": bits for bits in range(2, 17)},
    **{f"bfp{bits}": bits for bits in range(4, 17)},
}  # fmt: skip


def test_widths():
    assert {name: f.bits for name, f in FORMATS.items()} == BITS


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("fp64", 8),
        ("tf32", 4),
        ("bf16", 2),
        ("int8", 1),
        ("int4", 0.5),
        ("dfx12", 1.5),
        ("int3", 0.375),
        ("mxfp6", 0.75),
    ],
)
def test_bytes_are_packed(name, size):
    assert find_format(name).bytes == size


@pytest.mark.parametrize(
    ("name", "align"),
    [("fp32", 1), ("tf32", 4), ("fp16", 8), ("bf16", 8), ("int8", 16), ("fp8_e4m3", 16), ("int4", 32)],
)
def test_alignment_is_16_bytes_of_k(name, align):
    assert find_format(name).align_k == align


def test_families():
    assert {find_format(name).family for name in ("fp16", "tf32", "fp8_e5m2")} == {"float"}
    assert {find_format(name).family for name in ("int4", "int32")} == {"int"}
    assert {find_format(name).family for name in ("dfx8", "dfx14")} == {"dfx"}
    assert {find_format(name).family for name in ("mxfp8", "nvfp4")} == {"mx"}


def test_names_are_the_keys():
    assert all(find_format(name).name == name for name in FORMATS)


@pytest.mark.parametrize(("name", "near"), [("fp61", "fp16"), ("FP32", "fp32"), ("dfx18", "dfx16"), ("int88", "int8")])
def test_unknown_name_offers_the_nearest(name, near):
    with pytest.raises(UnknownName) as caught:
        find_format(name)
    (line,) = caught.value.lines()
    assert line.startswith(f"E1004 format '{name}' is not known. Did you mean ")
    assert near in line


@pytest.mark.parametrize("name", [None, 16, ["fp16"], {"fp16": 1}])
def test_what_is_no_name_is_an_unknown_name(name):
    with pytest.raises(UnknownName, match="E1004"):
        find_format(name)


@pytest.mark.parametrize(
    ("name", "size"), [("int1", 1), ("int8", 1), ("fp8_e5m2", 1), ("dfx12", 2), ("bfp16", 2), ("tf32", 4), ("fp64", 8)]
)
def test_memory_bound_kernels_pack_nothing(name, size):
    assert FORMATS[name].stored_bytes == size


def test_codes_are_what_tensors_are_quantised_into():
    floats = {"fp64", "fp32", "tf32", "bf16", "fp16"}
    assert {name for name, one in FORMATS.items() if not one.is_code} == floats
