"""Built kernels. Each binds itself to operand sets, and then enqueues launches that rotate through them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from perfmodel.convolution import Convolution
from perfmodel.gemm import Gemm
from perfmodel.measure.backend import BuildFailed
from perfmodel.measure.cuda.matrices import matrices_of
from perfmodel.measure.cuda.operands import A, B, C, Operands
from perfmodel.measure.cuda.pool import Block, Pool
from perfmodel.measure.cuda.runtime import Runtime
from perfmodel.measure.cutlass.cabi import LoadedKernel, Problem, handle_array, status_text
from perfmodel.measure.cutlass.geometry import geometry
from perfmodel.measure.cutlass.implicit import implicit_gemm

SPLIT_MODES = {"none": 0, "serial": 0, "parallel": 1}
SOME_ADDRESS = 1 << 20  # aligned to all that matters


class Bound(Protocol):
    """A function on its operands."""

    def ready(self, sets: list[int]) -> None:
        """Make what launches on these sets need: not while a graph is captured."""
        ...

    def run(self, sets: list[int], launches: int) -> None:
        """Enqueue so many launches, through these sets in turn."""
        ...

    def release(self) -> None:
        """Give back what was made."""
        ...


@dataclass(slots=True, eq=False)
class Function:
    """A kernel that is built. `bind` makes its `Bound` for operands; `warm` once it has been launched."""

    bind: Callable[[Operands], Bound]
    resources: Mapping[str, int] = field(default_factory=dict)
    warm: bool = False


@dataclass(slots=True)
class OneByOne:
    """Launched from Python, one set at a time."""

    operands: Operands
    launch: Callable[[Operands, int], None]

    def ready(self, sets: list[int]) -> None:
        """Nothing is made."""

    def run(self, sets: list[int], launches: int) -> None:
        """See `Bound.run`."""
        for i in range(launches):
            self.launch(self.operands, sets[i % len(sets)])

    def release(self) -> None:
        """Nothing was made."""


def problem_of(gemm: Gemm, parts: int, mode: str, sms: int) -> Problem:
    """The problem as the kernel libraries take it, at an address where all alignments hold."""
    a, b, c = matrices_of(gemm)
    return Problem(
        m=gemm.m, n=gemm.n, k=gemm.k, batch=gemm.batch, split_k=parts, split_mode=SPLIT_MODES[mode],
        lda=a.line, ldb=b.line, ldc=c.line, stride_a=a.stride, stride_b=b.stride, stride_c=c.stride,
        a=SOME_ADDRESS, b=SOME_ADDRESS, c=SOME_ADDRESS, sms=sms,
    )  # fmt: skip


def convolution_of(conv: Convolution, parts: int, mode: str, sms: int) -> Problem:
    """A convolution, padded as its kernel wants it, as the kernel libraries take it."""
    gemm = implicit_gemm(Gemm(1, 1, 1), conv)
    return Problem(
        m=gemm.m, n=gemm.n, k=gemm.k, split_k=parts, split_mode=SPLIT_MODES[mode],
        a=SOME_ADDRESS, b=SOME_ADDRESS, c=SOME_ADDRESS, sms=sms, **geometry(conv),
    )  # fmt: skip


def library_gemm(
    loaded: LoadedKernel, problem: Problem, resources: Mapping[str, int], runtime: Runtime, pool: Pool
) -> Function:
    """A kernel of a library for one problem; `BuildFailed` where it does not take it."""
    place = f"m {problem.m}, n {problem.n}, k {problem.k}, batch {problem.batch}, split {problem.split_k}"
    status = loaded.can_implement(problem)
    if status:
        raise BuildFailed(f"{loaded.name}: {status_text(status)}", place)
    workspace_bytes = loaded.workspace_bytes(problem)
    if workspace_bytes < 0:
        raise BuildFailed(f"{loaded.name}: no workspace makes this possible", place)

    def bind(operands: Operands) -> LibraryBound:
        return LibraryBound(loaded, problem, operands, workspace_bytes, runtime, pool)

    return Function(bind, resources)


class LibraryBound:
    """Handles of a library's kernel, made for a set when it is first used; all share one workspace."""

    def __init__(
        self, loaded: LoadedKernel, problem: Problem, operands: Operands, workspace_bytes: int, runtime: Runtime,
        pool: Pool,
    ):  # fmt: skip
        self._loaded, self._operands, self._runtime, self._pool = loaded, operands, runtime, pool
        self._problem = Problem.from_buffer_copy(problem)
        self._handles: dict[int, int] = {}
        self._workspace: Block | None = None
        if workspace_bytes:
            self._workspace, _ = pool.take(workspace_bytes)
            runtime.fill(self._workspace.pointer, 0, workspace_bytes)  # semaphores count up from zero

    def ready(self, sets: list[int]) -> None:
        """See `Bound.ready`."""
        workspace = self._workspace.pointer if self._workspace else 0
        for number in sets:
            if number not in self._handles:
                for name, buffer in (("a", A), ("b", B), ("c", C)):
                    setattr(self._problem, name, self._operands.address(number, buffer))
                self._handles[number] = self._loaded.create(self._problem, workspace, self._runtime.stream)

    def run(self, sets: list[int], launches: int) -> None:
        """See `Bound.run`."""
        handles = handle_array([self._handles[number] for number in sets])
        self._loaded.run_many(handles, 0, launches, self._runtime.stream)

    def release(self) -> None:
        """See `Bound.release`."""
        for handle in self._handles.values():
            self._loaded.destroy(handle)
        self._handles.clear()
        if self._workspace:
            self._pool.give(self._workspace)
            self._workspace = None
