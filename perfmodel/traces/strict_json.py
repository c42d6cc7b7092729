"""Lines of strict JSON objects from text that nobody vouches for.

Python's reader takes NaN, keeps the last of two equal keys and recurses as deep as the text asks; this one takes
JSON as RFC 8259 has it, bounded in line length, lines and depth, and says what is wrong at which line and column.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from perfmodel.errors import InputError, Problem, quote

LONGEST_LINE = 2**20  # characters
MOST_LINES = 5_000_000
DEEPEST = 64  # levels of nesting
MOST_PROBLEMS = 1000  # after these the rest of the file is not read: 20 are printed, the others counted


def rows(text: str, place: str, problems: list[Problem]) -> Iterator[tuple[int, dict]]:
    """Line number and object of each line that is not blank.

    What does not read goes to `problems` (E1301 no strict JSON object, E1302 a key twice, E1303 a last line that is
    cut off, E1313 too long or too many lines); where that is the first line, nothing follows.
    """
    first = True
    for number, line, ended in _lines(text):
        if number > MOST_LINES:
            problems.append(Problem("E1313", f"{place}:{number}:", f"more than {MOST_LINES} lines.", "Split the file."))
            return
        if not line.strip(" \t\r"):
            continue
        try:
            row = _parse_line(line, f"{place}:{number}", ended)
        except InputError as error:
            problems += error.problems
            if first:
                return
        else:
            first = False
            yield number, row
        if len(problems) >= MOST_PROBLEMS:
            return


def _lines(text: str) -> Iterator[tuple[int, str, bool]]:
    """Number, text and whether a newline ended it, of each line; never a copy of the whole text."""
    start = number = 0
    while start < len(text):
        number += 1
        end = text.find("\n", start)
        if end < 0:
            yield number, text[start:], False
            return
        yield number, text[start:end], True
        start = end + 1


def _torn(place: str) -> InputError:
    return InputError.at(
        "E1303", place, "the last line is cut off: the file is truncated.",
        "Copy the file again, or delete that line if the run was stopped there.",
    )  # fmt: skip


class RefusedError(ValueError):
    """JSON that Python would read and we do not; its arguments are code, what was found, how to fix it."""


def unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; `RefusedError` (E1302) where a key occurs twice."""
    values = dict(pairs)
    if len(values) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise RefusedError("E1302", f"the key {quote(twice)} occurs twice.", "Keep one of them.")
    return values


def _constant(name: str) -> None:
    raise RefusedError("E1301", f"{name} is not JSON.", "Leave the key out where there is no number.")


_DECODER = json.JSONDecoder(object_pairs_hook=unique_pairs, parse_constant=_constant)


def _parse_line(line: str, place: str, ended: bool) -> dict:
    """The object of one line; E1301, E1302, E1303 (where no newline `ended` it) or E1313."""
    if len(line) > LONGEST_LINE:
        raise InputError.at("E1313", f"{place}:", f"more than {LONGEST_LINE} characters.", "Write shorter lines.")
    try:
        value = _DECODER.decode(line)
    except RefusedError as refused:
        code, found, fix = refused.args
        raise InputError.at(code, f"{place}:", found, fix) from None
    except json.JSONDecodeError as error:
        if not ended:
            raise _torn(f"{place}:") from None
        found = f"not JSON: {error.msg}."
        raise InputError.at("E1301", f"{place}:{error.colno}", found, "Correct that line.") from None
    except ValueError:  # Python reads no whole number of more than 4300 digits
        raise InputError.at("E1301", f"{place}:", "a number has too many digits.", "Correct that line.") from None
    except RecursionError:
        raise _too_deep(place) from None
    if _depth_exceeds(line, value):
        raise _too_deep(place)
    if not isinstance(value, dict):
        raise InputError.at("E1301", f"{place}:1", f"{quote(value)} is not an object.", 'Write {"key": value, …}.')
    return value


def _too_deep(place: str) -> InputError:
    return InputError.at("E1301", f"{place}:", f"is nested more than {DEEPEST} levels deep.", "Use fewer levels.")


def _depth_exceeds(line: str, value: object) -> bool:
    return line.count("[") + line.count("{") > DEEPEST and deeper(value)  # nearly never, and quick to know


def deeper(value: object) -> bool:
    """Whether lists and objects are nested in a value more than 64 levels deep."""
    level = [value]
    for _ in range(DEEPEST):
        inner: list[object] = []
        for item in level:
            inner += item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        level = inner
    return any(isinstance(item, (dict, list)) for item in level)
