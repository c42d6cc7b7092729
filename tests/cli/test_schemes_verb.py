"""`perfmodel schemes [NAME]`: the list, one scheme in full as it is printed, files, and wrong input."""

import csv
import io
import json

import pytest

from perfmodel.schemes import scheme_names

OWN = """
title = "Mine"
source = "made up"
notes = "A test."
leaves_out = "most"
formats = ["int8", "fp16", "fp32"]

[tensors]
errors = "fp16"
accumulate = "fp16"

[optimizer]
master = "bf16"

[[layers]]
match = "last"
weights = "fp32"
activations = "fp32"
errors = "fp32"

[[conversions]]
kind = "quantise"
of = ["inputs", "weights"]
what = "both"

[[conversions]]
kind = "scale"
of = "parameters"
bytes = [4, 1]
every = 7
"""
# The card sums FP16 in FP32 alone. The only layer is the last one, in FP32: nothing is quantised. Update: 2 + 4 + 4 B
# read, 2 + 4 written.
MINE = """\
Mine: formats

step       layers  pass   operands                         computed in  unit  sums in  writes  proxy
---------  ------  -----  -------------------------------  -----------  ----  -------  ------  -----
int8/fp16  others  fprop  activations int8 x weights int8  int8         int8  int32    int32   –
int8/fp16  others  dgrad  errors fp16 x weights int8       fp16         fp16  fp32     fp32    –
int8/fp16  others  wgrad  errors fp16 x activations int8   fp16         fp16  fp32     fp32    –
all        fc      fprop  activations fp32 x weights fp32  fp32         fp32  fp32     fp32    –
all        fc      dgrad  errors fp32 x weights fp32       fp32         fp32  fp32     fp32    –
all        fc      wgrad  errors fp32 x activations fp32   fp32         fp32  fp32     fp32    –

Operands: as a GEMM reads them; errors are the gradients of a layer's output. Units: those of slow.
Schedule: one format throughout.
A test.
Source: made up.
Left out: most.


Mine: tensors as stored

tensor                                          format  B/element
----------------------------------------------  ------  ---------
activations and their gradients between layers  fp32            4
master weights                                  bf16            2
weight gradients, as the update reads them      fp32            4
momentum                                        fp32            4


Mine: extra kernels

kind      tensors          layers             kernels  B/element  times a step  elements  what
--------  ---------------  -----------------  -------  ---------  ------------  --------  -----------------
quantise  inputs, weights  conv, linear             2          9  1                    0  both
scale     parameters       all that have any        1          5  once in 7            8  –
update    parameters       all that have any        1         16  1                    8  SGD with momentum

Kernels for each tensor, and B/element, with conversions current, maximum first, then quantise, 9 B/element.
Besides, operands of 8 bits and fewer are copied turned round where a pass does not read them along k (transpose).
Elements: of one step of one, batch 2, in the formats that a run begins with; 0 are quantised.
"""
MUPPET = """\
MuPPET: extra kernels

kind      tensors                                     layers                                                         kernels  B/element  times a step  elements  what
--------  ------------------------------------------  -------------------------------------------------------------  -------  ---------  ------------  --------  -----------------------------------------------------------------
quantise  images                                      –                                                                    2          9  1                    8  –
quantise  outputs, input_gradients, weight_gradients  conv, linear, avg_pool, adaptive_avg_pool, no auxiliary heads        2          9  1                   12  –
quantise  parameters                                  all that have any                                                    2          9  2                    8  every parameter's gradient once more, and every updated parameter
update    parameters                                  all that have any                                                    1         20  1                    8  SGD with momentum

Kernels for each tensor, and B/element, with conversions current, maximum first, then quantise, 9 B/element.
Besides, operands of 8 bits and fewer are copied turned round where a pass does not read them along k (transpose).
Elements: of one step of one, batch 2, in the formats that a run begins with; 36 are quantised.
"""  # noqa: E501  as it is printed
FP32 = """\
FP32: formats

step  layers  pass   operands                         computed in  unit  sums in  writes  proxy
----  ------  -----  -------------------------------  -----------  ----  -------  ------  -----
fp32  all     fprop  activations fp32 x weights fp32  fp32         fp32  fp32     fp32    –
fp32  all     dgrad  errors fp32 x weights fp32       fp32         fp32  fp32     fp32    –
fp32  all     wgrad  errors fp32 x activations fp32   fp32         fp32  fp32     fp32    –

Operands: as a GEMM reads them; errors are the gradients of a layer's output. Units: those of slow.
Schedule: one format throughout.
Source: the baseline of Rajagopal et al., ICML 2020, section 5.1.


FP32: tensors as stored

tensor                                          format  B/element
----------------------------------------------  ------  ---------
activations and their gradients between layers  fp32            4
master weights                                  fp32            4
weight gradients, as the update reads them      fp32            4
momentum                                        fp32            4


FP32: extra kernels

kind    tensors     layers             kernels  B/element  times a step  elements  what
------  ----------  -----------------  -------  ---------  ------------  --------  -----------------
update  parameters  all that have any        1         20  1                    8  SGD with momentum

Kernels for each tensor, and B/element, with conversions current, maximum first, then quantise, 9 B/element.
Elements: of one step of one, batch 2, in the formats that a run begins with; 0 are quantised.
"""
ABOUT = ("--device", "slow.toml", "--network", "one.toml", "--batch", "2")


def test_the_list(cli):
    out = cli("schemes").out
    names = [line.split()[0] for line in out.splitlines()[4 : 4 + len(scheme_names())]]
    assert names == scheme_names()
    assert names[:2] == ["fp32", "mixed"]
    assert out.splitlines()[-1].startswith("a number ")


def test_a_scheme_in_full(cli):
    found = cli("schemes", "fp32", *ABOUT)
    assert (found.code, found.out, found.err) == (0, FP32, "")


def test_extra_kernels_of_muppet(cli):
    out = cli("schemes", "muppet", *ABOUT).out
    # 8 image elements; outputs 4 and weight gradients 8, no input gradient; 8 parameters twice.
    assert out.endswith(MUPPET)


def test_a_scheme_of_ones_own(cli, here):
    (here / "mine.toml").write_text(OWN)
    found = cli("schemes", "mine.toml", *ABOUT)
    assert (found.code, found.out, found.err) == (0, MINE, "")


def test_cycles_are_printed_for_cpt_alone(cli):
    lines = cli("schemes", "cpt").out.splitlines()
    assert [line.split()[:5] for line in lines if line[1:2] == "-" and line[0].isdigit()] == [
        ["3-8", "8", "0.039579", "0.062500", "36.7"], ["4-8", "8", "0.043683", "0.062500", "30.1"],
        ["3-6", "6", "0.024593", "0.035156", "30.0"], ["4-6", "6", "0.027883", "0.035156", "20.7"],
    ]  # fmt: skip
    assert "Cycles" not in cli("schemes", "muppet").out


def test_a_csv_file_holds_the_formats(cli, here):
    cli("schemes", "muppet", "-o", "a.csv")
    rows = list(csv.DictReader(io.StringIO((here / "a.csv").read_text())))
    assert [row["step"] for row in rows] == [
        name for name in ("dfx8", "dfx12", "dfx14", "dfx16", "fp32") for _ in "123"
    ]
    assert list(rows[0]) == [
        "step", "layers", "pass", "operands", "computed_in", "unit", "sums_in", "writes", "proxy",
    ]  # fmt: skip


@pytest.mark.parametrize("suffix", ["txt", "json", "md", "tex"])
def test_other_files_hold_all_tables(cli, here, suffix):
    found = cli("schemes", "cpt", "-o", f"a.{suffix}")
    assert (found.code, found.out, found.err) == (0, "", "")
    text = (here / f"a.{suffix}").read_text()
    assert all(f"CPT: {title}" in text for title in ("formats", "tensors as stored", "extra kernels"))
    assert suffix != "json" or len(json.loads(text)) == 4


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("muppt",), "E1006 scheme 'muppt' is not known. Did you mean muppet?"),
        (("",), "E1006 scheme '' is not known."),
        (("no.toml",), "E1201 no.toml does not exist."),
        (("muppet", "cpt"), "E1100 perfmodel schemes: unrecognized arguments: cpt."),
        (("--device", "t4"), "E1105 --device is about one scheme."),
        (("--batch", "2"), "E1105 --batch is about one scheme."),
        (("muppet", "--device", "h300"), "E1001 device 'h300' is not known."),
        (("muppet", "--network", "resnet21"), "E1002 network 'resnet21' is not known."),
        (("muppet", "--batch", "0"), "E1105 --batch 0 is not between 1 and 10000000."),
        (("muppet", "--overhead", "table3"), "E1105 --overhead table3 depends on a trace's quantised epochs"),
        (("muppet", "--overhead", "x"), "E1105 --overhead 'x' is neither a level nor a number"),
        (("muppet", "-o", "a.png"), "E1904 a.png: ends in '.png'."),
        (
            ("lost.toml", "--network", "one.toml"),
            "E1108 lost.toml:5: layers[0].match: layer with a GEMM in one 'layer9.*' is not known.",
        ),
        (("\x1b]0;x\x07",), "E1006 scheme '\\x1b]0;x\\x07' is not known."),
    ],
)
def test_wrong_input(cli, here, arguments, start):
    (here / "lost.toml").write_text(
        'title = "t"\nsource = "s"\ntensors = { format = "fp16" }\n[[layers]]\nmatch = "layer9.*"\nformat = "fp32"\n'
    )
    before = sorted(here.iterdir())
    found = cli("schemes", *arguments)
    assert found.refused(start), found
    assert sorted(here.iterdir()) == before


def test_a_plan_that_would_make_a_table_of_thousands_is_refused(cli, here):
    """11 rules of one pass, under 500 sets of the others' formats: 5,500 sets."""
    names = [f"int{bits}" for bits in range(2, 10)]
    sets = [(a, b, c) for a in names for b in names for c in names][:500]
    rules = "".join(f'[[layers]]\nmatch = "l{i}"\nfprop = "int8"\n' for i in range(11))
    epochs = "".join(
        f'[[epochs]]\nuntil = {i}\nweights = "{a}"\nactivations = "{b}"\nerrors = "{c}"\n'
        for i, (a, b, c) in enumerate(sets, 1)
    )
    (here / "mine.toml").write_text(f'title = "t"\nsource = "s"\ntensors = {{ format = "int8" }}\n{rules}{epochs}')
    found = cli("schemes", "mine.toml")
    assert found.refused("E1212 scheme mine: its stages and rules make more than 5000 sets of formats.")


@pytest.mark.parametrize(
    ("level", "said"), [("ideal", False), ("0", False), ("3", False), ("epilogue", True), ("delayed", True)]
)
def test_copies_turned_round_are_mentioned_where_they_are_counted(cli, level, said):
    assert ("copied turned round" in cli("schemes", "muppet", "--overhead", level).out) is said


def test_hostile_contents(cli, here):
    evil = "\\u001b[31m\\u0007\\u202e"
    (here / "mine.toml").write_text(OWN.replace("made up", evil).replace("Mine", evil).replace("A test", evil))
    found = cli("schemes", "mine.toml")
    assert (found.code, found.err) == (0, "")
    assert not {"\x1b", "\x07", "\u202e"} & set(found.out)
    assert found.out.count("[31m") >= 3
