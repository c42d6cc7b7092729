"""What a trace file holds that a recorder goes on with, and whether it is a trace of the same run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from perfmodel.datafiles import read_text
from perfmodel.errors import InputError, quote
from perfmodel.traces import Segment, parse_trace
from perfmodel.traces.jsonl import LARGEST_BYTES


def whole_lines(raw: bytes) -> bytes:
    """The content without a last line that is cut off; one that only lacks its newline gets it."""
    end = raw.rfind(b"\n") + 1
    try:
        json.loads(raw[end:])
    except (ValueError, RecursionError):
        return raw[:end]
    return raw + b"\n"


def rows_of(content: bytes, path: Path) -> list[tuple[int, Segment]]:
    """The segments, each with the byte at which its line begins; `InputError` as `read_trace`, but no E1312."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        read_text(path, LARGEST_BYTES)  # raises E1205 with the place
        raise
    try:
        segments = parse_trace(text, str(path)).segments
    except InputError as error:
        if [problem.code for problem in error.problems] != ["E1312"]:  # nothing is wrong but that no segment follows
            raise
        segments = ()
    return list(zip(list(_starts(content))[1:], segments, strict=True))


def _starts(content: bytes) -> Iterator[int]:
    """Where the lines begin that are not blank."""
    start = 0
    for line in content.split(b"\n"):
        if line.strip(b" \t\r"):
            yield start
        start += len(line) + 1


def check_header(content: bytes, header: dict, path: Path, any_source: bool) -> None:
    """Compare the first line with `header`; `InputError` (E1346) that names the keys which differ."""
    found = json.loads(content.strip(b" \t\r\n").partition(b"\n")[0])
    keys = [key for key in found | header if found.get(key) != header.get(key)]
    if any_source and "source" in keys:
        keys.remove("source")
    if keys:
        said = ", ".join(f"{key} (there {quote(found.get(key))}, here {quote(header.get(key))})" for key in keys)
        fix = "Give the values of the file, or another path."
        raise InputError.at("E1346", f"{path}:1:", f"is the trace of another run: {said}.", fix)
