"""The `Runtime` on a real GPU: CuPy's thin bindings of the CUDA runtime and driver, NVRTC, and cuBLAS through ctypes.

Nothing of CuPy's arrays, pools and caches is used. Written against CuPy 14.2.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np

from perfmodel.measure.backend import BuildFailed, CaptureFailed, DeviceLost, OutOfDeviceMemory
from perfmodel.measure.cuda.cublas import WORKSPACE_BYTES, Cublas, version
from perfmodel.measure.cuda.driver import device_uuid
from perfmodel.measure.cuda.faults import told
from perfmodel.measure.cuda.nvrtc import compiled
from perfmodel.measure.cuda.runtime import Argument, DeviceProperties, VendorGemm

READY, NOT_READY = 0, 600  # cudaSuccess, cudaErrorNotReady
NON_BLOCKING = 1  # a stream that does not wait for the default one


class CupyRuntime:
    """One device by its number, in the order that CUDA has them. Makes its context. The methods: see `Runtime`."""

    @told
    def __init__(self, index: int, driver_text: str = ""):
        try:
            import cupy
        except ImportError as error:
            raise DeviceLost(f"CuPy does not load: {error}") from None
        self._cupy, self._cuda = cupy, cupy.cuda
        with suppress(Exception):
            self._cuda.cublas  # noqa: B018 - loads the library, where there is one
        self._api, self._driver, self._index = cupy.cuda.runtime, cupy.cuda.driver, index
        self._api.setDevice(index)
        self.driver_text = driver_text
        self.stream = self._api.streamCreateWithFlags(NON_BLOCKING)
        self._cublas: Cublas | None = None

    @told
    def properties(self) -> DeviceProperties:
        found = self._api.getDeviceProperties(self._index)
        name = found["name"].decode() if isinstance(found["name"], bytes) else str(found["name"])
        return DeviceProperties(
            name, device_uuid(self._index), (int(found["major"]), int(found["minor"])),
            int(found["multiProcessorCount"]), int(found["l2CacheSize"]), int(found["totalGlobalMem"]),
        )  # fmt: skip

    @told
    def versions(self) -> Mapping[str, str]:
        runtime, driver = _version(self._api.runtimeGetVersion()), _version(self._api.driverGetVersion())
        compiler = ".".join(map(str, self._cuda.nvrtc.getVersion()))
        parts = f"CUDA {runtime}", f"CuPy {self._cupy.__version__}", f"NVRTC {compiler}", version()
        return {"driver": self.driver_text or f"CUDA {driver}", "runtime": ", ".join(parts)}

    @told
    def memory(self) -> tuple[int, int]:
        free, total = self._api.memGetInfo()
        return free, total

    def allocate(self, size_bytes: int) -> int:
        try:
            return self._allocate(size_bytes)
        except OutOfDeviceMemory:
            raise OutOfDeviceMemory(size_bytes, self.memory()[0]) from None

    @told
    def _allocate(self, size_bytes: int) -> int:
        return self._api.malloc(size_bytes)

    @told
    def free(self, pointer: int) -> None:
        self._api.free(pointer)

    @told
    def fill(self, pointer: int, value: int, size_bytes: int) -> None:
        if size_bytes:
            self._api.memsetAsync(pointer, value, size_bytes, self.stream)

    @told
    def copy(self, to: int, source: int, size_bytes: int) -> None:
        self._api.memcpyAsync(to, source, size_bytes, self._api.memcpyDeviceToDevice, self.stream)

    @told
    def upload(self, pointer: int, data: bytes) -> None:
        if data:
            held = np.frombuffer(data, np.uint8)  # its address, not a copy
            self._api.memcpyAsync(pointer, held.ctypes.data, len(data), self._api.memcpyHostToDevice, self.stream)
            self._api.streamSynchronize(self.stream)

    @told
    def download(self, pointer: int, size_bytes: int) -> memoryview:
        to = np.empty(size_bytes, np.uint8)  # no zeros, no second copy: it may be hundreds of MB
        if size_bytes:
            self._api.memcpyAsync(to.ctypes.data, pointer, size_bytes, self._api.memcpyDeviceToHost, self.stream)
            self._api.streamSynchronize(self.stream)
        return memoryview(to)

    @told
    def compile(self, source: str, name: str) -> int:
        found = self._api.getDeviceProperties(self._index)
        capability = int(found["major"]), int(found["minor"])
        return self._driver.moduleLoadData(compiled(self._cuda.nvrtc, capability, source, name))

    @told
    def function(self, module: int, entry: str) -> int:
        try:
            return self._driver.moduleGetFunction(module, entry)
        except self._driver.CUDADriverError as error:
            if "NOT_FOUND" in str(error):
                raise BuildFailed(f"the module has no kernel {entry}", "This is a bug.") from None
            raise

    @told
    def attributes(self, function: int) -> Mapping[str, int]:
        names = {"registers": "NUM_REGS", "shared_bytes": "SHARED_SIZE_BYTES", "spilled_bytes": "LOCAL_SIZE_BYTES"}
        ask = self._driver.funcGetAttribute
        return {name: ask(getattr(self._driver, f"CU_FUNC_ATTRIBUTE_{key}"), function) for name, key in names.items()}

    @told
    def launch(
        self, function: int, grid: tuple[int, int, int], block: tuple[int, int, int],
        arguments: Sequence[Argument], shared_bytes: int = 0,
    ) -> None:  # fmt: skip
        # The driver copies the arguments before it returns.
        places = (ctypes.c_void_p * max(1, len(arguments)))(*map(ctypes.addressof, arguments))
        self._driver.launchKernel(function, *grid, *block, shared_bytes, self.stream, ctypes.addressof(places), 0)

    @told
    def create_event(self) -> int:
        return self._api.eventCreate()

    @told
    def destroy_event(self, event: int) -> None:
        self._api.eventDestroy(event)

    @told
    def record(self, event: int) -> None:
        self._api.eventRecord(event, self.stream)

    @told
    def done(self, event: int) -> bool:
        status = self._api.eventQuery(event)  # the one call of CuPy that returns its status
        if status not in (READY, NOT_READY):
            self._api.check_status(status)
        return status == READY

    @told
    def elapsed_s(self, first: int, last: int) -> float:
        return self._api.eventElapsedTime(first, last) * 1e-3

    @told
    def begin_capture(self) -> None:
        # Other threads may go on as they like.
        self._api.streamBeginCapture(self.stream, self._api.streamCaptureModeRelaxed)

    @told
    def end_capture(self) -> int:
        try:
            graph = self._api.streamEndCapture(self.stream)
            try:
                ready = self._api.graphInstantiate(graph)
            finally:
                self._api.graphDestroy(graph)
        except self._api.CUDARuntimeError as error:
            raise CaptureFailed(str(error)) from None  # what broke the device shows again in the next call
        self._api.graphUpload(ready, self.stream)
        return ready

    @told
    def launch_graph(self, graph: int) -> None:
        self._api.graphLaunch(graph, self.stream)

    @told
    def destroy_graph(self, graph: int) -> None:
        self._api.graphExecDestroy(graph)

    @told
    def gemm(self, call: VendorGemm) -> None:
        self._vendor().run(call)

    def _vendor(self) -> Cublas:
        if self._cublas is None:
            self._cublas = Cublas(self.stream, self.allocate(WORKSPACE_BYTES))
        return self._cublas

    def now_s(self) -> float:
        return time.perf_counter()

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    @told
    def close(self) -> None:
        if self._cublas is not None:
            self._cublas.close()
        self._api.streamDestroy(self.stream)


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"
