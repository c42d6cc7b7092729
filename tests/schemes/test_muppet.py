"""MuPPET: which tensors it quantises, what that moves, and which units its formats run on."""

from dataclasses import replace

import pytest

from perfmodel.errors import Unsupported
from perfmodel.gemm import Gemm
from perfmodel.lowering import MemoryOp
from perfmodel.networks import find_network, read_network
from perfmodel.schemes import Overhead, find_scheme, gemm_choice, training_step
from perfmodel.schemes.formats import StepFormats
from perfmodel.traces import PassPrecision

MUPPET = find_scheme("muppet")
POOLS_WHOLE = replace(MUPPET, conversions=tuple(replace(rule, pooled="whole") for rule in MUPPET.conversions))

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

# A batch norm and a maximum pool are never quantised, an average pool is; `side` is an auxiliary head.
POOLED = """
title = "Pools and a head"
source = "made up"
input = [2, 8, 8]
layers = [
  { op = "conv", name = "conv", out = 3, kernel = 3, pad = 1, bias = false },
  { op = "batch_norm", name = "bn" },
  { op = "linear", name = "side", out = 7, from = "bn" },
  { op = "max_pool", name = "max", kernel = 2, from = "bn" },
  { op = "avg_pool", name = "mean", kernel = 4 },
  { op = "linear", name = "fc", out = 5 },
]
"""

# In millions at batch 256: images, outputs, gradients of inputs and parameters, parameters twice; sum.
QUANTISED = {
    "alexnet-reference": (38.5, 137.6, 124.6, 122.2, 422.9),
    "resnet18": (38.5, 636.2, 532.2, 23.4, 1230.3),
    "googlenet-aux": (38.5, 826.4, 1162.2, 26.0, 2053.1),
}


def network_of(tmp_path, text):
    path = tmp_path / "tiny.toml"
    path.write_text(text)
    return read_network(path)


def tiny_step(tmp_path, formats, overhead, scheme=None):
    return training_step(network_of(tmp_path, TINY), 2, scheme or MUPPET, formats, "implicit", overhead)


def quantised_tensors(network, batch, scheme=MUPPET):
    """Layer, pass and elements of each tensor that a step in 8 bits quantises, as often as it does."""
    return [
        (layer, pass_, count)
        for rule, layer, pass_, count in scheme.converted(network, batch, StepFormats.everywhere("dfx8"))
        for _ in range(rule.times)
    ]


def everywhere(name, **layers):
    kept = tuple((layer, PassPrecision.same(format_)) for layer, format_ in sorted(layers.items()))
    return StepFormats(PassPrecision.same(name), kept)


def test_tensors_of_two_layers(tmp_path):
    assert quantised_tensors(network_of(tmp_path, TINY), 2) == [
        ("input", "fprop", 64),  # 2 images of 2·4·4
        ("conv", "fprop", 96),  # 2 · 3·4·4; the images get no gradient
        ("conv", "wgrad", 57),
        ("fc", "fprop", 10),
        ("fc", "dgrad", 96),
        ("fc", "wgrad", 245),
        ("conv", "update", 57), ("conv", "update", 57),  # gradient again, and the updated parameters
        ("fc", "update", 245), ("fc", "update", 245),
    ]  # fmt: skip


def test_pools_and_auxiliary_heads(tmp_path):
    # conv 54 parameters, bn 6, side 3·8·8·7 + 7 = 1351, fc 3·5 + 5 = 20; the pool's gradient counts batch x channels.
    assert quantised_tensors(network_of(tmp_path, POOLED), 2) == [
        ("input", "fprop", 256),
        ("conv", "fprop", 384), ("conv", "wgrad", 54),
        ("mean", "fprop", 6), ("mean", "dgrad", 6),
        ("fc", "fprop", 10), ("fc", "dgrad", 6), ("fc", "wgrad", 20),
        ("conv", "update", 54), ("conv", "update", 54),
        ("bn", "update", 6), ("bn", "update", 6),
        ("side", "update", 1351), ("side", "update", 1351),
        ("fc", "update", 20), ("fc", "update", 20),
    ]  # fmt: skip


@pytest.mark.parametrize("name", QUANTISED)
def test_elements_as_the_reference_quantises_them(name):
    rows = quantised_tensors(find_network(name), 256)
    sums = (
        sum(n for layer, _, n in rows if layer == "input"),
        sum(n for layer, pass_, n in rows if pass_ == "fprop" and layer != "input"),
        sum(n for _, pass_, n in rows if pass_ in ("dgrad", "wgrad")),
        sum(n for _, pass_, n in rows if pass_ == "update"),
    )
    assert tuple(round(n / 1e6, 1) for n in (*sums, sum(sums))) == QUANTISED[name]


@pytest.mark.parametrize(("name", "total"), [("resnet18", 1236.6), ("googlenet-aux", 2065.7)])
def test_pools_whose_gradient_counts_whole(name, total):
    network = find_network(name)
    rows = quantised_tensors(network, 256, POOLS_WHOLE)
    assert round(sum(n for *_, n in rows) / 1e6, 1) == total
    assert POOLS_WHOLE.quantised_elements(network, 256, everywhere("dfx8")) == sum(n for *_, n in rows)


# 1172 elements in 10 tensors (see above).
@pytest.mark.parametrize(
    ("level", "bytes_moved", "launches"),
    [("ideal", 0, 0), ("epilogue", 1172, 10), ("delayed", 5860, 10), ("current", 10548, 20), ("naive", 66804, 80),
     ("unfused", 84384, 140), ("measured", 10548, 20)],
)  # fmt: skip
def test_quantising_costs_what_its_level_says(tmp_path, level, bytes_moved, launches):
    works = [w for w in tiny_step(tmp_path, everywhere("dfx8"), Overhead(level)) if w.kind == "quantise"]
    assert sum(w.kernel.bytes * w.count for w in works) == pytest.approx(bytes_moved, rel=1e-12)
    assert sum(w.count for w in works) == launches


@pytest.mark.parametrize("name", ["dfx6", "dfx8", "dfx10", "dfx12", "dfx14", "dfx16"])
def test_every_width_quantises_alike(tmp_path, name):
    works = [w for w in tiny_step(tmp_path, everywhere(name), Overhead("current")) if w.kind == "quantise"]
    assert sum(w.kernel.bytes * w.count for w in works) == pytest.approx(10548)


def test_nothing_is_quantised_in_fp32(tmp_path):
    for overhead in (Overhead("unfused"), Overhead("given", 0.036)):
        works = tiny_step(tmp_path, everywhere("fp32"), overhead)
        assert not any(work.kind == "quantise" for work in works)
        assert {work.kernel.precision.name for work in works if isinstance(work.kernel, Gemm)} == {"fp32"}


def test_a_given_time_stands_for_all_tensors(tmp_path):
    works = tiny_step(tmp_path, everywhere("dfx8"), Overhead("given", 0.036, "published"))
    (work,) = [work for work in works if work.kind == "quantise"]
    assert (work.layer, work.kernel.seconds, work.kernel.basis, work.count) == ("(all tensors)", 0.036, "published", 1)
    assert not any(w.kind == "quantise" for w in tiny_step(tmp_path, everywhere("dfx8"), Overhead("given", 0.0)))


def test_a_layer_kept_in_fp32_is_neither_quantised_nor_faster(tmp_path):
    works = tiny_step(tmp_path, everywhere("dfx8", conv="fp32"), Overhead("current"))
    quantised = [(w.layer, w.pass_, w.kernel, w.count) for w in works if w.kind == "quantise"]
    tensors = [("input", "fprop", 64, 1), ("fc", "fprop", 10, 1), ("fc", "dgrad", 96, 1), ("fc", "wgrad", 245, 1)]
    assert quantised == [
        (layer, pass_, kernel, times)
        for layer, pass_, n, times in (*tensors, ("fc", "update", 245, 2))
        for kernel in (MemoryOp(4 * n, 0, "absmax", (n,)), MemoryOp(4 * n, n, "quantise", (n,)))
    ]
    gemms = {(w.layer, w.pass_): (w.kernel.precision.name, w.kernel.k) for w in works if isinstance(w.kernel, Gemm)}
    assert gemms == {
        ("conv", "fprop"): ("fp32", 18), ("conv", "wgrad"): ("fp32", 32),
        ("fc", "fprop"): ("int8", 48), ("fc", "dgrad"): ("int8", 16), ("fc", "wgrad"): ("int8", 16),
    }  # fmt: skip
    transposes = [(w.layer, w.pass_, w.kernel.shape) for w in works if w.kind == "transpose"]
    assert transposes == [("fc", "dgrad", (5, 48)), ("fc", "wgrad", (2, 5)), ("fc", "wgrad", (2, 48))]


@pytest.mark.parametrize(
    ("name", "overhead", "expected"),
    [  # conv has no dgrad; 2 images of 3·4·4 outputs are 32 pixels, its input 32 pixels of 2 channels
        ("dfx8", Overhead("current"), [("conv", (32, 3)), ("conv", (32, 2)), ("fc", (5, 48)), ("fc", (2, 5)),
                                       ("fc", (2, 48))]),
        ("dfx8", Overhead("ideal"), []), ("dfx8", Overhead("given", 0.036), []), ("dfx8", Overhead("given", 0.0), []),
        ("dfx12", Overhead("current"), []), ("fp32", Overhead("current"), []),
    ],
)  # fmt: skip
def test_operands_of_eight_bits_are_turned_round(tmp_path, name, overhead, expected):
    works = [w for w in tiny_step(tmp_path, everywhere(name), overhead) if w.kind == "transpose"]
    assert [(w.layer, w.kernel.shape) for w in works] == expected
    assert all(w.kernel.bytes_read == w.kernel.bytes_written == w.kernel.shape[0] * w.kernel.shape[1] for w in works)


def test_passes_may_differ(tmp_path):
    formats = StepFormats(PassPrecision("dfx8", "dfx12", "fp32"))
    works = tiny_step(tmp_path, formats, Overhead("ideal"))
    gemms = [(w.layer, w.pass_, w.kernel.precision.name) for w in works if isinstance(w.kernel, Gemm)]
    assert gemms == [
        ("conv", "fprop", "int8"), ("conv", "wgrad", "fp32"),
        ("fc", "fprop", "int8"), ("fc", "dgrad", "fp16"), ("fc", "wgrad", "fp32"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "precision", "proxy"),
    [
        ("dfx8", "int8", ""),
        ("dfx12", "fp16", "dfx12 timed as fp16"),
        ("dfx14", "fp16", "dfx14 timed as fp16"),
        ("dfx16", "fp16", "dfx16 timed as fp16"),
        ("fp32", "fp32", ""),
    ],
)
def test_units_and_proxies(tmp_path, name, precision, proxy):
    choice = gemm_choice(MUPPET, everywhere(name), "fprop")
    assert (choice.precision.name, choice.proxy) == (precision, proxy)
    works = tiny_step(tmp_path, everywhere(name), Overhead("current"))
    assert {work.proxy for work in works if work.kind == "gemm"} == {proxy}
    assert not any(work.proxy for work in works if work.kind not in ("gemm", "im2col"))


def test_fp16_accumulation_is_a_choice():
    in_fp16 = replace(MUPPET, accumulate="fp16")
    assert gemm_choice(in_fp16, everywhere("dfx16"), "fprop").precision.name == "fp16+fp16"
    assert gemm_choice(in_fp16, everywhere("dfx8"), "fprop").precision.name == "int8"


@pytest.mark.parametrize(
    ("name", "output", "bytes_in", "bytes_out"),
    # fc, forward: 2x48 and 48x5 elements in, 2x5 out; but for FP32, 5 is padded to lines of 4 elements of 4 B: 2x48 and
    # 48x8 in are 480, 2x8 out 16. Tensors between layers are FP32, whatever the GEMM multiplies.
    [("dfx8", "int32", 480, 64), ("dfx12", "fp32", 960, 64), ("dfx16", "fp32", 960, 64), ("fp32", "fp32", 1344, 40)],
)
@pytest.mark.parametrize("accumulate", ["fp32", "fp16"])
def test_gemms_write_four_bytes(tmp_path, name, output, bytes_in, bytes_out, accumulate):
    works = tiny_step(tmp_path, everywhere(name), Overhead("ideal"), replace(MUPPET, accumulate=accumulate))
    assert {w.kernel.precision.output.name for w in works if isinstance(w.kernel, Gemm)} == {output}
    (forward,) = [w.kernel for w in works if (w.layer, w.pass_, w.kind) == ("fc", "fprop", "gemm")]
    assert forward.bytes == bytes_in + bytes_out


def test_all_but_the_gemms_runs_in_fp32(tmp_path):
    assert MUPPET.activation_bytes == 4.0
    bias = [w.kernel.bytes for w in tiny_step(tmp_path, everywhere("dfx8"), Overhead("ideal")) if w.kind == "bias"]
    assert bias == [384, 40]


@pytest.mark.parametrize("name", ["fp16", "bf16", "int8", "dfx4", "dfx9", "fp8_e4m3"])
def test_other_formats_are_refused(tmp_path, name):
    with pytest.raises(Unsupported, match=rf"^E1104 scheme muppet: .* {name}\. It uses dfx6, dfx8, dfx10, dfx12,"):
        tiny_step(tmp_path, everywhere(name), Overhead())


def test_each_tensor_is_quantised_for_its_own_pass(tmp_path):
    backward = StepFormats(PassPrecision("fp32", "dfx8", "dfx8"))
    works = [w for w in tiny_step(tmp_path, backward, Overhead("delayed")) if w.kind == "quantise"]
    assert [(w.layer, w.pass_, w.count) for w in works] == [
        ("conv", "wgrad", 1), ("fc", "dgrad", 1), ("fc", "wgrad", 1), ("conv", "update", 2), ("fc", "update", 2),
    ]  # fmt: skip


def test_a_pool_to_more_than_one_pixel_has_a_whole_gradient(tmp_path):
    text = POOLED.replace("kernel = 4 }", "kernel = 2 }")
    assert text != POOLED
    rows = [row for row in quantised_tensors(network_of(tmp_path, text), 2) if row[0] == "mean"]
    assert rows == [("mean", "fprop", 2 * 3 * 2 * 2), ("mean", "dgrad", 2 * 3 * 4 * 4)]  # 8x8 -> max 4x4 -> mean 2x2
