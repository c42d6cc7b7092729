"""The precision of the three passes of training: fprop, dgrad and wgrad."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perfmodel.errors import InputError
from perfmodel.formats import find_format
from perfmodel.traces import values
from perfmodel.traces.values import key_problems, within

PASSES = {"fprop": "a format", "dgrad": "a format", "wgrad": "a format"}  # required keys, and what they hold


@dataclass(frozen=True, slots=True)
class PassPrecision:
    """The format of each pass, and of the master weights where a copy of them is kept.

    A pass holds the names of its candidate formats: one where it is known, several for "one of these, not
    known which". A single name may be given as a text.

    Raises `UnknownName` (E1004) for a name that is no format, `InputError` (E1306) for no names or the same twice.

    >>> PassPrecision("fp16", "fp16", "fp16", "fp32").fprop
    ('fp16',)
    """

    fprop: tuple[str, ...]
    dgrad: tuple[str, ...]
    wgrad: tuple[str, ...]
    master: str | None = None

    def __post_init__(self):
        for key in ("fprop", "dgrad", "wgrad"):
            object.__setattr__(self, key, _candidates(key, getattr(self, key)))
        if self.master is not None:
            _known_format("master", self.master)

    @classmethod
    def same(cls, names: str | Sequence[str], master: str | None = None) -> PassPrecision:
        """All three passes in one format (or in one of several)."""
        return cls(names, names, names, master)

    @property
    def names(self) -> tuple[str, ...]:
        """Every format that any pass may have, each once."""
        return tuple(dict.fromkeys((*self.fprop, *self.dgrad, *self.wgrad)))

    @property
    def known(self) -> bool:
        """Whether every pass has one candidate only."""
        return len(self.fprop) == len(self.dgrad) == len(self.wgrad) == 1

    @property
    def label(self) -> str:
        """The format of fprop; candidates are joined by `|`."""
        return "|".join(self.fprop)


def _candidates(key: str, names: object) -> tuple[str, ...]:
    names = (names,) if isinstance(names, str) else names
    if not isinstance(names, (list, tuple)) or not names:
        raise values.wrong_kind(key, names, "the name of a format or a list of them")
    for name in names:
        _known_format(key, name)
    if len(set(names)) < len(names):
        raise values.wrong_kind(key, list(names), "a list of different formats")
    return tuple(names)


def _known_format(key: str, name: object) -> None:
    with within(f"{key}: "):
        find_format(name)


def pass_precision(given: object) -> PassPrecision:
    """The precision that a table of a file gives; E1304-E1306 for a missing key, an unknown one, no table."""
    if not isinstance(given, Mapping):
        raise values.wrong_kind("precision", given, "a table with fprop, dgrad and wgrad")
    if problems := key_problems(given, PASSES, ("master",)):
        raise InputError(problems)
    return PassPrecision(**given)
