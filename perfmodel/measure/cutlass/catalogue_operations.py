"""The operations that CUTLASS's generator has for a target, and two kinds that are theirs but for one parameter."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from perfmodel.errors import InputError
from perfmodel.measure.requirements import EXTRA

CUDA = "13.0"  # of the generator's conditions; from 12.4 on it makes all that is used here
OLDER = ("SM61_Simt", "SM80_Simt_f32", "SM75_TensorOp_1688", "SM80_TensorOp_16816", "SM80_TensorOp_1688_fast_math",
         "SM80_TensorOp_16832_TN")  # fmt: skip
SOURCES = {
    "75": ("SM50_Simt", "SM61_Simt", "SM75_TensorOp_1688", "SM75_TensorOp_8816_TN", "SM75_TensorOp_8832_TN"),
    **dict.fromkeys(("80", "86", "87"), (*OLDER, "SM80_TensorOp_16864_TN")),
    "89": (*OLDER, "SM80_TensorOp_16864_TN", "SM89_TensorOp_16832_fp8_fp32acc"),
    "90a": (*OLDER, *(f"SM90_TensorOp_{kind}_WGMMA_gemm" for kind in ("16b", "tf32", "int8", "fp8"))),
}
LEVELS = {"SM90_TensorOp_tf32_WGMMA_gemm": "1221"}  # the generator's; TF32 kernels that read no C are left out below it


@lru_cache(maxsize=len(SOURCES))
def operations(target: str) -> dict[str, object]:
    """The GEMM operations for a target by their procedural name, within the generator's limits of chip and memory.

    Raises `InputError` (E2316, E2317) without a CUTLASS that loads.
    """
    made: dict[str, object] = {}
    for source in SOURCES[target]:
        made |= generated(target, source)
    return made | {one.procedural_name(): one for one in _variations(list(made.values()))}


def generated(target: str, source: str, operations: str = "gemm") -> dict[str, object]:
    """What one of the generator's functions makes (`gemm` or `conv2d`), by procedural name."""
    generator, manifest_type = _generator()
    asked = {
        "architectures": target, "cuda-version": CUDA, "operations": operations, "filter-by-cc": "true",
        "kernels": "all",  # without it the generator keeps one tile of each family
        "generator-target": "library", "log-level": "ERROR",
    }  # fmt: skip
    if source in LEVELS:
        asked["instantiation-level"] = LEVELS[source]
    arguments = [part for name, value in asked.items() for part in (f"--{name}", value)]
    manifest = manifest_type(generator.define_parser().parse_args(arguments))
    getattr(generator, f"Generate{source}")(manifest, CUDA)
    return manifest.operations_by_name


def _variations(made: list) -> Iterator[object]:
    """Kernels that the generator leaves out and training needs.

    * FP8 with FP16 output on Ada: the generator writes BF16 or FP32.
    * BF16 of odd sizes: the generator's kernels copy asynchronously, at least two elements; with two stages and no
      such copy they read one.
    """
    from cutlass_library.library import DataType

    for operation in made:
        tile, element = operation.tile_description, operation.A.element
        if operation.is_3x or operation.A.element != operation.B.element:
            continue
        if element in (DataType.e4m3, DataType.e5m2) and operation.C.element == DataType.bf16:
            yield _varied(operation, output=DataType.f16)
        small = (*tile.threadblock_shape, tile.stages) == (64, 64, 32, 10)
        if element == DataType.bf16 and small and operation.A.alignment == 2:
            yield _varied(operation, alignment=1, stages=2)


def _varied(operation, output=None, alignment=None, stages=None):
    """The operation with another output, alignment or number of stages, and the name that goes with it."""
    tile, a, b, c = (copy.copy(part) for part in (operation.tile_description, operation.A, operation.B, operation.C))
    c.element = output or c.element
    tile.stages = stages or tile.stages
    if alignment:
        a.alignment = b.alignment = c.alignment = alignment
    made = type(operation)
    return made(operation.gemm_kind, operation.arch, tile, a, b, c, operation.element_epilogue,
                operation.epilogue_functor, operation.swizzling_functor)  # fmt: skip


def _generator():
    """`cutlass_library`'s generator module and its `Manifest`."""
    with _no_arguments():  # the generator reads this program's arguments when it is imported
        try:
            from cutlass_library import generator
            from cutlass_library.manifest import Manifest
        except ModuleNotFoundError as error:
            if error.name == "cutlass_library":
                found = "the Python module cutlass_library is not installed."
                raise InputError.at("E2316", "CUTLASS:", found, EXTRA) from None
            raise _broken(error) from None
        except Exception as error:  # of another version, or damaged: whatever it says
            raise _broken(error) from None
    return generator, Manifest


def _broken(error: Exception) -> InputError:
    found = f"cutlass_library does not load: {type(error).__name__}: {error}."
    return InputError.at("E2317", "CUTLASS:", " ".join(found.split()), EXTRA)


@contextmanager
def _no_arguments() -> Iterator[None]:
    kept, sys.argv = sys.argv, sys.argv[:1]
    try:
        yield
    finally:
        sys.argv = kept
