"""The CUTLASS GEMM kernels to compile for a target: a small choice of them, or all that training can use.

`wide` is what `read_operation` reads, less: automatic 3.x schedules (each is one of the named ones), 3.x kernels that
read C or store without TMA where one of the same name does not, and those whose sums overflow the registers; alignments
below 16 bytes but on tiles of 64 x 64, and Turing's FP16 kernels on newer chips but the one that reads single elements.
`default` is the part of `wide` that `choice.ROWS` names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version

from perfmodel.errors import InputError, Problem, quote
from perfmodel.gemm import Precision
from perfmodel.measure.cutlass.catalogue_operations import operations
from perfmodel.measure.cutlass.catalogue_reading import read_operation
from perfmodel.measure.cutlass.choice import TARGETS, key_of, precision_of, precisions_of, rows_of
from perfmodel.measure.cutlass.kernels import GemmKernel, precision_text

SEARCHES = ("default", "wide")
MOST_SUMS = 128  # accumulators of a thread
READ_C = re.compile(r"_[a-z0-9]+_(?=[a-z]+[0-9]+[a-z0-9]*_\d+x\d+x\d+_)")  # C's type in the name of a 3.x kernel


def target_of(compute_capability: tuple[int, int] | str) -> str:
    """What nvcc compiles for on a chip of this compute capability: `90a` for 9.0. Raises `InputError` (E2302).

    >>> target_of((7, 5)), target_of("9.0")
    ('75', '90a')
    """
    parts = compute_capability.split(".") if isinstance(compute_capability, str) else compute_capability
    name = ".".join(map(str, parts))
    if name in TARGETS:
        return TARGETS[name]
    newest = max(TARGETS, key=_numbers)
    try:
        newer = _numbers(name) > _numbers(newest)
    except ValueError:
        newer = False
    found = "is newer than the kernels of the catalogue." if newer else "has no kernels in the catalogue."
    fix = f"There are kernels for {', '.join(TARGETS)}."
    raise InputError.at("E2302", f"compute capability {quote(name)}:", found, fix)


def catalogue(
    target: str, search: str = "default", precisions: Iterable[Precision] | None = None
) -> tuple[GemmKernel, ...]:
    """The kernels for a target, by precision, unit, layout and size; of these precisions only, where they are given.

    Raises `InputError`: E2301 for a precision without a kernel, E2302 for a target that is none, E2316 or E2317
    without a CUTLASS that loads.
    """
    if target not in TARGETS.values():
        known = ", ".join(TARGETS.values())
        raise InputError.at("E2302", f"target {quote(target)}:", "has no kernels in the catalogue.", f"Known: {known}.")
    if search not in SEARCHES:
        raise ValueError(f"search is one of {SEARCHES}, not {search!r}")
    kernels = _wide(target) if search == "wide" else _default(target)
    if precisions is None:
        return kernels
    asked = set(precisions)
    has = dict.fromkeys(kernel.precision for kernel in kernels)
    refused = sorted((_refusal(target, one, has) for one in asked if one not in has), key=str)
    if refused:
        raise InputError(refused)
    return tuple(kernel for kernel in kernels if kernel.precision in asked)


def supported(target: str, precision: Precision) -> bool:
    """Whether the default choice has kernels of this precision for this target.

    >>> from perfmodel.gemm import find_precision
    >>> supported("75", find_precision("int4")), supported("90a", find_precision("int4"))
    (True, False)
    """
    return any(precision == precision_of(text) for text in precisions_of(target))


def operation_of(kernel: GemmKernel):
    """The `cutlass_library` operation of a kernel, for its emitter. Raises `KeyError` for one that is not generated."""
    return operations(kernel.target)[kernel.name]


def catalogue_version() -> str:
    """The version of the CUTLASS package that the kernels come from; `unknown` where it does not say."""
    try:
        return version("nvidia-cutlass")
    except PackageNotFoundError:
        return "unknown"


@lru_cache(maxsize=len(TARGETS))
def _wide(target: str) -> tuple[GemmKernel, ...]:
    read = [kernel for kernel in map(_reader(target), operations(target).values()) if kernel is not None]
    kept = _finest(kernel for kernel in read if sums_of_a_thread(kernel) <= MOST_SUMS)
    best = {}
    for kernel in kept:
        family = (kernel.unit, kernel.precision)
        best[family] = max(best.get(family, 0), kernel.alignment[0])
    chosen = (
        kernel for kernel in kept
        if kernel.alignment[0] == best[kernel.unit, kernel.precision] or kernel.tile[:2] == (64, 64)
    )  # fmt: skip
    return tuple(sorted(chosen, key=_order))


def sums_of_a_thread(kernel: GemmKernel) -> int:
    """The accumulators that a thread of a warp-group kernel keeps; 0 of others.

    A group of 128 threads has a tile of its own, or shares one with another (cooperative). Exact FP8 sums need a second
    set. A thread has at most 255 registers: kernels with 256 sums spill.
    """
    if kernel.generation == 2:
        return 0
    m, n, _ = kernel.tile
    sets = 2 if kernel.precision.operand.name.startswith("fp8") and "fastaccum" not in kernel.name else 1
    return sets * m * n // (256 if "_cooperative" in kernel.name else 128)


def _finest(kernels: Iterable[GemmKernel]) -> list[GemmKernel]:
    """Of kernels that differ in nothing but C and the epilogue, the one that stores by TMA, and best reads no C."""
    found: dict[str, GemmKernel] = {}
    for kernel in sorted(kernels, key=lambda one: (one.name.endswith("_epi_tma"), "_void_" in one.name)):
        key = READ_C.sub("_", kernel.name.removesuffix("_epi_tma").removesuffix("_epi_nosmem"))
        found[key] = kernel
    return list(found.values())


def _reader(target: str):
    def read(operation) -> GemmKernel | None:
        automatic = operation.is_3x and operation.kernel_schedule.name == "ScheduleAuto"
        older = operation.arch == 75 and target != "75" and operation.A.alignment > 1
        return None if automatic or older else read_operation(operation, target)

    return read


@lru_cache(maxsize=len(TARGETS))
def _default(target: str) -> tuple[GemmKernel, ...]:
    named = set().union(*(row.kernels() for row in rows_of(target)))
    return tuple(kernel for kernel in _wide(target) if key_of(kernel) in named)


def _order(kernel: GemmKernel) -> tuple:
    m, n, _ = kernel.tile
    return precision_text(kernel.precision), kernel.unit, kernel.layout, -kernel.alignment[0], -m * n, kernel.name


def _refusal(target: str, precision: Precision, has: Iterable[Precision]) -> Problem:
    found = f"CUTLASS has no kernel of it for this chip (target {target})."
    fix = f"It has {', '.join(map(precision_text, has))}."
    return Problem("E2301", f"precision {quote(precision_text(precision))}:", found, fix)


def _numbers(capability: str) -> tuple[int, ...]:
    return tuple(map(int, capability.split(".")))
