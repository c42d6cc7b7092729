"""`perfmodel advise`: its tables by hand, the plan's file, and what it says to wrong input."""

import csv
import json
import re

import pytest

from perfmodel.schemes import find_scheme

SLOW = ("--device", "slow.toml", "--model", "roofline", "--batch", "16")
# Seconds are bytes / 1000. fprop multiplies [16, 32] and [16, 32] into [16, 16]: FP16 2·512·2 + 256·2 = 2560 B, INT8
# 2·512 + 256·4 = 2048 B. wgrad [16, 16] and [16, 32] into [16, 32]: FP16 (256 + 512)·2 + 512·2 = 2560 B, INT8
# 768 + 512·4 = 2816 B, and 2·768 B to turn both operands round. Converting takes 2 + 2 + 1 B an element: of 512 inputs,
# 512 weights, 256 gradients of the output 2560, 2560 and 1280 B. Besides: the update 20, cast 6 and check 8 B for each
# of 512 parameters, 17408 B.
NETWORK = """
title = "One layer"
source = "made up"
input = [32, 1, 1]
layers = [{ op = "linear", name = "fc", out = 16, bias = false }]
"""
GOLDEN = """\
Break-even by pass, batch 16

layer  pass   fp16, ms  int8, ms  turned round, ms  room, ms  conversions, ms  alone, ms  plan  from batch
-----  -----  --------  --------  ----------------  --------  ---------------  ---------  ----  ----------
fc     fprop      2560      2048                 0      +512             5120      -4608  fp16  –
fc     wgrad      2560      2816              1536     -1792             3840      -5632  fp16  –

room: what conversions may take at most for the narrow GEMM to pay off: the base's time less the GEMM's and what turning
operands round takes. alone: room less what converting both operands takes, if for this pass alone. The plan converts
each tensor once for all that read it, so a pass may pay off in company that does not alone.


By batch size

batch  fp16, ms  int8, ms  plan, ms  int8 speedup  plan speedup  narrow passes
-----  --------  --------  --------  ------------  ------------  -------------
   16     22528     30208     22528         0.75x         1.00x              0


Advice on layer, batch 16, slow.toml, implicit GEMM, model roofline, conversions current

every GEMM in                        ms/step  speedup  passes narrow  conversions, ms  turned round, ms  basis
-----------------------------------  -------  -------  -------------  ---------------  ----------------  --------
fp16                                   22528    1.00x          0.0 %             7168                 0  roofline
int8                                   30208    0.75x        100.0 %            13568              1536  roofline
the least-time plan (fp16 and int8)    22528    1.00x          0.0 %             7168                 0  roofline

Nothing pays off: the plan has every GEMM in fp16.
The plan saves 7680 ms, 25.4 %, of the step in int8 throughout.
As a whole, 1 of 1 layers are not worth int8; fc (-7680 ms).
int8 throughout is not faster than fp16 at batch 16.
GEMMs on slow at 1000 MHz: fp16 (sums in fp32) on tensor cores, int8 (sums in int32) on tensor cores.
Quantising: current, maximum first, then quantise, 9 B/element.
"""


@pytest.fixture
def layer(here):
    """The network as layer.toml, in the folder where the command line runs."""
    (here / "layer.toml").write_text(NETWORK)
    return here


def test_the_tables(cli, layer):
    done = cli("advise", "layer.toml", *SLOW, "--batches", "16")
    assert (done.code, done.err) == (0, "")
    assert done.out == GOLDEN


def test_free_conversions_pay_off(cli, layer):
    done = cli("advise", "layer.toml", *SLOW, "--overhead", "ideal", "--batches", "8,16", "-o", "passes.csv")
    assert (done.code, done.out, done.err) == (0, "", "")
    with open(layer / "passes.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    found = [(row["pass"], row["plan"], float(row["net_s"]), row["copies_s"], row["least_batch"]) for row in rows]
    assert found == [
        ("fprop", "int8", pytest.approx(0.512), "0.0", "8"),
        ("wgrad", "fp16", pytest.approx(-0.256), "0.0", ""),
    ]
    assert rows[0]["overhead"] == "ideal"


def test_by_layer(cli, layer):
    done = cli("advise", "layer.toml", *SLOW, "--overhead", "ideal", "--by", "layer", "--batches", "8,16,32")
    assert done.code == 0
    row = next(line for line in done.out.splitlines() if line.startswith("fc"))
    assert row.split() == ["fc", "5120", "4864", "0", "0", "+256", "fprop", "8"]
    assert "Every layer as a whole gains in int8." in done.out
    assert "int8 throughout is faster than fp16 from batch 16 on." in done.out


def test_json_holds_everything(cli, layer):
    assert cli("advise", "layer.toml", *SLOW, "--batches", "", "-o", "all.json").code == 0
    ways, passes = json.loads((layer / "all.json").read_text())
    assert [row["step_s"] for row in ways["rows"]] == pytest.approx([22.528, 30.208, 22.528])
    assert [row["least_batch"] for row in passes["rows"]] == [None, None]


@pytest.mark.parametrize("batches", ["", "8,16"])
def test_a_picture_and_the_plan(cli, layer, batches):
    arguments = ("advise", "layer.toml", *SLOW, "--overhead", "ideal", "--batches", batches, "--plan", "plan.toml")
    done = cli(*arguments, "-o", "advice.svg")
    assert (done.code, done.out, done.err) == (0, "", "")
    text = (layer / "advice.svg").read_text()
    assert "gains 256 ms; plan: fprop" in text
    assert "Modelled, not measured: slow.toml" in text
    assert ("times as fast as fp16 throughout" in text) == bool(batches)
    assert (layer / "plan.toml").exists()


@pytest.mark.parametrize("network", ["alexnet", "resnet20", "googlenet-aux"])
def test_the_plan_is_a_scheme_that_takes_what_was_said(cli, here, network):
    done = cli("advise", network, "--batch", "128", "--batches", "128", "--plan", "plan.toml", "-o", "advice.json")
    assert (done.code, done.out, done.err) == (0, "", "")
    ways, batches, _ = json.loads((here / "advice.json").read_text())
    assert cli("breakdown", network, "--batch", "128", "--precision", "plan.toml,fp16", "-o", "step.csv").code == 0
    with open(here / "step.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for name, way in (("plan.toml", "plan"), ("fp16", "fp16")):
        seconds = sum(float(row["time_s"]) for row in rows if row["precision"] == name)
        assert seconds == pytest.approx(next(row["step_s"] for row in ways["rows"] if row["way"] == way), rel=1e-9)
    assert batches["rows"][0]["plan_s"] == pytest.approx(ways["rows"][-1]["step_s"])
    assert "batch 128, rtx-2080-ti" in find_scheme("plan.toml").source


def test_speedup_takes_the_plan(cli, here):
    (here / "run.csv").write_text("epoch,loss\n0,3.5\n1,2.5\n2,1.5\n")
    assert cli("advise", "resnet18", "--batch", "128", "--batches", "", "--plan", "plan.toml").code == 0
    log = ("run.csv", "--scheme", "plan.toml", "--precision", "fp16", "--network", "resnet18")
    done = cli("speedup", *log, "--dataset", "cifar10", "--samples", "50000", "--batch", "128", "-o", "out.json")
    assert (done.code, done.out) == (0, "")
    rows = json.loads((here / "out.json").read_text())["rows"]
    assert rows[2]["training"] == "least-time plan for resnet18"
    assert rows[2]["time_low_s"] < rows[1]["time_low_s"]  # mixed precision's


def test_two_narrow_formats(cli, here):
    done = cli("advise", "resnet20", "--device", "h200", "--precision", "int8,fp8_e4m3", "--batches", "64,128")
    assert done.code == 0
    assert "the least-time plan (fp16 and int8 and fp8_e4m3)" in done.out
    assert re.search(r"^conv1 +fprop +int8 .*\n^conv1 +fprop +fp8_e4m3 ", done.out, re.M)


def test_what_a_device_lacks_is_refused(cli, here):
    assert cli("advise", "resnet20", "--device", "p100").refused("E1103 device p100: has no unit for int8.")


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("--by", "laye"), "E1008 --by 'laye' is not known. Did you mean layer?"),
        (("--batches", "1,x"), "E1105 --batches 'x' is not a whole number."),
        (("--batches", "0"), "E1105 --batches are not up to 100 numbers"),
        (("--batches", ",".join(["1"] * 101)), "E1105 --batches are not up to 100 numbers"),
        (("--batch", "0"), "E1105 --batch 0 is not between"),
        (("--precision", "int9x"), "E1004 format 'int9x' is not known."),
        (("--precision", "int8,fp16"), "E1761 --precision fp16 needs no conversion"),
        (("--precision", "mxfp8"), "E1101 precision 'mxfp8': no GEMM unit computes in it."),
        (("--base", "muppet"), "E1761 --base muppet has formats of its own"),
        (("--base", "nope"), "E1006 scheme 'nope' is not known."),
        (("--plan", "x.json"), "E1904 x.json: ends in '.json'. Choose one of .toml."),
        (("--plan", "no/x.toml"), "E1901 no/x.toml: there is no folder no."),
        (("--plan", "layer.toml"), "E1105 --plan is one of the files to read."),
        (("--plan", "./slow.toml", "--device", "slow.toml"), "E1105 --plan is one of the files to read."),
        (("-o", "x.gif"), "E1904 x.gif: ends in '.gif'."),
        (("--overhead", "table3"), "E1105 --overhead table3 depends on a trace"),
    ],
)
def test_wrong_input(cli, layer, arguments, start):
    assert cli("advise", "layer.toml", *arguments).refused(start)
    assert not list(layer.glob("x*"))
