"""The memory-bound kernels: compiled at run time, once, and launched with typed arguments."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, NamedTuple

from perfmodel.errors import PerfModelError
from perfmodel.measure.backend import BuildFailed
from perfmodel.measure.cuda.functions import Function, OneByOne
from perfmodel.measure.cuda.operands import Operands
from perfmodel.measure.cuda.runtime import Argument, Runtime

if TYPE_CHECKING:
    from perfmodel.lowering import MemoryOp
    from perfmodel.measure.streams.kernel import Launch, StreamKernel

TYPES = {"u32": ctypes.c_uint32, "i32": ctypes.c_int32, "u64": ctypes.c_uint64, "f32": ctypes.c_float}


class Streams:
    """The kernels on one device. Its source is compiled when the first of them is built."""

    def __init__(self, runtime: Runtime, sms: int):
        self._runtime, self._sms = runtime, sms
        self._module: Any = None
        self._kernels: dict[tuple, StreamKernel] = {}

    def kernel(self, op: MemoryOp, variant: str) -> StreamKernel:
        """What the kernel of this name does to which buffers; `BuildFailed` where there is none."""
        from perfmodel.measure.streams.catalogue import stream_kernel

        if (op, variant) not in self._kernels:
            try:
                self._kernels[op, variant] = stream_kernel(op, variant)
            except PerfModelError as error:
                problem = error.problems[0]
                raise BuildFailed(f"{problem.place} {problem.found}", problem.fix) from None
        return self._kernels[op, variant]

    def build(self, op: MemoryOp, variant: str, blocks_per_sm: int = 0) -> Function:
        """The kernel, compiled and loaded; at most so many blocks on a multiprocessor (0: as many as are usual)."""
        from perfmodel.measure.streams.sources import source_text

        kernel = self.kernel(op, variant)
        if self._module is None:
            self._module = self._runtime.compile(source_text(), "perfmodel_streams.cu")
        launches = [self._prepared(kernel, one) for one in kernel.launches(self._sms, blocks_per_sm)]

        def run(operands: Operands, number: int) -> None:
            for launch, entry, arguments, addresses in launches:
                for argument, place in addresses:
                    argument.value = operands.address(number, place)
                self._runtime.launch(entry, launch.grid, launch.block, arguments, launch.shared_bytes)

        resources = self._runtime.attributes(launches[0].entry) if launches else {}
        return Function(lambda operands: OneByOne(operands, run), resources)

    def _prepared(self, kernel: StreamKernel, launch: Launch) -> _Prepared:
        entry, arguments = self._runtime.function(self._module, launch.entry), arguments_of(launch)
        places = {buffer.name: number for number, buffer in enumerate(kernel.buffers)}
        pairs = zip(arguments, launch.arguments, strict=True)
        addresses = [(argument, places[one]) for argument, one in pairs if isinstance(one, str)]
        return _Prepared(launch, entry, arguments, addresses)


class _Prepared(NamedTuple):
    """A launch whose arguments are made once: up to 51 of them, and graphs of hundreds of launches for each visit.

    `addresses` are those arguments that a set of operands decides, each with the number of its buffer.
    """

    launch: Launch
    entry: Any
    arguments: list[Argument]
    addresses: list[tuple[Argument, int]]


def arguments_of(launch: Launch) -> list[Argument]:
    """The arguments of a launch: no addresses yet, and numbers of the types that it names."""
    return [ctypes.c_void_p() if isinstance(one, str) else TYPES[one[0]](one[1]) for one in launch.arguments]
