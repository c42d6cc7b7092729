"""How a scheme spends a run: in which formats how many of its iterations are, where no trace says it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from perfmodel.policies.cyclic import Cycle
from perfmodel.schemes.rules import LayerRule, TensorFormats


@dataclass(frozen=True, slots=True)
class Constant:
    """One format throughout."""

    format: str

    def stretches(self, epochs: int, iterations: int) -> Iterator[tuple[str, str, int]]:
        """Forward format, backward format and iterations: all of them."""
        yield self.format, self.format, epochs * iterations

    @property
    def words(self) -> str:
        """What it is, for notes."""
        return "one format throughout"


@dataclass(frozen=True, slots=True)
class Shares:
    """Epochs in each format, in order, of a run that is published; runs of another length are divided alike."""

    epochs_in: tuple[tuple[str, int], ...]
    source: str

    def stretches(self, epochs: int, iterations: int) -> Iterator[tuple[str, str, int]]:
        """Forward format, backward format and iterations of each stretch; the last one gets what rounding leaves."""
        whole, total, done, seen = sum(count for _, count in self.epochs_in), epochs * iterations, 0, 0
        for name, count in self.epochs_in:
            seen += count
            until = total * seen // whole
            if until > done:
                yield name, name, until - done
            done = until

    @property
    def words(self) -> str:
        """What it is, for notes."""
        parts = ", ".join(f"{count} epochs in {name}" for name, count in self.epochs_in)
        return f"shares of {parts} ({self.source})"


@dataclass(frozen=True, slots=True)
class Cyclic:
    """CPT's cycle of forward widths, in iterations; the backward width stays."""

    low: int
    high: int
    backward: int
    cycles: int

    @property
    def cycle(self) -> Cycle:
        """The widths over time."""
        return Cycle(self.low, self.high, self.cycles)

    def stretches(self, epochs: int, iterations: int) -> Iterator[tuple[str, str, int]]:
        """Forward format, backward format and iterations of each width, the narrowest first."""
        for bits, count in sorted(self.cycle.counts(epochs * iterations).items()):
            if count:
                yield f"int{bits}", f"int{self.backward}", count

    @property
    def words(self) -> str:
        """What it is, for notes."""
        return f"{self.low} to {self.high} bits forward in {self.cycles} cycles, {self.backward} bits backward"


@dataclass(frozen=True, slots=True)
class Stage:
    """Epochs of a user's plan, up to `until` (counted from 0, not included; None: to the end), and their formats."""

    until: int | None
    formats: TensorFormats
    layers: tuple[LayerRule, ...] = ()


Schedule = Constant | Shares | Cyclic
SCHEDULE_KEYS: Mapping[str, tuple[str, ...]] = {
    "constant": (), "shares": ("shares", "from"), "cyclic": ("low", "high", "backward", "cycles"),
}  # fmt: skip
