"""`perfmodel policy`: replays of the sample log, alternatives of a small run, and what is refused."""

import csv
import io
import json
from pathlib import Path

import pytest

from perfmodel.cli import policy
from perfmodel.errors import PerfModelError

SAMPLE = str(Path(__file__).parents[1] / "data" / "logs" / "samples" / "muppet")
SLOW = ("--device", "slow.toml", "--model", "roofline")
LOG = "epoch,bits,gd\n0,8,0.9\n1,8,0.3\n2,12,0.3\n"
CSV = ("--network", "one.toml", "--dataset", "none", "--samples", "8", "--batch", "2", "--bits", "dfx")
WHAT_IF = """\
What if: run.jsonl: slow.toml, implicit GEMM, model roofline, conversions ideal
"""


@pytest.fixture
def verb(here, capsys):
    """Run the verb; exit code, output and error lines."""

    def run(*arguments):
        try:
            code, told = policy.run([str(argument) for argument in arguments]), []
        except PerfModelError as error:
            code, told = 2, error.lines()
        captured = capsys.readouterr()
        return code, captured.out, [*captured.err.splitlines(), *told]

    return run


def test_the_sample_agrees_with_its_own_rule(verb):
    code, out, _ = verb("replay", SAMPLE, "--network", "resnet20", "--beta", "0")
    lines = [line.split() for line in out.splitlines()]
    assert code == 0
    assert ["rule", "5", "11", "17", "26"] in lines
    assert ["run", "5", "11", "17", "26"] in lines
    assert "The rule switches where the run did. Of 9 evaluations 9 agree." in out
    assert out.count("▲") == 8


def test_options_reach_the_rule(verb):
    out = verb(
        "replay", SAMPLE, "--network", "resnet20", "--resolution", "4", "--patience", "5", "--alpha", "2.5",
        "--beta", "-1", "--lambda", "1e-1", "--ladder", "8,12,14,16,32", "--window", "sliding", "--terms", "r+1",
        "--evaluate", "every-epoch", "--violations", "exceed", "--counting", "consecutive", "--maximum", "before",
        "--threshold-from", "switch", "--mean-over", "layers", "--window-at-switch", "kept", "--on-undefined", "skip",
    )[1]  # fmt: skip
    assert (
        "resolution 4, patience 5, T(j) = 2.5 + -1 exp(-0.1 j), window sliding, terms r+1, evaluate every-epoch, "
        "violations exceed, counting consecutive, maximum before, threshold-from switch, mean-over layers, "
        "window-at-switch kept, on-undefined skip."
    ) in " ".join(out.split())


def test_the_options_are_those_of_the_rule(verb):
    from perfmodel.policies.rule import CHOICES

    without = {"gradient", "fp32_stage"}  # have no part in a replay
    assert {name.replace("-", "_"): choices for name, (choices, _) in policy.RULE.items()} == {
        name: ", ".join(choices) for name, choices in CHOICES.items() if name not in without
    }


def test_a_csv_with_a_mapped_diversity(verb, here):
    (here / "log.csv").write_text(LOG)
    shared = ("log.csv", *CSV, "--map", "gd_mean=gd", "--resolution", "1", "--patience", "1")
    code, out, _ = verb("replay", *shared, "-o", "out.csv")
    assert (code, out) == (0, "")
    rows = list(csv.DictReader(io.StringIO((here / "out.csv").read_text())))
    assert [(row["ratio"], row["rule_switches_to"], row["run_switches_to"]) for row in rows] == [
        ("1.0", "", ""), (str(0.9 / 0.3), "dfx12", "dfx12"), ("1.0", "", ""),
    ]  # fmt: skip
    code, out, _ = verb("replay", *shared, "--mode", "paper")
    assert "cannot be replayed: sliding windows" in out


def test_a_log_is_never_replaced(verb, here):
    (here / "log.csv").write_text(LOG)
    for action in ("replay", "what-if"):
        change = ("--all", "8") if action == "what-if" else ()
        code, out, told = verb(action, "log.csv", *CSV, *change, "-o", "log.csv")
        assert (code, out) == (2, "")
        assert told == ["E1105 -o is the log, or a file of its folder. Choose another name."]
    assert (here / "log.csv").read_text() == LOG


def test_files(verb, here):
    for suffix in ("png", "svg", "pdf", "txt", "json", "md", "tex"):
        code, out, _ = verb("replay", SAMPLE, "--network", "resnet20", "--beta", "0", "-o", f"out.{suffix}")
        assert (code, out) == (0, "")
        assert (here / f"out.{suffix}").stat().st_size > 500
    switches, evaluations = json.loads((here / "out.json").read_text())
    assert switches["rows"][0] == {"by": "rule", "dfx12": "5", "dfx14": "11", "dfx16": "17", "fp32": "26"}
    assert len(evaluations["rows"]) == 9


def what_if(verb, here, *arguments):
    code, out, told = verb("what-if", "run.jsonl", *SLOW, "--overhead", "ideal", *arguments, "-o", "out.json")
    assert (code, out, told) == (0, "", [])
    table = json.loads((here / "out.json").read_text())
    return {row["training"]: row for row in table["rows"]}, table["notes"]


def test_what_if_prices_alternatives(verb, here):
    rows, notes = what_if(verb, here, "--all", "8", "--all", "fp32", "--ladder", "8,32", "--scale-phase", "2")
    run, fp32 = rows["the run"], rows["FP32"]
    assert run["epochs_by_precision"] == "dfx8: 1, dfx16: 1, fp32: 1"
    assert rows["quantised phase in dfx8"]["epochs_by_precision"] == "dfx8: 2, fp32: 1"
    assert rows["ladder dfx8, fp32 (removed: up)"]["epochs_by_precision"] == "dfx8: 1, fp32: 2"
    assert rows["quantised phase x 2"]["epochs_by_precision"] == "dfx8: 2, dfx16: 2, fp32: 1"
    uniform = rows["quantised phase in fp32"]
    assert uniform["speedup_low"] == pytest.approx(2)  # 3 epochs, of 6 of the baseline
    assert uniform["time_low_s"] == pytest.approx(fp32["time_low_s"] / 2)
    assert run["against_run_low"] == 0
    longer = run["time_low_s"] + (run["time_low_s"] - fp32["time_low_s"] / 6)
    assert rows["quantised phase x 2"]["time_low_s"] == pytest.approx(longer)
    assert any(note.startswith("Assumed unchanged, but for what the table shows: accuracy") for note in notes)


def test_what_if_on_the_screen(verb):
    code, out, _ = verb("what-if", "run.jsonl", *SLOW, "--overhead", "ideal", "--all", "8")
    assert code == 0
    assert out.startswith(WHAT_IF)
    assert "quantised phase in dfx8" in out


def test_baseline_epochs_and_another_network(verb, here):
    rows, _ = what_if(verb, here, "--all", "8", "--baseline-epochs", "3", "--network", "one.toml")
    assert rows["FP32"]["epochs"] == "3"


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        ((), "E1100 perfmodel policy:"),
        (("replays",), "E1000 perfmodel policy 'replays' is not known. Did you mean replay?"),
        (("replay",), "E1100 perfmodel policy replay: the following arguments are required: LOG"),
        (("replay", "run.jsonl"), "E1508 gradient diversity: the log holds none, in "),
        (("replay", "nothing.jsonl"), "E1201"),
        (("replay", SAMPLE, "--network", "resnet20", "--mode", "code"), "E1504 mode 'code' is not known."),
        (("replay", SAMPLE, "--network", "resnet20", "--window", "x"), "E1504 window 'x' is not known."),
        (("replay", SAMPLE, "--network", "resnet20", "--terms", "r+1"), "E1501 window:"),
        (("replay", SAMPLE, "--network", "resnet20", "--first-term", "aliased"), "E1506 first_term:"),
        (("replay", SAMPLE, "--network", "resnet20", "--ladder", "12,32"), "E1507 ladder: 'dfx8' is not on"),
        (("replay", SAMPLE, "--network", "resnet20", "--ladder", "8,,32"), "E1004 format '' is not known."),
        (("replay", SAMPLE, "--resolution", "0", "--network", "resnet20"), "E1307 resolution:"),
        (("replay", SAMPLE, "--alpha", "nan"), "E1100 perfmodel policy replay: argument --alpha: 'nan' is not a"),
        (("replay", SAMPLE, "--alpha", "1_0"), "E1100"),
        (("replay", SAMPLE, "--network", "resnet20", "--alpha", "1e999"), "E1307 alpha:"),
        (("replay", SAMPLE, "--alpha", "１"), "E1100"),
        (("replay", "run.jsonl", "-o", "out.xyz"), "E1904"),
        (("what-if", "run.jsonl"), "E1105 perfmodel policy what-if: nothing to change was given."),
        (("what-if", "run.jsonl", "--all", "8", "--overhead", "table3"), "E1105 --overhead"),
        (("what-if", "run.jsonl", "--all", "8", "--baseline-epochs", "0"), "E1105 --baseline-epochs"),
        (("what-if", "run.jsonl", "--all", "8", "-o", "out.png"), "E1904"),
        (("what-if", "run.jsonl", "--ladder", "32,8"), "E1509 ladder:"),
        (("what-if", "run.jsonl", "--ladder", "8,16"), "E1510 ladder:"),
        (("what-if", "run.jsonl", "--ladder", "8,32", "--epochs-of-removed", "x"), "E1504 epochs of removed"),
        (("what-if", "run.jsonl", "--scale-phase", "0"), "E1307 scale-phase:"),
        (("what-if", "run.jsonl", "--scale-phase", "1e6"), "E1307 scale-phase:"),
    ],
)
def test_what_is_refused(verb, arguments, start):
    code, out, told = verb(*arguments)
    assert (code, out) == (2, "")
    assert told[-1].startswith(start)
    assert all(line.isprintable() for line in told)


@pytest.mark.parametrize("action", [(), ("replay",), ("what-if",)])
def test_help(verb, capsys, action):
    with pytest.raises(SystemExit):
        verb(*action, "--help")
    assert "usage: perfmodel policy" in capsys.readouterr().out
