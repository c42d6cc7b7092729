"""`perfmodel speedup`: its table by hand, every kind of output, and what it says to wrong input."""

import csv
import io
import json
import re
from pathlib import Path

import pytest

SLOW = ("--device", "slow.toml", "--model", "roofline")

# Seconds of a step, bytes / 1000; 2 images, 4 in, 2 out. FP32: GEMMs of 80 and 80 B, update 160. Mixed precision:
# 2x8x8 (n, k padded to 8) and 8x8x2 (m, n), 96 elements of 2 B each, 192 and 192; casts of 48 and 64, update 160.
# 8 bit: 2x4x16 and 2x4x16 (n to 4, k to 16), 96 elements of 1 B and 8 of 4 B each, 128 and 128; 36 quantised elements
# of 9 B, 4 + 8 transposed of 2 B, update 160. 16 bit: 2x4x8 and 8x8x2 as mixed precision, but FP32 out, 48·2 + 8·4 and
# 32·2 + 64·4, 128 and 320; the rest as 8 bit without transposes.
#   FP32 0.32, mixed 0.656, 8 bit 0.764 (limit 0.416), 16 bit 0.932 (limit 0.608)
# Runs of 4 iterations an epoch: FP32 6·4·0.32 = 7.68 s, mixed 15.744 s, MuPPET 4·(0.764 + 0.932 + 0.32) = 8.064 s, of
# which 8·0.324 + 4·0.024 = 2.688 s convert; its limit 4·(0.416 + 0.608 + 0.32) = 5.376 s.
GOLDEN = """\
Training time and speedup: slow.toml, implicit GEMM, model roofline, conversions current

trace  training                   epochs  time    speedup  at equal epochs  by fewer epochs  conversions  basis
-----  -------------------------  ------  ------  -------  ---------------  ---------------  -----------  --------
run    FP32                            6  7.68 s  1.00x    1.00x                      1.00x  0.0 %        roofline
run    mixed precision                 6  15.7 s  0.49x    0.49x                      1.00x  17.1 %       roofline
run    MuPPET                          3  8.06 s  0.95x    0.48x                      2.00x  33.3 %       roofline
run    MuPPET, theoretical limit       3  5.38 s  1.43x    0.71x                      2.00x  0.0 %        roofline

speedup = FP32's time / this time = (at equal epochs) x (by fewer epochs): what precision and schedule give, and what
training fewer epochs than the FP32 baseline gives. A range spans what the trace leaves open.
conversions: share of the time in quantise, cast, transpose and gradient-check kernels; the theoretical limit has none.
GEMMs on slow at 1000 MHz: fp32 (sums in fp32) on CUDA cores, fp16 (sums in fp32) on tensor cores, int8 (sums in int32)
on tensor cores.
Proxies: dfx16 timed as fp16.
"""


DIGITS = Path(__file__).parent.parent / "data" / "digits"


def test_the_time_to_an_accuracy_stands_in_the_raw_columns_too(cli, here):
    runs = [str(DIGITS / name) for name in ("muppet.jsonl", "fp32.jsonl")]
    found = cli("speedup", *runs, "--target", "99.3", "-o", "t.csv")
    assert (found.code, found.err) == (0, "")
    rows = {(row["trace"], row["training"]): row for row in rows_of((here / "t.csv").read_text())}
    muppet, fp32 = rows["muppet", "MuPPET"], rows["fp32", "FP32"]
    assert (muppet["accuracy_metric"], muppet["target_accuracy"]) == ("test_accuracy", "99.3")
    assert 0 < float(muppet["target_low_s"]) < float(muppet["time_low_s"])
    assert (fp32["best_accuracy"][:5], fp32["target_epoch"], fp32["target_low_s"]) == ("99.16", "", "")
    assert rows["muppet", "mixed precision"]["best_accuracy"] == ""
    printed = cli("speedup", *runs, "--target", "99.3")
    assert "  not reached  " in printed.out
    assert "Time to accuracy" not in cli("speedup", "muppet-resnet20-cifar10").out


def test_the_columns_belong_to_the_run_alone(cli, here):
    run = str(DIGITS / "fp32.jsonl")
    assert cli("speedup", run, run, "--baseline-epochs", "200", "-o", "t.csv").code == 0
    rows = rows_of((here / "t.csv").read_text())
    assert [row["best_accuracy"][:5] for row in rows] == ["", "", "99.16", ""] * 2
    assert [row["epochs"] for row in rows] == ["200", "200", "150", "150"] * 2


def test_a_target_that_nothing_can_be_told_of_is_refused(cli):
    assert cli("speedup", "muppet-resnet20-cifar10", "--target", "90").refused(
        "E1731 --target is of an accuracy, and no"
    )
    drawn = cli("speedup", str(DIGITS / "fp32.jsonl"), "--target", "90", "-o", "t.png")
    assert drawn.refused("E1105 --target is of a table, and -o asks for a figure.")


def test_what_is_printed_as_best_is_reached(cli):
    run = str(DIGITS / "fp32.jsonl")  # 99.1667 at best
    printed = cli("speedup", run, "--target", "99.16").out
    assert "  99.16  " in printed
    assert "  epoch 10  " in printed


@pytest.mark.parametrize("target", ["-1", "100.5", "nan"])
def test_a_target_is_a_percentage(cli, target):
    assert cli("speedup", str(DIGITS / "fp32.jsonl"), "--target", target).refused("E1105 --target ")


def rows_of(outcome):
    return list(csv.DictReader(io.StringIO(outcome)))


def test_the_table(cli):
    found = cli("speedup", "run.jsonl", *SLOW)
    assert (found.code, found.out, found.err) == (0, GOLDEN, "")


def test_raw_values(cli, here):
    assert cli("speedup", "run.jsonl", *SLOW, "-o", "a.csv").out == ""
    rows = rows_of((here / "a.csv").read_text())
    assert [row["training"] for row in rows] == ["FP32", "mixed precision", "MuPPET", "MuPPET, theoretical limit"]
    assert [float(row["time_low_s"]) for row in rows] == pytest.approx([7.68, 15.744, 8.064, 5.376])
    assert [float(row["overhead_share_low"]) for row in rows] == pytest.approx([0, 0.112 / 0.656, 2.688 / 8.064, 0])
    assert [row["proxies"] for row in rows] == ["", "", "dfx16 timed as fp16", "dfx16 timed as fp16"]
    assert list(rows[0]) == [
        "trace", "network", "training", "epochs", "time_low_s", "time_high_s", "time_interval_low_s",
        "time_interval_high_s", "speedup_low", "speedup_high", "equal_epoch_speedup_low", "equal_epoch_speedup_high",
        "speedup_interval_low", "speedup_interval_high", "epoch_factor", "overhead_share_low",
        "overhead_share_high", "basis", "proxies", "device", "model", "calibration", "mapping", "tile", "no_split_k",
        "overhead",
    ]  # fmt: skip
    assert {row["device"] for row in rows} == {"slow.toml"}
    assert {row["overhead"] for row in rows} == {"current"}


def test_ranges_run_in_the_order_of_their_times(cli, here):
    # Each of three epochs is in 8 bits or in FP32, at least one of them in either.
    text = (here / "run.jsonl").read_text().splitlines()
    ladder = '"baseline_epochs":6,"scheme_params":{"ladder":["dfx8","fp32"],"min_dwell":1}}'
    open_epochs = [text[3].replace('"epoch":2', f'"epoch":{n}').replace('"fp32"', '["dfx8","fp32"]') for n in range(3)]
    lines = [text[0].replace('"baseline_epochs":6}', ladder), *open_epochs]
    (here / "run.jsonl").write_text("\n".join(lines) + "\n")
    found = cli("speedup", "run.jsonl", *SLOW, "--overhead", "ideal")
    assert (found.code, found.err) == (0, "")
    # One or two epochs of 4·0.416 s, the others of 4·0.32 s: 4.224 and 4.608 s, of 7.68 s.
    row = found.out.splitlines()[6]
    assert "  4.22 s … 4.61 s  1.82x … 1.67x  0.91x … 0.83x " in row
    cli("speedup", "run.jsonl", *SLOW, "--overhead", "ideal", "-o", "a.csv")
    raw = rows_of((here / "a.csv").read_text())[2]
    assert (float(raw["time_low_s"]), float(raw["time_high_s"])) == pytest.approx((4.224, 4.608))
    assert (float(raw["speedup_low"]), float(raw["speedup_high"])) == pytest.approx((7.68 / 4.608, 7.68 / 4.224))


def test_long_times_carry_their_unit(cli):
    lines = cli("speedup", "muppet-alexnet-imagenet").out.splitlines()[4:8]
    assert all(re.search(r"  [0-9]+:[0-9]{2} h( |$)", line) for line in lines)
    lines = cli("speedup", "muppet-resnet20-cifar100").out.splitlines()[4:8]
    assert all(re.search(r"  [0-9]+ min [0-9]{2} s |  [0-9]+:[0-9]{2} h ", line) for line in lines)


@pytest.mark.parametrize(
    ("overhead", "seconds"),
    # Of 36 elements at 5, 9 and 72 B in 8 of 12 iterations (1.44, 2.592, 20.736 s), with transposes in 4 of them (0.096
    # s); 100 ms in 8 iterations.
    [("ideal", 5.376), ("delayed", 6.912), ("current", 8.064), ("unfused", 26.208), ("100", 6.176), ("0", 5.376)],
)
def test_overheads(cli, here, overhead, seconds):
    assert cli("speedup", "run.jsonl", *SLOW, "--overhead", overhead, "-o", "a.json").code == 0
    found = json.loads((here / "a.json").read_text())
    assert found["rows"][2]["time_low_s"] == pytest.approx(seconds)
    assert found["rows"][3]["time_low_s"] == pytest.approx(5.376)


def test_table3s_overhead_of_a_bundled_trace(cli):
    found = cli("speedup", "muppet-alexnet-imagenet", "--overhead", "table3")
    assert found.code == 0
    assert "conversions table3" in found.out
    assert "analytical+published" in found.out


def test_baselines_and_network(cli, here):
    (here / "wide.toml").write_text((here / "one.toml").read_text().replace("out = 2", "out = 4"))
    cli("speedup", "run.jsonl", *SLOW, "--baseline-epochs", "3", "--network", "wide.toml", "-o", "a.csv")
    rows = rows_of((here / "a.csv").read_text())
    # 16 weights: GEMMs of (8 + 16 + 8)·4 and (8 + 8 + 16)·4 B, update 320: 0.576 s.
    assert float(rows[0]["time_low_s"]) == pytest.approx(3 * 4 * 0.576)
    assert rows[0]["epochs"] == "3"
    assert rows[0]["network"] == "wide"


def test_several_traces(cli, here):
    (here / "other.jsonl").write_text((here / "run.jsonl").read_text())
    found = cli("speedup", "run.jsonl", "other.jsonl", *SLOW)
    assert [line.split()[0] for line in found.out.splitlines()[4:12]] == ["run"] * 4 + ["other"] * 4


@pytest.mark.parametrize(
    ("suffix", "start"),
    [
        ("txt", b"Training time and speedup: slow.toml"), ("csv", b"trace,network,training,epochs,time_low_s"),
        ("json", b'{\n "title": "Training time'), ("md", b"## Training time and speedup"),
        ("tex", b"% Training time and speedup"), ("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF"),
        ("TXT", b"Training time"),
    ],
)  # fmt: skip
def test_outputs(cli, here, suffix, start):
    found = cli("speedup", "run.jsonl", *SLOW, "-o", f"a.{suffix}")
    assert (found.code, found.out, found.err) == (0, "", "")
    assert (here / f"a.{suffix}").read_bytes().startswith(start)
    assert sorted(path.name for path in here.iterdir()) == sorted(
        [f"a.{suffix}", "gemms.csv", "one.toml", "run.jsonl", "slow.toml"]
    )  # fmt: skip


def test_gaps_are_a_warning(cli, here):
    lines = (here / "run.jsonl").read_text().splitlines()
    (here / "run.jsonl").write_text("\n".join((lines[0], lines[1], lines[3])) + "\n")
    found = cli("speedup", "run.jsonl", *SLOW)
    assert found.code == 0
    assert found.out.startswith("Training time")
    assert (
        found.err
        == "W1310 run.jsonl: epoch 1 is missing: no time is counted for what is missing. Add what is missing.\n"
    )


def test_gaps_are_an_error_with_strict(cli, here):
    lines = (here / "run.jsonl").read_text().splitlines()
    (here / "run.jsonl").write_text("\n".join((lines[0], lines[1], lines[3])) + "\n")
    found = cli("speedup", "run.jsonl", *SLOW, "--strict", "-o", "a.txt")
    assert found.refused(
        "W1310 run.jsonl: epoch 1 is missing: no time is counted for what is missing. Add what is missing."
    )
    assert not (here / "a.txt").exists()
    as_json = cli("speedup", "run.jsonl", *SLOW, "--strict", "--errors", "json")
    assert (as_json.code, as_json.out) == (2, "")
    assert json.loads(as_json.err)["code"] == "W1310"


def test_epochs_cut_short_are_a_warning_and_count_as_far_as_they_went(cli, here):
    text = (here / "run.jsonl").read_text()
    lines = text.splitlines()
    whole = [json.loads(line) for line in lines]
    last = {**whole[-1], "iterations": 1}
    (here / "run.jsonl").write_text("\n".join((*lines[:-1], json.dumps(last))) + "\n")
    found = cli("speedup", "run.jsonl", *SLOW, "-o", "a.csv")
    assert found.err.startswith(f"W1311 run.jsonl: epoch {last['epoch']} is cut short: the iterations given count.")
    rows = list(csv.DictReader((here / "a.csv").open()))
    done = sum(segment["iterations"] for segment in whole[1:-1]) + 1
    baseline = whole[0].get("baseline_epochs", len(whole) - 1) * whole[1]["iterations"]
    assert float(rows[2]["epoch_factor"]) == pytest.approx(baseline / done)


def test_strict_without_gaps_changes_nothing(cli):
    found = cli("speedup", "run.jsonl", *SLOW, "--strict")
    assert (found.code, found.out, found.err) == (0, GOLDEN, "")


def test_strict_names_every_trace_with_gaps(cli, here):
    lines = (here / "run.jsonl").read_text().splitlines()
    more = [lines[3].replace('"epoch":2', f'"epoch":{n}') for n in (5, 6, 9)]
    (here / "a.jsonl").write_text("\n".join((*lines[:2], *lines[3:])) + "\n")
    (here / "b.jsonl").write_text("\n".join((*lines, *more)) + "\n")
    found = cli("speedup", "run.jsonl", "a.jsonl", "b.jsonl", *SLOW, "--strict")
    assert (found.code, found.out) == (2, "")
    assert found.err.splitlines() == [
        "W1310 a.jsonl: epoch 1 is missing: no time is counted for what is missing. Add what is missing.",
        "W1310 b.jsonl: epochs 3 to 4, 7 to 8 are missing: no time is counted for what is missing. Add what is "
        "missing.",
    ]


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("nope.jsonl",), "E1201 nope.jsonl does not exist."),
        (
            ("muppet-alexnet-imagenett",),
            "E1003 trace 'muppet-alexnet-imagenett' is not known. Did you mean muppet-alexnet",
        ),
        ((".",), "E1324 . is a folder without a log that is known."),
        (("run.jsonl", "--network", "resnet8"), "E1002 network 'resnet8' is not known. Did you mean resnet"),
        (("run.jsonl", "--device", "rtx-2080ti"), "E1001 device 'rtx-2080ti' is not known. Did you mean rtx-2080-ti"),
        (("run.jsonl", "--device", "run.jsonl"), "E1001 device 'run.jsonl' is not known."),
        (("run.jsonl", "--device", "no.toml"), "E1201 no.toml does not exist."),
        (("run.jsonl", "--model", "tile"), "E1007 model 'tile' is not known. Did you mean tiles?"),
        (("run.jsonl", "--mapping", "im2coll"), "E1005 mapping 'im2coll' is not known. Did you mean im2col"),
        (("run.jsonl", "--tile", "3x3"), "E1106 tile '3x3' is not in the set for fp32."),
        (
            ("run.jsonl", "--model", "roofline", "--tile", "64x64"),
            "E1106 model roofline: has neither tiles nor split-K.",
        ),
        (("run.jsonl", "--model", "roofline", "--no-split-k"), "E1106 model roofline: has neither tiles nor split-K."),
        (("run.jsonl", "--overhead", "curent"), "E1105 --overhead 'curent' is neither"),
        (("run.jsonl", "--overhead", "1e308"), "E1105 --overhead '1e308' is neither"),
        (("run.jsonl", "--overhead", "-1"), "E1105 --overhead '-1' is neither"),
        (
            ("run.jsonl", "--overhead", "table3"),
            "E1109 --overhead table3: Table 3 says nothing of one over 8 quantised iterations",
        ),
        (("run.jsonl", "--baseline-epochs", "0"), "E1105 --baseline-epochs 0 is not between 1 and 1000000."),
        (("run.jsonl", "--baseline-epochs", "-3"), "E1105 --baseline-epochs -3 is not between"),
        (("run.jsonl", "--baseline-epochs", "1000001"), "E1105 --baseline-epochs 1000001 is not between"),
        (
            ("run.jsonl", "--baseline-epochs", "1e3"),
            "E1100 perfmodel speedup: argument --baseline-epochs: '1e3' is not",
        ),
        (
            ("run.jsonl", "--baseline-epochs", "1_0"),
            "E1100 perfmodel speedup: argument --baseline-epochs: '1_0' is not",
        ),
        (("run.jsonl", "--baseline-epochs", "9" * 5000), "E1100 perfmodel speedup: argument --baseline-epochs:"),
        (
            ("run.jsonl", "--device", "p100"),
            "E1103 device p100: has no unit for int8. It computes in fp16, fp32, fp64.",
        ),
        ((), "E1100 perfmodel speedup: the following arguments are required: TRACE."),
        (("run.jsonl", "--nope"), "E1100 perfmodel speedup: unrecognized arguments: --nope."),
        (("run.jsonl", "-o", "a.xyz"), "E1904 a.xyz: ends in '.xyz'. Choose one of .txt, .csv, .json, .md, .tex, .png"),
        (("run.jsonl", "-o", "a"), "E1904 a: has no suffix"),
        (("run.jsonl", "-o", "no/a.txt"), "E1901 no/a.txt: there is no folder no."),
        (("run.jsonl", "-o", "no/a.png"), "E1901 no/a.png: there is no folder no."),
    ],
)
def test_wrong_input(cli, here, arguments, start):
    before = sorted(here.iterdir())
    found = cli("speedup", *arguments)
    assert found.refused(start), found
    assert sorted(here.iterdir()) == before


def test_equal_problems_are_told_once(cli):
    for arguments in (("nope.jsonl", "nope.jsonl"), ("run.jsonl", "run.jsonl", "--device", "p100")):
        found = cli("speedup", *arguments)
        assert found.refused("E1201 nope.jsonl" if "nope.jsonl" in arguments else "E1103 device p100"), found


def test_an_error_of_the_arguments_names_no_trace(cli, here):
    """What lies in no trace is told once, whatever the number of traces; what lies in one, for each of them."""
    (here / "other.jsonl").write_text((here / "run.jsonl").read_text().replace("dfx16", "fp16"))
    (here / "third.jsonl").write_text((here / "run.jsonl").read_text().replace("dfx16", "bf16"))
    both = ("speedup", "run.jsonl", "other.jsonl", "third.jsonl", *SLOW)
    assert cli(*both, "--network", "resnet8").refused("E1002 network 'resnet8' is not known.")
    assert cli(*both, "--overhead", "x").refused("E1105 --overhead 'x' is neither")
    assert cli(*both, "--mapping", "x").refused("E1005 mapping 'x' is not known.")
    found = cli(*both)
    assert (found.code, found.out) == (2, "")
    assert [line.split(" does ")[0] for line in found.err.splitlines()] == [
        "E1104 other.jsonl: scheme muppet:", "E1104 third.jsonl: scheme muppet:",
    ]  # fmt: skip


def test_problems_of_all_traces_come_together(cli):
    found = cli("speedup", "run.jsonl", "nope.jsonl", "neither.jsonl")
    assert found.code == 2
    assert [line.split()[:2] for line in found.err.splitlines()] == [
        ["E1201", "nope.jsonl"],
        ["E1201", "neither.jsonl"],
    ]


@pytest.mark.parametrize(
    ("change", "start"),
    [
        (lambda text: "", "E1324 run.jsonl: is empty."),
        (lambda text: text.splitlines()[0] + "\n", "E1312 run.jsonl:1: no segment follows."),
        (
            lambda text: text.replace('"iterations":4', '"iterations":5', 1),
            "E1311 run.jsonl:2: epoch 0 has 5 iterations",
        ),
        (lambda text: text.replace('"epoch":2', '"epoch":0'), "E1309 run.jsonl:4: epoch 0 follows epoch 1."),
        (lambda text: text.replace("dfx16", "fp16"), "E1104 run.jsonl: scheme muppet: does not train in fp16."),
        (
            lambda text: text.replace('"muppet"', '"mupet"'),
            "E1006 run.jsonl: scheme 'mupet' is not known. Did you mean muppet?",
        ),
        (lambda text: text.replace("one.toml", "two.toml"), "E1201 two.toml does not exist."),
        (lambda text: text.replace("one.toml", "one"), "E1002 run.jsonl: network 'one' is not known."),
        (
            lambda text: text.replace('"iterations":4,', '"iterations":4,"layers":{"fd":"fp32"},', 1),
            "E1108 run.jsonl: one: layer with a GEMM 'fd' is not known. Known: fc.",
        ),
        (lambda text: text.replace('{"note":"made up"}', "{}"), "E1304 run.jsonl:1: source: is empty."),
        (lambda text: text.replace('"samples":8', '"samples":8,"samples":9'), "E1302 run.jsonl:1"),
        (lambda text: text.replace('"batch":2', '"batch":NaN'), "E1301 run.jsonl:1"),
        (
            lambda text: text.replace('"fprop":"dfx8"', '"fprop":["dfx8","dfx12"]'),
            "E1315 run.jsonl: trace: the precision of some epochs is not known",
        ),
        (lambda text: "\x1b]0;owned\x07" + text, "E1324 run.jsonl:1: '\\x1b]0;owned\\x07{"),
    ],
)
def test_traces_that_are_wrong(cli, here, change, start):
    text = (here / "run.jsonl").read_text()
    (here / "run.jsonl").write_text(change(text))
    assert change(text) != text
    found = cli("speedup", "run.jsonl", *SLOW, "-o", "a.txt")
    assert found.refused(start), found
    assert not (here / "a.txt").exists()


def test_a_line_that_was_not_written_to_its_end_is_left_out(cli, here):
    """As kill -9 leaves it: the last of three epochs is lost, and that is said."""
    path = here / "run.jsonl"
    path.write_text(path.read_text()[:-30])
    found = cli("speedup", "run.jsonl", *SLOW)
    assert (found.code, found.err) == (0, "corrected: run.jsonl:4 the last line is cut off: left out\n")
    assert re.search(r"MuPPET +2 ", found.out)


@pytest.mark.parametrize("suffix", [None, "txt", "md", "tex", "csv", "json", "svg", "png"])
def test_hostile_names_and_contents(cli, here, suffix):
    evil = "\x1b[31m\x07\u202e$\\frac{"
    trace = (here / "run.jsonl").read_text()
    trace = (
        trace.replace("one.toml", "bad.toml").replace("made up", "\\u001b]0;x\\u0007").replace('"epoch":2', '"epoch":3')
    )
    (here / f"{evil}.jsonl").write_text(trace)
    (here / "bad.toml").write_text((here / "one.toml").read_text().replace("One layer", "\\u001b[2J$\\\\frac{"))
    output = () if suffix is None else ("-o", f"a.{suffix}")
    found = cli("speedup", f"{evil}.jsonl", *SLOW, *output)
    assert found.code == 0
    assert found.err.startswith("W1310 \\x1b[31m")
    text = found.out + found.err
    if suffix not in (None, "png"):
        text += (here / f"a.{suffix}").read_text()
    assert not {"\x1b", "\x07", "\u202e"} & set(text)


def test_hostile_names_in_errors(cli):
    for option in ("--device", "--network", "--mapping", "--model", "--overhead", "--tile", "--baseline-epochs", "-o"):
        found = cli("speedup", "run.jsonl", option, "\x1b[31m\u202e\n")
        assert found.refused("E1"), found
    assert cli("speedup", "\x1b[31m\n").refused("E1003 trace '\\x1b[31m\\n' is not known.")
    assert cli("speedup", "\x1b[31m.jsonl").refused("E1201 \\x1b[31m.jsonl does not exist.")


def test_warnings_have_the_json_form_as_well(cli, here):
    lines = (here / "run.jsonl").read_text().splitlines()
    (here / "run.jsonl").write_text("\n".join((lines[0], lines[1], lines[3])) + "\n")
    found = cli("speedup", "run.jsonl", *SLOW, "--errors=json", "-o", "a.csv")
    assert (found.code, json.loads(found.err)["code"]) == (0, "W1310")


def test_traces_of_the_same_file_name_keep_their_folders(cli, here):
    (here / "b").mkdir()
    (here / "b" / "run.jsonl").write_text((here / "run.jsonl").read_text())
    cli("speedup", "run.jsonl", "b/run.jsonl", *SLOW, "-o", "a.csv")
    assert {row["trace"] for row in rows_of((here / "a.csv").read_text())} == {"run.jsonl", "b/run.jsonl"}


def test_a_mixed_epoch_shows_both_formats():
    from perfmodel import Roofline, Setting, compare, find_device, find_network
    from perfmodel.report.speedup import timeline_frame
    from perfmodel.traces import PassPrecision, Segment, Trace

    halves = tuple(Segment(0, 5, PassPrecision.same(name)) for name in ("dfx8", "dfx16"))
    trace = Trace("resnet20", "d", "muppet", 100, 10, halves, {"by": "a test"})
    result = compare(trace, find_network("resnet20"), Setting(Roofline(find_device("t4"))))
    assert list(timeline_frame(result)["precision"]) == ["dfx8, dfx16"]
    assert len(repr(result)) < 200


def test_what_is_said_beside_a_trace_is_not_used_and_told(cli):
    plain, said = cli("speedup", "run.jsonl"), cli("speedup", "run.jsonl", "--scheme", "fp8", "--batch", "3")
    assert (said.code, said.out) == (0, plain.out)
    (line,) = set(said.err.splitlines()) - set(plain.err.splitlines())
    assert line == (
        "W1312 run.jsonl: is a trace, which says all of it itself: --scheme, --batch not used. "
        "Change the trace, or give a log."
    )
    strict = cli("speedup", "run.jsonl", "--scheme", "fp8", "--strict")
    assert strict.code == 2
    assert "W1312" in strict.err
    assert cli("speedup", "run.jsonl", "--network", "one.toml").err.count("W1312") == 0


def test_several_traces_are_drawn_as_bars(cli, here):
    (here / "again.jsonl").write_text((here / "run.jsonl").read_text())
    done = cli("speedup", "run.jsonl", "again.jsonl", *SLOW, "-o", "bars.svg")
    assert (done.code, done.out, done.err) == (0, "", "")
    svg = (here / "bars.svg").read_text()
    assert "times as fast as FP32" in svg
    assert "again" in svg
    assert "Modelled, not measured: slow.toml" in svg
