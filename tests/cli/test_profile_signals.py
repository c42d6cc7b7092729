"""`perfmodel profile` as a process: Ctrl-C, SIGTERM and kill -9 at any moment, and what a terminal shows."""

import json
import os
import pty
import random
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

TWIN = """
title = "Two equal layers"
source = "made up"
input = [9, 1, 1]
layers = [{ op = "linear", name = "a", out = 9, bias = false }, { op = "linear", name = "b", out = 9, bias = false }]
"""
# 20 kernels, 13 visits of each, each on the disk before the next: some 300 records in a second or so. FP32 has three
# GEMMs (both fprops alike, both wgrads) and the update; mixed precision three, cast and check; 16 bits three, and the
# maximum and quantising of 45 and of 81 elements; 8 bits two (dgrad is as fprop), and transposes of 5x9 and 9x9.
RUN = (
    sys.executable, "-m", "perfmodel", "profile", "twin.toml", "--batch", "5", "--state", "burst",
    "--half-width", "0.5", "--least-visits", "13", "--simulate", "drift", "-o",
)  # fmt: skip
SAVED = "interrupted: what was measured is saved; the same command with --resume goes on\n"
STEP = 27  # records between two signals, at most
END_WITHIN_S = 2.0

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@pytest.fixture
def twin(tmp_path):
    (tmp_path / "twin.toml").write_text(TWIN)
    return tmp_path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The records of a session that nothing interrupts."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "twin.toml").write_text(TWIN)
    with start(folder) as process:
        assert process.wait(60) == 0
    return records(folder / "a.jsonl")


def start(folder, *arguments, **keywords):
    settings = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, "cwd": folder} | keywords
    return subprocess.Popen([*RUN, "a.jsonl", *arguments], **settings)


def records(path):
    """All records but the header, without what tells two runs apart; a torn line would not parse."""
    rows = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    return [{key: value for key, value in row.items() if key not in ("crc32", "started")} for row in rows]


def lines_of(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait_for_lines(process, path, count):
    """Until the file has so many lines, or the process has ended."""
    limit = time.monotonic() + 60
    while lines_of(path) < count and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.001)


def children(process):
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in path.read_text().split()] if path.exists() else []


def lives(pid):
    """Whether a process is there and not just waiting to be buried."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    return False


def none_lives(family, limit):
    """Whether all of these processes are gone before a moment of the monotonic clock."""
    while any(map(lives, family)) and time.monotonic() < limit:
        time.sleep(0.01)
    return not any(map(lives, family))


def strike(folder, draw, numbers, *arguments):
    """Start, stop by a signal, resume, stop … at random moments; the codes and the error texts, and then to the end."""
    path, found = folder / "a.jsonl", []
    for number in numbers:
        mode = ("--resume",) if lines_of(path) else ()
        if not mode:
            path.unlink(missing_ok=True)  # empty: killed before the header was written
        with start(folder, *mode, *arguments) as process:
            wait_for_lines(process, path, lines_of(path) + draw.randint(1, STEP))
            time.sleep(draw.random() * 0.01)
            family = children(process)
            process.send_signal(number)
            sent = time.monotonic()
            process.wait(30)
            assert time.monotonic() - sent < END_WITHIN_S
            assert none_lives(family, sent + END_WITHIN_S)
            found.append((process.returncode, process.stderr.read()))
    with start(folder, "--resume", *arguments) as process:
        assert (process.wait(60), process.stderr.read()) == (0, "")
    return found


def check_signals(twin, whole, seed, numbers, *arguments):
    found = strike(twin, random.Random(seed), numbers, *arguments)
    assert found == [(130, SAVED)] * len(numbers)
    assert records(twin / "a.jsonl") == whole
    assert not (twin / "a.jsonl.lock").exists()


def check_kills(twin, whole, seed, times, *arguments):
    found = strike(twin, random.Random(seed), [signal.SIGKILL] * times, *arguments)
    assert found == [(-signal.SIGKILL, "")] * times
    assert records(twin / "a.jsonl") == whole
    assert not (twin / "a.jsonl.lock").exists()


@pytest.mark.parametrize("numbers", [[signal.SIGINT] * 5, [signal.SIGTERM, signal.SIGHUP, signal.SIGTERM]])
def test_signals_at_any_moment_lose_nothing(twin, whole, numbers):
    check_signals(twin, whole, 3, numbers)


def test_signals_with_a_worker_lose_nothing_and_leave_nobody(twin, whole):
    check_signals(twin, whole, 5, [signal.SIGINT, signal.SIGTERM], "--isolate", "process")


@pytest.mark.parametrize(("times", "arguments"), [(5, ()), (3, ("--isolate", "process"))])
def test_kills_at_any_moment_lose_nothing_and_leave_nobody(twin, whole, times, arguments):
    check_kills(twin, whole, 7, times, *arguments)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("arguments", [(), ("--isolate", "process")])
def test_many_kills_and_signals(twin, whole, seed, arguments):
    (check_kills if seed % 2 else lambda *a: check_signals(*a[:3], [signal.SIGINT] * a[3], *a[4:]))(
        twin, whole, f"nightly {seed}", 7, *arguments
    )


def test_ctrl_c_in_a_terminal_reaches_the_worker_too(twin, whole):
    with start(twin, "--isolate", "process", start_new_session=True) as process:
        wait_for_lines(process, twin / "a.jsonl", 30)
        os.killpg(process.pid, signal.SIGINT)
        assert (process.wait(END_WITHIN_S), process.stderr.read()) == (130, SAVED)
    with start(twin, "--resume") as process:
        assert process.wait(60) == 0
    assert records(twin / "a.jsonl") == whole


HANG = """
title = "A card that hangs"
source = "made up"
device = "rtx-2080-ti"
[[faults]]
kind = "hang"
real = true
kernel = "gemm 5x9x9 fp32"
"""


def test_the_second_ctrl_c_does_not_wait_for_a_hung_worker(twin):
    (twin / "hang.toml").write_text(HANG)
    with start(twin, "--isolate", "process", "--simulate", "hang.toml") as process:
        wait_for_lines(process, twin / "a.jsonl", 3)
        time.sleep(0.3)
        family = children(process)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert process.poll() is None  # the worker gets its time, 30 s
        process.send_signal(signal.SIGINT)
        assert (process.wait(END_WITHIN_S), process.stderr.read()) == (130, "interrupted\n")
        assert len(family) > 0
        assert none_lives(family, time.monotonic() + END_WITHIN_S)  # a killed process takes a moment to go


def test_an_ignored_signal_stays_ignored(twin, whole):
    """As nohup has it."""
    with start(twin, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) as process:
        wait_for_lines(process, twin / "a.jsonl", 30)
        process.send_signal(signal.SIGHUP)
        assert (process.wait(60), process.stderr.read()) == (0, "")
    assert records(twin / "a.jsonl") == whole


def on_a_terminal(folder, columns, *arguments, interrupt=False):
    """What a terminal of so many columns gets on the standard error stream, and the exit code."""
    ours, theirs = pty.openpty()
    import fcntl
    import struct
    import termios

    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with start(folder, *arguments, stderr=theirs) as process:
        os.close(theirs)
        if interrupt:
            wait_for_lines(process, folder / "a.jsonl", 60)
            process.send_signal(signal.SIGINT)
        shown = b""
        with suppress(OSError):  # the other end is closed
            while piece := os.read(ours, 65536):
                shown += piece
        os.close(ours)
        return shown.decode(), process.wait(60)


def test_a_terminal_shows_one_line_that_is_cleared_at_the_end(twin):
    shown, code = on_a_terminal(twin, 90, "--least-visits", "6", "--half-width", "0.0001", "--most-visits", "9")
    assert code == 3
    assert "\n" not in shown
    parts = [part for part in shown.split("\r") if part.strip()]
    phases = list(dict.fromkeys(part.split(":")[0] for part in parts))
    assert phases == ["calibrating", "preparing", "settling", "measuring"]
    assert any(re.fullmatch(r"measuring: \d+ of 20 kernels, \d+ visits, \d+ of 300 s *", part) for part in parts)
    last = r"measuring: \d+ of 20 kernels, \d+ visits, worst interval ±\d+\.\d %, \d+ of 300 s *"
    assert re.fullmatch(last, parts[-1])
    assert shown.endswith("\r" + " " * 89 + "\r")


def test_a_narrow_terminal_is_never_filled(twin):
    shown, _ = on_a_terminal(twin, 30, "--least-visits", "6")
    assert max(map(len, shown.split("\r"))) == 29


def test_on_a_terminal_a_message_has_a_line_of_its_own(twin):
    shown, code = on_a_terminal(twin, 90, interrupt=True)
    assert code == 130
    assert shown.endswith("\r" + " " * 89 + "\r" + SAVED.replace("\n", "\r\n"))
    assert shown.count("\n") == 1
