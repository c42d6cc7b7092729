"""The GPUs of this machine as their driver lists them: names and sizes, asked without CuPy and without a context."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes.util import find_library
from dataclasses import dataclass

from perfmodel.errors import InputError

LIBRARIES = ("libcuda.so.1", "nvcuda.dll")
SMS, MAJOR, MINOR = 16, 75, 76  # CUdevice_attribute: multiprocessors, compute capability
NAME_BYTES = 256


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU: its number, name, compute capability and multiprocessors; `cuda` is the newest CUDA of its driver."""

    index: int
    name: str
    compute_capability: tuple[int, int]
    sms: int
    cuda: tuple[int, int]


def load_driver() -> ctypes.CDLL | None:
    """The NVIDIA driver's library; None where there is none."""
    for name in (*LIBRARIES, find_library("cuda")):
        try:
            return ctypes.CDLL(name) if name else None
        except OSError:
            continue
    return None


def list_gpus(driver_of: Callable[[], ctypes.CDLL | None] = load_driver) -> list[Gpu] | None:
    """The GPUs in the driver's order, none where it does not work; None where there is no driver."""
    driver = driver_of()
    if driver is None:
        return None
    count = ctypes.c_int(0)
    try:
        if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
            return []
        return [_gpu(driver, index) for index in range(count.value)]
    except AttributeError:  # a library of that name that is no driver, as containers have
        return []


def find_gpu(index: int, gpus: list[Gpu] | None) -> Gpu:
    """The GPU of this number; `InputError` (E2014) where there is none."""
    if not 0 <= index < len(gpus or ()):
        known = ", ".join(f"{gpu.index} ({gpu.name})" for gpu in gpus or ()) or "none"
        raise InputError.at("E2014", "--gpu-index", f"there is no GPU {index}.", f"This machine has {known}.")
    return gpus[index]


def _gpu(driver: ctypes.CDLL, index: int) -> Gpu:
    device, version, name = ctypes.c_int(), ctypes.c_int(), ctypes.create_string_buffer(NAME_BYTES)
    driver.cuDeviceGet(ctypes.byref(device), index)
    driver.cuDeviceGetName(name, NAME_BYTES, device)
    driver.cuDriverGetVersion(ctypes.byref(version))

    def attribute(number: int) -> int:
        value = ctypes.c_int()
        driver.cuDeviceGetAttribute(ctypes.byref(value), number, device)
        return value.value

    cuda = (version.value // 1000, version.value % 1000 // 10)
    return Gpu(index, name.value.decode(errors="replace"), (attribute(MAJOR), attribute(MINOR)), attribute(SMS), cuda)
