"""Long logs: values by tag and step, as TensorBoard and MLflow keep them, with restarts taken back."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, MutableSequence, Sequence
from heapq import merge
from itertools import repeat

from perfmodel.errors import InputError, quote

MOST_TAGS = 1000
LONGEST_TAG = 1000  # characters
MOST_VALUES = 6_000_000
MOST_TEXTS = 100_000
LONGEST_TEXT = 1000  # characters: the name of a format is short, a pasted configuration is not
MOST_CHARACTERS = 10_000_000  # of all texts together
MOST_CORRECTIONS = 20
MOST_RESTARTS = 10_000  # pairs of steps that are told apart; further ones are only counted


class Series:
    """Values (numbers, also NaN and infinite ones, or texts) by tag, each tag's steps strictly rising.

    `place` begins errors (`run.db:`). A log that has more than 1,000 tags, tags of more than 1,000 characters,
    6,000,000 numbers or 100,000 texts raises `InputError` (E1340) when the first beyond that is added.
    """

    __slots__ = (
        "_changed", "_left_out", "_notes", "_numbers", "_place", "_restarts", "_room", "_text_room", "_texts",
        "_uncounted", "_unread",
    )  # fmt: skip

    def __init__(self, place: str):
        self._place = place
        self._numbers: dict[str, tuple[array, array]] = {}
        self._texts: dict[str, tuple[array, list[str]]] = {}
        self._room = MOST_VALUES
        self._text_room = MOST_TEXTS
        self._unread = MOST_CHARACTERS
        self._restarts: dict[tuple[int, int], tuple[str, int]] = {}  # (from, to): the first tag, and how many more
        self._uncounted = 0
        self._changed: dict[str, tuple[int, int]] = {}  # tag: the first step, and how often
        self._left_out: dict[str, tuple[int, int]] = {}
        self._notes: list[str] = []

    def add(self, tag: str, step: int, value: float) -> None:
        """Take the next number of the log; the step has at most 64 bits.

        A step that goes back replaces the tag's entries from that step on, the last step once more replaces its value.
        """
        column = self._numbers.get(tag)
        if column is None:
            column = self._numbers[tag] = self._column(tag, array("d"))
        steps, values = column
        if steps and step <= steps[-1]:
            if step == steps[-1]:
                return self._change(tag, step, values, value)
            self._room += self._take_back(tag, steps, values, step)
        if not self._room:
            raise too_much(self._place, f"holds more than {MOST_VALUES} values.")
        self._room -= 1
        steps.append(step)
        values.append(value)

    def add_text(self, tag: str, step: int, text: str) -> None:
        """Take the next text, such as the name of a format, as `add` takes a number; one above 1,000 is left out."""
        column = self._texts.get(tag)
        if column is None:
            column = self._texts[tag] = self._column(tag, [])
        if len(text) > LONGEST_TEXT:
            return _count(self._left_out, tag, step)
        steps, texts = column
        self._unread -= len(text)
        if steps and step <= steps[-1]:
            if step == steps[-1]:
                return self._change(tag, step, texts, text)
            self._text_room += self._take_back(tag, steps, texts, step)
        if not self._text_room or self._unread < 0:
            raise too_much(self._place, f"holds more than {MOST_TEXTS} texts or {MOST_CHARACTERS} characters of text.")
        self._text_room -= 1
        steps.append(step)
        texts.append(text)

    def note(self, correction: str) -> None:
        """Let `corrections` begin with this line."""
        self._notes.append(correction)

    def _column(self, tag: str, values: MutableSequence) -> tuple[array, MutableSequence]:
        if len(tag) > LONGEST_TAG:
            raise too_much(
                self._place, f"has the tag {quote(tag)} of {len(tag)} characters; at most {LONGEST_TAG} are read."
            )
        if len(self._numbers) + len(self._texts) >= MOST_TAGS:
            raise too_much(self._place, f"has more than {MOST_TAGS} tags.")
        return array("q"), values

    def _change(self, tag: str, step: int, values: MutableSequence, value: float | str) -> None:
        last = values[-1]
        if value != last and (value == value or last == last):  # NaN differs from itself
            _count(self._changed, tag, step)
            values[-1] = value

    def _take_back(self, tag: str, steps: array, values: MutableSequence, step: int) -> int:
        """How many entries are gone."""
        pair = steps[-1], step
        if pair in self._restarts:
            first, others = self._restarts[pair]
            self._restarts[pair] = first, others + (first != tag)
        elif len(self._restarts) < MOST_RESTARTS:
            self._restarts[pair] = tag, 0
        else:
            self._uncounted += 1
        kept = bisect_left(steps, step)
        gone = len(steps) - kept
        del steps[kept:], values[kept:]
        return gone

    def corrections(self) -> list[str]:
        """What was replaced or left out: at most 20 lines, then how many more there are."""
        lines = [*self._notes, *(_restart_line(*pair, *noted) for pair, noted in self._restarts.items())]
        for tag, (step, times) in self._changed.items():
            what = f"another value at the same step {_times(times)}, first at step {step}; the last was kept"
            lines.append(f"same step: {quote(tag)} had {what}")
        for tag, (step, times) in self._left_out.items():
            what = f"text of more than {LONGEST_TEXT} characters"
            lines.append(f"long text: {quote(tag)} had a {what} {_times(times)}, first at step {step}; left out")
        more = len(lines[MOST_CORRECTIONS:]) + self._uncounted
        return lines[:MOST_CORRECTIONS] + ([f"… {more} more"] if more else [])

    @property
    def changes(self) -> int:
        """How often a tag had another value at its own last step."""
        return sum(times for _, times in self._changed.values())

    def tags(self) -> dict[str, int]:
        """How many values each tag has: those with numbers first, each kind in the order of the log."""
        counts = {tag: len(steps) for tag, (steps, _) in self._numbers.items()}
        for tag, (steps, _) in self._texts.items():
            counts[tag] = counts.get(tag, 0) + len(steps)
        return {tag: count for tag, count in counts.items() if count}

    def steps(self, tag: str) -> Sequence[int]:
        """The steps at which a tag has a value, rising; none for an unknown tag."""
        columns = self._columns(tag)
        return columns[0][0] if len(columns) == 1 else sorted({step for steps, _ in columns for step in steps})

    def _columns(self, tag: str) -> list[tuple[array, Sequence]]:
        """The texts of a tag, then its numbers, which win where a step has both."""
        return [kind[tag] for kind in (self._texts, self._numbers) if tag in kind]

    def rows(self, tags: Iterable[str]) -> Iterator[tuple[int, dict[str, float | str]]]:
        """Each step, rising, at which one of these tags has a value, with the values of that step by tag."""
        columns = [(tag, *column) for tag in dict.fromkeys(tags) for column in self._columns(tag)]
        streams = (zip(steps, repeat(i), values) for i, (_, steps, values) in enumerate(columns))  # i: no tie is left
        at, row = 0, {}
        for step, i, value in merge(*streams):
            if step != at and row:
                yield at, row
                row = {}
            at = step
            row[columns[i][0]] = value
        if row:
            yield at, row


def too_much(place: str, found: str) -> InputError:
    """E1340: a log holds more than is read."""
    return InputError.at("E1340", place, found, "Give the log of one run, with fewer of them.")


def _count(noted: dict[str, tuple[int, int]], tag: str, step: int) -> None:
    first, times = noted.get(tag, (step, 0))
    noted[tag] = first, times + 1


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _restart_line(last: int, step: int, tag: str, others: int) -> str:
    names = quote(tag) + (f" and {others} more" if others else "")
    return f"restart: {names} went back from step {last} to {step}; steps {step} to {last} were replaced"
