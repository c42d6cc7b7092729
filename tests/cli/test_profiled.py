"""`--profile` and `--fill`: times of a profile in speedup, breakdown and predict."""

import csv
import io
import json

import pytest

from perfmodel.gemm import Gemm, find_precision
from perfmodel.lowering import MemoryOp
from perfmodel.profiles.environment import make_header
from perfmodel.profiles.journal import Journal
from perfmodel.profiles.kernel import Kernel

SLOW = ("--device", "slow.toml")
FP32, HALF, INT8 = find_precision("fp32"), find_precision("fp16"), find_precision("int8")
HALF_TO_FP32 = find_precision("fp16", "fp32", "fp32")

# The kernels of the steps of one.toml in batches of 2: fprop and wgrad, padded as their units want it. In INT8 they are
# one: 2 x 2 x 4 and 2 x 4 x 2, n padded to 4 and k to 16, both read along k.
GEMMS = {
    Kernel(Gemm(2, 2, 4)): 0.3, Kernel(Gemm(2, 4, 2, layout="nt")): 0.5,
    Kernel(Gemm(2, 8, 8, 1, HALF)): 0.07, Kernel(Gemm(8, 8, 2, 1, HALF, layout="nt")): 0.11,
    Kernel(Gemm(2, 4, 8, 1, HALF_TO_FP32)): 0.03, Kernel(Gemm(8, 8, 2, 1, HALF_TO_FP32, layout="nt")): 0.05,
    Kernel(Gemm(2, 4, 16, 1, INT8), "64x64x64"): 0.01, Kernel(Gemm(2, 4, 16, 1, INT8), "32x32x64"): 0.02,
}  # fmt: skip
UPDATE = Kernel(MemoryOp(96, 64, "update", (8,)))
STREAMS = {
    UPDATE: 0.2,
    Kernel(MemoryOp(32, 16, "cast", (8,))): 0.013, Kernel(MemoryOp(32, 32, "check", (8,))): 0.017,
    Kernel(MemoryOp(32, 0, "absmax", (8,))): 0.012, Kernel(MemoryOp(32, 8, "quantise", (8,))): 0.008,
    Kernel(MemoryOp(16, 0, "absmax", (4,))): 0.006, Kernel(MemoryOp(16, 4, "quantise", (4,))): 0.004,
    Kernel(MemoryOp(4, 4, "transpose", (2, 2))): 0.003, Kernel(MemoryOp(8, 8, "transpose", (2, 4))): 0.007,
}  # fmt: skip
EVERYTHING = GEMMS | STREAMS
# FP32 0.3 + 0.5 + 0.2; mixed 0.07 + 0.11 + 0.013 + 0.017 + 0.2; 8 bit 2·0.01 + 0.2, quantising 4·0.02 + 0.01,
# transposes 0.003 + 0.007; 16 bit 0.03 + 0.05 + 0.2, quantising as 8 bit.
FP32_S, MIXED_S, INT8_S, HALF_S = 1.0, 0.41, 0.32, 0.37
NOTE = "All 16 distinct kernels are measured."  # 7 GEMMs, 9 streams


def environment(name="A slow GPU", kind="cuda"):
    return {"device": {"kind": kind, "name": name}}


def visit(kernel, seconds, position, round_):
    return {
        "type": "visit", "session": 1, "round": round_, "position": position, "kernel": kernel, "regime": "cold",
        "launches": 1, "sets": 3, "mode": "graph", "offset_s": 0.0, "seconds": [seconds] * 3, "clock_hz": [1e9] * 3,
        "flags": [], "readings": {}, "elapsed_s": 1.0, "state": {},
    }  # fmt: skip


def write_profile(path, kernels, facts=None, refused=()):
    """A profile in which every launch of a kernel took the same time."""
    with Journal.create(path, make_header(facts or environment(), "2026-11-22", "a test"), sync=False) as journal:
        journal.append({"type": "session", "session": 1, "settings": {}, "request": {}, "started": str(path)})
        for i, kernel in enumerate((*kernels, *refused)):
            journal.append(
                {
                    "type": "kernel", "session": 1, "kernel": i, "what": kernel.to_json(), "weight": 1.0, "prior": 0.5,
                    "status": "ready" if kernel in kernels else "skipped", "reason": "no memory",
                }
            )  # fmt: skip
        settled = {"type": "settle", "session": 1, "seconds": 20.0, "reference_clock_hz": 1e9, "settled": True}
        journal.append(settled)
        for round_ in range(6):
            for i, seconds in enumerate(kernels.values()):
                journal.append(visit(i, seconds, i, round_))
        journal.append({"type": "end", "session": 1, "status": "done", "elapsed_s": 9.0, "ended": "2026-11-22"})


@pytest.fixture
def profile(here):
    """gpu.jsonl: everything that the steps of one.toml need."""
    write_profile(here / "gpu.jsonl", EVERYTHING)


def without(*kernels):
    return {kernel: seconds for kernel, seconds in EVERYTHING.items() if kernel not in kernels}


@pytest.mark.usefixtures("profile")
def test_speedup(cli, here):
    found = cli("speedup", "run.jsonl", *SLOW, "--profile", "gpu.jsonl")
    assert (found.code, found.err) == (0, "")
    title, _, header, _, *rows = found.out.splitlines()[:8]
    assert title == "Training time and speedup: slow.toml, implicit GEMM, profile gpu.jsonl, conversions current"
    assert [row.split()[-1] for row in (header, *rows)] == ["basis", *["measured"] * 4]
    assert found.out.endswith(f"\nProxies: dfx16 timed as fp16.\n{NOTE}\n")
    assert "\nGEMMs on slow: fp32 (sums in fp32) on CUDA cores, " in found.out  # at no assumed clock
    cli("speedup", "run.jsonl", *SLOW, "--profile", "gpu.jsonl", "-o", "a.csv")
    rows = list(csv.DictReader(io.StringIO((here / "a.csv").read_text())))
    run = 4 * (INT8_S + HALF_S + FP32_S)
    assert [float(row["time_low_s"]) for row in rows[:3]] == pytest.approx([24 * FP32_S, 24 * MIXED_S, run])
    assert {(row["model"], row["profile"], row["basis"]) for row in rows} == {("profile", "gpu.jsonl", "measured")}


@pytest.mark.usefixtures("profile")
def test_breakdown(cli, here):
    found = cli("breakdown", "one.toml", *SLOW, "--batch", "2", "--profile", "gpu.jsonl", "--by", "pass")
    assert (found.code, found.err) == (0, "")
    lines = found.out.splitlines()
    assert lines[0] == "One training step of one, batch 2: slow.toml, implicit GEMM, profile gpu.jsonl"
    assert lines[7].replace(" … ", "…").split() == [
        "total", "1000", "1000…1000", "100.0", "%", "410", "410…410", "100.0", "%", "320", "320…320", "100.0", "%",
    ]  # fmt: skip
    assert found.out.endswith("\nAll 14 distinct kernels are measured.\nBasis: measured.\n")  # no 16-bit step
    cli("breakdown", "one.toml", *SLOW, "--batch", "2", "--profile", "gpu.jsonl", "-o", "a.json")
    rows = json.loads((here / "a.json").read_text())["rows"]
    kernels = {(row["precision"], row["pass"]): row["kernel"] for row in rows if row["kind"] == "gemm"}
    assert kernels["int8", "fprop"] == "64x64x64"


@pytest.mark.usefixtures("profile")
def test_predict(cli, here):
    (here / "gemms.csv").write_text("m,n,k,precision\n2,2,4,\n2,2,9,int8\n2,2,4,fp16\n")
    found = cli("predict", "gemms.csv", *SLOW, "--profile", "gpu.jsonl")
    assert (found.code, found.err) == (0, "")
    assert [line.split(",")[4:] for line in found.out.splitlines()[1:]] == [
        ["0.3", "measured", "", "0.3", "0.3"], ["0.01", "measured", "64x64x64", "0.01", "0.01"],
        ["0.07", "measured", "", "0.07", "0.07"],
    ]  # fmt: skip
    (here / "gemms.csv").write_text("m,n,k\n2,2,4\n2,3,4\n")
    assert cli("predict", "gemms.csv", *SLOW, "--profile", "gpu.jsonl").refused(
        "E2201 profile of A slow GPU: has no time of gemm 2x3x4 fp32; 1 of 2 GEMMs in fp32 are missing."
    )
    filled = cli("predict", "gemms.csv", *SLOW, "--profile", "gpu.jsonl", "--fill", "roofline")
    assert [line.split(",")[3:] for line in filled.out.splitlines()[1:]] == [
        ["0.3", "measured", "", "0.3", "0.3"], ["0.104", "roofline", "", "", ""],
    ]  # fmt: skip


def test_a_simulated_profile(cli, here):
    write_profile(here / "sim.jsonl", EVERYTHING, environment("A slow GPU (simulated)", "simulated"))
    found = cli("speedup", "run.jsonl", *SLOW, "--profile", "sim.jsonl")
    assert (found.code, found.err) == (0, "")
    assert [line.split()[-1] for line in found.out.splitlines()[4:8]] == ["simulated"] * 4
    assert found.out.endswith("\nAll 16 distinct kernels are simulated.\n")
    assert "measured" not in found.out


def test_what_is_missing_is_named_or_filled(cli, here):
    write_profile(here / "gpu.jsonl", without(UPDATE, Kernel(Gemm(2, 4, 2, layout="nt"))), refused=[UPDATE])
    arguments = ("speedup", "run.jsonl", *SLOW, "--profile", "gpu.jsonl")
    doubt = "W2202 --profile gpu.jsonl: no time of 1 kernel with status skipped. See perfmodel check gpu.jsonl.\n"
    found = cli(*arguments)
    assert (found.code, found.out) == (2, "")
    assert found.err == doubt + (
        "E2201 profile of A slow GPU: has no time of gemm 2x4x2 fp32 nt; 1 of 2 GEMMs in fp32 are missing. perfmodel "
        "profile NETWORK … measures them; --fill analytical models them.\n"
    )
    found = cli(*arguments, "--fill", "roofline")  # bytes / 1000: 0.08 s and 0.16 s
    assert (found.code, found.err) == (0, doubt)
    assert "implicit GEMM, profile gpu.jsonl, fill roofline, conversions" in found.out
    assert [line.split()[-1] for line in found.out.splitlines()[4:8]] == ["measured+roofline"] * 4
    assert "\nGEMMs on slow at 1000 MHz where modelled: fp32 " in found.out
    # FP32 0.3 + 0.08 + 0.16, mixed 0.21 + 0.16, MuPPET 0.12 + 0.16, 0.17 + 0.16 and FP32; 24, 24 and 4 of each.
    modelled = 24 * 0.24 + 24 * 0.16 + 4 * (0.16 + 0.16 + 0.24)
    share = modelled / (modelled + 24 * (0.3 + 0.21) + 4 * (0.12 + 0.17 + 0.3))
    assert found.out.endswith(
        "\nOf 16 distinct kernels 14 are measured and 2 are roofline; of the time shown "
        f"{100 - share * 100:.1f} % measured and {share * 100:.1f} % roofline.\n"
    )


def test_the_analytical_fill_knows_tiles(cli, here):
    write_profile(here / "gpu.jsonl", GEMMS)
    (here / "gemms.csv").write_text("m,n,k\n2,2,4\n200,300,400\n")
    arguments = ("predict", "gemms.csv", *SLOW, "--profile", "gpu.jsonl", "--fill", "analytical")
    modelled = cli("predict", "gemms.csv", *SLOW, "--tile", "64x64", "--no-split-k").out.splitlines()[2]
    assert cli(*arguments, "--tile", "64x64", "--no-split-k").out.splitlines()[2] == modelled
    assert modelled.endswith(",analytical,64x64x8,,")


@pytest.mark.usefixtures("profile")
def test_given_conversions_take_their_share(cli):
    found = cli(
        "breakdown", "one.toml", *SLOW, "--batch", "2", "--profile", "gpu.jsonl", "--overhead", "780", "--precision",
        "int8",
    )  # fmt: skip
    assert found.out.endswith(  # 0.22 s of kernels (a GEMM, twice, and the update), 0.78 s
        "\nAll 2 distinct kernels are measured; of the time shown 22.0 % measured and 78.0 % given.\n"
        "Basis: measured+given.\n"
    )


def test_several_profiles_are_joined(cli, here):
    write_profile(here / "a.jsonl", GEMMS)
    (here / "b").mkdir()
    write_profile(here / "b" / "b.jsonl", STREAMS)
    both = ("speedup", "run.jsonl", *SLOW, "--profile", "a.jsonl", "--profile", "b/b.jsonl")
    found = cli(*both)
    assert (found.code, found.err) == (0, "")
    assert found.out.splitlines()[0].endswith(", profile a.jsonl + b.jsonl, conversions current")
    assert found.out.endswith(f"\n{NOTE}\n")
    write_profile(here / "other.jsonl", STREAMS, environment("Another GPU"))
    assert cli(*both, "--profile", "other.jsonl").refused("E2108 ")
    found = cli(*both, "--profile", "no.jsonl", "--profile", "nor.jsonl")
    assert [line.split()[:2] for line in found.err.splitlines()] == [["E1201", "no.jsonl"], ["E1201", "nor.jsonl"]]


def test_another_device_is_a_warning(cli, here):
    write_profile(here / "gpu.jsonl", EVERYTHING, environment("NVIDIA H200"))
    arguments = ("speedup", "run.jsonl", *SLOW, "--profile", "gpu.jsonl")
    text = (
        "W2201 --profile gpu.jsonl: holds times of NVIDIA H200, and --device is A slow GPU. Name the device that was "
        "timed."
    )
    found = cli(*arguments)
    assert (found.code, found.err) == (0, f"{text}\n")
    assert found.out.endswith(f"\n{NOTE}\n")
    assert cli(*arguments, "--strict").refused(text)
    for verb in (("breakdown", "one.toml", "--batch", "2"), ("predict", "gemms.csv")):
        assert cli(*verb, *SLOW, "--profile", "gpu.jsonl").err == f"{text}\n"


def test_a_device_that_is_not_named_is_a_warning(cli, here):
    write_profile(here / "gpu.jsonl", EVERYTHING, environment(""))
    found = cli("predict", "gemms.csv", *SLOW, "--profile", "gpu.jsonl")
    assert (found.code, found.err) == (
        0, "W2201 --profile gpu.jsonl: does not say of which device; --device is A slow GPU. Check that.\n"
    )  # fmt: skip


def test_damage_is_a_warning(cli, here, profile):
    lines = (here / "gpu.jsonl").read_text().splitlines(keepends=True)
    (here / "gpu.jsonl").write_text("".join(lines[:-1]) + lines[-1][:-9])  # cut inside the last record
    found = cli("speedup", "run.jsonl", *SLOW, "--profile", "gpu.jsonl")
    assert found.code == 0
    assert len(found.err.splitlines()) == 1
    assert found.err.startswith("W2101 gpu.jsonl:"), found.err
    assert found.out.endswith(f"\n{NOTE}\n")


def test_much_damage_is_counted(cli, here, profile):
    lines = (here / "gpu.jsonl").read_text().splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if '"visit"' in line)
    for i in range(at, at + 46, 2):
        lines[i] = lines[i].replace('"round":', '"roumd":')
    (here / "gpu.jsonl").write_text("".join(lines))
    found = cli("predict", "gemms.csv", *SLOW, "--profile", "gpu.jsonl")
    assert (found.code, found.out) == (0, "m,n,k,seconds,basis,tile,low_s,high_s\n2,2,4,0.3,measured,,,\n")
    *shown, last = found.err.splitlines()
    assert [line[:5] for line in shown] == ["W2102"] * 20
    assert last == "… 4 more"  # the last says that the profile is to be doubted


@pytest.mark.parametrize(
    ("facts", "fill", "start"),
    [
        (environment(), (), "Measured: slow.toml"), (environment(), ("--fill", "roofline"), "Measured: slow.toml"),
        (environment("A slow GPU (simulated)", "simulated"), (), "Simulated, not measured: slow.toml"),
        (None, (), "Modelled, not measured: slow.toml"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("verb", [("speedup", "run.jsonl"), ("breakdown", "one.toml", "--batch", "2")])
def test_figures_say_where_their_numbers_come_from(cli, here, monkeypatch, facts, fill, start, verb):
    assert figure_note(cli, here, monkeypatch, EVERYTHING, facts, fill, verb).startswith(start)


@pytest.mark.parametrize("verb", [("speedup", "run.jsonl"), ("breakdown", "one.toml", "--batch", "2")])
@pytest.mark.parametrize(
    ("facts", "start"),
    [
        (environment(), "Measured and modelled: slow.toml"),
        (environment("A slow GPU (simulated)", "simulated"), "Simulated and modelled, not measured: slow.toml"),
    ],
)
def test_figures_of_both_kinds(cli, here, monkeypatch, facts, start, verb):
    note = figure_note(cli, here, monkeypatch, GEMMS, facts, ("--fill", "roofline"), verb)
    assert note.startswith(start)
    assert "distinct kernels" in note


def figure_note(cli, here, monkeypatch, kernels, facts, fill, verb):
    """The note under the figure of a verb; without facts, of the model roofline."""
    notes = []
    for name in ("timeline_figure", "breakdown_figure"):
        monkeypatch.setattr(f"perfmodel.report.figures.{name}", lambda *arguments: notes.append(arguments))
    monkeypatch.setattr("perfmodel.report.figures.write_figure", lambda figure, output: None)
    source = ("--model", "roofline")
    if facts is not None:
        write_profile(here / "gpu.jsonl", kernels, facts)
        source = ("--profile", "gpu.jsonl", *fill)
    found = cli(*verb, *SLOW, *source, "-o", "a.svg")
    assert (found.code, found.err) == (0, "")
    ((*_, note),) = ((a[:3] if verb[0] == "speedup" else a[:4]) for a in notes)
    return note


@pytest.mark.usefixtures("profile")
@pytest.mark.parametrize("suffix", ["png", "svg", "pdf", "md", "tex", "txt"])
def test_outputs(cli, here, suffix):
    found = cli("speedup", "run.jsonl", *SLOW, "--profile", "gpu.jsonl", "-o", f"a.{suffix}")
    assert (found.code, found.out, found.err) == (0, "", "")
    assert (here / f"a.{suffix}").stat().st_size > 200


@pytest.mark.usefixtures("profile")
@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("--fill", "analytical"), "E1105 --fill models what a profile lacks, and there is none. Add --profile FILE."),
        (("--profile", "gpu.jsonl", "--fill", "tiles"), "E1007 --fill 'tiles' is not known. Known: analytical, roof"),
        (("--fill", "\x1b[31m"), "E1007 --fill '\\x1b[31m' is not known."),
        (("--profile", "gpu.jsonl", "--model", "roofline"), "E1105 --model does not go with --profile."),
        (("--profile", "gpu.jsonl", "--tile", "64x64"), "E1105 --tile changes a model, and --profile asks for none."),
        (("--profile", "gpu.jsonl", "--no-split-k"), "E1105 --no-split-k changes a model, and --profile asks"),
        (("--profile", "gpu.jsonl", "--fill", "roofline", "--tile", "64x64"), "E1106 model roofline: has neither"),
        (("--profile", "no.jsonl"), "E1201 no.jsonl does not exist."),
        (("--profile", "."), "E1202 . is "),
        (("--profile", "run.jsonl"), "E2102 run.jsonl: is not a profile"),
        (("--profile", "one.toml"), "E2102 one.toml: is not a profile"),
        (("--profile", "gpu.jsonl", "--device", "t5"), "E1001 device 't5' is not known."),
        (("--profile",), "E1100 perfmodel "),
    ],
)
@pytest.mark.parametrize("verb", [("speedup", "run.jsonl"), ("breakdown", "one.toml"), ("predict", "gemms.csv")])
def test_wrong_input(cli, here, verb, arguments, start):
    before = sorted(here.iterdir())
    found = cli(*verb, *SLOW, *arguments)
    assert found.refused(start), found
    assert sorted(here.iterdir()) == before
