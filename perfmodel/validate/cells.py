"""Cells of files that nobody vouches for, each error with file, line and column."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from perfmodel.csvfiles import LARGEST_BYTES, MOST_PROBLEMS, check_width, column_indices, csv_rows
from perfmodel.datafiles import read_text
from perfmodel.errors import InputError, PerfModelError, quote

MOST_ROWS = 200_000  # of one file: judging takes memory and time in proportion
MOST_TEXT = 80  # characters of a name
MOST_SERIES = 1000  # groups of one source, device, precision and pass
WHOLE = re.compile(r"[0-9]{1,10}")
NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,3})?")
LEAST_S, MOST_S = 1e-7, 1e5


@dataclass(frozen=True, slots=True)
class Cells:
    """One row: its cells by column, and its place `file:line:`."""

    line: int
    place: str
    texts: list[str]
    columns: dict[str, int]

    def text(self, name: str) -> str:
        """A name, "" where the cell is empty; E1207 beyond 80 characters."""
        found = self.texts[self.columns[name]]
        if len(found) > MOST_TEXT:
            raise self.fail(name, f"is longer than {MOST_TEXT} characters.", "Shorten it.")
        return found

    def choice(self, name: str, known: Iterable[str]) -> str:
        """One of the texts that a column takes."""
        found = self.text(name)
        if found not in known:
            raise self.fail(name, f"is not one of {', '.join(one or 'nothing' for one in known)}.", "Correct it.")
        return found

    def whole(self, name: str, least: int, most: int) -> int:
        """A whole number between two others."""
        found = self.texts[self.columns[name]]
        if not WHOLE.fullmatch(found) or not least <= int(found) <= most:
            raise self.fail(name, f"is not a whole number between {least} and {most}.", "Correct it.")
        return int(found)

    def seconds(self, name: str) -> float:
        """A time that something on a GPU may take."""
        found = self.texts[self.columns[name]]
        if not NUMBER.fullmatch(found) or not LEAST_S <= float(found) <= MOST_S:
            raise self.fail(name, f"is not a number of seconds between {LEAST_S:g} and {MOST_S:g}.", "Correct it.")
        return float(found)

    def fail(self, name: str, found: str, fix: str) -> InputError:
        """E1207 at the cell of this column."""
        where = f"{self.place}{self.columns[name] + 1}"
        return InputError.at("E1207", where, f"column {name}: {quote(self.texts[self.columns[name]])} {found}", fix)


def read_cells(path: Path, required: Iterable[str]) -> Iterator[Cells]:
    """The rows of a CSV file; `InputError` (E1203, E1208, E1209 and those of `read_text`) where it is none."""
    place = str(path)
    lines = csv_rows(read_text(path, LARGEST_BYTES), place)
    number, header = next(lines, (1, []))
    columns = column_indices(header, f"{place}:{number}:", required)
    for count, (number, row) in enumerate(lines, 1):
        if count > MOST_ROWS:
            raise InputError.at("E1203", f"{place}:", f"holds more than {MOST_ROWS} rows.", "Give a smaller file.")
        where = f"{place}:{number}:"
        check_width(row, len(header), where)
        yield Cells(number, where, row, columns)


def read_all(rows: Iterator[Cells], read) -> list:
    """What `read` makes of every row; the problems of all rows in one error."""
    found, problems = [], []
    for cells in rows:
        try:
            found.append(read(cells))
        except PerfModelError as error:
            problems += error.problems
        if len(problems) >= MOST_PROBLEMS:
            break
    if problems:
        raise InputError(problems)
    return found
