"""The recorder of a training run: what it is told about iterations and epochs becomes the lines of a trace."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from perfmodel.errors import InputError, Problem
from perfmodel.output import own_version
from perfmodel.record.logged import finite, passes, rate
from perfmodel.record.pending import NO_METRICS, Pending, checked_header, segment_line
from perfmodel.record.tracefile import TraceFile
from perfmodel.traces import PassPrecision, Segment, values
from perfmodel.traces.jsonl import format_header, format_segment
from perfmodel.units import ceil_div

Precision = str | PassPrecision | Mapping[str, Any]


class TraceWriter:
    """A trace file that is written while training runs; a context manager that closes.

    `samples` is how many training samples an epoch sees, `batch` how many an iteration sees: one step of the
    optimiser, over all devices and accumulated batches. `source` says where the trace comes from (this recorder,
    where it is not given). The header is on file at once; each segment as soon as it is complete, and at the latest
    after `flush_every` iterations. A file that exists is never overwritten: with `resume` it is gone on with, if its
    header is the same, and where training repeats an epoch of it, the file is cut back to before that epoch.

    Metrics and learning rates that are no finite numbers are left out. In forked processes nothing is ever written.

    Raises `InputError` (E1304, E1306, E1307) for a wrong value, and what `TraceFile.open` raises.
    """

    def __init__(
        self, path: str | os.PathLike, *, network: str, dataset: str, scheme: str, samples: int, batch: int,
        source: Mapping[str, Any] | None = None, scheme_params: Mapping[str, Any] | None = None,
        baseline_epochs: int | None = None, title: str = "", notes: str = "", resume: bool = False,
        flush_every: int = 1000,
    ):  # fmt: skip
        self.flush_every = values.whole("flush_every", flush_every, 1, 10**9)
        fields = checked_header(
            network=network, dataset=dataset, scheme=scheme, samples=samples, batch=batch,
            source={"reader": "perfmodel.record", "version": own_version()} if source is None else source,
            scheme_params={} if scheme_params is None else scheme_params, corrections=(), inferred=(),
            baseline_epochs=baseline_epochs, title=title, notes=notes,
        )  # fmt: skip
        self._most = ceil_div(fields["samples"], fields["batch"])
        self._pending: Pending | None = None
        self._last: tuple[int, Segment] | None = None  # the last segment on file and where it begins, if we wrote it
        self._file = TraceFile.open(path, format_header(fields), resume, any_source=source is None)
        self.path = self._file.path
        self._count([segment for _, segment in self._file.found])
        self._resumed = resume  # whether what comes next may repeat an epoch of the file
        self._warned = False

    def segment(
        self, epoch: int, iterations: int, precision: Precision, lr: float | None = None,
        metrics: Mapping[str, float] | None = None, gradient_diversity: Mapping[str, float] | None = None,
        layers: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Write one segment: iterations of one epoch (from 0) in one precision.

        `precision` is the name of a format for all passes, a `PassPrecision` or a table of passes; `layers` names
        those that differ.

        Raises `InputError` (E1304-E1307; E1309 for an epoch before the last one, E1311 for more iterations than an
        epoch has), `UnknownName` (E1004), `OutputError` (E1906).
        """
        if self._elsewhere():
            return
        segment = Segment(
            epoch, iterations, passes(precision), rate(lr), finite("gd", gradient_diversity),
            finite("metrics", metrics), {} if layers is None else layers,
        )  # fmt: skip
        self.flush()
        self._enter(segment.epoch)
        self._write(segment)

    def iteration(
        self, epoch: int, precision: Precision, lr: float | None = None, metrics: Mapping[str, float] | None = None
    ) -> None:
        """Count one iteration: call it after each step of the optimiser.

        A segment is written when epoch or precision change and every `flush_every` iterations; it has the last
        learning rate and the last value of each metric. Iterations above ceil(samples / batch) in an epoch are not
        counted, and a warning says so once: training goes on.

        Raises as `segment`, but no E1311.
        """
        if self._elsewhere():
            return
        precision = passes(precision)
        now = self._pending
        if now is None or now.epoch != epoch or now.precision != precision or now.iterations >= self.flush_every:
            first = Segment(epoch, 1, precision)  # checks
            self.flush()
            self._enter(first.epoch)
            now = self._pending = Pending(first.epoch, precision)
        if self._done + now.iterations < self._most:
            now.iterations += 1
        else:
            self._warn(epoch)
        now.metrics |= finite("metrics", metrics)
        now.lr = rate(lr) or now.lr

    def end_epoch(
        self, metrics: Mapping[str, float] | None = None, lr: float | None = None,
        gradient_diversity: Mapping[str, float] | None = None,
    ) -> None:  # fmt: skip
        """Write what is counted; the values go to the last segment of the epoch."""
        self.note(metrics, lr, gradient_diversity)
        self.flush()

    def note(
        self, metrics: Mapping[str, float] | None = None, lr: float | None = None,
        gradient_diversity: Mapping[str, float] | None = None,
    ) -> None:  # fmt: skip
        """Add values to the last segment, also where it is on file already; without one, nothing happens.

        Raises `OutputError` (E1906), `InputError` (E1306) for metrics that are no table.
        """
        if self._elsewhere():
            return
        metrics, diversity, lr = finite("metrics", metrics), finite("gd", gradient_diversity), rate(lr)
        if (now := self._pending) is not None:
            now.metrics |= metrics
            now.gradient_diversity |= diversity
            now.lr = lr or now.lr
        elif self._last is not None and (metrics or diversity or lr):
            self._amend(metrics, diversity, lr)

    def flush(self) -> None:
        """Write the iterations that are counted as a segment. Call it when a checkpoint is saved. `OutputError`."""
        if self._elsewhere() or self._pending is None:
            return
        pending, self._pending = self._pending, None
        if pending.iterations:
            self._write(pending.segment())
        else:  # all of them were above what an epoch has
            self.note(pending.metrics, pending.lr, pending.gradient_diversity)

    def resume_at(self, epoch: int, iteration: int = 0) -> None:
        """Forget what is on file from here on: training goes on at this iteration (from 0) of this epoch (from 0).

        A segment that reaches over this point is shortened and loses its metrics. Raises `OutputError` (E1906).
        """
        if self._elsewhere():
            return
        values.whole("epoch", epoch, 0, 10**6)
        values.whole("iteration", iteration, 0, 10**9)
        self.flush()
        self._resumed = False
        if epoch > self._epoch:
            return
        kept, done = [], 0
        for start, segment in self._file.rows():
            if segment.epoch >= epoch:
                if segment.epoch > epoch or done + segment.iterations > iteration:
                    self._cut(start, kept)
                    if segment.epoch == epoch and iteration > done:
                        self._enter(epoch)
                        self._write(replace(segment, iterations=iteration - done, **NO_METRICS))
                    return
                done += segment.iterations
            kept.append(segment)

    def close(self) -> None:
        """Write what is counted and give the file back; the second time nothing happens."""
        if self._file.open_here:
            try:
                self.flush()
            finally:
                self._file.close()

    def __enter__(self) -> TraceWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _elsewhere(self) -> bool:
        if self._file.elsewhere:
            return True
        if not self._file.open_here:
            raise ValueError(f"{self.path} is closed")
        return False

    def _enter(self, epoch: int) -> None:
        """Make sure that what comes for `epoch` follows what is on file."""
        if self._resumed and epoch <= self._epoch:
            self.resume_at(epoch)
        self._resumed = False
        if epoch < self._epoch:
            fix = f"Call resume_at({epoch}) when training goes back to a checkpoint."
            raise InputError.at("E1309", f"{self.path}:", f"epoch {epoch} follows epoch {self._epoch}.", fix)
        if epoch > self._epoch:
            self._epoch, self._done = epoch, 0

    def _write(self, segment: Segment) -> None:
        if self._done + segment.iterations > self._most:
            found = f"epoch {segment.epoch} has {self._done + segment.iterations} iterations; samples and batch make"
            fix = "Correct iterations, samples or batch."
            raise InputError.at("E1311", f"{self.path}:", f"{found} {self._most}.", fix)
        segment, line = segment_line(segment)
        self._last = (self._file.append(line), segment)
        self._done += segment.iterations

    def _amend(self, metrics: dict[str, float], diversity: dict[str, float], lr: float | None) -> None:
        start, old = self._last
        new, line = segment_line(replace(
            old, metrics={**old.metrics, **metrics}, lr=lr or old.lr,
            gradient_diversity={**old.gradient_diversity, **diversity},
        ))  # fmt: skip
        self._file.replace_last(start, format_segment(old), line)
        self._last = (start, new)

    def _cut(self, start: int, kept: list[Segment]) -> None:
        self._file.cut(start)
        self._last = None
        self._count(kept)

    def _count(self, recorded: list[Segment]) -> None:
        """Note the last epoch on file, -1 where there is none, and how many iterations it has."""
        self._epoch = recorded[-1].epoch if recorded else -1
        self._done = sum(segment.iterations for segment in recorded if segment.epoch == self._epoch)

    def _warn(self, epoch: int) -> None:
        if not self._warned:
            self._warned = True
            found = f"epoch {epoch} has more iterations than the {self._most} that samples and batch make."
            fix = "The others are not recorded: correct samples or batch."
            warnings.warn(str(Problem("E1311", f"{self.path}:", found, fix)), stacklevel=3)
