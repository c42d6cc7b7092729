"""Plans of the kernels that go through tensors element by element."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfmodel.measure.streams.kernel import THREADS, Argument, Buffer, Constants, Plan
from perfmodel.measure.streams.refusal import check_bytes, refuse, width
from perfmodel.quantisers import LARGEST_BITS, SMALLEST_BITS
from perfmodel.units import ceil_div

if TYPE_CHECKING:
    from perfmodel.lowering import MemoryOp

CODES = {1: "int8", 2: "int16", 4: "int32"}
RECORDED = (  # what a kernel that records max|x| leaves
    Buffer("absmax", 4, "fp32", "out"),
    Buffer("next_scale", 8, "fp32", "out"),
    Buffer("workspace", 8, "uint32", "workspace"),
)
EACH = 16  # items that a thread has under way
SCALE = Buffer("scale", 8, "fp32", "scale")


def plan(
    entry: str, buffers: tuple[Buffer, ...], numbers: tuple[Argument, ...], items: int, per_thread: int = 1
) -> Plan:
    """A kernel whose arguments are all its buffers, then numbers; each thread does `per_thread` items at a time."""
    names = tuple(buffer.name for buffer in buffers)
    return Plan(buffers, entry, (*names, *numbers), ceil_div(items, THREADS * per_thread))


def bits_of(op: MemoryOp, code_bytes: int, constants: Constants) -> int:
    """Bits of a code; `Unsupported` (E2320) where they do not go into its bytes."""
    bits = 8 * code_bytes if constants.bits is None else constants.bits
    least = SMALLEST_BITS if code_bytes == 1 else SMALLEST_BITS + 7
    if not least <= bits <= 8 * code_bytes <= LARGEST_BITS:
        raise refuse(
            op, f"codes of {bits} bits are not stored in {code_bytes} B.", "2 to 8 bits go into 1 B, 9 to 16 into 2."
        )
    return bits


def random_numbers(constants: Constants, bits: int) -> tuple[Argument, ...]:
    """The generator's key and step, and the bits of a code."""
    seed = constants.seed
    low, high = seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF
    return ("u32", low), ("u32", high), ("u32", constants.step & 0xFFFFFFFF), ("i32", bits)


def rates(constants: Constants) -> tuple[Argument, ...]:
    """What SGD multiplies with."""
    return ("f32", constants.learning_rate), ("f32", constants.momentum), ("f32", constants.weight_decay)


def stream(op: MemoryOp, _: str, __: Constants) -> Plan:
    """Any bytes in and out, `checksum` of what is read but not copied."""
    read, written = round(op.bytes_read), round(op.bytes_written)
    buffers = (
        Buffer("in", read, "uint8", "in"), Buffer("out", written, "uint8", "out"),
        Buffer("checksum", 16, "uint32", "out"), Buffer("workspace", 20, "uint32", "workspace"),
    )  # fmt: skip
    return plan("stream", buffers, (("u64", read), ("u64", written)), ceil_div(max(read, written), 4), EACH)


def absmax(op: MemoryOp, _: str, constants: Constants) -> Plan:
    """max|x| and the scale that follows."""
    n = op.shape[0]
    check_bytes(op, 4 * n, 0)
    bits = 8 if constants.bits is None else constants.bits
    if not SMALLEST_BITS <= bits <= LARGEST_BITS:
        raise refuse(op, f"there are no codes of {bits} bits.", "Codes have 2 to 16 bits.")
    buffers = (Buffer("x", 4 * n, "fp32", "in"), *RECORDED)
    return plan("absmax", buffers, (("u64", n), ("i32", bits)), n, EACH)


def quantise(op: MemoryOp, variant: str, constants: Constants) -> Plan:
    """FP32 to codes by a scale that is there; delayed: with the maximum recorded for the next step."""
    n, delayed = op.shape[0], op.op == "quantise_delayed"
    each = width(op, op.bytes_written, n, (1, 2))
    check_bytes(op, 4 * n, each * n)
    codes = Buffer("codes", each * n, CODES[each], "out")
    buffers = (Buffer("x", 4 * n, "fp32", "in"), codes, SCALE, *(RECORDED if delayed else ()))
    numbers = (("u64", n), *random_numbers(constants, bits_of(op, each, constants)))
    entry = f"quantise_{'delayed_' if delayed else ''}{variant}_{8 * each}"
    return plan(entry, buffers, numbers, n, EACH)


def dequantise(op: MemoryOp, _: str, __: Constants) -> Plan:
    """Codes or INT32 sums to FP32, times the second number of the scale."""
    n = op.shape[0]
    each = width(op, op.bytes_read, n, (4, 2, 1))
    check_bytes(op, each * n, 4 * n)
    buffers = (Buffer("codes", each * n, CODES[each], "in"), Buffer("x", 4 * n, "fp32", "out"), SCALE)
    return plan(f"dequantise_{each}", buffers, (("u64", n),), n, EACH)


def _state(n: int) -> tuple[Buffer, ...]:
    weights, momentum = (Buffer(name, 4 * n, "fp32", "inout") for name in ("weights", "momentum"))
    return weights, momentum, Buffer("gradient", 4 * n, "fp32", "in")


def update(op: MemoryOp, _: str, constants: Constants) -> Plan:
    """SGD with momentum and weight decay on FP32 weights."""
    n = op.shape[0]
    check_bytes(op, 12 * n, 8 * n)
    return plan("update", _state(n), (("u64", n), *rates(constants)), n, 4)


def update_quantise(op: MemoryOp, variant: str, constants: Constants) -> Plan:
    """The same, with codes of the new weights by an earlier scale and their maximum."""
    n = op.shape[0]
    each = width(op, op.bytes_written - 8 * n, n, (1, 2))
    check_bytes(op, 12 * n, (8 + each) * n)
    codes = Buffer("codes", each * n, CODES[each], "out")
    numbers = (("u64", n), *rates(constants), *random_numbers(constants, bits_of(op, each, constants)))
    return plan(f"update_quantise_{variant}_{8 * each}", (*_state(n), codes, SCALE, *RECORDED), numbers, n, EACH)


def cast(op: MemoryOp, variant: str, _: Constants) -> Plan:
    """FP32 to FP16 or BF16."""
    n = op.shape[0]
    check_bytes(op, 4 * n, 2 * n)
    buffers = (Buffer("x", 4 * n, "fp32", "in"), Buffer("out", 2 * n, variant, "out"))
    return plan(f"cast_{variant}", buffers, (("u64", n),), n, 8)


def check(op: MemoryOp, _: str, constants: Constants) -> Plan:
    """Gradients divided by the loss scale in place, and whether any was lost."""
    n = op.shape[0]
    check_bytes(op, 4 * n, 4 * n)
    buffers = (Buffer("gradient", 4 * n, "fp32", "inout"), Buffer("flag", 4, "uint32", "inout"))
    return plan("check", buffers, (("u64", n), ("f32", 1 / constants.loss_scale)), n, EACH)
