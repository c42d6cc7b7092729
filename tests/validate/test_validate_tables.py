"""Targets and tables: what people read of verdicts."""

import csv
import io

import numpy as np
import pytest

from perfmodel.devices import find_device
from perfmodel.gemm import Gemm
from perfmodel.report.render import render, to_csv
from perfmodel.report.table import Table
from perfmodel.report.validation import skipped_table, validation_tables, verdicts_frame
from perfmodel.validate.contenders import CALIBRATED, ROOFLINE_THREE, TILES, VIEW
from perfmodel.validate.judging import Verdict
from perfmodel.validate.problems import Problems, Skipped
from perfmodel.validate.protocols import ALL_OTHER_NETWORKS, FEW, HALF, NOTHING, OTHER_GPUS
from perfmodel.validate.scores import Score
from perfmodel.validate.targets import covers, results


def problems_of(device="v100", source="neusight-linear-test", kind="gemm", precision="fp32", pass_=""):
    none = np.arange(500)
    return Problems(kind, source, find_device(device), precision, pass_, (Gemm(3, 5, 7),) * 500, none, none, none)


def verdict(problems, model, fitted, mape, coverage=np.nan, rows=500, p=1.0, part="all", draws=1, spread=np.nan):
    return Verdict(problems, model, fitted, part, rows, draws, Score(mape, 0.03, 0.1, -0.02, coverage, 0.25, spread), p)


def test_a_target_is_met_or_missed_beside_the_roofline():
    volta, turing = problems_of(), problems_of("t4")
    verdicts = [
        verdict(volta, CALIBRATED, FEW, 0.05), verdict(volta, ROOFLINE_THREE, FEW, 0.058),
        verdict(turing, CALIBRATED, FEW, 0.071), verdict(turing, CALIBRATED, FEW, 0.01, part="1 to 10 ms"),
    ]  # fmt: skip
    first, second = results(verdicts)
    assert (first.met, first.limit, first.baseline) == (True, 0.05, 0.058)
    assert (second.met, second.limit, np.isnan(second.baseline)) == (False, 0.07, True)


@pytest.mark.parametrize(
    ("device", "source", "kind", "precision", "pass_", "model", "fitted", "limit"),
    [
        ("t4", "neusight-linear-test", "gemm", "fp32", "", TILES, OTHER_GPUS, 0.20),
        ("a100", "neusight-linear-test", "gemm", "fp32", "", TILES, OTHER_GPUS, 0.12),
        ("t4", "deepbench", "gemm", "fp16", "", CALIBRATED, HALF, 0.07),
        ("t4", "deepbench", "conv", "fp16", "dgrad", CALIBRATED, HALF, 0.18),
        ("v100", "neusight-conv", "conv", "fp32", "fprop", CALIBRATED, HALF, 0.12),
        (
            "rtx-2080-ti",
            "lambda_tf",
            "iteration",
            "fp16",
            "train step",
            "framework view",
            "other networks of all",
            0.08,
        ),
    ],
)
def test_limits_of_series(device, source, kind, precision, pass_, model, fitted, limit):
    problems = problems_of(device, source, kind, precision, pass_)
    assert [one.limit for one in results([verdict(problems, model, fitted, 0.1)])] == [limit]


@pytest.mark.parametrize(
    ("device", "source", "kind", "precision", "pass_"),
    [
        ("t4", "neusight-linear-train", "gemm", "fp32", ""), ("p100", "deepbench", "gemm", "fp32", ""),
        ("t4", "deepbench", "conv", "int8", "fprop"), ("rtx-2080-ti", "ryujaehun", "iteration", "fp32", "forward"),
    ],
)  # fmt: skip
def test_series_without_a_target(device, source, kind, precision, pass_):
    problems = problems_of(device, source, kind, precision, pass_)
    models = [(CALIBRATED, HALF), (CALIBRATED, FEW), (TILES, NOTHING), (VIEW, ALL_OTHER_NETWORKS)]
    assert not list(results([verdict(problems, model, fitted, 0.1) for model, fitted in models]))


@pytest.mark.parametrize(
    ("coverage", "rows", "p", "fitted", "wanted"),
    [
        (0.88, 400, 0.001, HALF, True), (0.879, 400, 1.0, HALF, False), (0.94, 700, 0.001, FEW, True),
        (0.941, 700, 1.0, FEW, False), (0.80, 399, 0.01, HALF, True), (0.99, 399, 0.0099, HALF, False),
        (np.nan, 700, np.nan, HALF, None), (0.5, 700, 0.0, OTHER_GPUS, None),
    ],
)  # fmt: skip
def test_when_intervals_cover_as_they_should(coverage, rows, p, fitted, wanted):
    assert covers(verdict(problems_of(), CALIBRATED, fitted, 0.1, coverage, rows, p)) is wanted


def tables():
    one = problems_of()
    verdicts = [
        verdict(one, TILES, NOTHING, 0.1012), verdict(one, TILES, OTHER_GPUS, 0.1234, 0.5),
        verdict(one, ROOFLINE_THREE, FEW, 0.058, draws=3, spread=0.004),
        verdict(one, CALIBRATED, FEW, 0.0612, 0.9, draws=3, spread=0.002),
        verdict(one, CALIBRATED, FEW, 0.0234, 0.9, 70, part="1 to 10 ms"),
    ]  # fmt: skip
    skipped = [Skipped("gemm", "lab", name, "fp32", rows, "no file") for name, rows in (("A", 3), ("B", 5), ("A", 7))]
    return verdicts, validation_tables(verdicts, skipped, "Errors", ("a note",))


def test_people_read_targets_models_side_by_side_ours_and_what_is_left_out():
    _, found = tables()
    assert [one.title for one in found] == [
        "Errors", "GEMMs, fitted on: nothing", "GEMMs, fitted on: 20 timings",
        "GEMMs, fitted on: other GPUs", "GEMMs: ours in full",
        "GEMMs: ours by measured time", "Left out",
    ]  # fmt: skip
    targets, _, few, _, full, sizes, left = (one.rows() for one in found)
    assert targets[0][-5:] == [CALIBRATED, "5.0 %", "6.1 %", "missed", "5.8 %"]
    assert targets[1][-5:] == [TILES, "12.0 %", "12.3 %", "missed", "–"]
    assert few == [["neusight-linear-test", "v100", "fp32", "500", "5.8 %", "6.1 %"]]
    assert full[0][-8:] == ["other GPUs", "12.3 %", "3.0 %", "10.0 %", "-2.0 %", "50.0 %", "25.0 %", "–"]
    assert full[1][-8:] == ["20 timings", "6.1 %", "3.0 %", "10.0 %", "-2.0 %", "90.0 %", "25.0 %", "met"]
    assert sizes[0][-1] == "2.3 % of 70"
    assert left == [["gemm", "lab", "15", "A, B", "fp32", "no file"]]
    assert "Means over 3 draws; between draws they differ by 0.3 % (typical deviation)." in found[2].notes
    assert found[0].notes[0].startswith("Intervals, fitted on 20 timings: 1 of 1 series")
    assert found[0].notes[-1] == "a note"


def test_a_model_that_was_judged_on_fewer_rows_is_named():
    one = problems_of()
    verdicts = [verdict(one, TILES, HALF, 0.1), verdict(one, CALIBRATED, HALF, 0.05, 0.9, rows=17)]
    found = validation_tables(verdicts, [], "Errors", ())[1]
    assert found.rows() == [["neusight-linear-test", "v100", "fp32", "500", "10.0 %", "5.0 %"]]
    assert "calibrated on 17 rows of neusight-linear-test v100 fp32." in found.notes[-1]


def test_tables_render_in_every_form():
    _, found = tables()
    for suffix in (".txt", ".md", ".tex", ".json"):
        assert "missed" in render(found, suffix) or suffix == ".json"


def test_raw_figures_hold_every_part_and_column():
    verdicts, _ = tables()
    rows = list(csv.DictReader(io.StringIO(to_csv(Table("t", verdicts_frame(verdicts))))))
    assert len(rows) == 5
    assert rows[2] == {
        "kind": "gemm", "source": "neusight-linear-test", "device": "v100", "precision": "fp32", "pass": "",
        "model": ROOFLINE_THREE, "fitted_on": FEW, "part": "all", "rows": "500", "draws": "3", "mape": "0.058",
        "median": "0.03", "p90": "0.1", "bias": "-0.02", "coverage": "", "interval_width": "0.25", "coverage_p": "1.0",
        "mape_deviation": "0.004",
    }  # fmt: skip


def test_names_of_sources_are_written_so_that_they_do_nothing():
    text = render([skipped_table([Skipped("gemm", "=1+1\x1b[31m", "<b>|", "fp32", 3, "no file")])], ".md")
    assert "\x1b" not in text
    assert "&lt;b&gt;\\|" in text
