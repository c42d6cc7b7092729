"""From kernels to compiled libraries: only what is missing is compiled, several kernels at a time, several at once."""

from __future__ import annotations

import errno
import os
import shlex
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from perfmodel.errors import OutputError
from perfmodel.measure.cutlass import compiler, emit
from perfmodel.measure.cutlass.contents import describe_library, resources
from perfmodel.measure.cutlass.kernels import GemmKernel
from perfmodel.measure.cutlass.shelf import Shelf, default_cache, digest
from perfmodel.measure.cutlass.toolchain import Toolchain, check_target

FLAGS = ("-std=c++17", "-O3", "-DNDEBUG", "--expt-relaxed-constexpr", "-cudart", "static", "-Xptxas", "-v")
SHARED = ("-shared", "-Xcompiler", "-fPIC,-fvisibility=hidden,-w")
POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Built:
    """A kernel in a library: where, its place in the table, what it occupies, how long its unit took to compile."""

    name: str
    path: Path
    index: int
    resources: Mapping[str, int]
    seconds: float


@dataclass(frozen=True, slots=True)
class Failed:
    """A kernel that does not compile or load: the first error, and the command that shows it again."""

    name: str
    reason: str
    command: str


class Factory:
    """Compiles kernels for one target. `cache` is by default the folder of `default_cache`.

    `define`, `compile` and `describe` stand for CUTLASS's emitter, the run of nvcc and the look into a library.
    Raises `InputError` (E2312) where the compiler does not know the target.
    """

    def __init__(self, toolchain: Toolchain, target: str, cache: Path | None = None, jobs: int = 1,
                 define: Callable[[GemmKernel], str] | None = None,
                 compile: Callable[..., compiler.Outcome] = compiler.run,
                 describe: Callable[[Path], list[dict]] | None = None):  # fmt: skip
        check_target(toolchain, target)
        self.toolchain, self.target, self.jobs = toolchain, target, max(1, jobs)
        self.cache = cache if cache is not None else default_cache()
        self._define, self._compile, self._describe = define, compile, describe or describe_library

    def build(self, kernels: Iterable[GemmKernel], tell: Callable[[int, int], None] = lambda done, total: None,
              stop: Callable[[], bool] = lambda: False) -> dict[str, Built | Failed]:  # fmt: skip
        """Every kernel by name, compiled now or before; `tell` hears how many of how many are there.

        Once `stop()` the compilers are ended, and what was not ready is missing from the answer. Raises `OutputError`
        (E2318) where the cache cannot be written.
        """
        wanted = {kernel.name: kernel for kernel in sorted(kernels, key=lambda kernel: kernel.name)}
        try:
            done: dict[str, Built | Failed] = dict(self._shelved(wanted.values()))
            tell(len(done), len(wanted))
            missing = [kernel for name, kernel in wanted.items() if name not in done]
            with closing(self._make(emit.units_of(missing, self.jobs), stop)) as made:
                for results in made:
                    done |= {one.name: one for one in results}
                    tell(len(done), len(wanted))
        except OSError as error:
            fix = "Free space, or name another folder in PERFMODEL_CACHE."
            found = f"cannot be written: {error.strerror or error}."
            raise OutputError.at("E2318", f"cache {self.cache}:", found, fix) from None
        return {name: done[name] for name in wanted if name in done}

    def fingerprint(self, kernels: Iterable[GemmKernel]) -> str:
        """A hash of all sources: definitions, our headers, CUTLASS's version, flags and target; not the compiler."""
        chosen = list(kernels)
        common = [self._common(generation) for generation in sorted({kernel.generation for kernel in chosen})]
        return digest(*sorted(self._key(kernel) for kernel in chosen), *common)[:16]

    def command(self, source: Path, library: Path) -> list[str]:
        """How nvcc is called."""
        tools = self.toolchain
        include = [f"-I{folder}" for folder in (emit.INCLUDE, tools.cutlass_include, *tools.include_dirs)]
        libraries = [f"-L{folder}" for folder in tools.library_dirs]
        places = ["-ccbin", str(tools.host_compiler), *include, *libraries]
        return [str(tools.nvcc), *self.flags, *SHARED, *places, "-o", str(library), str(source)]

    @property
    def flags(self) -> tuple[str, ...]:
        """What nvcc is told, but for places."""
        return (*FLAGS, f"-gencode=arch=compute_{self.target},code=sm_{self.target}")

    def _common(self, generation: int) -> str:
        return digest(emit.headers(generation), *self.flags, *SHARED, self.toolchain.cutlass_version, self.target)

    def _shelf(self, generation: int) -> Shelf:
        shared = digest(self._common(generation), self.toolchain.compiler)
        return Shelf(self.cache / "cutlass" / f"sm_{self.target}-{shared[:16]}")

    def _key(self, kernel: GemmKernel) -> str:
        return digest(emit.type_name(kernel), (self._define or emit.definition)(kernel))

    def _shelved(self, kernels: Iterable[GemmKernel]) -> Iterator[tuple[str, Built]]:
        for generation, group in groupby(sorted(kernels, key=_generation), _generation):
            names = {self._key(kernel): kernel.name for kernel in group}
            for key, one in self._shelf(generation).find(names.keys()).items():
                yield names[key], Built(names[key], one.path, one.index, one.resources, one.seconds)

    def _make(self, units: Sequence[Sequence[GemmKernel]], stop: Callable[[], bool]) -> Iterator[list[Built | Failed]]:
        """The results of each unit; a unit that fails is compiled again, kernel by kernel."""
        halt = threading.Event()
        pool = ThreadPoolExecutor(self.jobs)
        try:
            waiting: dict[Future, Sequence[GemmKernel]] = {pool.submit(self._unit, one, halt): one for one in units}
            while waiting and not stop():
                ready, _ = wait(waiting, POLL_S, FIRST_COMPLETED)
                for future in ready:
                    unit, results = waiting.pop(future), future.result()
                    if len(unit) > 1 and _failed(results):
                        waiting |= {pool.submit(self._unit, [kernel], halt): [kernel] for kernel in unit}
                    else:
                        yield results
            _end(pool, halt)
            ended = [future for future in waiting if not future.cancelled() and future.exception() is None]
            yield from (future.result() for future in ended if not _failed(future.result()))
        finally:  # also where the reader of the results is interrupted, and closes this
            _end(pool, halt)

    def _unit(self, kernels: Sequence[GemmKernel], halt: threading.Event) -> list[Built | Failed]:
        """Compile one translation unit, look into the library, put it on the shelf."""
        source = emit.translation_unit(kernels, self._define)
        shelf = self._shelf(kernels[0].generation)
        key = digest(source, self._common(kernels[0].generation), self.toolchain.compiler)
        with shelf.workplace() as name:
            written, library = Path(name) / "kernels.cu", Path(name) / "kernels.so"
            written.write_text(source, encoding="utf-8")
            command = self.command(written, library)
            outcome = self._compile(command, Path(name), halt.is_set)
            if "No space left on device" in outcome.log:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            reason, facts = self._look(outcome, library, kernels)
            if reason:
                place = shelf.keep_source(key, written) if len(kernels) == 1 else written  # others are tried one by one
                command = shlex.join(self.command(place, Path(os.devnull)))
                return [Failed(kernel.name, reason.replace(str(written), str(place)), command) for kernel in kernels]
            occupied = resources(outcome.log, kernels, facts)
            rows = [
                {"name": kernel.name, "key": self._key(kernel), "resources": occupied[kernel.name]}
                for kernel in kernels
            ]
            record = {"target": self.target, "nvcc": self.toolchain.compiler, "cutlass": self.toolchain.cutlass_version,
                      "seconds": float(outcome.seconds), "command": shlex.join(command), "kernels": rows}  # fmt: skip
            path = shelf.keep(key, library, record)
        return [Built(k.name, path, i, occupied[k.name], outcome.seconds) for i, k in enumerate(kernels)]

    def _look(self, outcome: compiler.Outcome, library: Path, kernels: Sequence[GemmKernel]) -> tuple[str, list[dict]]:
        """Why the library is of no use, if it is not; what it says of its kernels."""
        if outcome.status or not library.is_file():
            return compiler.first_error(outcome.log, outcome.status), []
        try:
            facts = self._describe(library)
        except ValueError as error:
            return f"the library does not load: {error}", []
        names = [fact["name"] for fact in facts]
        return ("", facts) if names == [emit.type_name(k) for k in kernels] else (f"the library holds {names}", [])


def _end(pool: ThreadPoolExecutor, halt: threading.Event) -> None:
    halt.set()
    pool.shutdown(wait=True, cancel_futures=True)


def _failed(results: Sequence[Built | Failed]) -> bool:
    return any(isinstance(one, Failed) for one in results)


def _generation(kernel: GemmKernel) -> int:
    return kernel.generation
