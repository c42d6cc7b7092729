"""The CUDA backend on a device in host memory: pointers, layouts, guard bands, rotation, poison and checks are real."""

import ctypes

import numpy as np
import pytest

from perfmodel.formats import find_format
from perfmodel.gemm import Gemm, find_precision
from perfmodel.lowering import MemoryOp
from perfmodel.measure.backend import BuildFailed, CaptureFailed, Hang, KernelFault, NotReadable, OutOfDeviceMemory
from perfmodel.measure.bench import Bench
from perfmodel.measure.canary import CANARY
from perfmodel.measure.cuda.backend import CudaBackend
from perfmodel.measure.cuda.catalogue import Catalogue
from perfmodel.measure.cuda.elements import CODES
from perfmodel.measure.cuda.matrices import Matrix, matrices_of
from perfmodel.measure.cuda.operands import A, B, C
from perfmodel.measure.instrument import calibrate
from perfmodel.measure.sampling import Visit
from perfmodel.measure.settings import Settings
from perfmodel.measure.verify import verify
from perfmodel.profiles.kernel import Kernel


def gemm(name="fp32", output=None, layout="tn", batch=1, m=37, n=29, k=45):
    if name != "fp32":
        m, n, k = 40, 32, 64
    return Gemm(m, n, k, batch, find_precision(name, output=output), layout=layout)


def verdict_of(backend, kernel, check="strict"):
    function = backend.build(kernel)
    return verify(kernel, lambda data, seed: backend.product(function, kernel, data, seed), check, 11)


RIGHT = [
    (gemm(), "host_fp32_tn"), (gemm(layout="tt"), "host_fp32_tt"), (gemm(layout="nt"), "host_fp32_nt"),
    (gemm(layout="nn"), "host_fp32_nn"), (gemm(batch=3), "host_fp32_tn"), (gemm("tf32"), "host_tf32_tn"),
    (gemm("fp16"), "host_fp16_tn"), (gemm("fp16", layout="nt", batch=2), "host_fp16_nt split4"),
    (gemm("fp16"), "host_fp16_tn parallel2"), (gemm("bf16"), "host_bf16_tn"), (gemm("fp8_e4m3"), "host_fp8_tn"),
    (gemm("int8"), "host_int8_tn"), (gemm("int8", "int8"), "host_int8_int8_tn"),
    *((gemm(layout=layout, batch=batch), "cublas") for layout in ("tn", "tt", "nt", "nn") for batch in (1, 2)),
    (gemm("tf32"), "cublas"), (gemm("fp16"), "cublas"), (gemm("int8"), "cublas"),
]  # fmt: skip


@pytest.mark.parametrize(("problem", "variant"), RIGHT, ids=lambda value: value if isinstance(value, str) else "")
def test_right_kernels_pass(backend, problem, variant):
    assert verdict_of(backend, Kernel(problem, variant)).reason == ""


WRONG = [
    (gemm(), "host_short", "not bit-exact"), (gemm(), "host_outside", "outside its output"),
    (gemm(), "host_lost_row", "29 elements were not written"),
    (gemm("int8", "int8"), "host_stale", "32 elements were not written"),
]  # fmt: skip


@pytest.mark.parametrize(("problem", "variant", "said"), WRONG, ids=[row[1] for row in WRONG])
def test_wrong_kernels_fail(backend, problem, variant, said):
    assert said in verdict_of(backend, Kernel(problem, variant)).reason


REFUSED = [
    (gemm(), "", "no variant chosen"), (gemm(), "nonesuch", "is not in the manifest"),
    (gemm("fp16"), "host_fp32_tn", "has the operand fp32, not fp16"),
    (gemm(layout="nt"), "host_fp32_tn", "has the layout tn, not nt"),
    (Gemm(40, 32, 60, precision=find_precision("fp16")), "host_fp16_tn", "misaligned operand"),
    (Gemm(4, 4, 4, a_distinct=9), "host_fp32_tn", "no implicit"), (gemm("bf16"), "cublas", "NOT_SUPPORTED"),
    (gemm("fp8_e4m3"), "cublas", "does not compute fp8_e4m3"), (gemm("int8", layout="nt"), "cublas", "tn alone"),
    (MemoryOp(8.0, 8.0, "nonesuch", (3,)), "", "nonesuch"),
]  # fmt: skip


@pytest.mark.parametrize(("problem", "variant", "said"), REFUSED, ids=[row[2] for row in REFUSED])
def test_what_cannot_be_built_says_why(backend, problem, variant, said):
    with pytest.raises(BuildFailed, match=said):
        backend.build(Kernel(problem, variant))


def test_a_missing_library_does_not_build(runtime, manifest):
    kernels = {"host_fp32_tn": {**manifest["kernels"]["host_fp32_tn"], "path": "/nonexistent.so"}}
    backend = CudaBackend(runtime, Catalogue({"kernels": kernels}))
    with pytest.raises(BuildFailed, match="nonexistent"):
        backend.build(Kernel(gemm(), "host_fp32_tn"))


STREAMS = [
    MemoryOp(4.0 * 5003, 5003.0, "quantise", (5003,)), MemoryOp(1000.0, 500.0),
    MemoryOp(4.0 * 5003, 0.0, "absmax", (5003,)), MemoryOp(12.0 * 777, 8.0 * 777, "update", (777,)),
    MemoryOp(4.0 * 35 * 70, 2.0 * 35 * 70, "quantise_transposed", (35, 70)),
]  # fmt: skip


@pytest.mark.parametrize("op", STREAMS, ids=lambda op: op.op)
def test_memory_bound_kernels_agree_with_numpy(backend, host, op):
    if not host.STREAMS_SHIM.exists():
        pytest.skip("the shim for their source is not here")
    kernel = Kernel(op)
    product = backend.product(backend.build(kernel), kernel, "normal", 3)
    assert (product.unwritten, product.guards_intact) == (0, True)


def test_the_canary_needs_no_manifest_and_is_right(runtime):
    backend = CudaBackend(runtime, Catalogue({}))
    assert backend.build(CANARY).resources["registers"] == 1
    small = Gemm(70, 66, 33)
    function = backend._builder._canary(small)
    kernel = Kernel(small)
    assert verify(kernel, lambda *given: backend.product(function, kernel, *given), "strict", 0).reason == ""


def floats(operands, number, buffer, count):
    return np.array((ctypes.c_float * count).from_address(operands.address(number, buffer)))


def test_launches_rotate_through_the_sets_from_the_start(backend):
    problem = Gemm(4, 4, 8)
    kernel = Kernel(problem, "host_fp32_tn")
    function, operands = backend.build(kernel), backend.allocate(kernel, 5, "normal", 1)
    for number in range(5):
        ctypes.memset(operands.address(number, C), 0, 64)
    backend.launch(backend.capture(function, operands, 3, 4))  # sets 4, 0, 1; the warming launch takes 4
    written = [bool(floats(operands, number, C, 16).any()) for number in range(5)]
    assert written == [True, True, False, False, True]
    a, b = floats(operands, 1, A, 32).reshape(4, 8), floats(operands, 1, B, 32).reshape(4, 8)
    np.testing.assert_allclose(floats(operands, 1, C, 16).reshape(4, 4), a @ b.T, rtol=1e-5, atol=1e-6)
    assert not np.array_equal(a, floats(operands, 0, A, 32).reshape(4, 8))  # each set has its own data


def test_a_batch_may_be_longer_than_the_rotation(backend, runtime):
    kernel = Kernel(Gemm(4, 4, 8), "host_fp32_tn")
    operands = backend.allocate(kernel, 2, "zeros", 1)
    batch = backend.capture(backend.build(kernel), operands, 7, 1)
    runtime.launched.clear()
    backend.launch(batch)
    assert runtime.launched == ["library"] * 7


def test_release_gives_graphs_handles_and_memory_back(backend, runtime):
    kernel = Kernel(gemm(batch=2), "host_fp32_tn split2")
    free = backend.free_bytes()
    operands = backend.allocate(kernel, 3, "normal", 1)
    batch = backend.capture(backend.build(kernel), operands, 3, 0)
    assert runtime.graphs
    assert backend.free_bytes() < free
    backend.release(operands)
    backend.release(operands)
    assert backend.free_bytes() == free
    with pytest.raises(KernelFault, match="gone"):
        backend.launch(batch)
    backend.close()
    assert not runtime.live


def test_a_device_without_graphs_says_so_and_goes_on(backend, runtime):
    kernel = Kernel(gemm(), "host_fp32_tn")
    function, operands = backend.build(kernel), backend.allocate(kernel, 1, "normal", 1)
    runtime.captures = False
    with pytest.raises(CaptureFailed):
        backend.capture(function, operands, 3, 0)
    backend.launch_each(function, operands, 2, 0)
    assert runtime.launched[-2:] == ["library", "library"]


def test_a_fault_while_capturing_ends_the_capture(backend, runtime, monkeypatch):
    kernel = Kernel(gemm(), "cublas")
    function, operands = backend.build(kernel), backend.allocate(kernel, 1, "normal", 1)
    backend.launch_each(function, operands, 1, 0)

    def refuse(call):
        raise KernelFault("no")

    monkeypatch.setattr(runtime, "gemm", refuse)
    with pytest.raises(CaptureFailed, match="no"):
        backend.capture(function, operands, 3, 0)
    runtime.launched.clear()
    backend.copy(64)
    assert runtime.launched == ["copy"]  # and was not recorded


def test_a_hang_is_told_after_its_limit(backend, runtime):
    runtime.hangs = True
    start = backend.now_s()
    with pytest.raises(Hang, match="within 2 s"):
        backend.synchronise(2.0)
    assert backend.now_s() - start == pytest.approx(2.0, rel=0.01)


def test_faults_of_kernels_show_when_waiting(backend, runtime):
    runtime.fault = KernelFault("cudaErrorIllegalAddress")
    with pytest.raises(KernelFault):
        backend.synchronise(1.0)


def test_memory_that_is_not_there_is_told(backend):
    with pytest.raises(OutOfDeviceMemory) as caught:
        backend.allocate(Kernel(Gemm(2**15, 2**15, 2**15)), 1, "normal", 1)
    assert caught.value.needed_bytes > caught.value.free_bytes > 2**29


def test_the_instrument_is_calibrated(backend):
    row = calibrate(backend, 150e-6)
    assert row["event_tick_s"] == pytest.approx(32e-9)
    assert row["spin_s"] == pytest.approx(152e-6, abs=1e-6)  # and the launch of the virtual device
    assert row["graph_gap_s"] == pytest.approx(1e-6, rel=0.05)
    assert row["copy_bytes_per_s"] == pytest.approx(500e9, rel=0.01)


def test_stamps_tell_the_clock(backend):
    first = backend.stamp()
    backend.spin(300e-6)
    last = backend.stamp()
    backend.synchronise(1.0)
    assert backend.clock_hz(first, last) == pytest.approx(1.5e9, rel=1e-3)


def test_a_visit_and_a_preparation_go_through(backend):
    bench = Bench(lambda: backend, Settings())
    instrument = {"event_tick_s": 32e-9, "event_offset_s": 0.0, "graph_offset_s": 0.0}
    kernel = Kernel(Gemm(8, 8, 16), "host_fp32_tn")
    record = bench.prepare(kernel, instrument, 1)
    assert (record["status"], record["mode"], record["resources"]) == ("ready", "graph", {"registers": 7})
    parts = {name: record[name] for name in ("launches", "sets", "mode", "expected_s")}
    row = bench.visit(Visit(kernel, spin_s=150e-6, seed=9, recheck=True, **parts))
    assert row["verification"]["ok"]
    assert all(seconds == pytest.approx(record["launches"] * 50e-6, rel=0.01) for seconds in row["seconds"])
    assert all(clock == pytest.approx(1.5e9, rel=1e-3) for clock in row["clock_hz"])


def test_readings_are_absent_without_a_reader(backend):
    with pytest.raises(NotReadable):
        backend.reading("power_w")


def test_facts(backend):
    facts = backend.facts()
    assert (facts.kind, facts.compute_capability, facts.compiler, facts.kernels) == ("cuda", "7.5", "g++", "host")
    assert backend.state() == {}
    assert not backend.restore({"a": 1})


def stored(backend, form, data, count=20000):
    """What A is filled with, as FP64."""
    problem = Gemm(1, 1, count, precision=find_precision(form))
    operands = backend.allocate(Kernel(problem), 1, data, 5)
    a = matrices_of(problem)[0]
    return backend._checks.elements(operands.address(0, A), a)[0]


@pytest.mark.parametrize("form", ["fp64", "fp32", "bf16", "fp16", "fp8_e4m3", "fp8_e5m2", "int8", "int4"])
def test_operands_are_drawn_as_asked(backend, form):
    scale = {"int8": 127 / 4, "int4": 7 / 4}.get(form, 1.0)
    normal = stored(backend, form, "normal") / scale
    assert abs(normal.mean()) < 0.05
    assert normal.std() == pytest.approx(1.0, abs=0.06)
    realistic = stored(backend, form, "realistic")
    assert realistic.min() == 0
    assert 0.45 < (realistic == 0).mean() < 0.7  # half of them, and what rounds to zero
    whole = stored(backend, form, "integers")
    reach = {"int8": 127, "int4": 7}.get(form, 3)
    assert set(np.unique(whole)) == set(range(-reach, reach + 1))
    assert not stored(backend, form, "zeros").any()
    assert abs(stored(backend, form, "uniform") / (4 * scale if scale != 1 else 1)).max() <= 1.001


def test_rounding_to_small_formats_is_to_nearest_even(backend, runtime):
    """All numbers of FP16 and FP8 are read back as they are, and FP32 rounds to FP16 as NumPy does."""
    values = np.arange(2**16, dtype=np.uint16)
    block, _ = backend._pool.take(values.nbytes)
    runtime.upload(block.pointer, values.tobytes())
    read = backend._checks.elements(block.pointer, Matrix(1, values.size, True, 1, find_format("fp16")))[0]
    np.testing.assert_array_equal(read, values.view(np.float16).astype(np.float64))
    assert CODES["tf32"] == CODES["fp32"]
