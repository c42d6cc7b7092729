"""Rows from CSV: the delimiter, the columns, the numbers in the cells."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import chain, compress

from perfmodel.csvfiles import check_width, column_indices
from perfmodel.errors import InputError, Problem, quote
from perfmodel.traces.logs import numbers
from perfmodel.traces.logs.given import PRECISION_FIELDS, Given
from perfmodel.traces.logs.keys import Keys
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.logs.table import AGAIN, MOST_PROBLEMS
from perfmodel.traces.values import LARGEST

DELIMITERS = ",;\t|"
MOST_ROWS = 5_000_000
MOST_SUBSETS = 1000  # of columns that are not empty in a row: more are not remembered


def delimiter_of(header: str) -> str | None:
    """The delimiter that a header line has most of; None without any."""
    counts = {character: header.count(character) for character in DELIMITERS}
    best = max(counts, key=counts.__getitem__)
    return best if counts[best] else None


def header_of(log: LogFile) -> list[str]:
    """The names in the first line that is not blank, as far as the head of the file shows them."""
    first = next((line for line in log.first_lines() if line.strip()), "")
    delimiter = delimiter_of(first)
    if delimiter is None:
        return []
    try:
        return [cell.strip() for cell in next(csv.reader([first], delimiter=delimiter, strict=True), [])]
    except csv.Error:
        return []


# The line, and names and values, which are finite numbers or texts; or a table of both, where any of them may be NaN.
Row = tuple[int, tuple[str, ...], list[float | str]] | tuple[int, dict[str, float | str]]


def csv_table_rows(log: LogFile, given: Given, keys: Keys, corrections: list[str]) -> Iterator[Row]:
    """Line and values of each row: numbers, and texts in columns of formats; empty cells are left out.

    A column whose first cell is no number holds texts: left out, with a correction. Raises `InputError`: E1207 for a
    cell, E1208 for what is no CSV or ragged, E1209 for columns, E1203 for too many rows.
    """
    lines = log.lines()
    line, first = next(((number, text) for number, text in lines if text.strip()), (1, ""))
    delimiter = delimiter_of(first) or ","
    if given.decimal == "comma" and delimiter == ",":
        found = "decimal commas in a file whose columns are separated by commas."
        raise InputError.at("E1105", f"{log.place}: --decimal:", found, "Separate columns by semicolons or tabs.")
    cells = _Cells(log.place, lines, delimiter)
    header = cells.row(line, first)
    if not any(header):
        raise InputError.at("E1208", f"{log.place}:1:", "there is no header line.", "Name the columns there.")
    column_indices(header, f"{log.place}:{line}:", ())
    keys.see(header)
    fields = keys.fields()
    texts = {name for name, key in fields.items() if key in PRECISION_FIELDS}
    columns = Columns(log.place, header, texts, given.decimal == "comma")
    columns.kinds = dict.fromkeys(fields.keys() - texts, True)  # no text can be an epoch
    rows = _Rows(log, cells, columns)
    yield from rows
    corrections += rows.corrections()
    if columns.problems:
        raise InputError(columns.problems)
    if left_out := [quote(name, 40) for name in columns.left_out]:
        corrections.append(f"{log.place}:{line} columns of texts left out: {', '.join(left_out[:20])}")


class _Rows:
    """The rows below the header. A header that comes again is none, nor is a last line that is cut off."""

    def __init__(self, log: LogFile, cells: _Cells, columns: Columns):
        self.log, self.cells, self.columns = log, cells, columns
        self.headers: list[int] = []  # lines
        self.line = 0
        self.torn = ""

    def __iter__(self) -> Iterator[Row]:
        delimiter, quick = self.cells.delimiter, self.columns.quick
        for count, (line, text) in enumerate(self.cells.lines):
            if count >= MOST_ROWS:
                found = f"more than {MOST_ROWS} rows."
                raise InputError.at("E1203", f"{self.log.place}:{line}:", found, "Split the file.")
            if '"' not in text:
                row = text.split(delimiter)
                if (found := quick(text, row)) is not None:
                    self.line = line
                    yield line, *found
                    continue
                if not text.strip():
                    continue
            self.line = line
            values = self._careful(line, text)
            if values or values is AGAIN:
                yield line, values

    def _careful(self, line: int, text: str) -> dict[str, float | str]:
        row, before = self.cells.row(line, text), len(self.columns.problems)
        if row == self.columns.header:
            self.headers.append(line)
            return AGAIN
        try:
            values = self.columns.values(line, row)
        except InputError:
            if next(self.cells.lines, None) is not None or not self.log.torn:
                raise
            self.torn = "the last line is cut off: left out"
            return {}
        if len(self.columns.problems) > before and self.log.torn and self._is_last(line):
            del self.columns.problems[before:]
            self.torn = "the last line is cut off: left out"
            return {}
        return values

    def _is_last(self, line: int) -> bool:
        following = next(self.cells.lines, None)
        if following is not None:
            self.cells.lines = chain((following,), self.cells.lines)
        return following is None

    def corrections(self) -> list[str]:
        """What was left out, and what may be wrong."""
        notes = []
        if self.headers:
            lines = ", ".join(map(str, self.headers[:10])) + (" …" if len(self.headers) > 10 else "")
            notes.append(f"{self.log.place}:{self.headers[0]} the header again: left out (lines {lines})")
        if self.torn:
            notes.append(f"{self.log.place}:{self.line} {self.torn}")
        elif self.line and self.log.torn:
            found = "the last line has no end: if it was cut off, its last cell is wrong"
            notes.append(f"{self.log.place}:{self.line} {found}")
        return notes


class _Cells:
    """The cells of lines; a quoted cell may hold line ends."""

    def __init__(self, place: str, lines: Iterator[tuple[int, str]], delimiter: str):
        self.place, self.lines, self.delimiter = place, lines, delimiter

    def row(self, line: int, text: str) -> list[str]:
        """The cells of a row that begins with this line; blanks around them are dropped."""
        if '"' in text:
            return [cell.strip() for cell in self._quoted(line, text)]
        return [cell.strip() for cell in text.split(self.delimiter)]

    def _quoted(self, line: int, text: str) -> list[str]:
        following = (after + "\n" for _, after in self.lines)
        reader = csv.reader(chain((text + "\n",), following), delimiter=self.delimiter, strict=True)
        try:
            return next(reader)
        except csv.Error as error:
            place = f"{self.place}:{line + reader.line_num - 1}:"
            found = f"is not readable as CSV: {error}."
            raise InputError.at("E1208", place, found, "Correct quotes and delimiters.") from None


class Columns:
    """What the columns hold, learnt from their first cells.

    `texts` are the names of columns of formats, `comma` says that numbers have decimal commas. What is wrong with
    cells is collected in `problems`.
    """

    def __init__(self, place: str, header: list[str], texts: set[str], comma: bool):
        self.place, self.header, self.texts, self.comma = place, header, texts, comma
        self.names = tuple(header)
        self.kinds: dict[str, bool] = {}  # name: whether it holds numbers
        self.problems: list[Problem] = []
        self._plain = not comma and all(header)
        self._text_at = [i for i, name in enumerate(header) if name in texts]
        self._quick_seen = False
        self._words: list[str] = []  # what these had in the last row
        self._subsets: dict[tuple[bool, ...], tuple[str, ...]] = {}

    @property
    def left_out(self) -> list[str]:
        """The columns that hold texts."""
        return [name for name, numeric in self.kinds.items() if not numeric]

    def quick(self, text: str, row: list[str]) -> tuple[tuple[str, ...], list[float | str]] | None:
        """Names and values of a line's cells where these are plain finite numbers; None to look closer.

        Empty cells are left out, and texts may stand in their columns if the last row had the same. What `float`
        takes beyond plain numbers has an underscore, an n (nan, inf), or is not ASCII. `row` is used up.
        """
        if not self._plain or len(row) != len(self.names):
            return None
        names = self.names
        if self._text_at:
            if [row[i] for i in self._text_at] != self._words or "" in row:
                return None
            for i in self._text_at:
                row[i] = "0"
            text = "".join(row)
        elif "" in row:
            names, row = self._present(row), list(filter(None, row))
        if "_" in text or "n" in text or "N" in text or not text.isascii():
            return None
        try:
            values = list(map(float, row))
        except ValueError:
            return None
        if not -LARGEST < sum(values) < LARGEST:  # infinite where one is, NaN where two cancel
            return None
        if not self._quick_seen:
            self._quick_seen = True
            self.kinds |= dict.fromkeys(names, True)
        for i, word in zip(self._text_at, self._words, strict=True):
            values[i] = word
        return names, values

    def _present(self, row: list[str]) -> tuple[str, ...]:
        """The names of the cells that are not empty."""
        present = tuple(map(bool, row))
        if present not in self._subsets:
            if len(self._subsets) >= MOST_SUBSETS:
                self._subsets.clear()
            self._subsets[present] = tuple(compress(self.names, present))
        return self._subsets[present]

    def values(self, line: int, row: list[str]) -> dict[str, float | str]:
        """The values of a row by column, those that are missing left out."""
        check_width(row, len(self.header), f"{self.place}:{line}:")
        words = [row[i] for i in self._text_at]
        self._words = [] if any(map(_says_nothing, words)) else words
        values: dict[str, float | str] = {}
        for number, (name, cell) in enumerate(zip(self.header, row, strict=True), start=1):
            if cell in numbers.MISSING or not name or (name in self.texts and _says_nothing(cell)):
                continue
            if name in self.texts:
                values[name] = cell
            elif self._is_number(name, cell):
                place = f"{self.place}:{line}:{number}"
                try:
                    values[name] = numbers.number(cell, place, f"column {quote(name)}", self.comma)
                except InputError as error:
                    self._complain(error)
        return values

    def _is_number(self, name: str, cell: str) -> bool:
        """Whether the column holds numbers, as its first cell says."""
        if name not in self.kinds:
            self.kinds[name] = numbers.looks_like_number(cell)
            self._plain = self._plain and self.kinds[name]  # texts want a closer look at every row
        return self.kinds[name]

    def _complain(self, error: InputError) -> None:
        self.problems += error.problems
        if len(self.problems) >= MOST_PROBLEMS:
            raise InputError(self.problems)


def _says_nothing(word: str) -> bool:
    """Whether a format is missing; pandas writes nan there."""
    return word in numbers.MISSING or word.lower() == "nan"
