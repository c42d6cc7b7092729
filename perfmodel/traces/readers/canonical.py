"""The toolkit's own trace file, with what the user says of the run instead of what it says."""

from __future__ import annotations

import re
from dataclasses import replace

from perfmodel.errors import InputError
from perfmodel.traces.jsonl import LARGEST_BYTES, parse_trace
from perfmodel.traces.logs.given import Given
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.trace import Trace
from perfmodel.traces.values import within

NAME = "trace"
TITLE = "a trace file of this toolkit"
HEADER = ("network", "dataset", "scheme", "samples", "batch")
_SCHEMA = re.compile(r'\s*\{.*"schema"\s*:\s*"perfmodel\.')


def recognises(log: LogFile) -> bool:
    """A first line that names a schema of this toolkit."""
    return _SCHEMA.match(next((line for line in log.first_lines() if line.strip()), "")) is not None


def read(log: LogFile, given: Given) -> Trace:
    """The trace; a last line that is cut off is left out, values of the header that the user gives replace its own.

    Raises `InputError`: E1203 above 40 MB, E1335 for --precision or --map, else as `parse_trace`.
    """
    for option, said in (("precision", given.precision), ("map", given.keys)):
        if said:
            found = "a trace says the precision of each segment, by names that are fixed."
            raise InputError.at("E1335", f"{log.place}: --{option}:", found, "Leave the option out, or edit the file.")
    trace = _parsed(log)
    changed = {key: getattr(given, key) for key in HEADER if getattr(given, key) not in (None, getattr(trace, key))}
    notes = [f"{log.name}:1 {key} {value} as given, not {getattr(trace, key)}" for key, value in changed.items()]
    if not changed:
        return trace
    with within(f"{log.place}: "):
        return replace(trace, **changed, corrections=(*trace.corrections, *notes))


def _parsed(log: LogFile) -> Trace:
    text = log.text(LARGEST_BYTES)
    if not log.torn:
        return parse_trace(text + "\n", log.place)
    try:
        return parse_trace(text, log.place)
    except InputError as error:
        whole = text.rpartition("\n")[0]
        if [problem.code for problem in error.problems] != ["E1303"] or not whole.strip():
            raise
    trace = parse_trace(whole + "\n", log.place)
    note = f"{log.name}:{text.count(chr(10)) + 1} the last line is cut off: left out"
    return replace(trace, corrections=(*trace.corrections, note))
