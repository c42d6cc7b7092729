"""Hugging Face's Trainer: `trainer_state.json`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from math import ceil
from typing import Any

from perfmodel.errors import InputError, Problem
from perfmodel.traces.logs.csvtable import Row
from perfmodel.traces.logs.given import Given
from perfmodel.traces.logs.keys import Keys
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.logs.objects.document import Document
from perfmodel.traces.logs.objects.rows import flat
from perfmodel.traces.logs.objects.values import whole_text
from perfmodel.traces.logs.run import Fact, Run, Said, Stretch
from perfmodel.traces.logs.table import MOST_EPOCHS
from perfmodel.traces.logs.tablerun import table_run

NAME = "hf-trainer"
TITLE = "Hugging Face's trainer_state.json"
FOLDER = ("trainer_state.json",)
TIMES = ("_runtime", "_per_second", "_time")  # of an evaluation
ACCUMULATED = 1.3  # times the batch of one device: rates are rounded, and epochs end with a smaller batch
SUM_UP = ("train_runtime", "total_flos")  # keys of the entry that closes a run
OF_ONE_DEVICE = (
    "batch: train_batch_size, of one device; further devices and accumulated gradients, which the file does not know, "
    "make it larger"
)


def recognises(log: LogFile) -> bool:
    """One object with a `log_history`, or one that begins as these files do."""
    text = "\n".join(log.first_lines(5000))
    return re.match(r"\s*\{", text) is not None and re.search(r'"log_history"\s*:\s*\[', text) is not None


def read(log: LogFile, given: Given) -> Run:
    """The entries of `log_history`: `epoch` is how many are done, in parts, and `step` how many iterations.

    The entry that sums a run up is left out, and so are the times of an evaluation that is done again.

    Raises `InputError`: E1321 without --precision, else as `Document` and any table.
    """
    given = replace(given, epoch_is=given.epoch_is or "progress")
    text, length = whole_text(log), _Length()
    said = _said(Document(text, log.place), length)
    facts, ends = _facts(log.place, said), _ends(said, length)
    inferred = (OF_ONE_DEVICE,) if "batch" in facts and given.batch is None else ()
    batch = Said.of(given, facts).batch
    if length.iterations is not None and batch is not None and given.samples is None:
        facts["samples"] = Fact(length.iterations * batch, f"{log.place}:{length.line}:")
        inferred += (f"samples: {length.iterations} iterations an epoch, as step / epoch says, x batch {batch}",)

    def rows(keys: Keys, _: list[str]) -> Iterator[Row]:
        return _with_ends(_entries(Document(text, log.place), keys), ends)

    run = table_run(NAME, log, given, rows, facts=facts, steps_from=1)
    _check_precision(run, given)
    stretches = _until(run.stretches, int(ends[-1][1])) if ends else run.stretches
    doubt = () if given.batch is not None else _doubt(run.place, length.samples, said, batch)
    return replace(run, stretches=stretches, inferred=inferred, corrections=(*run.corrections, *doubt))


def _doubt(place: str, samples: float | None, said: dict[str, tuple[int, Any]], batch: int | None) -> tuple[str, ...]:
    """A line where training saw more samples in a step than one device's batch."""
    line, steps = said.get("global_step", (0, None))
    if samples is None or batch is None or not isinstance(steps, float) or not 0 < steps <= 1e12:
        return ()
    if samples / steps <= ACCUMULATED * batch:
        return ()
    found = f"a step saw some {samples / steps:.0f} samples (train_samples_per_second x train_runtime / global_step)"
    return (f"{place}:{line} {found}, not {batch}: give --batch",)


def _until(stretches: tuple[Stretch, ...], step: int) -> tuple[Stretch, ...]:
    """The stretches, the last of which ends at this step, where training stood when the file was written."""
    if not stretches or any(stretch.iterations is None for stretch in stretches):
        return stretches
    more = sum(stretch.iterations for stretch in stretches) - step
    last = stretches[-1]
    if stretches[0].epoch > 0 or not 0 < more < last.iterations:
        return stretches
    return (*stretches[:-1], replace(last, iterations=last.iterations - more))


class _Length:
    """The iterations of an epoch, where in all entries step / epoch is the same whole number.

    `samples` is how many training saw in all, as the entry says that sums a run up.
    """

    def __init__(self):
        self.iterations: int | None = None
        self.samples: float | None = None
        self.line = 1
        self._same = True

    def see(self, line: int, entry: object) -> None:
        """The next entry of the history."""
        seconds, rate = (
            entry.get(key) if isinstance(entry, dict) else None for key in ("train_runtime", "train_samples_per_second")
        )
        if isinstance(seconds, float) and isinstance(rate, float) and 0 < seconds <= 1e9 and 0 < rate <= 1e12:
            self.samples = seconds * rate
        step, epoch = (entry.get(key) if isinstance(entry, dict) else None for key in ("step", "epoch"))
        if not self._same or not isinstance(step, float) or not isinstance(epoch, float):
            return
        if not (0 < epoch <= 1e6 and 0 < step <= 1e9):
            return
        found = round(step / epoch)
        self._same = abs(step - found * epoch) <= 1e-9 * step and self.iterations in (None, found) and found > 0
        self.iterations, self.line = (found, line) if self._same else (None, line)


def _said(document: Document, length: _Length) -> dict[str, tuple[int, Any]]:
    """Line and value of each key but the history."""
    said = {}
    for key in document.members():
        if key == "log_history":
            for line, entry in document.items():
                length.see(line, entry)
        else:
            said[key] = (document.line, document.value())
    document.end()
    return said


def _entries(document: Document, keys: Keys) -> Iterator[Row]:
    step, timed = None, set()
    for key in document.members():
        if key != "log_history":
            document.value()
            continue
        for line, entry in document.items():
            row = flat(entry, f"{document.place}:{line}:", keys)
            if any(key in row for key in SUM_UP):
                continue
            if row.get("step") != step:
                step, timed = row.get("step"), set()
            yield line, {name: value for name, value in row.items() if name not in timed}
            timed.update(name for name in row if name.endswith(TIMES))


def _ends(said: dict[str, tuple[int, Any]], length: _Length) -> list[tuple[int, float, float]]:
    """Line, step and epoch of the end of each epoch, and of where training stood when the file was written.

    Entries are written every so many steps only; `epoch` and `global_step` say where the run ended, and where
    step / epoch is the same whole number throughout, where each epoch did.
    """
    (line, epoch), (_, step) = said.get("epoch", (0, None)), said.get("global_step", (0, None))
    if not (isinstance(epoch, float) and isinstance(step, float) and 0 < epoch <= MOST_EPOCHS and 0 < step <= 1e12):
        return []
    each = length.iterations or (step / epoch if (step / epoch).is_integer() else None)
    ends = [] if each is None else [(line, float(each * number), float(number)) for number in range(1, ceil(epoch))]
    return [*(end for end in ends if end[1] < step), (line, step, epoch)] if step.is_integer() else []


def _with_ends(entries: Iterator[Row], ends: list[tuple[int, float, float]]) -> Iterator[Row]:
    """The entries, and the ends of epochs at whose steps nothing was logged."""
    left = ends[::-1]
    for line, row in entries:
        step = row.get("step")
        while isinstance(step, float) and left and left[-1][1] <= step:
            end = left.pop()
            if end[1] < step:
                yield _end(end)
        yield line, row
    yield from map(_end, reversed(left))


def _end(end: tuple[int, float, float]) -> Row:
    return end[0], {"epoch": end[2], "step": end[1]}


def _facts(place: str, said: dict[str, tuple[int, Any]]) -> dict[str, Fact]:
    facts = {}
    line, batch = said.get("train_batch_size", (0, None))
    if isinstance(batch, float) and batch.is_integer() and 1 <= batch <= 10**7:
        facts["batch"] = Fact(int(batch), f"{place}:{line}:")
    (line, done), (_, all_of_them) = said.get("epoch", (0, None)), said.get("num_train_epochs", (0, None))
    if isinstance(done, float) and isinstance(all_of_them, float) and 0 <= done < all_of_them:
        facts["notes"] = Fact(f"{done:g} of {all_of_them:g} epochs (num_train_epochs) are done", f"{place}:{line}:")
    return facts


def _check_precision(run: Run, given: Given) -> None:
    """E1321 that says why the precision is missing, with all else that is."""
    if given.precision is not None or any(stretch.precision is not None for stretch in run.stretches):
        return
    problems = [
        given.missing(key, f"{run.place}: the log does not say it ({NAME}).")
        for key in ("network", "dataset")
        if getattr(given, key) is None
    ]
    found = f"{run.place}: stands only in training_args.bin, a pickle, which is never opened."
    fix = "Give --precision FORMAT: fp16 or bf16 if the run had --fp16 or --bf16, else fp32 or tf32."
    raise InputError([*problems, Problem("E1321", "precision:", found, fix)])
