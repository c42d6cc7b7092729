"""`perfmodel networks`, `devices`, `schemes` and `traces`: lists, one entry in full, and wrong input."""

import csv
import io
import json

import pytest

from perfmodel.devices import device_names
from perfmodel.networks import network_names
from perfmodel.traces import trace_files

NETWORK = """\
One layer

layer  operation  from   in     out    MACs/image  parameters
-----  ---------  -----  -----  -----  ----------  ----------
fc     linear     input  4x1x1  2x1x1           8           8

8 MACs for one image, 8 parameters.
Source: made up.
"""
# 2 · 64, 256 or 1024 MACs · 10 SMs · 1 GHz.
DEVICE = """\
A slow GPU

operand  accumulate  unit    MAC/clock/SM  TFLOP/s  as published, TFLOP/s
-------  ----------  ------  ------------  -------  ---------------------
fp32     fp32        simt              64     1.28  –
fp16     fp32        tensor           256     5.12  –
int8     int32       tensor          1024    20.48  –

10 SMs at 1000 MHz boost, 1000 MHz sustained; 0 GB/s, 8 GiB.
L2: 1024 KiB, 1024 B/clock; shared memory: 64 KiB on each SM, 64 B/clock.
Source: made up
Marked as stated by no source: nothing.
"""


@pytest.mark.parametrize(
    ("verb", "name", "text"), [("networks", "one.toml", NETWORK), ("devices", "slow.toml", DEVICE)]
)
def test_one_entry(cli, verb, name, text):
    found = cli(verb, name)
    assert (found.code, found.out, found.err) == (0, text, "")


@pytest.mark.parametrize(
    ("verb", "names"),
    [("networks", network_names()), ("devices", device_names()), ("traces", list(trace_files()))],
)
def test_lists_name_everything(cli, verb, names):
    lines = cli(verb).out.splitlines()[4:]
    assert [line.split()[0] for line in lines[: len(names)]] == names
    assert lines[len(names)] == ""
    for name in names:
        found = cli(verb, name)
        assert (found.code, found.err) == (0, "")
        assert "Source" in found.out


SCHEMES = [
    "fp32", "mixed", "bf16", "cpt", "dorefa", "fp8", "fp8-chunked", "fp8-hybrid", "fxpnet", "hbfp", "hbfp-tensor",
    "hbfp12", "mixed-adaptive", "mixed-static", "muppet", "tf32",
]  # fmt: skip


def test_schemes(cli):
    out = cli("schemes").out
    assert [line.split()[0] for line in out.splitlines()[4:20]] == SCHEMES
    assert [line.split()[0] for line in out.splitlines() if line.endswith(("/element", "limit", "has them"))] == [
        "ideal", "epilogue", "delayed", "current", "naive", "unfused", "measured",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["schemes.csv", "SCHEMES.CSV"])
def test_schemes_alone_in_a_csv_file(cli, here, name):
    assert cli("schemes", "-o", name).code == 0
    rows = list(csv.reader(io.StringIO((here / name).read_text())))
    assert rows[0] == ["scheme", "title", "formats", "source"]
    assert [row[0] for row in rows[1:]] == SCHEMES
    assert rows[1][:3] == ["fp32", "FP32", "fp32"]
    assert rows[2][:3] == ["mixed", "mixed precision", "fp16"]
    assert ["muppet", "MuPPET", "dfx6, dfx8, dfx10, dfx12, dfx14, dfx16, fp32"] in [row[:3] for row in rows]
    assert all(row[3] for row in rows)


def test_both_tables_of_schemes_in_other_files(cli, here):
    cli("schemes", "-o", "a.json")
    tables = json.loads((here / "a.json").read_text())
    assert [len(table["rows"]) for table in tables] == [16, 9]
    assert [row["bytes_per_element"] for row in tables[1]["rows"]] == [0, 1, 5, 9, 57, 72, 9, None, None]


def test_a_trace_is_shown_as_trace_show_does(cli):
    assert cli("traces", "run.jsonl") == cli("trace", "show", "run.jsonl")


def test_stretches_of_a_trace_end_at_gaps(cli, here):
    lines = (here / "run.jsonl").read_text().splitlines()
    more = [lines[3].replace('"epoch":2', f'"epoch":{epoch}') for epoch in (3, 6, 7)]
    (here / "run.jsonl").write_text("\n".join([*lines, *more]) + "\n")
    rows = [line.split() for line in cli("traces", "run.jsonl").out.splitlines()]
    assert [row for row in rows if row[2:] == ["fp32"]] == [["2-3", "8", "fp32"], ["6-7", "8", "fp32"]]


@pytest.mark.parametrize("verb", ["networks", "devices", "traces", "schemes"])
@pytest.mark.parametrize("suffix", ["txt", "json", "md", "tex", "csv"])
def test_outputs(cli, here, verb, suffix):
    found = cli(verb, "-o", f"a.{suffix}")
    assert (found.code, found.out, found.err) == (0, "", "")
    text = (here / f"a.{suffix}").read_text()
    assert len(text) > (350 if (verb, suffix) == ("schemes", "csv") else 500)
    assert text.isascii() or "–" in text or "…" in text or "×" in text
    if suffix == "json":
        assert json.loads(text)


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("networks", "resnet21"), "E1002 network 'resnet21' is not known. Did you mean resnet"),
        (("networks", ""), "E1002 network '' is not known."),
        (("devices", "h300"), "E1001 device 'h300' is not known. Did you mean h200"),
        (("devices", ""), "E1001 device '' is not known."),
        (("traces", "muppet-resnet"), "E1003 trace 'muppet-resnet' is not known."),
        (("traces", ""), "E1003 trace '' is not known."),
        (("traces", "gemms.csv"), "E1323 gemms.csv:2: no epoch is known for the rows of a log with 'm', 'n', 'k'."),
        (("traces", "no.jsonl"), "E1201 no.jsonl does not exist."),
        (("schemes", "mupet"), "E1006 scheme 'mupet' is not known. Did you mean muppet?"),
        (("networks", "one.toml", "slow.toml"), "E1100 perfmodel networks: unrecognized arguments: slow.toml."),
        (("devices", "-o", "a.png"), "E1904 a.png: ends in '.png'. Choose one of .txt, .csv, .json, .md, .tex, .parq"),
        (("devices", "-o", "."), "E1904 .: has no suffix"),
        (("networks", "\x1b]0;x\x07"), "E1002 network '\\x1b]0;x\\x07' is not known."),
    ],
)
def test_wrong_input(cli, here, arguments, start):
    before = sorted(here.iterdir())
    found = cli(*arguments)
    assert found.refused(start), found
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize("suffix", [None, "txt", "md", "tex", "csv", "json"])
def test_hostile_contents(cli, here, suffix):
    evil = "\\u001b[31m\\u0007\\u202e"
    for name, verb in (("one.toml", "networks"), ("slow.toml", "devices"), ("run.jsonl", "traces")):
        (here / name).write_text((here / name).read_text().replace("made up", evil).replace("One", f"One{evil}"))
        found = cli(verb, name, *(() if suffix is None else ("-o", f"a.{suffix}")))
        assert (found.code, found.err) == (0, "")
        text = found.out if suffix is None else (here / f"a.{suffix}").read_text()
        assert not {"\x1b", "\x07", "\u202e"} & set(text)
        assert suffix == "csv" or "31m" in text  # written out, not dropped
