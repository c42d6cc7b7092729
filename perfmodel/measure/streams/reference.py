"""What each memory-bound kernel must leave in memory, bit for bit, by the definitions in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from perfmodel import quantisers
from perfmodel.measure.streams.kernel import Buffer, StreamKernel
from perfmodel.measure.streams.windows import Window, col2im, im2col, im2col_transposed
from perfmodel.units import ceil_div

Arrays = dict[str, np.ndarray]
Given = Mapping[str, np.ndarray]


def expected(kernel: StreamKernel, inputs: Given) -> Arrays:
    """Every `out` and `inout` buffer after one launch on these inputs, one-dimensional, of the buffers' types."""
    values = RULES[kernel.op.op](kernel, inputs)
    return {
        buffer.name: np.ascontiguousarray(values[buffer.name]).reshape(-1).view(buffer.dtype)
        for buffer in kernel.buffers
        if buffer.role in ("out", "inout")
    }


def matches(computed: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where two arrays of a type are the same bits. Any NaN equals any other: GPUs and CPUs fill them differently."""
    raw = np.dtype(f"u{wanted.dtype.itemsize}")
    same = computed.view(raw) == wanted.view(raw)
    return same | (np.isnan(computed) & np.isnan(wanted)) if wanted.dtype.kind == "f" else same


def sample_inputs(kernel: StreamKernel, seed: int = 1) -> Arrays:
    """Random data for every buffer that a launch reads; scales fit data of about standard normal size."""
    rng = np.random.default_rng(seed)
    return {b.name: _sample(b, kernel, rng) for b in kernel.buffers if b.role in ("in", "inout", "scale")}


def _sample(buffer: Buffer, kernel: StreamKernel, rng: np.random.Generator) -> np.ndarray:
    if buffer.role == "scale":
        return quantisers.scale_pair(4.0, _bits(kernel))  # the ends of the bell clip, as with a delayed scale
    if buffer.name == "flag":
        return np.zeros(1, buffer.dtype)
    if buffer.dtype.kind == "f":
        return rng.standard_normal(buffer.elements, np.float32).astype(buffer.dtype)
    limits = np.iinfo(buffer.dtype)
    return rng.integers(limits.min, limits.max, buffer.elements, buffer.dtype, endpoint=True)


def _bits(kernel: StreamKernel) -> int:
    stored = next((8 * buffer.dtype.itemsize for buffer in kernel.buffers if buffer.name == "codes"), 8)
    return kernel.constants.bits or min(stored, quantisers.LARGEST_BITS)


def _recorded(kernel: StreamKernel, values: np.ndarray) -> Arrays:
    largest = quantisers.absmax(values)
    return {"absmax": largest, "next_scale": quantisers.scale_pair(largest, _bits(kernel))}


def _codes(kernel: StreamKernel, values: np.ndarray, scale: float) -> np.ndarray:
    bits, constants = _bits(kernel), kernel.constants
    if kernel.variant == "nearest":
        return quantisers.quantise_nearest(values, scale, bits)
    uniform = quantisers.dither(values.size, constants.seed, constants.step, kernel.variant)
    return quantisers.quantise_stochastic(values, scale, bits, uniform)


def _stream(kernel: StreamKernel, inputs: Given) -> Arrays:
    given = inputs["in"]
    written = kernel.buffer("out").size_bytes
    index = np.arange(ceil_div(written, 16), dtype=np.uint64)
    low, high = index.astype(np.uint32), (index >> np.uint64(32)).astype(np.uint32)
    out = np.stack([low, high, np.full(low.shape, 0x9E3779B9, np.uint32), ~low], axis=1).view(np.uint8).reshape(-1)
    copied = min(given.size // 16, written // 16) * 16
    out[:copied] ^= given[:copied]
    rest = given[copied:]
    rest = np.concatenate([rest, np.zeros(-rest.size % 16, np.uint8)]).view(np.uint32).reshape(-1, 4)
    return {"out": out[:written], "checksum": np.bitwise_xor.reduce(rest, axis=0)}


def _absmax(kernel: StreamKernel, inputs: Given) -> Arrays:
    return _recorded(kernel, inputs["x"])


def _quantise(kernel: StreamKernel, inputs: Given) -> Arrays:
    x = inputs["x"]
    return _recorded(kernel, x) | {"codes": _codes(kernel, x, inputs["scale"][0])}


def _quantise_transposed(kernel: StreamKernel, inputs: Given) -> Arrays:
    arrays = _quantise(kernel, inputs)
    return arrays | {"codes_transposed": arrays["codes"].reshape(kernel.op.shape).T}


def _transpose(kernel: StreamKernel, inputs: Given) -> Arrays:
    return {"out": inputs["in"].reshape(kernel.op.shape).T}


def _im2col(kernel: StreamKernel, inputs: Given) -> Arrays:
    w = Window(*kernel.op.shape)
    images = inputs["images"].reshape(w.images, w.height, w.width, w.channels)
    return {"matrix": (im2col_transposed if kernel.op.op == "im2col_transposed" else im2col)(images, w)}


def _col2im(kernel: StreamKernel, inputs: Given) -> Arrays:
    w, matrix = Window(*kernel.op.shape), inputs["matrix"]
    images = col2im(matrix.reshape(w.groups, w.rows, w.stored), w)
    return {"images": images if matrix.dtype == np.float32 else quantisers.fp16_of(images)}


def _dequantise(_: StreamKernel, inputs: Given) -> Arrays:
    return {"x": quantisers.dequantise(inputs["codes"], inputs["scale"][1])}


def _update(kernel: StreamKernel, inputs: Given) -> Arrays:
    c = kernel.constants
    state = (inputs["weights"], inputs["momentum"], inputs["gradient"])
    weights, momentum = quantisers.sgd(*state, c.learning_rate, c.momentum, c.weight_decay)
    return {"weights": weights, "momentum": momentum}


def _update_quantise(kernel: StreamKernel, inputs: Given) -> Arrays:
    arrays = _update(kernel, inputs)
    codes = _codes(kernel, arrays["weights"], inputs["scale"][0])
    return arrays | _recorded(kernel, arrays["weights"]) | {"codes": codes}


def _cast(kernel: StreamKernel, inputs: Given) -> Arrays:
    return {"out": (quantisers.fp16_of if kernel.variant == "fp16" else quantisers.bf16_of)(inputs["x"])}


def _check(kernel: StreamKernel, inputs: Given) -> Arrays:
    gradient = inputs["gradient"]
    lost = np.uint32(not np.isfinite(gradient).all())
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        unscaled = gradient * np.float32(1 / kernel.constants.loss_scale)
    return {"gradient": unscaled, "flag": inputs["flag"] | lost}


RULES: dict[str, Callable[[StreamKernel, Given], Arrays]] = {
    "stream": _stream, "absmax": _absmax, "quantise": _quantise, "quantise_nearest": _quantise,
    "quantise_delayed": _quantise, "quantise_transposed": _quantise_transposed, "transpose": _transpose,
    "im2col": _im2col, "im2col_transposed": _im2col, "col2im": _col2im, "dequantise": _dequantise, "update": _update,
    "update_quantise": _update_quantise, "cast": _cast, "check": _check,
}  # fmt: skip
