"""Who was fitted on what: no judgement is passed on rows, shapes or devices that the fit has seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from perfmodel.validate.problems import Guess, Lesson, Question

Model = Callable[[Question], Guess | None]  # None: what it was fitted on says nothing of this
Fit = Callable[[Sequence[Lesson]], Model]


class Leak(AssertionError):
    """A model is about to be judged on what it was fitted on: a mistake in the program, not of a user."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted model with what it was fitted on: (kind, line) of each row, (kind, shape), and names of devices.

    `devices` are those whose timings shaped the constants that came with the program, not those of the lessons.
    """

    name: str
    model: Model
    rows: frozenset[tuple[str, int]]
    shapes: frozenset[tuple[str, int]]
    devices: frozenset[str]


@dataclass(slots=True)
class Ledger:
    """The only way from lessons to a model, and from a model to a guess; counts what it has seen."""

    fits: int = 0
    judgements: int = 0
    fitted_rows: set[tuple[str, int]] = field(default_factory=set)

    def fit(self, name: str, fit: Fit, lessons: Sequence[Lesson], devices: frozenset[str] = frozenset()) -> Fitted:
        """Fit on these lessons; it is written down which they were."""
        rows, shapes = set(), set()
        for lesson in lessons:
            rows |= row_ids(lesson)
            shapes |= shape_ids(lesson)
        self.fits += bool(rows)
        self.fitted_rows |= rows
        return Fitted(name, fit(lessons), frozenset(rows), frozenset(shapes), devices)

    def judge(self, fitted: Fitted, question: Question) -> Guess | None:
        """What the model says of the question; `Leak` where any of it was fitted on.

        A shape counts as seen on whatever device, and in whatever precision or pass, it was.
        """
        if seen := fitted.rows & row_ids(question):
            raise Leak(f"{fitted.name}: fitted on {len(seen)} of the rows it is judged on, such as {min(seen)}")
        if seen := fitted.shapes & shape_ids(question):
            raise Leak(f"{fitted.name}: fitted on {len(seen)} of the shapes it is judged on, such as {min(seen)}")
        if question.problems.device.name in fitted.devices:
            raise Leak(f"{fitted.name}: its constants come from {question.problems.device.name} itself")
        self.judgements += 1
        guess = fitted.model(question)
        if guess is None:
            return None
        if not (len(guess.seconds) == len(question) and np.isfinite(guess.seconds).all() and (guess.seconds > 0).all()):
            raise AssertionError(f"{fitted.name}: a guess is missing, or no time")
        return guess


def row_ids(part: Lesson | Question) -> set[tuple[str, int]]:
    """Kind and line of each row: who it is."""
    return {(part.problems.kind, line) for line in part.problems.lines[part.at].tolist()}


def shape_ids(part: Lesson | Question) -> set[tuple[str, int]]:
    """Kind and number of each shape."""
    return {(part.problems.kind, shape) for shape in part.problems.shapes[part.at].tolist()}
