"""Published timings as models meet them: what was timed is kept apart from how long it took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from perfmodel.cost.estimate import Gemms
from perfmodel.devices import Device
from perfmodel.gemm import Gemm

KINDS = ("gemm", "conv", "iteration")


@dataclass(frozen=True, slots=True)
class Iteration:
    """One iteration of a network as its source names it; `mode` is what it does, `xla` whether a compiler fused it."""

    source: str
    network: str
    precision: str
    mode: str
    batch: int
    xla: bool = False


@dataclass(frozen=True, eq=False)
class Problems:
    """What was timed by one source on one device, in one precision and pass; no times.

    `lines` are those of the rows in their file; rows of one number in `shapes` are the same problem, on whatever
    device and in whatever precision or pass, and lie in the same of the two `halves`.
    """

    kind: str
    source: str
    device: Device
    precision: str
    pass_: str
    kernels: tuple[Gemm | Iteration, ...]
    lines: np.ndarray
    shapes: np.ndarray
    halves: np.ndarray

    def __len__(self) -> int:
        return len(self.kernels)

    def by_layout(self, at: np.ndarray) -> list[tuple[np.ndarray, Gemms]]:
        """The GEMMs at these positions, those of one layout together: where in `at` they stand, and they."""
        layouts = np.array([self.kernels[i].layout for i in at])
        found = []
        for layout in dict.fromkeys(layouts.tolist()):
            chosen = np.flatnonzero(layouts == layout)
            gemms = Gemms.of([self.kernels[i] for i in at[chosen]])
            found.append((chosen, replace(gemms, layout=layout)))
        return found


@dataclass(frozen=True, eq=False)
class Series:
    """Problems and what they took; `tags` are what else the source says of each (its algorithm, padding)."""

    problems: Problems
    seconds: np.ndarray
    tags: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.seconds)

    def lesson(self, at: np.ndarray) -> Lesson:
        """The rows at these positions, times included, to fit on."""
        return Lesson(self.problems, at, self.seconds[at])

    def question(self, at: np.ndarray) -> Question:
        """The rows at these positions without their times, to judge on."""
        return Question(self.problems, at)


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """Some of the problems: what a fitted model is asked. It holds no times."""

    problems: Problems
    at: np.ndarray

    def __len__(self) -> int:
        return len(self.at)


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """Some of the problems with their times, and nobody else's: what a model is fitted on."""

    problems: Problems
    at: np.ndarray
    seconds: np.ndarray

    def __len__(self) -> int:
        return len(self.at)


@dataclass(frozen=True, slots=True)
class Guess:
    """Predicted seconds with the ends of their intervals, NaN where a model has none."""

    seconds: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, seconds: np.ndarray) -> Guess:
        """Seconds without intervals."""
        none = np.full(len(seconds), np.nan)
        return cls(seconds, none, none)


@dataclass(frozen=True, slots=True)
class Skipped:
    """Rows of a file that are not judged, and why."""

    kind: str
    source: str
    device: str
    precision: str
    rows: int
    reason: str


@dataclass(frozen=True, slots=True)
class DataSet:
    """What a folder of published timings holds: the series that are judged, and what is left out."""

    series: tuple[Series, ...]
    skipped: tuple[Skipped, ...]

    def __add__(self, other: DataSet) -> DataSet:
        return DataSet(self.series + other.series, self.skipped + other.skipped)


def number_shapes(shapes: Sequence[tuple]) -> np.ndarray:
    """A number for each shape, the same for equal ones, whatever the order of the rows.

    >>> number_shapes([(3, 5), (2, 7), (3, 5)]).tolist()
    [1, 0, 1]
    """
    numbers = {shape: i for i, shape in enumerate(sorted(set(shapes)))}
    return np.array([numbers[shape] for shape in shapes], dtype=np.int64)
