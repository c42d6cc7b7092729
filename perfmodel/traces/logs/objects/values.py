"""JSON that nobody vouches for, where NaN and Infinity may stand for numbers, as the libraries that write logs do.

A key twice in one object, numbers that overflow and more than 64 levels are refused. Every number is a float.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from math import isinf
from typing import Any

from perfmodel.errors import InputError, quote
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.strict_json import DEEPEST, RefusedError, deeper, unique_pairs

LARGEST_TEXT = 64 * 10**6  # bytes of a log that is one JSON value
LARGEST_WIDE = 16 * 10**6  # where not all is ASCII: characters then take up to four bytes in memory


def _number(text: str) -> float:
    value = float(text)
    if isinf(value):
        raise RefusedError("E1207", f"{quote(text)} is too large.", "Correct it, or leave the key out.")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=unique_pairs, parse_float=_number, parse_int=_number)


def decoded(text: str, place: Callable[[int], str]) -> tuple[Any, int]:
    """The value that a text begins with, and the offset after it; `place` says where an offset of the text is.

    Raises `InputError`: E1301 for what is no JSON or too deep, E1302 for a key that occurs twice, E1207 for a number
    that is too large.
    """
    try:
        value, end = _DECODER.raw_decode(text)
    except RefusedError as refused:
        code, found, fix = refused.args
        raise InputError.at(code, place(0), found, fix) from None
    except json.JSONDecodeError as error:
        found = f"not JSON: {error.msg}."
        raise InputError.at("E1301", place(error.pos), found, "Correct that line.") from None
    except RecursionError:
        value, end = None, -1
    if end < 0 or (text.count("[", 0, end) + text.count("{", 0, end) > DEEPEST and deeper(value)):
        found = f"is nested more than {DEEPEST} levels deep."
        raise InputError.at("E1301", place(0), found, "Use fewer levels.") from None
    return value, end


def whole_text(log: LogFile) -> str:
    """All of a log of at most 64 MB (16 MB if not in ASCII), with newlines as the ends of lines of any length.

    Raises `InputError`: E1203 where it is larger, E1205 where it does not decode or has a NUL.
    """
    _check_size(log, LARGEST_TEXT)
    with log.binary() as file:
        raw = file.read(LARGEST_TEXT)
    if not raw.isascii():
        _check_size(log, LARGEST_WIDE)
    try:
        text = raw.decode(log.encoding)
    except UnicodeDecodeError as error:
        place = f"{log.place}: byte {error.start}:"
        found = f"is not {log.encoding.upper()}."
        raise InputError.at("E1205", place, found, "Save the file as UTF-8.") from None
    if "\0" in text:
        raise InputError.at("E1205", f"{log.place}:", "has a NUL byte.", "Give a text file.")
    text = text.removeprefix("\ufeff")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _check_size(log: LogFile, most: int) -> None:
    if log.size > most:
        found = f"holds {log.size} bytes; at most {most} are read of this kind."
        raise InputError.at("E1203", f"{log.place}:", found, "Give a smaller file, or one with an object on each line.")
