"""The C++ source of a library of kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import groupby, pairwise
from pathlib import Path

from perfmodel.measure.cutlass.kernels import GemmKernel, precision_text
from perfmodel.units import ceil_div

INCLUDE = Path(__file__).parent / "include"
ADAPTERS = {2: ("gemm2x.h", "PM_ENTRY_2X"), 3: ("gemm3x.h", "PM_ENTRY_3X")}
CONVOLUTION = ("conv2x.h", "PM_ENTRY_CONV")  # of 2.x; it includes gemm2x.h
UNIT = {2: (4, 8), 3: (1, 3)}  # kernels of a translation unit: reading the headers costs as much as eight of 2.x
CLAMP = "cutlass/epilogue/thread/linear_combination_clamp.h"  # of 8-bit outputs; the emitter forgets it


def translation_unit(kernels: Sequence[GemmKernel], define: Callable[[GemmKernel], str] | None = None) -> str:
    """Source that defines these kernels, in this order, and the table that exports them.

    All are of one generation, and all convolutions or none. `define` gives a kernel's definition; by default CUTLASS's
    emitter does.
    """
    adapters = {_adapter(kernel) for kernel in kernels}
    if len(adapters) != 1:
        raise ValueError("a translation unit holds kernels of one generation, convolutions apart")
    header, entry = adapters.pop()
    needed = includes(kernels[0].generation, bool(kernels[0].conv)) if define is None else ()
    files = dict.fromkeys((*needed, header, "library.h"))
    lines = [f'#include "{file}"' for file in files]
    lines += [(define or definition)(kernel).strip("\n") for kernel in kernels]
    entries = ",\n  ".join(f"{entry}({type_name(kernel)})" for kernel in kernels)
    return "\n".join([*lines, f"PM_LIBRARY(\n  {entries})", ""])


def type_name(kernel: GemmKernel) -> str:
    """The C++ type of a kernel: its name, which is unique in its target."""
    return "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in kernel.name)


def definition(kernel: GemmKernel) -> str:
    """What CUTLASS's emitter writes for a kernel, under our name where that is another one. Needs cutlass_library."""
    from perfmodel.measure.cutlass import catalogue, convolutions

    operation = (convolutions if kernel.conv else catalogue).operation_of(kernel)
    name = operation.procedural_name()
    text = _emitter(kernel.generation, bool(kernel.conv)).emit(operation)
    if kernel.conv:  # the emitter leaves it to others to make a type of it
        text += f"\nstruct {name} : public {name}_base {{}};\n"
    return text.replace(name, type_name(kernel))


def includes(generation: int, convolution: bool = False) -> tuple[str, ...]:
    """The CUTLASS headers that emitted kernels need."""
    if convolution:
        passes = (f"cutlass/conv/kernel/default_conv2d_{one}.h" for one in ("fprop", "dgrad", "wgrad"))
        return ("cutlass/cutlass.h", *passes, CLAMP)
    return (*_emitter(generation, convolution).includes, CLAMP)


def headers(generation: int) -> str:
    """The text of our own headers that units of this generation include."""
    names = ["perfmodel_gemm.h", "library.h", ADAPTERS[generation][0]]
    names += [CONVOLUTION[0]] if generation == 2 else []
    return "\n".join((INCLUDE / name).read_text(encoding="utf-8") for name in names)


def _adapter(kernel: GemmKernel) -> tuple[str, str]:
    return CONVOLUTION if kernel.conv else ADAPTERS[kernel.generation]


@cache
def _emitter(generation: int, convolution: bool):
    from cutlass_library import conv2d_operation, gemm_operation

    if convolution:
        return conv2d_operation.EmitConv2dInstance()
    if generation == 2:
        return gemm_operation.EmitGemmUniversalInstance()
    return gemm_operation.EmitGemmUniversal3xInstance()


def units_of(kernels: Sequence[GemmKernel], jobs: int = 1) -> list[list[GemmKernel]]:
    """The kernels in translation units of one generation and nearly equal sizes, alike ones together.

    At most 8 kernels of 2.x share a unit, or 3 of 3.x; no fewer than 4, or 1, where that keeps no job waiting.
    """
    units = []
    ordered = sorted(kernels, key=lambda kernel: (_family(kernel), kernel.name))
    for (generation, _), group in groupby(ordered, lambda kernel: (kernel.generation, bool(kernel.conv))):
        members, (least, most) = list(group), UNIT[generation]
        count = max(ceil_div(len(members), most), min(jobs, ceil_div(len(members), least)))
        bounds = [len(members) * i // count for i in range(count + 1)]
        units += [members[a:b] for a, b in pairwise(bounds)]
    return units


def _family(kernel: GemmKernel) -> tuple:
    return kernel.generation, bool(kernel.conv), kernel.unit, precision_text(kernel.precision)
