"""`perfmodel reproduce table3`: the paper's cells and ours in every format, and wrong input."""

import csv
import io
import json
import re

import pytest

# The paper's cells, as it prints them.
PAPER = {
    "AlexNet": ("30:13", "29:20", "23:52", "20:25"),
    "ResNet18": ("132:46", "97:25", "100:19", "92:43"),
    "GoogLeNet": ("152:28", "122:51", "122:13", "82:38"),
}


def test_the_calibrated_mode_prints_the_papers_cells(cli):
    found = cli("reproduce", "table3")
    assert (found.code, found.err) == (0, "")
    lines = found.out.splitlines()
    start = lines.index("Table 3, calibrated") + 4
    cells = lines[start : start + 12]
    assert [cell.split()[0] for cell in cells] == [name for name in PAPER for _ in range(4)]
    for name, printed in PAPER.items():
        rows = [cell for cell in cells if cell.startswith(name)]
        assert [re.split("  +", row)[2] for row in rows] == list(printed)
        assert rows[0].endswith("taken from the paper")
        assert rows[0].count(printed[0]) == 2  # theirs and ours


def test_every_part_is_there_once(cli):
    out = cli("reproduce", "table3").out
    for text in (
        "Table 3, calibrated\n", "Table 3, uncalibrated, no constant: mean error", "these six cells: mean error",
        "Table 3, uncalibrated, good kernels: mean error", "Table 3, GPU hours:minutes",
        "Schedules that the published limit allows\n",
        "What the published speedup consists of\n", "Modelled iterations", "ranks it among 4368.",
    ):  # fmt: skip
        assert out.count(text) == 1, text
    assert "Search over" not in out


def test_details_first_and_the_papers_table_last(cli):
    lines = cli("reproduce", "table3").out.splitlines()
    titles = (
        "Modelled iterations, batch 256", "Schedules that the published limit allows",
        "What the published speedup consists of", "Table 3, calibrated",
        "Table 3, GPU hours:minutes and speedup over FP32",
    )  # fmt: skip
    places = [lines.index(title) for title in titles]
    assert places == sorted(places)
    last = [re.split("  +", line) for line in lines[places[-1] + 4 : places[-1] + 19]]
    assert [row[0] for row in last] == [name for name in PAPER for _ in range(5)]
    assert last[0] == ["AlexNet", "paper", "30:13 (1x)", "29:20 (1.03x)", "23:52 (1.27x)", "20:25 (1.48x)"]
    assert last[10] == ["GoogLeNet", "paper", "152:28 (1x)", "122:51 (1.24x)", "122:13 (1.25x)", "82:38 (1.84x)"]
    assert "Conversions: current, maximum first, then quantise, 9 B/element." in lines[places[-1] :]
    assert lines[-1].endswith("the published gain over FP32 comes from training fewer epochs.")
    notes = "\n".join(lines)
    assert "no schedule of the inferred 63 epochs gives the published limit" in notes


def test_no_line_of_notes_is_longer_than_120(cli):
    lines = cli("reproduce", "table3").out.splitlines()
    notes = [line for line in lines if "  " not in line and not line.startswith("Table 3")]
    assert len(notes) > 20
    assert max(map(len, notes)) <= 120


@pytest.mark.parametrize("overhead", ["ideal", "delayed", "unfused", "table3", "36"])
def test_overheads(cli, here, overhead):
    assert cli("reproduce", "table3", "--overhead", overhead, "-o", "a.csv").code == 0
    rows = list(csv.DictReader(io.StringIO((here / "a.csv").read_text())))
    assert len(rows) == 48
    muppet, limit = (
        {row["network"]: float(row["low_s"]) for row in rows if (row["mode"], row["column"]) == ("calibrated", column)}
        for column in ("MuPPET", "MuPPET limit")
    )
    # 36 ms in 5005 iterations of 69 epochs: 12432.4 s; the paper's difference: 207 minutes.
    expected = {"ideal": 0.0, "table3": 12420.0, "36": 12432.42}
    if overhead in expected:
        assert muppet["AlexNet"] - limit["AlexNet"] == pytest.approx(expected[overhead], abs=0.01)
    else:
        assert muppet["AlexNet"] > limit["AlexNet"]
    statuses = {row["status"] for row in rows if row["column"] == "MuPPET"}
    assert statuses == {"solved from the paper" if overhead == "table3" else "modelled"}


@pytest.mark.parametrize(
    ("suffix", "start"),
    [
        ("txt", "Modelled iterations, batch 256\n"), ("csv", "mode,network,column,paper_s,low_s"),
        ("json", '[\n {\n  "title": "Modelled iterations, batch 256"'),
        ("md", "## Modelled iterations"), ("tex", "% Modelled iterations"),
    ],
)  # fmt: skip
def test_outputs(cli, here, suffix, start):
    found = cli("reproduce", "table3", "-o", f"a.{suffix}")
    assert (found.code, found.out, found.err) == (0, "", "")
    assert (here / f"a.{suffix}").read_text().startswith(start)


def test_json_has_all_tables(cli, here):
    cli("reproduce", "table3", "-o", "a.json")
    tables = json.loads((here / "a.json").read_text())
    cells = [table for table in tables if table["title"].startswith(("Table 3, calibrated", "Table 3, uncalibrated"))]
    assert [len(table["rows"]) for table in cells] == [12, 12, 12, 12]
    assert [table["title"].partition(":")[0] for table in tables] == [
        "Modelled iterations, batch 256", "Schedules that the published limit allows",
        "What the published speedup consists of", "Table 3, calibrated", "Table 3, uncalibrated, no constant",
        "Table 3, uncalibrated, one constant, fitted on these six cells", "Table 3, uncalibrated, good kernels",
        "Table 3, GPU hours",
    ]  # fmt: skip
    assert [len(table["rows"]) for table in tables[:3]] == [6, 12, 18]
    assert len(tables[-1]["rows"]) == 15  # the paper and four modes of three networks


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("table4",), "E1009 target 'table4' is not known. Did you mean table3?"),
        (("\x1b[31m",), "E1009 target '\\x1b[31m' is not known. Known: table3."),
        ((), "E1100 perfmodel reproduce: the following arguments are required: TARGET."),
        (("table3", "--overhead", "table4"), "E1105 --overhead 'table4' is neither a level nor"),
        (("table3", "-o", "a.png"), "E1904 a.png: ends in '.png'. Choose one of .txt, .csv, .json, .md, .tex, .parq"),
        (("table3", "-o", "no/a.csv"), "E1901 no/a.csv: there is no folder no."),
        (("table3", "--device", "t4"), "E1105 --device says what a profile is of. Add --profile FILE."),
    ],
)
def test_wrong_input(cli, here, arguments, start):
    before = sorted(here.iterdir())
    found = cli("reproduce", *arguments)
    assert found.refused(start), found
    assert sorted(here.iterdir()) == before


@pytest.mark.nightly
def test_the_search(cli):
    found = cli("reproduce", "table3", "--search")
    assert found.code == 0
    assert "Search over 4368 variants" in found.out
    assert found.out.startswith("Search over 4368 variants: the best of both kinds\n")
    assert found.out.count("sums in FP16, activations in FP16 *") == 1
