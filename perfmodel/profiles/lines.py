"""The lines of a journal: one JSON object each, with a checksum at its end.

    {"type":"visit","session":1,…,"crc32":"9f1c02aa"}

The checksum is the CRC-32 of the bytes before `,"crc32"`. What does not read is reported and passed over; it never
hides the lines after it.
"""

from __future__ import annotations

import json
from typing import Any
from zlib import crc32

from perfmodel.errors import InputError, Problem, quote

LONGEST_LINE = 2**20  # bytes, newline included
MOST_PROBLEMS = 1000  # that are listed; more are counted
TAIL = len(b',"crc32":"00000000"}\n')
AGAIN = "--resume measures it again."


def encode(record: dict) -> bytes:
    """The line of one record, with checksum and newline.

    Raises `ValueError` for what a journal cannot hold, which no input of a user leads to: no text `type`, a key
    `crc32`, NaN, infinity; `TypeError` for values that JSON does not have.

    >>> encode({"type": "end", "session": 1})
    b'{"type":"end","session":1,"crc32":"1fd64ebd"}\\n'
    """
    if not isinstance(record.get("type"), str) or "crc32" in record:
        raise ValueError(f"a record needs a text 'type' and no 'crc32': {quote(record)}")
    try:
        body = _ENCODER.encode(record).encode()[:-1]
    except UnicodeEncodeError:  # a lone surrogate, as in file names that are no UTF-8
        body = _ESCAPING_ENCODER.encode(record).encode()[:-1]
    return body + _tail(body)


def decode(lines: list[bytes]) -> list[dict] | None:
    """The records of these lines, without `crc32`; None where one of the lines is not intact.

    NaN and Infinity are refused. A number beyond floats, as 1e999, is infinite: who uses it checks its range anyway.
    """
    bodies = []
    for line in lines:  # a hundred thousand a second, so without calls that can be saved
        body = line[:-TAIL]
        if line[-TAIL:] != b',"crc32":"%08x"}\n' % crc32(body):
            return None
        bodies.append(body)
    try:
        text = "[" + b"},".join(bodies).decode() + "}]"
        records, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    if end < len(text) or len(records) != len(lines):
        return None
    for record in records:
        if type(record) is not dict or type(record.get("type")) is not str or "crc32" in record:
            return None
    return records


def has_checksum(line: bytes) -> bool:
    """Whether the line ends in a checksum, right or wrong."""
    return line[-TAIL:-11] == b',"crc32":"' and line.endswith(b'"}\n')


def is_right(line: bytes) -> bool:
    """Whether the line's checksum is right, whatever else it holds."""
    return line[-TAIL:] == _tail(line[:-TAIL])


class Lines:
    """The records of the lines that are fed to it, and what is wrong with the others.

    A line that is too long comes in pieces, of which all but the last have no newline.
    """

    def __init__(self, place: str, start: int):
        self.records: list[dict] = []
        self._place = place
        self._problems: list[Problem] = []
        self._more = 0  # problems that are only counted
        self._number, self._start, self._size = 2, start, 0  # of the line that is being read; the first is the header
        self._piece = b""

    def feed(self, pieces: list[bytes]) -> None:
        """Take the next pieces of the file; `InputError` (E2102) for a header where none may be."""
        if not self._size and (records := decode(pieces)) is not None:
            self._add(records)
            self._number += len(pieces)
            self._start += sum(map(len, pieces))
            return
        for piece in pieces:
            self._piece = b"" if self._size else piece
            self._size += len(piece)
            if piece.endswith(b"\n"):
                self._end_line()

    def finish(self) -> tuple[Problem, ...]:
        """Everything that did not read, at the end of the file: at most 1000 problems."""
        if self._size:
            self._end_file()
        if self._more:
            self._problems.append(Problem("W2102", f"{self._place}:", f"{self._more} more lines do not read.", AGAIN))
            self._more = 0
        return tuple(self._problems)

    def _add(self, records: list[dict]) -> None:
        if "profile" in [record["type"] for record in records]:
            found = "holds a second header: files were joined."
            raise InputError.at("E2102", f"{self._place}:", found, "Give them one by one.")
        self.records += records

    def _end_line(self) -> None:
        line, size = self._piece, self._size
        if size <= LONGEST_LINE and (records := decode([line])) is not None:
            self._add(records)
        elif size > LONGEST_LINE:
            self._report("W2102", f"a line of {size} bytes at byte {self._start} is too long for a record.", AGAIN)
        elif is_right(line):
            self._report(
                "W2103", f"the checksum is right, but the record {_fault(line)}.", "It was edited: restore it."
            )
        elif has_checksum(line):
            self._report("W2102", f"a record of {size} bytes at byte {self._start} fails its checksum.", AGAIN)
        else:
            self._report("W2102", f"{size} bytes at byte {self._start} are not a whole record.", AGAIN)
        self._number, self._start, self._size = self._number + 1, self._start + size, 0

    def _end_file(self) -> None:
        # Only the newline is missing: opening the journal to append adds it, so the record counts already.
        if self._piece and (records := decode([self._piece + b"\n"])) is not None:
            self._add(records)
            return
        last = self._start + self._size - 1
        self._report("W2101", f"1 incomplete record ignored (bytes {self._start}–{last}).", AGAIN)

    def _report(self, code: str, found: str, fix: str) -> None:
        if len(self._problems) < MOST_PROBLEMS - 1:
            self._problems.append(Problem(code, f"{self._place}:{self._number}:", found, fix))
        else:
            self._more += 1


def _tail(body: bytes) -> bytes:
    return b',"crc32":"%08x"}\n' % crc32(body)


def _fault(line: bytes) -> str:
    """Why a line with a right checksum gives no record."""
    try:
        value = _DECODER.decode(line[:-TAIL].decode() + "}")
    except ValueError:  # also bytes that are no UTF-8, and whole numbers of more than 4300 digits
        return "is not strict JSON"
    except RecursionError:
        return "is nested too deeply"
    return "has a key 'crc32' of its own" if "crc32" in value else "has no text 'type'"


def _refuse(name: str) -> Any:
    raise ValueError(name)


_SETTINGS = {"allow_nan": False, "separators": (",", ":")}
_ENCODER = json.JSONEncoder(ensure_ascii=False, **_SETTINGS)
_ESCAPING_ENCODER = json.JSONEncoder(ensure_ascii=True, **_SETTINGS)
_DECODER = json.JSONDecoder(parse_constant=_refuse)
