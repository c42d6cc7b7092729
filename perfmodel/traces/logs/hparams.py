"""Hyperparameters beside a log: the `key: scalar` lines of a YAML file, without what else YAML can do."""

from __future__ import annotations

import re
from collections.abc import Mapping

from perfmodel.errors import InputError, quote
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.logs.run import Fact

MOST_LINES = 10_000
_SCALAR = re.compile(r"([A-Za-z_][\w.-]*):[ \t]+(.*)", re.ASCII)
_COMMENT = re.compile(r"[ \t]#.*")


def scalars(log: LogFile) -> Mapping[str, tuple[int, str]]:
    """Line and text of each scalar of the outermost table: of the first 10,000 lines, quotes and comments taken off.

    Raises `InputError`: E1302 for a key that occurs twice, else as `LogFile.lines`.
    """
    found: dict[str, tuple[int, str]] = {}
    for number, line in log.lines():
        if number > MOST_LINES:
            break
        match = _SCALAR.fullmatch(line)
        if match is None:
            continue
        key, text = match[1], _COMMENT.sub("", match[2]).strip()
        if key in found:
            place = f"{log.place}:{number}:"
            raise InputError.at("E1302", place, f"the key {quote(key)} occurs twice.", "Keep one of them.")
        quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
        found[key] = (number, text[1:-1] if quoted else text)
    return found


def size(text: str, most: int) -> int | None:
    """The whole number from 1 to `most` that a text is, in digits alone; None for any other text."""
    if not (text.isascii() and text.isdigit() and len(text) < 15 and 1 <= int(text) <= most):
        return None
    return int(text)


def size_fact(log: LogFile, names: tuple[str, ...], most: int) -> Fact | None:
    """The first of these keys that holds a `size`; it may be `auto`, too."""
    values = scalars(log)
    for name in names:
        number, text = values.get(name, (0, ""))
        if (found := size(text, most)) is not None:
            return Fact(found, f"{log.place}:{number}:")
    return None
