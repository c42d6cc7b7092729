"""The CUTLASS convolution kernels (implicit GEMM, NHWC) to compile for a target, and why these by default.

CUTLASS has FP32 and 16-bit kernels for all three passes, INT8 kernels for fprop alone (its generator makes no other).
The iterators are the optimised ones: analytic ones compute every address anew. dgrad comes twice: for stride 1, and for
larger strides, where each group of input pixels has its own taps and no zero is multiplied.

k runs over the taps, and over whole tiles of channels within each: three input channels cost as much as eight. Kernels
for few channels (FP16 fprop) pack the taps instead, with C padded to 4. The GEMM of im2col pads the column's height,
C·R·S, once; a convolution pads C, and so computes more: FP16's 7 x 7 x 3 is 152 there, 196 here with the kernel for few
channels, and 49 taps of a tile's depth (32) without.

BF16 and TF32 are in the wide search alone. Hopper gets Ampere's kernels, compiled for it: these reach a third of what
its warp groups do. None of the kernels for 75, 80 and 90a spills registers (nvcc 13.0.88). Tiles read as in
`choice.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from perfmodel.formats import find_format
from perfmodel.gemm import ACCUMULATORS, OUTPUTS, Precision
from perfmodel.lowering.gemms import LAYOUT_OF
from perfmodel.measure.cutlass.catalogue_operations import generated
from perfmodel.measure.cutlass.catalogue_reading import ELEMENTS, SWIZZLES
from perfmodel.measure.cutlass.choice import AMPERE
from perfmodel.measure.cutlass.kernels import GemmKernel, precision_text

SEARCHES = ("default", "wide")
PASSES = {"Fprop": "fprop", "Dgrad": "dgrad", "Wgrad": "wgrad"}
TURING = ("SM50_Simt", "SM75_TensorOp_1688", "SM75_TensorOp_8816_TN")
NEWER = ("SM80_Simt_f32", "SM80_TensorOp_16816", "SM80_TensorOp_1688_fast_math", "SM80_TensorOp_16832_TN")
SOURCES = {"75": TURING, **dict.fromkeys((*AMPERE, "90a"), NEWER)}
LEAST_BYTES = 16  # of a load, but of kernels for few channels
FEW = 4  # channels of the kernels for few
NEW = (*AMPERE, "90a")

# Targets, unit, precisions, kind (the pass, `dgrad+` for strides, `few` for fprop with few channels), tiles.
ROWS = (
    (("75",), "simt", "fp32", "fprop dgrad dgrad+", "128x128_8x2 128x64_8x2"),
    (("75",), "simt", "fp32", "wgrad", "128x128_8x2 64x64_8x2"),
    (NEW, "simt", "fp32", "fprop dgrad", "128x128_8x4 128x64_8x5"),
    (NEW, "simt", "fp32", "dgrad+", "128x128_8x4 64x128_8x5"),  # 128 x 64 spills for 80, 64 x 64 for 90a
    (NEW, "simt", "fp32", "wgrad", "128x128_8x4 64x64_8x5"),
    (("75",), "tensor", "fp16", "fprop dgrad dgrad+", "128x128_32x2 128x64_32x2"),
    (("75",), "tensor", "fp16->fp32", "fprop dgrad", "128x128_32x2 128x64_32x2"),
    (("75",), "tensor", "fp16->fp32", "dgrad+", "128x64_32x2 64x64_32x2"),  # 128 x 128 spills
    (("75",), "tensor", "fp16 fp16->fp32", "wgrad", "128x128_32x2 64x64_32x2"),
    (("75",), "tensor", "fp16 fp16->fp32", "few", "128x64_32x2"),
    (NEW, "tensor", "fp16", "fprop dgrad dgrad+", "128x128_32x4 128x64_32x6"),
    (NEW, "tensor", "fp16->fp32", "fprop dgrad", "128x128_32x4 128x64_32x6"),
    (NEW, "tensor", "fp16->fp32", "dgrad+", "128x64_32x6 64x64_32x10"),  # 128 x 128 spills
    (NEW, "tensor", "fp16 fp16->fp32", "wgrad", "128x128_32x4 64x64_32x10"),
    (NEW, "tensor", "fp16 fp16->fp32", "few", "128x64_32x6"),
    (("75",), "tensor", "int8", "fprop", "128x128_64x2 128x64_64x2"),
    (NEW, "tensor", "int8", "fprop", "128x128_64x5 128x64_64x6"),
)  # fmt: skip


def convolution_catalogue(
    target: str, search: str = "default", precisions: Iterable[Precision] | None = None
) -> tuple[GemmKernel, ...]:
    """The convolution kernels for a target, by precision, pass and size; of these precisions only, where given.

    A precision or target without any has none here: that is no fault, the explicit GEMM serves it. `search` is
    `default` or `wide`. Raises `InputError` (E2316, E2317) without a CUTLASS that loads.
    """
    if search not in SEARCHES:
        raise ValueError(f"search is one of {SEARCHES}, not {search!r}")
    asked = None if precisions is None else set(precisions)
    named = set().union(*(keys_of(row) for row in ROWS if target in row[0]))
    return tuple(
        kernel for kernel in _wide(target)
        if (asked is None or kernel.precision in asked) and (search == "wide" or key_of(kernel) in named)
    )  # fmt: skip


def operation_of(kernel: GemmKernel):
    """The `cutlass_library` operation of a kernel. Raises `KeyError` for one that is not generated."""
    return _operations(kernel.target)[kernel.name]


def key_of(kernel: GemmKernel) -> tuple:
    """By what a row names a kernel: unit, precision, kind, tile."""
    m, n, k = kernel.tile
    kind = "few" if kernel.few else kernel.conv + ("+" if kernel.stride == "strided" else "")
    return kernel.unit, precision_text(kernel.precision), kind, f"{m}x{n}_{k}x{kernel.stages}"


def read_convolution(operation, target: str) -> GemmKernel | None:
    """The kernel that this operation makes when compiled for `target`; None where it is none for training.

    Left out: analytic iterators, grouped and complex ones, unsigned integers, outputs other than the usual and the
    accumulator's, loads below 16 bytes but of single FP32 elements and of kernels for exactly 4 channels, and tiles
    whose k the warps share.
    """
    precision, tile = _precision(operation), operation.tile_description
    few = operation.iterator_algorithm.name == "FixedChannels"
    if precision is None or not (few or operation.iterator_algorithm.name == "Optimized") or not _plain(operation):
        return None
    simt = tile.math_instruction.opcode_class.name == "Simt"
    a, b, c = operation.A.alignment, operation.B.alignment, operation.C.alignment
    if a != (FEW if few else 1 if simt else LEAST_BYTES * 8 // precision.operand.bits):
        return None
    pass_ = PASSES[operation.conv_kind.name]
    strided = pass_ == "dgrad" and operation.stride_support.name == "Strided"
    modes = ("serial", "parallel") if precision.output == precision.accumulator else ("serial",)
    return GemmKernel(
        operation.procedural_name(), target, 2, "simt" if simt else "tensor", precision,
        "tn" if precision.operand.reads_along_k else LAYOUT_OF[pass_], tuple(tile.threadblock_shape), tile.stages,
        (1, 1, 1), (a, b, min(c, 128 // precision.output.bits)), modes if pass_ == "wgrad" else (),
        SWIZZLES.get(operation.swizzling_functor.name, 1), pass_,
        ("strided" if strided else "unity") if pass_ == "dgrad" else "any", few,
    )  # fmt: skip


@lru_cache(maxsize=len(SOURCES))
def _operations(target: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for source in SOURCES.get(target, ()):
        found |= generated(target, source, "conv2d")
    return found


@lru_cache(maxsize=len(SOURCES))
def _wide(target: str) -> tuple[GemmKernel, ...]:
    read = (read_convolution(one, target) for one in _operations(target).values())
    return tuple(sorted((kernel for kernel in read if kernel is not None), key=_order))


def _precision(operation) -> Precision | None:
    math = operation.tile_description.math_instruction
    names = [ELEMENTS.get(one.name) for one in (math.element_a, operation.accumulator_type(), operation.C.element)]
    if None in names:
        return None
    operand, accumulator, output = names
    in_memory = "f32" if operand == "tf32" else math.element_a.name  # FP32 tensors that the kernel itself rounds
    if operation.A.element.name != in_memory or operation.B.element.name != in_memory:
        return None
    usual = (OUTPUTS.get(operand, operand), accumulator)
    return Precision(*map(find_format, names)) if accumulator == ACCUMULATORS[operand] and output in usual else None


def _plain(operation) -> bool:
    tile = operation.tile_description
    nhwc = all(one.layout.name == "TensorNHWC" for one in (operation.A, operation.B, operation.C))
    return nhwc and operation.group_mode.name == "NoneGroup" and not operation.is_complex() and tile.warp_count[2] == 1


def keys_of(row: tuple) -> set[tuple]:
    """One key for each kernel that a row names."""
    _, unit, precisions, kinds, tiles = row
    return {(unit, one, kind, tile) for one in precisions.split() for kind in kinds.split() for tile in tiles.split()}


def _order(kernel: GemmKernel) -> tuple:
    m, n, _ = kernel.tile
    return precision_text(kernel.precision), kernel.unit, kernel.conv, kernel.stride, -m * n, kernel.name
