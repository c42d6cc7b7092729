"""A `Runtime` on host memory: our device code compiled as C++, graphs as recorded calls, time on a virtual clock."""

import ctypes
import re
import subprocess
from pathlib import Path

import numpy as np

from perfmodel.measure.backend import BuildFailed, CaptureFailed, KernelFault, OutOfDeviceMemory
from perfmodel.measure.cuda.runtime import DeviceProperties

HERE = Path(__file__).parent
STREAMS_SHIM = HERE.parents[1] / "streams" / "shim" / "shim.h"
TICK_S, LAUNCH_S, LIBRARY_S, CALL_S, NODE_S = 32e-9, 2e-6, 50e-6, 0.2e-6, 1e-6
MEMORY_BYTES = 2**30
ENTRY = re.compile(r'extern "C"\s+void\s+(\w+)\s*\(')
PLAIN = ("-D__global__=", "-D__launch_bounds__(...)=")  # what the preprocessor leaves away, to find the entries
CALL = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
ENQUEUE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, CALL, ctypes.c_void_p)
STREAMS_WRAPPER = """extern "C" void host_{0}(const unsigned *grid, const unsigned *block, void **with) {{
  run_grid([](void **given) {{ call({0}, given); }}, with, grid[0], block[0]);
}}"""
DTYPES = {
    "fp32": np.float32, "tf32": np.float32, "fp16": np.float16, "fp64": np.float64, "int8": np.int8, "int32": np.int32,
}  # fmt: skip


def build(folder: Path, name: str, source: str, *folders: Path) -> Path:
    """A shared library of C++ source."""
    text, library = folder / f"{name}.cpp", folder / f"{name}.so"
    text.write_text(source, encoding="utf-8")
    include = [f"-I{one}" for one in (HERE, *folders)]
    flags = ["-std=c++17", "-O2", "-ffp-contract=off", "-w", "-shared", "-fPIC"]
    done = subprocess.run(["g++", *flags, *include, str(text), "-o", str(library)], capture_output=True, text=True)
    if done.returncode:
        raise BuildFailed(done.stderr.partition("error:")[2].partition("\n")[0].strip(), f"g++ {text}")
    return library


def entries_of(source: str) -> list[str]:
    """The kernels of a source, those that macros make among them."""
    command = ["g++", "-E", "-P", *PLAIN, "-x", "c++", "-"]
    return ENTRY.findall(subprocess.run(command, input=source, capture_output=True, text=True, check=True).stdout)


class _Stream(ctypes.Structure):
    _fields_ = (("enqueue", ENQUEUE),)


class HostRuntime:
    """One device of two multiprocessors in host memory. Work is done when it is enqueued; its time comes later.

    `hangs`: nothing is ever done. `fault`: what the next look at an event raises.
    """

    def __init__(self, folder: Path, memory_bytes: int = MEMORY_BYTES):
        self.folder, self.free_bytes = folder, memory_bytes
        self.host_s = self.device_s = 0.0
        self.hangs, self.fault, self.captures = False, None, True
        self.live: dict[int, tuple[int, np.ndarray]] = {}
        self.launched: list[str] = []
        self._recorded: list | None = None
        self._modules: dict[str, ctypes.CDLL] = {}
        self._raw = _Stream(ENQUEUE(self._library_call))
        self.stream = ctypes.addressof(self._raw)
        self.graphs: set[int] = set()
        self._graph_calls: dict[int, list] = {}

    def _library_call(self, _, call, argument):
        self._enqueue("library", lambda: ctypes.cast(call, CALL)(argument), LIBRARY_S)

    def _enqueue(self, name, work, cost_s):
        self.host_s += CALL_S
        if self._recorded is not None:
            self._recorded.append((name, work, cost_s))
            return
        self._work(name, work, cost_s)

    def _work(self, name, work, cost_s):
        self.device_s = max(self.device_s, self.host_s)
        self.launched.append(name)
        work()
        self.device_s += cost_s

    def properties(self):
        return DeviceProperties("Host", "GPU-host", (7, 5), 2, 2**16, MEMORY_BYTES)

    def versions(self):
        return {"driver": "1.0", "runtime": "host"}

    def memory(self):
        return self.free_bytes, MEMORY_BYTES

    def allocate(self, size_bytes):
        if size_bytes > self.free_bytes:
            raise OutOfDeviceMemory(size_bytes, self.free_bytes)
        held = np.empty(size_bytes + 256, np.uint8)
        pointer = -(-held.ctypes.data // 256) * 256
        self.live[pointer] = size_bytes, held
        self.free_bytes -= size_bytes
        return pointer

    def free(self, pointer):
        self.free_bytes += self.live.pop(pointer)[0]

    def fill(self, pointer, value, size_bytes):
        self._enqueue("fill", lambda: ctypes.memset(pointer, value, size_bytes), LAUNCH_S)

    def copy(self, to, source, size_bytes):
        self._enqueue("copy", lambda: ctypes.memmove(to, source, size_bytes), LAUNCH_S + 2 * size_bytes / 500e9)

    def upload(self, pointer, data):
        ctypes.memmove(pointer, data, len(data))

    def download(self, pointer, size_bytes):
        self.host_s = max(self.host_s, self.device_s)
        return ctypes.string_at(pointer, size_bytes)

    def compile(self, source, name):
        if name not in self._modules:
            entries = entries_of(source)
            if "streams" in name:
                head, tail = f'#include "{STREAMS_SHIM}"\n', "\n".join(map(STREAMS_WRAPPER.format, entries))
            else:
                head, tail = '#include "host.h"\n', "\n".join(f"HOST_ENTRY({entry})" for entry in entries)
            library = self.folder / f"{Path(name).stem}.so"
            if not library.exists():
                build(self.folder, Path(name).stem, f"{head}{source}\n{tail}\n")
            self._modules[name] = ctypes.CDLL(str(library))
        return self._modules[name]

    def function(self, module, entry):
        return entry, getattr(module, f"host_{entry}"), module

    def attributes(self, function):
        return {"registers": 1, "shared_bytes": 0, "spilled_bytes": 0}

    def launch(self, function, grid, block, arguments, shared_bytes=0):
        name, entry, module = function
        copies = [type(one)(one.value) for one in arguments]
        places = (ctypes.c_void_p * max(1, len(copies)))(*map(ctypes.addressof, copies))
        sizes = [(ctypes.c_uint * 3)(*size) for size in (grid, block)]

        def work():
            assert copies is not None  # they live as long as the recorded call
            if "pm_spin" not in name and "pm_stamp" not in name:
                entry(*sizes, places)
                return
            clock = ctypes.c_ulonglong.in_dll(module, "pm_host_ns")
            clock.value = round(self.device_s * 1e9)
            entry(*sizes, places)
            self.device_s = max(self.device_s, clock.value * 1e-9)

        self._enqueue(name, work, LAUNCH_S)

    def create_event(self):
        return [0.0]

    def destroy_event(self, event):
        event.clear()

    def record(self, event):
        self.host_s += CALL_S
        self.device_s = max(self.device_s, self.host_s)
        event[0] = round(self.device_s / TICK_S) * TICK_S

    def done(self, event):
        if self.fault:
            raise self.fault
        self.host_s += CALL_S
        return not self.hangs and self.host_s >= event[0]

    def elapsed_s(self, first, last):
        return last[0] - first[0]

    def begin_capture(self):
        if not self.captures:
            raise CaptureFailed("this device captures nothing")
        self._recorded = []

    def end_capture(self):
        if self._recorded is None:
            raise CaptureFailed("nothing is captured")
        calls, self._recorded = self._recorded, None
        graph = 1 + len(self._graph_calls)
        self._graph_calls[graph] = calls
        self.graphs.add(graph)
        return graph

    def launch_graph(self, graph):
        if graph not in self.graphs:
            raise KernelFault("the graph is gone")
        self.host_s += CALL_S
        for name, work, cost_s in self._graph_calls[graph]:
            self._work(name, work, min(cost_s, NODE_S) if cost_s == LAUNCH_S else cost_s)

    def destroy_graph(self, graph):
        self.graphs.remove(graph)

    def gemm(self, call):
        if call.operand not in DTYPES:
            raise BuildFailed("CUBLAS_STATUS_NOT_SUPPORTED", "")
        self._enqueue("cublas", lambda: [self._gemm(call, i) for i in range(call.count)], LAUNCH_S)

    def _gemm(self, call, number):
        a = _column_major(call.a, call.operand, number * call.stride_a, call.m, call.k, call.lda, call.transpose_a)
        b = _column_major(call.b, call.operand, number * call.stride_b, call.k, call.n, call.ldb, call.transpose_b)
        c = _column_major(call.c, call.output, number * call.stride_c, call.m, call.n, call.ldc, False)
        if call.compute == "32F_FAST_TF32":
            a, b = (_ten_bits(one) for one in (a, b))
        wide = np.int64 if call.compute == "32I" else np.float64
        c[...] = (a.astype(wide) @ b.astype(wide)).astype(c.dtype)

    def now_s(self):
        self.host_s += CALL_S / 10
        return self.host_s

    def wait(self, seconds):
        self.host_s += seconds

    def close(self):
        self._modules.clear()


def _column_major(pointer, form, first, rows, columns, line, transposed):
    dtype = np.dtype(DTYPES[form])
    stored_rows, stored_columns = (columns, rows) if transposed else (rows, columns)
    count = (stored_columns - 1) * line + stored_rows
    raw = (ctypes.c_char * (count * dtype.itemsize)).from_address(pointer + first * dtype.itemsize)
    strides = (dtype.itemsize, line * dtype.itemsize)
    found = np.lib.stride_tricks.as_strided(np.frombuffer(raw, dtype), (stored_rows, stored_columns), strides)
    return found.T if transposed else found


def _ten_bits(values):
    bits = np.ascontiguousarray(values).view(np.uint32)
    return ((bits + 0xFFF + (bits >> 13 & 1)) & ~np.uint32(0x1FFF)).view(np.float32)
