"""Events, stamps and waiting: the part of the backend that tells time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfmodel.measure.backend import Hang
from perfmodel.measure.cuda.pool import Block, Pool
from perfmodel.measure.cuda.runtime import Runtime
from perfmodel.measure.cuda.tools import Tools

POLLS_AT_ONCE = 1000  # looks at an event before the host rests between two
REST_S = 50e-6
ROW = 3  # numbers of a stamp's row: multiprocessor, cycles, nanoseconds
STAMP_BLOCKS = 64  # stamps that one piece of memory holds


@dataclass(slots=True)
class Event:
    """An enqueued event; it goes back to the clock when nobody holds it any more."""

    raw: Any
    _spare: list

    def __del__(self):
        self._spare.append(self.raw)


@dataclass(slots=True)
class Stamp:
    """A place in device memory that a stamp kernel writes."""

    pointer: int
    _spare: list

    def __del__(self):
        self._spare.append(self.pointer)


class Clock:
    """Makes events and stamps and reads them."""

    def __init__(self, runtime: Runtime, tools: Tools, pool: Pool):
        self._runtime, self._tools, self._pool = runtime, tools, pool
        self._events: list[Any] = []
        self._stamps: list[int] = []
        self._blocks: list[Block] = []
        self._stamp_bytes = 8 * ROW * tools.stamp_rows

    def event(self) -> Event:
        """An event, enqueued."""
        raw = self._events.pop() if self._events else self._runtime.create_event()
        event = Event(raw, self._events)
        self._runtime.record(raw)
        return event

    def elapsed_s(self, first: Event, last: Event) -> float:
        """Seconds between two events."""
        return self._runtime.elapsed_s(first.raw, last.raw)

    def stamp(self) -> Stamp:
        """A stamp, enqueued."""
        if not self._stamps:
            block, _ = self._pool.take(STAMP_BLOCKS * self._stamp_bytes)
            self._blocks.append(block)
            self._stamps += [block.pointer + i * self._stamp_bytes for i in range(STAMP_BLOCKS)]
        stamp = Stamp(self._stamps.pop(), self._stamps)
        self._tools.stamp(stamp.pointer)
        return stamp

    def clock_hz(self, first: Stamp, last: Stamp) -> float:
        """Cycles over time, the median of the multiprocessors that are in both stamps; NaN where none is."""
        return rate_hz(self._rows(first), self._rows(last))

    def _rows(self, stamp: Stamp) -> np.ndarray:
        data = self._runtime.download(stamp.pointer, self._stamp_bytes)
        return np.frombuffer(data, np.uint64).reshape(-1, ROW)

    def synchronise(self, limit_s: float) -> None:
        """Wait until the device has done all; `Hang` after `limit_s`."""
        event, deadline_s, looks = self.event(), self._runtime.now_s() + limit_s, 0
        while not self._runtime.done(event.raw):
            looks += 1
            if self._runtime.now_s() > deadline_s:
                raise Hang(f"the device was not done within {limit_s:g} s")
            if looks > POLLS_AT_ONCE:
                self._runtime.wait(REST_S)

    def close(self) -> None:
        """Give the events and the memory back."""
        while self._events:
            self._runtime.destroy_event(self._events.pop())
        self._stamps.clear()
        while self._blocks:
            self._pool.give(self._blocks.pop())


def rate_hz(first: np.ndarray, last: np.ndarray) -> float:
    """The clock between two stamps of rows (multiprocessor, cycles, nanoseconds).

    >>> rate_hz(np.array([[0, 10, 100], [1, 0, 100]]), np.array([[0, 3010, 2100], [2, 9, 9]]))
    1500000000.0
    """
    first, last = first.astype(np.int64), last.astype(np.int64)  # the timer has more digits than FP64
    count = 1 + max(first[:, 0].max(), last[:, 0].max())
    start, end = _first_rows(first, count), _first_rows(last, count)
    both = (start >= 0) & (end >= 0)
    cycles, elapsed_ns = (last[end[both], 1:] - first[start[both], 1:]).T
    known = elapsed_ns > 0
    return float(np.median(cycles[known] / elapsed_ns[known])) * 1e9 if known.any() else math.nan


def _first_rows(stamp: np.ndarray, count: int) -> np.ndarray:
    """The place of the first row of each multiprocessor, -1 where there is none."""
    rows = np.full(count, -1)
    rows[stamp[::-1, 0]] = np.arange(len(stamp))[::-1]  # of those with the same number, the last that is written stays
    return rows
