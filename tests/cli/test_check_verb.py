"""`perfmodel check`: what it finds in good, damaged and unfinished profiles, and what it refuses."""

import contextlib
import csv
import io
import json

import pytest

from perfmodel.cli import main

RUN = (
    "profile", "one.toml", "--batch", "2", "--precision", "fp32", "--state", "burst", "--half-width", "0.2",
    "--simulate",
)  # fmt: skip
ONE = """
title = "One layer"
source = "made up"
input = [4, 1, 1]
layers = [{ op = "linear", name = "fc", out = 2, bias = false }]
"""
NEEDED = ("--network", "one.toml", "--batch", "2", "--precision")
SINGLE = "1 note the interval of 3 kernels is that of one session or two: it holds no drift from day to day"
GOOD = "Nothing bad or doubtful was found."
NOT_GOOD = "Not to be trusted as it is: see above."
CSV = (
    "Problem,Provider,OperationKind,Operation,Disposition,Status,gemm_kind,m,n,k,A,B,C,alpha,beta,split_k_slices,"
    "batch_count,op_class,accum,Runtime\n"
    "1,CUTLASS,gemm,cutlass_simt_sgemm_128x128_8x2_nn_align1,passed,success,universal,96,80,48,f32:column,f32:row,"
    "f32:column,1,0,1,1,simt,f32,0.007\n"
)


@pytest.fixture(scope="module")
def profiles(tmp_path_factory):
    """The bytes of three profiles of one card, two of them alike, and of one of another."""
    folder = tmp_path_factory.mktemp("profiles")

    (folder / "one.toml").write_text(ONE)
    with contextlib.chdir(folder):
        for name, scenario, seed in (("a", "calm", "0"), ("b", "calm", "3"), ("c", "calm", "0"), ("d", "drift", "0")):
            assert main([*RUN, scenario, "--seed", seed, "-o", f"{name}.jsonl"]) == 0
    return {path.name: path.read_bytes() for path in folder.glob("*.jsonl")}


@pytest.fixture
def files(here, profiles):
    for name, content in profiles.items():
        (here / name).write_bytes(content)
    return here


def lines(found):
    """The rows of the table and the notes, with single blanks."""
    return [" ".join(line.split()) for line in found.out.splitlines() if line]


def flipped(content, at):
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def test_a_good_profile(cli, files):
    found = cli("check", "a.jsonl")
    assert (found.code, found.err) == (0, "")
    title, header, _, first, second, advice, other, notes, clock, widths, kind, verdict = lines(found)
    assert title == "Profile a.jsonl: NVIDIA GeForce RTX 2080 Ti (simulated)"
    assert header == "level finding"
    assert (first, second) == (SINGLE, "2 note the times are simulated")
    assert advice == "1: gemm 2x2x4 fp32 and 2 more. Measure 3 sessions, apart in time (--append)."
    assert other == "2: Measure on a GPU before quoting any of them."
    assert clock.startswith("Reference clock: ")
    assert notes == "3 of 3 kernels have a time (simulated), from 18 visits in 1 session."
    assert widths.startswith("Half-widths of the intervals: median 0.")
    assert (kind[:17], verdict) == ("Interval session:", GOOD)


def test_a_flipped_bit_costs_one_visit(cli, files):
    content = (files / "a.jsonl").read_bytes()
    (files / "a.jsonl").write_bytes(flipped(content, content.rindex(b'"seconds":[0.0') + 14))
    found = cli("check", "a.jsonl")
    assert (found.code, found.err) == (3, "")
    text = found.out
    assert "could not be used: W2102 a.jsonl:" in text
    assert "no interval for 1 kernel with fewer than 6 visits" in text
    assert "from 17 visits in 1 session." in text
    assert lines(found)[-1] == NOT_GOOD


@pytest.mark.parametrize("cut", [7, 40, 700, 3000])
def test_a_truncated_profile_did_not_finish(cli, files, cut):
    (files / "a.jsonl").write_bytes((files / "a.jsonl").read_bytes()[:-cut])
    found = cli("check", "a.jsonl")
    assert (found.code, found.err) == (3, "")
    assert "could not be used: W2101 a.jsonl:" in found.out
    assert "session 1: it did not finish (open)" in found.out


def test_an_unfinished_profile(cli, files):
    whole = (files / "a.jsonl").read_bytes().splitlines(keepends=True)
    (files / "a.jsonl").write_bytes(b"".join(whole[:-1]))  # all visits, no end
    found = cli("check", "a.jsonl")
    assert found.code == 0  # a note: its intervals are as good as they are
    assert "session 1: it did not finish (open)" in found.out
    assert "perfmodel profile --resume goes on with it." in found.out


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_profile_without_times_is_not_good(cli, files, count):
    whole = (files / "a.jsonl").read_bytes().splitlines(keepends=True)
    (files / "a.jsonl").write_bytes(b"".join(whole[:count]))
    found = cli("check", "a.jsonl")
    assert (found.code, found.err) == (3, "")
    assert lines(found)[-1] == "It holds no time of any kernel."
    assert cli("check", "a.jsonl", "--timings").code == 3


def test_kernels_that_a_network_needs(cli, files):
    assert cli("check", "a.jsonl", *NEEDED, "fp32").code == 0
    found = cli("check", "a.jsonl", *NEEDED, "fp32,fp16")
    assert found.code == 3
    assert "1 bad no time of 10 kernels that are needed" in lines(found)
    (advice,) = [line for line in lines(found) if line.startswith("1: ")]
    # Mixed precision: two GEMMs, cast, check; MuPPET: two GEMMs, maximum and quantising of 8 and of 4 elements.
    assert advice.startswith("1: gemm 2x8x8 fp16 and 9 more. Measure them with")
    assert "Needed: the kernels of one.toml, batch 2, fp32,fp16, implicit, conversions current." in lines(found)


def test_timings(cli, files):
    found = cli("check", "--timings", "a.jsonl")
    assert (found.code, found.err) == (0, "")
    title, header, _, *rows = lines(found)[:6]
    assert title == "Timings of a.jsonl: NVIDIA GeForce RTX 2080 Ti (simulated)"
    assert header == "kernel µs ± interval visits of roofline elasticity flags status"
    assert [row.split()[0] for row in rows] == ["gemm", "gemm", "update"]
    assert cli("check", "a.jsonl", "--timings", "-o", "a.csv").out == ""
    table = list(csv.DictReader(io.StringIO((files / "a.csv").read_text())))
    assert [(row["visits"], row["basis"], row["status"]) for row in table] == [("6", "simulated", "ready")] * 3
    shown = [float(row.split(" % ")[0].split()[-2]) for row in rows]
    assert shown == pytest.approx([1e6 * float(row["seconds"]) for row in table], abs=0.006)
    cli("check", "a.jsonl", "--timings", "-o", "a.json")
    assert [row["kernel"] for row in json.loads((files / "a.json").read_text())["rows"]] == [
        row["kernel"] for row in table
    ]


def test_findings_for_programs_name_every_kernel(cli, files):
    assert cli("check", "a.jsonl", "-o", "a.csv").code == 0
    first, _ = csv.DictReader(io.StringIO((files / "a.csv").read_text()))
    assert (first["level"], len(first["kernels"].split("; "))) == ("note", 3)


def test_several_files_are_joined(cli, files):
    found = cli("check", "a.jsonl", "--timings", "b.jsonl")
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("Timings of a.jsonl + b.jsonl: ")
    assert "from 36 visits in 2 sessions." in found.out
    assert "from 18 visits in 1 session." in cli("check", "a.jsonl", "a.jsonl").out  # one session, given twice
    assert "from 18 visits in 1 session." in cli("check", "a.jsonl", "c.jsonl").out  # one simulated card, run twice


def test_the_table_of_cutlass_profiler(cli, files):
    (files / "table.csv").write_text(CSV)
    found = cli("check", "table.csv", "--timings")
    assert (found.code, found.err) == (3, "")  # means have no intervals
    assert found.out.startswith("Timings of table.csv: unknown device\n")
    assert "1 of 1 kernels have a time (measured), from 1 visits in 1 session." in found.out


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("no.jsonl",), "E1201 no.jsonl does not exist."), ((".",), "E1202 . is a folder, not a file."),
        (("empty.jsonl",), "E2102 empty.jsonl: is empty."), (("one.toml",), "E2102 one.toml: is not a profile"),
        (("binary.jsonl",), "E2102 binary.jsonl: is not a profile: it begins with '\\x00\\x01"),
        (("header.jsonl",), "E2102 header.jsonl: the header is damaged: it fails its checksum."),
        (("binary.csv",), "E12"), (("a.jsonl", "d.jsonl"), "E2108 environment: device.uuid is"),
        ((), "E1100 perfmodel check: the following arguments are required: PROFILE."),
        (("a.jsonl", "--network", "resnet19"), "E1002 network 'resnet19' is not known."),
        (("a.jsonl", *NEEDED, "fp33"), "E1004 format 'fp33'"), (("a.jsonl", "--batch", "0"), "E1105 --batch 0 is not"),
        (("a.jsonl", "--batch", "3"), "E1105 --batch says which kernels a network needs. Add --network N."),
        (("a.jsonl", "--device", "t9"), "E1105 --device says which kernels a network needs. Add --network N."),
        (("a.jsonl", "--overhead", "table3"), "E1105 --overhead table3 is no kernel"),
        (("a.jsonl", "-o", "a.png"), "E1904 a.png: ends in '.png'."), (("a.jsonl", "-o", "no/a.csv"), "E1901 no/a.csv"),
        (("a.jsonl", "--timing"), "E1100 perfmodel check: unrecognized arguments: --timing."),
    ],
)  # fmt: skip
def test_wrong_input(cli, files, arguments, start):
    for name, content in (("empty", b""), ("binary", bytes(range(256)) * 9)):
        (files / f"{name}.jsonl").write_bytes(content)
        (files / f"{name}.csv").write_bytes(content)
    (files / "header.jsonl").write_bytes(flipped((files / "a.jsonl").read_bytes(), 100))
    before = sorted(files.iterdir())
    found = cli("check", *arguments)
    assert found.refused(start), found
    assert sorted(files.iterdir()) == before


def test_an_empty_table(cli, files):
    (files / "empty.csv").write_bytes(b"")
    found = cli("check", "empty.csv")
    assert (found.code, found.out) == (2, "")
    assert found.err == "E1208 empty.csv: is empty. Give the table that cutlass_profiler writes.\n"


def test_every_wrong_file_has_a_line(cli, files):
    (files / "empty.jsonl").write_bytes(b"")
    found = cli("check", "no.jsonl", "a.jsonl", "empty.jsonl")
    assert [line.split()[:2] for line in found.err.splitlines()] == [["E1201", "no.jsonl"], ["E2102", "empty.jsonl:"]]
    assert (found.code, found.out) == (2, "")


def test_errors_as_json(cli, files):
    found = cli("check", "no.jsonl", "--errors", "json")
    assert json.loads(found.err)["code"] == "E1201"
