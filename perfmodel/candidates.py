"""Which implementations a GPU chooses from for every kernel of a plan, and what is timed beside them.

CUTLASS kernels compete for each GEMM, ranked by a small model of tiles and waves; the engine times the best of them and
keeps the fastest that is right. Beside them, without weight in the plan: the vendor's library on the same GEMM, and for
INT8 the kernels that need no transposed copies (dp4a), on operands as they lie in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from perfmodel.gemm import Gemm
from perfmodel.lowering.gemms import LAYOUT_OF
from perfmodel.measure.cutlass.fits import ranked
from perfmodel.measure.cutlass.kernels import GemmKernel, variant_text
from perfmodel.plan import Plan, PlannedKernel
from perfmodel.profiles.kernel import VENDOR, Kernel

MOST = {"default": 4, "wide": 16}  # candidates for one GEMM
VENDOR_OPERANDS = ("fp64", "fp32", "tf32", "fp16", "bf16", "int8")  # that cuBLAS multiplies; FP8 is cuBLASLt's


def with_candidates(plan: Plan, kernels: Sequence[GemmKernel], sms: int, search: str, vendor: bool) -> Plan:
    """The plan with the variants of each GEMM, and the rows beside it; `search` is `default` or `wide`."""
    found = []
    for planned in plan.kernels:
        problem = planned.kernel.problem
        if not isinstance(problem, Gemm):
            found.append(planned)
            continue
        found.append(replace(planned, variants=_variants(problem, kernels, sms, MOST[search])))
        if vendor and problem.conv is None and problem.precision.operand.name in VENDOR_OPERANDS:
            found.append(replace(planned, kernel=Kernel(problem, VENDOR), weight=0.0))
        if plan.request.get("mapping") != "im2col-per-image":  # there layouts differ between layers, see `lowering`
            found += _as_they_lie(planned, kernels, sms, MOST[search])
    return replace(plan, kernels=tuple(found))


def kernels_of(plan: Plan, kernels: Iterable[GemmKernel]) -> list[GemmKernel]:
    """Those that any of the plan's variants names: what has to be compiled."""
    names = {variant.partition(" ")[0] for planned in plan.kernels for variant in planned.variants}
    return [kernel for kernel in kernels if kernel.name in names]


def _variants(gemm: Gemm, kernels: Sequence[GemmKernel], sms: int, most: int) -> tuple[str, ...]:
    return tuple(variant_text(kernel, parts, mode) for kernel, mode, parts in ranked(kernels, gemm, sms, most))


def _as_they_lie(
    planned: PlannedKernel, kernels: Sequence[GemmKernel], sms: int, most: int
) -> Iterator[PlannedKernel]:  # fmt: skip
    """The same product on operands that were not turned round, for units that can read them so."""
    gemm = planned.kernel.problem
    passes = {use.rpartition(" ")[2] for use in planned.uses}
    if not gemm.precision.operand.reads_along_k or len(passes) != 1:
        return
    layout = LAYOUT_OF[passes.pop()]
    if layout == gemm.layout:
        return
    other = replace(gemm, layout=layout)
    if variants := _variants(other, kernels, sms, most):
        yield replace(planned, kernel=Kernel(other), weight=0.0, variants=variants)
