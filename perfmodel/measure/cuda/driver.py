"""What only the driver itself tells, before anything has taken the device: its UUID, and that one device is visible."""

from __future__ import annotations

import ctypes
import os
from collections.abc import MutableMapping

from perfmodel.measure.backend import DeviceLost
from perfmodel.measure.gpus import load_driver

VISIBLE = "CUDA_VISIBLE_DEVICES"


def show_only(index: int, variables: MutableMapping[str, str] = os.environ) -> int:
    """Make device `index` the only one that this process sees, and return its number from now on.

    The kernel libraries have a CUDA runtime of their own, which starts at device 0. It works only before the driver
    has been asked anything.
    """
    if index == 0:
        return 0
    listed = [part.strip() for part in variables.get(VISIBLE, "").split(",") if part.strip()]
    if listed and index >= len(listed):
        raise DeviceLost(f"there is no device {index}: {VISIBLE} names {len(listed)}")
    variables[VISIBLE] = listed[index] if listed else str(index)
    return 0


def device_uuid(index: int) -> str:
    """`GPU-…`, as nvidia-smi writes it; `DeviceLost` where there is no such device. Makes no context."""
    driver = load_driver()
    if driver is None:
        raise DeviceLost("the NVIDIA driver is not installed")
    device, raw = ctypes.c_int(), (ctypes.c_ubyte * 16)()
    ask = getattr(driver, "cuDeviceGetUuid_v2", None) or driver.cuDeviceGetUuid
    steps = (
        lambda: driver.cuInit(0),
        lambda: driver.cuDeviceGet(ctypes.byref(device), ctypes.c_int(index)),
        lambda: ask(raw, device),
    )
    for step in steps:
        if status := step():
            raise DeviceLost(f"the driver finds no device {index} (error {status})")
    return uuid_text(bytes(raw))


def uuid_text(raw: bytes) -> str:
    """Sixteen bytes as NVIDIA writes them.

    >>> uuid_text(bytes(range(16)))
    'GPU-00010203-0405-0607-0809-0a0b0c0d0e0f'
    """
    digits = raw.hex()
    parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return "GPU-" + "-".join(parts)
