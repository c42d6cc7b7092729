"""What accuracy a run reached, and how long the modelled device would take to get there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import floor, nan

import pandas as pd

from perfmodel.report.table import Table
from perfmodel.report.text import duration, rounded_interval, span, supported, widest
from perfmodel.simulate import Comparison
from perfmodel.traces import Trace

# Names of accuracies on data that was not trained on, most wanted first; case, `/`, `-` and `.` do not matter.
NAMES = (
    "test_accuracy", "test_acc", "test_top1", "val_accuracy", "val_acc", "val_top1", "validation_accuracy",
    "eval_accuracy", "eval_acc", "eval_top1",
)  # fmt: skip
PERCENT = ("perfmodel train",)  # readers whose accuracies are percent however small
HEADERS = {
    "trace": "trace", "data": "data", "training": "training", "best": "best, %", "best_epoch": "in epoch",
    "final": "last, %", "epochs": "epochs", "time": "time", "target": "target, %", "target_epoch": "reached in",
    "target_time": "time to it", "target_interval": "90 %",
}  # fmt: skip
COLUMNS = (
    "accuracy_metric", "best_accuracy", "best_epoch", "last_accuracy", "target_accuracy", "target_epoch",
    "target_low_s", "target_high_s", "target_interval_low_s", "target_interval_high_s",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Accuracies:
    """The accuracy at the end of each epoch (from 0) that has one, in percent; `metric` is the log's name of it.

    `shares` says that the log has it from 0 to 1.
    """

    metric: str
    by_epoch: Mapping[int, float]
    shares: bool

    @property
    def best(self) -> tuple[int, float]:
        """The first epoch with the highest accuracy, and that."""
        return max(self.by_epoch.items(), key=lambda one: (one[1], -one[0]))

    @property
    def last(self) -> float:
        """That of the last epoch that has one."""
        return self.by_epoch[max(self.by_epoch)]

    def reached(self, target: float) -> int | None:
        """The first epoch at whose end the accuracy is at least so many percent; None where none is."""
        return next((epoch for epoch, found in sorted(self.by_epoch.items()) if found >= target), None)


def accuracies(trace: Trace) -> Accuracies | None:
    """The trace's accuracy on test or validation data, by the first of `NAMES` that it has; None where it has none.

    Where no value is above 1 they are shares, but for logs that are known to have percent. A metric with a value that
    is neither a share nor a percentage is not used.
    """
    found: dict[str, dict[int, float]] = {}
    for segment in trace.segments:
        for metric, value in segment.metrics.items():
            found.setdefault(metric, {})[segment.epoch] = value
    return next(_usable(trace, found), None)


def _usable(trace: Trace, found: Mapping[str, Mapping[int, float]]) -> Iterator[Accuracies]:
    """The accuracies among the metrics, most wanted first; of two spellings of a name, the one in `NAMES` first."""
    for name in NAMES:
        for metric in sorted((m for m in found if re.sub(r"[/.\-]", "_", m.lower()) == name), key=lambda m: m != name):
            values = found[metric]
            shares = max(values.values()) <= 1 and trace.source.get("reader") not in PERCENT
            percent = {epoch: 100 * value if shares else value for epoch, value in values.items()}
            if min(percent.values()) >= 0 and max(percent.values()) <= 100:
                yield Accuracies(metric, percent, shares)


def accuracy_frame(names: Sequence[str], comparisons: Sequence[Comparison], target: float | None) -> pd.DataFrame:
    """One row for each trace with an accuracy: `trace`, `training`, `network`, `dataset`, `epochs`, `COLUMNS` …

    The index says which of the traces it is, from 0.

    `target` [%] counts for all; without one, of traces of the same network and data, the lowest of their best.
    """
    pairs = [(name, one, accuracies(one.trace)) for name, one in zip(names, comparisons, strict=True)]
    known = [(name, one, found) for name, one, found in pairs if found]
    numbers = [number for number, (_, _, found) in enumerate(pairs) if found]
    targets: dict[tuple[str, str], float] = {}
    for _, one, found in known:
        key = one.network.name, one.trace.dataset
        targets[key] = min(targets.get(key, found.best[1]), found.best[1])
    aims = [targets[one.network.name, one.trace.dataset] if target is None else target for _, one, _ in known]
    rows = [_row(name, one, found, aim) for (name, one, found), aim in zip(known, aims, strict=True)]
    return pd.DataFrame(rows, index=numbers)


def _row(name: str, comparison: Comparison, found: Accuracies, target: float) -> dict:
    epoch = found.reached(target)
    ends = [] if epoch is None else [run.until(epoch) for run in comparison.runs]
    seconds = sorted(run.seconds for run in ends) or [nan]
    whole = sorted(run.seconds for run in comparison.runs)
    low, high = widest(run.interval() for run in ends) if ends else (nan, nan)
    whole_low, whole_high = widest(run.interval() for run in comparison.runs)
    return {
        "trace": name, "training": comparison.runs[0].title, "network": comparison.network.name,
        "dataset": comparison.trace.dataset, "epochs": comparison.runs[0].epochs,
        "time_low_s": whole[0], "time_high_s": whole[-1],
        "time_interval_low_s": whole_low, "time_interval_high_s": whole_high,
        "accuracy_metric": found.metric + " (share)" * found.shares, "best_accuracy": found.best[1],
        "best_epoch": found.best[0], "last_accuracy": found.last, "target_accuracy": target, "target_epoch": epoch,
        "target_low_s": seconds[0], "target_high_s": seconds[-1],
        "target_interval_low_s": low, "target_interval_high_s": high,
    }  # fmt: skip


def accuracy_table(frame: pd.DataFrame, title: str, chosen: bool = False) -> Table:
    """The frame as people read it; `chosen` says that the user gave the target."""
    shown = frame[["trace", "training", "epochs"]].copy()
    for column, raw in (("best", "best_accuracy"), ("final", "last_accuracy"), ("target", "target_accuracy")):
        shown[column] = [_down(value) for value in frame[raw]]
    shown["best_epoch"] = [str(epoch) for epoch in frame["best_epoch"]]
    reached = frame["target_epoch"].notna()
    shown["target_epoch"] = [
        f"epoch {epoch:.0f}" if met else "not reached"
        for epoch, met in zip(frame["target_epoch"], reached, strict=True)
    ]
    shown["time"] = _times(frame, "time")
    shown["target_time"] = [text if met else None for text, met in zip(_times(frame, "target"), reached, strict=True)]
    shown["target_interval"] = [rounded_interval(duration, *both) for both in _ends(frame, "target_interval")]
    shown["data"] = [f"{row.network}, {row.dataset}" for row in frame.itertuples()]
    several = shown["data"].nunique() > 1
    headers = {name: text for name, text in HEADERS.items() if several or name != "data"}
    return Table(title, shown, {}, headers, _notes(frame, chosen))


def _down(accuracy: float) -> str:
    """Two decimals that the run did reach.

    >>> _down(99.1667), _down(99.17)
    ('99.16', '99.17')
    """
    return f"{floor(accuracy * 100 + 1e-6) / 100:.2f}"


def _ends(frame: pd.DataFrame, name: str) -> list[tuple[float, float]]:
    return list(zip(frame[f"{name}_low_s"], frame[f"{name}_high_s"], strict=True))


def _times(frame: pd.DataFrame, name: str) -> list[str | None]:
    """The time, or its range, of each row with the digits that its interval supports."""
    pairs = zip(_ends(frame, name), _ends(frame, f"{name}_interval"), strict=True)
    return [None if pd.isna(times[0]) else span(supported(duration, *both), *times) for times, both in pairs]


def _notes(frame: pd.DataFrame, chosen: bool) -> tuple[str, ...]:
    metrics = dict.fromkeys(frame["accuracy_metric"])
    if len(metrics) > 1:
        metrics = [f"{row.trace} {row.accuracy_metric}" for row in frame.itertuples()]
    return (
        "Epochs count from 0. The accuracy is what the training run logged, on data that it did not train on; the time "
        "is modelled, of the device above, and neither evaluation nor data loading is in it.",
        *([] if chosen else ["Target: the lowest of the best accuracies of traces with the same network and data."]),
        f"Accuracy: {', '.join(metrics)}. Values of which none is above 1 are taken as shares.",
    )
