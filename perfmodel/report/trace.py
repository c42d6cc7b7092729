"""A trace as tables: its head and its stretches for people, one flat row for each segment for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from perfmodel.report.stretches import Stretch, chosen_metrics, stretches
from perfmodel.report.table import Table, cut
from perfmodel.report.trace_frame import PASSES, trace_frame
from perfmodel.traces import Trace
from perfmodel.units import ceil_div, grouped

ENDS = 20  # stretches, corrections and gaps that are shown at each end of a long list
RAW_SUFFIXES = (".csv", ".json")
MOST_METRICS = 4  # of a row of the stretches' table
LONGEST_HEADER = 30  # characters of a metric's name above its column


def trace_tables(name: str, trace: Trace, suffix: str = ".txt") -> list[Table]:
    """What a file of this suffix shows of a trace: its head and its stretches.

    Files for programs hold every segment instead: `.csv` alone, `.json` behind the head.
    Raises `OutputError` (E1908) as `trace_frame`.
    """
    if suffix not in RAW_SUFFIXES:
        return [head_table(name, trace), stretches_table(trace)]
    segments = Table("Segments", trace_frame(trace))
    return [segments] if suffix == ".csv" else [head_table(name, trace), segments]


def head_table(name: str, trace: Trace) -> Table:
    """What was trained and how long; in the notes the source, what is missing, what was corrected and inferred."""
    row = {
        "network": trace.network, "dataset": trace.dataset, "scheme": trace.scheme, "samples": trace.samples,
        "batch": trace.batch, "iterations_per_epoch": ceil_div(trace.samples, trace.batch), "epochs": trace.epochs,
        "iterations": trace.iterations,
    }  # fmt: skip
    headers = {column: column.replace("_per_", "/") for column in row}
    show = dict.fromkeys(("samples", "iterations_per_epoch", "iterations"), grouped)
    title = f"{trace.title}: {name}" if trace.title else name
    return Table(title, pd.DataFrame([row]), show, headers, tuple(trace_notes(trace)))


def trace_notes(trace: Trace) -> Iterator[str]:
    """The source of a trace in words, then a line for each gap, correction and inference that it tells of."""
    yield f"Source: {source_text(trace.source)}."
    if trace.gaps:
        yield f"Missing: {_epochs(trace.gaps)}."
    if trace.partial:
        yield f"Fewer iterations than the samples make: {_epochs([(epoch, epoch) for epoch in trace.partial])}."
    yield from _listed("Inferred", trace.inferred)
    yield from _listed("Corrected", trace.corrections)
    if trace.notes:
        yield trace.notes


def source_text(source: Mapping[str, Any]) -> str:
    """The source of a trace on one line, tables and lists in it as words.

    >>> source_text({"reader": "muppet-log", "files": [{"path": "log.csv", "bytes": 7}, "config.ini"]})
    'reader: muppet-log; files: path log.csv bytes 7, config.ini'
    """
    return "; ".join(f"{key}: {_words(value)}" for key, value in source.items())


def _words(value: object) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{key} {_words(item)}" for key, item in value.items())
    return ", ".join(map(_words, value)) if isinstance(value, (list, tuple)) else str(value)


def _listed(word: str, texts: Sequence[str]) -> Iterator[str]:
    """One line each, beginning with `word`; of many only the first."""
    yield from (f"{word}: {text.removeprefix(f'{word.lower()}: ')}" for text in texts[:ENDS])
    if len(texts) > ENDS:
        yield f"… {grouped(len(texts) - ENDS)} more."


def _epochs(runs: Sequence[tuple[int, int]]) -> str:
    """`epoch 3`, or `epochs 1, 3-5`; after twenty an ellipsis."""
    texts = [epoch_range(*run) for run in runs[:ENDS]]
    return f"epoch{'' if texts == [str(runs[0][0])] else 's'} {', '.join(texts)}{', …' * (len(runs) > ENDS)}"


def epoch_range(first: int, last: int) -> str:
    """One epoch or several.

    >>> epoch_range(3, 3), epoch_range(0, 5)
    ('3', '0-5')
    """
    return str(first) if first == last else f"{first}-{last}"


def stretches_table(trace: Trace) -> Table:
    """A row for each stretch of one precision: epochs, iterations, formats, learning rate, values at its end.

    At most four metrics, as `chosen_metrics` picks them, each with the last value known in the stretch. Passes have a
    column each only where they differ somewhere, master weights and values of the log only where there are any. Of
    more than forty stretches the first and last twenty are shown.
    """
    found = stretches(trace)
    metrics = chosen_metrics(trace, MOST_METRICS)
    keys = {name: f"metrics_{name}" for name in metrics}
    begins = np.cumsum([0, *(stretch.iterations for stretch in found)]).tolist()
    ends = [*range(len(found))[:ENDS], *range(len(found))[max(ENDS, len(found) - ENDS) :]]
    rows = [{"from_iteration": begins[i], **_stretch_row(found[i], keys)} for i in ends]
    if len(found) > 2 * ENDS:
        rows.insert(ENDS, {"epochs": f"… {grouped(len(found) - 2 * ENDS)} more"})
    frame = pd.DataFrame(rows)
    frame = frame.astype({"iterations": "Int64", "from_iteration": "Int64"})
    shared = any(a.epochs[1] == b.epochs[0] for a, b in pairwise(found))
    headers = _stretch_headers(trace, frame, shared) | {key: cut(name, LONGEST_HEADER) for name, key in keys.items()}
    show: dict[str, Callable] = dict.fromkeys(("gd_ratio", "gd_threshold", *keys.values()), short_number)
    show = {key: of for key, of in show.items() if key in headers}
    show |= {"iterations": grouped, "from_iteration": grouped}
    title = "Precision over epochs" if len(found) > 1 else "Precision"
    return Table(title, frame, show, headers, _stretch_notes(headers))


def _stretch_row(stretch: Stretch, keys: Mapping[str, str]) -> dict[str, Any]:
    precision = stretch.precision
    row = {
        "epochs": epoch_range(*stretch.epochs), "iterations": stretch.iterations,
        **{f"precision_{key}": "|".join(getattr(precision, key)) for key in PASSES},
        "precision_master": precision.master, "lr": _lr(*stretch.lr),
        "layers": len(stretch.segments[0].layers) or None, "inferred": stretch.segments[0].inferred,
        "gd_ratio": stretch.last("gradient_diversity", "ratio"),
        "gd_threshold": stretch.last("gradient_diversity", "threshold"),
    }  # fmt: skip
    return row | {key: stretch.last("metrics", name) for name, key in keys.items()}


def _stretch_headers(trace: Trace, frame: pd.DataFrame, shared: bool) -> dict[str, str]:
    """The columns that say something; `shared` is whether some epoch holds several stretches."""
    headers = {"epochs": "epochs"} | ({"from_iteration": "from iteration"} if shared else {})
    headers |= {"iterations": "iterations", "precision_fprop": "precision"}
    if any(s.precision.fprop != s.precision.dgrad or s.precision.fprop != s.precision.wgrad for s in trace.segments):
        headers |= {f"precision_{key}": key for key in PASSES}
    optional = {
        "precision_master": "master", "layers": "layers that differ", "lr": "lr", "gd_ratio": "gd ratio",
        "gd_threshold": "gd threshold",
    }  # fmt: skip
    headers |= {key: header for key, header in optional.items() if frame[key].notna().any()}
    return headers | ({"inferred": "inferred"} if any(s.inferred for s in trace.segments) else {})


def _stretch_notes(headers: Mapping[str, str]) -> tuple[str, ...]:
    ends = [header for key, header in headers.items() if key.startswith(("gd_", "metrics_"))]
    return ("Metrics and gradient diversity: the last value known in the stretch.",) if ends else ()


def _lr(first: float | None, last: float | None) -> str | None:
    """A learning rate, or the first and the last one."""
    texts = dict.fromkeys(short_number(rate) for rate in (first, last) if rate is not None)
    return " to ".join(texts) or None


def short_number(value: float) -> str:
    """A value with four significant digits.

    >>> short_number(37.5), short_number(2.2498204), short_number(0.0001)
    ('37.5', '2.25', '0.0001')
    """
    return f"{float(value):.4g}"
