"""The seam between the CUDA backend and the driver: the few calls that it makes, and how their errors are told.

Pointers, streams, events, graphs and functions are plain values that mean something to their runtime alone. All work
goes to one stream, in order. A call raises nothing but the errors of `perfmodel.measure.backend`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Argument = ctypes._SimpleCData  # of a kernel: c_void_p, c_uint64, c_int, c_float …


@dataclass(frozen=True, slots=True)
class DeviceProperties:
    """What the driver says of a device."""

    name: str
    uuid: str
    compute_capability: tuple[int, int]
    sms: int
    l2_bytes: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class VendorGemm:
    """One call of cuBLAS in its own terms: column-major C[m, n] = op(A) · op(B), `count` of them `stride` apart.

    Types are the names of formats; `compute` is what follows `CUBLAS_COMPUTE_`.
    """

    transpose_a: bool
    transpose_b: bool
    m: int
    n: int
    k: int
    a: int
    lda: int
    stride_a: int
    b: int
    ldb: int
    stride_b: int
    c: int
    ldc: int
    stride_c: int
    count: int
    operand: str
    output: str
    compute: str


class Runtime(Protocol):
    """One device, one stream. `stream` is its address, for libraries that launch by themselves."""

    stream: int

    def properties(self) -> DeviceProperties:
        """What the device is."""
        ...

    def versions(self) -> Mapping[str, str]:
        """`driver` and `runtime`, as a profile keeps them."""
        ...

    def memory(self) -> tuple[int, int]:
        """Bytes free, bytes in all."""
        ...

    def allocate(self, size_bytes: int) -> int:
        """The address of so many bytes, aligned to 256; `OutOfDeviceMemory` otherwise."""
        ...

    def free(self, pointer: int) -> None:
        """Give memory back; waits for the device."""
        ...

    def fill(self, pointer: int, value: int, size_bytes: int) -> None:
        """Enqueue: every byte becomes `value`."""
        ...

    def copy(self, to: int, source: int, size_bytes: int) -> None:
        """Enqueue a copy within the device."""
        ...

    def upload(self, pointer: int, data: bytes) -> None:
        """Copy to the device, after what is enqueued; returns when the data may change."""
        ...

    def download(self, pointer: int, size_bytes: int) -> bytes | memoryview:
        """Copy from the device, after what is enqueued. Nobody writes into it."""
        ...

    def compile(self, source: str, name: str) -> Any:
        """A loaded module of CUDA source with `extern "C"` kernels; `BuildFailed` otherwise."""
        ...

    def function(self, module: Any, entry: str) -> Any:
        """A kernel of a module; `BuildFailed` where there is none of that name."""
        ...

    def attributes(self, function: Any) -> Mapping[str, int]:
        """`registers`, `shared_bytes`, `spilled_bytes` (local memory of a thread)."""
        ...

    def launch(
        self, function: Any, grid: tuple[int, int, int], block: tuple[int, int, int],
        arguments: Sequence[Argument], shared_bytes: int = 0,
    ) -> None:  # fmt: skip
        """Enqueue a kernel."""
        ...

    def create_event(self) -> Any:
        """An event that keeps time."""
        ...

    def destroy_event(self, event: Any) -> None:
        """Give an event back."""
        ...

    def record(self, event: Any) -> None:
        """Enqueue: the event takes the time when the device reaches it."""
        ...

    def done(self, event: Any) -> bool:
        """Whether the device has reached it. Faults of earlier work show here."""
        ...

    def elapsed_s(self, first: Any, last: Any) -> float:
        """Seconds between two events that are done."""
        ...

    def begin_capture(self) -> None:
        """From here on, what is enqueued is recorded instead; `CaptureFailed` otherwise."""
        ...

    def end_capture(self) -> Any:
        """The graph of what was recorded, ready to launch; `CaptureFailed` otherwise. Capturing ends either way."""
        ...

    def launch_graph(self, graph: Any) -> None:
        """Enqueue a graph."""
        ...

    def destroy_graph(self, graph: Any) -> None:
        """Give a graph back."""
        ...

    def gemm(self, call: VendorGemm) -> None:
        """Enqueue a product of the vendor's library; `BuildFailed` where it has no such kernel."""
        ...

    def now_s(self) -> float:
        """Monotonic time of the host."""
        ...

    def wait(self, seconds: float) -> None:
        """Let host time pass."""
        ...

    def close(self) -> None:
        """Give stream and libraries back."""
        ...
