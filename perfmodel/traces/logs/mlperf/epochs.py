"""Epochs from MLPerf's events, by where they stand."""

from __future__ import annotations

from collections.abc import Iterator

from perfmodel.errors import InputError
from perfmodel.traces.logs.csvtable import Row
from perfmodel.traces.logs.keys import Keys
from perfmodel.traces.logs.mlperf.events import LAST_EPOCH, Event
from perfmodel.traces.logs.objects.rows import flat
from perfmodel.traces.logs.table import MOST_EPOCHS

EPOCH = "epoch"  # the name of the epoch in rows
COUNTS = ("samples_count", "step_num")  # what logs without epochs count
MOST_NOTES = 1000
MOST_IN_BLOCKS = MOST_EPOCHS + 10_000  # of all blocks: some epochs come again after a restart
INTERVALS = ("_start", "_stop")
PASSES = ("precision", "fprop", "dgrad", "wgrad", "master")


class Epochs:
    """Events in, rows out: one for each epoch, with the last value of each key.

    Raises `InputError`: E1207 for an epoch that is too large, E1328 for too many epochs in blocks.
    """

    def __init__(self, place: str, keys: Keys, corrections: list[str]):
        self._place, self._keys, self._corrections = place, keys, corrections
        self._first = self._last = -1  # epochs of the row that is collected
        self._line = 1
        self._open = self._block = False
        self._in_blocks = 0
        self._row: dict[str, float | str] = {}
        self._counted: Event | None = None  # the first event that counts something else than epochs

    def take(self, event: Event) -> Iterator[Row]:
        """The rows that are complete with this event."""
        if self._counted is None and any(name in event.metadata for name in COUNTS):
            self._counted = event
        if event.key == "epoch_start":
            number = event.whole("epoch_num")
            yield from self._begin(event, self._last + 1 if number is None else number, 1, block=False)
        elif event.key == "block_start" and (first := event.whole("first_epoch_num")) is not None:
            yield from self._begin(event, first, event.whole("epoch_count") or 1, block=True)
        elif event.key == "epoch_stop" or (event.key == "block_stop" and self._block):
            self._open = False
        elif self._last >= 0 and not event.key.endswith(INTERVALS) and event.key != EPOCH:
            yield from self._note(event)

    def end(self) -> Iterator[Row]:
        """The last rows; `InputError` (E1333) where events count samples or steps alone."""
        if self._last < 0 and self._counted is not None:
            names = " and ".join(name for name in COUNTS if name in self._counted.metadata)
            found = f"the log counts {names}, and has no epochs."
            fix = "Write a table of epochs from it (CSV or JSON lines) and give that."
            raise InputError.at("E1333", self._counted.place, found, fix)
        if self._open:
            self._corrections.append(f"{self._place}:{self._line} epoch {self._last} was not stopped: counted in full")
        yield from self._flush()

    def _begin(self, event: Event, first: int, count: int, block: bool) -> Iterator[Row]:
        if self._open and self._block and not block:  # epochs within a block, which then says nothing
            self._block = False
        else:
            yield from self._flush(first)
        if first + count - 1 > LAST_EPOCH:
            found = f"epoch {first + count - 1} is not from 0 to {LAST_EPOCH}."
            raise InputError.at("E1207", event.place, found, "Correct it.")
        self._in_blocks += count if block else 0
        if self._in_blocks > MOST_IN_BLOCKS:  # a line makes so many rows
            found = f"more than {MOST_IN_BLOCKS} epochs in blocks."
            raise InputError.at("E1328", event.place, found, "Correct epoch_count, or split the log.")
        self._first, self._last, self._line = first, first + count - 1, event.line
        self._open, self._block = True, block

    def _note(self, event: Event) -> Iterator[Row]:
        found = flat({event.key: event.value}, event.place, self._keys)
        self._keys.see(found)
        fields = self._keys.fields()
        formats = [name for name in found if fields.get(name) in PASSES]
        if any(self._row.get(name, found[name]) != found[name] for name in formats):
            yield from self._flush()
        self._line = event.line if formats else self._line  # what may be wrong is found there
        self._row |= found

    def _flush(self, following: int = LAST_EPOCH + 1) -> Iterator[Row]:
        """The rows of the epochs collected, but of none that begins again, as `following` is the next."""
        if self._last < 0:
            return
        fields = self._keys.fields()
        in_all = {name: value for name, value in self._row.items() if name in fields}
        again = self._first <= following <= self._last
        for number in range(self._first, following if again else self._last):
            yield self._line, {EPOCH: float(number), **in_all}
        if again and len(self._corrections) < MOST_NOTES:
            self._corrections.append(f"{self._place}:{self._line} restart: epoch {following} begins again later")
        if not again:
            yield self._line, {EPOCH: float(self._last), **self._row}
        self._first, self._row = self._last, {}
