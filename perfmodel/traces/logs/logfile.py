"""A log on the disk: its first bytes, its lines, its fingerprint, the files that lie beside it.

Nothing is read but a regular file within its limit, and lines are read one at a time: a log may be as large as the
limit, of which only what a reader keeps is in memory. A log that grows meanwhile is read up to the size it had.
"""

from __future__ import annotations

import codecs
import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from perfmodel.datafiles import opened
from perfmodel.errors import InputError, printable
from perfmodel.traces.logs.given import LARGEST_BYTES

HEAD_BYTES = 2**16
BLOCK_BYTES = 2**16
LONGEST_LINE = 2**20  # characters
MOST_LINES = 10_000_000
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_PICKLE = ("is a pickle: never opened, as opening it would run its code.", "Give the log itself.")
_UNPACK = "Unpack it first."
_UNREAD = (  # first bytes, what such a file is, and what to do
    (b"\x1f\x8b", "is compressed (gzip).", _UNPACK),
    (b"BZh", "is compressed (bzip2).", _UNPACK),
    (b"\xfd7zXZ", "is compressed (xz).", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "is compressed (Zstandard).", _UNPACK),
    (b"PK\x03\x04", "is a zip archive, as PyTorch's checkpoints are too: never opened.", "Give the log itself."),
    *((bytes((0x80, protocol)), *_PICKLE) for protocol in (2, 3, 4, 5)),
    (b":W&B", "is a run of Weights & Biases in its own format.", "Export the run's history as CSV and give that."),
)


class LogFile:
    """A file, opened anew for each reading; `place` is its path for messages.

    Raises `InputError`: E1201-E1204 for what is no readable file within `limit` bytes, E1325 for a kind of file
    that is not opened (archives, pickles).
    """

    def __init__(self, path: str | os.PathLike, limit: int = LARGEST_BYTES):
        self.path, self.place, self.limit = Path(path), os.fspath(path), limit
        self.together: tuple[LogFile, ...] = (self,)  # the files of this kind in the folder, where a folder was given
        with self.binary() as file:
            self.size = os.fstat(file.fileno()).st_size
            self.head = file.read(HEAD_BYTES) or b""
        for first, what, fix in _UNREAD:
            if self.head.startswith(first):
                raise InputError.at("E1325", f"{self.place}:", what, fix)
        self._mark, self.encoding = next((found for found in _MARKS if self.head.startswith(found[0])), (b"", "utf-8"))

    @contextmanager
    def binary(self) -> Iterator[BinaryIO]:
        """The file, open for reading bytes."""
        with opened(self.path, self.limit) as file:
            yield file

    @property
    def name(self) -> str:
        """The file's name without its folder, as UTF-8 can hold it."""
        return printable(self.path.name.encode(errors="backslashreplace").decode())

    def first_lines(self, most: int = 50) -> list[str]:
        """The first lines, for recognition; what does not decode stands there as it may."""
        text = self.head[len(self._mark) :].decode(self.encoding, errors="replace")
        return io.StringIO(text, newline=None).read().split("\n", most)[:most]

    def lines(self) -> Iterator[tuple[int, str]]:
        r"""Number and text of each line, without its end (`\n`, `\r\n` or `\r`).

        Raises `InputError`: E1203 for over 10 million lines, E1205 for a NUL or bytes that do not decode, E1313 for
        a line of over 2**20 characters.
        """
        number, rest = 0, ""
        for text in self._texts():
            *lines, rest = (rest + text).split("\n")
            careful = "\0" in text or len(rest) > LONGEST_LINE or len(text) > LONGEST_LINE
            if number + len(lines) > MOST_LINES:
                found = f"more than {MOST_LINES} lines."
                raise InputError.at("E1203", f"{self.place}:{MOST_LINES + 1}:", found, "Split the file.")
            for line in lines:
                number += 1
                if careful or len(line) > LONGEST_LINE:
                    self._check_line(number, line)
                yield number, line
            if careful:
                self._check_line(number + 1, rest)
        if rest:
            yield number + 1, rest

    def _check_line(self, number: int, line: str) -> None:
        if len(line) > LONGEST_LINE:
            found = f"more than {LONGEST_LINE} characters."
            raise InputError.at("E1313", f"{self.place}:{number}:", found, "Write shorter lines.")
        if "\0" in line:
            place = f"{self.place}:{number}:{line.index(chr(0)) + 1}"
            raise InputError.at("E1205", place, "a NUL byte.", "Give a text file, in UTF-8.")

    def _texts(self) -> Iterator[str]:
        r"""The text, block by block, each line's end `\n`."""
        decoder = codecs.getincrementaldecoder(self.encoding)()
        newlines = io.IncrementalNewlineDecoder(decoder, translate=True)
        done = len(self._mark)
        for block in self._blocks(done):
            pending = len(decoder.getstate()[0])
            try:
                text = newlines.decode(block, final=not block)
            except UnicodeDecodeError as error:
                place = f"{self.place}: byte {done - pending + error.start}:"
                raise InputError.at("E1205", place, f"is not {self.encoding.upper()}.", "Save as UTF-8.") from None
            done += len(block)
            yield text

    def _blocks(self, start: int) -> Iterator[bytes]:
        """The bytes from `start` on, block by block; the last one is empty."""
        with self.binary() as file:
            file.seek(start)
            while block := file.read(max(0, min(BLOCK_BYTES, self.size - file.tell()))):
                yield block
        yield b""

    def text(self, most: int) -> str:
        """The whole text, of at most `most` bytes; errors as `lines`, and E1203 where it is larger."""
        if self.size > most:
            found = f"holds {self.size} bytes; at most {most} are read of this kind."
            raise InputError.at("E1203", self.place, found, "Give a smaller file.")
        return "\n".join(line for _, line in self.lines())

    @property
    def torn(self) -> bool:
        """Whether the last line has no end: the writer may have been stopped in it."""
        width = len("\n".encode(self.encoding))
        with self.binary() as file:
            file.seek(max(len(self._mark), self.size - width))
            last = file.read(width) or b""
        return bool(last) and last.decode(self.encoding, errors="replace") not in ("\n", "\r")

    def sha256(self) -> str:
        """The fingerprint of the file's bytes, in hexadecimal."""
        found = hashlib.sha256()
        for block in self._blocks(0):
            found.update(block)
        return found.hexdigest()

    def companion(self, name: str) -> LogFile | None:
        """The file of this name beside the log, if there is one and no symbolic link; errors as for the log itself."""
        path = self.path.with_name(name)
        return LogFile(path, self.limit) if path.is_file() and not path.is_symlink() else None
