"""Which unit multiplies two formats, on chips with and without it, and what is marked as a proxy."""

import pytest

from perfmodel.devices import device_names, find_device
from perfmodel.errors import Unsupported
from perfmodel.formats import find_format
from perfmodel.networks import find_network
from perfmodel.schemes import Overhead, choose_unit, gemm_choice, training_step, uniform
from perfmodel.schemes.formats import StepFormats
from perfmodel.schemes.units import narrower, unit_names, units_of, wider


def choose(a, b, device=None, accumulate="fp32", stored="fp32"):
    units = units_of(device and find_device(device))
    found = choose_unit((find_format(a), find_format(b)), find_format(stored), accumulate, units)
    return found.precision.name, found.proxy


@pytest.mark.parametrize(
    ("a", "b", "units"),
    [
        ("int1", "int1", ("int4", "int8")), ("int4", "int4", ("int4", "int8")), ("int3", "dfx4", ("int4", "int8")),
        ("int4", "int5", ("int8",)), ("bfp8", "bfp8", ("int8",)), ("dfx2", "int8", ("int8",)),
        ("int9", "int4", ("fp16",)), ("dfx16", "dfx16", ("fp16",)), ("bfp12", "bfp12", ("fp16",)),
        ("fp8_e4m3", "fp8_e4m3", ("fp8_e4m3", "fp16", "fp32")), ("fp8_e5m2", "fp8_e4m3", ("fp8_e5m2", "fp16", "fp32")),
        ("fp8_e4m3", "int8", ("fp16", "fp32")), ("int4", "fp8_e5m2", ("fp16", "fp32")),
        ("dfx12", "fp8_e5m2", ("fp16", "fp32")), ("fp16", "int16", ("fp16", "fp32")),
        ("int8", "fp16", ("fp16", "fp32")),
        ("bf16", "fp8_e4m3", ("bf16", "fp32")), ("tf32", "fp16", ("tf32", "fp32")), ("fp32", "int1", ("fp32",)),
        ("fp64", "fp16", ("fp64",)), ("tf32", "fp32", ("fp32",)), ("fp32", "tf32", ("fp32",)),
        # Neither holds the other: TF32 has the bits of both.
        ("fp16", "bf16", ("tf32", "fp32")), ("bf16", "fp16", ("tf32", "fp32")),
    ],
)  # fmt: skip
def test_units_of_two_formats(a, b, units):
    found = unit_names((find_format(a), find_format(b)))
    assert tuple(found)[: len(units)] == units
    assert len(found) == len(units)


@pytest.mark.parametrize("name", ["int32", "mxfp8", "mxfp4", "nvfp4"])
@pytest.mark.parametrize("other", ["int8", "int32", "fp8_e4m3", ""])
def test_formats_that_no_unit_computes_in(name, other):
    if name in ("mxfp8", "mxfp4", "nvfp4") and other:
        other = name
    with pytest.raises(Unsupported, match=rf"^E1101 precision '{name}': no GEMM unit computes in it\."):
        choose(name, other or name)


@pytest.mark.parametrize(
    ("a", "b", "device", "found"),
    [
        ("int3", "int3", None, ("int4", "")), ("int3", "int3", "t4", ("int4", "")),
        ("int3", "int3", "h100-pcie", ("int8", "int3 timed as int8")), ("int3", "int8", "h100-pcie", ("int8", "")),
        ("int2", "int1", "v100", ("int8", "int2 timed as int8")),
        ("dfx12", "int1", None, ("fp16", "dfx12 timed as fp16")),
        ("dfx12", "dfx12", "p100", ("fp16", "dfx12 timed as fp16")),
        ("fp8_e5m2", "fp8_e5m2", "h200", ("fp8_e5m2", "")),
        ("fp8_e5m2", "fp8_e5m2", "a100", ("fp16", "fp8_e5m2 timed as fp16")),
        ("dfx12", "fp8_e5m2", "h200", ("fp16", "dfx12 timed as fp16")), ("int8", "fp8_e4m3", "h200", ("fp16", "")),
        ("tf32", "tf32", "v100", ("fp32", "tf32 timed as fp32")),
        ("bf16", "bf16", "t4", ("fp32", "bf16 timed as fp32")),
        ("bf16", "bf16", "a100", ("bf16", "")), ("int8", "fp32", "p100", ("fp32", "")),
        ("bf16", "fp16", "a100", ("tf32", "")),
        # Codes of more than 8 bits beside a float of 16: marked whichever is the wider.
        ("fp16", "dfx14", None, ("fp16", "dfx14 timed as fp16")),
        ("bf16", "int9", "a100", ("bf16", "int9 timed as bf16")),
        ("fp16", "int16", "t4", ("fp16", "int16 timed as fp16")), ("fp16", "int8", "t4", ("fp16", "")),
        ("int9", "dfx12", "t4", ("fp16", "dfx12 timed as fp16")),
        ("fp32", "int16", "t4", ("fp32", "")), ("tf32", "int12", "a100", ("tf32", "")),
    ],
)  # fmt: skip
def test_choices(a, b, device, found):
    assert choose(a, b, device) == choose(b, a, device) == found


def test_integers_of_eight_bits_have_no_stand_in():
    for name in ("int8", "dfx8", "bfp8", "int3"):
        found, proxy = choose(name, name, "p100")
        assert (found, proxy) == ("int8", "")
    with pytest.raises(
        Unsupported, match=r"^E1103 device p100: has no unit for int8\. It computes in fp16, fp32, fp64\."
    ):
        find_device("p100").rate(choose_unit((find_format("int4"),) * 2, find_format("fp32"), "fp32", units_of(
            find_device("p100"))).precision)  # fmt: skip


@pytest.mark.parametrize(
    ("operand", "device", "accumulate", "found"),
    [
        ("fp16", None, "fp16", "fp16+fp16"), ("fp16", "a100", "fp16", "fp16+fp16"),
        ("fp8_e4m3", "h200", "fp16", "fp8_e4m3+fp16"),
        ("fp8_e4m3", "t4", "fp16", "fp16+fp16"), ("bf16", "a100", "fp16", "bf16"), ("int8", "t4", "fp16", "int8"),
        ("fp32", "t4", "fp16", "fp32"),
    ],
)  # fmt: skip
def test_accumulators(operand, device, accumulate, found):
    assert choose(operand, operand, device, accumulate)[0] == found


def test_units_without_the_accumulator_that_is_asked_for():
    only = frozenset({("fp16", "fp32"), ("fp32", "fp32")})
    found = choose_unit((find_format("fp16"),) * 2, find_format("fp16"), "fp16", only)
    assert (found.precision.name, found.proxy) == ("fp16", "")


@pytest.mark.parametrize("stored", ["fp16", "bf16", "fp32"])
@pytest.mark.parametrize(
    ("operand", "unit"), [("int8", "int32"), ("int3", "int32"), ("fp16", ""), ("dfx12", ""), ("fp32", "")]
)
def test_floats_write_what_is_stored_and_integers_their_sums(operand, unit, stored):
    found = choose_unit((find_format(operand),) * 2, find_format(stored), "fp32", None)
    assert found.precision.output.name == (unit or stored)


@pytest.mark.parametrize("device", device_names())
@pytest.mark.parametrize("name", ["fp8_e4m3", "bf16", "int4", "int8", "fp16", "fp32"])
def test_uniform_precisions_have_no_proxy(name, device):
    scheme, chip = uniform(name), find_device(device)
    precision = gemm_choice(scheme, StepFormats.everywhere(name), "fprop", chip).precision
    assert precision.name == name
    works = training_step(
        find_network("resnet20"), 2, scheme, StepFormats.everywhere(name), "implicit", Overhead(), chip
    )
    assert {work.kernel.precision.name for work in works if work.kind == "gemm"} == {name}
    assert not any(work.proxy for work in works)


@pytest.mark.parametrize(
    ("a", "b", "wide", "narrow"),
    [("int3", "int8", "int8", "int3"), ("fp8_e4m3", "int8", "fp8_e4m3", "int8"),
     ("int8", "fp8_e4m3", "fp8_e4m3", "int8"),
     ("int16", "fp16", "fp16", "int16"), ("fp32", "fp16", "fp32", "fp16"), ("tf32", "fp32", "fp32", "tf32"),
     ("fp32", "tf32", "fp32", "tf32"), ("bf16", "tf32", "tf32", "bf16"),
     # Of two alike the first, whichever it is.
     ("int8", "dfx8", "int8", "int8"), ("dfx8", "int8", "dfx8", "dfx8"), ("fp16", "bf16", "fp16", "fp16"),
     ("bf16", "fp16", "bf16", "bf16")],
)  # fmt: skip
def test_wider_and_narrower(a, b, wide, narrow):
    a, b = find_format(a), find_format(b)
    assert (wider(a, b).name, narrower(a, b).name) == (wide, narrow)
    assert narrower(a, a) is wider(a, a) is a
