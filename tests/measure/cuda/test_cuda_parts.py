"""The parts of the CUDA backend that need no compiled code: memory, errors, readings, names."""

import pickle
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from perfmodel.gemm import Gemm
from perfmodel.lowering import MemoryOp
from perfmodel.measure.backend import (
    READINGS,
    BuildFailed,
    CaptureFailed,
    DeviceLost,
    KernelFault,
    NotReadable,
    OutOfDeviceMemory,
)
from perfmodel.measure.cuda import make_backend
from perfmodel.measure.cuda.cublas import status_fault
from perfmodel.measure.cuda.driver import show_only
from perfmodel.measure.cuda.faults import fault_of
from perfmodel.measure.cuda.instrument import rate_hz
from perfmodel.measure.cuda.matrices import checkable, matrices_of
from perfmodel.measure.cuda.pool import GRAIN_BYTES, RESERVE_BYTES, Pool
from perfmodel.measure.cuda.readings import Readings
from perfmodel.measure.cuda.slab import Buffer, slab_of
from perfmodel.measure.cuda.stream_products import MOST_BYTES, followable
from perfmodel.measure.cuda.streams import Streams
from perfmodel.measure.streams.catalogue import stream_kernel


def test_the_maker_can_cross_to_the_worker():
    assert pickle.loads(pickle.dumps(partial(make_backend, 1, {"kernels": {}}))).args == (1, {"kernels": {}})


FAULTS = [
    ("cudaErrorIllegalAddress: an illegal memory access was encountered", KernelFault),
    ("CUDA_ERROR_LAUNCH_FAILED: unspecified launch failure", KernelFault),
    ("cudaErrorMemoryAllocation: out of memory", OutOfDeviceMemory),
    ("CUDA_ERROR_OUT_OF_MEMORY: out of memory", OutOfDeviceMemory),
    ("cudaErrorECCUncorrectable: uncorrectable ECC error encountered", DeviceLost),
    ("cudaErrorNoDevice: no CUDA-capable device is detected", DeviceLost),
    ("CuPy failed to load libcuda.so.1: OSError", DeviceLost),
    ('Failure finding "libnvrtc.so.13 or libnvrtc.so.12": No such file', DeviceLost),
    ("cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing", CaptureFailed),
]


@pytest.mark.parametrize(("message", "kind"), FAULTS)
def test_errors_of_cuda_are_told_by_name(message, kind):
    assert type(fault_of(message)) is kind


def test_statuses_of_cublas_are_told_by_name():
    assert type(status_fault("CUBLAS_STATUS_NOT_SUPPORTED")) is BuildFailed
    assert type(status_fault("CUBLAS_STATUS_EXECUTION_FAILED")) is KernelFault
    assert type(status_fault("CUBLAS_STATUS_ALLOC_FAILED")) is OutOfDeviceMemory


class Memory:
    """The memory calls of a runtime."""

    def __init__(self, free_bytes):
        self.free_bytes, self.live, self.asked = free_bytes, {}, 0

    def memory(self):
        return self.free_bytes, 2**40

    def allocate(self, size_bytes):
        self.asked += 1
        if size_bytes > self.free_bytes:
            raise OutOfDeviceMemory(size_bytes, self.free_bytes)
        self.free_bytes -= size_bytes
        self.live[self.asked] = size_bytes
        return self.asked

    def free(self, pointer):
        self.free_bytes += self.live.pop(pointer)


def test_memory_is_taken_again_without_asking_the_driver():
    memory = Memory(2**31)
    pool = Pool(memory)
    first, _ = pool.take(3 * GRAIN_BYTES)
    pool.give(first)
    assert pool.take(3 * GRAIN_BYTES - 5)[0] is first
    assert memory.asked == 1
    pool.give(first)
    assert pool.take(GRAIN_BYTES)[0] is not first  # three times as large is too much
    assert pool.free_bytes() == 2**31 - GRAIN_BYTES


def test_content_is_found_again_until_it_is_overwritten():
    pool = Pool(Memory(RESERVE_BYTES + 4 * GRAIN_BYTES))
    first, held = pool.take(4 * GRAIN_BYTES, ("a",))
    assert not held
    pool.give(first)
    again, held = pool.take(4 * GRAIN_BYTES, ("a",))
    assert again is first
    assert held
    pool.give(first)
    other, held = pool.take(4 * GRAIN_BYTES, ("b",))  # there is no more memory: it takes the block
    assert other is first
    assert not held
    pool.give(other)
    assert pool.take(4 * GRAIN_BYTES, ("a",)) == (first, False)


def test_free_blocks_go_back_where_memory_is_short():
    memory = Memory(RESERVE_BYTES + 8 * GRAIN_BYTES)
    pool = Pool(memory)
    blocks = [pool.take(GRAIN_BYTES)[0] for _ in range(8)]
    for block in blocks:
        pool.give(block)
    assert pool.take(8 * GRAIN_BYTES)[0].size_bytes == 8 * GRAIN_BYTES
    with pytest.raises(OutOfDeviceMemory) as caught:
        pool.take(2**33)
    assert caught.value.args == (2**33, RESERVE_BYTES)


def test_no_more_goes_back_than_is_needed_and_the_longest_idle_first():
    memory = Memory(RESERVE_BYTES + 12 * GRAIN_BYTES)
    pool = Pool(memory)
    blocks = [pool.take(4 * GRAIN_BYTES)[0] for _ in range(3)]
    for block in (blocks[1], blocks[2], blocks[0]):
        pool.give(block)
    pool.take(8 * GRAIN_BYTES)
    assert pool.take(4 * GRAIN_BYTES)[0] is blocks[0]
    assert memory.asked == 4


def test_sets_do_not_overlap_and_outputs_have_guards():
    buffers = (Buffer(100, 100), Buffer(300, 300), Buffer(1000, 1000, written=True))
    slab = slab_of(buffers, 3)
    assert slab.offsets == (0, 256, 1024)
    assert slab.guards() == [(768, 256), (2024, 280)]
    assert (slab.set_bytes, slab.size_bytes) == (2304, 6912)


def test_very_large_problems_are_checked_on_fewer_rows():
    assert checkable(Gemm(1000, 1000, 1000)) == Gemm(1000, 1000, 1000)
    large = Gemm(40_000_000, 64, 147)
    assert checkable(large).m % 512 == 0
    assert sum(matrix.elements for matrix in matrices_of(checkable(large))) <= 2e9
    assert checkable(Gemm(1000, 1000, 1000, 5000)).batch == 666


def test_lines_of_vectors_are_those_of_blas():
    a, b, _ = matrices_of(Gemm(1, 3, 7, layout="nn"))
    assert (a.line, b.line) == (1, 7)


def test_no_common_multiprocessor_gives_no_clock():
    assert np.isnan(rate_hz(np.array([[0, 1, 1]]), np.array([[1, 2, 2]])))
    assert np.isnan(rate_hz(np.array([[0, 1, 5]]), np.array([[0, 2, 5]])))  # a timer that stood still


def test_the_first_row_of_each_multiprocessor_counts():
    day_ns = 1_790_000_000_000_000_000  # since 1970: more digits than FP64 has
    first = [[1, 50, day_ns], [0, 10, day_ns], [1, 90, day_ns + 5], [2, 0, day_ns]]
    last = [[3, 0, day_ns], [1, 2050, day_ns + 1000], [0, 2010, day_ns + 1000], [1, 9999, day_ns + 1001]]
    assert rate_hz(*(np.array(rows, np.uint64) for rows in (first, last))) == 2e9


def test_one_device_is_shown():
    seen = {}
    assert (show_only(2, seen), seen) == (0, {"CUDA_VISIBLE_DEVICES": "2"})
    seen = {"CUDA_VISIBLE_DEVICES": "3,1"}
    assert (show_only(1, seen), seen) == (0, {"CUDA_VISIBLE_DEVICES": "1"})
    assert (show_only(0, {}), show_only(0, {"CUDA_VISIBLE_DEVICES": "5"})) == (0, 0)
    with pytest.raises(DeviceLost, match="no device 2"):
        show_only(2, {"CUDA_VISIBLE_DEVICES": "3,1"})


class Nvml:
    """Two processes, one of which comes when the context is made; some calls are not supported."""

    NVML_TEMPERATURE_GPU, NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_DEVICE_MIG_ENABLE = 0, 1, 2, 1

    def __init__(self):
        self.pids = [7]

    def __getattr__(self, name):
        values = {
            "nvmlInit": None, "nvmlDeviceGetHandleByUUID": "handle", "nvmlSystemGetDriverVersion": "580.65.06",
            "nvmlDeviceGetCurrentClocksThrottleReasons": 4, "nvmlDeviceGetTemperature": 55,
            "nvmlDeviceGetPowerUsage": 61500, "nvmlDeviceGetClockInfo": 1350, "nvmlDeviceGetMigMode": [0, 0],
            "nvmlDeviceGetComputeMode": 3, "nvmlDeviceGetEccMode": [1, 1], "nvmlDeviceGetDisplayMode": 1,
        }  # fmt: skip
        if name == "nvmlDeviceGetComputeRunningProcesses":
            return lambda handle: [SimpleNamespace(pid=pid) for pid in self.pids]
        if name not in values:
            raise AttributeError(f"{name}: not supported")
        return lambda *arguments: values[name]


def test_readings_and_those_that_are_missing():
    readings = Readings("GPU-x", Nvml())
    wanted = {
        "clock_reasons": 4, "temperature_c": 55.0, "power_w": 61.5, "sm_clock_hz": 1.35e9, "mig": False,
        "compute_mode": "exclusive process", "ecc": True, "display": True,
    }  # fmt: skip
    assert {name: readings(name) for name in wanted} == wanted
    for name in ("power_limit_w", "mps", "persistence"):
        with pytest.raises(NotReadable, match="not supported"):
            readings(name)
    assert readings.driver() == "580.65.06"


def test_own_process_does_not_count_whatever_its_number():
    nvml = Nvml()
    readings = Readings("GPU-x", nvml)
    nvml.pids = [7, 4242]
    readings.mark_own()
    assert readings("other_processes") == 1
    nvml.pids = [4242, 9, 10]
    assert readings("other_processes") == 2


def test_without_nvml_nothing_is_readable():
    def broken():
        raise OSError("libnvidia-ml.so.1 is missing")

    readings = Readings("GPU-x", SimpleNamespace(nvmlInit=broken))
    readings.mark_own()
    for name in READINGS:
        with pytest.raises(NotReadable, match="missing"):
            readings(name)
    assert readings.driver() == ""


FAR_TOO_LARGE = (
    (256, 3, 224, 224, 11, 11, 4, 4, 2, 2, 1, 1, 1, 774400), (256, 3, 224, 224, 7, 7, 2, 2, 3, 3, 1, 1, 1, 3211264),
    (256, 384, 13, 13, 3, 3, 1, 1, 1, 1, 1, 1, 1, 43264), (256, 32, 14, 14, 3, 3, 1, 1, 1, 1, 1, 1, 2, 50180),
)  # fmt: skip


@pytest.mark.parametrize("shape", FAR_TOO_LARGE)
def test_matrices_with_pixels_along_their_rows_are_checked_on_fewer_images(shape):
    columns = shape[1] // shape[12] * shape[4] * shape[5]
    images = shape[0] * shape[1] * shape[2] * shape[3]
    op = MemoryOp(float(images), float(shape[12] * columns * shape[-1]), "im2col_transposed", shape)

    def exists(smaller):
        return bool(stream_kernel(smaller).buffers)  # refuses bytes that do not belong to the shape

    smaller = followable(op, exists)
    assert smaller.bytes <= 1.1 * MOST_BYTES
    assert smaller.shape[:-1] == (smaller.shape[0], *shape[1:-1])
    assert smaller.shape[-1] % 16 == shape[-1] % 16


def test_arguments_of_launches_are_those_of_the_set(runtime):
    op = MemoryOp(4.0 * 5003, 5003.0, "quantise", (5003,))
    seen = []
    runtime.launch = lambda function, grid, block, arguments, shared: seen.append([one.value for one in arguments])
    function = Streams(runtime, 2).build(op, "")
    operands = SimpleNamespace(address=lambda number, place: 1000 * (number + 1) + place)
    function.bind(operands).run([0, 3], 3)
    assert [row[:2] for row in seen] == [[1000, 1001], [4000, 4001], [1000, 1001]]
    assert seen[0][6:] == seen[1][6:]
