"""Trace files: JSON lines, a header and then one line for each segment.

    {"schema":"perfmodel.trace/1","network":"resnet20","dataset":"cifar10","scheme":"muppet","samples":40000,…}
    {"epoch":0,"iterations":313,"precision":{"fprop":"dfx8","dgrad":"dfx8","wgrad":"dfx8","master":"fp32"},"lr":0.1}

A missing value is a missing key. A list of formats means "one of these". Files come from users and are not trusted:
what is read is strict JSON, bounded in every size, and anything else is one line of error for each wrong line.
`docs/errors.md` lists the codes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from perfmodel.datafiles import read_text
from perfmodel.errors import InputError, OutputError, PerfModelError, Problem, quote
from perfmodel.output import write_text
from perfmodel.traces.precision import PassPrecision, pass_precision
from perfmodel.traces.strict_json import LONGEST_LINE, MOST_PROBLEMS, rows
from perfmodel.traces.trace import HEADER_RULES, SCHEMA, Segment, Trace, sequence_problems
from perfmodel.traces.values import key_problems, placed, within

LARGEST_BYTES = 40 * 10**6  # of a file: some 300,000 segments, in 300 MB of memory

HEADER_KEYS = {  # required, and what they hold
    "schema": f'"{SCHEMA}"',
    "network": "the name of the network",
    "dataset": "the name of the data set",
    "scheme": "the name of the training scheme, such as muppet, mixed or fp32",
    "samples": "how many training samples an epoch sees",
    "batch": "how many samples an iteration sees",
    "source": "a table that says where the trace comes from",
}
HEADER_OPTIONAL = tuple(key for key in HEADER_RULES if key not in HEADER_KEYS)
SEGMENT_KEYS = {
    "epoch": "the epoch, from 0",
    "iterations": "how many iterations the segment has",
    "precision": "a table with fprop, dgrad and wgrad",
}
SEGMENT_OPTIONAL = ("lr", "gd", "metrics", "layers", "inferred")


def read_trace(path: str | os.PathLike) -> Trace:
    """The trace of a file.

    Raises `InputError`: E1201-E1205 for a file that cannot be read as text, else as `parse_trace`.
    """
    return parse_trace(read_text(Path(path), LARGEST_BYTES), str(path))


def parse_trace(text: str, place: str = "trace") -> Trace:
    """The trace that the text of a file gives; `place` is the file's name for messages.

    Raises `InputError` with every problem found (E1301-E1314, E1004), each at its line.
    """
    problems: list[Problem] = []
    lines_read = rows(text, place, problems)
    line, header = next(lines_read, (1, None))
    if header is None:
        raise InputError(problems or [Problem("E1314", f"{place}:1:", "there is no header.", _first_line())])
    fields = _header(header, f"{place}:{line}: ", problems)
    segments, lines = [], []
    for line, row in lines_read:
        try:
            segments.append(_segment(row))
            lines.append(line)
        except PerfModelError as error:
            problems += placed(error, f"{place}:{line}: ")
    if not problems and not segments:
        problems.append(Problem("E1312", f"{place}:{line}:", "no segment follows.", "Add one line for each epoch."))
    if not problems:  # without the lines that did not read, epochs would seem to be missing
        for i, code, found, fix in sequence_problems(segments, fields["samples"], fields["batch"]):
            problems.append(Problem(code, f"{place}:{lines[i]}:", found, fix))
            if len(problems) >= MOST_PROBLEMS:
                break
    if problems:
        raise InputError(problems)
    return Trace(**fields, segments=segments)


def _header(header: dict, prefix: str, problems: list[Problem]) -> dict[str, Any]:
    """The checked values of the header; what is wrong with it goes to `problems`, at once where it is no trace."""
    if "schema" not in header:
        raise InputError.at("E1304", f"{prefix}schema:", "is missing.", _first_line())
    if header["schema"] != SCHEMA:
        raise InputError.at("E1308", f"{prefix}schema:", f"{quote(header['schema'])} is not read.", f"Give {SCHEMA}.")
    faults = key_problems(header, HEADER_KEYS, HEADER_OPTIONAL)
    fields = {}
    for key, rule in HEADER_RULES.items():
        if header.get(key) is None:  # missing, or reported as null
            continue
        try:
            fields[key] = rule(key, header[key])
        except PerfModelError as error:
            faults += error.problems
    problems += placed(InputError(faults), prefix)
    return fields


def _first_line() -> str:
    keys = ", ".join(f'"{key}": …' for key in list(HEADER_KEYS)[1:])
    return f'The first line of a trace is {{"schema": "{SCHEMA}", {keys}}}.'


def _segment(row: dict) -> Segment:
    if problems := key_problems(row, SEGMENT_KEYS, SEGMENT_OPTIONAL):
        raise InputError(problems)
    row["gradient_diversity"] = row.pop("gd", {})
    row["precision"] = _precision(row["precision"])
    return Segment(**row)


def _precision(given: object) -> PassPrecision:
    if isinstance(given, dict) and all(isinstance(name, str) for name in given.values()):
        return _same_precision(tuple(given.items()))
    return _checked_precision(given)


@lru_cache(maxsize=256)
def _same_precision(items: tuple[tuple[str, str], ...]) -> PassPrecision:
    return _checked_precision(dict(items))  # one object for the many lines that say the same


def _checked_precision(given: object) -> PassPrecision:
    if not isinstance(given, dict):
        return pass_precision(given)
    with within("precision."):
        return pass_precision(given)


def format_trace(trace: Trace) -> str:
    """The text of a trace file; `parse_trace` gives the same trace back.

    Raises `OutputError` (E1907) for a trace with a line so long that it would not be read.
    """
    header = format_header({key: getattr(trace, key) for key in HEADER_RULES})
    return "\n".join([header, *map(format_segment, trace.segments)]) + "\n"


def format_header(fields: Mapping[str, Any]) -> str:
    """The first line of a trace file, without its newline, for the checked values of all `HEADER_RULES`.

    Raises `OutputError` (E1907) where it is too long to be read.
    """
    required = {"schema": SCHEMA} | {key: fields[key] for key in HEADER_KEYS if key != "schema"}
    return _format_line(required | {key: fields[key] for key in HEADER_OPTIONAL if fields[key]})


def format_segment(segment: Segment) -> str:
    """The line of one segment, without its newline; `OutputError` (E1907) where it is too long to be read."""
    return _format_line(_segment_values(segment))


def _format_line(values: Mapping[str, Any]) -> str:
    line = json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if len(line) > LONGEST_LINE:
        found = f"a line has more than {LONGEST_LINE} characters."
        raise OutputError.at("E1907", "trace:", found, "Shorten its texts.")
    return line


def _segment_values(segment: Segment) -> dict[str, Any]:
    passes = segment.precision
    precision = {key: _names(getattr(passes, key)) for key in ("fprop", "dgrad", "wgrad")}
    if passes.master is not None:
        precision["master"] = passes.master
    values = {"epoch": segment.epoch, "iterations": segment.iterations, "precision": precision}
    optional = {
        "lr": segment.lr,
        "gd": segment.gradient_diversity,
        "metrics": segment.metrics,
        "layers": segment.layers,
        "inferred": segment.inferred,
    }
    return values | {key: value for key, value in optional.items() if value}


def _names(candidates: tuple[str, ...]) -> str | list[str]:
    return candidates[0] if len(candidates) == 1 else list(candidates)


def write_trace(trace: Trace, path: str | os.PathLike) -> None:
    """Write a trace file, whole or not at all; errors as `perfmodel.output.write_text`, and E1907 as `format_trace`."""
    write_text(path, format_trace(trace))
