"""The header of a trace: what the user says, else the log, else what follows from the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from perfmodel.errors import Problem
from perfmodel.traces.logs.given import Given
from perfmodel.traces.logs.names import whole_run
from perfmodel.traces.precision import PassPrecision
from perfmodel.units import ceil_div


@dataclass(frozen=True, slots=True)
class Fact:
    """Something a log says of the whole run, and where."""

    value: Any
    place: str


@dataclass(frozen=True, slots=True)
class Said:
    """How large epochs and iterations are, as the user says or else the log; None where neither does."""

    samples: int | None
    batch: int | None

    @classmethod
    def of(cls, given: Given, facts: Mapping[str, Fact]) -> Said:
        """From both; `facts` as in `Run`."""
        said = {}
        for key in ("samples", "batch"):
            value = getattr(given, key)
            said[key] = facts[key].value if value is None and key in facts else value
        return cls(**said)

    @property
    def whole(self) -> int | None:
        """Iterations of an epoch: ceil(samples / batch)."""
        return None if self.samples is None or self.batch is None else ceil_div(self.samples, self.batch)


class Header:
    """The values of a header; `problems` collects what is missing (E1321), `corrections` and `inferred` what is told.

    `place` and `reader` are those of the log, `facts` what it says of the whole run.
    """

    def __init__(self, place: str, reader: str, facts: Mapping[str, Fact], given: Given):
        self.place, self.reader, self.facts, self.given = place, reader, facts, given
        self.problems: list[Problem] = []
        self.corrections: list[str] = []
        self.inferred: list[str] = []

    def text(self, key: str) -> str:
        """What the log says, perhaps nothing."""
        fact = self.facts.get(key)
        return "" if fact is None else fact.value or ""

    def value(self, key: str) -> Any:
        """What the user says, else the log; None, and a problem, where neither does."""
        fact, given = self.facts.get(key), getattr(self.given, key)
        if given is None and fact is None:
            return self._miss(key, f"the log does not say it ({self.reader}).")
        if given is not None and fact is not None and given != fact.value:
            self._overrule(fact.place, key, str(given), str(fact.value))
        return fact.value if given is None else given

    def _miss(self, key: str, why: str) -> None:
        self.problems.append(self.given.missing(key, f"{self.place}: {why}"))

    def _overrule(self, place: str, key: str, given: str, said: str) -> None:
        self.corrections.append(f"{place} {key} {given} as given, not {said}")

    def precisions(self, logged: Iterable[tuple[int, PassPrecision | None]]) -> list[PassPrecision | None]:
        """The precision of each stretch, of which the log has epoch and precision."""
        logged = list(logged)
        if self.given.precision is not None:
            found = whole_run(self.given.precision)
            others = [epoch for epoch, precision in logged if precision not in (None, found)]
            if others:
                self._overrule(self.place, "precision", self.given.precision, f"that of the log (epoch {others[0]} on)")
            return [found] * len(logged)
        fact = self.facts.get("precision")
        found = [fact.value if precision is None and fact is not None else precision for _, precision in logged]
        self._check_known(found, [epoch for epoch, _ in logged])
        return found

    def _check_known(self, found: list[PassPrecision | None], epochs: list[int]) -> None:
        if None not in found:
            return
        if any(precision is not None for precision in found):
            return self._miss("precision", f"the log does not say that of epoch {epochs[found.index(None)]}.")
        why = f"{self.place}: nothing in the log is known as the precision ({self.reader})."
        fix = "Give --map precision=KEY where the log has it, or --precision FORMAT for the whole run."
        self.problems.append(Problem("E1321", "precision:", why, fix))

    def samples(self, counts: Iterable[tuple[int, int | None]], batch: int | None) -> int | None:
        """As said; else as many as the iterations of the longest epoch see. `counts` are those of each stretch."""
        if "samples" in self.facts or self.given.samples is not None:
            return self.value("samples")
        epochs: dict[int, int] = {}
        for epoch, iterations in counts:
            if iterations is None:
                return self._miss("samples", f"the log does not say it ({self.reader}), nor do steps.")
            epochs[epoch] = epochs.get(epoch, 0) + iterations
        if batch is None:
            return None
        most = max(epochs.values())
        self.inferred.append(f"samples: {most} iterations of the longest epoch x batch {batch}; no log says it")
        return most * batch

    def scheme(self, precisions: Iterable[PassPrecision | None]) -> str | None:
        """As said; else the scheme whose formats these are, where there is one."""
        if self.given.scheme is not None or "scheme" in self.facts:
            return self.value("scheme")
        names = tuple(dict.fromkeys(name for found in dict.fromkeys(precisions) if found for name in found.names))
        for scheme, fits in _SCHEMES.items():
            if names and fits(set(names)):
                self.inferred.append(f"scheme {scheme}: all formats are {', '.join(names)}")
                return scheme
        if names:
            self._miss("scheme", f"the log does not say which scheme trains in {', '.join(names[:8])}.")
        return None


_SCHEMES = {
    "fp32": lambda names: names == {"fp32"},
    "mixed": lambda names: names == {"fp16"},
    "bf16": lambda names: names == {"bf16"},
    "tf32": lambda names: names == {"tf32"},
    "muppet": lambda names: all(name == "fp32" or name.startswith("dfx") for name in names),
}
