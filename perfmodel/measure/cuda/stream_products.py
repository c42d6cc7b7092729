"""Whether a memory-bound kernel computes what NumPy says, bit for bit, on an instance that the host can follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from perfmodel.lowering import MemoryOp
from perfmodel.measure.backend import Backend, BuildFailed
from perfmodel.measure.cuda.checks import Checks
from perfmodel.measure.cuda.operands import Operands
from perfmodel.measure.cuda.products import LIMIT_S
from perfmodel.measure.cuda.runtime import Runtime
from perfmodel.measure.cuda.streams import Streams
from perfmodel.measure.streams.windows import Window
from perfmodel.profiles.kernel import Kernel

MOST_BYTES = 2**23  # read and written by an instance
POISON = 0xFF
LANES = 16  # elements of one byte that a thread moves at a time
# Blocks on a multiprocessor (0: as when it is timed) of each launch. A small instance leaves a full grid nothing to go
# round for: few blocks show the loops. The second launch shows what the first left behind.
GRIDS = (0, 1)
EMPTY = np.zeros((0, 0))


@dataclass(frozen=True, slots=True)
class StreamProduct:
    """How many elements came out wrong: the engine has no other number for a kernel that multiplies nothing."""

    unwritten: int
    guards_intact: bool

    def sample(self, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """No elements."""
        return EMPTY, EMPTY, EMPTY

    def probe(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """No rows."""
        return EMPTY[0:0, 0], EMPTY[0:0, 0]


def stream_product(
    backend: Backend, runtime: Runtime, checks: Checks, streams: Streams, kernel: Kernel, seed: int
) -> StreamProduct:
    """Run the kernel twice on data with special values, and compare each output with NumPy's."""
    from perfmodel.measure.streams.reference import expected, sample_inputs

    kernel = replace(kernel, problem=followable(kernel.problem, lambda op: _exists(streams, op, kernel.variant)))
    stream = streams.kernel(kernel.problem, kernel.variant)
    functions = [streams.build(kernel.problem, kernel.variant, blocks) for blocks in GRIDS]
    operands = backend.allocate(kernel, 1, "zeros", seed)
    try:
        inputs, wrong = sample_inputs(stream, seed), 0
        for function in functions:
            _set(runtime, operands, stream, inputs)
            backend.launch_each(function, operands, 1, 0)
            backend.synchronise(LIMIT_S)
            wrong += _wrong(runtime, operands, stream, expected(stream, inputs))
        return StreamProduct(wrong, checks.guards_intact(operands))
    finally:
        operands.block.content = ()  # it holds other data now
        backend.release(operands)


def _set(runtime: Runtime, operands: Operands, stream, inputs: Mapping[str, np.ndarray]) -> None:
    for number, buffer in enumerate(stream.buffers):
        if buffer.name in inputs:
            runtime.upload(operands.address(0, number), np.ascontiguousarray(inputs[buffer.name]).tobytes())
        elif buffer.role == "out":
            runtime.fill(operands.address(0, number), POISON, buffer.size_bytes)


def _wrong(runtime: Runtime, operands: Operands, stream, wanted: Mapping[str, np.ndarray]) -> int:
    from perfmodel.measure.streams.reference import matches

    wrong = 0
    for number, buffer in enumerate(stream.buffers):
        if buffer.name not in wanted and buffer.role != "workspace":
            continue
        computed = np.frombuffer(runtime.download(operands.address(0, number), buffer.size_bytes), buffer.dtype)
        right = computed == 0 if buffer.role == "workspace" else matches(computed, wanted[buffer.name])
        wrong += int(np.count_nonzero(~right))
    return wrong


def followable(op: MemoryOp, exists) -> MemoryOp:
    """The work itself, or the same on less data: fewer rows, images or elements, its tail as odd as before."""
    if op.bytes <= MOST_BYTES:
        return op
    if not op.shape:
        share = MOST_BYTES / op.bytes
        return replace(
            op, bytes_read=op.bytes_read * share // 16 * 16, bytes_written=op.bytes_written * share // 16 * 16
        )
    first = op.shape[0]
    fewer = max(1, int(first * MOST_BYTES / op.bytes))
    fewer = fewer // 1024 * 1024 + first % 1024 if fewer >= 2048 else fewer
    shape, written = (fewer, *op.shape[1:]), fewer / first
    if op.op == "im2col_transposed":  # the length of its rows is counted in pixels: of fewer images, fewer
        stored = op.shape[-1]
        pixels = Window(*shape).rows
        shape = (*shape[:-1], pixels + (stored - pixels) % LANES)  # as aligned as before: another length is other code
        written = shape[-1] / stored
    smaller = replace(
        op, shape=shape, bytes_read=op.bytes_read * fewer / first, bytes_written=op.bytes_written * written
    )
    return smaller if exists(smaller) else op


def _exists(streams: Streams, op: MemoryOp, variant: str) -> bool:
    try:
        streams.kernel(op, variant)
    except BuildFailed:
        return False
    return True
