"""`perfmodel trace`, and raw logs in `perfmodel speedup`: golden texts, every option for logs, what is refused."""

import csv
import io
import json
import os
import shutil
from pathlib import Path

import pytest

from perfmodel import cli as package
from perfmodel.cli import logs
from perfmodel.traces import parse_trace
from perfmodel.traces.logs import FIELDS

STORE = Path(__file__).parents[1] / "data" / "logs" / "written" / "mlflow" / "mlflow.db"
SLOW = ("--device", "slow.toml", "--model", "roofline")
SIZES = ("--network", "one.toml", "--dataset", "none", "--samples", "8", "--batch", "2")
RUN = (*SIZES, "--bits", "dfx")
LOG = "epoch,bits,lr,loss\n0,8,0.3,2.5\n1,16,0.3,1.5\n2,32,0.1,nan\n"
SHA256 = "5d2d8f2b189f41f9966a66f7048576ac1ca6cf2ca43c63c993b091265262e9f1"  # of LOG, as sha256sum says
DIVERGED = "log.csv 'loss' is not a finite number at the end of epoch 2 and left out there: the run diverged"
COUNTED = "log.csv 4 iterations an epoch: ceil(8 / 2), the last batch not dropped; the log does not say how many"
INFERRED = "inferred: log.csv: scheme muppet: all formats are dfx8, dfx16, fp32\n"
TOLD = f"corrected: {DIVERGED}\ncorrected: {COUNTED}\n{INFERRED}"
CHECKED = "muppet on one.toml, none: 3 epochs (1 in dfx8, 1 in dfx16, 1 in fp32), 12 iterations. It can be priced.\n"
CONVERTED = f"""\
{{"schema":"perfmodel.trace/1","network":"one.toml","dataset":"none","scheme":"muppet","samples":8,"batch":2,\
"source":{{"reader":"csv","path":"log.csv","sha256":"{SHA256}"}},\
"corrections":["{DIVERGED}","{COUNTED}"],"inferred":["scheme muppet: all formats are dfx8, dfx16, fp32"]}}
{{"epoch":0,"iterations":4,"precision":{{"fprop":"dfx8","dgrad":"dfx8","wgrad":"dfx8"}},"lr":0.3,"metrics":{{"loss":2.5}}}}
{{"epoch":1,"iterations":4,"precision":{{"fprop":"dfx16","dgrad":"dfx16","wgrad":"dfx16"}},"lr":0.3,"metrics":{{"loss":1.5}}}}
{{"epoch":2,"iterations":4,"precision":{{"fprop":"fp32","dgrad":"fp32","wgrad":"fp32"}},"lr":0.1}}
"""
TABLES = f"""\
log.csv

network   dataset  scheme  samples  batch  iterations/epoch  epochs  iterations
--------  -------  ------  -------  -----  ----------------  ------  ----------
one.toml  none     muppet        8      2                 4       3          12

Source: reader: csv; path: log.csv; sha256: {SHA256}.
Inferred: scheme muppet: all formats are dfx8, dfx16, fp32
Corrected: {DIVERGED}
Corrected: {COUNTED}


Precision over epochs

epochs  iterations  precision  lr   loss
------  ----------  ---------  ---  ----
0                4  dfx8       0.3   2.5
1                4  dfx16      0.3   1.5
2                4  fp32       0.1     –

Metrics and gradient diversity: the last value known in the stretch.
"""
PLOT = """\

precision
 fp32 │                                                ████████████████████████
dfx16 │                        ████████████████████████
 dfx8 │████████████████████████
loss
  2.5 │⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉
      │
      │
      │
  1.5 │                        ⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀
      └┬───────────────────────┬───────────────────────┬───────────────────────
epoch  0                       1                       2
"""


@pytest.fixture(autouse=True)
def _log(here, monkeypatch):
    (here / "log.csv").write_text(LOG)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def convert(cli):
    """`convert(text, *options)`: the trace of a log of this text, which the command line printed."""

    def run(text, *options, name="small.csv"):
        Path(name).write_text(text)
        found = cli("trace", "convert", name, *options)
        assert found.code == 0, found.err
        return parse_trace(found.out, "stdout")

    return run


def formats(trace):
    """The format of the forward pass of each segment."""
    return [segment.precision.fprop[0] for segment in trace.segments]


# -- what the actions print -------------------------------------------------------------------------------------------


def test_check(cli):
    found = cli("trace", "check", "log.csv", *RUN)
    assert (found.code, found.out, found.err) == (0, f"log.csv: {CHECKED}", TOLD)


def test_check_of_a_trace(cli):
    found = cli("trace", "check", "run.jsonl")
    assert (found.code, found.out, found.err) == (0, f"run.jsonl: {CHECKED}", "")


def test_options_for_logs_hold_for_bundled_traces_too(cli):
    found = cli("trace", "check", "muppet-resnet20-cifar10", "--precision", "fp16")
    assert found.code == 2
    assert "E1335 " in found.err


def test_check_of_a_bundled_trace(cli):
    found = cli("trace", "check", "muppet-resnet20-cifar10")
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("muppet-resnet20-cifar10: muppet on resnet20, cifar10: ")


def test_convert(cli):
    found = cli("trace", "convert", "log.csv", *RUN)
    assert (found.code, found.out, found.err) == (0, CONVERTED, TOLD)


def test_convert_to_a_file(cli, here):
    found = cli("trace", "convert", "log.csv", *RUN, "-o", "new.jsonl")
    assert (found.code, found.out, found.err) == (0, "", TOLD)
    assert (here / "new.jsonl").read_text() == CONVERTED
    again = cli("trace", "convert", "new.jsonl")
    assert (again.code, again.out, again.err) == (0, CONVERTED, TOLD.removesuffix(INFERRED))


def test_show(cli):
    found = cli("trace", "show", "log.csv", *RUN)
    assert (found.code, found.out, found.err) == (0, TABLES + PLOT, "")


def test_show_in_a_terminal_of_ascii(process):
    found = process(
        "trace", "show", "log.csv", *RUN, env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    )
    assert (found.code, found.err) == (0, "")
    assert found.out.isascii()
    assert "precision\n" in found.out


def test_show_as_text(cli, here):
    found = cli("trace", "show", "log.csv", *RUN, "-o", "a.txt")
    assert (found.code, found.out, found.err) == (0, "", "")
    assert (here / "a.txt").read_text() == TABLES


def test_show_for_programs(cli, here):
    assert cli("trace", "show", "log.csv", *RUN, "-o", "a.csv").code == 0
    assert (here / "a.csv").read_text() == (
        "epoch,iterations,precision_fprop,precision_dgrad,precision_wgrad,precision_master,lr,loss\n"
        "0,4,dfx8,dfx8,dfx8,,0.3,2.5\n1,4,dfx16,dfx16,dfx16,,0.3,1.5\n2,4,fp32,fp32,fp32,,0.1,\n"
    )
    assert cli("trace", "show", "log.csv", *RUN, "-o", "a.json").code == 0
    head, segments = json.loads((here / "a.json").read_text())
    assert head["rows"][0]["iterations"] == 12
    assert head["notes"][-2:] == [f"Corrected: {DIVERGED}", f"Corrected: {COUNTED}"]
    assert [row["loss"] for row in segments["rows"]] == [2.5, 1.5, None]


def test_show_for_papers(cli, here):
    for suffix, row in (("md", "| 1 | 4 | dfx16 | 0.3 | 1.5 |"), ("tex", r"1 & 4 & dfx16 & 0.3 & 1.5 \\")):
        assert cli("trace", "show", "log.csv", *RUN, "-o", f"a.{suffix}").code == 0
        assert row in (here / f"a.{suffix}").read_text()


@pytest.mark.parametrize(("suffix", "begin"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_show_as_a_figure(cli, here, suffix, begin):
    pytest.importorskip("matplotlib")
    found = cli("trace", "show", "log.csv", *RUN, "-o", f"a.{suffix}")
    assert (found.code, found.out, found.err) == (0, "", TOLD)
    assert (here / f"a.{suffix}").read_bytes().startswith(begin)


def test_help_lists_the_formats(cli):
    found = cli("trace", "--help")
    assert (found.code, found.err) == (0, "")
    for name in ("muppet-csv", "cpt", "tensorboard", "lightning-csv", "hf-trainer", "mlperf", "mlflow", "jsonl"):
        assert f"\n  {name} " in found.out


# -- every option for logs --------------------------------------------------------------------------------------------


def test_map(convert):
    trace = convert("when,kind\n1,8\n2,16\n", *RUN, "--map", "epoch=when", "--map", "precision=kind")
    assert [segment.epoch for segment in trace.segments] == [0, 1]
    assert formats(trace) == ["dfx8", "dfx16"]


@pytest.mark.parametrize(("family", "name"), [("dfx", "dfx16"), ("int", "int16"), ("fp", "fp16")])
def test_bits(convert, family, name):
    assert formats(convert("epoch,bits\n0,16\n", *SIZES, "--bits", family, "--scheme", "mixed")) == [name]


def test_format(convert):
    trace = convert("epoch,precision\n0,fp8\n1,half\n", *SIZES, "--scheme", "muppet", "--format", "fp8=fp8_e4m3")
    assert formats(trace) == ["fp8_e4m3", "fp16"]


def test_scheme_and_sizes(convert):
    log = "epoch,precision,loss\n0,fp16,2.5\n"
    trace = convert(
        log, "--network", "resnet20", "--dataset", "d", "--samples", "7", "--batch", "3", "--scheme", "muppet"
    )
    assert (trace.network, trace.dataset, trace.scheme, trace.samples, trace.batch) == ("resnet20", "d", "muppet", 7, 3)
    assert trace.iterations == 3


def test_precision_of_the_whole_run(convert):
    trace = convert("epoch,loss\n0,2.5\n1,1.5\n", *SIZES, "--precision", "fp16")
    assert (formats(trace), trace.scheme) == (["fp16", "fp16"], "mixed")


def test_precision_per_pass(convert):
    said = "fprop=fp8_e4m3,dgrad=fp8_e5m2,wgrad=bf16,master=fp32"
    precision = convert("epoch,loss\n0,2.5\n", *SIZES, "--scheme", "mixed", "--precision", said).segments[0].precision
    assert (precision.fprop, precision.dgrad, precision.wgrad) == (("fp8_e4m3",), ("fp8_e5m2",), ("bf16",))
    assert precision.master == "fp32"


def test_steps_are_epochs_or_iterations(convert):
    log = "step,precision\n0,fp16\n1,fp16\n2,fp16\n3,fp16\n4,fp16\n5,fp16\n6,fp16\n7,fp16\n"
    assert convert(log, *SIZES, "--step-is", "epoch").epochs == 8
    trace = convert(log, *SIZES, "--step-is", "iteration")
    assert (trace.epochs, trace.iterations) == (2, 8)


def test_epochs_are_an_index_or_progress(convert):
    log = "epoch,precision\n1,fp16\n2,fp16\n"
    assert convert(log, *SIZES, "--epoch-is", "index").epochs == 2
    halves = convert("epoch,step,precision,loss\n0.5,2,fp16,4\n1.0,4,fp16,3\n1.5,6,fp16,2\n2.0,8,fp16,1\n", *SIZES)
    assert [segment.metrics for segment in halves.segments] == [{"loss": 3.0}, {"loss": 1.0}]
    assert convert(log, *SIZES, "--epoch-is", "progress").epochs == 2


def test_progress_without_steps(convert):
    halves = convert("epoch,precision,loss\n0.5,fp16,4\n1.0,fp16,3\n1.5,fp16,2\n2.0,fp16,1\n", *SIZES)
    assert [segment.metrics for segment in halves.segments] == [{"loss": 3.0}, {"loss": 1.0}]


def test_duplicates(cli, convert):
    log = "epoch,precision,loss\n0,fp16,1\n0,fp16,2\n"
    (Path.cwd() / "twice.csv").write_text(log)
    assert cli("trace", "check", "twice.csv", *SIZES).refused("E1326 twice.csv:3:")
    for what, loss in (("last", 2.0), ("first", 1.0)):
        assert convert(log, *SIZES, "--on-duplicate", what).segments[0].metrics == {"loss": loss}


def test_decimal_commas(cli, convert):
    log = "epoch;precision;loss\n0;fp16;2,5\n"
    assert convert(log, *SIZES, "--decimal", "comma").segments[0].metrics == {"loss": 2.5}
    assert cli("trace", "check", "small.csv", *SIZES).refused(
        "E1207 small.csv:2:3 column 'loss': '2,5' is not a number"
    )


def test_log_format(cli, convert):
    assert convert(LOG, *RUN, "--log-format", "keras-csv").source["reader"] == "keras-csv"
    assert convert('{"epoch":0,"bits":8}\n', *RUN, name="rows").source["reader"] == "jsonl"


def test_largest_input(cli):
    assert cli("trace", "check", "log.csv", *RUN, "--max-input", "56").refused(
        "E1203 log.csv holds 57 bytes; at most 56"
    )
    for size in ("57", "1kB", "2MB", "1GB"):
        assert cli("trace", "check", "log.csv", *RUN, "--max-input", size).code == 0


def test_one_run_of_a_store(cli, here):
    shutil.copy(STORE, here / "mlflow.db")
    said = ("--network", "resnet20", "--dataset", "d", "--samples", "54", "--batch", "8", "--bits", "dfx")
    said += ("--step-is", "epoch")
    assert cli("trace", "check", "mlflow.db", *said).code == 0
    refused = cli("trace", "check", "mlflow.db", *said, "--run", "nobody")
    assert refused.refused("E1343 mlflow.db: does not hold the run 'nobody': ")
    run_id = refused.err.partition("'nobody': ")[2].partition(" ")[0]
    assert cli("trace", "check", "mlflow.db", *said, "--run", run_id).code == 0


# -- places of logs ---------------------------------------------------------------------------------------------------


def test_a_folder(cli, here):
    folder = here / "version_3"
    folder.mkdir()
    (folder / "metrics.csv").write_text("epoch,loss,step\n0,2.5,3\n1,1.5,7\n")
    found = cli("trace", "check", "version_3", *SIZES, "--precision", "fp16")
    assert (found.code, found.out) == (
        0, "version_3: mixed on one.toml, none: 2 epochs (2 in fp16), 8 iterations. It can be priced.\n"
    )  # fmt: skip


def test_an_empty_folder(cli, here):
    (here / "empty").mkdir()
    assert cli("trace", "check", "empty").refused("E1324 empty is a folder without a log that is known. Known: ")


@pytest.mark.parametrize("name", ["muppet-resnet21-cifar10", "nothing"])
def test_a_bare_name_is_that_of_a_bundled_trace(cli, name):
    found = cli("trace", "check", name)
    assert found.refused(f"E1003 trace '{name}' is not known. ")
    assert "muppet-resnet20-cifar10" in found.err


def test_a_file_without_a_suffix(cli, here):
    (here / "log").write_text(LOG)
    assert cli("trace", "check", "log", *RUN).code == 0


@pytest.mark.parametrize("name", ["gone.csv", "gone/log"])
def test_a_missing_file(cli, name):
    assert cli("trace", "show", name).refused(f"E1201 {name} does not exist.")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(cli, here):
    (here / "log.csv").chmod(0)
    assert cli("trace", "check", "log.csv").refused("E1204 log.csv cannot be read: Permission denied.")


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("chek", "log.csv"), "E1000 perfmodel trace 'chek' is not known. Did you mean check?"),
        (("covert", "log.csv"), "E1000 perfmodel trace 'covert' is not known. Did you mean convert?"),
        (("x",), "E1000 perfmodel trace 'x' is not known. Known: convert, check, show."),
        ((), "E1100 perfmodel trace: the following arguments are required: ACTION, LOG."),
        (("check",), "E1100 perfmodel trace: the following arguments are required: LOG."),
        (("check", "log.csv", "-o", "x.jsonl"), "E1105 -o check writes nothing."),
        (("check", "log.csv", "--log-format", "keras"), "E1012 log format 'keras' is not known. "),
        (("check", "log.csv", "--map", "epochs=epoch"), "E1320 field 'epochs' is not known. Did you mean epoch?"),
        (("check", "log.csv", "--map", "epoch"), "E1105 --map 'epoch' is not NAME=VALUE"),
        (("check", "log.csv", "--map", "=x"), "E1105 --map '=x' is not NAME=VALUE"),
        (("check", "log.csv", "--map", "lr=a", "--map", "lr=b"), "E1105 --map 'lr=b' is not NAME=VALUE"),
        (("check", "log.csv", "--format", "fp8"), "E1105 --format 'fp8' is not NAME=VALUE"),
        (("check", "log.csv", "--format", "8=fp8"), "E1004 format 'fp8' is not known. Did you mean fp8_e4m3"),
        (("check", "log.csv", "--bits", "d"), "E1105 --bits: 'd' is not known. Known: dfx, int, fp."),
        (("check", "log.csv", "--step-is", "x"), "E1105 --step-is: 'x' is not known. Known: epoch, iteration."),
        (("check", "log.csv", "--epoch-is", "x"), "E1105 --epoch-is: 'x' is not known. Known: index, progress."),
        (("check", "log.csv", "--on-duplicate", "x"), "E1105 --on-duplicate: 'x' is not known. Known: error, last,"),
        (("check", "log.csv", "--decimal", "x"), "E1105 --decimal: 'x' is not known. Known: point, comma."),
        (("check", "log.csv", "--max-input", "0"), "E1105 --max-input '0' is no size."),
        (("check", "log.csv", "--max-input", "1TB"), "E1105 --max-input '1TB' is no size."),
        (("check", "log.csv", "--max-input", "9999GB"), "E1105 --max-input '9999GB' is no size."),
        (("check", "log.csv", "--batch", "0"), "E1307 batch: 0 is not between 1 and 10000000."),
        (("check", "log.csv", "--samples", "1.5"), "E1100 perfmodel trace: argument --samples: '1.5' is not"),
        (("check", "log.csv", "--precision", "fp8"), "E1004 precision: format 'fp8' is not known. "),
        (("check", "log.csv", "--precision", "fprop=fp16"), "E1322 precision: 'fprop=fp16' is not the"),
        (("check", "log.csv", *RUN, "--map", "lr=rate"), "E1320 log.csv: there is no 'rate' for lr (the"),
        (("convert", "log.csv", "-o", "x.csv"), "E1904 x.csv: ends in '.csv'. Choose one of .jsonl."),
        (("convert", "log.csv", "-o", "x"), "E1904 x: has no suffix"),
        (("show", "log.csv", "-o", "x.doc"), "E1904 x.doc: ends in '.doc'. Choose one of .txt, .csv, .json, "),
        (("show", "log.csv", "-o", "x.jsonl"), "E1904 x.jsonl: ends in '.jsonl'."),
        (("check", "run.jsonl", "--precision", "fp16"), "E1335 run.jsonl: --precision: a trace says the precision"),
        (("check", "run.jsonl", "--map", "epoch=e"), "E1335 run.jsonl: --map: a trace says the precision"),
    ],
)  # fmt: skip
def test_wrong_arguments(cli, arguments, start):
    assert cli("trace", *arguments).refused(start), cli("trace", *arguments).err


def test_all_that_the_log_does_not_say_is_told_at_once(cli):
    found = cli("trace", "check", "log.csv", "--bits", "dfx")
    assert (found.code, found.out) == (2, "")
    assert found.err.splitlines() == [
        "E1321 network: log.csv: the log does not say it (csv). Give --network NAME.",
        "E1321 dataset: log.csv: the log does not say it (csv). Give --dataset NAME.",
        "E1321 batch: log.csv: the log does not say it (csv). Give --batch N.",
        "E1321 samples: log.csv: the log does not say it (csv), nor do steps. Give --samples N.",
    ]


def test_errors_as_json(cli):
    found = cli("trace", "check", "log.csv", *SIZES, "--errors", "json")
    assert (found.code, found.out) == (2, "")
    problems = [json.loads(line) for line in found.err.splitlines()]
    assert [(problem["code"], problem["place"]) for problem in problems] == [
        ("E1322", "log.csv:2: 'bits':"), ("E1322", "log.csv:3: 'bits':")
    ]  # fmt: skip


def test_what_cannot_be_priced(cli, convert):
    said = ("--network", "resnet", "--dataset", "d", "--samples", "8", "--batch", "2")
    found = cli("trace", "check", "log.csv", *said, "--bits", "int", "--scheme", "mixed")
    assert (found.code, found.out) == (2, "")
    codes = [line.split(" ", 2)[:2] for line in found.err.splitlines() if line.startswith("E")]
    assert codes == [["E1002", "log.csv:"], ["E1104", "log.csv:"]]


@pytest.mark.parametrize("arguments", [("convert",), ("show",)])
def test_outputs_that_cannot_be(cli, here, arguments):
    suffix = "jsonl" if arguments == ("convert",) else "txt"
    (here / f"to.{suffix}").symlink_to("elsewhere")
    (here / f"folder.{suffix}").mkdir()
    for name, code in (("no/x", "E1901"), ("to", "E1902"), ("folder", "E1905")):
        found = cli("trace", *arguments, "run.jsonl", "-o", f"{name}.{suffix}")
        assert found.refused(f"{code} {name}.{suffix}: "), found.err
    assert not (here / "elsewhere").exists()


@pytest.mark.parametrize("verb", [("trace", "show"), ("speedup",)])
def test_the_log_itself_is_no_output(cli, here, verb):
    assert cli(*verb, "log.csv", *RUN, "-o", "log.csv").code == 2
    assert (here / "log.csv").read_text() == LOG


def test_a_trace_does_not_replace_the_log_that_it_is_made_of(cli, here):
    (here / "rows.jsonl").write_text('{"epoch":0,"bits":8}\n')
    (here / "same.jsonl").hardlink_to(here / "rows.jsonl")
    for output in ("rows.jsonl", "same.jsonl"):
        assert cli("trace", "convert", "rows.jsonl", *RUN, "-o", output).code == 2
    assert (here / "rows.jsonl").read_text() == '{"epoch":0,"bits":8}\n'


# -- warnings, interruption -------------------------------------------------------------------------------------------

GAPS = "epoch,precision,iterations\n0,fp16,4\n2,fp16,4\n3,fp16,1\n"
MISSING = "W1310 gaps.csv: epoch 1 is missing: no time is counted for what is missing. Add what is missing."
PARTIAL = "W1311 gaps.csv: epoch 3 is cut short: the iterations given count. Add what is missing."


@pytest.mark.parametrize("action", ["check", "convert", "show"])
def test_gaps_are_warnings_and_with_strict_errors(cli, here, action):
    (here / "gaps.csv").write_text(GAPS)
    found = cli("trace", action, "gaps.csv", *SIZES)
    assert found.code == 0
    assert [line for line in found.err.splitlines() if line.startswith("W")] == [MISSING, PARTIAL]
    strict = cli("trace", action, "gaps.csv", *SIZES, "--strict")
    assert (strict.code, strict.out) == (2, "")
    assert [line for line in strict.err.splitlines() if line.startswith("W")] == [MISSING, PARTIAL]


def test_epochs_that_are_all_short_ask_for_samples(cli, here):
    (here / "gaps.csv").write_text("epoch,precision,iterations\n0,fp16,3\n1,fp16,3\n2,fp16,2\n")
    found = cli("trace", "check", "gaps.csv", *SIZES)
    (line,) = [line for line in found.err.splitlines() if line.startswith("W")]
    assert line == (
        "W1311 gaps.csv: all epochs have 3 iterations; 8 samples in batches of 2 make more. "
        "Correct samples or batch; if the last batch is dropped, samples are 6."
    )


def test_strict_writes_nothing(cli, here):
    (here / "gaps.csv").write_text(GAPS)
    assert cli("trace", "convert", "gaps.csv", *SIZES, "--strict", "-o", "x.jsonl").code == 2
    assert not (here / "x.jsonl").exists()


def test_corrections_are_lines_with_errors_as_json_too(cli):
    found = cli("trace", "check", "log.csv", *RUN, "--errors", "json")
    assert (found.code, found.err) == (0, TOLD)


def test_corrections_with_names_of_the_log_are_printable(cli, here):
    (here / "bad.csv").write_text("epoch,precision,\x1b[31mloss\n0,fp16,nan\n")
    found = cli("trace", "check", "bad.csv", *SIZES)
    assert found.code == 0
    assert "corrected: bad.csv '\\x1b[31mloss' is not a finite number" in found.err
    assert all(line.isprintable() for line in found.err.splitlines())
    assert "\x1b" not in cli("trace", "show", "bad.csv", *SIZES).out


def test_ctrl_c(cli, monkeypatch, here):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(logs, "find", interrupted)
    for arguments in (("trace", "convert", "log.csv", *RUN, "-o", "x.jsonl"), ("speedup", "log.csv", *RUN)):
        found = cli(*arguments)
        assert (found.code, found.out, found.err) == (130, "", "interrupted\n")
    assert not (here / "x.jsonl").exists()
    assert package.INTERRUPTED == 130


# -- logs in `speedup` ------------------------------------------------------------------------------------------------


def table_of(found) -> list[str]:
    """The rows of the table without the trace's name, and the notes below."""
    lines = found.out.splitlines()
    return [" ".join(line.split()[1:]) for line in lines[4:8]] + lines[8:]


def test_a_log_is_priced_as_its_trace(cli, here):
    assert cli("trace", "convert", "log.csv", *RUN, "-o", "new.jsonl").code == 0
    of_log, of_trace = cli("speedup", "log.csv", *RUN, *SLOW), cli("speedup", "new.jsonl", *SLOW)
    assert (of_log.err, of_trace.err) == (TOLD, "")
    assert table_of(of_log)[:4] == [
        "FP32 3 3.84 s 1.00x 1.00x 1.00x 0.0 % roofline",
        "mixed precision 3 7.87 s 0.49x 0.49x 1.00x 17.1 % roofline",
        "MuPPET 3 8.06 s 0.48x 0.48x 1.00x 33.3 % roofline",
        "MuPPET, theoretical limit 3 5.38 s 0.71x 0.71x 1.00x 0.0 % roofline",
    ]
    assert table_of(of_log) == table_of(of_trace)


def test_a_log_is_priced_as_its_trace_to_the_last_digit(cli, here):
    assert cli("trace", "convert", "log.csv", *RUN, "-o", "new.jsonl").code == 0
    assert cli("speedup", "log.csv", *RUN, *SLOW, "-o", "log.out.csv").code == 0
    assert cli("speedup", "new.jsonl", *SLOW, "--network", "one.toml", "-o", "new.out.csv").code == 0
    of_log, of_trace = (list(csv.DictReader(io.StringIO((here / f"{n}.out.csv").read_text()))) for n in ("log", "new"))
    assert [row.pop("trace") for row in of_log + of_trace] == ["log.csv"] * 4 + ["new"] * 4
    assert [{key: row[key] for key in row if key != "batch"} for row in of_log] == of_trace


def test_several_logs(cli, here):
    (here / "rows.jsonl").write_text('{"epoch":0,"bits":8}\n{"epoch":1,"bits":32}\n')
    found = cli("speedup", "log.csv", "run.jsonl", "rows.jsonl", *RUN, *SLOW)
    assert found.code == 0
    names = [line.split()[0] for line in found.out.splitlines()[4:16]]
    assert names == ["log.csv"] * 4 + ["run"] * 4 + ["rows"] * 4
    assert [line for line in found.err.splitlines() if "log.csv" in line] == TOLD.splitlines()


def test_the_name_of_a_folder(cli, here):
    (here / "version_3").mkdir()
    (here / "version_3" / "metrics.csv").write_text("epoch,loss,step\n0,2.5,3\n1,1.5,7\n")
    found = cli("speedup", "version_3/", *SIZES, "--precision", "fp16", *SLOW)
    assert [line.split()[0] for line in found.out.splitlines()[4:6]] == ["version_3", "version_3"]


def test_what_is_wrong_with_several_logs_is_told_of_all(cli, here):
    (here / "gone.csv").unlink(missing_ok=True)
    found = cli("speedup", "gone.csv", "log.csv", *SIZES, *SLOW)
    assert (found.code, found.out) == (2, "")
    assert [line.split()[:2] for line in found.err.splitlines()] == [
        ["E1201", "gone.csv"], ["E1322", "log.csv:2:"], ["E1322", "log.csv:3:"]
    ]  # fmt: skip


def test_what_is_said_of_a_trace_counts_where_it_is_made(cli):
    found = cli("trace", "check", "run.jsonl", "--network", "resnet20")
    assert found.out.startswith("run.jsonl: muppet on resnet20, none: 3 epochs")
    assert found.err == "corrected: run.jsonl:1 network resnet20 as given, not one.toml\n"


def test_corrections_name_the_log_by_its_path_and_traces_by_its_name(cli, here):
    (here / "runs").mkdir()
    (here / "runs" / "log.csv").write_text(LOG)
    found = cli("trace", "convert", "runs/log.csv", *RUN)
    assert (found.out, found.err) == (CONVERTED, TOLD.replace("log.csv", "runs/log.csv"))


def test_a_log_without_a_network(cli):
    found = cli("speedup", "log.csv", "--dataset", "d", "--samples", "8", "--batch", "2", "--bits", "dfx", *SLOW)
    assert found.refused("E1321 network: log.csv: the log does not say it (csv). Give --network NAME.")


def test_strict_in_speedup(cli, here):
    (here / "gaps.csv").write_text(GAPS)
    assert cli("speedup", "gaps.csv", *SIZES, *SLOW).code == 0
    strict = cli("speedup", "gaps.csv", *SIZES, *SLOW, "--strict")
    assert (strict.code, strict.out) == (2, "")


def test_the_help_names_every_field():
    assert logs.FIELDS.split(", ") == list(FIELDS)
