"""The seam between the measuring engine and a device: what a GPU, a simulated one, or a replayed profile must offer.

The engine works with this and nothing else, so everything but the few calls to the driver is tested without a GPU.
Work is enqueued on one stream; events and stamps take their value when the device reaches them, and may be read after
`synchronise`. Every time is in seconds, every clock in Hz.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from perfmodel.profiles.kernel import Kernel

# What a backend may be asked to read about the state of the device. Any of them may be missing: no driver library,
# no permission, not supported. `clock_reasons` is NVML's bit mask of why the clock is where it is; `other_processes`
# counts those that compute on the device, without the one that asks.
READINGS = (
    "clock_reasons", "temperature_c", "power_w", "sm_clock_hz", "memory_clock_hz",
    "power_limit_w", "power_limit_default_w", "application_clock_hz", "mig", "mps", "other_processes", "compute_mode",
    "ecc", "persistence", "display",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What a device is: part of the environment that every timing belongs to.

    `kind` is `cuda`, `simulated` or `replay`; `kernels` identifies the sources of the kernels (a hash).
    """

    kind: str
    name: str
    uuid: str
    compute_capability: str
    sms: int
    l2_bytes: int
    memory_bytes: int
    driver: str = ""
    runtime: str = ""
    compiler: str = ""
    kernels: str = ""

    def to_json(self) -> dict:
        """All facts as a JSON object."""
        return asdict(self)


class DeviceFault(Exception):
    """Something went wrong on the device. Arguments are plain values, so that the error can cross processes."""

    sticky = True  # the device is of no use until a restart


class OutOfDeviceMemory(DeviceFault):
    """Arguments: bytes needed, bytes free."""

    sticky = False

    @property
    def needed_bytes(self) -> int:
        """What was asked for."""
        return self.args[0]

    @property
    def free_bytes(self) -> int:
        """What was there."""
        return self.args[1]


class BuildFailed(DeviceFault):
    """The kernel does not compile or load. Arguments: the compiler's first error line, how to reproduce it."""

    sticky = False


class CaptureFailed(DeviceFault):
    """The device or driver cannot capture a graph; batches are then launched one by one."""

    sticky = False


class KernelFault(DeviceFault):
    """A launch failed or a kernel touched memory that is not its own: every later call fails until a restart."""


class Hang(DeviceFault):
    """`synchronise` waited longer than its limit."""


class DeviceLost(DeviceFault):
    """The device is gone: off the bus, reset, or the driver is."""


class NotReadable(DeviceFault):
    """A reading is not available; the argument says why."""

    sticky = False


class NotRecorded(DeviceFault):
    """A replayed profile holds no such sample, and none is invented. The argument says what was asked for."""

    sticky = False


class Product(Protocol):
    """The output of one launch, for checking. A backend may hold a smaller problem of the same kernel."""

    unwritten: int  # elements of the output that still hold the poison, or are not finite
    guards_intact: bool  # whether the bytes before and after the output are untouched

    def sample(self, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows of A [r, k], columns of B [k, c] and the computed C [r, c], as float64 of the stored values."""
        ...

    def probe(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Freivalds' check of all elements: |C·x - A·(B·x)| and (|A|·|B|)·1 for a random ±1 vector x, each [m]."""
        ...


class Backend(Protocol):
    """One device. Handles (functions, operands, batches, events, stamps) mean something to their backend alone."""

    def facts(self) -> DeviceFacts:
        """What the device is."""
        ...

    def reading(self, name: str) -> float | int | bool | str:
        """One of `READINGS`, now; `NotReadable` where it is not available."""
        ...

    def build(self, kernel: Kernel) -> Any:
        """The compiled and loaded kernel; `BuildFailed` otherwise."""
        ...

    def resources(self, function: Any) -> Mapping[str, int]:
        """Registers, shared memory, spilled bytes of a built kernel, as far as they are known."""
        ...

    def free_bytes(self) -> int:
        """Device memory that can be allocated."""
        ...

    def allocate(self, kernel: Kernel, sets: int, data: str, seed: int) -> Any:
        """`sets` complete sets of operands and outputs, filled with `data` by role; `OutOfDeviceMemory` otherwise."""
        ...

    def release(self, operands: Any) -> None:
        """Give the memory back."""
        ...

    def capture(self, function: Any, operands: Any, launches: int, start: int) -> Any:
        """A batch of `launches` launches that rotates through the sets from set `start`; `CaptureFailed` otherwise.

        It is ready to run: its first launch may be timed, so nothing is left to upload then. With `function` None the
        batch consists of empty kernels (`operands` is then None as well).
        """
        ...

    def launch(self, batch: Any) -> None:
        """Enqueue a captured batch."""
        ...

    def launch_each(self, function: Any, operands: Any, launches: int, start: int) -> None:
        """Enqueue the same launches one by one; what a device without graphs does."""
        ...

    def copy(self, size_bytes: int) -> None:
        """Enqueue a copy of so many bytes from device memory to device memory (it moves twice as many)."""
        ...

    def spin(self, seconds: float) -> None:
        """Enqueue a kernel that keeps the device busy for so long, while the host enqueues what follows."""
        ...

    def event(self) -> Any:
        """Enqueue an event."""
        ...

    def elapsed_s(self, first: Any, last: Any) -> float:
        """Seconds between two events, on the grid of the event's tick."""
        ...

    def stamp(self) -> Any:
        """Enqueue a reading of the SM's cycle counter and of the global timer."""
        ...

    def clock_hz(self, first: Any, last: Any) -> float:
        """Mean SM clock between two stamps: cycles over time."""
        ...

    def synchronise(self, limit_s: float) -> None:
        """Wait until the device has done all that was enqueued; `Hang` after `limit_s`."""
        ...

    def now_s(self) -> float:
        """Monotonic time of the host; virtual where the device is simulated."""
        ...

    def wait(self, seconds: float) -> None:
        """Let host time pass."""
        ...

    def product(self, function: Any, kernel: Kernel, data: str, seed: int) -> Product:
        """Run the kernel once on fresh operands and poisoned outputs, for checking.

        `data` is `integers` (uniform whole numbers, -3 to 3; the full range for INT8) or `normal` (full mantissas).
        """
        ...

    def state(self) -> dict:
        """What `restore` needs to go on from here; empty for a real device. JSON values only."""
        ...

    def restore(self, state: Mapping) -> bool:
        """Go on from an earlier `state`; False where that is not possible: the device must then settle anew."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...
