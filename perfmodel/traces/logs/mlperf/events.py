"""MLPerf's events: the lines with `:::MLLOG` of a log, whatever else is between and before them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from perfmodel.errors import InputError, Problem, quote
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.logs.objects.rows import finish
from perfmodel.traces.logs.objects.values import decoded

TOKEN = ":::MLLOG"
MOST_PROBLEMS = 1000
LAST_EPOCH = 10**6


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `place` is the log's path and the line."""

    line: int
    place: str
    key: str
    value: Any
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def whole(self, name: str, most: int = LAST_EPOCH) -> int | None:
        """A whole number of the metadata, None where it has none; E1207 where it is another value."""
        value = self.metadata.get(name)
        return None if value is None else self._checked(value, name, 0, most)

    def size(self, most: int) -> int:
        """The value as a whole number from 1; E1207 where it is another."""
        return self._checked(self.value, self.key, 1, most)

    def _checked(self, value: object, name: str, least: int, most: int) -> int:
        if not isinstance(value, float) or not value.is_integer() or not least <= value <= most:
            found = f"{name}: {quote(value)} is not a whole number from {least} to {most}."
            raise InputError.at("E1207", self.place, found, "Correct it.")
        return int(value)


def events(log: LogFile, corrections: list[str], keys: tuple[str, ...] = ("",)) -> Iterator[Event]:
    """The events in the order of the log, of these keys (and few others) where given.

    A last line that is cut off is left out, with a correction.

    Raises `InputError`, at the end with all problems: E1301 and E1302 as `decoded`, E1301 for what is no event.
    """
    problems: list[Problem] = []
    number = 0
    for number, line in log.lines():
        begin = line.find(TOKEN)
        if begin < 0 or not any(key in line for key in keys):
            continue
        try:
            event = _event(line, begin + len(TOKEN), log.place, number)
        except InputError as error:
            problems += error.problems
            if len(problems) >= MOST_PROBLEMS:
                break
        else:
            yield event
    finish(log, number, problems, corrections)


def _event(line: str, begin: int, place: str, number: int) -> Event:
    rest = line[begin:].lstrip()
    column = len(line) - len(rest) + 1
    value, _ = decoded(rest, lambda offset: f"{place}:{number}:{column + offset}")
    metadata = value.get("metadata") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(value.get("key"), str) or not isinstance(metadata or {}, dict):
        found = f"{quote(value)} is no event of MLPerf."
        raise InputError.at(
            "E1301", f"{place}:{number}:{column}", found, 'Write {"key": …, "value": …, "metadata": {…}}.'
        )
    return Event(number, f"{place}:{number}:", value["key"], value.get("value"), metadata or {})
