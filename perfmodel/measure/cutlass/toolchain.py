"""The compiler and the headers that a kernel library is built with: where they are, and what is wrong with them.

Every fault is one line that names what to install, E2310 to E2317. Finding them costs one compilation of an
empty kernel.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from perfmodel.errors import InputError, Problem, quote
from perfmodel.measure.cutlass.compiler import run_quietly
from perfmodel.measure.cutlass.probe import PINNED, TOOLKIT, probe

CUTLASS = "4.2.0"  # the version that all this was tested with
OLDEST = {"75": (11, 8), "80": (11, 8), "86": (11, 8), "87": (11, 8), "89": (11, 8), "90": (11, 8), "90a": (12, 0)}
EXTRA = "In perfmodel's folder: pip install '.[cuda13]'"


def module_folder(name: str) -> Path | None:
    """Where an installed package lies, without running it; None where it is not installed."""
    from importlib.util import find_spec

    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return None
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where tools are looked for, and how they are run; tests put their own here."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    which: Callable[[str], str | None] = shutil.which
    module: Callable[[str], Path | None] = module_folder
    run: Callable[[Sequence[str]], tuple[int, str]] = run_quietly  # exit status, all that it wrote
    usual: Path = Path("/usr/local/cuda")


@dataclass(frozen=True, slots=True)
class Toolchain:
    """A compiler that works, and CUTLASS. `include_dirs` and `library_dirs` are what nvcc does not find by itself."""

    nvcc: Path
    nvcc_version: tuple[int, int, int]
    host_compiler: Path
    cutlass_include: Path
    cutlass_version: str
    include_dirs: tuple[Path, ...] = ()
    library_dirs: tuple[Path, ...] = ()

    @property
    def compiler(self) -> str:
        """As an environment names it: `nvcc 13.0.88`."""
        return "nvcc " + ".".join(map(str, self.nvcc_version))


def find_toolchain(around: Surroundings | None = None) -> Toolchain:
    """The toolchain of this machine.

    nvcc is the one that PERFMODEL_NVCC names, else the one in the pip toolkit, in CUDA_HOME or CUDA_PATH, on PATH, or
    in /usr/local/cuda; the host compiler the one that PERFMODEL_CXX names, else g++. Raises `InputError` with every
    fault found.
    """
    found, faults = _search(around or Surroundings())
    if faults:
        raise InputError(faults)
    return found


def problems(around: Surroundings | None = None) -> list[Problem]:
    """What stands in the way of compiling kernels here; empty when nothing does."""
    return _search(around or Surroundings())[1]


def check_target(toolchain: Toolchain, target: str) -> None:
    """Raise `InputError` (E2312) where this nvcc does not know the target (`75` … `90a`)."""
    oldest = OLDEST.get(target)
    if oldest is None:
        found = f"{quote(target)} is not a target that kernels are built for."
        raise InputError.at("E2312", "target:", found, f"Known: {', '.join(OLDEST)}.")
    if toolchain.nvcc_version[:2] < oldest:
        version, least = ".".join(map(str, toolchain.nvcc_version)), ".".join(map(str, oldest))
        raise InputError.at("E2312", f"{toolchain.nvcc}:", f"version {version} is too old for sm_{target}.",
                            f"At least {least} is needed. {TOOLKIT}")  # fmt: skip


def _search(around: Surroundings) -> tuple[Toolchain | None, list[Problem]]:
    nvcc, version, faults = _compiler(around)
    host = around.environ.get("PERFMODEL_CXX") or "g++"
    host_path = around.which(host)
    if host_path is None:
        fix = "Install g++ (Debian, Ubuntu: apt install g++), or name one in PERFMODEL_CXX."
        faults.append(Problem("E2315", "C++ compiler:", f"{quote(host)} is not here.", fix))
    include, cutlass, more = _cutlass(around)
    faults += more
    libraries = _libraries(nvcc) if nvcc else ()
    if nvcc and version and host_path:
        faults += probe(around.run, nvcc, Path(host_path), libraries)
    if faults:
        return None, faults
    return Toolchain(nvcc, version, Path(host_path), include, cutlass, (), libraries), []


def candidates(around: Surroundings) -> list[Path]:
    """Where nvcc may be, the first choice first; only what PERFMODEL_NVCC says where it says something."""
    named = around.environ.get("PERFMODEL_NVCC")
    if named:
        return [Path(named)]
    pip = around.module("nvidia.cu13")
    homes = [around.environ.get(name) for name in ("CUDA_HOME", "CUDA_PATH")]
    on_path = around.which("nvcc")
    places = [pip and pip / "bin" / "nvcc", *(home and Path(home) / "bin" / "nvcc" for home in homes)]
    return [Path(one) for one in (*places, on_path, around.usual / "bin" / "nvcc") if one]


def _compiler(around: Surroundings) -> tuple[Path | None, tuple[int, int, int] | None, list[Problem]]:
    nvcc = next((one for one in candidates(around) if os.access(one, os.X_OK) and one.is_file()), None)
    if nvcc is None:
        named = around.environ.get("PERFMODEL_NVCC")
        found = f"PERFMODEL_NVCC={quote(named)} is not a program." if named else "there is no CUDA compiler."
        return None, None, [Problem("E2310", "nvcc:", found, TOOLKIT)]
    version, said = _version(around, nvcc)
    if version is None:
        return nvcc, None, [Problem("E2311", f"{nvcc}:", f"does not tell its version but {quote(said)}.", TOOLKIT)]
    ptxas = nvcc.parent / "ptxas"
    other = _version(around, ptxas)[0] if ptxas.is_file() else None
    if other and other[:2] != version[:2]:
        found = f"nvcc is {_text(version)}, ptxas is {_text(other)}."
        return nvcc, None, [Problem("E2313", f"{nvcc.parent}:", found, f"Install one version: pip install '{PINNED}'.")]
    return nvcc, version, []


def _version(around: Surroundings, program: Path) -> tuple[tuple[int, int, int] | None, str]:
    """Its version and, where it tells none, what it says instead."""
    status, text = around.run([str(program), "--version"])
    match = re.search(r"release \d+\.\d+, V(\d+)\.(\d+)\.(\d+)", text)
    if status or not match:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return None, lines[0] if lines else f"exit status {status}"
    return (int(match[1]), int(match[2]), int(match[3])), ""


def _text(version: tuple[int, int, int]) -> str:
    return ".".join(map(str, version))


def _libraries(nvcc: Path) -> tuple[Path, ...]:
    """The pip toolkit keeps its libraries in `lib`, where its nvcc does not look."""
    root = nvcc.resolve().parent.parent
    return (root / "lib",) if (root / "lib" / "libcudart_static.a").exists() else ()


def _cutlass(around: Surroundings) -> tuple[Path | None, str, list[Problem]]:
    package = around.module("cutlass_library")
    if package is None:
        found = "the Python module cutlass_library is not installed."
        return (
            None,
            "",
            [Problem("E2316", "CUTLASS:", found, f"{EXTRA}, or pip install --no-deps nvidia-cutlass==4.2.0.0.")],
        )
    include = package / "source" / "include"
    try:
        text = (include / "cutlass" / "version.h").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    numbers = [re.search(rf"#define\s+CUTLASS_{part}\s+(\d+)", text) for part in ("MAJOR", "MINOR", "PATCH")]
    fix = "pip install --no-deps nvidia-cutlass==4.2.0.0."
    if not all(numbers):
        return None, "", [Problem("E2317", f"CUTLASS in {package}:", "holds no headers.", fix)]
    version = ".".join(number[1] for number in numbers)
    if version != CUTLASS:
        found = f"version {version}; the kernels are written for {CUTLASS}."
        return None, "", [Problem("E2317", f"CUTLASS in {package}:", found, fix)]
    return include, version, []
