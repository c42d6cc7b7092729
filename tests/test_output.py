"""A file is there whole or not at all, and every refusal is one line with a code."""

import errno
import os
import stat
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

import pytest
from matplotlib.figure import Figure

from perfmodel import output
from perfmodel.errors import OutputError
from perfmodel.output import FIGURE_SUFFIXES, TABLE_SUFFIXES, check_suffix, own_version, write_text
from perfmodel.report.figures import write_figure


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def refused(code, path, found):
    """The context in which writing fails with one line that has code, place and found."""
    return pytest.raises(OutputError, match=rf"^{code} .*{path}.*: .*{found}[^\n]*$")


def test_text_is_written_and_replaced(tmp_path):
    target = tmp_path / "a.txt"
    write_text(target, "3×3\r\n")
    assert target.read_bytes() == "3×3\r\n".encode()
    write_text(str(target), "new \ud800")
    assert target.read_text() == "new \\ud800"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_a_new_file_has_the_mode_of_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_text(tmp_path / "a.txt", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o666 & ~mask


def test_a_replaced_file_keeps_its_mode(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    target.chmod(0o640)
    write_text(target, "new")
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_no_folder_is_made(tmp_path):
    with refused("E1901", "a.txt", "there is no folder .*sub"):
        write_text(tmp_path / "sub" / "a.txt", "x")
    (tmp_path / "file").write_text("x")
    with refused("E1901", "a.txt", "there is no folder .*file"):
        write_text(tmp_path / "file" / "a.txt", "x")
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("exists", [True, False])
def test_links_are_not_followed(tmp_path, exists):
    real, link = tmp_path / "real.txt", tmp_path / "link.txt"
    if exists:
        real.write_text("old")
    link.symlink_to(real)
    with refused("E1902", "link.txt", "symbolic link"):
        write_text(link, "new")
    assert link.is_symlink()
    assert (real.read_text() == "old") if exists else not real.exists()


def test_folders_and_devices_are_refused(tmp_path):
    with refused("E1905", "", "folder"):
        write_text(tmp_path, "x")
    os.mkfifo(tmp_path / "pipe")
    with refused("E1905", "pipe", "not a regular file"):
        write_text(tmp_path / "pipe", "x")
    assert names(tmp_path) == ["pipe"]


@pytest.mark.parametrize("name", ["n" * 300 + ".txt", "a\0.txt"])
def test_impossible_names_are_one_line(tmp_path, name):
    with pytest.raises(OutputError, match=r"^E1906 .*cannot be written: [^\n]*$"):
        write_text(tmp_path / name, "x")
    assert names(tmp_path) == []


def test_a_control_character_in_a_path_is_not_printed(tmp_path):
    with pytest.raises(OutputError) as caught:
        write_text(tmp_path / "no" / "\x1b[31m.txt", "x")
    assert "\x1b" not in str(caught.value)


def test_a_write_protected_file_stays(tmp_path, monkeypatch):
    target = tmp_path / "a.txt"
    target.write_text("old")
    monkeypatch.setattr(output.os, "access", lambda path, mode: False)  # root may write anything
    with refused("E1906", "a.txt", "write-protected"):
        write_text(target, "new")
    assert target.read_text() == "old"


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_an_unwritable_folder_is_one_line(tmp_path, monkeypatch, code):
    def refuse(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("builtins.open", refuse)
    with refused("E1906", "a.txt", os.strerror(code)):
        write_text(tmp_path / "a.txt", "x")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def full(file):
        with open("/dev/full", "wb") as device:
            device.write(b"x")

    with refused("E1906", "a.txt", "No space left"):
        output.write_file(target, full)
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, MemoryError])
def test_an_interruption_leaves_the_old_file_and_nothing_else(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def interrupted(file):
        file.write(b"half")
        raise error

    with pytest.raises(error):
        output.write_file(target, interrupted)
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_failing_rename_leaves_nothing(tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError(errno.EBUSY, "busy")

    monkeypatch.setattr(output.os, "replace", refuse)
    with refused("E1906", "a.txt", "busy"):
        write_text(tmp_path / "a.txt", "x")
    assert names(tmp_path) == []


@pytest.mark.parametrize("path", ["a", "a.exe", "a.txt.", ".csv", ""])
def test_unknown_suffixes_list_the_known(path):
    with pytest.raises(OutputError, match=r"^E1904 .*\.txt, \.csv, \.json, \.md, \.tex\.$"):
        check_suffix(path, TABLE_SUFFIXES)


def test_suffixes_have_no_case():
    assert check_suffix("a.b/C.PNG", FIGURE_SUFFIXES) == ".png"


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_figures_are_written_the_same_twice(tmp_path, suffix, start):
    paths = [tmp_path / f"{name}{suffix}" for name in "ab"]
    for path in paths:
        figure = Figure()
        figure.subplots().plot([1, 2], label="$x")
        write_figure(figure, path)
    first, second = (path.read_bytes() for path in paths)
    assert first.startswith(start)
    assert first == second


def test_figures_refuse_as_texts_do(tmp_path):
    with refused("E1904", "a.txt", "ends in"):
        write_figure(Figure(), tmp_path / "a.txt")
    with refused("E1901", "a.png", "no folder"):
        write_figure(Figure(), tmp_path / "no" / "a.png")


def test_writing_text_loads_no_matplotlib():
    code = "import sys, perfmodel.output, perfmodel.report.render; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_files_that_are_not_installed_have_no_version(monkeypatch):
    def unknown(name):
        raise PackageNotFoundError(name)

    assert own_version() == version("perfmodel")
    monkeypatch.setattr("importlib.metadata.version", unknown)
    assert own_version() == "unknown"
