"""A real GPU as a device to measure: `make_backend` makes it in the process that measures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perfmodel.measure.cuda.backend import CudaBackend


def make_backend(index: int, manifest: Mapping) -> CudaBackend:
    """The backend of GPU `index` with the compiled kernels of a manifest (see `catalogue`). Call it once a process.

    Raises `DeviceLost` where there is no such GPU, no driver or no CuPy.
    """
    from perfmodel.measure.cuda.backend import CudaBackend
    from perfmodel.measure.cuda.catalogue import Catalogue
    from perfmodel.measure.cuda.cupy_runtime import CupyRuntime
    from perfmodel.measure.cuda.driver import device_uuid, show_only
    from perfmodel.measure.cuda.readings import Readings

    index = show_only(index)
    readings = Readings(device_uuid(index))
    runtime = CupyRuntime(index, readings.driver())
    backend = CudaBackend(runtime, Catalogue(manifest), readings)
    readings.mark_own()
    return backend
