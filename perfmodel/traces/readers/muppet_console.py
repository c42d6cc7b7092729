"""What MuPPET prints: the rows of `log.csv`, rounded, and what its policy found."""

from __future__ import annotations

import re
from collections.abc import Mapping

from perfmodel.errors import InputError, Problem, quote
from perfmodel.traces.logs import numbers
from perfmodel.traces.logs.given import Given
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.logs.muppet.row import (
    CONSOLE_ROW,
    HEAD_LINES,
    LAST_EPOCH,
    METRICS,
    PLAIN,
    PROCESS,
    Row,
    looks_like_file,
)
from perfmodel.traces.logs.muppet.rows import Rows
from perfmodel.traces.logs.run import Run
from perfmodel.traces.logs.table import MOST_PROBLEMS
from perfmodel.traces.values import LARGEST

NAME = "muppet-console"
TITLE = "MuPPET's console output"
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")  # colours and cursor movements
_HEADER = re.compile(r"Epoch,\s+LR,\s+Train_Loss,")
_ROW_END = re.compile(r",\s*(?:DFixed|Float),\s*-?\d+\s*$")
_NUMBER = r"(?:tensor\()?([^\s,()]{1,40})(?:,[^()=]{1,40}=[^()]{1,80})?\)?"
_CHECK = re.compile(
    rf"meanGD = {_NUMBER}, maxGD = {_NUMBER}, ratio = {_NUMBER}, threshold = {_NUMBER}, gdViolations = (\d{{1,9}})"
)
_SWITCH = re.compile(r"GD violation detected, precision changed to (-?\d{1,3})", re.ASCII)
_END = "Ending training"
_FOUND = ("mean", "max", "ratio", "threshold", "violations")


def recognises(log: LogFile) -> bool:
    """A row with the two tabs of the console, a line of the policy, or the header of what is no `log.csv`."""
    lines = [_plain(line) for line in log.first_lines(HEAD_LINES)]
    if any(CONSOLE_ROW.search(line) or _CHECK.search(line) or _SWITCH.search(line) for line in lines):
        return True
    return any(map(_HEADER.search, lines)) and not looks_like_file(lines)


def _plain(line: str) -> str:
    return _ESCAPES.sub("", line) if "\x1b" in line else line


def read(log: LogFile, given: Given) -> Run:
    """One stretch an epoch, shifted as `logs/muppet.py` says; gradient diversity where the policy checked it.

    Lines may have something before them, and others may stand between. Where the run ended by itself, the epoch after
    the last row was trained, and so it was where the policy's check has no row after it. Raises `InputError`: E1207
    for a number, E1208 for a row without its 13 columns, E1322 for a precision, E1336 for the configuration.
    """
    reader = _Reader(log, given)
    for line, text in log.lines():
        reader.take(line, _plain(text))
    return reader.finish()


class _Reader:
    def __init__(self, log: LogFile, given: Given):
        self.log, self.rows = log, Rows(log, given)
        self.problems: dict[int, tuple[Problem, ...]] = {}
        self.last, self.steered, self.ended = 0, False, 0
        self.begins = ""
        self.check: dict[str, float] = {}
        self.checked = 0  # the line of that check
        self.switch = ""
        self.headers = 0

    def take(self, line: int, text: str) -> None:
        """One line of the output."""
        if not text.strip():
            return
        self.last = line
        if _HEADER.search(text):
            self._begin(line)
        elif found := _CHECK.search(text):
            self._try(line, self._check, found)
        elif found := _SWITCH.search(text):
            self.switch, self.steered = found[1], True
        elif _END in text:
            self.ended, self.steered = line, True
        elif _ROW_END.search(text):
            self._try(line, self._row, text)
        elif "meanGD = " in text:
            self.rows.note(line, f"not understood and left out: {quote(text.strip())}")

    def _begin(self, line: int) -> None:
        if self.headers:
            self.rows.note(line, "the header was repeated: left out")
            self.begins = PROCESS
        self.headers += 1
        self.check, self.ended, self.switch = {}, 0, ""

    def _try(self, line: int, part, text) -> None:
        try:
            part(line, text)
        except InputError as error:
            if error.problems[0].code == "E1328":
                raise
            self.problems[line] = error.problems
            if len(self.problems) >= MOST_PROBLEMS:
                raise self._error() from None

    def _check(self, line: int, found: re.Match) -> None:
        place = f"{self.log.place}:{line}:"
        texts = zip(_FOUND, found.groups(), strict=True)
        self.check = {name: numbers.number(text, place, name) for name, text in texts}
        self.checked, self.steered = line, True

    def _row(self, line: int, text: str) -> None:
        place = f"{self.log.place}:{line}:"
        cells = [cell.strip() for cell in text.split(",")[-len(PLAIN) :]]
        epoch = cells[0][len(cells[0].rstrip("0123456789")) :]
        if len(cells) < len(PLAIN) or not epoch:
            raise InputError.at("E1208", place, f"is a row without its {len(PLAIN)} columns.", "Correct the row.")
        texts = dict(zip(PLAIN, [epoch, *cells[1:]], strict=True))
        number = numbers.whole(texts["Epoch"], place, "column 'Epoch'", LAST_EPOCH)
        lr = numbers.number(texts["LR"], place, "column 'LR'")
        metrics = {METRICS[name]: numbers.number(texts[name], place, f"column '{name}'") for name in METRICS}
        row = Row(line, number, lr if 0 < lr <= LARGEST else None, "", self.rows.finite(number, metrics))
        row.format = self.rows.format(texts["BitWidth"], texts["DataType"], place)
        self._compare_switch(line, texts["BitWidth"])
        row.gd, row.begins = self.rows.finite(number, self.check), self.begins
        self.rows.add(row)
        self.check, self.switch, self.begins, self.ended = {}, "", "", 0

    def _compare_switch(self, line: int, bits: str) -> None:
        if self.switch and self.switch != bits:
            found = f"the precision was changed to {self.switch} above, but the row has {bits}."
            raise InputError.at("E1337", f"{self.log.place}:{line}:", found, "Give the output of one run.")

    def finish(self) -> Run:
        """The run, once the output is at its end."""
        if self.last in self.problems and self.log.torn:
            del self.problems[self.last]
            self.rows.drop_torn(self.last)
        if self.problems:
            raise self._error()
        self.rows.see_policy(self.steered)
        rows = self.rows.rows
        if not rows or not rows[-1].policy or not (self.ended or self.check):
            return self.rows.run(NAME, by_rule=False)
        epoch = rows[-1].epoch + 1
        if self.ended:
            self.rows.note(self.ended, f"epoch {epoch} was added: training ended after it, before its row was printed")
        else:
            self.rows.note(self.checked, f"epoch {epoch} was added: it was checked, and its row was not printed")
        return self.rows.run(NAME, [self.rows.after_last(False, self._gd(epoch))], by_rule=False)

    def _gd(self, epoch: int) -> Mapping[str, float]:
        return self.rows.finite(epoch, self.check)

    def _error(self) -> InputError:
        return InputError([problem for problems in self.problems.values() for problem in problems])
