"""Results in sentences: the answer at the top, and what each figure shows, for who reads it instead of seeing it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import pandas as pd

from perfmodel.cost.estimate import merge_bases
from perfmodel.report.html.element import Element, Node
from perfmodel.report.style import precision_label
from perfmodel.report.text import duration, milliseconds, percent, ratio, rounded_interval, span, supported, widest
from perfmodel.simulate import Comparison, RunCost, StepCost
from perfmodel.units import TERA

MOST_NAMED = 6  # things in a list of words
NOT_MODELLED = ("measured", "simulated", "published", "given")  # bases of numbers
UNIT = re.compile(r"(?<=[0-9]) (?=(?:h|min|s|ms|%)\b|%|…)")


def answer(name: str, comparison: Comparison) -> tuple[Node, ...]:
    """How long a run takes, and how much faster it is than FP32 and than mixed precision."""
    runs, fp32, mixed = comparison.runs, comparison.fp32, comparison.mixed
    modelled = _modelled(merge_bases(*(run.basis for run in runs)))
    known = rounded_interval(duration, *widest(run.interval() for run in runs))
    took = f" takes {_took(runs)} ({modelled}{f', 90 %: {known}' if known else ''}): "
    return (
        Element("b", name), f": {runs[0].title} on {comparison.network.name}", _kept_together(took),
        *_times_as_fast(runs, fp32), _kept_together(f" as fast as FP32 ({_took([fp32])}), "),
        *_times_as_fast(runs, mixed), _kept_together(f" as fast as mixed precision ({_took([mixed])})."),
    )  # fmt: skip


def _modelled(basis: str) -> str:
    """Whether a time is measured, in a word or a few."""
    parts = basis.split("+")
    known = [part for part in parts if part in NOT_MODELLED]
    return " and ".join([*known, *(["modelled"] if len(known) < len(parts) else [])])


def _times_as_fast(runs: Sequence[RunCost], other: RunCost) -> tuple[Node, ...]:
    """The speedup, heavy, and its interval where it is known."""
    ends = widest(run.speedup_interval(other) for run in runs)
    faster = span(supported(ratio, *ends), *reversed(_ends(other.seconds / run.seconds for run in runs)))
    known = rounded_interval(ratio, *ends)
    return Element("b", _kept_together(faster)), _kept_together(f" [{known}]") if known else None


def _kept_together(text: str) -> str:
    """Text in which no line ends between a number and its unit, or before the dots of a range."""
    return UNIT.sub("\N{NO-BREAK SPACE}", text)


def _took(runs: Sequence[RunCost]) -> str:
    """The time of a run, or the range of several, with the digits that the interval supports."""
    show = supported(duration, *widest(run.interval() for run in runs))
    return span(show, *_ends(run.seconds for run in runs))


def speedups_alt(frame: pd.DataFrame) -> str:
    """What the bars of speedups show: the frame is `speedup_frame`'s."""
    rows = frame[frame["training"] != "FP32"]
    words = [
        f"{row.trace}, {row.training}: {span(ratio, row.speedup_high, row.speedup_low)}"
        for row in rows.head(3 * MOST_NAMED).itertuples()
    ]
    return f"Bars of speedups against FP32. {'; '.join(words)}{'; …' if len(rows) > len(words) else ''}."


def timeline_alt(name: str, comparison: Comparison, formats: Iterable[str]) -> str:
    """What a run's timeline shows."""
    fp32, mixed, runs = comparison.fp32, comparison.mixed, comparison.runs
    labels = list(dict.fromkeys(map(precision_label, formats)))
    through = ", ".join(labels[:MOST_NAMED]) + (", …" if len(labels) > MOST_NAMED else "")
    return (
        f"{name} epoch by epoch: above the precision ({through}), below the hours so far. The run ends after "
        f"{_took(runs)} and {runs[0].epochs} epochs, FP32 after {_took([fp32])}, mixed precision after "
        f"{_took([mixed])}."
    )


def breakdown_alt(steps: dict[str, StepCost]) -> str:
    """What the breakdown by layer shows: the step's time in each precision, and its heaviest layer."""
    words = []
    for name, step in steps.items():
        layers = pd.Series(step.seconds, [work.layer for work in step.works]).groupby(level=0).sum()
        share = percent(layers.max() / layers.sum()) if layers.sum() else "0 %"
        words.append(f"{name} {milliseconds(step.total.seconds)} ms, most of it {layers.idxmax()} ({share})")
    return f"Bars of milliseconds for each layer, by pass and kind of work. Whole steps: {'; '.join(words)}."


def roofline_alt(points: pd.DataFrame, roofs: pd.DataFrame) -> str:
    """What the roofline shows: how far from their roofs the GEMMs are, and how many memory bounds."""
    words = []
    ridges = roofs.set_index("precision")["ridge_flop_per_byte"]
    gemms = points[points["flop"] > 0]
    for precision, mine in gemms.groupby("precision", sort=False):
        reached = mine["flop"].sum() / mine["time_s"].sum() if mine["time_s"].sum() else 0.0
        bound = (mine["intensity_flop_per_byte"] < mine["kernel_precision"].map(ridges)).sum()
        words.append(
            f"{precision}: {reached / TERA:.3g} TFLOP/s over all GEMMs, {bound} of {len(mine)} left of the ridge, "
            "where memory bounds them"
        )
    return f"GEMMs by arithmetic intensity and FLOP/s under the device's roofs. {'; '.join(words)}."


def conversions(runs: Iterable[RunCost]) -> str:
    """Which share of a run converts numbers; of several that it may have been, from the least to the greatest."""
    return span(percent, *_ends(run.overhead_s / run.seconds if run.seconds else 0.0 for run in runs))


def _ends(values: Iterable[float]) -> tuple[float, float]:
    found = list(values)
    return min(found), max(found)
