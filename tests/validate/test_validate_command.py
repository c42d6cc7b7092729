"""`perfmodel validate` from the outside."""

import json

import pytest

from perfmodel.cli import main


@pytest.fixture
def folder(write_times, tiles_rows):
    rows = [*tiles_rows("v100-sxm2", "V100", 2.0), *tiles_rows("t4", "T4", 4.0), {"device": "Abacus <b>"}]
    return write_times("gemm_times.csv", rows).parent


def run(*arguments):
    return main(["validate", *map(str, arguments)])


def test_tables_for_people(folder, capsys):
    assert run("--data", folder, "--draws", 2) == 0
    out = capsys.readouterr().out
    assert out.startswith("Errors on published timings\n")
    for part in ("GEMMs, fitted on: 20 timings", "roofline, 3 factors", "calibrated", "Left out", "Abacus <b>"):
        assert part in out
    assert "none on a row, or a shape, of its own fit" in out


def test_the_variable_names_the_folder(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("PERFMODEL_DATA", str(folder))
    assert run("--draws", 1, "--sets", "gemm", "-o", tmp_path / "out.md") == 0
    text = (tmp_path / "out.md").read_text()
    assert "## GEMMs, fitted on: half" in text
    assert "Abacus &lt;b&gt;" in text


def test_raw_files_hold_every_figure(folder, tmp_path):
    assert run("--data", folder, "--draws", 1, "-o", tmp_path / "out.csv") == 0
    header, first, *_ = (tmp_path / "out.csv").read_text().splitlines()
    assert header.startswith("kind,source,device,precision,pass,model,fitted_on,part,rows,draws,mape,median,p90,bias,")
    assert first.startswith("gemm,lab,t4,fp32,,roofline,nothing,all,60,1,")
    assert run("--data", folder, "--draws", 1, "-o", tmp_path / "out.json") == 0
    figures, left = json.loads((tmp_path / "out.json").read_text())
    assert left["rows"][0]["rows"] == 1
    assert {row["model"] for row in figures["rows"]} >= {"calibrated", "tiles"}


def test_a_run_repeats_to_the_letter(folder, tmp_path):
    for name in ("a.csv", "b.csv"):
        assert run("--data", folder, "--draws", 2, "-o", tmp_path / name) == 0
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--draws", "0"), "E1105"), (("--draws", "1001"), "E1105"), (("--draws", "x"), "E1100"),
        (("--sets", "abc"), "E1605"), (("--data", "nowhere"), "E1602"),
        (("-o", "x.png"), "E1904"), (("extra",), "E1100"), (("--sets", ""), "E1605"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(folder, monkeypatch, capsys, arguments, code):
    monkeypatch.setenv("PERFMODEL_DATA", str(folder))
    assert run(*arguments) == 2
    out, error = capsys.readouterr()
    assert (out, error.count("\n"), error[:5]) == ("", 1, code)


def test_without_timings_one_line_says_where_they_come_from(monkeypatch, capsys):
    monkeypatch.delenv("PERFMODEL_DATA", raising=False)
    assert run() == 2
    error = capsys.readouterr().err
    assert error.startswith("E1601 ")
    assert error.count("\n") == 1
