"""Reading a journal: its header must be right, everything after it may be damaged."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import BinaryIO

from perfmodel.datafiles import opened
from perfmodel.errors import InputError, Problem, quote
from perfmodel.profiles.environment import NOT_ONE, check_header, check_schema
from perfmodel.profiles.lines import LONGEST_LINE, Lines, decode, has_checksum

LARGEST_BYTES = 2**31  # of a file: some four million visits
BATCH = 64  # lines that are parsed at once: the parser then makes each key only once
MAGIC = {b"\x1f\x8b": "compressed by gzip", b"SQLite format 3": "an SQLite database", b"PK": "a ZIP archive"}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a journal holds: its header, the intact records after it, and what did not read (W2101-W2103)."""

    header: dict
    records: list[dict]
    damage: tuple[Problem, ...]


def read_journal(path: str | os.PathLike) -> Reading:
    """What is in the journal at `path`; it takes no lock, so a file that is being written can be read.

    Raises `InputError`: E1201-E1204 the file cannot be read or has more than 2 GiB, E2102 it is no profile, its header
    is damaged or there are two, E2103 another version of the schema, E2104 the environment is not the one of its key.
    Damage after the header raises nothing.
    """
    with opened(path, LARGEST_BYTES) as file, _no_collector():
        return _read(file, os.fspath(path))


@contextmanager
def _no_collector() -> Iterator[None]:
    """Records hold no cycles: the collector would only walk through all of them, again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _read(file: BinaryIO, place: str) -> Reading:
    first = file.readline(LONGEST_LINE)
    header = _header(first, f"{place}:")
    lines = Lines(place, start=len(first))
    pieces = iter(partial(file.readline, LONGEST_LINE), b"")
    while batch := list(islice(pieces, BATCH)):
        lines.feed(batch)
    damage = lines.finish()
    return Reading(header, lines.records, damage)


def _header(line: bytes, place: str) -> dict:
    records = decode([line if line.endswith(b"\n") else line + b"\n"])
    if records is None:
        raise _not_a_header(line, place)
    check_header(records[0], place)
    return records[0]


def _not_a_header(line: bytes, place: str) -> InputError:
    """What a first line that is no intact record looks like."""
    damaged = InputError.at("E2102", place, "the header is damaged: it fails its checksum.", "Restore the file.")
    if not line:
        return InputError.at("E2102", place, "is empty.", "Delete it, or give another file.")
    if line.endswith(b"\r\n") or has_checksum(line) or line.startswith(b'{"type":"profile"'):
        return damaged
    try:
        check_schema(json.loads(line), place)
    except InputError as error:
        return error
    except (ValueError, RecursionError):
        kinds = [kind for magic, kind in MAGIC.items() if line.startswith(magic)]
        found = f"is {kinds[0]}." if kinds else f"begins with {quote(line[:60].decode(errors='replace').rstrip())}."
        return InputError.at("E2102", place, f"is not a profile: it {found}", NOT_ONE)
    return damaged
