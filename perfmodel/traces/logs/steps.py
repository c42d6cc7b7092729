"""How many iterations each epoch had, from the steps at which something was logged.

A step says how many iterations were done, counted from 0 (the last batch of 391 is step 390) or from 1, over the run
or anew in each epoch. Logs seldom hold every step: the end of an epoch lies between its last row and the next epoch's
first. One length of all epochs that fits in between everywhere is theirs: ceil(samples / batch), floor of it (the last
batch dropped), or the only one that the steps allow. Else nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from perfmodel.traces.logs.epochs import Epoch

Piece = tuple[bool, list[int]]  # whether a counter begins anew, and the epochs that it counts


@dataclass(frozen=True, slots=True)
class Count:
    """The iterations of an epoch (None where no step tells), and how many its counter said were done before it."""

    before: int
    iterations: int | None


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of a run: `base` is the number of its first one, `counts` those of each epoch."""

    base: int
    counts: Mapping[int, Count]

    @classmethod
    def of(
        cls, epochs: Mapping[int, Epoch], samples: int | None = None, batch: int | None = None, base: int | None = None
    ) -> Steps:
        """From the first and last steps of epochs, each of which must have some; `base` where the format fixes it."""
        lengths = () if samples is None or batch is None else (-(-samples // batch), samples // batch)
        pieces = list(_pieces(epochs))
        gap = max(epoch.gap for epoch in epochs.values())
        steps = cls._from(epochs, pieces, _base(epochs, pieces, gap, lengths) if base is None else base, gap, lengths)
        if base is None and steps.base == 0 and steps._over(lengths):  # the last row came after the counter was raised
            later = cls._from(epochs, pieces, 1, gap, lengths)
            return steps if later._over(lengths) else later
        return steps

    @classmethod
    def _from(
        cls, epochs: Mapping[int, Epoch], pieces: Sequence[Piece], base: int, gap: int, lengths: Sequence[int]
    ) -> Steps:
        counts: dict[int, Count] = {}
        for anew, numbers in pieces:
            counts |= _Counter(epochs, numbers, base, gap, lengths, anew).counts()
        return cls(base, counts)

    def _over(self, lengths: Sequence[int]) -> bool:
        """Whether an epoch has more iterations than there are."""
        return bool(lengths) and any((count.iterations or 0) > lengths[0] for count in self.counts.values())


def number_epochs(epochs: Mapping[int, Epoch]) -> bool:
    """Whether the steps count epochs, not iterations: one step in each of several, which rises by one as they do."""
    begin = {epoch.first - number for number, epoch in epochs.items() if epoch.first == epoch.last}
    return len(epochs) > 1 and len(begin) == 1 and all(epoch.first == epoch.last for epoch in epochs.values())


def _pieces(epochs: Mapping[int, Epoch]) -> Iterator[Piece]:
    """The epochs in a row under one counter: all of them, each, or those up to where the run was continued."""
    numbers = list(epochs)
    anew, piece = numbers[0] == 0, numbers[:1]
    for before, after in pairwise(numbers):
        again = _anew(epochs[before], epochs[after])
        if again or after > before + 1:
            yield anew, piece
            anew, piece = again, []
        piece.append(after)
    yield anew, piece


def _anew(before: Epoch, after: Epoch) -> bool:
    return after.first < before.last or after.last <= before.last


def _base(epochs: Mapping[int, Epoch], pieces: Sequence[Piece], gap: int, lengths: Sequence[int]) -> int:
    """0 where a step is; else by the first of rows that are apart, else by the last step of an epoch; else 1."""
    if any(epoch.first == 0 for epoch in epochs.values()):
        return 0
    if any(anew and len(numbers) == 1 and epochs[numbers[0]].last in lengths[:1] for anew, numbers in pieces):
        return 1
    first, second = [*epochs.values(), None][:2]
    if first.gap > 0 and first.first == 1:
        return 1
    gap = first.gap or gap
    if gap > 2 and first.first % gap in (0, gap - 1):  # 50, 100 … or 49, 99 …
        return 1 if first.first % gap == 0 else 0
    ends = first.gap == 0 and second is not None and not _anew(first, second)  # one row an epoch
    for length in (*lengths, *((second.last - first.last,) if ends else ())):
        if length > 1 and first.last % length in (0, length - 1):
            return 1 if first.last % length == 0 else 0
    return 1


class _Counter:
    """Epochs in a row under one counter."""

    def __init__(
        self, epochs: Mapping[int, Epoch], numbers: list[int], base: int, gap: int, lengths: Sequence[int], anew: bool
    ):
        self.numbers, self.gap, self.lengths = numbers, gap, lengths
        last = [epochs[number].last + 1 - base for number in numbers]
        first = [epochs[number].first - base for number in numbers]
        after = any(high < low for low, high in zip(last, first[1:], strict=False))  # rows of the end have its number
        self.lows = [min(low, high) for low, high in zip(last, first[1:], strict=False)]
        self.highs = first[1:]
        self.last = last[-1] - after
        self.start = 0 if anew else self._resumed(first[0], last)

    def _resumed(self, first: int, last: list[int]) -> int:
        """How many iterations came before a log that begins after epoch 0."""
        between = last[1] - last[0] if len(last) > 1 else 0
        if self.gap == 0 and (between or self.lengths):  # one row an epoch, at its end
            return max(0, last[0] - (between or self.lengths[0]))
        for length in (*self.lengths, between):
            if 0 <= first - self.numbers[0] * length < max(self.gap, 1):
                return self.numbers[0] * length
        return 0 if first < self.gap else max(0, first)

    def counts(self) -> dict[int, Count]:
        """Of each epoch."""
        length = self._length()
        if self.lows == self.highs:
            ends = self.lows
        elif length is not None:
            ends = [self.start + (i + 1) * length for i in range(len(self.lows))]
        elif self.lengths:
            ends = self._nearest(self.lengths[0])
        else:
            return {number: Count(0, None) for number in self.numbers}
        begins = [self.start, *ends]
        end = self._end(ends, length or max(self.lengths, default=None))
        return {
            number: Count(begin, None if stop is None else max(1, stop - begin))
            for number, begin, stop in zip(self.numbers, begins, [*ends, end], strict=True)
        }

    def _length(self) -> int | None:
        """The one length of all epochs, where there is one."""
        if not self.lows and self.gap == 0 and self.last - self.start in self.lengths:  # a counter of one epoch
            return self.last - self.start
        return next((length for length in (*self.lengths, *self._own_lengths()) if self._fits(length)), None)

    def _fits(self, length: int) -> bool:
        ends = range(self.start + length, self.start + length * (len(self.lows) + 1), length) if length else []
        return bool(length) and all(
            low <= end <= high for low, end, high in zip(self.lows, ends, self.highs, strict=True)
        )

    def _own_lengths(self) -> Iterator[int]:
        """What the steps alone allow: epochs that end with their last rows, or the only number in between."""
        ends = [*self.lows, self.last]
        for known in (ends, ends[:-1]):
            length = known[0] - self.start if len(known) > 1 else 0
            at_ends = self.gap <= 1 or length % self.gap  # else it is but the last step that was logged
            if length > 0 and at_ends and all(end == self.start + (i + 1) * length for i, end in enumerate(known)):
                yield length
        least = max(-(-(end - self.start) // (i + 1)) for i, end in enumerate(ends))
        most = min(((high - self.start) // (i + 1) for i, high in enumerate(self.highs)), default=None)
        if least == most:
            yield least

    def _nearest(self, length: int) -> list[int]:
        """Ends as near to epochs of this length as the rows allow."""
        ends, end = [], self.start
        for low, high in zip(self.lows, self.highs, strict=True):
            end = min(max(end + length, low), high)
            ends.append(end)
        return ends

    def _end(self, ends: list[int], length: int | None) -> int | None:
        """Of the last epoch: whole where its last row is no further from the end than rows of this log are."""
        if length is None:  # where rows are apart, or are one in each epoch, more may have followed
            return self.last if self.gap == 1 else None
        end = length + (ends[-1] if ends else self.start)
        if self.gap == 0 and not ends:
            return max(end, self.last)
        apart = max((end - low for end, low in zip(ends, self.lows, strict=True)), default=0)
        return end if 0 <= end - self.last <= max(apart, self.gap if self.gap > 1 else 0) else self.last
