"""Everything a user can cause, as one line each. Anything else is a bug and keeps its traceback.

A line reads `CODE place found expected fix`, as in

    E1207 train.csv:413:9 column 'val_acc': '97,1' is not a number (decimal comma). Replace ',' by '.'.

Codes are stable and never reused; `docs/errors.md` lists them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

LISTED = 40  # known names that an error lists
NEAREST = 4  # names that an error proposes
SHOWN = 20  # problems of one file that are printed before the rest are only counted


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong at one place: a stable code, where, what was found and expected, what to do."""

    code: str
    place: str
    found: str
    fix: str

    def __str__(self) -> str:
        line = " ".join(part for part in (self.code, self.place, self.found, self.fix) if part)
        return printable(line)  # a path may hold line breaks and terminal controls

    def json(self) -> str:
        """The same as one JSON object with the keys code, place, found and fix."""
        import json  # only ever needed when something went wrong

        return json.dumps(asdict(self))


class PerfModelError(Exception):
    """Base of all errors that a user can cause; the command line prints it and exits with 2."""

    def __init__(self, problems: Iterable[Problem]):
        self.problems = tuple(problems)
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """One line a problem, at most 20, then how many more there are."""
        lines = [str(problem) for problem in self.problems[:SHOWN]]
        if len(self.problems) > SHOWN:
            lines.append(f"… {len(self.problems) - SHOWN} more")
        return lines

    @classmethod
    def at(cls, code: str, place: str, found: str, fix: str = ""):
        """The error of a single problem."""
        return cls([Problem(code, place, found, fix)])


class InputError(PerfModelError):
    """A file or an argument does not read as it should."""


class UnknownName(PerfModelError):
    """No device, network, trace, scheme or precision goes by this name."""


class Unsupported(PerfModelError):
    """The device has no unit for this format, or the request has no meaning."""


class OutputError(PerfModelError):
    """A result cannot be written where it was asked for."""


def printable(text: str) -> str:
    """The text with control, bidi and other invisible characters escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def quote(value: object, limit: int = 80) -> str:
    """`repr` of offending text, cut to `limit` characters, with control and bidi characters escaped.

    >>> quote("a\\x1b[31m")
    "'a\\\\x1b[31m'"
    """
    try:
        text = printable(repr(value))
    except RecursionError:
        text = f"a deeply nested {type(value).__name__}"
    except ValueError:  # Python does not print whole numbers of more than 4300 digits
        text = f"{type(value).__name__} of thousands of digits"
    return text if len(text) <= limit else text[: limit - 1] + "…"


def unknown_name(code: str, what: str, name: object, known: Iterable[str]) -> UnknownName:
    """The error for a name that is not among `known`: the nearest names, else all of them.

    >>> print(unknown_name("E1001", "device", "rtx-2080ti", ["rtx-2080-ti", "t4"]))
    E1001 device 'rtx-2080ti' is not known. Did you mean rtx-2080-ti?
    """
    from difflib import get_close_matches  # only ever needed when something went wrong

    known = list(known)
    given = str(name)[:100].lower()
    longer = [one for one in known if given and one.startswith(given)]  # fp8 is the beginning of two formats
    near = list(dict.fromkeys((*longer, *get_close_matches(given, known, n=3, cutoff=0.6))))[:NEAREST]
    near = [one for one in near if one[0] == given[0]] or near  # the first letter is seldom wrong
    listed = ", ".join(known[:LISTED]) + (f" … ({len(known)} in all)" if len(known) > LISTED else "")
    fix = f"Did you mean {' or '.join(near)}?" if near else f"Known: {listed}."
    return UnknownName.at(code, what, f"{quote(name)} is not known.", fix)
