"""`perfmodel compare`: its tables by hand, files and figures, and what it says to wrong input."""

import csv
import io
import json
import re

import pytest

from perfmodel.gemm import Gemm, find_precision
from perfmodel.lowering import MemoryOp
from perfmodel.profiles.environment import make_header
from perfmodel.profiles.journal import Journal
from perfmodel.profiles.kernel import Kernel

SLOW = ("--device", "slow.toml", "--model", "roofline", "--batch", "2", "--samples", "8")
THREE = ("compare", "one.toml", "--schemes", "fp32,mixed,muppet", "--epochs", "131", *SLOW)
# Seconds of a step, see test_speedup.py: FP32 0.32, mixed precision 0.656, 8 bits 0.764, 12 to 16 bits 0.932. MuPPET's
# 131 epochs of 4 iterations: 4·(30·0.764 + 42·0.932 + 59·0.32) = 323.776 s, an epoch 2.4716 s; FP32 167.68 s, mixed
# precision 343.744 s. BitOPs: (30·8² + 18·12² + 12·14² + 12·16² + 59·32²)/131/32² = 0.52445.
GOLDEN = """\
Schemes side by side: one, batch 2, slow.toml, implicit GEMM, model roofline, conversions current

scheme  time/epoch   whole run  speedup  by BitOPs    GEMM  conversions  update  other   BitOPs  GB/iteration  basis
------  ----------  ----------  -------  ---------  ------  -----------  ------  -----  -------  ------------  --------
fp32        1.28 s  2 min 48 s    1.00x      1.00x  50.0 %        0.0 %  50.0 %  0.0 %  100.0 %       3.2e-07  roofline
mixed       2.62 s  5 min 44 s    0.49x      4.00x  58.5 %       17.1 %  24.4 %  0.0 %   25.0 %      6.56e-07  roofline
muppet      2.47 s  5 min 24 s    0.52x      1.91x  44.4 %       29.7 %  25.9 %  0.0 %   52.4 %      6.18e-07  roofline

Trained: 131 x 4 iterations of batch 2 (8 images an epoch), the same with every scheme.
speedup = FP32's time / this time; by BitOPs: what it would be if time were bit operations (BitOPs, MACs x bits x bits,
here against FP32's). Shares are of the time; conversions: quantise, cast, transpose and scale kernels. GB/iteration:
what the kernels read and write at least.
muppet: shares of 30 epochs in dfx8, 18 epochs in dfx12, 12 epochs in dfx14, 12 epochs in dfx16, 59 epochs in fp32 (the
published run of ResNet20 on CIFAR-100, FP32 epochs by the reference's stopping rule).
GEMMs on slow at 1000 MHz: fp32 (sums in fp32) on CUDA cores, fp16 (sums in fp32) on tensor cores, int8 (sums in int32)
on tensor cores.
Proxies: dfx12 timed as fp16, dfx14 timed as fp16, dfx16 timed as fp16.
Quantising: current, maximum first, then quantise, 9 B/element.


Steps of schemes that change their formats

scheme  formats  iterations   share  ms/iteration  speedup  GEMMs on
------  -------  ----------  ------  ------------  -------  --------
muppet  dfx8            120  22.9 %           764    0.42x  int8
muppet  dfx12            72  13.7 %           932    0.34x  fp16
muppet  dfx14            48   9.2 %           932    0.34x  fp16
muppet  dfx16            48   9.2 %           932    0.34x  fp16
muppet  fp32            236  45.0 %           320    1.00x  fp32
"""
CYCLE = """
title = "A cycle"
source = "made up"
formats = ["int3", "int4", "int5", "int6", "int7", "int8"]
conversions = [{ kind = "quantise", of = "weights" }]
schedule = { kind = "cyclic", low = 3, high = 8, backward = 8, cycles = 2 }
"""


@pytest.fixture
def cycle(here):
    (here / "cycle.toml").write_text(CYCLE)
    return "cycle.toml"


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_the_tables(cli):
    found = cli(*THREE)
    assert (found.code, found.out, found.err) == (0, GOLDEN, "")


def test_schemes_of_one_format_need_one_table(cli):
    out = cli("compare", "one.toml", "--schemes", "fp32,mixed", *SLOW).out
    assert "Steps of schemes" not in out
    assert "Trained: 90 x 4 iterations of batch 2 (8 images an epoch), the same with every scheme.\n" in out
    assert "Quantising" not in out
    assert "Proxies" not in out


def test_defaults(cli):
    out = cli("compare", "resnet20").out
    assert [line.split()[0] for line in out.splitlines()[4:10]] == ["fp32", "mixed", "muppet", "fp8", "cpt", "hbfp"]
    assert "resnet20, batch 256, rtx-2080-ti, implicit GEMM, model tiles, conversions current" in out
    assert "Trained: 90 x 196 iterations of batch 256 (50,000 images an epoch)" in out
    assert "Trained: 90 x 5,005 iterations" in cli("compare", "resnet18", "--schemes", "fp32").out


def test_the_finding_without_int4_units(cli, cycle):
    out = cli("compare", "one.toml", "--schemes", cycle, "--epochs", "16000", *SLOW).out
    # Of a long cycle acos(0.8)/π = 0.20483 has 3 bits, and 8; 0.16418 has 4, and 7; 0.13099 has 5, and 6. Without a
    # dgrad, b² + 8b of 128: (0.20483·(33 + 128) + 0.16418·(48 + 105) + 0.13099·(65 + 84))/128 = 1 - 0.3936; with it,
    # b² + 16b of 192: 1 - 0.3670.
    words = (
        "A cycle saves no time over static 8 bits on slow: all its widths run on int8 units; bit operations fall by "
        "36.7 % if all layers count alike, by 39.4 % as they are here. GEMMs on"
    )
    assert words in " ".join(out.split())


@pytest.mark.parametrize(
    ("device", "words"),
    [
        (
            "h100-sxm",
            "CPT saves no time over static 8 bits on h100-sxm: all its widths run on int8 units; bit operations",
        ),
        ("rtx-2080-ti", "of the time of static 8 bits on rtx-2080-ti: it runs on int4, int8 units; bit operations"),
    ],
)
def test_the_finding_on_bundled_devices(cli, device, words):
    out = " ".join(cli("compare", "resnet18", "--schemes", "cpt", "--device", device).out.split())
    assert words in out
    assert "fall by 36.7 % if all layers count alike, by 18.9 % as they are here." in out


def test_a_refused_scheme_has_a_row(cli):
    found = cli("compare", "resnet20", "--schemes", "mixed,muppet", "--device", "p100")
    lines = found.out.splitlines()
    assert (found.code, found.err) == (0, "")
    assert lines[5].split() == ["muppet", *["–"] * 11, "refused,", "E1103"]
    assert "Refused: muppet: E1103 device p100: has no unit for int8. It computes in fp16, fp32, fp64." in lines


def test_raw_steps(cli, here):
    assert cli(*THREE, "-o", "a.csv").out == ""
    rows = rows_of((here / "a.csv").read_text())
    assert [(row["scheme"], row["formats"], row["iterations"]) for row in rows] == [
        ("fp32", "fp32", "524"), ("mixed", "fp16", "524"), ("muppet", "dfx8", "120"), ("muppet", "dfx12", "72"),
        ("muppet", "dfx14", "48"), ("muppet", "dfx16", "48"), ("muppet", "fp32", "236"),
    ]  # fmt: skip
    eight = rows[2]
    seconds = [float(eight[f"{name}_s"]) for name in ("step", "gemm", "conversions", "update", "other")]
    assert seconds == pytest.approx([0.764, 0.256, 0.348, 0.16, 0])
    assert (float(eight["traffic_bytes"]), float(eight["bit_operations"])) == (764, 2 * 8 * 2 * 64)
    assert {row["device"] for row in rows} == {"slow.toml"}
    assert {(row["network"], row["batch"], row["overhead"]) for row in rows} == {("one", "2", "current")}


def test_raw_schemes_and_steps(cli, here):
    cli(*THREE, "-o", "a.json")
    schemes, steps = json.loads((here / "a.json").read_text())
    assert [row["scheme"] for row in schemes["rows"]] == ["fp32", "mixed", "muppet"]
    assert [row["epoch_s"] for row in schemes["rows"]] == pytest.approx([1.28, 2.624, 323.776 / 131])
    assert [row["bit_share"] for row in schemes["rows"]] == pytest.approx([1, 0.25, 70352 / 131 / 1024])
    assert [row["refusal"] for row in schemes["rows"]] == [None] * 3
    assert len(steps["rows"]) == 7


def test_a_refusal_in_raw_files(cli, here):
    cli("compare", "resnet20", "--schemes", "fp32,muppet", "--device", "p100", "-o", "a.csv")
    rows = rows_of((here / "a.csv").read_text())
    assert [(row["scheme"], row["step_s"] != "", row["refusal"][:5]) for row in rows] == [
        ("fp32", True, ""), ("muppet", False, "E1103"),
    ]  # fmt: skip


@pytest.mark.parametrize("suffix", ["txt", "md", "tex", "csv", "json", "png", "svg", "pdf"])
def test_outputs(cli, here, suffix):
    found = cli("compare", "resnet20", "--schemes", "fp32,muppet,hbfp", "--device", "p100", "-o", f"a.{suffix}")
    assert (found.code, found.out, found.err) == (0, "", "")
    content = (here / f"a.{suffix}").read_bytes()
    assert len(content) > 500
    if suffix == "svg":
        assert b"refused: E1103 device p100: has no unit for int8" in content
        assert b"seconds for an epoch" in content
    assert suffix != "png" or content.startswith(b"\x89PNG")


def test_a_plan_of_ones_own(cli, here):
    (here / "mine.toml").write_text(
        'title = "Mine"\nsource = "made up"\ntensors = { format = "fp32" }\n[[epochs]]\nuntil = 3\nformat = "fp16"\n'
    )
    out = cli("compare", "one.toml", "--schemes", "mine.toml", "--epochs", "5", *SLOW).out
    assert "mine: the plan of its file, epoch by epoch.\n" in out
    assert [line.split()[1:4] for line in out.splitlines()[-2:]] == [["fp16", "12", "60.0"], ["fp32", "8", "40.0"]]


def test_a_device_without_fp32(cli, here):
    text = (here / "slow.toml").read_text().splitlines(keepends=True)
    (here / "slow.toml").write_text("".join(line for line in text if 'operand = "fp32"' not in line))
    found = cli("compare", "one.toml", "--schemes", "mixed", *SLOW)
    assert found.code == 0
    assert re.search(r"  –  +4\.00x  ", found.out.splitlines()[4])  # no speedup
    assert "No speedup: fp32: E1103 device slow: has no unit for fp32. It computes in fp16, int8." in found.out


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("nonet",), "E1002 network 'nonet' is not known."),
        (("one.toml", "--schemes", "muppt"), "E1006 scheme 'muppt' is not known. Did you mean muppet?"),
        (("one.toml", "--schemes", ""), "E1006 scheme '' is not known."),
        (("one.toml", "--schemes", "fp32,"), "E1006 scheme '' is not known."),
        (("one.toml", "--schemes", "fp32,mixed,fp32"), "E1531 --schemes two are called 'fp32'. Name each once"),
        (("one.toml", "--schemes", ",".join(["fp32"] * 101)), "E1105 --schemes names 101; at most 100."),
        (("one.toml", "--schemes", "no.toml"), "E1201 no.toml does not exist."),
        (
            ("one.toml", "--schemes", "broken.toml"),
            "E1206 broken.toml: not valid TOML: Invalid value (at line 1, column 9).",
        ),
        (("one.toml", "--epochs", "0"), "E1105 --epochs 0 is not between 1 and 1000000."),
        (("one.toml", "--epochs", "1_0"), "E1100 perfmodel compare: argument --epochs: '1_0' is not a whole number."),
        (("one.toml", "--epochs", "9" * 18), "E1105 --epochs 999999999999999999 is not between 1 and"),
        (("one.toml", "--samples", "0"), "E1105 --samples 0 is not between 1 and 1000000000000."),
        (("one.toml", "--batch", "0"), "E1105 --batch 0 is not between 1 and 10000000."),
        (("one.toml", "--overhead", "table3"), "E1105 --overhead table3 depends on a trace's quantised epochs"),
        (("one.toml", "--overhead", "much"), "E1105 --overhead 'much' is neither a level nor a number"),
        (("resnet20", "--overhead", "measured"), "E1111 --overhead measured: the time of conversions on rtx-2080-ti"),
        (("one.toml", "--mapping", "other"), "E1005 mapping 'other' is not known."),
        (("one.toml", "--device", "h300"), "E1001 device 'h300' is not known."),
        (("one.toml", "--schemes", "muppet", "--device", "p100"), "E1103 device p100: has no unit for int8."),
        (("one.toml", "-o", "a.xlsx"), "E1904 a.xlsx: ends in '.xlsx'."),
        ((), "E1100 perfmodel compare: the following arguments are required: NETWORK."),
    ],
)
def test_wrong_input(cli, here, arguments, start):
    (here / "broken.toml").write_text("title = \n")
    before = sorted(here.iterdir())
    found = cli("compare", *arguments)
    assert found.refused(start), found
    assert sorted(here.iterdir()) == before


def test_all_wrong_schemes_are_told_at_once(cli, here):
    (here / "broken.toml").write_text('title = "t"\nsource = "s"\ntensors = { format = "fp99" }\n')
    found = cli("compare", "one.toml", "--schemes", "x,broken.toml,mixt")
    assert (found.code, found.out) == (2, "")
    assert [line.split()[0] for line in found.err.splitlines()] == ["E1006", "E1004", "E1006"]


def test_huge_runs_are_priced_or_refused(cli, cycle):
    huge = ("--epochs", "1000000", "--samples", "1000000000000", "--batch", "1")
    found = cli("compare", "one.toml", "--schemes", f"fp32,muppet,{cycle}", *SLOW, *huge)
    assert found.code == 0
    assert "refused, E13" in found.out.splitlines()[6]
    assert "Trained: 1,000,000 x 1,000,000,000,000 iterations of batch 1" in found.out


# ---- with a profile --------------------------------------------------------------------------------------------------

FP32, HALF, INT8 = find_precision("fp32"), find_precision("fp16"), find_precision("int8")
HALF_TO_FP32 = find_precision("fp16", "fp32", "fp32")
# All kernels of one.toml in batches of 2 and their seconds, see test_profiled.py.
OF_FP32 = {
    Gemm(2, 2, 4): 0.3, Gemm(2, 4, 2, layout="nt"): 0.5, MemoryOp(96, 64, "update", (8,)): 0.2,
}  # fmt: skip
OF_MUPPET = {
    Gemm(2, 4, 8, 1, HALF_TO_FP32): 0.03, Gemm(8, 8, 2, 1, HALF_TO_FP32, layout="nt"): 0.05,
    Gemm(2, 4, 16, 1, INT8): 0.01,
    MemoryOp(32, 0, "absmax", (8,)): 0.012, MemoryOp(32, 8, "quantise", (8,)): 0.008,
    MemoryOp(16, 0, "absmax", (4,)): 0.006, MemoryOp(16, 4, "quantise", (4,)): 0.004,
    MemoryOp(4, 4, "transpose", (2, 2)): 0.003, MemoryOp(8, 8, "transpose", (2, 4)): 0.007,
}  # fmt: skip
PROFILED = ("compare", "one.toml", "--device", "slow.toml", "--batch", "2", "--samples", "8", "--profile", "p.jsonl")


def write_profile(path, kernels):
    """A profile in which every launch of a kernel took the same time."""
    header = make_header({"device": {"kind": "cuda", "name": "A slow GPU"}}, "2026-11-22", "a test")
    with Journal.create(path, header, sync=False) as journal:
        journal.append({"type": "session", "session": 1, "settings": {}, "request": {}, "started": str(path)})
        for i, kernel in enumerate(kernels):
            row = {"type": "kernel", "session": 1, "kernel": i, "what": Kernel(kernel).to_json(), "weight": 1.0}
            journal.append(row | {"prior": 0.5, "status": "ready", "reason": ""})
        settled = {"type": "settle", "session": 1, "seconds": 20.0, "reference_clock_hz": 1e9, "settled": True}
        journal.append(settled)
        for round_ in range(6):
            for i, seconds in enumerate(kernels.values()):
                row = {"type": "visit", "session": 1, "round": round_, "position": i, "kernel": i, "regime": "cold"}
                row |= {"launches": 1, "sets": 3, "mode": "graph", "offset_s": 0.0, "seconds": [seconds] * 3}
                journal.append(
                    row | {"clock_hz": [1e9] * 3, "flags": [], "readings": {}, "elapsed_s": 1.0, "state": {}}
                )
        journal.append({"type": "end", "session": 1, "status": "done", "elapsed_s": 9.0, "ended": "2026-11-22"})


def test_measured_times(cli, here):
    write_profile(here / "p.jsonl", OF_FP32 | OF_MUPPET)
    found = cli(*PROFILED, "--schemes", "fp32,muppet", "--epochs", "131", "--overhead", "measured", "-o", "a.json")
    assert (found.code, found.err) == (0, "")
    schemes, _ = json.loads((here / "a.json").read_text())
    # 8 bits 0.01·2 + 0.2 + 0.09 + 0.01, others 0.03 + 0.05 + 0.2 + 0.09, FP32 1.0.
    assert [row["epoch_s"] for row in schemes["rows"]] == pytest.approx(
        [4, 4 * (30 * 0.32 + 42 * 0.37 + 59 * 1.0) / 131]
    )
    assert schemes["notes"][-1] == "All 12 distinct kernels are measured."
    assert {row["basis"] for row in schemes["rows"]} == {"measured"}


def test_what_a_profile_lacks_is_a_refusal_or_modelled(cli, here):
    write_profile(here / "p.jsonl", OF_FP32)
    found = cli(*PROFILED, "--schemes", "fp32,mixed")
    assert found.code == 0
    assert found.out.splitlines()[5].endswith("refused, E2201")
    filled = cli(*PROFILED, "--schemes", "fp32,mixed", "--fill", "roofline")
    assert filled.out.splitlines()[5].endswith("measured+roofline")
    refused = cli(*PROFILED, "--schemes", "muppet", "--fill", "roofline", "--overhead", "measured")
    assert refused.refused("E1111 --overhead measured: the time of conversions on slow is roofline.")


def test_devices_side_by_side(cli, here):
    fast = (here / "slow.toml").read_text().replace("dram_gb_per_s = 1e-6", "dram_gb_per_s = 2e-6")
    (here / "fast.toml").write_text("\n".join(row for row in fast.splitlines() if '"int8"' not in row))
    arguments = [*THREE]
    arguments[arguments.index("slow.toml")] = "slow.toml,fast.toml"
    done = cli(*arguments)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("""\
Schemes side by side: one, batch 2, slow, fast, implicit GEMM, model roofline, conversions current

scheme  slow           fast
------  -------------  --------------
fp32    1.28 s, 1.00x  0.64 s, 1.00x
mixed   2.62 s, 0.49x  1.31 s, 0.49x
muppet  2.47 s, 0.52x  refused, E1103

Time of an epoch, and times as fast as FP32 on the same device. Refused is what a device has no unit for.
Refused on fast: muppet: E1103 device fast: has no unit for int8. It computes in fp16, fp32.
""")
    assert "\nOn slow\n" in done.out
    assert "\nOn fast\n" in done.out
    assert cli(*arguments, "-o", "all.csv").code == 0
    with open(here / "all.csv", newline="") as file:
        rows = [(row["device"], row["scheme"], row["epoch_s"]) for row in csv.DictReader(file)]
    assert [row[:2] for row in rows] == [(d, s) for d in ("slow", "fast") for s in ("fp32", "mixed", "muppet")]
    assert [float(row[2] or "nan") for row in rows[:2]] == pytest.approx([1.28, 2.624])
    assert cli(*arguments, "-o", "all.svg").code == 0
    svg = (here / "all.svg").read_text()
    assert "refused: E1103 device fast" in svg
    assert " slow " in svg


@pytest.mark.parametrize(
    ("more", "told"),
    [((), True), (("--calibration", "none"), False), (("--model", "roofline"), False)],
)
def test_calibrated_devices_beside_others_are_told(cli, more, told):
    done = cli("compare", "resnet20", "--schemes", "fp32", "--device", "a100,a100-80gb", *more)
    assert done.code == 0
    assert ("Calibrated: a100; the others are not," in done.out) == told


@pytest.mark.parametrize(
    ("device", "more", "start"),
    [
        ("slow.toml,slow.toml", (), "E1105 --device names slow twice."),
        ("slow.toml,h300", (), "E1001 device 'h300' is not known."),
        ("slow.toml,", (), "E1001 device '' is not known."),
        ("slow.toml,a100", ("--profile", "p.jsonl"), "E1105 --profile is of one device"),
    ],
)
def test_wrong_devices(cli, here, device, more, start):
    assert cli("compare", "one.toml", "--device", device, *more).refused(start)
