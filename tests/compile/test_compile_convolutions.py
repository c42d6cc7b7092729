"""Convolution kernels compile, hold the instruction that they are for, and agree with our rules; no GPU is needed."""

import os
import random
from pathlib import Path

import pytest

from perfmodel.convolution import Convolution
from perfmodel.measure.backend import BuildFailed, KernelFault
from perfmodel.measure.cuda.functions import convolution_of
from perfmodel.measure.cutlass.cabi import Library, Problem
from perfmodel.measure.cutlass.factory import Built, Factory
from perfmodel.measure.cutlass.geometry import geometry
from perfmodel.measure.cutlass.implicit import computes, padded

pytestmark = pytest.mark.compile

PREFIX = "cutlass_tensorop_"
SIMT = "cutlass_simt_sfprop_optimized_128x64_8x2_nhwc_align1"
FPROP = PREFIX + "f16_s1688fprop_optimized_f16_128x64_32x2_nhwc_align8"
FEW = PREFIX + "f16_s1688fprop_fixed_channels_f16_128x64_32x2_nhwc_align4"
UNITY = PREFIX + "f16_s1688dgrad_optimized_f16_128x64_32x2_nhwc_unity_stride_align8"
STRIDED = PREFIX + "f16_s1688dgrad_optimized_f16_128x64_32x2_nhwc_align8"
WGRAD16 = PREFIX + "f16_s1688wgrad_optimized_f16_64x64_32x2_nhwc_align8"
WGRAD32 = PREFIX + "s1688wgrad_optimized_f16_64x64_32x2_nhwc_align8"
INT8 = PREFIX + "i8816fprop_optimized_s8_128x64_64x2_nhwc_align16"
# name, threads, outputs of a thread, the instruction of its main loop and how often one tile of k needs it
EXPECTED = (
    (SIMT, 128, 64, "FFMA", 64 * 8), (FPROP, 128, 64, "HMMA.1688.F32", 4 * 4 * 4),
    (FEW, 256, 32, "HMMA.1688.F32", 4 * 2 * 4), (UNITY, 128, 64, "HMMA.1688.F32", 4 * 4 * 4),
    (STRIDED, 128, 64, "HMMA.1688.F32", 4 * 4 * 4), (WGRAD16, 128, 32, "HMMA.1688.F32", 2 * 4 * 4),
    (WGRAD32, 128, 32, "HMMA.1688.F32", 2 * 4 * 4), (INT8, 128, 64, "IMMA.8816.S8.S8", 8 * 4 * 4),
)  # fmt: skip
NAMES = [row[0] for row in EXPECTED]
UNITS = ("HFMA2", "HMMA", "IMMA", "IDP")
DEEP = Convolution("wgrad", 32, 8, 28, 28, 64, (3, 3), (1, 1), (1, 1))  # 25088 output pixels are 784 tiles of 32


# Ampere's kernels on Hopper, their instruction and how often one tile of k needs it
HOPPER = (
    ("cutlass_simt_sdgrad_optimized_64x128_8x5_nhwc_align1", "FFMA", 64 * 8),
    (PREFIX + "f16_s16816fprop_fixed_channels_f16_128x64_32x6_nhwc_align4", "HMMA.16816.F32", 4 * 4 * 2),
    (PREFIX + "f16_s16816wgrad_optimized_f16_64x64_32x10_nhwc_align8", "HMMA.16816.F32", 2 * 4 * 2),
    (PREFIX + "i16832fprop_optimized_s8_128x64_64x6_nhwc_align16", "IMMA.16832.S8.S8", 4 * 4 * 2),
)


def named(target, names):
    from perfmodel.measure.cutlass.convolutions import convolution_catalogue

    found = {kernel.name: kernel for kernel in convolution_catalogue(target)}
    return {name: found[name] for name in names}


@pytest.fixture(scope="module")
def kernels():
    return named("75", NAMES)


@pytest.fixture(scope="module")
def build(toolchain, tmp_path_factory):
    kept = os.environ.get("PERFMODEL_CACHE")
    cache = Path(kept) if kept else tmp_path_factory.mktemp("cache")
    return lambda target, kernels: Factory(toolchain, target, cache, jobs=os.cpu_count() or 1).build(kernels)


@pytest.fixture(scope="module")
def built(build, kernels):
    return build("75", kernels.values())


@pytest.fixture(scope="module")
def built_for_hopper(build):
    return build("90a", named("90a", [row[0] for row in HOPPER]).values())


@pytest.mark.parametrize(("name", "instruction", "count"), HOPPER)
def test_hopper_runs_those_of_ampere(built_for_hopper, opcodes, sass, name, instruction, count):
    one = built_for_hopper[name]
    assert isinstance(one, Built), one
    assert (one.resources["spilled_bytes"], one.resources["stack_bytes"]) == (0, 0)
    counts = opcodes(one)
    assert sass.total(counts, instruction) >= count
    assert sass.total(counts, "HGMMA") == sass.total(counts, "LDL") == sass.total(counts, "STL") == 0


@pytest.fixture(scope="module")
def loaded(built):
    libraries = {path: Library(path) for path in {one.path for one in built.values()}}
    return {name: libraries[one.path][one.index] for name, one in built.items()}


@pytest.mark.parametrize(("name", "threads"), [row[:2] for row in EXPECTED])
def test_it_compiles_without_spills(built, loaded, name, threads):
    one = built[name]
    assert isinstance(one, Built), one
    assert (one.resources["spilled_bytes"], one.resources["stack_bytes"]) == (0, 0)
    assert 32 < one.resources["registers"] <= 255
    assert (loaded[name].name, loaded[name].info().threads) == (name, threads)


@pytest.mark.parametrize(("name", "outputs", "instruction", "count"), [(row[0], *row[2:]) for row in EXPECTED])
def test_the_machine_code_holds_the_instruction_and_no_slow_path(
    built, opcodes, sass, name, outputs, instruction, count
):
    counts = opcodes(built[name])
    assert sass.total(counts, instruction) >= count
    others = {unit: sass.total(counts, unit) for unit in UNITS if not instruction.startswith(unit)}
    assert sum(others.values()) <= outputs, others  # once for each output, to scale it
    assert sass.total(counts, "LDL") == sass.total(counts, "STL") == 0


def drawn(draw, pass_):
    stride = draw.choice(((1, 1), (1, 1), (2, 2), (1, 2), (4, 4)))
    dilation = draw.choice(((1, 1), (1, 1), (2, 1)))
    images, channels = draw.choice((1, 2, 256, 1024)), draw.choice((1, 3, 4, 5, 8, 64, 130))
    image, filters = (draw.randint(1, 230), draw.randint(1, 230)), draw.choice((1, 7, 64, 1000))
    kernel = draw.choice((1, 3, 7, 33)), draw.choice((1, 3, 5))
    padding = draw.randint(0, 3), draw.randint(0, 3)
    groups = draw.choice((1, 1, 1, 1, 2))
    return Convolution(pass_, images, channels, *image, filters, kernel, stride, padding, dilation, groups)


def test_can_implement_follows_our_rules(kernels, loaded):
    """Pass, strides, taps, groups, tensors below 2 GiB; but ours leave stride 1 to the kernel that is made for it."""
    draw = random.Random(75)
    agreed = {True: 0, False: 0}
    for name, kernel in kernels.items():
        for _ in range(300):
            conv = drawn(draw, draw.choice((kernel.conv,) * 4 + ("fprop", "dgrad", "wgrad")))
            if kernel.stride == "strided" and max(conv.stride) == 1:
                continue
            right, whole = computes(kernel, conv), padded(conv, kernel.alignment)
            empty = min(conv.out) < 1
            asked = Problem(split_k=1, **geometry(whole)) if empty else convolution_of(whole, 1, "none", 68)
            assert (loaded[name].can_implement(asked) == 0) is right, (name, whole.text)
            agreed[right] += 1
    assert agreed[True] > 600
    assert agreed[False] > 600


@pytest.mark.parametrize(("name", "channels", "filters"), [(FPROP, 4, 64), (FPROP, 8, 60), (INT8, 8, 64), (FEW, 8, 64)])
def test_unpadded_channels_are_refused(loaded, name, channels, filters):
    conv = Convolution("fprop", 2, channels, 9, 9, filters, (3, 3))
    assert loaded[name].can_implement(convolution_of(conv, 1, "none", 68)) != 0
    good = Convolution("fprop", 2, 4 if name == FEW else 16, 9, 9, 64, (3, 3))
    assert loaded[name].can_implement(convolution_of(good, 1, "none", 68)) == 0
    wrong = convolution_of(good, 1, "none", 68)
    wrong.b = wrong.b + 2
    assert loaded[name].can_implement(wrong) == 1


def test_matrices_are_refused(loaded):
    assert loaded[SIMT].can_implement(Problem(m=64, n=64, k=64, lda=64, ldb=64, ldc=64)) == 4


@pytest.mark.parametrize(
    ("name", "mode", "parts", "status", "workspace_bytes"),
    [
        (WGRAD32, "serial", 1, 0, 0), (WGRAD32, "serial", 8, 0, 2 * 4), (WGRAD32, "serial", 784, 0, 2 * 4),
        (WGRAD32, "serial", 785, 4, -1), (WGRAD32, "parallel", 8, 0, 8 * 4 * 64 * 72),
        (WGRAD16, "serial", 8, 0, 2 * 4), (WGRAD16, "parallel", 8, 5, -1),
    ],
)  # fmt: skip
def test_wgrad_is_cut_where_its_parts_can_be_added(loaded, name, mode, parts, status, workspace_bytes):
    wanted = convolution_of(DEEP, parts, mode, 68)
    assert loaded[name].can_implement(wanted) == status
    assert loaded[name].workspace_bytes(wanted) == workspace_bytes


def test_other_passes_are_not_cut(loaded):
    conv = Convolution("fprop", 32, 512, 7, 7, 512, (3, 3), (1, 1), (1, 1))
    assert loaded[FPROP].can_implement(convolution_of(conv, 2, "serial", 68)) == 5


def test_create_refuses_what_cannot_be(loaded):
    with pytest.raises(BuildFailed, match="invalid problem"):
        loaded[UNITY].create(convolution_of(Convolution("dgrad", 2, 7, 9, 9, 8, (3, 3)), 1, "none", 68))
    with pytest.raises(BuildFailed, match="no workspace"):
        loaded[WGRAD32].create(convolution_of(DEEP, 8, "serial", 68))


def test_without_a_device_create_fails_as_a_cuda_error(loaded):
    if loaded[WGRAD32].info().registers is not None:
        pytest.skip("there is a device")
    with pytest.raises(KernelFault, match="CUDA error"):
        loaded[WGRAD32].create(convolution_of(DEEP, 1, "none", 68))
