"""The configuration of a MuPPET run, an INI file that its code copies beside `log.csv`.

The code reads it with `configparser`; here keys are found by name alone, as no two sections share one, and nothing is
interpolated. Source: ICIdsl/muppet @ a5cbb13 and its parent repository, param_parser.py and input_preprocessor.py.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from perfmodel.errors import InputError, quote
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.logs.numbers import NUMBER

FILE_NAME = "config.ini"
LARGEST_BYTES = 2**20
MOST_ENTRIES = 20_000  # of the folder, when another name is looked for: a run leaves some 450 checkpoints there
LARGEST = 1e9  # of any number in it
LONGEST_NUMBER = 40  # characters
FLAGS = {"1": True, "yes": True, "true": True, "on": True, "0": False, "no": False, "false": False, "off": False}
NEEDED = ("run_muppet", "bit_width")  # any of these make it the configuration of a MuPPET run
_ENTRY = re.compile(r"([^\s:=][^:=]*)[:=]\s*(.*)")  # blanks belong to the key: two ways to match them take n² steps
_BITS = re.compile(r"-1|\d{1,2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Config:
    """What the configuration says: texts by key in lower case, each with its line.

    All values are None where the key is missing or empty. Raises `InputError` (E1336) for a value of another kind.
    """

    file: LogFile
    entries: Mapping[str, tuple[str, int]]

    def place(self, key: str) -> str:
        """Where a key stands, for messages."""
        return f"{self.file.place}:{self.entries[key][1]}" if key in self.entries else self.file.place

    def text(self, key: str) -> str | None:
        """The value as it stands there."""
        return self.entries.get(key, ("", 0))[0] or None

    def number(self, key: str) -> float | None:
        """A number from 0 to a milliard."""
        text = self.text(key)
        if text is None:
            return None
        if len(text) > LONGEST_NUMBER or not NUMBER.fullmatch(text) or not 0 <= float(text) <= LARGEST:
            raise self._wrong(key, f"a number from 0 to {LARGEST:g}")
        return float(text)

    def whole(self, key: str) -> int | None:
        """A whole number from 1 to a milliard."""
        number = self.number(key)
        if number is None:
            return None
        if number < 1 or not number.is_integer():
            raise self._wrong(key, "a whole number from 1 on")
        return int(number)

    def flag(self, key: str) -> bool | None:
        """Whether the key is set: as `configparser` has it, True, yes, on and 1 are."""
        text = self.text(key)
        if text is not None and text.lower() not in FLAGS:
            raise self._wrong(key, "True or False")
        return None if text is None else FLAGS[text.lower()]

    def bits(self, key: str) -> list[str] | None:
        """Word lengths; -1 is FP32."""
        words = self._words(key)
        if words is not None and not all(_BITS.fullmatch(word) for word in words):
            raise self._wrong(key, "a list of word lengths such as 8 12 14 16 -1")
        return words

    def epochs(self, key: str) -> list[int] | None:
        """Whole numbers, counted from 0."""
        words = self._words(key)
        if words is not None and not all(word.isascii() and word.isdigit() and len(word) < 7 for word in words):
            raise self._wrong(key, "a list of epochs")
        return None if words is None else [int(word) for word in words]

    def _words(self, key: str) -> list[str] | None:
        """What stands between blanks; the code that made schedules at random left a nan at their ends."""
        words = (self.text(key) or "").split()
        while words and words[-1].lower() == "nan":
            words.pop()
        return words or None

    def _wrong(self, key: str, expected: str) -> InputError:
        found = f"{quote(key)}: {quote(self.text(key))} is not {expected}."
        return InputError.at("E1336", f"{self.place(key)}:", found, f"Correct it, or take {FILE_NAME} away.")

    # What a trace can use

    @property
    def policy(self) -> bool | None:
        """Whether MuPPET steered the run."""
        return self.flag("run_muppet")

    @property
    def first_bits(self) -> str | None:
        """The word length of the first epoch; -1 is FP32."""
        if (self.text("data_type") or "").lower() == "float":
            return "-1"
        found = self.bits("bit_width")
        return None if found is None else found[0]


def config_of(log: LogFile, notes: list[str]) -> Config | None:
    """The configuration beside a log: `config.ini`, else the only `.ini` there (the code keeps the name it was given).

    What was not read, and why, goes to `notes`. Raises `InputError`: E1201-E1205, E1325 as the log itself, E1336 for a
    key that occurs twice.
    """
    file = log.companion(FILE_NAME)
    if file is None:
        names = _ini_files(log)
        if len(names) > 1:
            notes.append(f"{log.place} several .ini files beside it, none read: name the right one {FILE_NAME}")
        file = log.companion(names[0]) if len(names) == 1 else None
    if file is None:
        return None
    config = Config(file, _entries(file))
    if not any(key in config.entries for key in NEEDED):
        notes.append(f"{file.place} not read: it has neither Run_Muppet nor Bit_Width")
        return None
    return config


def _ini_files(log: LogFile) -> list[str]:
    try:
        with os.scandir(log.path.parent) as entries:
            return sorted(entry.name for entry in islice(entries, MOST_ENTRIES) if entry.name.endswith(".ini"))
    except OSError:
        return []


def _entries(file: LogFile) -> dict[str, tuple[str, int]]:
    entries: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(file.text(LARGEST_BYTES).split("\n"), 1):
        match = _ENTRY.match(line)  # an indented line goes on with the value before it, and no number does
        if match is None or line[0] in "#;[":
            continue
        name = match[1].rstrip()
        key = name.lower()
        if key in entries:
            found = f"{quote(name)} occurs twice, first in line {entries[key][1]}."
            raise InputError.at("E1336", f"{file.place}:{number}:", found, "Keep one of them.")
        entries[key] = match[2].strip(), number
    return entries
