"""Which name of a log is which field: by the names that people use, or as the user says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from perfmodel.errors import InputError, quote
from perfmodel.traces.logs.given import FIELDS, PRECISION_FIELDS, Given

# In order of preference, lower case with underscores.
ALIASES: dict[str, tuple[str, ...]] = {
    "epoch": ("epoch", "epochs", "epoch_num", "current_epoch"),
    "step": ("global_step", "iteration", "iter", "step"),
    "iterations": ("iterations",),
    "precision": ("precision", "dtype", "bits", "precision_bits", "bit_width", "bitwidth", "num_bits"),
    "fprop": ("precision_fprop", "fprop"),
    "dgrad": ("precision_dgrad", "dgrad"),
    "wgrad": ("precision_wgrad", "wgrad"),
    "master": ("precision_master",),
    "lr": ("lr", "learning_rate", "learningrate"),
    "gd_mean": ("gd_mean", "meangd", "mean_gd"),
    "gd_max": ("gd_max", "maxgd", "max_gd"),
    "gd_ratio": ("gd_ratio",),
    "gd_threshold": ("gd_threshold",),
    "gd_violations": ("gd_violations", "gdviolations"),
}
_RANKS = {alias: (name, rank) for name, aliases in ALIASES.items() for rank, alias in enumerate(aliases)}
# Fields that the last part of a name tells too (train/lr), but for val/precision, which is seldom that of numbers.
_BY_LAST_PART = ("epoch", "step", "precision", "lr", "gd_mean", "gd_max")
_LAST_PARTS = {alias: found for alias, found in _RANKS.items() if found[0] in _BY_LAST_PART and alias != "precision"}
_RATE = re.compile(r"lr-\w+(?:-\d+)?(?:/pg\d+)?")  # lr-SGD, lr-Adam-1/pg2: Lightning's LearningRateMonitor
_MAPPED, _OF_FORMAT, _OF_RATE, _OF_LAST_PART = -2, -1, 50, 100  # ranks of other ways to know a name


@dataclass(slots=True)
class Keys:
    """The fields of the names of one log.

    `without` are fields that are never found by their usual names (the user said what they are, or the format means
    something else by that name); `usual` are names that the format itself has for fields.
    """

    given: Given
    without: frozenset[str] = frozenset()
    usual: Mapping[str, str] = field(default_factory=dict)
    _found: dict[str, tuple[int, str]] = field(default_factory=dict)

    def __post_init__(self):
        if self.given.precision is not None:
            self.without |= set(PRECISION_FIELDS)

    def see(self, names: Iterable[str]) -> None:
        """Learn names of the log; of two that could be the same field the preferred one is it, then the first."""
        for name in names:
            if (match := self._match(name)) is not None:
                key, rank = match
                if key not in self._found or rank < self._found[key][0]:
                    self._found[key] = (rank, name)

    def name(self, key: str) -> str | None:
        """What the log calls a field; None where it has none that is known."""
        return self._found[key][1] if key in self._found else None

    def fields(self) -> dict[str, str]:
        """The field of each name that is one."""
        return {name: key for key, (_, name) in self._found.items()}

    def _match(self, name: str) -> tuple[str, int] | None:
        for key, mapped in self.given.keys.items():
            if name == mapped:
                return key, _MAPPED
        key, rank = self._usual(name) or _by_name(name) or (None, 0)
        return None if key is None or key in self.without or key in self.given.keys else (key, rank)

    def _usual(self, name: str) -> tuple[str, int] | None:
        """By the names of the format, where the user says nothing else of the field."""
        for key, mapped in self.usual.items():
            if name == mapped and key not in self.without and key not in self.given.keys:
                return key, _OF_FORMAT
        return None

    def check_mapped(self, names: Iterable[str], place: str) -> None:
        """Raise `InputError` (E1320) for a --map whose name the log does not have."""
        names = list(names)
        for key, mapped in self.given.keys.items():
            if mapped not in names:
                listed = ", ".join(quote(name, 40) for name in names[:30]) + (" …" if len(names) > 30 else "")
                found = f"there is no {quote(mapped)} for {key} ({FIELDS[key]}); found {listed or 'nothing'}."
                raise InputError.at("E1320", f"{place}:", found, f"Correct --map {key}=NAME.")


def _by_name(name: str) -> tuple[str, int] | None:
    """The field that people mean by a name, and how far down in their preference the name is."""
    plain = name.strip().lower().replace(" ", "_").replace("-", "_")
    if plain in _RANKS:
        return _RANKS[plain]
    if _RATE.fullmatch(name):
        return "lr", _OF_RATE
    before, _, last = plain.rpartition("/")
    if before and last in _LAST_PARTS:
        key, rank = _LAST_PARTS[last]
        return key, rank + _OF_LAST_PART
    return None
