"""One writer at a time: a lock file beside the journal that says who holds it.

The system's lock on that file decides, so a holder that was killed leaves nothing behind that must be cleared away.
Where the system has no such locks, and between machines that share a folder, the file itself is the lock.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import stat
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from perfmodel.errors import OutputError, quote

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
TRIES = 100  # each fails only where another process takes or releases the lock at that very moment
LONGEST_NOTE = 4096  # bytes that are read of a lock file
FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # a FIFO must not make us wait


class Lock:
    """The right to append to a journal, until `release`."""

    def __init__(self, path: Path, file: int):
        self.path = path  # of the lock file
        self._file = file

    def release(self) -> None:
        """Remove the lock file and give the lock back; the second time nothing happens."""
        if self._file < 0:
            return
        with ExitStack() as steps:
            steps.callback(os.close, self._file)
            if fcntl is None:
                steps.close()  # Windows removes no open file; elsewhere, the lock protects the removal
            if fcntl is None or _is_at(self._file, self.path):
                with suppress(OSError):
                    self.path.unlink()
        self._file = -1


def acquire(path: Path) -> Lock:
    """The lock of the journal at `path`, in the file `<path>.lock`.

    Raises `OutputError`: E2107 another process holds it, E1905, E1906 the lock file cannot be written.
    """
    lock = Path(f"{path}.lock")
    with _refusals(lock):
        for _ in range(TRIES):
            file, new = _open(lock)
            if file >= 0 and _take(file, new, path, lock):
                return Lock(lock, file)
    raise _in_use(path, {}, "Try again.")


def _open(lock: Path) -> tuple[int, bool]:
    """The lock file and whether it is new; -1 where it was removed meanwhile."""
    with suppress(FileExistsError):
        return os.open(lock, FLAGS | os.O_CREAT | os.O_EXCL, 0o666), True
    with suppress(FileNotFoundError):
        return os.open(lock, FLAGS), False
    return -1, False


def _take(file: int, new: bool, path: Path, lock: Path) -> bool:
    """Whether the file is locked now; False where another process removed it meanwhile: try again."""
    with ExitStack() as undo:
        undo.callback(os.close, file)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OutputError.at("E1905", f"{lock}:", "is not a regular file.", "Remove it, or give another path.")
        remove = f"Remove {lock} if that process is gone."
        locked = _flock(file)
        if locked is False or (locked is None and not new):
            wait = "Wait until it has ended, or give another path."
            raise _in_use(path, _note(file), wait if locked is False else remove)
        if locked and not _is_at(file, lock):
            return False
        if _is_elsewhere(holder := _note(file)):  # a network folder may not pass locks on
            raise _in_use(path, holder, remove)
        try:
            _sign(file)
        except OSError:
            lock.unlink()
            raise
        undo.pop_all()
        return True


def _flock(file: int) -> bool | None:
    """Whether the system gives us its lock; None where it has none, as on some network folders."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), os.lstat(path))
    except FileNotFoundError:
        return False


def _sign(file: int) -> None:
    """Say in the lock file who holds it."""
    note = {"pid": os.getpid(), "host": platform.node(), "boot": _boot(), "started": datetime.now(UTC).isoformat()}
    line = json.dumps(note).encode() + b"\n"
    os.ftruncate(file, 0)
    os.lseek(file, 0, os.SEEK_SET)
    if os.write(file, line) < len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _note(file: int) -> dict:
    """Who holds the lock, as far as its file tells."""
    os.lseek(file, 0, os.SEEK_SET)
    try:
        note = json.loads(os.read(file, LONGEST_NOTE))
    except (ValueError, RecursionError):
        return {}
    return note if isinstance(note, dict) else {}


def _is_elsewhere(holder: dict) -> bool:
    if holder.get("boot") and holder["boot"] == _boot():  # another container of this machine: its lock would hold us
        return False
    return isinstance(holder.get("host"), str) and holder["host"] != platform.node()


def _boot() -> str:
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):  # only Linux has it
        return ""


def _in_use(path: Path, holder: dict, fix: str) -> OutputError:
    pid, host, started = (holder.get(key) for key in ("pid", "host", "started"))
    who = f"process {pid}" if type(pid) is int and 0 < pid < 2**32 else "another process"
    where = f" on host {quote(host)[1:-1]}" if isinstance(host, str) else ""
    since = f" since {quote(started)[1:-1]}" if isinstance(started, str) else ""
    return OutputError.at("E2107", f"{path}:", f"is being written by {who}{where}{since}.", fix)


@contextmanager
def _refusals(lock: Path):
    try:
        yield
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OutputError.at("E1902", f"{lock}:", "is a symbolic link.", "Remove it.") from None
        if isinstance(error, IsADirectoryError):
            raise OutputError.at("E1905", f"{lock}:", "is a folder.", "Remove it, or give another path.") from None
        found = f"cannot be written: {error.strerror or error}."
        raise OutputError.at("E1906", f"{lock}:", found, "Check permissions and free space.") from None
