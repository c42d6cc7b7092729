"""Numbers as logs write them.

Python's `float` also takes 1_0, digits of other scripts, and turns 1e999 into infinity; here a number is ASCII, and
finite unless it says that it is not.
"""

from __future__ import annotations

import re
from math import inf, nan

from perfmodel.errors import InputError, quote
from perfmodel.traces.values import LARGEST

NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_COMMA = re.compile(r"[+-]?(?:\d+,\d*|,\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
MISSING = frozenset({"", "NA", "N/A", "None", "null"})  # Keras' CSVLogger, Python, SQL
_NOT_FINITE = {
    "nan": nan, "+nan": nan, "-nan": nan, "inf": inf, "+inf": inf, "-inf": -inf, "infinity": inf, "+infinity": inf,
    "-infinity": -inf,
}  # fmt: skip


def looks_like_number(text: str) -> bool:
    """Whether a cell is a number, finite or not, in either decimal notation."""
    return bool(NUMBER.fullmatch(text) or _COMMA.fullmatch(text)) or text.lower() in _NOT_FINITE


def number(text: str, place: str, what: str, comma: bool = False) -> float:
    """The number that a cell holds; nan and inf are numbers here, and whoever asks decides what they mean.

    `comma` says that decimals follow a comma: a point could then be one of thousands, and is refused.
    Raises `InputError` (E1207) at `place` for anything else; `what` names the cell (`column 'loss'`).
    """
    if comma and "." in text:
        found = f"{what}: {quote(text)} has a point where decimals follow a comma."
        raise InputError.at("E1207", place, found, "Write all numbers alike, without points between thousands.")
    plain = text.replace(",", ".", 1) if comma else text
    if NUMBER.fullmatch(plain):
        value = float(plain)
        if -LARGEST <= value <= LARGEST:
            return value
        raise InputError.at("E1207", place, f"{what}: {quote(text)} is too large.", f"At most {LARGEST:g} is read.")
    if text.lower() in _NOT_FINITE:
        return _NOT_FINITE[text.lower()]
    if _COMMA.fullmatch(text):
        fix = "Use --decimal comma or replace ',' by '.'."
        raise InputError.at("E1207", place, f"{what}: {quote(text)} is not a number (decimal comma).", fix)
    raise InputError.at("E1207", place, f"{what}: {quote(text)} is not a number.", "Correct it, or leave it empty.")


def whole(text: str, place: str, what: str, most: int) -> int:
    """A whole number from 0 to `most` in digits alone; `InputError` (E1207) at `place` otherwise."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18 and int(text) <= most):
        found = f"{what}: {quote(text)} is not a whole number from 0 to {most}."
        raise InputError.at("E1207", place, found, "Correct it.")
    return int(text)
