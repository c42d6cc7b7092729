"""Rows from JSON objects: their numbers by name, those of nested objects as `outer/inner`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from perfmodel.errors import InputError, Problem, quote
from perfmodel.traces.logs.csvtable import MOST_ROWS, Row
from perfmodel.traces.logs.keys import Keys
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.logs.objects.document import Document
from perfmodel.traces.logs.objects.values import decoded, whole_text
from perfmodel.traces.values import LARGEST

MOST_PROBLEMS = 1000
DEEPEST_NAME = 4  # levels of objects whose numbers are taken
MOST_TEXTS = 1000  # names remembered
_FLOATS, _PLAIN = {float}, {float, str, bool, type(None)}
_scan = json.JSONDecoder(parse_int=float).scan_once


def line_rows(log: LogFile, keys: Keys, corrections: list[str]) -> Iterator[Row]:
    """A row for each line that has one: all its numbers, and texts where they name the format.

    Nulls, booleans, lists and other texts are left out; so is, with a correction, a last line without an end that does
    not read. Raises `InputError`: E1301, E1302 and E1207 as `decoded`, E1203 for too many rows.
    """
    problems: list[Problem] = []
    rows, number, quick = 0, 0, _Quick(keys).row
    for number, line in log.lines():
        if not line:
            continue
        try:
            found = quick(line)
        except (StopIteration, ValueError, TypeError, AttributeError, RecursionError):
            try:
                found = _careful_line(line, f"{log.place}:{number}", keys)
            except InputError as error:
                problems += error.problems
                if len(problems) >= MOST_PROBLEMS:
                    break
                continue
        if found[0]:
            rows += 1
            if rows > MOST_ROWS:
                found = f"more than {MOST_ROWS} rows."
                raise InputError.at("E1203", f"{log.place}:{number}:", found, "Split the file.")
            yield number, *found
    finish(log, number, problems, corrections)


def finish(log: LogFile, last: int, problems: list[Problem], corrections: list[str]) -> None:
    """Raise what is wrong with lines, but for the last line where that is cut off: a correction."""
    if problems and problems[-1].code == "E1301" and problems[-1].place.startswith(f"{log.place}:{last}:") and log.torn:
        problems = problems[:-1]
        corrections.append(f"{log.place}:{last} the last line is cut off: left out")
    if problems:
        raise InputError(problems)


class _Quick:
    """Rows of objects that hold nothing but numbers, texts, nulls and booleans, none of the numbers non-finite."""

    def __init__(self, keys: Keys):
        self._keys = keys
        self._texts: dict[str, bool] = {}  # name: whether it is that of a field

    def row(self, line: str) -> tuple[tuple[str, ...], tuple[float | str, ...]]:
        """Names and values; any of many exceptions, to look closer."""
        row, end = _scan(line, 0)
        names, values = tuple(row), tuple(row.values())
        if end < len(line):
            raise ValueError
        if {*map(type, values)} != _FLOATS:
            return self._without_others(line, row)
        if line.count('"') > 2 * len(names) or not -LARGEST <= sum(values) <= LARGEST:  # or a name twice
            raise ValueError
        return names, values

    def _without_others(self, line: str, row: dict[str, Any]) -> tuple[tuple[str, ...], tuple[float | str, ...]]:
        texts = [name for name, value in row.items() if type(value) is str]
        if line.count('"') > 2 * (len(row) + len(texts)) or not {*map(type, row.values())} <= _PLAIN:
            raise ValueError
        left_out = [name for name, value in row.items() if value is None or value is True or value is False]
        for name in (*left_out, *(name for name in texts if not self._is_field(name))):
            del row[name]
        if not -LARGEST <= sum(value for value in row.values() if type(value) is float) <= LARGEST:
            raise ValueError
        return tuple(row), tuple(row.values())

    def _is_field(self, name: str) -> bool:
        if name not in self._texts:
            if len(self._texts) > MOST_TEXTS:  # hostile: each line has other names
                self._texts.clear()
            self._keys.see([name])
            self._texts[name] = name in self._keys.fields()
        return self._texts[name]


def item_rows(log: LogFile, keys: Keys) -> Iterator[Row]:
    """A row for each object of the one list that a log is; errors as `line_rows` and `Document`."""
    document = Document(whole_text(log), log.place)
    for line, value in document.items():
        if row := flat(value, f"{log.place}:{line}:", keys):
            yield line, row
    document.end()


def flat(value: object, place: str, keys: Keys) -> dict[str, float | str]:
    """The numbers of an object by name, and texts where the name is that of a field.

    Raises `InputError`: E1301 for what is no object, E1302 where two come by one name.
    """
    if not isinstance(value, dict):
        raise InputError.at("E1301", place, f"{quote(value)} is not an object.", 'Write {"key": value, …}.')
    row: dict[str, float | str] = {}
    _flatten(value, "", 1, row, place)
    texts = [name for name, item in row.items() if isinstance(item, str)]
    if texts:
        keys.see(row)
        fields = keys.fields()
        for name in texts:
            if name not in fields:
                del row[name]
    return row


def _flatten(table: dict[str, Any], prefix: str, depth: int, row: dict[str, float | str], place: str) -> None:
    for key, item in table.items():
        name = prefix + key
        if isinstance(item, dict):
            if depth < DEEPEST_NAME:
                _flatten(item, f"{name}/", depth + 1, row, place)
        elif isinstance(item, (float, str)):
            if name in row:
                raise InputError.at("E1302", place, f"the key {quote(name)} occurs twice.", "Keep one of them.")
            row[name] = item


def _careful_line(line: str, place: str, keys: Keys) -> tuple[dict[str, float | str]]:
    text = line.lstrip(" \t")
    if not text:
        return ({},)
    column = len(line) - len(text) + 1
    value, end = decoded(text, lambda offset: f"{place}:{offset + column}")
    if rest := text[end:].lstrip(" \t"):
        where = f"{place}:{len(line) - len(rest) + 1}"
        raise InputError.at("E1301", where, "more follows the object.", "Write one object on each line.")
    return (flat(value, f"{place}:", keys),)
