"""A real GPU as a `Backend`: kernels from libraries, from cuBLAS and from our own sources, on one stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from perfmodel.gemm import Gemm
from perfmodel.measure.backend import DeviceFacts, NotReadable, OutOfDeviceMemory
from perfmodel.measure.cuda.building import Builder
from perfmodel.measure.cuda.catalogue import Catalogue
from perfmodel.measure.cuda.checks import Checks
from perfmodel.measure.cuda.functions import Function
from perfmodel.measure.cuda.instrument import Clock, Event, Stamp
from perfmodel.measure.cuda.launching import Batch, Launcher
from perfmodel.measure.cuda.operands import Operands, gemm_buffers, prepare, stream_buffers
from perfmodel.measure.cuda.pool import Pool
from perfmodel.measure.cuda.products import ConvolutionProduct, GemmProduct, convolution_product, gemm_product
from perfmodel.measure.cuda.runtime import Runtime
from perfmodel.measure.cuda.slab import slab_of
from perfmodel.measure.cuda.stream_products import StreamProduct, stream_product
from perfmodel.measure.cuda.streams import Streams
from perfmodel.measure.cuda.tools import Tools
from perfmodel.profiles.kernel import VENDOR, Kernel

TRIAL_S = 60.0


class CudaBackend:
    """One GPU behind a `Runtime`. `read` gives the readings of the driver's management library."""

    def __init__(self, runtime: Runtime, catalogue: Catalogue, read: Callable[[str], Any] | None = None):
        self._runtime, self._catalogue, self._read = runtime, catalogue, read
        self._properties = runtime.properties()
        self._pool = Pool(runtime)
        self._tools = Tools(runtime, self._properties.sms)
        self._checks = Checks(runtime, self._tools, self._pool)
        self._clock = Clock(runtime, self._tools, self._pool)
        self._streams = Streams(runtime, self._properties.sms)
        self._builder = Builder(runtime, catalogue, self._tools, self._streams, self._pool)
        self._launcher = Launcher(runtime, self._tools)

    def facts(self) -> DeviceFacts:
        """What the device is."""
        found, versions = self._properties, self._runtime.versions()
        return DeviceFacts(
            "cuda", found.name, found.uuid, ".".join(map(str, found.compute_capability)), found.sms, found.l2_bytes,
            found.memory_bytes, versions["driver"], versions["runtime"], self._catalogue.compiler,
            self._catalogue.fingerprint,
        )  # fmt: skip

    def reading(self, name: str) -> float | int | bool | str:
        """One of `READINGS`; `NotReadable` where the driver does not tell."""
        if self._read is None:
            raise NotReadable("nothing reads the state of this device")
        return self._read(name)

    def build(self, kernel: Kernel) -> Function:
        """The kernel, loaded and found able to compute the problem; the vendor's library says so only when it runs."""
        function = self._builder.build(kernel)
        if kernel.variant == VENDOR and isinstance(kernel.problem, Gemm):
            with suppress(OutOfDeviceMemory):  # whoever measures it finds that out as well
                operands = self.allocate(kernel, 1, "zeros", 0)
                try:
                    self.launch_each(function, operands, 1, 0)
                    self.synchronise(TRIAL_S)
                finally:
                    operands.block.content = ()  # nobody will ask for zeros again
                    self.release(operands)
        return function

    def resources(self, function: Function) -> Mapping[str, int]:
        """Registers, shared memory, spills, as the compiler told them."""
        return function.resources

    def free_bytes(self) -> int:
        """Device memory that can be allocated."""
        return self._pool.free_bytes()

    def allocate(self, kernel: Kernel, sets: int, data: str, seed: int) -> Operands:
        """One piece of memory with all sets, filled on the device."""
        problem = kernel.problem
        if isinstance(problem, Gemm):
            buffers = gemm_buffers(problem, self._builder.matrices(kernel), data)
        else:
            buffers = stream_buffers(self._streams.kernel(problem, kernel.variant).buffers, data)
        slab = slab_of(buffers, sets)
        # The mix that warms the device up, and the canary, ask for the same set again and again: it keeps its content.
        content = (kernel, data) if sets == 1 and seed == 0 else ()
        block, filled = self._pool.take(slab.size_bytes, content)
        operands = Operands(kernel, slab, block)
        if not filled:
            prepare(self._tools, operands, seed)
        return operands

    def release(self, operands: Operands) -> None:
        """Give the memory back, and the graphs that use it; a second time it does nothing."""
        if not operands.live:
            return
        operands.live = False
        for bound in operands.bound.values():
            bound.release()
        while operands.graphs:
            self._runtime.destroy_graph(operands.graphs.pop())
        self._pool.give(operands.block)

    def capture(self, function: Function | None, operands: Operands | None, launches: int, start: int) -> Batch:
        """A graph of the launches."""
        return self._launcher.capture(function, operands, launches, start)

    def launch(self, batch: Batch) -> None:
        """Enqueue a captured batch."""
        self._runtime.launch_graph(batch.graph)

    def launch_each(self, function: Function | None, operands: Operands | None, launches: int, start: int) -> None:
        """Enqueue launches one by one."""
        self._launcher.launch_each(function, operands, launches, start)

    def copy(self, size_bytes: int) -> None:
        """Enqueue a copy within device memory. Its own memory may be taken again by what is enqueued after it."""
        block, _ = self._pool.take(2 * size_bytes)
        try:
            self._runtime.copy(block.pointer + size_bytes, block.pointer, size_bytes)
        finally:
            self._pool.give(block)

    def spin(self, seconds: float) -> None:
        """Enqueue a kernel that lasts so long by the device's timer."""
        self._tools.spin(seconds)

    def event(self) -> Event:
        """Enqueue an event."""
        return self._clock.event()

    def elapsed_s(self, first: Event, last: Event) -> float:
        """Seconds between two events."""
        return self._clock.elapsed_s(first, last)

    def stamp(self) -> Stamp:
        """Enqueue a stamp."""
        return self._clock.stamp()

    def clock_hz(self, first: Stamp, last: Stamp) -> float:
        """Mean SM clock between two stamps; NaN where they cannot tell."""
        return self._clock.clock_hz(first, last)

    def synchronise(self, limit_s: float) -> None:
        """Wait for the device; `Hang` after `limit_s`, and faults of what ran."""
        self._clock.synchronise(limit_s)

    def now_s(self) -> float:
        """Monotonic time of the host."""
        return self._runtime.now_s()

    def wait(self, seconds: float) -> None:
        """Sleep."""
        self._runtime.wait(seconds)

    def product(
        self, function: Function, kernel: Kernel, data: str, seed: int
    ) -> GemmProduct | ConvolutionProduct | StreamProduct:
        """The output of one launch on fresh operands and poison; a smaller problem where this one is very large."""
        if not isinstance(kernel.problem, Gemm):
            return stream_product(self, self._runtime, self._checks, self._streams, kernel, seed)
        if conv := self._builder.convolution(kernel):
            return convolution_product(self, self._runtime, self._checks, self._pool, conv, kernel, data, seed)
        return gemm_product(self, self._runtime, self._checks, self._pool, function, kernel, data, seed)

    def state(self) -> dict:
        """Nothing: a device goes on by itself."""
        return {}

    def restore(self, state: Mapping) -> bool:
        """No device goes back."""
        return False

    def close(self) -> None:
        """Give everything back."""
        self._launcher.close()
        self._clock.close()
        self._pool.trim()
        self._runtime.close()
