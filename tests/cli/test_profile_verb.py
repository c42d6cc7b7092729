"""`perfmodel profile`: the plan, what is refused, sessions on a simulated GPU and how they end."""

import contextlib
import csv
import io
import json
import os

import pytest

from perfmodel.cli import main
from perfmodel.gemm import Gemm
from perfmodel.lowering import MemoryOp
from perfmodel.profiles.kernel import Kernel
from perfmodel.profiles.lock import acquire
from perfmodel.profiles.profile import read_profile

# In batches of 5: fprop of both layers is one GEMM, the wgrads and the updates are one each, the second's dgrad its
# own: it multiplies as fprop does, operands that lie otherwise.
TWIN = """
title = "Two equal layers"
source = "made up"
input = [9, 1, 1]
layers = [{ op = "linear", name = "a", out = 9, bias = false }, { op = "linear", name = "b", out = 9, bias = false }]
"""
SCENARIO = 'title = "A card"\nsource = "made up"\ndevice = "rtx-2080-ti"\n[noise]\njitter = 0.001\n'
FPROP, DGRAD = Kernel(Gemm(5, 9, 9)), Kernel(Gemm(5, 9, 9, layout="tt"))
WGRAD, UPDATE = Kernel(Gemm(9, 9, 5, layout="nt")), Kernel(MemoryOp(12 * 81, 8 * 81, "update", (81,)))
PLAN = ("profile", "twin.toml", "--batch", "5", "--precision", "fp32")
RUN = (*PLAN, "--state", "burst", "--half-width", "0.2", "--simulate")


@pytest.fixture
def twin(here):
    (here / "twin.toml").write_text(TWIN)
    return here


@pytest.fixture
def card(twin):
    """Writes a scenario with a fault, by default none, and returns its name."""

    def write(fault=None, **keys):
        lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
        text = "\n".join(("[[faults]]", f'kind = "{fault}"', *lines)) if fault else ""
        (twin / "card.toml").write_text(SCENARIO + text)
        return "card.toml"

    return write


def records(path, type_=None):
    """The records of a journal, without its header and without what tells two runs apart."""
    rows = [json.loads(line) for line in path.read_text().splitlines()][1:]
    found = [row for row in rows if type_ in (None, row["type"])]
    return [{key: value for key, value in row.items() if key not in ("crc32", "started")} for row in found]


def plan_rows(cli, *arguments):
    found = cli(*PLAN, *arguments)
    assert (found.code, found.err) == (0, "")
    return found.out.splitlines()


# The plan


def test_the_plan_of_two_layers(cli, twin):
    title, _, header, _, *rows, _, _, _ = plan_rows(cli)
    assert title == "Kernels to time: twin, batch 5, rtx-2080-ti, implicit GEMM, model tiles"
    assert header.split() == ["kernel", "launches", "GFLOP", "MB", "ms", "share", "used", "by"]
    shown = {row.split("  ")[0]: row.split()[-8:] for row in rows}
    assert set(shown) == {FPROP.text, DGRAD.text, WGRAD.text, UPDATE.text}
    launches, gflop, mb = (2, 2 * 5 * 9 * 9 / 1e9, 4 * (45 + 81 + 45) / 1e6)
    assert rows[0].split()[3:6] == [f"{launches}", f"{gflop:.3g}", f"{mb:.3g}"]
    assert rows[0].endswith("  a fprop and 1 more")


def test_the_last_note_of_the_plan(cli, twin):
    *_, first, second = plan_rows(cli, "--settle", "7", "--least-visits", "11", "--samples", "3")
    # 5 launches of GEMMs of 810 FLOP; 7 s, 44 visits of 1 ms + 3 samples of 0.45 ms, 22 canaries of 8 ms
    assert f"{first} {second}".startswith(
        "4 distinct kernels, 4.05e-09 TFLOP in all their launches. One session takes about 7.28 s of GPU time at "
        "least: 11 visits to each kernel"
    )


def test_the_plan_as_csv_and_json(cli, twin):
    assert cli(*PLAN, "-o", "plan.csv").out == ""
    rows = {row["kernel"]: row for row in csv.DictReader(io.StringIO((twin / "plan.csv").read_text()))}
    kernels, columns = (FPROP, WGRAD, DGRAD, UPDATE), ("launches", "flop", "bytes")
    found = [[float(rows[one.text][name]) for name in columns] for one in kernels]
    assert found == [[2, 810, 684], [2, 810, 684], [1, 810, 684], [2, 0, 1620]]
    assert rows[FPROP.text]["uses"] == "twin a fprop; twin b fprop"
    assert rows[DGRAD.text]["uses"] == "twin b dgrad"
    cli(*PLAN, "-o", "plan.json")
    assert len(json.loads((twin / "plan.json").read_text())["rows"]) == 4


def test_the_plan_of_one_precision(cli, twin):
    text = "\n".join(plan_rows(cli, "--precision", "int8", "--overhead", "ideal"))  # n padded to 4 elements, k to 16
    assert "gemm 5x12x16 int8 " in text
    assert "gemm 9x12x16 int8 " in text
    assert "fp32" not in text


def test_the_default_networks(cli):
    found = cli("profile", "--precision", "fp16", "--overhead", "ideal")
    assert found.code == 0
    assert found.out.startswith("Kernels to time: alexnet-reference, resnet18, googlenet-aux, batch 256, rtx-2080-ti")


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("nosuch.toml",), "E1201 nosuch.toml does not exist."), (("resnet19",), "E1002 network 'resnet19'"),
        (("--precision", "fp33"), "E1004 format 'fp33'"), (("--precision", "fp16,,int8"), "E1004 format ''"),
        (("--precision", "fp64"), "E1103 device rtx-2080-ti: has no unit for fp64"),
        (("--mapping", "direct"), "E1005 mapping 'direct'"), (("--overhead", "table3"), "E1105 --overhead table3"),
        (("--batch", "0"), "E1105 --batch 0 is not"), (("--batch", "3.5"), "E1100 perfmodel profile:"),
        (("--device", "t5"), "E1001 device 't5'"), (("--tile", "7x7"), "E1106 tile '7x7'"),
        (("--isolate", "yes"), "E2001 --isolate 'yes' is not known. Known: none, process."),
        (("--resume",), "E2003 --resume goes with --gpu or --simulate."),
        (("--append",), "E2003 --append goes with --gpu or --simulate."),
        (("-o", "plan.jsonl"), "E2003 -o 'plan.jsonl' would be a profile, and this is only a plan. Add --gpu or"),
        (("-o", "plan.png"), "E1904 plan.png: ends in '.png'."), (("-o", "no/plan.csv"), "E1901 no/plan.csv:"),
        (("--budget", "nan"), "E1100 perfmodel profile: argument --budget: 'nan' is not a number."),
        (("--budget", "\x1b[31m"), "E1100 perfmodel profile: argument --budget: '\\x1b[31m' is"),
        (("--budget", "-3"), "E2002 --budget -3.0 is not between"), (("--seed", "-1"), "E2002 --seed -1 is not"),
        (("--settle", "4000"), "E2002 --settle-least 4000.0 is not between"),
        (("--settle-least", "9", "--settle-most", "8"), "E2002 --settle-least 9 is above --settle-most 8."),
        (("--least-visits", "5"), "E2002 --least-visits 5 is not"), (("--samples", "1e3"), "E1100 perfmodel profile:"),
        (("--least-visits", "50"), "E2002 --least-visits 50 is above --most-visits 40."),
        (("--data", "ones"), "E2001 --data 'ones'"), (("--state", "hot"), "E2001 --state 'hot'"),
        (("--verify", "no"), "E2001 --verify 'no'"), (("--half-width", "0"), "E2002 --half-width 0.0 is not"),
    ],
)  # fmt: skip
def test_wrong_arguments_of_the_plan(cli, twin, arguments, start):
    before = sorted(twin.iterdir())
    found = cli(*PLAN, *arguments)
    assert found.refused(start), found
    assert sorted(twin.iterdir()) == before


def test_the_limits_of_settling_follow_each_other(cli, twin):
    short = plan_rows(cli, "--settle-most", "3")[-2]
    assert "about 3.17 s of GPU time" in short
    assert "about 1 min 30 s of GPU time" in plan_rows(cli, "--settle-least", "90")[-2]


# What a session refuses


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("--simulate", "calm"), "E2003 -o is missing: where to write the profile. Add -o FILE.jsonl."),
        (("--gpu",), "E2003 -o is missing"),
        (("--gpu", "-o", "a.txt"), "E1904 a.txt: ends in '.txt'."),
        (("--simulate", "calm", "-o", "a.txt"), "E1904 a.txt: ends in '.txt'. Choose one of .jsonl."),
        (("--simulate", "calm", "--gpu", "-o", "a.jsonl"), "E1100 perfmodel profile: argument --gpu: not allowed"),
        (("--simulate", "clam", "-o", "a.jsonl"), "E1011 scenario 'clam' is not known. Did you mean calm?"),
        (("--simulate", "no.toml", "-o", "a.jsonl"), "E1201 no.toml does not exist."),
        (("--simulate", "twin.toml", "-o", "a.jsonl"), "E1210 twin.toml: device: is missing."),
        (("--simulate", "calm", "-o", "no/a.jsonl"), "E1901 no/a.jsonl: there is no folder no."),
        (("--simulate", "calm", "-o", "old.jsonl"), "E2101 old.jsonl: exists already."),
        (("--simulate", "calm", "-o", "link.jsonl"), "E1902 link.jsonl: is a symbolic link."),
        (("--simulate", "calm", "-o", "folder.jsonl"), "E1905 folder.jsonl: is a folder."),
        (("--simulate", "calm", "-o", "a.jsonl", "--resume"), "E1201 a.jsonl does not exist."),
        (("--simulate", "calm", "-o", "a.jsonl", "--append"), "E1201 a.jsonl does not exist."),
        (("--simulate", "calm", "-o", "old.jsonl", "--resume"), "E2102 old.jsonl: is not a profile"),
        (("--simulate", "calm", "-o", "a.jsonl", "--resume", "--append"), "E1100 perfmodel profile: argument --append"),
        (("--simulate", "calm", "-o", "a.jsonl", "--device", "h200"), "E2003 --device does not go with --simulate"),
    ],
)
def test_what_a_session_refuses(cli, twin, arguments, start):
    (twin / "old.jsonl").write_text("something else\n")
    (twin / "link.jsonl").symlink_to("elsewhere.jsonl")
    (twin / "folder.jsonl").mkdir()
    before = sorted(twin.iterdir())
    found = cli(*PLAN, *arguments)
    assert found.refused(start), found
    assert sorted(twin.iterdir()) == before
    assert (twin / "old.jsonl").read_text() == "something else\n"


# Sessions, and how they end


def test_a_session_settles_and_times_the_plan(cli, twin):
    found = cli(*PLAN, "--settle", "0.6", "--settle-most", "0.6", "--simulate", "calm", "-o", "a.jsonl")
    assert (found.code, found.err) == (0, "")
    first, second, third = found.out.splitlines()
    assert first == "a.jsonl: 4 kernels, 4 with intervals as narrow as asked"
    assert second.startswith("24 visits in ")
    assert second.endswith(" s on the device after settling; session complete")
    assert third == "perfmodel check a.jsonl says whether to trust it"
    profile = read_profile(twin / "a.jsonl")
    assert set(profile.timings) == {FPROP, DGRAD, WGRAD, UPDATE}
    assert profile.basis == "simulated"
    assert profile.damage == ()
    weights = {one.kernel: one.weight for one in profile.timings.values()}
    assert weights == {FPROP: 2, DGRAD: 1, WGRAD: 2, UPDATE: 2}
    assert [row["seconds"] >= 0.6 for row in records(twin / "a.jsonl", "settle")] == [True]
    assert sorted(path.name for path in twin.glob("a.jsonl*")) == ["a.jsonl"]


def test_a_scenario_of_ones_own(cli, twin, card):
    assert cli(*RUN, card(), "-o", "a.jsonl").code == 0
    assert read_profile(twin / "a.jsonl").environment["device"]["name"] == "NVIDIA GeForce RTX 2080 Ti (simulated)"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("--budget", "0", "--simulate", "calm"), "budget"),
        (("--most-visits", "6", "--half-width", "0.0001", "--simulate", "calm"), "unconverged"),
        (("--most-visits", "6", "--simulate", "noisy"), "unconverged"),
    ],
)
def test_intervals_that_stay_wide_end_with_3(cli, twin, arguments, status):
    found = cli(*PLAN, "--state", "burst", *arguments, "-o", "a.jsonl")
    assert (found.code, found.err) == (3, "")
    assert found.out.startswith("a.jsonl: 4 kernels, 0 with intervals as narrow as asked\n")
    assert f"; session {status}\n" in found.out
    assert cli("check", "a.jsonl").code == 3


@pytest.mark.parametrize(
    ("fault", "status"),
    [({"fault": "build", "message": "ptxas says no"}, "failed"), ({"fault": "wrong", "how": "zero_element"}, "wrong")],
)
def test_failed_kernels_end_with_4(cli, twin, card, fault, status):
    found = cli(*RUN, card(kernel="9x9x5", **fault), "-o", "a.jsonl")
    assert (found.code, found.err) == (4, "")
    assert found.out.startswith("a.jsonl: 4 kernels, 3 with intervals as narrow as asked, 1 failed\n")
    profile = read_profile(twin / "a.jsonl")
    assert set(profile.timings) == {FPROP, DGRAD, UPDATE}
    assert profile.refused[WGRAD][0] == status


def test_a_lost_device_ends_with_5_and_is_resumed(cli, twin, card):
    lost = (*RUN, card("device lost", kernel="5x9x9", counter=8), "-o", "a.jsonl")
    found = cli(*lost)
    assert (found.code, found.out) == (5, "")
    assert len(found.err.splitlines()) == 1
    assert found.err.startswith("device lost: ")
    assert found.err.endswith("; what was measured is saved; the same command with --resume goes on\n")
    saved = (twin / "a.jsonl").read_bytes()
    assert 0 < len(records(twin / "a.jsonl", "visit")) < 24
    assert cli(*lost, "--resume").code == 0
    assert (twin / "a.jsonl").read_bytes().startswith(saved)
    (twin / "card.toml").write_text(SCENARIO)
    assert cli(*RUN, "card.toml", "-o", "whole.jsonl").code == 0
    assert records(twin / "a.jsonl") == records(twin / "whole.jsonl")


@pytest.mark.parametrize("isolate", ["none", "process"])
def test_a_device_that_was_never_there_leaves_nothing(cli, twin, card, isolate):
    before = sorted([*twin.iterdir(), twin / "card.toml"])
    found = cli(*RUN, card("device lost"), "-o", "a.jsonl", "--isolate", isolate)
    assert (found.code, found.out) == (5, "")
    assert found.err.startswith("device lost: ")
    assert found.err.endswith("; nothing was measured yet\n")
    assert sorted(twin.iterdir()) == before


def test_two_processes_give_the_same_numbers_as_one(cli, twin):
    assert cli(*RUN, "drift", "-o", "a.jsonl").code == 0
    assert cli(*RUN, "drift", "-o", "b.jsonl", "--isolate", "process").code == 0
    assert records(twin / "a.jsonl") == records(twin / "b.jsonl")


# Going on


def test_sessions_are_added(cli, twin):
    assert cli(*RUN, "drift", "-o", "a.jsonl").code == 0
    for count, kind in ((2, "session"), (3, "sessions")):
        assert cli(*RUN, "drift", "-o", "a.jsonl", "--append").code == 0
        profile = read_profile(twin / "a.jsonl")
        assert [session.number for session in profile.sessions] == list(range(1, count + 1))
        assert {timing.interval for timing in profile.timings.values()} == {kind}
        assert f" visits in {count} sessions.\n" in cli("check", "a.jsonl").out
    visits = records(twin / "a.jsonl", "visit")
    assert len({str([row["seconds"] for row in visits if row["session"] == number]) for number in (1, 2, 3)}) == 3
    settled = records(twin / "a.jsonl", "settle")
    clocks = {row["reference_clock_hz"] for row in settled}
    assert len(clocks) == 3  # a card of the same noise would make sessions agree


def test_a_finished_session_is_not_resumed(cli, twin):
    cli(*RUN, "calm", "-o", "a.jsonl")
    before = (twin / "a.jsonl").read_bytes()
    found = cli(*RUN, "calm", "-o", "a.jsonl", "--resume")
    assert found.refused("E2111 a.jsonl: no session is open. --append measures once more.")
    assert (twin / "a.jsonl").read_bytes() == before


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory):
    """The bytes of a profile whose session has not ended."""
    folder = tmp_path_factory.mktemp("unfinished")
    (folder / "twin.toml").write_text(TWIN)
    with contextlib.chdir(folder):
        assert main([*RUN, "calm", "-o", "a.jsonl"]) == 0
    return b"".join((folder / "a.jsonl").read_bytes().splitlines(keepends=True)[:-9])


@pytest.fixture
def begun(twin, unfinished):
    """The path of that profile."""
    (twin / "a.jsonl").write_bytes(unfinished)
    return twin / "a.jsonl"


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("--samples", "7"), "the session was begun with samples 5, not 7."),
        (("--budget", "7"), "the session was begun with budget_s 300.0, not 7.0."),
        (("--batch", "3"), "the session was begun with batch [5], not [3]."),
        (("--precision", "int8"), "the session was begun with precisions ['fp32'], not ['int8']."),
        (("--mapping", "im2col"), "the session was begun with mapping 'implicit', not 'im2col'."),
        (("--overhead", "ideal"), "the session was begun with overhead 'current', not 'ideal'."),
        (("--model", "roofline"), "the session was begun with model 'tiles', not 'roofline'."),
        (("--tile", "64x64x8"), "the session was begun with tile 'best', not '64x64x8'."),
        (("--no-split-k",), "the session was begun with no_split_k False, not True."),
        (("one.toml",), "the session was begun with networks ['twin'], not ['twin', 'one']."),
    ],
)
def test_another_request_does_not_go_on(cli, begun, arguments, found):
    before = begun.read_bytes()
    refused = cli(*RUN, "calm", "-o", "a.jsonl", "--resume", *arguments)
    assert refused.refused(f"E2110 a.jsonl: {found} Give the same command as before, with --resume."), refused
    assert begun.read_bytes() == before


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("9", "7", "kernel 0 of the session was another one; now it is 2 x gemm 5x7x7 fp32: a network has changed."),
        ("bias = false }]", "bias = true }]", "the session was begun with kernels 4, not 6."),
    ],
)
def test_a_changed_network_does_not_go_on(cli, twin, begun, old, new, found):
    (twin / "twin.toml").write_text(TWIN.replace(old, new))
    refused = cli(*RUN, "calm", "-o", "a.jsonl", "--resume")
    assert refused.refused(f"E2110 a.jsonl: {found} Give the same command as before, with --resume."), refused


@pytest.mark.parametrize("mode", ["--resume", "--append"])
def test_another_environment_does_not_go_on(cli, begun, mode):
    found = cli(*RUN, "drift", "-o", "a.jsonl", mode)
    assert found.refused("E2109 a.jsonl: was measured in another environment: uuid was 'SIM-"), found


@pytest.mark.parametrize("mode", ["--resume", "--append"])
def test_one_writer_at_a_time(cli, begun, mode):
    before = begun.read_bytes()
    lock = acquire(begun)
    try:
        found = cli(*RUN, "calm", "-o", "a.jsonl", mode)
        assert found.refused(f"E2107 a.jsonl: is being written by process {os.getpid()}"), found
    finally:
        lock.release()
    assert begun.read_bytes() == before
    assert cli(*RUN, "calm", "-o", "a.jsonl", mode).code == 0


def test_resuming_asks_for_the_latest_open_session(cli, begun):
    assert cli(*RUN, "calm", "-o", "a.jsonl", "--append").code == 0
    assert [row["session"] for row in records(begun, "end")] == [2]
    assert cli(*RUN, "calm", "-o", "a.jsonl", "--resume").code == 0
    assert [row["session"] for row in records(begun, "end")] == [2, 1]


def test_a_file_with_a_header_alone_is_resumed(cli, twin, begun):
    lines = begun.read_bytes().splitlines(keepends=True)
    begun.write_bytes(lines[0])  # killed before the session was recorded
    assert cli(*RUN, "calm", "-o", "a.jsonl", "--resume").code == 0
    assert cli(*RUN, "calm", "-o", "b.jsonl").code == 0
    assert records(begun) == records(twin / "b.jsonl")


def test_a_session_whose_first_record_is_lost_keeps_its_number(cli, begun):
    lines = begun.read_bytes().splitlines(keepends=True)
    begun.write_bytes(b"".join((lines[0], *lines[2:])))
    assert cli(*RUN, "calm", "-o", "a.jsonl", "--append").code == 0
    assert [row["session"] for row in records(begun, "session")] == [2]
    assert len([row for row in records(begun, "visit") if row["session"] == 2]) == 24


def test_nothing_is_said_on_the_way(cli, twin):
    found = cli(*RUN, "calm", "-o", "a.jsonl")
    assert found.err == ""
    assert "\r" not in found.out


# What the times are good for


TRACE = (
    '{"schema":"perfmodel.trace/1","network":"twin.toml","dataset":"none","scheme":"muppet","samples":20,"batch":5,'
    '"source":{"note":"made up"},"baseline_epochs":3}\n'
    '{"epoch":0,"iterations":4,"precision":{"fprop":"dfx8","dgrad":"dfx8","wgrad":"dfx8"}}\n'
)


def test_speedup_of_simulated_times(cli, twin):
    (twin / "twin.jsonl").write_text(TRACE)
    assert cli(*RUN, "calm", "--precision", "fp32,fp16,int8", "-o", "all.jsonl").code == 0
    assert cli(*RUN, "calm", "-o", "some.jsonl").code == 0
    assert cli("speedup", "twin.jsonl", "--profile", "all.jsonl", "-o", "a.csv").err == ""
    rows = list(csv.DictReader(io.StringIO((twin / "a.csv").read_text())))
    assert len(rows) > 1
    assert {row["basis"] for row in rows} == {"simulated"}
    found = cli("speedup", "twin.jsonl", "--profile", "some.jsonl")
    assert found.code == 2
    assert {line.split()[0] for line in found.err.splitlines()} == {"E2201"}
    filled = cli("speedup", "twin.jsonl", "--profile", "some.jsonl", "--fill", "analytical", "-o", "b.csv")
    assert (filled.code, filled.err) == (0, "")
    bases = {row["basis"] for row in csv.DictReader(io.StringIO((twin / "b.csv").read_text()))}
    assert bases == {"simulated", "simulated+analytical"}
