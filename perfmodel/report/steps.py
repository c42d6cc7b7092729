"""The training steps of runs, equal ones once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from perfmodel.simulate import Comparison, RunCost, StepCost

MOST_FORMATS = 4  # named of a step that several formats share


def distinct_steps(comparisons: Sequence[Comparison]) -> dict[str, StepCost]:
    """The steps of these runs and their baselines on one network, baselines first, by what they are called.

    Steps of equal cost are one, called by the formats of all of them: `dfx12, dfx14`. Those of mixed precision are
    called `mixed fp16`.
    """
    found: list[tuple[StepCost, list[str]]] = []
    for kind, run in ((kind, run) for one in comparisons for kind, run in _runs(one)):
        for formats, step in run.steps.items():
            labels = next((labels for known, labels in found if _equal(known, step)), None)
            if labels is None:
                found.append((step, labels := []))
            if (label := kind + formats.label) not in labels:
                labels.append(label)
    steps: dict[str, StepCost] = {}
    for step, labels in found:
        name = ", ".join(labels[:MOST_FORMATS]) + (" …" if len(labels) > MOST_FORMATS else "")
        steps[name if name not in steps else f"{name} ({len(steps)})"] = step
    return steps


def _runs(comparison: Comparison) -> list[tuple[str, RunCost]]:
    """A comparison's runs, and what is said of each before its formats."""
    return [("", comparison.fp32), ("mixed ", comparison.mixed), *(("", run) for run in comparison.runs)]


def _equal(one: StepCost, other: StepCost) -> bool:
    return one is other or (len(one.works) == len(other.works) and np.array_equal(one.seconds, other.seconds))
