"""Every bundled scheme on chips with FP8, with INT4 and with neither: units, proxies and added bytes, by hand."""

import pytest

from perfmodel.cost import Roofline
from perfmodel.cost.estimate import price
from perfmodel.devices import find_device
from perfmodel.errors import Unsupported
from perfmodel.schemes import find_scheme, scheme_names

DEVICES = ("h100-sxm", "rtx-2080-ti", "p100")
LAYERS = ("first", "middle", "last")
# Of each scheme's first step and device: fprop, dgrad and wgrad of the first, the middle and the last layer, where one
# unit stands for all three if there is but one; the first layer has no dgrad. A star marks a proxy.
UNITS = {
    "fp32": ("fp32 | fp32 | fp32",) * 3,
    "mixed": ("fp16 | fp16 | fp16",) * 3,
    "mixed-static": ("fp16 | fp16 | fp16",) * 3,
    "mixed-adaptive": ("fp16 | fp16 | fp16",) * 3,
    "bf16": ("bf16 | bf16 | bf16", "fp32* | fp32* | fp32*", "fp32* | fp32* | fp32*"),
    "tf32": ("tf32 | tf32 | tf32", "fp32* | fp32* | fp32*", "fp32* | fp32* | fp32*"),
    "fp8": ("fp16 | fp8_e5m2 | fp16", "fp16 | fp16* | fp16", "fp16 | fp16* | fp16"),
    "fp8-hybrid": ("fp16 | fp8_e4m3 fp8_e5m2 fp8_e5m2 | fp16", "fp16 | fp16* | fp16", "fp16 | fp16* | fp16"),
    "fp8-chunked": (
        "fp16+fp16 | fp8_e5m2+fp16 | fp16+fp16", "fp16+fp16 | fp16+fp16* | fp16+fp16",
        "fp16+fp16 | fp16+fp16* | fp16+fp16",
    ),
    "hbfp": ("int8 | int8 | int8",) * 3,
    "hbfp-tensor": ("int8 | int8 | int8",) * 3,
    "hbfp12": ("fp16* | fp16* | fp16*",) * 3,
    "muppet": ("int8 | int8 | int8",) * 3,
    "cpt": (
        "int8* - int8 | int8* int8 int8 | fp32", "int4 - int8 | int4 int8 int8 | fp32", "int8 - int8 | int8 | fp32",
    ),
    "dorefa": ("fp32 | int8* int8 int8 | fp32", "fp32 | int4 int8 int8 | fp32", "fp32 | int8 | fp32"),
    "fxpnet": (
        "int8* - fp16* | int8* fp16* fp16* | int8* fp16* fp16*", "int4 - fp16* | int4 fp16* fp16* | int4 fp16* fp16*",
        "int8 - fp16* | int8 fp16* fp16* | int8 fp16* fp16*",
    ),
}  # fmt: skip
PROXIES = {  # what the marks say
    "bf16": {"bf16 timed as fp32"}, "tf32": {"tf32 timed as fp32"}, "fp8": {"fp8_e5m2 timed as fp16"},
    "fp8-hybrid": {"fp8_e4m3 timed as fp16", "fp8_e5m2 timed as fp16"}, "fp8-chunked": {"fp8_e5m2 timed as fp16"},
    "hbfp12": {"bfp12 timed as fp16"}, "cpt": {"int3 timed as int8"}, "dorefa": {"int2 timed as int8"},
    "fxpnet": {"int1 timed as int8", "dfx12 timed as fp16"},
}  # fmt: skip
WITHOUT_P100 = {"hbfp", "hbfp-tensor", "muppet", "cpt", "dorefa", "fxpnet"}  # which need INT8: it has no stand-in


def test_every_scheme_is_here():
    assert sorted(UNITS) == sorted(scheme_names())


@pytest.mark.parametrize(("place", "device"), list(enumerate(DEVICES)))
@pytest.mark.parametrize("name", UNITS)
def test_units(units, name, place, device):
    expected = {}
    for layer, row in zip(LAYERS, UNITS[name][place].split(" | "), strict=True):
        words = row.split() if " " in row else [row] * 3
        expected |= {f"{layer} {pass_}": unit for pass_, unit in zip(("fprop", "dgrad", "wgrad"), words, strict=True)}
    del expected["first dgrad"]
    found = units(find_scheme(name), device=find_device(device))
    assert {where: unit + "*" * bool(proxy) for where, (unit, proxy, _) in found.items()} == expected


@pytest.mark.parametrize("name", UNITS)
def test_what_stands_in_is_named(units, name):
    rows = [row for device in DEVICES for row in units(find_scheme(name), device=find_device(device)).values()]
    assert {proxy for _, proxy, _ in rows if proxy} == PROXIES.get(name, set())


@pytest.mark.parametrize("name", UNITS)
def test_only_schemes_that_need_int8_are_refused_by_the_p100(step, name):
    device = find_device("p100")
    kernels = [work.kernel for work in step(find_scheme(name), device=device)]
    if name in WITHOUT_P100:
        with pytest.raises(Unsupported, match=r"^E1103 device p100: has no unit for int8\."):
            price(Roofline(device), kernels)
    else:
        assert len(price(Roofline(device), kernels).seconds) == len(kernels)


# Bytes that conversions and the update move in one step of two images: 54, 6 and 165 parameters; images 64, inputs
# 64, 96, 64, outputs 96, 64, 10; maximum first. Level `current`, on no device in particular.
BYTES = {
    "fp32": (0, 225 * 20),
    "tf32": (0, 225 * 20),
    "mixed": (225 * (6 + 8), 225 * 20),
    "mixed-static": (225 * 6, 225 * 20),
    "mixed-adaptive": (225 * (6 + 8) + 170 * 4 + (170 + 225) * 4 / 1000, 225 * 20),
    "bf16": (225 * 6, 225 * 20),
    "fp8": ((96 + 64) * 3 + 6 * 3 + 225 * 4, 225 * 14),
    "fp8-hybrid": ((96 + 6 + 64) * 5 + 225 * 4, 225 * 14),
    "fp8-chunked": ((96 + 96 + 64) * 3 + (54 + 6) * 3, 225 * 10),
    "hbfp": ((224 + 170) * 5 + 225 * 5 * 2, 225 * 16),
    "hbfp-tensor": ((224 + 170) * 9 + 225 * 9 * 2, 225 * 16),
    "hbfp12": ((224 + 170) * 5 + 225 * 5 * 2, 225 * 16),
    "cpt": ((64 + 96 + 54 + 6 + 96 + 64) * 9, 225 * 20),
    "dorefa": ((6 + 64) * 9 + 96 * 5, 225 * 20),
    "fxpnet": ((224 + 170 + 225) * 3, 225 * 10),
    # Images, outputs, gradients of inputs but the images', of parameters, and parameters twice more.
    "muppet": ((64 + 170 + 96 + 64 + 225 * 3) * 9, 225 * 20),
}


@pytest.mark.parametrize("name", UNITS)
def test_bytes_of_conversions_and_update(added, name):
    def moved(*kinds, level):
        rows = added(find_scheme(name), level=level, kinds=kinds)
        return sum((read + written) * count for *_, read, written, count in rows)

    converted, updated = BYTES[name]
    assert moved("quantise", "cast", "scale", level="current") == pytest.approx(converted)
    assert moved("update", level="current") == moved("update", level="ideal") == updated
    assert moved("quantise", "cast", "scale", "transpose", level="ideal") == 0
