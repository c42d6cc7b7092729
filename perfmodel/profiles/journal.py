"""The append-only journal of a profile: what was acknowledged is on the disk, whatever happens afterwards.

A record counts once its line is complete on the disk. Nothing is ever rewritten or cut off: a line that was torn by a
full disk or a crash stays where it is, as one damaged line.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from perfmodel.errors import InputError, OutputError, Problem
from perfmodel.output import check_target
from perfmodel.profiles.environment import check_header
from perfmodel.profiles.lines import LONGEST_LINE, encode
from perfmodel.profiles.lock import Lock, acquire
from perfmodel.profiles.reading import Reading, read_journal

__all__ = ["Journal", "MemoryJournal", "Reading", "encode", "read_journal"]

FLAGS = os.O_WRONLY | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
FLAGS |= getattr(os, "O_BINARY", 0)  # Windows would write two bytes for a newline
NO_SPACE = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP)  # what file systems say that cannot


class Journal:
    """A journal file, open to append to, by `create` or `open`; nobody else can open it to append until `close`.

    `header` is its first record; `records` are the intact ones after it at the time of opening, `damage` what did not
    read. It is a context manager that closes.
    """

    def __init__(self, path: Path, reading: Reading, file: int, lock: Lock, sync: bool):
        self.path = path
        self.header, self.records, self.damage = reading.header, reading.records, reading.damage
        self._file, self._lock, self._sync = file, lock, sync
        self._torn = False

    @classmethod
    def create(cls, path: str | os.PathLike, header: dict, sync: bool = True) -> Journal:
        """A new file that holds `header` alone; without `sync`, records survive a crash of the program only.

        Raises `OutputError`: E2101 there is a file, E2107 another process writes it, E2105 it cannot be written,
        E1901, E1902, E1905, E1906 as `perfmodel.output.write_text`; `InputError` for a header that would not be read.
        """
        path = Path(path)
        check_header(header, f"{path}:")
        with _refusals(path), ExitStack() as undo:
            if check_target(path) is not None:
                raise FileExistsError
            lock = acquire(path)
            undo.callback(lock.release)
            file = os.open(path, FLAGS | os.O_CREAT | os.O_EXCL, 0o666)
            undo.callback(_remove, path)
            undo.callback(os.close, file)
            journal = cls(path, Reading(header, [], ()), file, lock, sync)
            journal._write(encode(header))
            if sync:
                _sync_folder(path.parent)
            undo.pop_all()
            return journal

    @classmethod
    def open(cls, path: str | os.PathLike, sync: bool = True) -> Journal:
        """The journal at `path`, to append to. A torn last line is closed with a newline, and reported as damage.

        Raises `InputError` as `read_journal`, `OutputError` as `create`.
        """
        path = Path(path)
        with _refusals(path), ExitStack() as undo:
            if check_target(path) is None:
                raise InputError.at("E1201", str(path), "does not exist.", "Check the path.")
            lock = acquire(path)
            undo.callback(lock.release)
            reading = read_journal(path)
            file = os.open(path, FLAGS)
            undo.callback(os.close, file)
            journal = cls(path, reading, file, lock, sync)
            if not _ends_in_newline(path):
                journal._write(b"\n")
            undo.pop_all()
            return journal

    def append(self, record: dict) -> None:
        """Return when the record is on the disk.

        Raises `OutputError` (E2105) where that fails; the journal then takes no more records until it is opened anew.
        `ValueError` for a record that no journal can hold (see `encode`), and after `close`.
        """
        if self._file < 0:
            raise ValueError(f"{self.path} is closed")
        if record.get("type") == "profile":
            raise ValueError("a journal has one header")
        self._write(encode(record))

    def close(self) -> None:
        """Give the file and its lock back; the second time nothing happens."""
        if self._file >= 0:
            with suppress(OSError):  # what counts was synchronised
                os.close(self._file)
            self._file = -1
            self._lock.release()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _write(self, line: bytes) -> None:
        if self._torn:
            found = "takes no more records: one could not be written."
            raise OutputError.at("E2105", f"{self.path}:", found, "Go on with --resume.")
        if len(line) > LONGEST_LINE:
            found = f"a record of {len(line)} bytes is too long: at most {LONGEST_LINE} are read back."
            raise OutputError.at("E2105", f"{self.path}:", found, "Ask for less at once.")
        self._torn = True  # until the whole line is written; Ctrl-C may come at any point
        try:
            written = os.write(self._file, line)
            self._torn = written < len(line)
            if self._torn:
                raise OSError(errno.ENOSPC, f"only {written} bytes were written")
            if self._sync:
                os.fsync(self._file)
        except OSError as error:  # after a failed fsync nobody knows what is on the disk
            self._torn = True
            raise _failure(self.path, len(line), error) from None


class MemoryJournal:
    """A journal that keeps its records in memory alone: for simulations and tests. `append` adds to `records`."""

    def __init__(self, header: dict | None = None):
        self.header = {} if header is None else header
        self.records: list[dict] = []
        self.damage: tuple[Problem, ...] = ()

    def append(self, record: dict) -> None:
        """Keep the record."""
        self.records.append(record)

    def close(self) -> None:
        """Nothing: there is no file."""

    def __enter__(self) -> MemoryJournal:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    """What the system says about opening the file, as one line."""
    try:
        yield
    except FileExistsError:
        fix = "--resume finishes it, --append adds a session; or give another path."
        raise OutputError.at("E2101", f"{path}:", "exists already.", fix) from None
    except OSError as error:
        found = f"cannot be written: {error.strerror or error}."
        raise OutputError.at("E1906", f"{path}:", found, "Check permissions and free space.") from None


def _failure(path: Path, needed: int, error: OSError) -> OutputError:
    found = f"cannot be written: {error.strerror or error}"
    fix = "Check the disk, then go on with --resume."
    if error.errno in NO_SPACE:
        found += f" ({needed} bytes needed, {_free(path)} free)"
        fix = "Make space, then go on with --resume."
    return OutputError.at("E2105", f"{path}:", f"{found}.", fix)


def _free(path: Path) -> str:
    try:
        return str(shutil.disk_usage(path.parent).free)
    except OSError:
        return "an unknown number"


def _ends_in_newline(path: Path) -> bool:
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _sync_folder(folder: Path) -> None:
    """Make the new file's name survive a power cut."""
    with suppress(PermissionError):  # a folder that may not be listed, and any folder on Windows
        file = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(file)
        except OSError as error:
            if error.errno not in NO_FOLDER_SYNC:
                raise
        finally:
            os.close(file)
