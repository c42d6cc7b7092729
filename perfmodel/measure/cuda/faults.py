"""What went wrong in CUDA, as the faults that the engine knows."""

from __future__ import annotations

import functools
from collections.abc import Callable

from perfmodel.measure.backend import CaptureFailed, DeviceFault, DeviceLost, KernelFault, OutOfDeviceMemory

# The beginnings of the names that CUDA's runtime, its driver and cuBLAS have for what went wrong.
LOST = (
    "cudaErrorNoDevice", "cudaErrorInvalidDevice", "cudaErrorDevicesUnavailable", "cudaErrorInsufficientDriver",
    "cudaErrorInitializationError", "cudaErrorSystem", "cudaErrorECCUncorrectable", "cudaErrorNvlinkUncorrectable",
    "cudaErrorContained", "cudaErrorCudartUnloading", "CUDA_ERROR_NO_DEVICE", "CUDA_ERROR_INVALID_DEVICE",
    "CUDA_ERROR_DEVICE_UNAVAILABLE", "CUDA_ERROR_NOT_INITIALIZED", "CUDA_ERROR_DEINITIALIZED", "CUDA_ERROR_SYSTEM",
    "CUDA_ERROR_ECC_UNCORRECTABLE", "CUDA_ERROR_NVLINK_UNCORRECTABLE", "CUDA_ERROR_CONTAINED",
    "CuPy failed to load libcuda", "Failure finding",
)  # fmt: skip
MEMORY = ("cudaErrorMemoryAllocation", "CUDA_ERROR_OUT_OF_MEMORY", "CUBLAS_STATUS_ALLOC_FAILED")
CAPTURE = ("cudaErrorStreamCapture", "cudaErrorCapturedEvent", "CUDA_ERROR_STREAM_CAPTURE", "cudaErrorGraphExec")


def fault_of(message: str, needed_bytes: int = 0, free_bytes: int = 0) -> DeviceFault:
    """The fault for an error of CUDA, whose message begins with its name.

    >>> fault_of("cudaErrorECCUncorrectable: uncorrectable ECC error encountered")
    DeviceLost('cudaErrorECCUncorrectable: uncorrectable ECC error encountered')
    """
    if message.startswith(MEMORY):
        return OutOfDeviceMemory(needed_bytes, free_bytes)
    kinds = ((LOST, DeviceLost), (CAPTURE, CaptureFailed))
    kind = next((kind for names, kind in kinds if message.startswith(names)), KernelFault)
    return kind(message)


def told(call: Callable) -> Callable:
    """The same call with CUDA's errors as `DeviceFault`."""

    @functools.wraps(call)
    def calling(self, *arguments, **named):
        try:
            return call(self, *arguments, **named)
        except DeviceFault:
            raise
        except (RuntimeError, OSError) as error:  # CuPy's errors of runtime, driver and libraries are RuntimeErrors
            raise fault_of(str(error).partition("\n")[0]) from None

    return calling
