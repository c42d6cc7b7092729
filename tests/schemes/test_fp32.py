"""FP32, the baseline: its GEMMs, the bytes around them, the update, and nothing else; by hand on two layers."""

import pytest

from perfmodel.errors import Unsupported
from perfmodel.gemm import Gemm
from perfmodel.lowering import MemoryOp
from perfmodel.networks import read_network
from perfmodel.schemes import LEVELS, Overhead, bit_operations, find_scheme, training_step
from perfmodel.schemes.formats import StepFormats

FP32 = find_scheme("fp32")

# conv: 3·2·3·3 + 3 = 57 parameters, 3x4x4 out; fc: 48·5 + 5 = 245 parameters.
TINY = """
title = "Two layers"
source = "made up"
input = [2, 4, 4]
layers = [
  { op = "conv", name = "conv", out = 3, kernel = 3, pad = 1 },
  { op = "linear", name = "fc", out = 5 },
]
"""


def tiny_step(tmp_path, level="current"):
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return training_step(
        read_network(path), 2, FP32, StepFormats.everywhere("fp32"), "implicit", Overhead(level)
    )  # fmt: skip


def test_the_whole_step(tmp_path):
    rows = []
    for work in tiny_step(tmp_path):
        kernel = work.kernel
        if isinstance(kernel, Gemm):
            assert kernel.precision.name == "fp32"
            numbers = (kernel.m, kernel.n, kernel.k)
        else:
            numbers = (kernel.bytes_read, kernel.bytes_written)
        rows.append((work.layer, work.pass_, work.kind, numbers, work.count))
    assert rows == [
        ("conv", "fprop", "gemm", (32, 3, 18), 1),  # 2·4·4 pixels, 3 filters, 2·3·3; k is not padded
        ("conv", "wgrad", "gemm", (3, 18, 32), 1),  # the images need no gradient: no dgrad
        ("conv", "wgrad", "bias", (384, 0), 1),  # 2·48 gradients of 4 B
        ("fc", "fprop", "gemm", (2, 5, 48), 1),
        ("fc", "dgrad", "gemm", (2, 48, 5), 1),
        ("fc", "wgrad", "gemm", (5, 48, 2), 1),
        ("fc", "wgrad", "bias", (40, 0), 1),
        ("conv", "update", "update", (684, 456), 1),  # 57·12 and 57·8 B
        ("fc", "update", "update", (2940, 1960), 1),  # 245·12 and 245·8 B
    ]


def test_it_converts_nothing_whatever_quantising_costs(tmp_path):
    steps = [tiny_step(tmp_path, level) for level in LEVELS]
    assert steps == steps[:1] * 7
    assert not any(work.proxy or work.kind in ("cast", "quantise") for work in steps[0])


def test_tensors_are_four_bytes():
    assert FP32.activation_bytes == 4.0


@pytest.mark.parametrize("name", ["fp16", "tf32", "dfx8", "int8"])
def test_other_formats_are_refused(tmp_path, name):
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    with pytest.raises(Unsupported, match=rf"^E1104 scheme fp32: does not train in {name}\. It uses fp32\.$"):
        training_step(read_network(path), 2, FP32, StepFormats.everywhere(name), "implicit", Overhead())


def test_the_update_is_sgd_with_momentum(tmp_path):
    # Read weight, gradient and momentum, write weight and momentum: 5 accesses of 4 B for 302 parameters.
    works = [work for work in tiny_step(tmp_path) if work.kind == "update"]
    assert all(isinstance(work.kernel, MemoryOp) for work in works)
    assert sum(work.kernel.bytes for work in works) == 6040


def test_bit_operations(tmp_path):
    # conv: 3·4·4·2·9 = 864 MACs an image in two passes (no data gradient); fc: 48·5 = 240 in three; 32·32 bits each.
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    assert bit_operations(FP32, read_network(path), 2, StepFormats.everywhere("fp32")) == 2 * (2 * 864 + 3 * 240) * 1024
