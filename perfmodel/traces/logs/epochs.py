"""What is kept of each epoch while a log is read, and words for runs of epochs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from perfmodel.traces.logs.moments import Value
from perfmodel.traces.values import LARGEST

SHOWN_RUNS = 10


@dataclass(slots=True)
class Epoch:
    """What was logged in one epoch, first in line `line`.

    `first` and `last` are the steps of the first and the last row, `gap` is the largest distance of two in a row. `now`
    is what the rows of step `last` said, `kept` the last value of each name. `precisions` are those logged, in order:
    a `PassPrecision`, and the last and the first step at which it was logged, None without steps.
    """

    line: int
    first: int | None = None
    last: int | None = None
    gap: int = 0
    now: dict[str, Value] = field(default_factory=dict)
    kept: dict[str, Value] = field(default_factory=dict)
    precisions: list[list] = field(default_factory=list)
    iterations: int | None = None

    def at(self, step: int) -> None:
        """A row of this step follows."""
        if self.last is None:
            self.first = step if self.first is None else self.first
        else:
            self.gap = max(self.gap, step - self.last)
        self.last = step

    def take_back(self, step: int) -> None:
        """Forget that this step and later ones were logged."""
        self.precisions = [logged for logged in self.precisions if logged[2] is None or logged[2] < step]
        for logged in self.precisions[-1:]:
            logged[1] = None if logged[1] is None else min(logged[1], step - 1)
        self.first = min(self.first, step)
        self.last = None if step <= self.first else step - 1
        self.now, self.kept = {}, {}


def spans(numbers: Iterable[int]) -> str:
    """`epoch 3`, or `epochs 1, 3 to 5`; after ten runs an ellipsis.

    >>> spans([1, 3, 4, 5])
    'epochs 1, 3 to 5'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    texts = [str(first) if first == last else f"{first} to {last}" for first, last in runs[:SHOWN_RUNS]]
    one = len(runs) == 1 and runs[0][0] == runs[0][1]
    return f"epoch{'' if one else 's'} {', '.join(texts)}{' …' * (len(runs) > SHOWN_RUNS)}"


def finite(values: Mapping[str, Value]) -> Iterator[tuple[str, float]]:
    """The values that a trace can hold: finite numbers with a name."""
    for name, value in values.items():
        if isinstance(value, float) and -LARGEST <= value <= LARGEST and name.strip():
            yield name, value


def not_finite(epochs: Mapping[int, Epoch]) -> dict[str, list[int]]:
    """The epochs, by name, whose last value is NaN or infinite."""
    bad: dict[str, list[int]] = {}
    for number, epoch in epochs.items():
        if len(epoch.kept) == sum(1 for _ in finite(epoch.kept)):
            continue
        for name, value in epoch.kept.items():
            if isinstance(value, float) and not -LARGEST <= value <= LARGEST:
                bad.setdefault(name, []).append(number)
    return bad
