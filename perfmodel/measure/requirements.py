"""What measuring on a GPU needs, and what of it is missing here."""

from __future__ import annotations

import ctypes
import shutil
from collections.abc import Callable
from ctypes.util import find_library
from importlib.util import find_spec

from perfmodel.errors import InputError, Problem

DRIVERS = ("libcuda.so.1", "nvcuda.dll")
EXTRA = "In perfmodel's folder: pip install '.[cuda13]'; with a driver older than 580 '.[cuda12]', and a system nvcc."


def missing(
    has_module: Callable[[str], bool] = lambda name: installed(name),
    devices: Callable[[], int | None] = lambda: device_count(),
    which: Callable[[str], str | None] = shutil.which,
) -> list[Problem]:
    """One problem (E2012) for each thing that `profile --gpu` needs and this machine does not have."""
    found = []
    count = devices()
    if count is None:
        found.append(("NVIDIA driver:", "is not installed.", "Install it, or use --simulate SCENARIO."))
    elif count == 0:
        found.append(("GPU:", "the driver finds none.", "Check nvidia-smi, or use --simulate SCENARIO."))
    for module, package in (("cupy", "CuPy"), ("cutlass_library", "CUTLASS")):
        if not has_module(module):
            found.append((f"{package}:", f"the Python module {module} is not installed.", EXTRA))
    if which("nvcc") is None and not has_module("nvidia.cu13") and not has_module("nvidia.cuda_nvcc"):
        found.append(("nvcc:", "there is no CUDA compiler.", EXTRA))
    return [Problem("E2012", *parts) for parts in found]


def installed(module: str) -> bool:
    """Whether Python finds the module. A package above it is imported, and may be missing itself or broken."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def device_count() -> int | None:
    """How many NVIDIA GPUs the driver offers; None where there is no driver."""
    for name in (*DRIVERS, find_library("cuda")):
        try:
            driver = ctypes.CDLL(name) if name else None
        except OSError:
            continue
        if driver is not None:
            count = ctypes.c_int(0)
            works = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
            return count.value if works else 0
    return None


def refuse_gpu() -> InputError:
    """Why `--gpu` cannot be done here: what is missing, and that this version has no kernels for it yet."""
    found = "this version has no kernels to run on a GPU yet, whatever is installed."
    return InputError([*missing(), Problem("E2013", "--gpu:", found, "Use --simulate SCENARIO, or a later version.")])
