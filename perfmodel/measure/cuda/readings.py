"""The state of the device, from NVML. Each call may fail, and then that reading is not there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perfmodel.measure.backend import NotReadable

COMPUTE_MODES = ("default", "exclusive thread", "prohibited", "exclusive process")
MHZ = 1e6
MILLIWATT = 1e-3


class Readings:
    """NVML's view of the device with this UUID, whatever its number there. Made before the device's context is.

    `nvml` is the module pynvml; None imports it.
    """

    def __init__(self, uuid: str, nvml: Any = None):
        self._uuid, self._nvml, self._handle, self._why = uuid, nvml, None, ""
        try:
            if self._nvml is None:
                import pynvml

                self._nvml = pynvml
            self._nvml.nvmlInit()
            self._handle = self._found()
        except Exception as error:  # a missing package, library, permission: whatever it is, there are no readings
            self._why = str(error) or type(error).__name__
        self._before = self._processes()
        self._own: set[int] = set()

    def mark_own(self) -> None:
        """The processes that came since this was made are this one, under whatever number its container has for it."""
        self._own = self._processes() - self._before

    def driver(self) -> str:
        """The driver's version, `580.65.06`; empty where NVML does not tell."""
        try:
            return str(self._nvml.nvmlSystemGetDriverVersion())
        except Exception:
            return ""

    def __call__(self, name: str) -> float | int | bool | str:
        """One of `READINGS`; `NotReadable` where NVML does not tell."""
        if self._handle is None:
            raise NotReadable(f"{name}: {self._why}")
        try:
            return _ASK[name](self._nvml, self._handle, self)
        except Exception as error:
            raise NotReadable(f"{name}: {error}") from None

    def others(self) -> int:
        """How many other processes compute on the device."""
        running = self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle)
        return len({process.pid for process in running} - self._own)

    def _found(self):
        try:
            return self._nvml.nvmlDeviceGetHandleByUUID(self._uuid)
        except TypeError:  # older versions of the module want bytes
            return self._nvml.nvmlDeviceGetHandleByUUID(self._uuid.encode())

    def _processes(self) -> set[int]:
        try:
            return {process.pid for process in self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle)}
        except Exception:
            return set()


def _reasons(nvml, handle) -> int:
    try:
        return int(nvml.nvmlDeviceGetCurrentClocksEventReasons(handle))
    except Exception:  # what drivers before 535 call it
        return int(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))


def _display(nvml, handle) -> bool:
    try:
        return bool(nvml.nvmlDeviceGetDisplayActive(handle))
    except Exception:
        return bool(nvml.nvmlDeviceGetDisplayMode(handle))


_ASK: dict[str, Callable[[Any, Any, Readings], float | int | bool | str]] = {
    "clock_reasons": lambda nvml, handle, _: _reasons(nvml, handle),
    "temperature_c": lambda nvml, handle, _: float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
    "power_w": lambda nvml, handle, _: nvml.nvmlDeviceGetPowerUsage(handle) * MILLIWATT,
    "sm_clock_hz": lambda nvml, handle, _: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM) * MHZ,
    "memory_clock_hz": lambda nvml, handle, _: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM) * MHZ,
    "power_limit_w": lambda nvml, handle, _: nvml.nvmlDeviceGetPowerManagementLimit(handle) * MILLIWATT,
    "power_limit_default_w": lambda nvml, handle, _: nvml.nvmlDeviceGetPowerManagementDefaultLimit(handle) * MILLIWATT,
    "application_clock_hz": lambda nvml, handle, _: (
        nvml.nvmlDeviceGetApplicationsClock(handle, nvml.NVML_CLOCK_SM) * MHZ
    ),
    "mig": lambda nvml, handle, _: nvml.nvmlDeviceGetMigMode(handle)[0] == nvml.NVML_DEVICE_MIG_ENABLE,
    "mps": lambda nvml, handle, _: bool(nvml.nvmlDeviceGetMPSComputeRunningProcesses(handle)),
    "other_processes": lambda nvml, handle, readings: readings.others(),
    "compute_mode": lambda nvml, handle, _: COMPUTE_MODES[nvml.nvmlDeviceGetComputeMode(handle)],
    "ecc": lambda nvml, handle, _: bool(nvml.nvmlDeviceGetEccMode(handle)[0]),
    "persistence": lambda nvml, handle, _: bool(nvml.nvmlDeviceGetPersistenceMode(handle)),
    "display": lambda nvml, handle, _: _display(nvml, handle),
}
