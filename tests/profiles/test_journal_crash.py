"""Kill the writer, tear the file, fill the disk: nothing that was acknowledged is lost, and the journal goes on."""

import errno
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from perfmodel.errors import OutputError
from perfmodel.profiles.environment import make_header
from perfmodel.profiles.journal import Journal, encode, read_journal

HEADER = make_header({"name": "simulated", "sms": 7}, "2026-11-22T10:00:00Z", "perfmodel 0.3")
END = {"type": "end", "session": 1}


def visit(i):
    return {"type": "visit", "session": 1, "kernel": i, "seconds": [3e-4 + i * 1e-7, 5e-4]}


def kernels(records):
    return [record["kernel"] for record in records if record["type"] == "visit"]


def written(path, count):
    path.write_bytes(encode(HEADER) + b"".join(encode(visit(i)) for i in range(count)))
    return path


# F16: kill -9

WRITER = """
import json, os, sys
from perfmodel.profiles.journal import Journal
with Journal.create(sys.argv[1], json.loads(sys.argv[2])) as journal:
    for i in range(int(sys.argv[3])):
        journal.append({"type": "visit", "kernel": i, "seconds": [3e-4 + i * 1e-7] * 5})
        os.write(1, b"%d\\n" % i)
"""


def writer(path, count):
    """The command of a process that appends visits and says the number of each when it is acknowledged."""
    return [sys.executable, "-c", WRITER, str(path), json.dumps(HEADER), str(count)]


def kill_a_writer(path, wait_s):
    """The kernels whose visits were acknowledged before `kill -9`."""
    child = subprocess.Popen(writer(path, 10**6), stdout=subprocess.PIPE, bufsize=0)
    said = b""
    while said.count(b"\n") < 3:
        part = child.stdout.read(4096)
        assert part, "the writer died"
        said += part
    time.sleep(wait_s)
    child.kill()
    said += child.stdout.read()
    child.stdout.close()
    assert child.wait() == -9
    return [int(line) for line in said.split(b"\n")[:-1]]


def check_kill(path, wait_s):
    acknowledged = kill_a_writer(path, wait_s)
    assert path.with_name(path.name + ".lock").exists()
    with Journal.open(path) as journal:
        found = kernels(journal.records)
        assert len(found) - len(acknowledged) in (0, 1), "at most the record that was being acknowledged"
        assert found == list(range(len(found)))
        assert acknowledged == found[: len(acknowledged)]
        assert len(journal.damage) <= 1
        journal.append(visit(len(found)))
    after = read_journal(path)
    assert kernels(after.records) == [*found, len(found)]
    assert len(after.damage) == len(journal.damage)


def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path):
    random_waits = random.Random(17)
    for trial in range(20):
        check_kill(tmp_path / f"{trial}.jsonl", random_waits.uniform(0, 0.03))


@pytest.mark.nightly
def test_many_killed_writers_lose_nothing(tmp_path):
    seed = random.SystemRandom().randrange(10**6)
    random_waits = random.Random(seed)
    for trial in range(200):
        check_kill(tmp_path / f"{seed}-{trial}.jsonl", random_waits.uniform(0, 0.06))


# F17: torn tails

SPOILT = {
    "cut": lambda content, cut: content[: len(content) - cut],
    "zeros": lambda content, cut: content[: len(content) - cut] + bytes(cut),
    "junk": lambda content, cut: content[: len(content) - cut] + random.Random(cut).randbytes(cut),
}


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_tail_torn_at_every_byte_is_reported_and_the_journal_goes_on(tmp_path, spoil):
    path = tmp_path / "p.jsonl"
    content = written(path, 5).read_bytes()
    ends = [len(encode(HEADER)) + sum(len(encode(visit(i))) for i in range(count)) for count in range(6)]
    for cut in range(1, ends[5] - ends[3] + 1):
        path.write_bytes(SPOILT[spoil](content, cut))
        size = len(content) - cut  # bytes that are as they were
        intact = sum(end <= size for end in ends[1:])
        if spoil == "cut" and size + 1 in ends:
            intact += 1  # only the newline is gone: it is made again
        whole = spoil == "cut" and (size in ends or size + 1 in ends)  # nothing that could be reported
        before = path.read_bytes()
        with Journal.open(path, sync=False) as journal:
            assert kernels(journal.records) == list(range(intact)), cut
            assert bool(journal.damage) != whole, cut
            assert {problem.code for problem in journal.damage} <= {"W2101", "W2102"}
            journal.append(END)
        assert path.read_bytes().startswith(before), "nothing is rewritten"
        after = read_journal(path)
        assert after.records == [*(visit(i) for i in range(intact)), END], cut
        assert bool(after.damage) != whole, cut


@pytest.mark.parametrize(("spoil", "kept"), [("cut", 30), ("zeros", 30), ("zeros", 0)])
def test_a_torn_tail_is_named_by_its_bytes(tmp_path, spoil, kept):
    path = written(tmp_path / "p.jsonl", 3)
    start, last = len(path.read_bytes()), len(encode(visit(3)))
    path.write_bytes(SPOILT[spoil](written(path, 4).read_bytes(), last - kept))
    end = path.stat().st_size - 1
    place = f"W2101 {path}:5: 1 incomplete record ignored (bytes {start}–{end}). --resume measures it again."
    assert list(map(str, read_journal(path).damage)) == [place]
    with Journal.open(path) as journal:
        assert list(map(str, journal.damage)) == [place]
    assert [problem.code for problem in read_journal(path).damage] == ["W2102"], "a line of its own now"


def test_opening_again_does_not_grow_the_file(tmp_path):
    path = written(tmp_path / "p.jsonl", 3)
    with path.open("ab") as file:
        file.write(b'{"type":"vis')
    size = path.stat().st_size
    sizes = []
    for _ in range(3):
        Journal.open(path).close()
        sizes.append(path.stat().st_size)
    assert sizes == [size + 1] * 3


def test_a_newline_that_closes_a_torn_line_is_synchronised(tmp_path, monkeypatch):
    path = written(tmp_path / "p.jsonl", 3)
    calls = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: calls.append(os.fstat(file).st_size) or fsync(file))
    Journal.open(path).close()
    assert calls == []
    with path.open("ab") as file:
        file.write(b"x")
    Journal.open(path).close()
    assert calls == [path.stat().st_size]


def test_a_long_last_line_without_newline_is_one_problem(tmp_path):
    path = written(tmp_path / "p.jsonl", 3)
    start = path.stat().st_size
    with path.open("ab") as file:
        file.truncate(start + 3_000_001)
    with Journal.open(path) as journal:
        assert [problem.found for problem in journal.damage] == [
            f"1 incomplete record ignored (bytes {start}–{start + 3_000_000})."
        ]
        journal.append(END)
    assert read_journal(path).records == [*map(visit, range(3)), END]
    assert len(read_journal(path).damage) == 1


# F19: disk full

FULL = errno.ENOSPC, os.strerror(errno.ENOSPC)


class Disk:
    """Writes as `os.write` does, until the write number `fails`: then `share` of the bytes, or an error."""

    def __init__(self, monkeypatch, fails, share, error):
        self.write, self.count, self.fails, self.share, self.error = os.write, 0, fails, share, error
        monkeypatch.setattr(os, "write", self)

    def __call__(self, file, data):
        self.count += 1
        if self.count - 1 < self.fails:
            return self.write(file, data)
        part = int(len(data) * self.share)
        if not part:
            raise OSError(self.error, os.strerror(self.error))
        return self.write(file, data[:part])


def append_until_full(path, count):
    """How many visits were acknowledged, and the error that ended it."""
    done = -1
    try:
        with Journal.create(path, HEADER, sync=False) as journal:
            for done in range(count):
                journal.append(visit(done))
            done = count
    except OutputError as error:
        return max(done, 0), error
    return done, None


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
def test_a_disk_that_is_full_at_any_write(tmp_path, monkeypatch, share, error):
    for fails in range(9):  # the lock, the header, and seven visits
        path = tmp_path / f"{fails}.jsonl"
        with monkeypatch.context() as patch:
            Disk(patch, fails, share, error)
            done, stopped = append_until_full(path, 7)
        lines = stopped.lines()
        assert len(lines) == 1
        assert os.listdir(tmp_path) == ([path.name] if fails > 1 else []), "no lock, and no journal without header"
        if fails == 0:
            assert lines[0].startswith(f"E1906 {path}.lock: ")
            continue
        assert lines[0].startswith(f"E2105 {path}: cannot be written: ")
        needed = len(encode(visit(fails - 2) if fails > 1 else HEADER))
        why = f"only {int(needed * share)} bytes were written" if share else os.strerror(error)
        assert why in lines[0]
        if share or error != errno.EIO:
            assert f"({needed} bytes needed, " in lines[0]
            assert lines[0].endswith(" free). Make space, then go on with --resume.")
        if fails > 1:
            assert done == fails - 2
            assert kernels(read_journal(path).records) == list(range(done))
            with Journal.open(path, sync=False) as journal:
                assert kernels(journal.records) == list(range(done))
                assert [problem.code for problem in journal.damage] == (["W2101"] if share else [])
                journal.append(visit(done))
            assert kernels(read_journal(path).records) == list(range(done + 1))
            path.unlink()


def test_a_record_that_lacks_its_newline_alone_is_kept(tmp_path, monkeypatch):
    path = tmp_path / "p.jsonl"
    with monkeypatch.context() as patch:
        Disk(patch, 4, 0.999, errno.ENOSPC)
        assert append_until_full(path, 7)[0] == 2
    assert not path.read_bytes().endswith(b"\n")
    for _ in range(2):
        with Journal.open(path) as journal:
            assert kernels(journal.records) == [0, 1, 2]
            assert journal.damage == ()
    assert path.read_bytes() == written(tmp_path / "whole.jsonl", 3).read_bytes()


def test_after_a_failed_append_nothing_is_appended(tmp_path, monkeypatch):
    path = tmp_path / "p.jsonl"
    with Journal.create(path, HEADER) as journal:
        journal.append(visit(0))
        with monkeypatch.context() as patch:
            Disk(patch, 0, 0.5, errno.ENOSPC)
            with pytest.raises(OutputError, match=r"^E2105 .*bytes were written"):
                journal.append(visit(1))
        size = path.stat().st_size
        for _ in range(2):
            with pytest.raises(OutputError, match=r"^E2105 [^\n]*takes no more records[^\n]*--resume\.$"):
                journal.append(visit(1))
        assert path.stat().st_size == size
    with Journal.open(path) as journal:
        journal.append(visit(1))
    assert kernels(read_journal(path).records) == [0, 1]


def test_a_failed_fsync_ends_the_appending(tmp_path, monkeypatch):
    def fail(file):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with Journal.create(tmp_path / "p.jsonl", HEADER) as journal:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fail)
            with pytest.raises(OutputError, match=r"^E2105 .*Input/output error\. Check the disk"):
                journal.append(visit(0))
        with pytest.raises(OutputError, match=r"^E2105 .*takes no more records"):
            journal.append(visit(0))


def test_ctrl_c_during_fsync_tears_nothing(tmp_path, monkeypatch):
    def interrupt(file):
        raise KeyboardInterrupt

    path = tmp_path / "p.jsonl"
    with Journal.create(path, HEADER) as journal:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", interrupt)
            with pytest.raises(KeyboardInterrupt):
                journal.append(visit(0))
        journal.append(END)
    assert read_journal(path).records == [visit(0), END]
    assert read_journal(path).damage == ()


def test_a_torn_line_that_cannot_be_closed_is_an_error(tmp_path, monkeypatch):
    path = written(tmp_path / "p.jsonl", 3)
    with path.open("ab") as file:
        file.write(b"torn")
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        Disk(patch, 1, 0.0, errno.ENOSPC)  # the lock still fits
        with pytest.raises(OutputError, match=r"^E2105 .*No space left on device \(1 bytes needed, [0-9]+ free\)"):
            Journal.open(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["p.jsonl"]
    with Journal.open(path) as journal:
        journal.append(END)
    assert read_journal(path).records == [*map(visit, range(3)), END]


def test_a_limit_on_the_size_of_files(tmp_path):
    path = tmp_path / "p.jsonl"
    limit = 20_000

    def set_limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    child = subprocess.run(writer(path, 1000), capture_output=True, preexec_fn=set_limit)
    acknowledged = [int(line) for line in child.stdout.split()]
    assert f"E2105 {path}: cannot be written: only " in child.stderr.decode()
    assert path.stat().st_size == limit
    assert len(acknowledged) > 50
    with Journal.open(path) as journal:
        assert kernels(journal.records) == acknowledged
        assert [problem.code for problem in journal.damage] == ["W2101"]
        journal.append(END)
    assert read_journal(path).records[-1] == END


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_real_full_disk(small_disk):
    path, filler = small_disk / "p.jsonl", small_disk / "filler"
    filler.write_bytes(bytes(200_000))
    done, error = append_until_full(path, 10_000)
    assert done > 100
    assert str(error).startswith(f"E2105 {path}: cannot be written: ")
    assert " 0 free)" in str(error)
    assert kernels(read_journal(path).records) == list(range(done))
    with filler.open("ab") as file, suppress(OSError):  # the lock's page is free again
        file.write(bytes(200_000))
    with pytest.raises(OutputError, match=rf"^E1906 {path}.lock: cannot be written: No space left"):
        Journal.open(path)
    filler.unlink()
    with Journal.open(path) as journal:
        assert kernels(journal.records) == list(range(done))
        journal.append(visit(done))
    assert kernels(read_journal(path).records) == list(range(done + 1))


# F20: no permission


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folders_and_files_without_permission(tmp_path):
    path = written(tmp_path / "p.jsonl", 3)
    path.chmod(0o444)
    with pytest.raises(OutputError, match=r"^E1906 .*write-protected"):
        Journal.open(path)
    path.chmod(0o644)
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(OutputError, match=r"^E1906 .*p.jsonl.lock: cannot be written: Permission denied"):
            Journal.open(path)
        with pytest.raises(OutputError, match=r"^E1906 .*q.jsonl.lock: cannot be written: Permission denied"):
            Journal.create(tmp_path / "q.jsonl", HEADER)
        assert kernels(read_journal(path).records) == [0, 1, 2]
    finally:
        tmp_path.chmod(0o755)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_a_file_that_the_system_does_not_open(tmp_path, monkeypatch, code):
    real = os.open

    def refuse(path, flags, *mode, **more):
        if flags & os.O_APPEND:
            raise OSError(code, os.strerror(code))
        return real(path, flags, *mode, **more)

    path = written(tmp_path / "p.jsonl", 3)
    monkeypatch.setattr(os, "open", refuse)
    for opened in (lambda: Journal.open(path), lambda: Journal.create(tmp_path / "q.jsonl", HEADER)):
        with pytest.raises(OutputError, match=rf"^E1906 .*jsonl: cannot be written: {os.strerror(code)}"):
            opened()
    assert os.listdir(tmp_path) == ["p.jsonl"]
