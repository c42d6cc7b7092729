"""The seam to CuPy without a GPU: what CuPy raises never gets out, and every name that is used exists."""

import ctypes
import importlib.util
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from perfmodel.measure.backend import BuildFailed, CaptureFailed, DeviceLost, KernelFault, OutOfDeviceMemory
from perfmodel.measure.cuda import cupy_runtime, nvrtc
from perfmodel.measure.cuda.cupy_runtime import CupyRuntime
from perfmodel.measure.cuda.sources import source_text
from perfmodel.measure.streams.sources import source_text as streams_text


class RuntimeFault(RuntimeError):
    """As CuPy's CUDARuntimeError: the message begins with the name."""


def failing(message):
    def call(*arguments):
        raise RuntimeFault(message)

    return call


def runtime_with(**calls):
    """A runtime whose CuPy does what the test says."""
    api = SimpleNamespace(
        setDevice=lambda index: None, streamCreateWithFlags=lambda flags: 99, memGetInfo=lambda: (7, 100),
        CUDARuntimeError=RuntimeFault, check_status=failing("cudaErrorIllegalAddress: x"), streamCaptureModeRelaxed=2,
        streamBeginCapture=lambda *_: None, graphDestroy=lambda graph: None,
    )  # fmt: skip
    vars(api).update(calls)
    driver = SimpleNamespace(CUDADriverError=RuntimeFault, moduleGetFunction=failing("CUDA_ERROR_NOT_FOUND: x"))
    return SimpleNamespace(cuda=SimpleNamespace(runtime=api, driver=driver), __version__="0")


def made(monkeypatch, **calls):
    monkeypatch.setitem(sys.modules, "cupy", runtime_with(**calls))
    return CupyRuntime(0)


def test_no_driver_is_a_lost_device(monkeypatch):
    with pytest.raises(DeviceLost, match="Insufficient"):
        made(monkeypatch, setDevice=failing("cudaErrorInsufficientDriver: too old"))


def test_a_missing_cupy_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(DeviceLost, match="CuPy does not load"):
        CupyRuntime(0)


def test_memory_that_is_not_there_comes_with_its_sizes(monkeypatch):
    runtime = made(monkeypatch, malloc=failing("cudaErrorMemoryAllocation: out of memory"))
    with pytest.raises(OutOfDeviceMemory) as caught:
        runtime.allocate(64)
    assert caught.value.args == (64, 7)


@pytest.mark.parametrize(("status", "done"), [(0, True), (600, False)])
def test_an_event_is_done_or_not(monkeypatch, status, done):
    assert made(monkeypatch, eventQuery=lambda event: status).done(1) is done


def test_an_event_behind_a_fault_tells_it(monkeypatch):
    with pytest.raises(KernelFault, match="IllegalAddress"):
        made(monkeypatch, eventQuery=lambda event: 700).done(1)


def test_a_graph_that_is_none_is_no_capture(monkeypatch):
    runtime = made(monkeypatch, streamEndCapture=failing("cudaErrorStreamCaptureInvalidated: x"))
    runtime.begin_capture()
    with pytest.raises(CaptureFailed, match="Invalidated"):
        runtime.end_capture()
    full = made(monkeypatch, streamEndCapture=lambda s: 5, graphInstantiate=failing("cudaErrorMemoryAllocation: x"))
    with pytest.raises(CaptureFailed):
        full.end_capture()


def test_a_kernel_that_is_not_there_is_no_build(monkeypatch):
    with pytest.raises(BuildFailed, match="no kernel nonesuch"):
        made(monkeypatch).function(1, "nonesuch")


NEEDS_CUPY = pytest.mark.skipif(importlib.util.find_spec("cupy") is None, reason="CuPy is not installed")


@NEEDS_CUPY
def test_cupy_has_every_name_that_is_used():
    import cupy

    texts = [Path(module.__file__).read_text(encoding="utf-8") for module in (cupy_runtime, nvrtc)]
    homes = {r"self\._api\.": cupy.cuda.runtime, r"self\._driver\.": cupy.cuda.driver, r" nvrtc\.": cupy.cuda.nvrtc}
    found = [(home, re.findall(prefix + r"(\w+)", text)) for prefix, home in homes.items() for text in texts]
    used = [(home, name) for home, names in found for name in names]
    assert len(used) > 40
    assert [name for home, name in used if not hasattr(home, name)] == []


@pytest.fixture
def compiler():
    """CuPy's binding of NVRTC; skips where either is missing."""
    cupy = pytest.importorskip("cupy", exc_type=ImportError)
    try:
        cupy.cuda.nvrtc.getVersion()
    except Exception as error:
        pytest.skip(f"NVRTC does not load: {type(error).__name__}")
    return cupy.cuda.nvrtc


@pytest.mark.parametrize("text", [source_text, streams_text], ids=["tools", "streams"])
def test_our_device_code_compiles_at_run_time(compiler, text):
    assert len(nvrtc.compiled(compiler, (7, 5), text(), "perfmodel.cu")) > 10_000


def test_a_chip_newer_than_the_compiler_gets_ptx(compiler):
    assert b".version" in nvrtc.compiled(compiler, (99, 0), source_text(), "perfmodel.cu")


def test_an_error_of_the_compiler_is_told(compiler):
    with pytest.raises(BuildFailed, match=r"identifier .b. is undefined"):
        nvrtc.compiled(compiler, (7, 5), "__global__ void f(int *a) { a[0] = b; }", "perfmodel.cu")


def test_data_cross_both_ways(monkeypatch):
    waited = []

    def copy(to, source, size, kind, stream):
        ctypes.memmove(to, source, size)

    runtime = made(
        monkeypatch, memcpyAsync=copy, memcpyHostToDevice=1, memcpyDeviceToHost=2, streamSynchronize=waited.append
    )
    memory = ctypes.create_string_buffer(5)
    runtime.upload(ctypes.addressof(memory), b"seven")
    data = runtime.download(ctypes.addressof(memory), 5)
    assert (memory.raw, bytes(data), int.from_bytes(data, "big")) == (b"seven", b"seven", 0x736576656E)
    assert waited == [99, 99]
    assert bytes(runtime.download(0, 0)) == b""
