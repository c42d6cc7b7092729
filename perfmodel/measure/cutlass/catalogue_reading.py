"""A `cutlass_library` operation in our words, where it is of a kind that training uses."""

from __future__ import annotations

from perfmodel.formats import find_format
from perfmodel.gemm import ACCUMULATORS, OUTPUTS, Precision
from perfmodel.measure.cutlass.kernels import GemmKernel

ELEMENTS = {
    "f32": "fp32", "tf32": "tf32", "f16": "fp16", "bf16": "bf16", "s32": "int32", "s8": "int8", "s4": "int4",
    "e4m3": "fp8_e4m3", "e5m2": "fp8_e5m2",
}  # fmt: skip
TRANSPOSED = {"n": "t", "t": "n"}
DP4A_ALIGNMENT = 4  # bytes that a thread loads at a time, whatever the operation says
SWIZZLES = {"Identity1": 1, "Identity2": 2, "Identity4": 4, "Identity8": 8}


def read_operation(operation, target: str) -> GemmKernel | None:
    """The kernel that this operation makes when compiled for `target`; None where it is none for training.

    Left out: complex, planar and mixed operands, unsigned integers, interleaved layouts, a C that is read in another
    format or layout than D's, outputs other than the usual, the accumulator's and INT8's own, and `nn`, which no pass
    uses.

    CUTLASS's C is column-major, so our row-major D = A·B is asked for as Dᵀ = Bᵀ·Aᵀ: its first operand is our B, its m
    is our n. A 2.x kernel turns that back inside (`kInternalTranspose`), and its tile counts along our m and n; a 3.x
    kernel computes the transpose indeed, and its tile and cluster count along our n and m.
    """
    precision = _precision(operation)
    if precision is None or not _plain(operation):
        return None
    layout = our_layout(operation.layout_name())
    if layout == "nn":
        return None
    tile = operation.tile_description
    size, cluster = tuple(tile.threadblock_shape), tuple(tile.cluster_shape)
    if operation.is_3x:
        size, cluster = (size[1], size[0], size[2]), (cluster[1], cluster[0], cluster[2])
    return GemmKernel(
        operation.procedural_name(), target, 3 if operation.is_3x else 2, _unit(operation), precision, layout, size,
        tile.stages, cluster, _alignment(operation, precision), _split_modes(operation, precision),
        SWIZZLES[operation.swizzling_functor.name],
    )  # fmt: skip


def our_layout(named: str) -> str:
    """How our A and B lie where CUTLASS names its two operands, our Bᵀ and Aᵀ, so; it is its own inverse.

    >>> our_layout("tn"), our_layout("nn"), our_layout("nt"), our_layout("tt")
    ('tn', 'tt', 'nt', 'nn')
    """
    return TRANSPOSED[named[1]] + TRANSPOSED[named[0]]


def _precision(operation) -> Precision | None:
    math = operation.tile_description.math_instruction
    elements = (math.element_a, operation.accumulator_type(), operation.D.element)
    names = [ELEMENTS.get(element.name) for element in elements]
    if None in names:
        return None
    operand, output = names[0], names[2]
    in_memory = "f32" if operand == "tf32" else math.element_a.name  # FP32 tensors that the kernel itself rounds
    if operation.A.element.name != in_memory or operation.B.element.name != in_memory:
        return None
    usual = OUTPUTS.get(operand, operand)
    if output not in (usual, ACCUMULATORS[operand]) and (operand, output) != ("int8", "int8"):
        return None
    return Precision(*map(find_format, names))


def _plain(operation) -> bool:
    kinds = ("Universal", "Universal3x")
    layouts = {operation.A.layout.name, operation.B.layout.name}
    alike = operation.C.element.name in ("void", operation.D.element.name)  # `void`: none is read
    same = alike and operation.C.layout.name == operation.D.layout.name == "ColumnMajor"
    real = not operation.is_complex() and layouts <= {"ColumnMajor", "RowMajor"}
    return operation.gemm_kind.name in kinds and same and real


def _unit(operation) -> str:
    math = operation.tile_description.math_instruction
    if math.opcode_class.name == "Simt":
        return "dp4a" if math.instruction_shape[2] == 4 else "simt"
    return "warpgroup" if operation.is_3x else "tensor"


def _alignment(operation, precision: Precision) -> tuple[int, int, int]:
    a, b, vector = operation.B.alignment, operation.A.alignment, 128 // precision.output.bits
    if _unit(operation) == "dp4a":
        a = b = DP4A_ALIGNMENT
    if operation.is_3x:
        return a, b, vector if _has_tma_epilogue(operation) else 1
    return a, b, min(operation.C.alignment, vector)


def _split_modes(operation, precision: Precision) -> tuple[str, ...]:
    if operation.is_3x:
        return ("stream",) if operation.tile_scheduler.name == "StreamK" else ()
    if precision.output == precision.accumulator:
        return ("serial", "parallel")
    return () if precision.output.family == "int" else ("serial",)  # partial sums do not fit into INT8


def _has_tma_epilogue(operation) -> bool:
    """Whether a 3.x kernel writes C by TMA, 16 bytes at a time."""
    from cutlass_library.library import is_tma_epilogue

    return is_tma_epilogue(operation.epilogue_schedule)
