"""Running a compiler: its command, its first error, and its end when nobody waits for it any more."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TICK_S = 0.05  # between two looks at a compiler that runs
GRACE_S = 2.0  # for a compiler that was asked to end
ERROR = re.compile(r"\berror\b|\bfatal\b|undefined reference|cannot find|No space left|Killed|not found", re.IGNORECASE)
NOISE = re.compile(r"^ptxas info|\bwarning\b", re.IGNORECASE)


class Stopped(Exception):
    """The build was called off."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended, what it wrote to stderr, and how long it took."""

    status: int
    log: str
    seconds: float


def run_quietly(command: Sequence[str], limit_s: float = 120.0) -> tuple[int, str]:
    """Exit status and everything the program wrote; 127 and why where it cannot be run."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=limit_s,
            env=plain_environment(), check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return 124, f"error: no answer within {limit_s:.0f} s"
    except OSError as error:
        return 127, f"error: {error.strerror or error}"
    return done.returncode, done.stdout + done.stderr


def run(command: Sequence[str], folder: Path, halted: Callable[[], bool]) -> Outcome:
    """Run a compiler in `folder`, which also holds its temporary files; `Stopped` once `halted()`, its processes ended.

    One that cannot be started is an outcome as well: status 127.
    """
    log = folder / "log"
    environment = plain_environment({"TMPDIR": str(folder)})
    begun = time.monotonic()
    with log.open("wb") as stream:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, cwd=folder, env=environment,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            return Outcome(127, f"error: cannot run {command[0]}: {error.strerror or error}", 0.0)
    try:
        while process.poll() is None:
            if halted():
                raise Stopped
            time.sleep(TICK_S)
    finally:
        end(process)
    return Outcome(process.returncode, log.read_text("utf-8", "replace"), time.monotonic() - begun)


def end(process: subprocess.Popen) -> None:
    """End a process that leads a session, and all that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        try:
            os.killpg(process.pid, number)
            process.wait(GRACE_S)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def plain_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Our environment with messages in English, and `more`; without the options that nvcc would add by itself."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NVCC_")}
    return kept | {"LC_ALL": "C"} | dict(more or {})


def first_error(log: str, status: int) -> str:
    """The first line of a compiler's output that says what went wrong; its last line where none does.

    >>> first_error("a.cu(3): warning: x\\na.cu(4): error: no y\\na.cu(5): error: no z\\n", 2)
    'a.cu(4): error: no y'
    """
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    said = [line for line in lines if not NOISE.search(line)]
    named = [line for line in said if ERROR.search(line)]
    if named or said:
        return named[0] if named else said[-1]
    return f"exit status {status}" if status >= 0 else f"ended by signal {-status}"
