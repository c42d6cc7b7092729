"""A trace file that grows while training runs, so that it can be read at any moment and after a kill.

A line is written by one system call to the end of the file; what a full disk cuts short is taken back. Only a kill at
the very moment at which Linux goes from one page of memory to the next within that call can leave half a line: readers
say so (`read_trace`: E1303), and going on with the file cuts it off. Nothing is synchronised: a killed process loses no
line that was written, a power cut may.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from perfmodel.datafiles import read_bytes
from perfmodel.errors import OutputError
from perfmodel.output import check_target
from perfmodel.record.existing import check_header, rows_of, whole_lines
from perfmodel.record.lock import lock, unlock
from perfmodel.traces import Segment
from perfmodel.traces.jsonl import LARGEST_BYTES

FLAGS = os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
FLAGS |= getattr(os, "O_BINARY", 0)  # Windows would write two bytes for a newline
PAGE_BYTES = 4096  # or a multiple of it


class TraceFile:
    """A trace file that nobody else records to until `close`."""

    def __init__(self, path: Path, file: int):
        self.path = path
        self.found: list[tuple[int, Segment]] = []  # what `rows` said when the file was opened
        self._file = file
        self._process = os.getpid()

    @classmethod
    def open(cls, path: str | os.PathLike, header: str, resume: bool, any_source: bool) -> TraceFile:
        """A new file with the line `header`, or with `resume` the one that is there, if it has the same header.

        What a kill left of a last line is cut off. `any_source` lets the file say another `source`.

        Raises `OutputError`: E1345 there is a file and no `resume`, E1347 another process records to it, E1901, E1902,
        E1905, E1906 as `perfmodel.output.write_text`; `InputError`: E1346 another header, else as `read_trace`.
        """
        path = Path(path)
        with _refusals(path), ExitStack() as undo:
            new = check_target(path) is None
            if not new and not resume:
                raise FileExistsError
            file = os.open(path, FLAGS | os.O_APPEND | (os.O_CREAT | os.O_EXCL if new else 0), 0o666)
            undo.callback(os.close, file)
            if not lock(file):
                found = "another recorder is writing to it."
                raise OutputError.at("E1347", f"{path}:", found, "Close that one first, or give another path.")
            trace = cls(path, file)
            if new:
                undo.callback(_remove, path)
            trace._take_up(header, any_source)
            undo.pop_all()
        return trace

    @property
    def open_here(self) -> bool:
        """False after `close`."""
        return self._file >= 0

    @property
    def elsewhere(self) -> bool:
        """Whether this is a process forked from the one that records, such as a worker that loads data."""
        return os.getpid() != self._process

    def rows(self) -> list[tuple[int, Segment]]:
        """The segments on file, each with the byte at which its line begins; `InputError` as `read_trace`."""
        return rows_of(read_bytes(self.path, LARGEST_BYTES), self.path)

    def append(self, line: str) -> int:
        """Write one line at the end, whole or not at all; the byte at which it begins. `OutputError` (E1906)."""
        return self._append(line.encode() + b"\n")

    def replace_last(self, start: int, old: str, new: str) -> None:
        """Put the line `new` where the last one, `old`, begins; `OutputError` (E1906), and then the old one stays."""
        before, content = old.encode() + b"\n", new.encode() + b"\n"
        same = next((i for i, (was, now) in enumerate(zip(before, content, strict=False)) if was != now), 0)
        in_one_page = (start + same) // PAGE_BYTES == (start + len(content) - 1) // PAGE_BYTES
        if len(content) > len(before) and in_one_page and self._overwrite(start + same, content[same:]):
            return
        self.cut(start)
        try:
            self._append(content)
        except OutputError:
            self._append(before)
            raise

    def cut(self, start: int) -> None:
        """Remove everything from byte `start` on; `OutputError` (E1906)."""
        with _refusals(self.path):
            os.ftruncate(self._file, start)

    def close(self) -> None:
        """Give the file and its lock back; the second time nothing happens."""
        if self._file < 0:
            return
        if not self.elsewhere:
            unlock(self._file)
        with suppress(OSError):
            os.close(self._file)
        self._file = -1

    def _take_up(self, header: str, any_source: bool) -> None:
        raw = read_bytes(self.path, LARGEST_BYTES)
        line = header.encode() + b"\n"
        if line.startswith(raw):  # new, or the run was killed before there was more
            if raw != line:
                self.cut(0)
                self._append(line)
            return
        whole = whole_lines(raw)
        self.found = rows_of(whole or raw, self.path)
        check_header(whole, json.loads(header), self.path, any_source)
        if len(whole) < len(raw):
            self.cut(len(whole))
        elif len(whole) > len(raw):
            self._append(b"\n")

    def _append(self, content: bytes) -> int:
        start = os.fstat(self._file).st_size
        with _refusals(self.path):
            try:
                if os.write(self._file, content) < len(content):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                with suppress(OSError):
                    os.ftruncate(self._file, start)
                raise
        return start

    def _overwrite(self, start: int, content: bytes) -> bool:
        """Whether the file now ends in `content` from `start` on: there is no moment at which it has neither line."""
        with suppress(OSError), ExitStack() as undo:
            file = os.open(self.path, FLAGS)  # the other one writes at the end only
            undo.callback(os.close, file)
            if os.path.samestat(os.fstat(file), os.fstat(self._file)):
                os.lseek(file, start, os.SEEK_SET)
                return os.write(file, content) == len(content)
        return False


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    """What the system says about the file, as one line."""
    try:
        yield
    except FileExistsError:
        fix = "Pass resume=True to go on with it, or give another path."
        raise OutputError.at("E1345", f"{path}:", "exists already.", fix) from None
    except OSError as error:
        found = f"cannot be written: {error.strerror or error}."
        raise OutputError.at("E1906", f"{path}:", found, "Check permissions and free space.") from None


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
