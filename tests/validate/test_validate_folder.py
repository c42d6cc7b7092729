"""Where timings are looked for, and what a user is told who has none."""

from pathlib import Path

import pytest

from perfmodel.errors import PerfModelError
from perfmodel.validate.folder import VARIABLE, find_folder, read_folder


def refused(call, *arguments):
    with pytest.raises(PerfModelError) as error:
        call(*arguments)
    (line,) = error.value.lines()
    return line


def test_nobody_named_a_folder(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    line = refused(find_folder, None)
    assert line.startswith("E1601 published timings:")
    for part in ("gemm_times.csv", "baidu-research/DeepBench @ da81ba78", "sitar-lab/NeuSight", "--data DIR", VARIABLE):
        assert part in line


def test_the_argument_goes_before_the_variable(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert find_folder(None) == tmp_path
    (tmp_path / "other").mkdir()
    assert find_folder(str(tmp_path / "other")) == tmp_path / "other"


@pytest.mark.parametrize("name", ["absent", "file.csv", "a\0b"])
def test_what_is_no_folder_is_refused(tmp_path, name):
    (tmp_path / "file.csv").write_text("x")
    assert "is not a folder" in refused(find_folder, str(Path(tmp_path, name)))


def test_a_folder_without_timings_is_refused(tmp_path):
    line = refused(read_folder, tmp_path)
    assert line.startswith("E1602 ")
    assert "holds none of gemm_times.csv, conv_times.csv, training_times.csv" in line


def test_sets_are_those_asked_for_or_those_there(write_times):
    folder = write_times("gemm_times.csv", [{"m": m} for m in (3, 5, 7)]).parent
    write_times("conv_times.csv", [{"k": k} for k in (8, 16, 24)])
    kinds = [one.problems.kind for one in read_folder(folder).series]
    assert kinds == ["gemm", "conv"]
    assert [one.problems.kind for one in read_folder(folder, ("conv", "conv")).series] == ["conv"]
    assert refused(read_folder, folder, ("gemm", "iterations")).startswith("E1201 ")


def test_an_unknown_set_is_told_with_the_nearest(tmp_path):
    assert refused(read_folder, tmp_path, ("gem",)) == "E1605 set 'gem' is not known. Did you mean gemm?"


def test_a_folder_with_nothing_to_judge_says_why(write_times):
    folder = write_times("gemm_times.csv", [{"device": "Abacus"}]).parent
    line = refused(read_folder, folder)
    assert line.startswith("E1604 ")
    assert "no device file describes it" in line


def test_a_file_without_rows_has_nothing_to_judge(write_times):
    assert "there are no rows" in refused(read_folder, write_times("gemm_times.csv", []).parent)
