"""The parts of a large JSON value, one at a time, so that no more than one of them is in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from perfmodel.errors import InputError, quote
from perfmodel.traces.logs.objects.values import decoded

LONGEST_VALUE = 2**20  # characters of one value
MOST_ITEMS = 1_000_000  # of one list
_SLICES = (2**12, 2**16, LONGEST_VALUE)  # most values are short
_BLANK = re.compile(r"[ \t\n\r]*")


def _nowhere(_: int) -> str:
    """No place: to find one takes as long as the text before it is, and a longer piece may read."""
    return ""


class Document:
    """The values of a text that is one JSON object or list, one at a time; errors as `decoded`, at line and column."""

    def __init__(self, text: str, place: str):
        self.text, self.place = text, place
        self._at = self._counted = 0
        self._line = 1

    @property
    def line(self) -> int:
        """The physical line of what comes next."""
        self._skip()
        self._line += self.text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def members(self) -> Iterator[str]:
        """The keys of the object that comes next; take the value of each before asking for another."""
        seen = set()
        for _ in self._parts("{}"):
            line, key = self.line, self.value()
            if not isinstance(key, str):
                found = f"{quote(key)} is no key."
                raise InputError.at("E1301", f"{self.place}:{line}:", found, 'Write "key": value.')
            if key in seen:
                found = f"the key {quote(key)} occurs twice."
                raise InputError.at("E1302", f"{self.place}:{line}:", found, "Keep one of them.")
            seen.add(key)
            self._sign(":")
            yield key

    def items(self) -> Iterator[tuple[int, Any]]:
        """Line and value of each item of the list that comes next; E1203 for more than a million."""
        for count, _ in enumerate(self._parts("[]"), start=1):
            if count > MOST_ITEMS:
                found = f"a list of more than {MOST_ITEMS} items."
                raise InputError.at("E1203", f"{self.place}:{self.line}:", found, "Split the file.")
            yield self.line, self.value()

    def next_is(self, sign: str) -> bool:
        """Whether this character comes next."""
        self._skip()
        return self.text.startswith(sign, self._at)

    def value(self) -> Any:
        """The value that comes next; E1313 where it is longer than 2**20 characters."""
        self._skip()
        begin = self._at
        for size in _SLICES:
            piece = self.text[begin : begin + size]
            rest = begin + size < len(self.text)
            try:
                value, end = decoded(piece, _nowhere if rest else lambda offset: self._where(begin + offset))
            except InputError as error:
                if not rest:
                    raise
                if (problem := error.problems[0]).code != "E1301":
                    raise InputError.at(problem.code, self._where(begin), problem.found, problem.fix) from None
                continue
            if end == len(piece) and rest:  # a number may go on
                continue
            self._at = begin + end
            return value
        found = f"no JSON, or a value of more than {LONGEST_VALUE} characters."
        raise InputError.at("E1313", self._where(begin), found, "Correct or shorten it.")

    def end(self) -> None:
        """Raise `InputError` (E1301) where something follows."""
        self._skip()
        if self._at < len(self.text):
            raise InputError.at("E1301", self._where(self._at), "more follows the end.", "Give one JSON value.")

    def _parts(self, brackets: str) -> Iterator[None]:
        self._sign(brackets[0])
        if self.next_is(brackets[1]):
            self._sign(brackets[1])
            return
        while True:
            yield
            if self._sign("," + brackets[1]) == brackets[1]:
                return

    def _sign(self, expected: str) -> str:
        self._skip()
        found = self.text[self._at : self._at + 1]
        if not found or found not in expected:
            wanted = " or ".join(map(repr, expected))
            what = f"{quote(found)} stands where {wanted} should." if found else f"ends where {wanted} should stand."
            raise InputError.at("E1301", self._where(self._at), f"not JSON: {what}", "Correct or complete it.")
        self._at += 1
        return found

    def _skip(self) -> None:
        self._at = _BLANK.match(self.text, self._at).end()

    def _where(self, at: int) -> str:
        return f"{self.place}:{self.text.count(chr(10), 0, at) + 1}:{at - self.text.rfind(chr(10), 0, at)}"
