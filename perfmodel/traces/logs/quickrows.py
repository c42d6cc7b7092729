"""Rows that say little new: of one epoch, with names seen in it before, the same precision, and rising steps.

Most rows of a log are. The last ones are kept until something else comes; nothing more is done for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from perfmodel.traces.logs.moments import Value

LAST_QUICK = 1e12  # steps above are looked at more closely
MOST_LAYOUTS = 100


@dataclass(slots=True)
class Layout:
    """Rows with the same names: where epoch and step stand in them, and what must stay as it is (place, value).

    `values` is the last such row that was taken, None before the first; `last` its step.
    """

    names: tuple[str, ...]
    epoch: int
    step: int
    constant: tuple[tuple[int, Value], ...]
    values: Sequence[Value] | None = None
    last: float = 0.0


class QuickRows:
    """Rows taken since the last one that said something new.

    `last` is the step of the last of them, `gap` the largest distance of two steps.
    """

    __slots__ = ("_at", "_layout", "_layouts", "gap", "last")

    def __init__(self):
        self._layouts: dict[tuple[str, ...], Layout] = {}
        self.stop()

    def start(
        self, names: tuple[str, ...], values: Sequence[Value], epoch: str, step: str, constant: Iterable[str]
    ) -> None:
        """Take rows like this one from now on, and like earlier ones without constants.

        `epoch`, `step` and `constant` are names: of the epoch, of the step, and of what must stay as it is.
        """
        kept = [layout for layout in self._layouts.values() if not layout.constant][:MOST_LAYOUTS]
        places = tuple((names.index(name), values[names.index(name)]) for name in constant)
        self._layout = Layout(names, names.index(epoch), names.index(step), places)
        self._layouts = {layout.names: layout for layout in (*kept, self._layout)}
        self._at, self.last, self.gap = values[self._layout.epoch], values[self._layout.step], 0.0

    def stop(self) -> list[Layout]:
        """Take no more; what was taken, in the order of the last rows."""
        taken = [layout for layout in self._layouts.values() if layout.values is not None]
        for layout in taken:
            self._layouts[layout.names] = Layout(layout.names, layout.epoch, layout.step, layout.constant)
        self._at, self._layout = None, None
        return sorted(taken, key=lambda layout: layout.last)

    def forget(self) -> None:
        """Take nothing like earlier rows: their names have got another meaning."""
        self._layouts = {}

    def takes(self, names: tuple[str, ...], values: Sequence[Value]) -> bool:
        """Whether the row says nothing new; then it is kept."""
        if self._at is None:
            return False
        layout = self._layout
        if names is not layout.names:
            layout = self._layouts.get(names)
            if layout is None:
                return False
            self._layout = layout
        step, last = values[layout.step], self.last
        if type(step) is not float:
            return False
        if values[layout.epoch] != self._at or not last < step < LAST_QUICK or not step.is_integer():
            return False
        for i, value in layout.constant:
            if values[i] != value:
                return False
        if step - last > self.gap:
            self.gap = step - last
        self.last = layout.last = step
        layout.values = values
        return True
