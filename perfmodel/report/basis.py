"""Where the numbers of a result come from, in words: measured, simulated, modelled, or given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isnan

from perfmodel.cost.estimate import merge_bases
from perfmodel.report.text import milliseconds, percent, rounded_interval
from perfmodel.simulate import RunCost, StepCost

MODELLED = ("calibrated", "analytical", "roofline")
INTERVAL_NOTE = (
    "90 %: where times of such kernels lie nine times in ten, by how wrong the model was where it was checked "
    "(docs/accuracy.md), or by a profile's own scatter. What moves together adds up; in a ratio it cancels."
)
ROUNDED_NOTE = "Values end at the second digit of half their interval's width."


def interval_notes(intervals: Iterable[tuple[float, float]], rounded: bool = False) -> list[str]:
    """What the column "90 %" is, and whether values are `rounded` to it; nothing where none of these is known."""
    if all(isnan(low) for low, _ in intervals):
        return []
    return [f"{INTERVAL_NOTE} {ROUNDED_NOTE}" if rounded else INTERVAL_NOTE]


def totals_note(steps: Mapping[str, StepCost]) -> list[str]:
    """The 90 % intervals of whole steps in words, for pictures that do not draw them; nothing where none is known."""
    ends = {name: rounded_interval(milliseconds, *step.interval()) for name, step in steps.items()}
    known = [f"{name} {text} ms" for name, text in ends.items() if text is not None]
    return [f"Whole steps, 90 % interval: {', '.join(known)}."] if known else []


def source_words(basis: str) -> str:
    """How a figure's note begins: what its numbers are, and what they are not.

    >>> source_words("analytical"), source_words("measured"), source_words("simulated+analytical")
    ('Modelled, not measured', 'Measured', 'Simulated and modelled, not measured')
    """
    parts = merge_bases(basis).split("+")
    words = list(dict.fromkeys("modelled" if part in MODELLED else part for part in parts))
    return _listed(words).capitalize() + (", not measured" if "measured" not in parts else "")


def step_parts(steps: Iterable[StepCost]) -> list[tuple[StepCost, float]]:
    """Each step once: what `coverage_note` wants of a breakdown."""
    return [(step, 1.0) for step in steps]


def run_parts(runs: Iterable[RunCost]) -> list[tuple[StepCost, float]]:
    """The steps of runs, and in how many iterations each is taken: what `coverage_note` wants of a speedup table."""
    return [(run.steps[s.formats], float(s.iterations)) for run in runs for s in run.segments]


def coverage_note(parts: Iterable[tuple[StepCost, float]]) -> str:
    """How many distinct kernels have a number of which basis, and which share of the time that is.

    `parts` are steps and how often each is taken. Given times (of conversions) are no kernels, but take their share.
    """
    kernels: dict[object, str] = {}
    seconds: dict[str, float] = {}
    for step, times in parts:
        for work, basis, taken in zip(step.works, step.prices.basis, step.seconds.tolist(), strict=True):
            seconds[basis] = seconds.get(basis, 0.0) + taken * times
            if work.is_kernel:
                kernels[work.kernel] = basis
    counts = {basis: list(kernels.values()).count(basis) for basis in _ordered(kernels.values())}
    if len(counts) == 1:
        (basis,) = counts
        text = f"All {len(kernels)} distinct kernels are {basis}"
    else:
        words = (f"{count} {'is' if count == 1 else 'are'} {basis}" for basis, count in counts.items())
        text = f"Of {len(kernels)} distinct kernels {_listed(words)}"
    if len(seconds) == 1:
        return f"{text}."
    total = sum(seconds.values())
    shares = (f"{percent(seconds[basis] / total)} {basis}" for basis in _ordered(seconds))
    return f"{text}; of the time shown {_listed(shares)}."


def _ordered(bases: Iterable[str]) -> list[str]:
    return [part for part in merge_bases(*bases).split("+") if part]


def _listed(words: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
