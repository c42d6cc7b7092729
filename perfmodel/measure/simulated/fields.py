"""Values of a scenario file that need more than a `Section` checks."""

from __future__ import annotations

from collections.abc import Collection
from math import inf
from typing import Any

from perfmodel.datafiles import Section
from perfmodel.errors import quote

LONGEST_S = 1e9
SHORTEST_S = 1e-12
MOST_TABLES = 100  # of one kind: each is asked at every call to the card


def table(top: Section, name: str) -> Section:
    """The table of this name; an empty one where it is missing."""
    values = top.take(name, dict, {}, "a table")
    return Section(values, top.place, f"{top.key}.{name}" if top.key else name)


def tables(top: Section, name: str) -> list[Section]:
    """The tables of a list, none where it is missing; E1212 for more than 100."""
    rows = top.tables(name, [])
    if len(rows) > MOST_TABLES:
        found = f"there are {len(rows)}, and at most {MOST_TABLES} can be simulated."
        raise top.fail("E1212", name, found, "Leave some of them out.")
    return rows


def amount(section: Section, name: str, default: Any = ..., most: float = 1.0, least: float = 0.0) -> float:
    """A number from `least` to `most`, both included; E1212 otherwise."""
    value = section.take(name, (int, float), default, "a number")
    if value is not default and not least <= value <= most:
        raise section.fail(
            "E1212", name, f"{quote(value)} is not a number from {least:g} to {most:g}.", "Correct the value."
        )
    return float(value)


def seconds(section: Section, name: str, default: Any = ...) -> float:
    """A time of 0 or more."""
    return amount(section, name, default, LONGEST_S)


def positive_seconds(section: Section, name: str, default: Any = ...) -> float:
    """A time above 0: something is divided by it."""
    return amount(section, name, default, LONGEST_S, SHORTEST_S)


def period(section: Section) -> tuple[float, float]:
    """`from_s` (0 where it is missing) and `to_s` (for good where it is missing); E1212 where nothing lies between."""
    start = seconds(section, "from_s", 0.0)
    end = seconds(section, "to_s", inf)
    if end <= start:
        raise section.fail("E1212", "to_s", f"{end:g} is not after from_s, {start:g}.", "Correct one of them.")
    return start, end


def choice(section: Section, name: str, known: Collection[str]) -> str:
    """One of the known words; E1211 otherwise."""
    value = section.text(name)
    if value not in known:
        raise section.fail("E1211", name, f"{quote(value)} is not one of {', '.join(known)}.", "Correct the value.")
    return value
