"""Typed and range-checked access to the values of one record of a profile.

Profiles come from others: nothing in a record is taken for what it should be. What is missing or of the wrong kind is
an `InputError` with code W2105 that names record and key; the reader leaves that record out and goes on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from perfmodel.errors import InputError, printable, quote

MOST_SAMPLES = 10_000  # of one visit
MOST_TEXTS = 1000  # of one list
LONGEST_TEXT = 10_000  # characters
LARGEST_S = 1e9  # of any time span: thirty years
LEFT_OUT = "The record is left out; measure again if it is needed."


class Fields:
    """The keys of one record, at a place for messages. Keys that nobody asks for are of no concern."""

    __slots__ = ("place", "values")

    def __init__(self, values: Mapping, place: str):
        self.values, self.place = values, place

    def whole(self, key: str, least: int, most: int) -> int:
        """A whole number from `least` to `most`."""
        value = self.values.get(key)
        if type(value) is not int or not least <= value <= most:
            raise self.wrong(key, f"a whole number from {least} to {most}")
        return value

    def number(self, key: str, least: float, most: float, default: float | None = None) -> float:
        """A finite number from `least` to `most`; `default`, where there is one, for a key that is missing or null."""
        value = self.values.get(key)
        if value is None and default is not None:
            return default
        if type(value) not in (int, float) or not least <= value <= most:  # NaN compares false
            raise self.wrong(key, f"a number from {least:g} to {most:g}")
        return float(value)

    def samples(self, key: str, least: float, most: float) -> tuple[float, ...]:
        """A list of numbers, one for each sample; null, and what lies outside of the range, is NaN.

        A broken clock gives any number: that spoils the sample, and says nothing against the record.
        """
        values = self.values.get(key)
        if not isinstance(values, list) or len(values) > MOST_SAMPLES:
            raise self.wrong(key, f"a list of at most {MOST_SAMPLES} numbers")
        if not all(type(value) in (int, float) or value is None for value in values):
            raise self.wrong(key, "a list of numbers and nulls")
        return tuple(
            float(value) if value is not None and least <= value <= most else math.nan for value in values
        )  # fmt: skip

    def text(self, key: str, default: str | None = None) -> str:
        """A text, made printable; `default`, where there is one, for a key that is missing or null."""
        value = self.values.get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or len(value) > LONGEST_TEXT:
            raise self.wrong(key, f"a text of at most {LONGEST_TEXT} characters")
        return _shown(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, made printable; none where the key is missing or null."""
        values = self.values.get(key)
        if values is None:
            return ()
        if not isinstance(values, list) or len(values) > MOST_TEXTS:
            raise self.wrong(key, f"a list of at most {MOST_TEXTS} texts")
        if not all(isinstance(value, str) and len(value) <= LONGEST_TEXT for value in values):
            raise self.wrong(key, "a list of texts")
        return tuple(map(_shown, values))

    def flag(self, key: str, default: bool) -> bool:
        """True or false; `default` where the key is missing or null."""
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def table(self, key: str) -> dict:
        """A table, empty where the key is missing or null."""
        value = self.values.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.wrong(key, "a table")
        return value

    def wrong(self, key: str, expected: str) -> InputError:
        """W2105: the value at `key` is not what is expected there."""
        found = "is missing" if key not in self.values else f"{quote(self.values[key])} is not {expected}"
        return InputError.at("W2105", f"{self.place} {key}:", f"{found}.", LEFT_OUT)


def _shown(text: str) -> str:
    return text if text.isprintable() else printable(text)  # the first is quick, and nearly always so
