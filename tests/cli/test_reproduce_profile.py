"""`reproduce table3 --profile`, and which mapping a profile is read with in speedup and breakdown."""

import csv
import io
import json
import re
from pathlib import Path

import pytest

from perfmodel.cost import find_cost_model
from perfmodel.devices import find_device
from perfmodel.gemm import Gemm
from perfmodel.networks.network import read_network
from perfmodel.plan import make_plan
from perfmodel.profiles.environment import make_header
from perfmodel.profiles.journal import Journal
from perfmodel.reproduce.published import table3
from perfmodel.schemes import Overhead

TURING, HOPPER = "NVIDIA GeForce RTX 2080 Ti", "NVIDIA H200"
SLOW = ("--device", "slow.toml", "--batch", "2")
CONV = """
title = "Two layers"
source = "made up"
input = [4, 6, 6]
layers = [
  { op = "conv", name = "conv", out = 8, kernel = 3, bias = false },
  { op = "linear", name = "fc", out = 2, bias = false },
]
"""


@pytest.fixture(autouse=True)
def networks(here, monkeypatch):
    """Three networks of one layer each instead of the paper's."""
    (here / "conv.toml").write_text(CONV)
    monkeypatch.setattr(
        "perfmodel.cli.reproduce._networks",
        lambda: {row.network: read_network(here / "one.toml") for row in table3().rows},
    )


def kernels_of(path, batch, mapping):
    """What the steps of a network need."""
    device = find_device("rtx-2080-ti")
    models = (find_cost_model(name, device) for name in ("tiles", "roofline"))
    networks = [read_network(Path(path))]
    plan = make_plan(networks, (batch,), ("fp32", "fp16", "int8"), mapping, Overhead("current"), *models)
    return [row.kernel for row in plan.kernels]


def taken(kernel):
    """Seconds of one launch: a GEMM 3 ms in FP32, 2 in FP16, 1 in INT8; any other kernel 0.1 ms."""
    if not isinstance(kernel.problem, Gemm):
        return 1e-4
    return {"fp32": 3e-3, "fp16": 2e-3, "int8": 1e-3}[kernel.problem.precision.operand.name]


def write_profile(path, kernels, request=None, name=TURING, kind="cuda"):
    facts = {"device": {"kind": kind, "name": name}}
    started = {"type": "session", "session": 1, "settings": {}, "request": request or {}, "started": str(path)}
    with Journal.create(Path(path), make_header(facts, "2026-11-22", "a test"), sync=False) as journal:
        journal.append(started)
        for i, kernel in enumerate(kernels):
            row = {"kernel": i, "what": kernel.to_json(), "weight": 1.0, "prior": 0.5, "status": "ready"}
            journal.append({"type": "kernel", "session": 1} | row)
        settled = {"type": "settle", "session": 1, "seconds": 20.0, "reference_clock_hz": 1e9, "settled": True}
        journal.append(settled)
        for i, kernel in enumerate(kernels):
            for round_ in range(6):
                row = {
                    "round": round_, "position": i, "kernel": i, "regime": "cold", "launches": 1, "sets": 3,
                    "mode": "graph", "offset_s": 0.0, "seconds": [taken(kernel)] * 3, "clock_hz": [1e9] * 3,
                    "flags": [], "readings": {},
                }  # fmt: skip
                journal.append({"type": "visit", "session": 1} | row)
        journal.append({"type": "end", "session": 1, "status": "done", "elapsed_s": 9.0})


@pytest.fixture
def profile(here):
    """gpu.jsonl, of the paper's device: everything that the steps of one.toml need in batches of 256."""
    write_profile("gpu.jsonl", kernels_of("one.toml", 256, "implicit"))


def section(out, start):
    """The rows of a table, split at two blanks or more."""
    lines = out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith(start))
    rows = lines[at + 2 :]
    end = rows.index("") if "" in rows else len(rows)
    return [re.split("  +", row.strip()) for row in (rows[0], *rows[2:end])]


# One layer: FP32 2·3 ms and the update; mixed precision 2·2 ms, cast, check, update; 5005 iterations of 150 epochs.
FP32_S, MIXED_S = 0.0061 * 5005 * 150, 0.0043 * 5005 * 150


@pytest.mark.usefixtures("profile")
def test_the_papers_device(cli):
    found = cli("reproduce", "table3", "--profile", "gpu.jsonl")
    assert found.code == 0
    header, *rows = section(
        found.out, "Table 3, GPU hours:minutes: NVIDIA GeForce RTX 2080 Ti, implicit GEMM, profile g"
    )
    assert header == [
        "network", "column", "paper", "profile", "90 %", "difference", "basis", "model", "model to profile",
    ]  # fmt: skip
    assert len(rows) == 12
    assert [row[6] for row in rows] == ["measured"] * 12
    assert rows[0][:6] == ["AlexNet", "FP32", "30:13", "1:16", "1:16 … 1:16", "-95.8 %"]  # 4579.6 s
    header, *rows = section(found.out, "Table 3, speedup over FP32: NVIDIA GeForce RTX 2080 Ti, implicit GEMM, profile")
    assert header == ["network", "column", "paper", "profile", "difference", "basis", "model"]
    assert len(rows) == 9
    assert rows[0][:4] == ["AlexNet", "Mixed Prec.", "1.03x", "1.42x"]
    assert "\nMeasured: the profile is of NVIDIA GeForce RTX 2080 Ti.\n" in found.out
    assert "\nAll 19 distinct kernels are measured.\n" in found.out
    assert "hours are not compared" not in found.out


@pytest.mark.usefixtures("profile")
def test_the_models_errors(cli):
    found = cli("reproduce", "table3", "--profile", "gpu.jsonl")
    header, *rows = section(found.out, "The analytical model against the profile of NVIDIA GeForce RTX 2080 Ti")
    assert header == ["kernels", "distinct", "median error", "mean error", "bias", "time together"]
    assert [row[:2] for row in rows] == [
        ["GEMM fp32 fprop", "1"], ["GEMM fp32 wgrad", "1"], ["GEMM fp16 fprop", "2"], ["GEMM fp16 wgrad", "2"],
        ["GEMM int8 fprop", "1"], ["GEMM int8 wgrad", "1"],
        ["all GEMMs", "8"], ["update", "1"], ["cast", "2"], ["quantise", "6"], ["transpose", "2"],
        ["all memory-bound kernels", "11"],
    ]  # fmt: skip
    # The model takes microseconds for each of these kernels, the profile milliseconds.
    assert all(row[4].startswith("-9") for row in rows)
    assert "the errors say nothing about the model" not in found.out
    assert len(section(found.out, "Where model and profile are furthest apart")) == 11


def test_another_device_is_compared_by_ratios(cli):
    write_profile("gpu.jsonl", kernels_of("one.toml", 256, "implicit"), name=HOPPER)
    found = cli("reproduce", "table3", "--profile", "gpu.jsonl")
    assert found.code == 0
    assert "W2201" not in found.err  # no option named another device
    header, *rows = section(found.out, "Table 3, GPU hours:minutes: NVIDIA H200, implicit GEMM")
    assert header == ["network", "column", "profile", "90 %", "basis", "model", "model to profile"]
    assert rows[0][:5] == ["AlexNet", "FP32", "1:16", "1:16 … 1:16", "measured"]
    assert "30:13" not in found.out
    text = " ".join(found.out.split())
    assert (
        "The paper's times are of another device, NVIDIA GeForce RTX 2080 Ti: hours are not compared, only sp" in text
    )
    assert "Model: tiles on NVIDIA H200" in text
    assert section(found.out, "Table 3, speedup")[1][:4] == ["AlexNet", "Mixed Prec.", "1.03x", "1.42x"]


def test_a_device_that_no_file_describes(cli):
    write_profile("gpu.jsonl", kernels_of("one.toml", 256, "implicit"), name="My card")
    found = cli("reproduce", "table3", "--profile", "gpu.jsonl")
    assert found.code == 0
    assert "The analytical model against" not in found.out
    header, *_ = section(found.out, "Table 3, GPU hours:minutes: My card")
    assert header == ["network", "column", "profile", "90 %", "basis"]
    assert "Name one with --device." in " ".join(found.out.split())
    fill = cli("reproduce", "table3", "--profile", "gpu.jsonl", "--fill", "analytical")
    assert fill.refused("E1105 --fill models the profile's device, and no device file is known to describe that.")
    named = cli("reproduce", "table3", "--profile", "gpu.jsonl", "--device", "rtx-2080")
    assert named.code == 0
    assert "W2201 --profile gpu.jsonl: holds times of My card, and --device is NVIDIA GeForce RTX 2080." in named.err
    assert "Model: tiles on NVIDIA GeForce RTX 2080," in " ".join(named.out.split())


def test_a_device_that_is_not_named(cli):
    write_profile("gpu.jsonl", kernels_of("one.toml", 256, "implicit"), name="")
    found = cli("reproduce", "table3", "--profile", "gpu.jsonl")
    assert found.code == 0
    text = " ".join(found.out.split())
    assert (
        "the profile is of an unknown device. The paper's device may be another one, NVIDIA GeForce RTX 2080 Ti" in text
    )


def test_a_simulated_profile_says_so(cli):
    write_profile("sim.jsonl", kernels_of("one.toml", 256, "implicit"), name=f"{TURING} (simulated)", kind="simulated")
    found = cli("reproduce", "table3", "--profile", "sim.jsonl")
    header, *rows = section(found.out, "Table 3, GPU hours:minutes: NVIDIA GeForce RTX 2080 Ti (simulated), implicit")
    assert header[2:6] == ["paper", "profile", "90 %", "difference"]
    assert {row[6] for row in rows} == {"simulated"}
    text = " ".join(found.out.split())
    assert "Simulated, not measured: the profile is of NVIDIA GeForce RTX 2080 Ti (simulated)." in text
    assert "The times are simulated: the errors say nothing about the model." in text
    assert not re.search("(?<!not )measured", text.lower())


def test_what_is_lacking_is_named_or_filled(cli):
    kernels = kernels_of("one.toml", 256, "implicit")
    write_profile("gpu.jsonl", [one for one in kernels if taken(one) == 1e-4])
    found = cli("reproduce", "table3", "--profile", "gpu.jsonl")
    assert (found.code, found.out) == (2, "")
    assert "E2201 profile of NVIDIA GeForce RTX 2080 Ti: has no time of gemm 256x2x4 fp32; 2 of 2 GEMMs" in found.err
    filled = cli("reproduce", "table3", "--profile", "gpu.jsonl", "--fill", "analytical")
    assert filled.code == 0
    rows = section(filled.out, "Table 3, GPU hours:minutes: NVIDIA GeForce RTX 2080 Ti, implicit GEMM, profile gpu.jso")
    assert {row[6] for row in rows[1:]} == {"measured+analytical"}
    groups = [row[0] for row in section(filled.out, "The analytical model against")[1:]]
    assert groups == ["update", "cast", "quantise", "transpose", "all memory-bound kernels"]
    write_profile("none.jsonl", [])
    filled = cli("reproduce", "table3", "--profile", "none.jsonl", "--fill", "analytical")
    assert filled.code == 0
    assert "The analytical model against" not in filled.out


@pytest.mark.usefixtures("profile")
@pytest.mark.parametrize("overhead", ["ideal", "table3", "36"])
def test_overheads_leave_the_limit_as_it_is(cli, here, overhead):
    limits = []
    for i, option in enumerate(((), ("--overhead", overhead))):
        assert cli("reproduce", "table3", "--profile", "gpu.jsonl", *option, "-o", f"{i}.csv").code == 0
        rows = list(csv.DictReader(io.StringIO((here / f"{i}.csv").read_text())))
        limits.append([row["low_s"] for row in rows if (row["mode"], row["column"]) == ("profile", "MuPPET limit")])
    assert limits[0] == limits[1]
    bases = {row["status"] for row in rows if (row["mode"], row["column"]) == ("profile", "MuPPET")}
    assert bases == {{"table3": "measured+published", "36": "measured+given"}.get(overhead, "measured")}


@pytest.mark.usefixtures("profile")
def test_outputs(cli, here):
    arguments = ("reproduce", "table3", "--profile", "gpu.jsonl", "-o")
    assert cli(*arguments, "a.csv").code == 0
    rows = list(csv.DictReader(io.StringIO((here / "a.csv").read_text())))
    assert [row["mode"] for row in rows] == ["profile"] * 12 + ["analytical model"] * 12
    assert float(rows[0]["low_s"]) == pytest.approx(FP32_S)
    assert float(rows[1]["low_s"]) == pytest.approx(MIXED_S)
    assert {(row["profile"], row["device"], row["mapping"]) for row in rows} == {
        ("gpu.jsonl", "rtx-2080-ti", "implicit")
    }
    assert cli(*arguments, "a.json").code == 0
    titles = [table["title"].partition(":")[0] for table in json.loads((here / "a.json").read_text())]
    assert titles == [
        "Iterations, batch 256", "The analytical model against the profile of NVIDIA GeForce RTX 2080 Ti",
        "Where model and profile are furthest apart", "Table 3, GPU hours", "Table 3, speedup over FP32",
    ]  # fmt: skip
    for suffix in ("md", "tex", "txt"):
        assert cli(*arguments, f"a.{suffix}").code == 0
        assert (here / f"a.{suffix}").stat().st_size > 1000


@pytest.mark.usefixtures("profile")
@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("--mapping", "im2col"), "E1105 --mapping says what a profile is of. Add --profile FILE."),
        (("--fill", "analytical"), "E1105 --fill models what a profile lacks, and there is none."),
        (("--profile", "gpu.jsonl", "--fill", "tiles"), "E1007 --fill 'tiles' is not known."),
        (("--profile", "gpu.jsonl", "--search"), "E1105 --search tries variants of a model"),
        (("--profile", "gpu.jsonl", "--device", "t5"), "E1001 device 't5' is not known."),
        (("--profile", "no.jsonl"), "E1201 no.jsonl does not exist."),
        (("--profile", "gpu.jsonl", "-o", "a.png"), "E1904 a.png"),
        (("--profile", "one.toml"), "E2102 one.toml: is not a profile"),
    ],
)
def test_wrong_input(cli, arguments, start):
    assert cli("reproduce", "table3", *arguments).refused(start)


def test_an_unknown_mapping(cli):
    write_profile("gpu.jsonl", kernels_of("one.toml", 256, "implicit"))
    found = cli("reproduce", "table3", "--profile", "gpu.jsonl", "--mapping", "direct")
    assert (found.code, found.out) == (2, "")
    assert found.err.splitlines()[-1].startswith("E1005 mapping 'direct' is not known.")


# Which mapping: that of the profile's request where --mapping does not say it.


def breakdown(cli, *arguments):
    return cli("breakdown", "conv.toml", *SLOW, *arguments)


def test_the_mapping_is_that_of_the_profiles_request(cli):
    write_profile("gpu.jsonl", kernels_of("conv.toml", 2, "im2col"), {"mapping": "im2col"})
    found = breakdown(cli, "--profile", "gpu.jsonl")
    assert found.code == 0
    assert found.out.splitlines()[
        0
    ] == "One training step of two, batch 2: slow.toml, im2col, profile gpu.jsonl".replace("two", "conv")
    given = breakdown(cli, "--profile", "gpu.jsonl", "--mapping", "implicit")
    assert (given.code, given.out) == (2, "")
    assert "E2201 profile of NVIDIA GeForce RTX 2080 Ti: has no time of implicit " in given.err
    assert breakdown(cli).out.startswith("One training step of conv, batch 2: slow.toml, implicit GEMM, model tiles")


def test_a_profile_that_the_tool_made_says_its_mapping(cli):
    quick = ("--simulate", "calm", "--state", "burst", "--half-width", "0.2", "-o", "sim.jsonl")
    made = cli("profile", "conv.toml", "--batch", "2", "--mapping", "im2col", *quick)
    assert made.code == 0, made.err
    found = cli("breakdown", "conv.toml", "--batch", "2", "--profile", "sim.jsonl", "--by", "kind")
    assert found.out.startswith("One training step of conv, batch 2: rtx-2080-ti, im2col, profile sim.jsonl\n")
    assert found.out.endswith("\nBasis: simulated.\n")


def test_the_mapping_of_speedup_and_reproduce(cli, here):
    both = {
        **dict.fromkeys(kernels_of("one.toml", 2, "im2col")),
        **dict.fromkeys(kernels_of("one.toml", 256, "im2col")),
    }
    write_profile("gpu.jsonl", list(both), {"mapping": "im2col-per-image"})
    found = cli("speedup", "run.jsonl", "--device", "slow.toml", "--profile", "gpu.jsonl", "-o", "a.csv")
    assert found.code == 0
    assert "im2col-per-image" in (here / "a.csv").read_text()
    found = cli("reproduce", "table3", "--profile", "gpu.jsonl")
    assert (
        "\nTable 3, GPU hours:minutes: NVIDIA GeForce RTX 2080 Ti, im2col-per-image, profile gpu.jsonl\n" in found.out
    )


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        (({"mapping": "im2col"}, {"mapping": "im2col"}), "im2col,"), (({"mapping": "im2col"}, {}), "im2col,"),
        (({"mapping": "im2col"}, {"mapping": "implicit"}), "implicit GEMM,"), (({}, {}), "implicit GEMM,"),
        (({"mapping": "direct"}, {"mapping": "direct"}), "implicit GEMM,"),
        (({"mapping": ["im2col"]}, {"mapping": 3}), "implicit GEMM,"),
    ],
)  # fmt: skip
def test_sessions_that_do_not_agree(cli, requests, expected):
    kernels = [*kernels_of("conv.toml", 2, "im2col"), *kernels_of("conv.toml", 2, "implicit")]
    kernels = list(dict.fromkeys(kernels))
    for name, request, part in zip("ab", requests, (kernels[::2], kernels[1::2]), strict=True):
        write_profile(f"{name}.jsonl", part, request)
    found = breakdown(cli, "--profile", "a.jsonl", "--profile", "b.jsonl")
    assert found.code == 0, found.err
    assert found.out.startswith(f"One training step of conv, batch 2: slow.toml, {expected} profile a.jsonl + b.jsonl")


def test_breakdown_shows_the_transposes(cli, here):
    write_profile("gpu.jsonl", kernels_of("conv.toml", 2, "im2col"), {"mapping": "im2col"})
    found = breakdown(cli, "--profile", "gpu.jsonl", "--by", "kind")
    rows = {row[0]: row for row in section(found.out, "One training step of conv")[1:]}
    # In INT8 the weights of fc for dgrad, conv's and fc's output gradients, and fc's input: 0.1 ms each.
    assert [rows["transpose"][i] for i in (1, 4, 7)] == ["–", "–", "0.4"]
    breakdown(cli, "--profile", "gpu.jsonl", "-o", "a.json")
    turned = [row for row in json.loads((here / "a.json").read_text())["rows"] if row["kind"] == "transpose"]
    assert {(row["layer"], row["pass"], row["precision"], row["launches"]) for row in turned} == {
        ("conv", "wgrad", "int8", 1), ("fc", "dgrad", "int8", 1), ("fc", "wgrad", "int8", 2),
    }  # fmt: skip
    assert {row["basis"] for row in turned} == {"measured"}
