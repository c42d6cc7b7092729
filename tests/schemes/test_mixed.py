"""Mixed precision: FP16 GEMMs, tensors of 2 B, casts of weights and gradients; by hand on two layers."""

from dataclasses import replace

import pytest

from perfmodel.errors import Unsupported
from perfmodel.gemm import Gemm
from perfmodel.networks import read_network
from perfmodel.schemes import Overhead, find_overhead, find_scheme, training_step
from perfmodel.schemes.formats import StepFormats

MIXED = find_scheme("mixed")

# conv: 3·2·3·3 + 3 = 57 parameters, 3x4x4 out; fc: 48·5 + 5 = 245 parameters.
TINY = """
title = "Two layers"
source = "made up"
input = [2, 4, 4]
layers = [
  { op = "conv", name = "conv", out = 3, kernel = 3, pad = 1 },
  { op = "relu" },
  { op = "linear", name = "fc", out = 5 },
]
"""


def tiny_step(tmp_path, scheme=None, level="current"):
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    formats = StepFormats.everywhere("fp16")
    return training_step(read_network(path), 2, scheme or MIXED, formats, "implicit", Overhead(level))


def test_gemms_are_fp16_with_lines_padded_to_eight(tmp_path):
    gemms = [work for work in tiny_step(tmp_path) if isinstance(work.kernel, Gemm)]
    assert {work.kernel.precision.name for work in gemms} == {"fp16"}
    assert {work.kernel.precision.accumulator.name for work in gemms} == {"fp32"}
    # conv: 32 pixels, 3 filters, a column of 18 (24); wgrad lies along filters and column, its k = 32 is as it is.
    # fc: 2 images, 48 in, 5 out (8); likewise its wgrad's k = 2.
    assert [(w.layer, w.pass_, w.kernel.m, w.kernel.n, w.kernel.k, w.kernel.layout) for w in gemms] == [
        ("conv", "fprop", 32, 8, 24, "tn"), ("conv", "wgrad", 8, 24, 32, "nt"),
        ("fc", "fprop", 2, 8, 48, "tn"), ("fc", "dgrad", 2, 48, 8, "tt"), ("fc", "wgrad", 8, 48, 2, "nt"),
    ]  # fmt: skip
    assert {work.kernel.precision.output.name for work in gemms} == {"fp16"}
    assert gemms[2].kernel.bytes == (2 * 48 + 48 * 8 + 2 * 8) * 2  # fc, forward
    assert not any(work.proxy for work in gemms)


def test_casts_and_checks(tmp_path):
    casts = [
        (work.layer, work.pass_, work.kernel.bytes_read, work.kernel.bytes_written, work.count)
        for work in tiny_step(tmp_path)
        if work.kind == "cast"
    ]
    assert casts == [
        ("conv", "fprop", 228, 114, 1),  # 57 weights: 4 B read, 2 B written
        ("fc", "fprop", 980, 490, 1),
        ("conv", "update", 228, 228, 1),  # 57 gradients unscaled and checked in FP32
        ("fc", "update", 980, 980, 1),
    ]


def test_tensors_between_layers_are_two_bytes(tmp_path):
    moved = {
        (w.layer, w.pass_, w.kind): w.kernel.bytes for w in tiny_step(tmp_path) if w.kind in ("activation", "bias")
    }
    assert moved == {
        ("conv", "wgrad", "bias"): 192,  # 96 gradients of 2 B
        ("relu", "fprop", "activation"): 384,  # 96 in, 96 out
        ("relu", "dgrad", "activation"): 576,  # 192 in, 96 out
        ("fc", "wgrad", "bias"): 20,
    }


def test_the_update_stays_in_fp32(tmp_path):
    assert sum(work.kernel.bytes for work in tiny_step(tmp_path) if work.kind == "update") == 6040  # 302 · 20 B


def test_the_overhead_of_quantising_is_not_its_own(tmp_path):
    assert tiny_step(tmp_path, level="epilogue") == tiny_step(tmp_path, level="unfused")
    given = training_step(
        read_network(tmp_path / "tiny.toml"), 2, MIXED, StepFormats.everywhere("fp16"), "implicit", find_overhead("36")
    )
    assert given == tiny_step(tmp_path)  # a time that is given for quantising is none for casts


def test_without_overhead_nothing_is_cast(tmp_path):
    works = tiny_step(tmp_path, level="ideal")
    assert works == tuple(work for work in tiny_step(tmp_path) if work.kind != "cast")


def test_variants(tmp_path):
    works = tiny_step(tmp_path, replace(MIXED, accumulate="fp16", stored="fp32"))
    gemms = [work.kernel for work in works if isinstance(work.kernel, Gemm)]
    assert {gemm.precision.name for gemm in gemms} == {"fp16+fp16"}
    assert {gemm.precision.output.name for gemm in gemms} == {"fp32"}  # as wide as what is stored
    assert gemms[2].bytes == (2 * 48 + 48 * 8) * 2 + 2 * 8 * 4  # fc, forward
    (relu,) = [work for work in works if work.kind == "activation" and work.pass_ == "fprop"]
    assert relu.kernel.bytes == 768


@pytest.mark.parametrize("name", ["fp32", "bf16", "dfx16"])
def test_other_formats_are_refused(tmp_path, name):
    tiny_step(tmp_path)
    network = read_network(tmp_path / "tiny.toml")
    with pytest.raises(Unsupported, match=rf"^E1104 scheme mixed: does not train in {name}\. It uses fp16\.$"):
        training_step(network, 2, MIXED, StepFormats.everywhere(name), "implicit", Overhead())
