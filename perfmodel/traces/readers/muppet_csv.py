"""MuPPET's `log.csv`, with the `config.ini` that its code copies beside it."""

from __future__ import annotations

from perfmodel.csvfiles import check_width, column_indices
from perfmodel.errors import InputError, Problem, quote
from perfmodel.traces.logs import numbers
from perfmodel.traces.logs.csvtable import delimiter_of
from perfmodel.traces.logs.given import Given
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.logs.muppet.row import (
    BRANCH,
    GD,
    HEAD_LINES,
    LAST_EPOCH,
    METRICS,
    PLAIN,
    PROCESS,
    REQUIRED,
    Row,
    looks_like_file,
)
from perfmodel.traces.logs.muppet.rows import Rows
from perfmodel.traces.logs.run import Run
from perfmodel.traces.logs.table import MOST_PROBLEMS
from perfmodel.traces.values import LARGEST

NAME = "muppet-csv"
TITLE = "MuPPET's log.csv"
FOLDER = ("log.csv",)


def recognises(log: LogFile) -> bool:
    """A first line that names the columns, and no row as the console has them."""
    return looks_like_file(log.first_lines(HEAD_LINES))


def read(log: LogFile, given: Given) -> Run:
    """One stretch an epoch, shifted as `logs/muppet.py` says; gradient diversity where the policy checked it.

    The policy checks every few epochs and rows between repeat the last check: a check is a row that differs in these
    columns from the row before. Before the first (Threshold -1) and at a switch (MaxGD 0, Ratio 0) they hold no values.
    Raises `InputError`: E1207 for a cell, E1208 for a ragged row, E1209 for columns, E1322 for a precision, E1336 for
    the configuration.
    """
    reader = _Reader(log, given)
    for line, text in log.lines():
        reader.take(line, text)
    return reader.finish().run(NAME)


class _Reader:
    def __init__(self, log: LogFile, given: Given):
        self.log, self.rows, self.comma = log, Rows(log, given), given.decimal == "comma"
        self.header: list[str] = []
        self.delimiter = ","
        self.problems: dict[int, tuple[Problem, ...]] = {}
        self.last = self.width = 0
        self.begins, self.checked = "", None
        self.repeated = 0

    def take(self, line: int, text: str) -> None:
        """One line of the file."""
        if not text.strip():
            return
        self.last = line
        if not self.header:
            self._name_columns(line, text)
            return
        cells = [cell.strip() for cell in text.split(self.delimiter)]
        if len(cells) == 1 and set(text.strip()) == {"-"}:
            self.rows.note(line, "the line of dashes between a run and its branch was left out")
            self.begins = BRANCH
        elif cells[:2] == self.header[:2]:
            self.rows.note(line, "the header was repeated: left out")
            self.begins = self.begins or PROCESS
        else:
            self._row(line, cells)

    def _name_columns(self, line: int, text: str) -> None:
        self.delimiter = delimiter_of(text) or ","
        self.header = [cell.strip() for cell in text.split(self.delimiter)]
        column_indices(self.header, f"{self.log.place}:{line}:", REQUIRED)
        self.width = len(self.header)
        if self.comma and self.delimiter == ",":
            found = "decimal commas in a file whose columns are separated by commas."
            raise InputError.at("E1105", f"{self.log.place}: --decimal:", found, "Separate columns by semicolons.")
        if unknown := [name for name in self.header if name not in (*PLAIN, *GD)]:
            self.rows.note(line, f"columns that MuPPET does not write left out: {', '.join(map(quote, unknown[:20]))}")

    def _row(self, line: int, cells: list[str]) -> None:
        try:
            self.rows.add(self._parsed(line, cells))
        except InputError as error:
            if error.problems[0].code == "E1328":
                raise
            self.problems[line] = error.problems
            if len(self.problems) >= MOST_PROBLEMS:
                raise self._error() from None
        else:
            self.begins, self.width = "", len(cells)

    def _parsed(self, line: int, cells: list[str]) -> Row:
        place = f"{self.log.place}:{line}"
        names = self._names(cells, place)
        texts = dict(zip(names, cells, strict=True))
        column = {name: number for number, name in enumerate(names, 1)}

        def number(name: str) -> float:
            return numbers.number(texts[name], f"{place}:{column[name]}", f"column '{name}'", self.comma)

        epoch = numbers.whole(texts["Epoch"], f"{place}:{column['Epoch']}", "column 'Epoch'", LAST_EPOCH)
        where = f"{place}:{column['BitWidth']}"
        row = Row(line, epoch, number("LR"), self.rows.format(texts["BitWidth"], texts["DataType"], where), {})
        row.lr = row.lr if 0 < row.lr <= LARGEST else None
        found = {name: number(name) for name in names if name in METRICS or name in GD}
        row.metrics = self.rows.finite(epoch, {METRICS[name]: found[name] for name in found if name in METRICS})
        row.gd = self._check(epoch, {GD[name]: found[name] for name in found if name in GD})
        row.policy, row.begins = any(name in GD for name in names), self.begins
        return row

    def _names(self, cells: list[str], place: str) -> list[str]:
        """The columns of a row: those of the header, or after dashes those of a branch with or without the policy."""
        if len(cells) == len(self.header):
            return self.header
        branched = self.begins == BRANCH or len(cells) == self.width
        for names in (list(PLAIN), [*PLAIN, *GD]):
            if len(cells) == len(names) and branched and self.header in (list(PLAIN), [*PLAIN, *GD]):
                return names
        check_width(cells, len(self.header), f"{place}:")
        return self.header

    def _check(self, epoch: int, gd: dict[str, float]) -> dict[str, float]:
        """What the policy found in this epoch, where it checked."""
        if not gd:
            return {}
        before, self.checked = self.checked, str(gd)
        if gd.get("threshold", 1) < 0 or (before == self.checked if before else not self._due(epoch)):
            self.repeated += 1
            return {}
        if not gd.get("max"):
            gd = {name: gd[name] for name in ("mean", "threshold") if name in gd}
        return self.rows.finite(epoch, gd)

    def _due(self, epoch: int) -> bool:
        config = self.rows.config
        every = config.whole("policy_resolution") if config is not None else None
        return every is not None and (epoch + 1) % every == 0

    def _error(self) -> InputError:
        return InputError([problem for problems in self.problems.values() for problem in problems])

    def finish(self) -> Rows:
        """The rows, once the file is at its end."""
        if not self.header:
            raise InputError.at("E1208", f"{self.log.place}:1:", "there is no header line.", "Name the columns there.")
        if self.last in self.problems and self.log.torn:
            del self.problems[self.last]
            self.rows.drop_torn(self.last)
        if self.problems:
            raise self._error()
        if self.repeated:
            found = f"the gradient diversity of {self.repeated} rows repeats that of the last check, or stands for none"
            self.rows.corrections.append(f"{self.log.place} {found}: left out")
        if not any(row.policy for row in self.rows.rows):
            self.rows.see_policy(False)
        return self.rows
