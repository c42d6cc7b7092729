"""What the names of a row are, worked out once for each set of names."""

from __future__ import annotations

from dataclasses import dataclass

from perfmodel.errors import InputError, quote
from perfmodel.traces.logs.keys import Keys
from perfmodel.traces.logs.names import PASSES

MOST_NAMES = 1_000
LONGEST_NAME = 1_000
MOST_PLANS = 1_000  # remembered: in a hostile log every row has other names
DECISIVE = ("epoch", "step", "iterations", "precision", *PASSES, "master")  # fields that must not change their names


@dataclass(frozen=True, slots=True)
class Plan:
    """The names of a row that are fields; `precision` holds the field and the name of each pass that it has."""

    epoch: str | None
    step: str | None
    iterations: str | None
    precision: tuple[tuple[str, str], ...]

    @property
    def steady(self) -> bool:
        """Whether rows with these names may differ in nothing but step and metrics."""
        return self.epoch is not None and self.step is not None and self.iterations is None


class Plans:
    """The plans of the rows of one log, whose names are learnt row by row.

    Raises `InputError`: E1320 where a name would be a better one for a field that rows had another name for, E1328 for
    too many names.
    """

    def __init__(self, place: str, keys: Keys):
        self.place, self.keys = place, keys
        self.names: dict[str, None] = {}
        self._plans: dict[tuple[str, ...], Plan] = {}

    def known(self, names: tuple[str, ...]) -> Plan | None:
        """The plan for these names, if rows had them before."""
        return self._plans.get(names)

    def make(self, names: tuple[str, ...], line: int, taken: bool) -> Plan:
        """The plan for names that are new; `taken` says whether rows were taken with others."""
        for name in names:
            if name not in self.names:
                self._learn(name, line, taken)
        key = self.keys.name
        fields = [(field, key(field)) for field in ("precision", *PASSES, "master")]
        precision = tuple((field, name) for field, name in fields if name in names)
        special = (key(field) if key(field) in names else None for field in ("epoch", "step", "iterations"))
        if len(self._plans) > MOST_PLANS:
            self._plans.clear()
        plan = self._plans[names] = Plan(*special, precision)
        return plan

    def _learn(self, name: str, line: int, taken: bool) -> None:
        self.names[name] = None
        if len(self.names) > MOST_NAMES or len(name) > LONGEST_NAME:
            found = f"more than {MOST_NAMES} names, or one of more than {LONGEST_NAME} characters."
            raise InputError.at("E1328", f"{self.place}:{line}:", found, "Drop some.")
        before = {key: self.keys.name(key) for key in DECISIVE}
        self.keys.see([name])
        for key, known in before.items():
            if taken and known is not None and self.keys.name(key) != known:
                found = f"both {quote(known, 40)} and {quote(name, 40)} may be the {key}."
                raise InputError.at("E1320", f"{self.place}:{line}:", found, f"Choose with --map {key}=NAME.")
        self._plans.clear()  # it may be a better name for a field

    def listed(self) -> str:
        """The names for messages, at most twenty."""
        names = list(self.names)
        return ", ".join(quote(name, 40) for name in names[:20]) + (" …" if len(names) > 20 else "")
