"""A compiled library of GEMM kernels, seen through ctypes; include/perfmodel_gemm.h says what each call means.

Loading it and asking for names, sizes and `can_implement` needs no GPU.
"""

from __future__ import annotations

import ctypes as C  # noqa: N812
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from perfmodel.measure.backend import BuildFailed, KernelFault
from perfmodel.measure.cutlass.geometry import GEOMETRY

ABI = 2
SERIAL, PARALLEL = 0, 1
CUDA_ERROR = -2
STATUS = {
    -2: "CUDA error", -1: "no host memory", 0: "success", 1: "misaligned operand", 2: "invalid data type",
    3: "invalid layout", 4: "invalid problem", 5: "not supported", 6: "no workspace", 7: "internal error",
    8: "compiled for another architecture", 9: "driver too old", 10: "no device memory", 11: "invalid status",
}  # fmt: skip


class Problem(C.Structure):
    """One problem: sizes, strides in elements, device pointers; `geometry` for a kernel in implicit form.

    Defaults: one product, k in one part, alpha 1, no convolution.
    """

    _fields_ = (
        *((name, C.c_int32) for name in ("m", "n", "k", "batch", "split_k", "split_mode")),
        *((name, C.c_int64) for name in ("lda", "ldb", "ldc", "stride_a", "stride_b", "stride_c")),
        *((name, C.c_void_p) for name in ("a", "b", "c")),
        ("alpha", C.c_float),
        ("sms", C.c_int32),
        *((name, C.c_int32) for name in GEOMETRY),
    )

    def __init__(self, **fields):
        super().__init__(**{"batch": 1, "split_k": 1, "alpha": 1.0} | fields)


class _Info(C.Structure):
    _fields_ = (
        ("name", C.c_char * 256),
        *((name, C.c_int32) for name in ("shared_bytes", "threads", "registers", "local_bytes", "binary_version")),
        ("blocks_per_sm", C.c_int32),
    )


_PROBLEM = C.POINTER(Problem)


class _Kernel(C.Structure):
    _fields_ = (
        ("info", C.CFUNCTYPE(C.c_int, C.POINTER(_Info))),
        ("can_implement", C.CFUNCTYPE(C.c_int, _PROBLEM)),
        ("workspace", C.CFUNCTYPE(C.c_int64, _PROBLEM)),
        ("create", C.CFUNCTYPE(C.c_int, _PROBLEM, C.c_void_p, C.c_void_p, C.POINTER(C.c_void_p))),
        ("run", C.CFUNCTYPE(C.c_int, C.c_void_p, C.c_void_p)),
        ("destroy", C.CFUNCTYPE(None, C.c_void_p)),
    )


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """What the library says of a kernel; the last four are None where there is no device to ask."""

    name: str
    shared_bytes: int
    threads: int
    registers: int | None
    local_bytes: int | None
    binary_version: int | None
    blocks_per_sm: int | None


def status_text(status: int) -> str:
    """What a status means, in words.

    >>> status_text(1)
    'misaligned operand'
    """
    return STATUS.get(status, f"status {status}")


class LoadedKernel:
    """One kernel of a loaded library."""

    __slots__ = ("_calls", "_entry", "_library", "name")

    def __init__(self, library: Library, entry):
        self._library, self._entry = library, entry
        self._calls = entry.contents  # ctypes makes a new object at each look, and calls it the same
        self.name = self.info().name

    def info(self) -> KernelFacts:
        """Its name and what it occupies."""
        found = _Info()
        self._calls.info(C.byref(found))  # fails without a device, having filled in what needs none
        parts = (found.registers, found.local_bytes, found.binary_version, found.blocks_per_sm)
        known = (None if part < 0 else part for part in parts)
        return KernelFacts(found.name.decode("utf-8", "replace"), found.shared_bytes, found.threads, *known)

    def can_implement(self, problem: Problem) -> int:
        """0 where the kernel can compute this, else a key of `STATUS`. Asks no device."""
        return self._calls.can_implement(C.byref(problem))

    def workspace_bytes(self, problem: Problem) -> int:
        """Device memory that it needs besides the operands; negative where the problem is not possible."""
        return self._calls.workspace(C.byref(problem))

    def create(self, problem: Problem, workspace: int = 0, stream: int = 0) -> int:
        """A handle that launches this problem; it may enqueue a memset of the workspace, which must outlive it.

        Handles of one kernel and one way of splitting may share a workspace on one stream; others must not: they
        leave something else there than this kernel expects. Raises `KernelFault` for a CUDA error, `BuildFailed`
        where the kernel does not take the problem.
        """
        handle = C.c_void_p()
        status = self._calls.create(C.byref(problem), workspace or None, stream or None, C.byref(handle))
        if status == 0:
            return handle.value
        if status == -1:
            raise MemoryError(self.name)
        if status == CUDA_ERROR:
            raise KernelFault(f"{self.name}: {status_text(status)}")
        sizes = f"m {problem.m}, n {problem.n}, k {problem.k}, batch {problem.batch}, split {problem.split_k}"
        raise BuildFailed(f"{self.name}: {status_text(status)}", sizes)

    def run(self, handle: int, stream: int = 0) -> None:
        """Enqueue one launch; `KernelFault` where that fails."""
        self._check(self._calls.run(handle, stream or None))

    def run_many(self, handles: C.Array, first: int, launches: int, stream: int = 0) -> None:
        """Enqueue `launches` launches that rotate through `handles` (of `handle_array`) from `first` on."""
        self._check(self._library.run_many(self._entry, handles, len(handles), first, launches, stream or None))

    def destroy(self, handle: int) -> None:
        """Give the handle's host memory back."""
        self._calls.destroy(handle)

    def _check(self, status: int) -> None:
        if status:
            raise KernelFault(f"{self.name}: {status_text(status)}")


class Library:
    """A library of kernels, loaded. Raises `BuildFailed` where it does not load or is none of ours."""

    def __init__(self, path: Path):
        self.path = path
        try:
            loaded = C.CDLL(str(path))
            abi = loaded.pm_abi()
        except (OSError, AttributeError) as error:
            raise BuildFailed(str(error).partition("\n")[0], f"load {path}") from None
        if abi != ABI:
            raise BuildFailed(f"has interface {abi}, not {ABI}", f"load {path}")
        self.run_many = loaded.pm_run_many
        self.run_many.argtypes = (C.c_void_p, C.c_void_p, C.c_int, C.c_int, C.c_int, C.c_void_p)
        loaded.pm_kernel.restype = C.POINTER(_Kernel)
        self.kernels = tuple(LoadedKernel(self, loaded.pm_kernel(i)) for i in range(loaded.pm_count()))

    def __getitem__(self, index: int) -> LoadedKernel:
        return self.kernels[index]

    def __len__(self) -> int:
        return len(self.kernels)


def handle_array(handles: Sequence[int]) -> C.Array:
    """Handles as `run_many` takes them; made once, so that launching costs no Python per launch."""
    return (C.c_void_p * len(handles))(*handles)


def main(path: str) -> None:
    """Write what the library says of its kernels as JSON: another process may ask, and the library may crash it."""
    import json

    json.dump([asdict(kernel.info()) for kernel in Library(Path(path)).kernels], sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
