"""A result as a table: raw values in SI units, and how people are shown them."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

MISSING = "–"  # what people see where there is no value
LONGEST_CELL = 100  # characters of a cell in text for people; CSV and JSON hold the whole

# Controls, bidi and other invisible marks, lone surrogates, private and unassigned characters, line separators.
INVISIBLE = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))

Show = Callable[[Any], str]  # a raw value as text


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A titled table whose raw values and whose text are kept apart.

    `frame` holds raw values in SI units, the unit in the column's name (`time_s`, `bytes`). CSV and JSON write all of
    it; its index is never written.
    `headers` chooses what people see: raw column → header, in this order. A column that is not in it is hidden, that
    is, in CSV and JSON only; an empty `headers` shows every column under its raw name.
    `show` turns a raw value of a column into text, or has one such function for each row. None is ever called for a
    missing value (None, NaN, NA): that reads "–".
    `notes` are sentences printed under the table.

    Raises `ValueError` for columns that are not there, not texts, or there twice, for functions that are not as many as
    the rows, and for notes that are one text: mistakes in the program, not of a user.

    >>> frame = pd.DataFrame({"layer": ["conv1"], "time_s": [0.00123], "bytes": [4096]})
    >>> table = Table("Step", frame, {"time_s": lambda s: f"{s * 1e3:.2f}"}, {"layer": "layer", "time_s": "ms"})
    >>> table.rows()
    [['conv1', '1.23']]
    """

    title: str
    frame: pd.DataFrame
    show: Mapping[str, Show | Sequence[Show]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self):
        columns = list(self.frame.columns)
        if not all(isinstance(name, str) for name in columns) or len(set(columns)) < len(columns):
            raise ValueError(f"columns must be different texts: {columns}")
        if unknown := [name for name in (*self.headers, *self.show) if name not in columns]:
            raise ValueError(f"the frame has no columns {unknown}; it has {columns}")
        if any(not callable(show) and len(show) != len(self.frame) for show in self.show.values()):
            raise ValueError("what shows a column must be one function, or one for each row")
        if isinstance(self.notes, str):  # would be printed one letter a line
            raise ValueError("notes must be a tuple of texts")

    def shown(self) -> dict[str, str]:
        """The columns that people see, in order: raw name → header."""
        return dict(self.headers) or {name: name for name in self.frame.columns}

    def values(self, column: str) -> list[Any]:
        """The raw values of a column as Python's own numbers and texts, None for each missing one."""
        raw = self.frame[column].tolist()
        return [None if is_missing(x) else x.item() if isinstance(x, np.generic) else x for x in raw]

    def rows(self) -> list[list[str]]:
        """The rows as people see them: shown columns, printable, cut to 100 characters."""
        columns = [self._texts(name) for name in self.shown()]
        return [list(row) for row in zip(*columns, strict=True)]

    def numeric(self) -> list[bool]:
        """For each shown column, whether it holds numbers and nothing else."""
        return [_all_numbers(self.values(name)) for name in self.shown()]

    def _texts(self, column: str) -> list[str]:
        show = self.show.get(column, default_text)
        values = self.values(column)
        shows = [show] * len(values) if callable(show) else show
        texts = (MISSING if value is None else show(value) for value, show in zip(values, shows, strict=True))
        return [cut(visible(text), LONGEST_CELL) for text in texts]


def is_missing(value: object) -> bool:
    """Whether a cell is empty: None, NaN, NaT or NA.

    >>> is_missing(float("nan")), is_missing("nan"), is_missing([])
    (True, False, False)
    """
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def default_text(value: object) -> str:
    """A value as text where its column says nothing: numbers with six significant digits, the rest as it is.

    >>> default_text(2 / 3), default_text(1281167), default_text(True)
    ('0.666667', '1281167', 'yes')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def visible(text: object) -> str:
    r"""Text with everything that a reader would not see written as an escape: controls, bidi marks, line breaks.

    Names come from files of others; printed raw they could recolour a terminal, or turn the reading order around.

    >>> print(visible("a\x1b[31m\u202eb"), visible("3×3 ✓"))
    a\x1b[31m\u202eb 3×3 ✓
    """
    text = str(text)
    if text.isascii() and text.isprintable():
        return text
    return "".join(c.encode("unicode_escape").decode() if unicodedata.category(c) in INVISIBLE else c for c in text)


def cut(text: str, limit: int) -> str:
    """At most `limit` characters; the last is "…" where some are left out.

    >>> cut("layer1.0.conv1", 8)
    'layer1.…'
    """
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _all_numbers(values: list[Any]) -> bool:
    found = [value for value in values if value is not None]
    return bool(found) and all(isinstance(value, Real) and not isinstance(value, bool) for value in found)
