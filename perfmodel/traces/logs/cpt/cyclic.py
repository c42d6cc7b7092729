"""Cyclic precision: the bits of every iteration, and the cycles that the bits of some iterations allow.

b(t) = rint(B0 + 0.5 (B1 - B0) (1 + cos(π (t mod T) / T + π))): from B0 to B1 within T iterations, and back at once.
Source: Fu et al., CPT, ICLR 2021, section 3.2; RICE-EIC/CPT @ eb9cdaa, train.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

LEAST_BITS, MOST_BITS = 2, 16
MOST_CYCLES = 50  # that are told apart
CHECKED_FIRST = 200
DISPUTED = 0.01  # the part of the iterations in which cycles may differ for one of them to stand for all


@dataclass(frozen=True, slots=True)
class Cycle:
    """From `first` bits to `last` within `length` iterations."""

    first: int
    last: int
    length: int

    def bits(self, iteration: int) -> int:
        """The bits of an iteration, from 0.

        >>> [Cycle(3, 8, 24).bits(t) for t in (0, 3, 7, 11, 12, 15, 19, 23, 24)]
        [3, 3, 4, 5, 6, 6, 7, 8, 3]
        """
        return _bits(self.first, self.last, _rise(iteration % self.length, self.length))

    def starts(self, end: int) -> Iterator[int]:
        """The iterations before `end` at which other bits begin, and 0.

        >>> list(Cycle(3, 5, 8).starts(11))
        [0, 3, 6, 8]
        """
        within = list(self._changes(min(self.length, end)))
        for begin in range(0, end, self.length):
            yield from (begin + t for t in within if begin + t < end)
            if self.first == self.last:
                return

    def _changes(self, end: int) -> Iterator[int]:
        """The same within one cycle, where bits only rise or only fall."""
        begin = 0
        yield begin
        while self.bits(begin) != self.bits(end - 1):
            bits, after = self.bits(begin), end - 1
            while after - begin > 1:
                middle = (begin + after) // 2
                begin, after = (middle, after) if self.bits(middle) == bits else (begin, middle)
            yield after
            begin = after


def _rise(at: int, length: int) -> float:
    return 1 + math.cos(math.pi * (at / length) + math.pi)


def _bits(first: int, last: int, rise: float) -> int:
    return round(first + 0.5 * (last - first) * rise)  # half to even, as NumPy's rint


def cycles_of(iterations: Sequence[int], bits: Sequence[int], lengths: Iterable[int]) -> list[Cycle]:
    """The cycles, of these lengths, with these bits in these iterations (rising); one that never changes has length 1.

    At most one more than `MOST_CYCLES` are returned.
    """
    least, most = min(bits), max(bits)
    found = [Cycle(least, least, 1)] if least == most else []
    known = range(LEAST_BITS, MOST_BITS + 1)
    firsts = [bits[0]] if iterations[0] == 0 else known
    ends = [(a, b) for a in firsts for b in known if a != b and min(a, b) <= least and most <= max(a, b)]
    order = _telling_first(bits)
    for length in lengths:
        rise = cache(lambda t, length=length: _rise(t % length, length))
        for a, b in ends if length > 1 else ():
            if all(_bits(a, b, rise(iterations[i])) == bits[i] for i in order):
                found.append(Cycle(a, b, length))
                if len(found) > MOST_CYCLES:
                    return found
    return found


def _telling_first(bits: Sequence[int]) -> list[int]:
    """All indices, first some of those at which the bits change: most cycles fail there."""
    changes = [i for i in range(1, len(bits)) if bits[i] != bits[i - 1]][:CHECKED_FIRST]
    first = dict.fromkeys(j for i in changes for j in (i - 1, i))
    return [*first, *(i for i in range(len(bits)) if i not in first)]


def lengths_of(total: int) -> list[int]:
    """The lengths int(total / n) that n cycles in so many iterations can have, the longest first."""
    lengths, n = [], 1
    while n <= total:
        lengths.append(total // n)
        n = total // lengths[-1] + 1  # the next that has another length
    return lengths


def lengths_by_drop(before: int, after: int, most: int = 1) -> list[int]:
    """The lengths of which the n-th cycle, n up to `most`, ends after the iteration `before` and not after `after`."""
    found = {length for n in range(1, most + 1) for length in range(before // n + 1, after // n + 1)}
    return sorted(found)


@dataclass(frozen=True, slots=True)
class Part:
    """Iterations from `start` to before `end`, with the bits of the forward and the backward pass.

    There are several pairs where cycles differ too much, and `guessed` says that others differ a little.
    """

    start: int
    end: int
    bits: tuple[tuple[int, int], ...]
    guessed: bool = False


def parts_of(schedules: Sequence[tuple[Cycle, Cycle]], end: int) -> tuple[list[Part], int]:
    """The iterations before `end` in parts of constant bits, and in how many of them the schedules differ.

    `schedules` are those that may have been, of the forward and the backward pass. Where they differ in at most one
    iteration of a hundred, that of middle length is taken.
    """
    schedules = sorted(schedules, key=lambda pair: (pair[0].length, pair[1].length))
    if not end:
        return [], 0
    starts = sorted({t for pair in schedules for cycle in pair for t in cycle.starts(end)})
    spans = list(pairwise([*starts, end]))
    found = [
        Part(a, b, tuple(dict.fromkeys((forward.bits(a), backward.bits(a)) for forward, backward in schedules)))
        for a, b in spans
    ]
    disputed = sum(part.end - part.start for part in found if len(part.bits) > 1)
    if 0 < disputed <= DISPUTED * end:
        forward, backward = schedules[len(schedules) // 2]
        found = [
            Part(part.start, part.end, ((forward.bits(part.start), backward.bits(part.start)),), len(part.bits) > 1)
            for part in found
        ]
    return found, disputed


def mean_cost(forward: Cycle, backward: Cycle, end: int) -> float:
    """The mean of (b² + 2 b g) / (3 · 32²) over the iterations before `end`, which CPT's code prints."""
    length = max(forward.length, backward.length)
    costs = [_cost(forward, backward, iterations) for iterations in (length, end % length)]
    return (costs[0] * (end // length) + costs[1]) / end / (3 * 32 * 32)


def _cost(forward: Cycle, backward: Cycle, end: int) -> int:
    parts, _ = parts_of([(forward, backward)], end)
    return sum((part.end - part.start) * b * (b + 2 * g) for part in parts for b, g in part.bits)
