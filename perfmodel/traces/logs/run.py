"""What a log says of a run, and the trace that it makes together with what the user says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from perfmodel.errors import InputError
from perfmodel.traces.logs.given import Given
from perfmodel.traces.logs.header import Fact, Header, Said
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.precision import PassPrecision
from perfmodel.traces.trace import Segment, Trace
from perfmodel.traces.values import within
from perfmodel.units import ceil_div

MOST_NOTES = 200  # corrections of one trace; after these the rest is counted
MOST_FILES = 100  # that the source names

__all__ = ["Fact", "Run", "Said", "Stretch", "make_trace", "shortened"]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive iterations of one epoch in one precision, as a log tells them.

    None stands for what the log does not say: `iterations` is then all that is left of the epoch.
    """

    epoch: int
    precision: PassPrecision | None = None
    iterations: int | None = None
    lr: float | None = None
    gradient_diversity: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    inferred: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """A run as its log tells it, the epochs of its stretches rising.

    `facts` may hold network, dataset, scheme, samples, batch, precision (a `PassPrecision`), title and notes.
    `baseline_epochs` as in `Trace`.
    """

    reader: str
    files: tuple[LogFile, ...]
    stretches: tuple[Stretch, ...]
    facts: Mapping[str, Fact] = field(default_factory=dict)
    scheme_params: Mapping[str, Any] = field(default_factory=dict)
    corrections: tuple[str, ...] = ()
    inferred: tuple[str, ...] = ()
    baseline_epochs: int | None = None

    @property
    def place(self) -> str:
        """The log's path, for messages."""
        return self.files[0].place


def make_trace(run: Run, given: Given) -> Trace:
    """The trace of a run.

    Raises `InputError`: E1311 where epochs have more iterations than samples allow, E1321 for each thing that neither
    says, E1330 where no epoch was trained, E1331 where the precision changes within an epoch whose iterations are not
    known, else as `Trace`.
    """
    if not run.stretches:
        raise InputError.at("E1330", f"{run.place}:", "no epoch is in it.", "Give the log of a run that trained.")
    header = Header(run.place, run.reader, run.facts, given)
    network, dataset, batch = (header.value(key) for key in ("network", "dataset", "batch"))
    precisions = header.precisions((stretch.epoch, stretch.precision) for stretch in run.stretches)
    samples = header.samples(((stretch.epoch, stretch.iterations) for stretch in run.stretches), batch)
    scheme = header.scheme(precisions)
    if header.problems:
        raise InputError(header.problems)
    stretches = [
        replace(stretch, precision=precision) for stretch, precision in zip(run.stretches, precisions, strict=True)
    ]
    if given.precision is not None:
        stretches = _joined(stretches)
    _check_changes(stretches, run.place)
    _check_counts(stretches, samples, batch, run.place)
    if any(stretch.iterations is None for stretch in stretches):
        whole = ceil_div(samples, batch)
        found = f"{whole} iterations an epoch: ceil({samples} / {batch}), the last batch not dropped"
        header.corrections.append(f"{run.place} {found}; the log does not say how many")
    with within(f"{run.place}: "):
        return Trace(
            network=network,
            dataset=dataset,
            scheme=scheme,
            samples=samples,
            batch=batch,
            segments=_segments(stretches, ceil_div(samples, batch)),
            source=_source(run),
            scheme_params=run.scheme_params,
            corrections=shortened(_by_name((*run.corrections, *header.corrections), run.files)),
            inferred=shortened((*run.inferred, *header.inferred)),
            baseline_epochs=run.baseline_epochs,
            title=header.text("title"),
            notes=header.text("notes"),
        )


def _joined(stretches: Sequence[Stretch]) -> list[Stretch]:
    """One stretch for each epoch, all of one precision."""
    joined: list[Stretch] = []
    for stretch in stretches:
        if joined and joined[-1].epoch == stretch.epoch:
            joined[-1] = _join(joined[-1], stretch)
        else:
            joined.append(stretch)
    return joined


def _join(before: Stretch, after: Stretch) -> Stretch:
    counted = before.iterations is not None and after.iterations is not None
    return replace(
        after,
        iterations=before.iterations + after.iterations if counted else None,
        lr=before.lr if after.lr is None else after.lr,
        gradient_diversity={**before.gradient_diversity, **after.gradient_diversity},
        metrics={**before.metrics, **after.metrics},
        inferred=before.inferred or after.inferred,
    )


def _check_counts(stretches: Sequence[Stretch], samples: int, batch: int, place: str) -> None:
    whole, epochs = ceil_div(samples, batch), Counter()
    for stretch in stretches:
        epochs[stretch.epoch] += stretch.iterations or 0
    over = [epoch for epoch, iterations in epochs.items() if iterations > whole]
    if over:
        found = f"epoch {over[0]} has {epochs[over[0]]} iterations by the log"
        found += f" (and so {len(over) - 1} more)" * (len(over) > 1)
        found += f"; {samples} samples in batches of {batch} make {whole}."
        raise InputError.at("E1311", f"{place}:", found, "Correct --samples or --batch: those of one optimiser step.")


def _check_changes(stretches: Sequence[Stretch], place: str) -> None:
    for stretch, after in pairwise(stretches):
        if stretch.iterations is None and after.epoch == stretch.epoch:
            found = f"the precision changes within epoch {stretch.epoch}, and the log does not say at which iteration."
            fix = "Give --map step=KEY, or convert a finer log."
            raise InputError.at("E1331", f"{place}:", found, fix)


def _segments(stretches: Sequence[Stretch], whole: int) -> tuple[Segment, ...]:
    done, epoch, segments = 0, -1, []
    for stretch in stretches:
        done = done if stretch.epoch == epoch else 0
        epoch, iterations = stretch.epoch, stretch.iterations
        if iterations is None:
            iterations = max(1, whole - done)
        done += iterations
        segments.append(
            Segment(
                epoch, iterations, stretch.precision, stretch.lr, stretch.gradient_diversity, stretch.metrics,
                inferred=stretch.inferred,
            )
        )  # fmt: skip
    return tuple(segments)


def _source(run: Run) -> dict[str, Any]:
    files = [{"path": file.name, "sha256": file.sha256()} for file in run.files[:MOST_FILES]]
    source = {"reader": run.reader, **files[0]}
    return source | ({"with": files[1:]} if files[1:] else {})


def _by_name(notes: tuple[str, ...], files: Sequence[LogFile]) -> tuple[str, ...]:
    """The notes with the names of files instead of their paths, which are nobody's business in a trace."""
    paths = {file.place: file.name for file in files if file.place != file.name}
    for path, name in sorted(paths.items(), key=lambda item: -len(item[0])):
        notes = tuple(note.replace(path, name) for note in notes)
    return notes


def shortened(notes: tuple[str, ...]) -> tuple[str, ...]:
    """The first notes, and how many more there are."""
    left = len(notes) - MOST_NOTES
    return notes if left <= 0 else (*notes[:MOST_NOTES], f"… {left} more")
