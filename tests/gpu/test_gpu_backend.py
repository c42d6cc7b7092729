"""The CUDA backend on a real GPU: what no other test can see. `pytest -m gpu tests/gpu`."""

import math
from functools import partial

import pytest

from perfmodel.formats import find_format
from perfmodel.gemm import Gemm, Precision, find_precision
from perfmodel.lowering import MemoryOp
from perfmodel.measure.backend import READINGS, BuildFailed, Hang, NotReadable
from perfmodel.measure.bench import Bench
from perfmodel.measure.instrument import calibrate
from perfmodel.measure.settings import Settings
from perfmodel.measure.verify import verify
from perfmodel.measure.worker import WorkerBench
from perfmodel.profiles.kernel import Kernel

pytestmark = pytest.mark.gpu
PRECISIONS = ("fp32", "tf32", "bf16", "fp16", "fp16+fp16", "int8", "fp8_e4m3")


def checked(backend, kernel, check="strict"):
    """The verdict on a kernel; skips what this chip or library does not have."""
    try:
        function = backend.build(kernel)
    except BuildFailed as error:
        pytest.skip(error.args[0])
    return verify(kernel, lambda data, seed: backend.product(function, kernel, data, seed), check, 3)


def between(backend, enqueue, before_s=150e-6):
    """Seconds between two events around what is enqueued, the host hidden behind a spin."""
    backend.spin(before_s)
    first = backend.event()
    enqueue()
    last = backend.event()
    backend.synchronise(10.0)
    return backend.elapsed_s(first, last)


def test_facts(backend, device):
    facts = backend.facts()
    assert (facts.kind, facts.uuid) == ("cuda", device)
    assert facts.sms >= 1
    assert facts.l2_bytes > 2**18
    assert facts.memory_bytes > 2**30
    assert "CUDA" in facts.runtime
    assert "CuPy" in facts.runtime
    assert facts.driver


def test_readings_are_values_or_absent(backend):
    found = {}
    for name in READINGS:
        try:
            found[name] = backend.reading(name)
        except NotReadable:
            continue
    assert all(isinstance(value, (int, float, bool, str)) for value in found.values())
    if "temperature_c" in found:
        assert 0 < found["temperature_c"] < 120


def test_a_spin_lasts_as_long_as_asked(backend):
    taken = min(between(backend, lambda: backend.spin(300e-6)) for _ in range(5))
    assert taken == pytest.approx(300e-6, abs=15e-6)


def test_stamps_tell_a_plausible_clock(backend):
    first = backend.stamp()
    backend.spin(2e-3)
    last = backend.stamp()
    backend.synchronise(10.0)
    assert 1e8 < backend.clock_hz(first, last) < 4e9


def test_the_instrument_is_plausible(backend):
    row = calibrate(backend, 150e-6)
    assert 1e-9 < row["event_tick_s"] < 3e-6
    assert 0 <= row["event_offset_s"] < 20e-6
    assert row["graph_offset_s"] is not None
    assert 0 <= row["graph_gap_s"] < 10e-6
    assert row["copy_bytes_per_s"] > 5e10


def test_graph_and_stream_agree_on_a_long_kernel(backend):
    kernel = Kernel(Gemm(1024, 1024, 1024))
    function, operands = backend.build(kernel), backend.allocate(kernel, 2, "normal", 1)
    batch = backend.capture(function, operands, 4, 0)
    for _ in range(3):
        graph_s = between(backend, lambda: backend.launch(batch))
        stream_s = between(backend, lambda: backend.launch_each(function, operands, 4, 0))
    backend.release(operands)
    assert graph_s == pytest.approx(stream_s, rel=0.2)


@pytest.mark.parametrize("name", PRECISIONS)
@pytest.mark.parametrize("suffix", ["", " split4", " parallel4"])
def test_a_kernel_of_each_precision_is_right(backend, manifest, name, suffix):
    precision = find_precision(name)
    parts = (precision.operand.name, precision.accumulator.name, precision.output.name)
    names = [
        key for key, row in manifest["kernels"].items()
        if (row["operand"], row["accumulator"], row["output"]) == parts
    ]  # fmt: skip
    if not names:
        pytest.skip(manifest["missing"] or "the catalogue has none for this chip")
    kernel = Kernel(Gemm(520, 264, 1040, precision=precision), names[0] + suffix)
    assert checked(backend, kernel).reason == ""


@pytest.mark.parametrize("name", PRECISIONS)
@pytest.mark.parametrize("layout", ["tn", "tt", "nt", "nn"])
@pytest.mark.parametrize("batch", [1, 3])
def test_cublas_is_right(backend, name, layout, batch):
    kernel = Kernel(Gemm(520, 264, 1040, batch, find_precision(name), layout=layout), "cublas")
    assert checked(backend, kernel).reason == ""


def test_cublas_can_be_captured(backend):
    kernel = Kernel(Gemm(512, 512, 512, precision=find_precision("fp16")), "cublas")
    function, operands = backend.build(kernel), backend.allocate(kernel, 3, "normal", 1)
    backend.launch(backend.capture(function, operands, 5, 1))
    backend.synchronise(10.0)
    backend.release(operands)


def test_fp32_of_cublas_is_no_tf32(backend):
    precision = Precision(find_format("tf32"), find_format("fp32"), find_format("fp32"))
    function = backend.build(Kernel(Gemm(512, 512, 512), "cublas"))
    kernel = Kernel(Gemm(512, 512, 512, precision=precision), "cublas")
    verdict = verify(kernel, lambda *given: backend.product(function, kernel, *given), "sample", 1)
    assert "not computed in tf32" in verdict.reason


STREAMS = [
    MemoryOp(4.0 * 100003, 100003.0, "quantise", (100003,)), MemoryOp(4096.0, 4096.0),
    MemoryOp(4.0 * 100003, 0.0, "absmax", (100003,)), MemoryOp(12.0 * 5003, 8.0 * 5003, "update", (5003,)),
    MemoryOp(4.0 * 333 * 70, 2.0 * 333 * 70, "quantise_transposed", (333, 70)),
    MemoryOp(5003.0, 4.0 * 5003, "dequantise", (5003,)), MemoryOp(4.0 * 5003, 2.0 * 5003, "cast", (5003,)),
    MemoryOp(4.0 * 5003, 4.0 * 5003, "check", (5003,)),
]  # fmt: skip


@pytest.mark.parametrize("op", STREAMS, ids=lambda op: op.op)
def test_memory_bound_kernels_agree_with_numpy(backend, op):
    assert checked(backend, Kernel(op), "sample").reason == ""


def test_a_preparation_and_a_visit_go_through(backend):
    bench = Bench(lambda: backend, Settings(samples=3))
    instrument = calibrate(backend, 150e-6)
    record = bench.prepare(Kernel(Gemm(1024, 1024, 1024), "cublas"), instrument, 1)
    assert record["status"] == "ready", record
    canary = bench.canary()
    assert canary["cycles"] > 0
    assert canary["copy_s"] > 0


def test_a_hang_is_caught_and_passes(backend):
    backend.spin(0.5)
    with pytest.raises(Hang):
        backend.synchronise(0.02)
    backend.synchronise(10.0)
    first = backend.event()
    backend.synchronise(1.0)
    assert math.isfinite(backend.elapsed_s(first, first))


def test_the_worker_makes_its_own_backend(device):
    from perfmodel.measure.cuda import make_backend

    bench = WorkerBench(partial(make_backend, 0, {"kernels": {}}), Settings())
    try:
        assert bench.facts().uuid == device
        assert bench.canary()["cycles"] > 0
    finally:
        bench.close()
