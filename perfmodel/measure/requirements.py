"""What measuring on a GPU needs, and what of it is missing here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import distributions
from importlib.util import find_spec

from perfmodel.errors import Problem
from perfmodel.measure.cutlass import toolchain
from perfmodel.measure.gpus import Gpu, list_gpus

IMPORT_S = 120.0
EXTRA = "In perfmodel's folder: pip install '.[cuda13]'; with a driver older than 580 '.[cuda12]', and a system nvcc."


def missing(
    has_module: Callable[[str], bool] = lambda name: installed(name),
    gpus: Callable[[], list[Gpu] | None] = list_gpus,
    tools: Callable[[], list[Problem]] = toolchain.problems,
    cupy_cuda: Callable[[], int | None] = lambda: cuda_of_cupy(),
    fault_of: Callable[[str], str] = lambda name: import_fault(name),
) -> list[Problem]:
    """One problem for each thing that `profile --gpu` needs and this machine does not have.

    E2012: driver, GPU, CuPy; E2015: a driver too old for the CuPy that is installed; E2310-E2317: compiler and CUTLASS.
    """
    found, listed = [], gpus()
    if listed is None:
        fix = "Install it, or use --simulate SCENARIO."
        found.append(Problem("E2012", "NVIDIA driver:", "is not installed.", fix))
    elif not listed:
        fix = "Check nvidia-smi and CUDA_VISIBLE_DEVICES, or use --simulate SCENARIO."
        found.append(Problem("E2012", "GPU:", "the driver finds none.", fix))
    if not has_module("cupy"):
        found.append(Problem("E2012", "CuPy:", "the Python module cupy is not installed.", EXTRA))
    elif listed and (needed := cupy_cuda()) is not None and listed[0].cuda[0] < needed:
        has = ".".join(map(str, listed[0].cuda))
        fix = f"Update the driver, or install cupy-cuda{listed[0].cuda[0]}x instead, with an nvcc of that CUDA."
        found.append(Problem("E2015", "NVIDIA driver:", f"runs CUDA {has}, and CuPy is for CUDA {needed}.", fix))
    elif listed and (fault := fault_of("cupy.cuda")):
        found.append(Problem("E2012", "CuPy:", f"does not load: {fault}.", EXTRA))
    return found + tools()


def driver_problems(gpu: Gpu, nvcc_version: tuple[int, int, int]) -> list[Problem]:
    """E2015 where programs of this compiler do not run with this driver: another major version of CUDA is needed."""
    if gpu.cuda[0] >= nvcc_version[0]:
        return []
    has, needs = (".".join(map(str, version[:2])) for version in (gpu.cuda, nvcc_version))
    fix = f"Update the driver, or name an nvcc of CUDA {gpu.cuda[0]} in PERFMODEL_NVCC."
    return [Problem("E2015", "NVIDIA driver:", f"runs CUDA {has}, and nvcc is of CUDA {needs}.", fix)]


def installed(module: str) -> bool:
    """Whether Python finds the module. A package above it is imported, and may be missing itself or broken."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def import_fault(module: str) -> str:
    """Why a module does not load, in a process of its own; empty where it does."""
    command = [sys.executable, "-c", f"import {module}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=IMPORT_S, errors="replace")
    except (OSError, subprocess.TimeoutExpired) as error:
        return type(error).__name__
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1].rstrip(".")


def cuda_of_cupy() -> int | None:
    """The major version of CUDA that the installed CuPy is for; None where its package does not say."""
    names = (one.metadata["Name"] or "" for one in distributions())
    return next((int(name[9:-1]) for name in names if name.startswith("cupy-cuda") and name[9:-1].isdigit()), None)
