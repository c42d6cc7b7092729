"""Which format each operand has: rules, exceptions, the trace's last word, and the roles of layers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.formats import find_format
from perfmodel.networks import find_network
from perfmodel.schemes import find_scheme, first_step, run_stretches, scheme_names
from perfmodel.schemes.formats import StepFormats
from perfmodel.schemes.rules import (
    LayerRule,
    TensorFormats,
    bounds,
    first_layer,
    last_layers,
    layer_formats,
    linear_layers,
    matching,
    resolve,
    shortcuts,
)
from perfmodel.traces import PassPrecision

PASSES = ("fprop", "dgrad", "wgrad")
INT8 = PassPrecision.same("int8")


def names(operands):
    """The formats of both operands of each pass."""
    return [tuple(one.name for one in getattr(operands, pass_)) for pass_ in PASSES]


@pytest.mark.parametrize(
    ("base", "own", "step", "expected"),
    [
        ({}, None, INT8, [("int8", "int8")] * 3),  # nothing said: as the step
        (
            {}, None, PassPrecision("int3", "int8", "int5"),
            [("int3", "int3"), ("int8", "int3"), ("int5", "int3")],  # errors as the pass that reads them
        ),
        (
            {"weights": "int1", "activations": "int2", "errors": "int6"}, None, PassPrecision("int2", "int6", "int6"),
            [("int2", "int1"), ("int6", "int1"), ("int6", "int2")],
        ),
        # The trace has the last word: no operand is wider than its pass.
        ({"weights": "fp32", "errors": "int4"}, None, INT8, [("int8", "int8"), ("int4", "int8"), ("int4", "int8")]),
        # An exception is not bounded.
        ({"weights": "int4"}, {"weights": "fp16"}, INT8, [("int8", "fp16"), ("int8", "fp16"), ("int8", "int8")]),
        ({}, {"wgrad": "fp32"}, INT8, [("int8", "int8"), ("int8", "int8"), ("fp32", "fp32")]),
        ({}, {"dgrad": "int4", "errors": "fp16"}, INT8, [("int8", "int8"), ("int4", "int4"), ("fp16", "int8")]),
        # A scheme's pass is that of both operands; a step that is another was so in a trace, which has the last word.
        ({"dgrad": "int4"}, None, INT8, [("int8", "int8")] * 3),
        (
            {"dgrad": "int4"}, None, PassPrecision("int8", "int4", "int8"),
            [("int8", "int8"), ("int4", "int4"), ("int8", "int8")],
        ),
        ({"dgrad": "fp16"}, None, INT8, [("int8", "int8")] * 3),
        (
            {"weights": "int4", "wgrad": "fp16", "dgrad": "fp16"}, None, PassPrecision("int8", "fp16", "fp16"),
            [("int8", "int4"), ("fp16", "fp16"), ("fp16", "fp16")],
        ),
        ({"fprop": "int4"}, {"activations": "int5"}, INT8, [("int5", "int8"), ("int8", "int8"), ("int8", "int5")]),
    ],
)  # fmt: skip
def test_operands(base, own, step, expected):
    assert names(resolve(TensorFormats(**base), own and TensorFormats(**own), step)) == expected


@pytest.mark.parametrize(
    ("base", "forward", "backward", "expected"),
    [
        ({}, "int3", "int8", ("int3", "int8", "int8")),
        ({"weights": "int1", "activations": "int2", "errors": "int6"}, "fp32", "fp32", ("int2", "int6", "int6")),
        ({"weights": "fp16"}, "int8", "int8", ("fp16", "fp16", "int8")),
        ({"dgrad": "fp32", "weights": "int4"}, "int8", "int8", ("int8", "fp32", "int8")),
    ],
)
def test_what_the_passes_of_a_step_compute_in(base, forward, backward, expected):
    assert bounds(TensorFormats(**base), forward, backward) == PassPrecision(*expected)


def test_a_rule_over_another():
    base = TensorFormats(weights="int4", wgrad="fp16", fprop="bf16")
    assert TensorFormats(weights="int8", dgrad="fp32").over(base) == TensorFormats(
        weights="int8", dgrad="fp32", wgrad="fp16"
    )
    # What is said of a tensor is not undone by what was said before of a pass that reads it.
    assert TensorFormats(activations="int8").over(base) == TensorFormats("int4", "int8")
    assert TensorFormats.same("int8").over(TensorFormats("int4", "int4", "int4", "fp16", "fp16", "fp16")) == (
        TensorFormats.same("int8")
    )
    assert TensorFormats().over(base) == base
    assert TensorFormats.same("int8") == TensorFormats("int8", "int8", "int8")


@pytest.mark.parametrize(
    ("network", "first", "last", "linear", "number_of_shortcuts"),
    [
        ("resnet18", "conv1", ["fc"], ["fc"], 3),
        ("resnet50", "conv1", ["fc"], ["fc"], 4),
        ("alexnet", "conv1", ["fc3"], ["fc1", "fc2", "fc3"], 0),
    ],
)
def test_roles(network, first, last, linear, number_of_shortcuts):
    net = find_network(network)
    assert first_layer(net) == [first]
    assert last_layers(net) == last
    assert linear_layers(net) == linear
    assert len(shortcuts(net)) == number_of_shortcuts


def test_roles_of_googlenet_with_auxiliary_heads():
    net = find_network("googlenet-aux")
    last, linear = last_layers(net), linear_layers(net)
    assert (len(last), len(linear), shortcuts(net)) == (3, 5, [])  # each head has a hidden layer before its classifier
    assert set(last) < set(linear)
    assert net.gemm_layers[-1].name in last
    assert {layer.out_features for layer in net.gemm_layers if layer.name in last} == {1000}


def test_roles_of_mobilenet():
    net = find_network("mobilenetv2")
    assert (len(last_layers(net)), len(linear_layers(net))) == (1, 1)
    assert shortcuts(net) == []  # its expansions are 1x1, and read what a sum reads, but do not lead straight into it


def test_roles_of_resnet20():
    net = find_network("resnet20")
    found = shortcuts(net)
    assert len(found) == sum(layer.op == "conv" and layer.kernel == (1, 1) for layer in net.gemm_layers) == 2


BLOCKS = """
title = "A shortcut, and convolutions that are none"
source = "made up"
input = [3, 8, 8]
layers = [
  { op = "conv", name = "stem", out = 4, kernel = 1 },
  { op = "conv", name = "body", out = 5, kernel = 3, pad = 1 },
  { op = "batch_norm", name = "norm" },
  { op = "conv", name = "short", out = 5, kernel = 1, from = "stem" },
  { op = "batch_norm", name = "short_norm" },
  { op = "add", name = "sum", from = ["norm", "short_norm"] },
  { op = "conv", name = "narrow", out = 5, kernel = 1 },
  { op = "relu", name = "active" },
  { op = "add", name = "sum2", from = ["active", "sum"] },
  { op = "linear", name = "side", out = 2, from = "sum" },
  { op = "linear", name = "fc", out = 3, from = "sum2" },
]
"""


def test_what_is_a_shortcut(network):
    net = network(BLOCKS)
    assert shortcuts(net) == ["short"]  # narrow has a ReLU between
    assert last_layers(net) == ["side", "fc"]
    assert first_layer(net) == ["stem"]


def test_the_first_rule_that_fits_counts(network):
    wide, narrow, other = (TensorFormats.same(name) for name in ("fp32", "fp16", "int8"))
    rules = (
        LayerRule(("first", "s*"), wide),
        LayerRule(("last", "shortcuts"), narrow),
        LayerRule(("*",), other, least_image=9),  # the images are 8x8
        LayerRule(("narrow", "b?dy", "[f]c"), other),
    )
    assert layer_formats(network(BLOCKS), rules) == {
        "stem": wide, "short": wide, "side": wide, "fc": narrow, "narrow": other, "body": other,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("size", "least", "holds"), [("8, 8", 8, True), ("8, 8", 9, False), ("8, 16", 9, False), ("16, 8", 8, True)]
)
def test_a_rule_for_large_images_is_about_the_shorter_side(network, size, least, holds):
    net = network(BLOCKS.replace("8, 8", size))
    rules = (LayerRule(("stem",), TensorFormats.same("fp32"), least_image=least),)
    assert layer_formats(net, rules) == ({"stem": TensorFormats.same("fp32")} if holds else {})


def test_patterns_are_of_whole_names_in_their_case(network):
    net = network(BLOCKS)
    assert matching(net, ("?????",), "x:") == ["short"]
    with pytest.raises(InputError, match=r"^E1108 x: layer with a GEMM in net 'Stem' is not known\. Did you mean stem"):
        matching(net, ("Stem",), "x:")
    with pytest.raises(InputError, match=r"^E1108 x: .* 'norm' is not known"):  # no layer with a GEMM
        matching(net, ("norm",), "x:")


def test_a_role_that_no_layer_has_is_no_mistake(network):
    assert matching(network(), ("shortcuts",), "x:") == []


@pytest.mark.parametrize("network_name", ["resnet20", "resnet18", "googlenet-aux"])
@pytest.mark.parametrize("name", scheme_names())
def test_no_operand_is_wider_than_its_pass_but_for_exceptions(name, network_name):
    scheme, net = find_scheme(name), find_network(network_name)
    exceptions = layer_formats(net, scheme.layers)
    steps = [stretch.formats for stretch in run_stretches(scheme, 1, 10**6)]
    steps += [StepFormats.everywhere(format_) for format_ in scheme.formats]
    for formats in steps:
        for layer, operands in scheme.operands(net, formats).items():
            if layer not in exceptions:
                for pass_ in PASSES:
                    limit = find_format(getattr(formats.precision, pass_)[0]).bits
                    assert max(one.bits for one in getattr(operands, pass_)) <= limit


FORMATS = st.sampled_from(["int1", "int4", "int8", "dfx12", "bfp8", "fp8_e4m3", "fp16", "bf16", "tf32", "fp32"])
SAID = st.builds(TensorFormats, **dict.fromkeys(("weights", "activations", "errors", *PASSES), st.none() | FORMATS))


@given(SAID, st.tuples(FORMATS, FORMATS, FORMATS))
def test_a_step_bounds_whatever_a_scheme_says(base, step):
    precision = PassPrecision(*step)
    operands = resolve(base, None, precision)
    for pass_, limit in zip(PASSES, step, strict=True):
        a, b = getattr(operands, pass_)
        assert max(a.bits, b.bits) <= find_format(limit).bits
        assert operands.bits(pass_) == a.bits * b.bits
        assert operands.format(pass_) in (a, b)
        if getattr(base, pass_):
            assert a == b


@given(SAID, FORMATS, FORMATS)
def test_a_schemes_own_step_narrows_none_of_its_tensors(base, forward, backward):
    operands = resolve(base, None, bounds(base, forward, backward))
    if base.fprop:
        assert names(operands)[0] == (base.fprop, base.fprop)
    else:
        for operand, name in zip(operands.fprop, (base.activations, base.weights), strict=True):
            assert operand.bits == find_format(name).bits if name else operand.bits >= find_format(forward).bits
    if base.dgrad:
        assert names(operands)[1] == (base.dgrad, base.dgrad)


@pytest.mark.parametrize(
    ("step", "quantised"),
    # Two images; first has 64 inputs, 54 weights and 96 gradients, middle 96, 6 and 64; last stays in FP32.
    [
        (("int8", "int8", "int8"), 64 + 54 + 96 + 96 + 6 + 64),
        (("int8", "fp32", "fp32"), 64 + 54 + 96 + 6),
        (("fp32", "fp32", "int8"), 64 + 96 + 96 + 64),  # what the one narrow GEMM reads
        (("fp32", "fp32", "fp32"), 0),
    ],
)
def test_a_tensor_is_quantised_where_any_pass_reads_it_as_codes(network, step, quantised):
    formats = StepFormats(PassPrecision(*step))
    assert find_scheme("cpt").quantised_elements(network(), 2, formats) == quantised


@pytest.mark.parametrize(
    ("tensors", "kinds"),
    [  # of first, middle and last: 64, 96, 64 inputs, 54, 6, 165 weights, 96, 64, 10 errors
        ({"weights": "fp16", "activations": "int8", "errors": "fp16"}, {"inputs"}),
        ({"weights": "int8", "activations": "fp16", "errors": "fp16"}, {"weights"}),
        ({"weights": "fp16", "activations": "fp16", "errors": "int8"}, {"output_gradients"}),
        ({"weights": "int4", "activations": "fp8_e4m3", "errors": "bf16"}, {"weights", "inputs"}),
    ],
)
def test_each_tensor_is_quantised_by_its_own_format(scheme, network, tensors, kinds):
    counts = {"inputs": 64 + 96 + 64, "weights": 54 + 6 + 165, "output_gradients": 96 + 64 + 10}
    said = "".join(f'tensors.{key} = "{name}"\n' for key, name in tensors.items())
    for kind, count in counts.items():
        found = scheme(f'{said}conversions = [{{ kind = "quantise", of = "{kind}" }}]')
        elements = found.quantised_elements(network(), 2, first_step(found))
        assert elements == (count if kind in kinds else 0), kind


@pytest.mark.parametrize("name", ["dorefa", "fp8-hybrid"])
def test_a_run_that_was_wider_than_the_scheme_is_priced_as_it_was(name):
    found = resolve(find_scheme(name).tensors, None, PassPrecision.same("fp32"))
    assert {one.name for pass_ in ("fprop", "dgrad", "wgrad") for one in getattr(found, pass_)} == {"fp32"}


SHARING = """
title = "Sharing"
source = "made up"
input = [2, 4, 4]
layers = [
  { op = "conv", name = "a", out = 3, kernel = 1, bias = false },
  { op = "conv", name = "b", from = "a", out = 3, kernel = 1 },
  { op = "conv", name = "c", from = "a", out = 3, kernel = 1, shares = "b" },
  { op = "concat", name = "d", from = ["b", "c"] },
]
"""
CODES = """
formats = ["fp16", "int8", "int4"]
conversions = [{ kind = "quantise", of = ["inputs", "weights", "output_gradients"], once = ONCE }]
layers = [
  { match = "b", fprop = "int8" },
  { match = "c", fprop = "int8", wgrad = "int4" },
]
"""


def test_a_tensor_that_several_layers_read_is_converted_once(network, scheme):
    """For two images: the input of b and c has 2·3·16 = 96 elements, their weights 9 and a bias of 3."""
    net = network(SHARING)

    def found(once, text=CODES):
        rows = scheme(text.replace("ONCE", once)).converted(net, 2, StepFormats.everywhere("fp16"))
        return [(layer, pass_, count) for _, layer, pass_, count in rows]

    # b in INT8, c reads its input in INT4, too: one tensor, converted into both. c's weights are b's.
    each = [("b", "fprop", 96), ("b", "fprop", 12), ("c", "fprop", 96), ("c", "dgrad", 96)]
    assert found("false") == found("true") == each
    same = CODES.replace('wgrad = "int4"', 'dgrad = "int8"')
    assert found("true", same) == [*each[:2], each[3]]  # both read the input in INT8
    alone = CODES.replace('{ match = "b", fprop = "int8" },', "")
    assert found("true", alone) == [("c", "fprop", 96), ("c", "fprop", 12), ("c", "dgrad", 96)]
    assert found("false", alone) == [("c", "fprop", 96), ("c", "dgrad", 96)]  # weights count with their owner


def test_the_first_layer_has_no_data_gradient(network, scheme):
    codes = 'formats = ["fp16", "int8"]\nconversions = [{ kind = "quantise", of = ["weights", "output_gradients"] }]\n'
    for pass_, wanted in (("fprop", [("weights", 54)]), ("dgrad", []), ("wgrad", [("output_gradients", 96)])):
        mine = scheme(codes + f'layers = [{{ match = "first", {pass_} = "int8" }}]')
        rows = mine.converted(network(), 2, StepFormats.everywhere("fp16"))
        assert [count for *_, count in rows] == [count for _, count in wanted]
