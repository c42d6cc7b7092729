"""The published timings themselves, where they are."""

import os
from pathlib import Path

import pytest

from perfmodel.validate import Ledger, find_contenders, judge, read_folder
from perfmodel.validate.folder import FILES, VARIABLE
from perfmodel.validate.judging import ALL

FOLDER = Path(os.environ.get(VARIABLE, ""))
pytestmark = pytest.mark.skipif(
    not os.environ.get(VARIABLE) or not all((FOLDER / file).is_file() for file, _ in FILES.values()),
    reason=f"{VARIABLE} names no folder with {', '.join(file for file, _ in FILES.values())}",
)


@pytest.fixture(scope="module")
def published():
    return read_folder(FOLDER)


def test_nothing_is_lost_between_file_and_series(published):
    rows = sum(len((FOLDER / file).read_text().splitlines()) - 1 for file, _ in FILES.values())
    assert sum(map(len, published.series)) + sum(one.rows for one in published.skipped) == rows


def test_rows_that_measure_something_else_are_left_out(published):
    left = {(one.kind, one.device, one.precision) for one in published.skipped}
    assert {("gemm", "T4", "int8"), ("gemm", "P100", "fp16_storage"), ("conv", "P100", "fp16_storage")} <= left
    judged = {(one.problems.kind, one.problems.device.name, one.problems.precision) for one in published.series}
    assert ("gemm", "t4", "int8") not in judged
    assert ("conv", "t4", "int8") in judged  # those do run on tensor cores


def test_train_and_test_rows_of_neusight_are_sets_of_their_own(published):
    names = {one.problems.source for one in published.series if one.problems.kind == "gemm"}
    kinds = {f"neusight-{kind}-{part}" for kind in ("linear", "bmm") for part in ("train", "test")}
    assert names == kinds | {"deepbench"}


def test_rooflines_are_as_wrong_as_others_found_them(published):
    """A roofline fitted on 20 of NeuSight's V100 timings: 5.8 % by the prototype's count, 7.5 % with one scale."""
    series = [one for one in published.series if one.problems.source == "neusight-linear-test"]
    volta = [one for one in series if one.problems.device.name == "v100"]
    contenders = [
        one for one in find_contenders() if one.name in ("roofline, 3 factors", "roofline, one scale", "calibrated")
    ]
    found = {(v.model, v.fitted): v for v in judge(volta, contenders, 3, Ledger()) if v.part == ALL}
    assert found["roofline, 3 factors", "20 timings"].score.mape == pytest.approx(0.058, abs=0.008)
    assert found["roofline, one scale", "half"].score.mape == pytest.approx(0.075, abs=0.005)
    ours = found["calibrated", "half"]
    assert ours.score.mape < 0.75 * found["roofline, 3 factors", "half"].score.mape
    assert 0.88 <= ours.score.coverage <= 0.94
