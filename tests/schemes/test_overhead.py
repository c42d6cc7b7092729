"""What quantising costs at each level: tensors of other widths, in one pass, more than once, and what else converts."""

import pytest

from perfmodel.lowering import Delay, MemoryOp
from perfmodel.schemes import LEVELS, Overhead, find_overhead, find_scheme, first_step, training_step
from perfmodel.schemes.conversions import Conversion


def kernels(level, **keywords):
    return [(work.kernel, work.count) for work in Overhead(level).quantise("a", "wgrad", 7, **keywords)]


# Seven elements of 2 B: kernels with a name read FP32, so what reads FP16 is a stream.
HALF = {
    "ideal": [],
    "epilogue": [(MemoryOp(0, 7, "fused"), 1)],
    "delayed": [(MemoryOp(14, 7), 1)],
    "current": [(MemoryOp(14, 0), 1), (MemoryOp(14, 7), 1)],
    "naive": [(MemoryOp(14, (6 * 14 + 7) / 8), 8)],
    "unfused": [(MemoryOp(9, 9), 14)],
    "measured": [(MemoryOp(14, 0), 1), (MemoryOp(14, 7), 1)],
}
FULL = {
    "epilogue": [(MemoryOp(0, 7, "fused"), 1)],
    "delayed": [(MemoryOp(28, 7, "quantise_delayed", (7,)), 1)],
    "current": [(MemoryOp(28, 0, "absmax", (7,)), 1), (MemoryOp(28, 7, "quantise", (7,)), 1)],
    "naive": [(MemoryOp(28, (6 * 28 + 7) / 8), 8)],
    "unfused": [(MemoryOp(18, 18), 14)],
    "measured": [(MemoryOp(28, 0, "absmax", (7,)), 1), (MemoryOp(28, 7, "quantise", (7,)), 1)],
}


def close(found, expected):
    assert [(one.op, one.shape, count) for one, count in found] == [(one.op, one.shape, n) for one, n in expected]
    moved = [(one.bytes_read, one.bytes_written) for one, _ in found]
    assert moved == [pytest.approx((one.bytes_read, one.bytes_written), rel=1e-12) for one, _ in expected]


@pytest.mark.parametrize("level", LEVELS)
def test_tensors_of_two_bytes(level):
    close(kernels(level, width=2.0), HALF[level])


@pytest.mark.parametrize("level", FULL)
def test_tensors_of_four_bytes(level):
    close(kernels(level), FULL[level])


@pytest.mark.parametrize("level", FULL)
def test_one_pass_leaves_the_maximum_out_where_it_is_a_kernel_of_its_own(level):
    expected = FULL["delayed"] if level in ("current", "measured") else FULL[level]
    close(kernels(level, one_pass=True), expected)


@pytest.mark.parametrize("level", FULL)
def test_times_are_launches(level):
    close(kernels(level, times=2), [(kernel, 2 * count) for kernel, count in FULL[level]])
    close(kernels(level, times=0.001), [(kernel, pytest.approx(0.001 * count)) for kernel, count in FULL[level]])


@pytest.mark.parametrize("text", [*LEVELS, "36", "0"])
def test_what_else_counts(text):
    overhead = find_overhead(text)
    assert overhead.converts == (text != "ideal")  # casts and checks
    assert overhead.transposes == (text not in ("ideal", "36", "0"))


@pytest.mark.parametrize("name", ["muppet", "cpt", "hbfp", "fp8", "dorefa", "fxpnet", "fp8-chunked"])
def test_a_given_time_stands_for_quantising_alone(step, network, name):
    scheme = find_scheme(name)
    kinds = ("cast", "update")
    usual = step(scheme)
    given = training_step(network(), 2, scheme, first_step(scheme), "implicit", Overhead("given", 0.036))
    assert [work for work in given if work.kind in kinds] == [work for work in usual if work.kind in kinds]
    assert [work.kernel for work in given if work.kind == "quantise"] == [Delay(0.036, "given")]


@pytest.mark.parametrize(
    ("kind", "bytes_each", "expected"),
    [  # the kernels of a profile: FP32 to FP16, and FP32 checked in place
        ("cast", (4.0, 2.0), ("cast", "cast", (7,))),
        ("cast", (2.0, 1.0), ("stream", "cast", ())),
        ("check", (4.0, 4.0), ("check", "cast", (7,))),
        ("check", (2.0, 2.0), ("stream", "cast", ())),
        ("cast", (4.0, 4.0), ("stream", "cast", ())),
        ("scale", (4.0, 2.0), ("stream", "scale", ())),
    ],
)
def test_conversions_with_bytes_of_their_own(kind, bytes_each, expected):
    work = Conversion(kind, ("weights",), bytes_each=bytes_each, times=0.5).work("a", "update", 7)
    assert (work.kernel.op, work.kind, work.kernel.shape) == expected
    assert (work.kernel.bytes_read, work.kernel.bytes_written) == (7 * bytes_each[0], 7 * bytes_each[1])
    assert (work.layer, work.pass_, work.count) == ("a", "update", 0.5)


# For two images of three layers: first 2x4x4 -> 3x4x4 without bias, middle -> 2x4x4 without bias, last -> 5.
@pytest.mark.parametrize(
    ("of", "expected"),
    [
        ("images", [("input", "fprop", 64)]),
        ("inputs", [("first", "fprop", 64), ("middle", "fprop", 96), ("last", "fprop", 64)]),
        ("outputs", [("first", "fprop", 96), ("middle", "fprop", 64), ("last", "fprop", 10)]),
        ("weights", [("first", "fprop", 54), ("middle", "fprop", 6), ("last", "fprop", 165)]),
        ("parameters", [("first", "update", 54), ("middle", "update", 6), ("last", "update", 165)]),
        ("input_gradients", [("middle", "dgrad", 96), ("last", "dgrad", 64)]),  # the images need none
        ("output_gradients", [("first", "dgrad", 96), ("middle", "dgrad", 64), ("last", "dgrad", 10)]),
        ("weight_gradients", [("first", "wgrad", 54), ("middle", "wgrad", 6), ("last", "wgrad", 165)]),
    ],
)
def test_tensors(network, of, expected):
    rows = [(layer, pass_, n) for layer, pass_, _, n in Conversion("quantise", (of,)).tensors(network(), 2)]
    assert rows == expected
    linear = Conversion("quantise", (of,), ops=("linear",), pass_="wgrad").tensors(network(), 2)
    kept = [row for row in expected if row[0] == "last"]
    assert [(layer, n) for layer, _, _, n in linear if layer != "input"] == [(layer, n) for layer, _, n in kept]
