"""The traces that come with the package: found by name, and equal to what the published facts give."""

import pytest

from perfmodel.errors import InputError, UnknownName
from perfmodel.traces import bundled
from perfmodel.traces.bundled import find_trace, trace_files
from perfmodel.traces.jsonl import format_trace, write_trace
from perfmodel.traces.published import published_traces, write_published


def test_committed_files_are_what_the_facts_give():
    files = trace_files()
    for name, trace in published_traces().items():
        assert files[name].read_bytes().decode() == format_trace(trace), f"write {name} again: traces/README.md"


def test_they_can_be_written_again(tmp_path):
    paths = write_published(tmp_path)
    assert [path.read_bytes() for path in paths] == [trace_files()[path.stem].read_bytes() for path in paths]


def test_every_bundled_trace_reads():
    for name in trace_files():
        assert find_trace(name).source


def test_by_name_and_by_path(tmp_path, monkeypatch):
    trace = find_trace("muppet-resnet20-cifar100")
    assert trace.epochs == 131
    write_trace(trace, tmp_path / "mine")
    assert find_trace(tmp_path / "mine") == trace
    monkeypatch.chdir(tmp_path)
    assert find_trace("mine") == trace  # it exists


@pytest.mark.parametrize("name", ["no-such.jsonl", "folder/no-such", "./no-such"])
def test_a_path_that_does_not_exist(name):
    with pytest.raises(InputError, match="E1201"):
        find_trace(name)


@pytest.mark.parametrize("name", ["muppet-resnet20-cifar101", "", "\x1b[31m", "x" * 5000])
def test_no_such_name(name):
    with pytest.raises(UnknownName) as error:
        find_trace(name)
    assert error.value.problems[0].code == "E1003"
    assert str(error.value).isprintable()


def test_the_nearest_names_are_offered():
    with pytest.raises(UnknownName, match=r"Did you mean muppet-resnet20-cifar10"):
        find_trace("muppet-resnet20-cifar")


def test_installed_copies_come_first(tmp_path, monkeypatch):
    (tmp_path / "traces").mkdir()
    trace = find_trace("muppet-googlenet-cifar10")
    write_trace(trace, tmp_path / "traces" / "only.jsonl")
    monkeypatch.setattr(bundled, "DATA", tmp_path)
    monkeypatch.setattr("perfmodel.datafiles.DATA", tmp_path)
    assert list(trace_files()) == ["only"]
    assert find_trace("only") == trace


def test_neither_installed_nor_a_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(bundled, "DATA", tmp_path / "perfmodel" / "data")
    assert trace_files() == {}
