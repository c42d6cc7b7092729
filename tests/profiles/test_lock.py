"""Two writers never meet, and a lock that nobody holds is never in the way."""

import errno
import json
import multiprocessing
import os
import platform
import subprocess
import sys

import pytest

from perfmodel.errors import OutputError
from perfmodel.profiles import lock as locks
from perfmodel.profiles.environment import make_header
from perfmodel.profiles.journal import Journal
from perfmodel.profiles.lock import acquire

HEADER = make_header({"name": "simulated"}, "2026-11-22T10:00:00Z", "perfmodel 0.3")
HOST = platform.node()


def refused(code, found):
    return pytest.raises(OutputError, match=rf"^{code} [^\n]*{found}[^\n]*$")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "p.jsonl"


@pytest.fixture
def note(tmp_path):
    """The lock file."""
    return tmp_path / "p.jsonl.lock"


def dead_process():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_the_lock_file_says_who_holds_it(path, note):
    held = acquire(path)
    content = json.loads(note.read_text())
    assert (content["pid"], content["host"], content["boot"]) == (os.getpid(), HOST, locks._boot())
    assert sorted(content) == ["boot", "host", "pid", "started"]
    held.release()
    held.release()
    assert not note.exists()


def test_a_second_writer_is_refused_and_told_who_writes(path, note):
    with Journal.create(path, HEADER):
        before = note.read_bytes()
        for opened in (Journal.open, acquire):
            with refused("E2107", f"is being written by process {os.getpid()} on host {HOST} since 2.* Wait"):
                opened(path)
        assert note.read_bytes() == before
        with refused("E2101", "exists already"):
            Journal.create(path, HEADER)
    Journal.open(path).close()
    assert not note.exists()


def test_a_writer_in_another_process_is_refused(path):
    with Journal.create(path, HEADER):
        code = f"from perfmodel.profiles.journal import Journal; Journal.open({str(path)!r})"
        child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert f"E2107 {path}: is being written by process {os.getpid()} on host" in child.stderr


def test_a_new_journal_is_not_begun_while_its_lock_is_held(path):
    held = acquire(path)
    with refused("E2107", "is being written"):
        Journal.create(path, HEADER)
    assert not path.exists()
    held.release()
    Journal.create(path, HEADER).close()


@pytest.mark.parametrize("boot", [locks._boot(), "an earlier start of this machine", None])
def test_the_lock_of_a_dead_process_is_taken_over(path, note, boot):
    note.write_text(json.dumps({"pid": dead_process(), "host": HOST, "boot": boot}) + " " * 300)
    held = acquire(path)
    assert json.loads(note.read_text())["pid"] == os.getpid()
    held.release()
    assert not note.exists()


@pytest.mark.parametrize("boot", ["another machine", "", None])
def test_the_lock_of_another_host_is_left_alone(path, note, boot):
    note.write_text(json.dumps({"pid": 4711, "host": "node-17", "boot": boot}))
    before = note.read_bytes()
    Journal.create(path.with_name("q.jsonl"), HEADER).close()
    for opened in (acquire, lambda path: Journal.create(path, HEADER)):
        with refused("E2107", f"process 4711 on host node-17. Remove .*{note} if that process is gone."):
            opened(path)
    assert note.read_bytes() == before
    assert not path.exists()
    note.unlink()
    acquire(path).release()


@pytest.mark.skipif(not locks._boot(), reason="the system does not tell its boot id")
def test_another_container_of_this_machine_does_not_hold_a_free_lock(path, note):
    note.write_text(json.dumps({"pid": 4711, "host": "node-17", "boot": locks._boot()}))
    acquire(path).release()
    assert not note.exists()


GARBAGE = [
    b"", b"\0" * 99, b"\xff\xfe", b"[" * 9999, b"17", b"[]", b"{}", b'{"host":17,"pid":"x","boot":[]}',
    b'{"pid":' + b"9" * 4090,
]  # fmt: skip


@pytest.mark.parametrize("content", GARBAGE)
def test_garbage_in_a_free_lock_file_does_not_matter(path, note, content):
    note.write_bytes(content)
    acquire(path).release()
    assert not note.exists()


@pytest.mark.parametrize("content", [*GARBAGE, b'{"host":"\\u001b[31m\\n","pid":-3,"started":{}}'])
def test_garbage_in_a_held_lock_file_is_one_line(path, note, content):
    held = acquire(path)
    note.write_bytes(content)
    with pytest.raises(OutputError, match=r"^E2107 [^\n\x1b]*is being written by another process[^\n\x1b]*$"):
        acquire(path)
    held.release()


def test_a_lock_file_that_was_removed_by_hand_and_made_anew_is_not_removed(path, note):
    held = acquire(path)
    note.unlink()
    other = acquire(path)
    held.release()
    assert note.exists()
    other.release()
    assert not note.exists()


def test_a_lock_file_that_its_holder_removes_meanwhile_is_not_taken(path, note, monkeypatch):
    first = acquire(path)
    flock, calls = locks.fcntl.flock, []

    def late(file, what):
        if not calls:
            first.release()  # between opening and locking
        calls.append(file)
        flock(file, what)

    monkeypatch.setattr(locks.fcntl, "flock", late)
    second = acquire(path)
    assert len(calls) == 2
    assert os.path.samestat(os.fstat(second._file), note.stat())
    second.release()


def test_a_lock_file_that_always_changes_hands_is_an_error(path, monkeypatch):
    monkeypatch.setattr(locks, "_is_at", lambda file, path: False)
    files = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    with refused("E2107", "Try again"):
        acquire(path)
    assert files is None or len(os.listdir("/proc/self/fd")) == files, "no file stays open"


def count_up(path, counter, turns):
    """Let two processes take turns at a number that only the lock protects."""
    for _ in range(turns):
        while True:
            try:
                held = acquire(path)
                break
            except OutputError:
                continue
        number = int(counter.read_text())
        counter.write_text(str(number + 1))
        held.release()


def test_only_one_process_at_a_time_holds_it(tmp_path):
    counter = tmp_path / "counter"
    counter.write_text("0")
    start = multiprocessing.get_context("fork")
    processes = [start.Process(target=count_up, args=(tmp_path / "p.jsonl", counter, 150)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert counter.read_text() == "450"


# Without locks of the system


@pytest.fixture(params=["no fcntl", "no locks on this file system"])
def no_locks(request, monkeypatch):
    def flock(file, what):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    if request.param == "no fcntl":
        monkeypatch.setattr(locks, "fcntl", None)
    else:
        monkeypatch.setattr(locks.fcntl, "flock", flock)


@pytest.mark.usefixtures("no_locks")
def test_without_locks_the_file_itself_is_the_lock(path, note):
    with Journal.create(path, HEADER):
        with refused("E2107", rf"process {os.getpid()} on host {HOST} since .* Remove {note} if that process is gone"):
            Journal.open(path)
        assert note.exists()
    assert not note.exists()
    Journal.open(path).close()


@pytest.mark.usefixtures("no_locks")
@pytest.mark.parametrize("host", [HOST, "node-17"])
def test_without_locks_nothing_is_taken_over(path, note, host):
    note.write_text(json.dumps({"pid": 4711, "host": host}))
    with refused("E2107", f"process 4711 on host {host}. Remove"):
        acquire(path)
    assert note.exists()


# What the system refuses


def test_a_lock_file_that_is_none(path, note):
    note.mkdir()
    with refused("E1905", "is a folder"):
        acquire(path)
    note.rmdir()
    os.mkfifo(note)
    with refused("E1905", "not a regular file"):
        acquire(path)
    note.unlink()
    note.symlink_to(path.with_name("elsewhere"))
    with refused("E1902", "symbolic link"):
        acquire(path)
    assert os.listdir(path.parent) == [note.name]


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENAMETOOLONG, errno.EMFILE])
def test_a_folder_that_takes_no_lock_file(path, monkeypatch, code):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "open", refuse)
    with refused("E1906", rf"p.jsonl.lock: cannot be written: {os.strerror(code)}"):
        acquire(path)


def test_a_lock_that_cannot_be_signed_is_given_back(path, note, monkeypatch):
    monkeypatch.setattr(os, "write", lambda file, data: len(data) - 1)
    with refused("E1906", "No space left"):
        acquire(path)
    monkeypatch.undo()
    assert not note.exists()
    acquire(path).release()
