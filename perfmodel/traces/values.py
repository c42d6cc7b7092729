"""The rules for single values of a trace, one function each: the value in its plain form, or an error at its key.

Places are relative ("lr:"); whoever knows more of the place puts it in front with `within`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

from perfmodel.errors import InputError, PerfModelError, Problem, quote

LARGEST = 1e300  # of any number; float64 overflows soon after
DEEPEST = 32  # nested lists and tables in one value


@contextmanager
def within(prefix: str) -> Iterator[None]:
    """Errors from the body get `prefix` in front of their places."""
    try:
        yield
    except PerfModelError as error:
        raise type(error)(placed(error, prefix)) from None


def placed(error: PerfModelError, prefix: str) -> list[Problem]:
    """The problems of an error with `prefix` in front of their places."""
    return [replace(problem, place=prefix + problem.place) for problem in error.problems]


def wrong_kind(key: str, value: object, expected: str) -> InputError:
    """E1306: the value is of another kind than its key wants."""
    if value is None:
        return InputError.at("E1306", f"{key}:", "null is not a value.", "Leave the key out where nothing is known.")
    return InputError.at("E1306", f"{key}:", f"{quote(value)} is not {expected}.", "Correct the value.")


def whole(key: str, value: object, least: int, most: int) -> int:
    """A whole number from `least` to `most`; E1306 for another kind, E1307 outside of the range."""
    if type(value) is not int and (isinstance(value, bool) or not isinstance(value, Integral)):
        raise wrong_kind(key, value, "a whole number")
    if not least <= value <= most:
        raise InputError.at("E1307", f"{key}:", f"{quote(value)} is not between {least} and {most}.", "Correct it.")
    return int(value)


def number(key: str, value: object, above: float | None = None) -> float | int:
    """A finite number, above `above` where given; whole ones stay whole. E1306 for another kind, E1307 out of range."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise wrong_kind(key, value, "a number")
    value = int(value) if isinstance(value, Integral) else float(value)  # NumPy's too
    if not -LARGEST <= value <= LARGEST or (above is not None and value <= above):  # NaN compares false
        bounds = f"above {above:g} and at most" if above is not None else "within plus or minus"
        raise InputError.at(
            "E1307", f"{key}:", f"{quote(value)} is not a finite number {bounds} {LARGEST:g}.",
            "Leave the key out where the value is not known.",
        )  # fmt: skip
    return value


def flag(key: str, value: object) -> bool:
    """True or false; E1306 otherwise."""
    if not isinstance(value, bool):
        raise wrong_kind(key, value, "true or false")
    return value


def line(key: str, value: object) -> str:
    """A text that UTF-8 can hold, perhaps empty; E1306 otherwise."""
    if not isinstance(value, str):
        raise wrong_kind(key, value, "a text")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:  # half of a surrogate pair, which JSON can spell and UTF-8 cannot
            raise wrong_kind(key, value, "a text in Unicode") from None
    return value


def text(key: str, value: object) -> str:
    """A text that is not blank; E1306 otherwise."""
    if not line(key, value).strip():
        raise wrong_kind(key, value, "a text that is not blank")
    return value


def texts(key: str, value: object) -> tuple[str, ...]:
    """A list of texts, none of them blank; E1306 otherwise."""
    if not isinstance(value, (list, tuple)):
        raise wrong_kind(key, value, "a list of texts")
    return tuple(text(f"{key}[{i}]", item) for i, item in enumerate(value))


def numbers(key: str, value: object) -> dict[str, float]:
    """A table of finite numbers by name, copied; E1306 or E1307 otherwise."""
    if not isinstance(value, Mapping):
        raise wrong_kind(key, value, "a table of numbers")
    return {_name(key, name): _number_in(key, name, item) for name, item in value.items()}


def _name(key: str, name: object) -> str:
    """One object for the many tables that have the same names."""
    return sys.intern(text(key, name)) if type(name) is str else text(key, name)


def _number_in(key: str, name: str, value: object) -> float | int:
    if type(value) is float and -LARGEST <= value <= LARGEST:  # nearly always, and quick to know
        return value
    return number(f"{key}[{quote(name)}]", value)


def table(key: str, value: object) -> dict[str, Any]:
    """A table of anything that JSON can say (but null), copied, with lists for tuples; E1306 or E1307 otherwise."""
    if not isinstance(value, Mapping):
        raise wrong_kind(key, value, "a table")
    return _plain(key, value, 0)


def cited(key: str, value: object) -> dict[str, Any]:
    """A table as `table` takes it that is not empty: every trace says where it comes from. E1304 where it is."""
    if not (source := table(key, value)):
        raise InputError.at("E1304", f"{key}:", "is empty.", "Say where the trace comes from.")
    return source


def _plain(key: str, value: object, depth: int) -> Any:
    if depth > DEEPEST:
        raise InputError.at("E1306", f"{key[:80]}:", f"is nested more than {DEEPEST} levels deep.", "Use fewer.")
    if isinstance(value, bool):
        return value
    if isinstance(value, Real):
        return number(key, value)
    if isinstance(value, Mapping):
        return {text(key, name): _plain(f"{key}[{quote(name)}]", item, depth + 1) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(f"{key}[{i}]", item, depth + 1) for i, item in enumerate(value)]
    return line(key, value)


def key_problems(given: Mapping, required: Mapping[str, str], optional: Sequence[str]) -> list[Problem]:
    """One problem for each missing key (E1304), null (E1306) and unknown key (E1305) of a table of a file."""
    problems = [
        Problem("E1304", f"{key}:", "is missing.", f'Add "{key}": {what}.')
        for key, what in required.items()
        if key not in given
    ]
    known = [*required, *optional]
    for key in given:
        if key not in known:
            problems.append(Problem("E1305", f"{quote(key)}:", "is not a known key.", f"Known: {', '.join(known)}."))
        elif given[key] is None:
            problems += wrong_kind(key, None, "").problems
    return problems
