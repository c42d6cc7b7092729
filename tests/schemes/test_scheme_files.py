"""Scheme files of users: what they say is what is meant."""

import pytest

from perfmodel.networks import find_network
from perfmodel.schemes import (
    Overhead,
    find_breakdown_scheme,
    find_scheme,
    first_step,
    read_scheme,
    run_stretches,
)  # fmt: skip
from perfmodel.schemes.conversions import Conversion
from perfmodel.schemes.rules import TensorFormats
from perfmodel.schemes.schedule import Constant, Cyclic, Shares

HEAD = 'title = "t"\nsource = "s"\n'  # two lines: what follows begins in line 3
RESNET20 = find_network("resnet20")


def test_everything_that_a_file_may_say(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("""
title = "Mine"
source = "made up\\n here"
formats = ["int8", "fp16"]
notes = "one\\ntwo"
leaves_out = ["a", "b"]
[tensors]
format = "int8"
errors = "fp16"
stored = "bf16"
accumulate = "fp16"
tile_k = 7
[optimizer]
master = "fp16"
gradients = "bf16"
momentum = "int8"
[[layers]]
match = ["first", "layer1.*"]
wgrad = "fp32"
least_image = 9
[[conversions]]
kind = "cast"
of = "weights"
bytes = [4, 0.5]
ops = "conv"
pass = "wgrad"
heads = false
codes_only = true
every = 3
what = "w"
[[conversions]]
kind = "quantise"
of = ["images", "inputs"]
one_pass = true
times = 3
pooled = "channels"
[[epochs]]
until = 2
fprop = "fp16"
[schedule]
kind = "constant"
format = "fp16"
""")
    found = read_scheme(path)
    assert (found.name, found.title, found.source, found.notes) == ("mine", "Mine", "made up here", "one two")
    assert (found.formats, found.leaves_out, found.stands_for, found.exact) == (("int8", "fp16"), ("a", "b"), {}, False)
    assert found.tensors == TensorFormats("int8", "int8", "fp16")
    assert (found.stored, found.accumulate, found.tile_k) == ("bf16", "fp16", 7)
    assert (found.master, found.gradients, found.momentum) == ("fp16", "bf16", "int8")
    (rule,) = found.layers
    assert (rule.match, rule.formats, rule.least_image) == (("first", "layer1.*"), TensorFormats(wgrad="fp32"), 9)
    assert rule.place == f"{path}:18: layers[0].match:"
    assert found.conversions == (
        Conversion("cast", ("weights",), ("conv",), (4.0, 0.5), "wgrad", False, False, 1 / 3, "whole", True, "w"),
        Conversion("quantise", ("images", "inputs"), one_pass=True, times=3, pooled="channels"),
    )
    assert found.schedule == Constant("fp16")
    assert [(stage.until, stage.formats) for stage in found.stages] == [(2, TensorFormats(fprop="fp16"))]


def test_formats_are_those_that_the_file_names(scheme):
    text = 'tensors.weights = "int4"\nlayers = [{ match = "first", dgrad = "bf16" }]\nepochs = [{ format = "fp16" }]'
    assert scheme(text).formats == ("int4", "bf16", "fp16")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('kind = "shares"\nshares = { int8 = 2, fp32 = 1 }\nfrom = "x"', Shares((("int8", 2), ("fp32", 1)), "x")),
        ('kind = "cyclic"\nlow = 2\nhigh = 3\nbackward = 7\ncycles = 9', Cyclic(2, 3, 7, 9)),
        ('kind = "constant"', Constant("int8")),
        ("", Constant("int8")),
    ],
)
def test_schedules(scheme, text, expected):
    assert scheme(f'formats = ["int8", "fp32", "int2", "int3", "int7"]\n[schedule]\n{text}').schedule == expected


@pytest.mark.parametrize("pass_", ["fprop", "dgrad", "wgrad", "update"])
@pytest.mark.parametrize("kind", ["cast", "check", "scale"])
def test_conversions_of_a_pass(scheme, network, kind, pass_):
    row = f'kind = "{kind}", of = "weights", bytes = [3, 0.5], pass = "{pass_}", ops = ["linear"]'
    found = scheme(f'formats = ["int8"]\nconversions = [{{ {row} }}]')
    (work,) = [one for one in found.extra(network(), 2, first_step(found), Overhead()) if one.kind != "update"]
    assert (work.layer, work.pass_, work.kernel.bytes_read, work.kernel.bytes_written) == ("last", pass_, 495, 82.5)


def test_as_many_rows_as_are_read(scheme):
    patterns = ", ".join(['"*"'] * 500)
    rows = ", ".join([f'{{ match = [{patterns}], format = "fp16" }}'] * 2 + ['{ match = "*", format = "fp16" }'] * 498)
    found = scheme(f'formats = ["int8"]\nlayers = [{rows}]')
    assert (len(found.layers), len(found.layers[0].match)) == (500, 500)
    assert {rule.least_image for rule in found.layers} == {1}


def test_extends_changes_tables_by_key_and_lists_as_a_whole(scheme):
    mixed, found = find_scheme("mixed"), scheme('extends = "mixed"\nleaves_out = "x"\n[tensors]\naccumulate = "fp16"')
    assert (found.stored, found.accumulate, found.formats) == ("fp16", "fp16", ("fp16",))
    assert found.conversions == mixed.conversions
    assert (found.leaves_out, found.title, found.notes) == (("x",), "t", mixed.notes)
    assert found.stands_for == {}  # mixed precision's name is its own
    assert scheme('extends = "mixed"\nconversions = []').conversions == ()
    of_two = scheme('extends = "hbfp12"')  # which extends another
    assert (of_two.formats, of_two.tile_k, of_two.master) == (("bfp12", "fp32"), 24, "bfp16")
    assert scheme('extends = "cpt"\n[schedule]\nkind = "constant"').schedule == Constant("int8")


def test_a_format_of_all_tensors_takes_the_place_of_what_another_scheme_says_of_each(scheme):
    found = scheme('extends = "fp8-hybrid"\nformats = ["int8"]\n[tensors]\nformat = "int8"\nerrors = "int4"')
    assert found.tensors == TensorFormats("int8", "int8", "int4")
    assert found.stored == "fp16"
    assert scheme('extends = "fp8-hybrid"\n[tensors]\nweights = "fp16"').tensors == TensorFormats(
        "fp16", "fp8_e4m3", "fp8_e5m2"
    )


def test_formats_by_layer_pass_and_epoch(scheme):
    found = scheme("""
[tensors]
weights = "int4"
activations = "int8"
errors = "int8"
[[layers]]
match = "fc"
wgrad = "fp16"
[[layers]]
match = ["first", "fc"]
format = "fp32"
[[epochs]]
until = 2
format = "bf16"
[[epochs]]
layers = [{ match = "last", weights = "int8" }]
""")
    begin, rest = run_stretches(found, 5, 7)
    assert (begin.iterations, rest.iterations) == (14, 21)
    names = [layer.name for layer in RESNET20.gemm_layers]
    first, middle, last = names[0], names[5], names[-1]

    def formats(stretch, layer):
        operands = stretch.scheme.operands(RESNET20, stretch.formats)[layer]
        return [tuple(one.name for one in getattr(operands, pass_)) for pass_ in ("fprop", "dgrad", "wgrad")]

    assert formats(begin, middle) == [("bf16", "bf16")] * 3
    assert formats(begin, first) == [("fp32", "fp32")] * 3
    assert formats(rest, middle) == [("int8", "int4"), ("int8", "int4"), ("int8", "int8")]
    assert formats(rest, first) == [("fp32", "fp32")] * 3
    assert formats(rest, last) == [("int8", "int8")] * 3  # the stage's exception comes before the scheme's


def test_a_breakdown_is_of_the_first_stage(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        HEAD + 'formats = ["int8"]\nepochs = [{ until = 3, layers = [{ match = "last", format = "fp32" }] }]'
    )
    found, formats = find_breakdown_scheme(str(path))
    operands = found.operands(RESNET20, formats)
    assert [operands[layer.name].format("fprop").name for layer in RESNET20.gemm_layers] == ["int8"] * (
        len(operands) - 1
    ) + ["fp32"]
