"""The kernels that go through tensors element by element, compiled for the CPU: bit for bit what NumPy says."""

from math import inf, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel import quantisers
from perfmodel.lowering import MemoryOp
from perfmodel.measure.streams.catalogue import stream_kernel, variants
from perfmodel.measure.streams.kernel import Constants
from perfmodel.measure.streams.reference import expected, matches, sample_inputs

SIZES = (0, 1, 3, 15, 16, 17, 31, 255, 4099)
AWKWARD = np.array(
    [nan, -nan, inf, -inf, 0, -0.0, 1e-45, -1e-45, 1e-40, 2.0**-126, 3.4028235e38, -3.4028235e38, 65504, 65520, 65519.9,
     6e-8, 2.98e-8, 2.9802322e-8, 6.1e-5, 0.5, 1.5, 2.5, -0.5, -1.5, 1, 2, 64, 127.5, -128.5, 128, 1.00390625,
     1.01171875],
    np.float32,
)  # fmt: skip


def elementwise(n):
    return [
        MemoryOp(4 * n, 0, "absmax", (n,)), MemoryOp(4 * n, n, "quantise", (n,)),
        MemoryOp(4 * n, 2 * n, "quantise", (n,)), MemoryOp(4 * n, n, "quantise_nearest", (n,)),
        MemoryOp(4 * n, 2 * n, "quantise_nearest", (n,)), MemoryOp(4 * n, n, "quantise_delayed", (n,)),
        MemoryOp(4 * n, 2 * n, "quantise_delayed", (n,)), MemoryOp(4 * n, 4 * n, "dequantise", (n,)),
        MemoryOp(2 * n, 4 * n, "dequantise", (n,)), MemoryOp(n, 4 * n, "dequantise", (n,)),
        MemoryOp(12 * n, 8 * n, "update", (n,)), MemoryOp(12 * n, 9 * n, "update_quantise", (n,)),
        MemoryOp(12 * n, 10 * n, "update_quantise", (n,)), MemoryOp(4 * n, 2 * n, "cast", (n,)),
        MemoryOp(4 * n, 4 * n, "check", (n,)),
    ]  # fmt: skip


def agree(launched, kernel, inputs, **how):
    wanted, computed = expected(kernel, inputs), launched(kernel, inputs, **how)
    assert wanted.keys() == computed.keys()
    for name, values in wanted.items():
        assert (values.shape, values.dtype) == (computed[name].shape, computed[name].dtype), name
        wrong = np.flatnonzero(~matches(computed[name], values))
        assert not wrong.size, f"{name}[{wrong[0]}] is {computed[name][wrong[0]]}, not {values[wrong[0]]}"
    return computed


@pytest.mark.parametrize("n", SIZES)
def test_any_size(launched, n):
    for op in elementwise(n):
        for variant in variants(op):
            kernel = stream_kernel(op, variant)
            agree(launched, kernel, sample_inputs(kernel, seed=n))


@pytest.mark.parametrize("scale", [1.0, 0.25, 2.0**126, 2.0**-126, nan])
def test_awkward_values(launched, scale):
    for op in elementwise(len(AWKWARD)):
        for variant in variants(op):
            kernel = stream_kernel(op, variant)
            inputs = sample_inputs(kernel)
            for name, values in inputs.items():
                if name == "scale":
                    inputs[name] = np.array([scale, 1 / scale], np.float32)
                elif values.dtype == np.float32:
                    inputs[name] = np.roll(AWKWARD, len(name))  # each its own way, so that all of them meet
            agree(launched, kernel, inputs)


@pytest.mark.parametrize(
    "values",
    [
        [0.0, -0.0],
        [1e-45],
        [1.1754942e-38],
        [8.8e-39],
        [1.1754944e-38],
        [128.0],
        [-127.5],
        [127.50001],
        [2.0**127],
        [inf],
        [nan, 1],
    ],
)
def test_scale_of_one_tensor(launched, values):
    x = np.resize(np.array(values, np.float32), 21)
    for bits in range(2, 17):
        kernel = stream_kernel(MemoryOp(84, 0, "absmax", (21,)), constants=Constants(bits=bits))
        agree(launched, kernel, {"x": x})


@settings(max_examples=60, deadline=None)
@given(st.floats(width=32), st.integers(2, 16))
def test_scale_of_any_maximum(launched, value, bits):
    kernel = stream_kernel(MemoryOp(4, 0, "absmax", (1,)), constants=Constants(bits=bits))
    agree(launched, kernel, {"x": np.array([value], np.float32)})


@pytest.mark.parametrize("bits", range(2, 17))
def test_any_number_of_bits(launched, bits):
    n, each = 70, 1 if bits <= 8 else 2
    constants = Constants(bits=bits, seed=2**63 + bits, step=2**32 - 1)
    for name in ("quantise", "quantise_nearest", "quantise_delayed"):
        kernel = stream_kernel(MemoryOp(4 * n, each * n, name, (n,)), constants=constants)
        codes = agree(launched, kernel, sample_inputs(kernel) | {"scale": np.array([2.0**bits, 1], np.float32)})[
            "codes"
        ]
        assert (codes.min(), codes.max()) == (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)  # both ends are clamped to


@pytest.mark.parametrize(("sms", "blocks_per_sm"), [(1, 1), (1, 3), (2, 4), (7, 128)])
def test_the_grid_does_not_matter(launched, sms, blocks_per_sm):
    n = 33_333
    for op in (
        MemoryOp(4 * n, n, "quantise_delayed", (n,)), MemoryOp(4 * n, 0, "absmax", (n,)),
        MemoryOp(n, 2 * n), MemoryOp(n, n // 3), MemoryOp(12 * n, 9 * n, "update_quantise", (n,)),
    ):  # fmt: skip
        kernel = stream_kernel(op)
        agree(launched, kernel, sample_inputs(kernel), sms=sms, blocks_per_sm=blocks_per_sm)


def test_a_workspace_serves_many_launches(launched):
    n = 9_000
    for op in (MemoryOp(4 * n, 0, "absmax", (n,)), MemoryOp(n, 0)):
        kernel = stream_kernel(op)
        agree(launched, kernel, sample_inputs(kernel), sms=2, launches=3)


@pytest.mark.parametrize(
    ("read", "written"),
    [
        (0, 0),
        (0, 1),
        (1, 0),
        (5, 5),
        (16, 16),
        (100, 30),
        (30, 100),
        (4096, 4096),
        (50_001, 7),
        (7, 50_001),
        (99.6, 16.4),
    ],
)
def test_streams_move_any_bytes(launched, read, written):
    kernel = stream_kernel(MemoryOp(read, written))
    assert (kernel.buffer("in").size_bytes, kernel.buffer("out").size_bytes) == (round(read), round(written))
    agree(launched, kernel, sample_inputs(kernel))


@given(st.integers(1, 300), st.integers(0, 300), st.data())
@settings(max_examples=30, deadline=None)
def test_every_byte_that_a_stream_reads_shows(launched, read, written, data):
    kernel = stream_kernel(MemoryOp(read, written))
    inputs = sample_inputs(kernel)
    before = launched(kernel, inputs)
    inputs["in"][data.draw(st.integers(0, read - 1))] ^= 1
    after = launched(kernel, inputs)
    assert any((before[name] != after[name]).any() for name in before)


def test_the_flag_stays_up_and_is_not_raised_for_nothing(launched):
    kernel = stream_kernel(MemoryOp(4 * 43, 4 * 43, "check", (43,)))
    fine = np.full(43, 3.4e38, np.float32)
    for lost in (None, *range(0, 43, 3)):
        for value in (nan, -inf):
            for flag in (0, 1):
                gradient = fine.copy()
                if lost is not None:
                    gradient[lost] = value
                inputs = {"gradient": gradient, "flag": np.array([flag], np.uint32)}
                assert agree(launched, kernel, inputs)["flag"][0] == (flag or lost is not None)


def test_a_delayed_pass_is_the_two_passes(launched):
    n = 500
    both = stream_kernel(MemoryOp(4 * n, n, "quantise_delayed", (n,)))
    inputs = sample_inputs(both)
    once = launched(both, inputs)
    codes = launched(stream_kernel(MemoryOp(4 * n, n, "quantise", (n,))), inputs)["codes"]
    largest = launched(stream_kernel(MemoryOp(4 * n, 0, "absmax", (n,))), {"x": inputs["x"]})
    assert (once["codes"] == codes).all()
    assert (once["absmax"], *once["next_scale"]) == (largest["absmax"], *largest["next_scale"])


def test_an_update_that_quantises_is_an_update(launched):
    n = 77
    fused = stream_kernel(MemoryOp(12 * n, 9 * n, "update_quantise", (n,)), "nearest")
    inputs = sample_inputs(fused)
    once = launched(fused, inputs)
    plain = launched(
        stream_kernel(MemoryOp(12 * n, 8 * n, "update", (n,))), {k: inputs[k] for k in inputs if k != "scale"}
    )
    assert (once["weights"] == plain["weights"]).all()
    assert (once["codes"] == quantisers.quantise_nearest(plain["weights"], inputs["scale"][0], 8)).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=30))
def test_casts_of_any_bits(launched, patterns):
    x = np.array(patterns, np.uint32).view(np.float32)
    for variant in ("fp16", "bf16"):
        agree(launched, stream_kernel(MemoryOp(4 * x.size, 2 * x.size, "cast", (x.size,)), variant), {"x": x})
