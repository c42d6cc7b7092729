"""MLPerf's training logs: `:::MLLOG` lines.

Of `epoch_start` the number of the epoch is an index, from 0 or 1; of an evaluation it may be that, or how many epochs
are done. So events belong to the epoch in which, or after which, they stand. Epochs of blocks (`block_start` with
`first_epoch_num` and `epoch_count`) count where there are no events of epochs. Source: MLCommons' mlperf-logging,
rules for training 6.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from perfmodel.traces.logs.csvtable import Row
from perfmodel.traces.logs.given import Given
from perfmodel.traces.logs.keys import Keys
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.logs.mlperf.epochs import EPOCH, Epochs
from perfmodel.traces.logs.mlperf.events import TOKEN, Event, events
from perfmodel.traces.logs.names import Precisions
from perfmodel.traces.logs.run import Fact, Run
from perfmodel.traces.logs.tablerun import table_run
from perfmodel.traces.precision import PassPrecision

NAME = "mlperf"
TITLE = "MLPerf's :::MLLOG lines"
FOLDER = ("result_*.txt",)
SIZES = {"global_batch_size": ("batch", 10**7), "train_samples": ("samples", 10**12)}
LOWEST = "lowest_numerical_precision_in_linear"
TITLES = ("submission_benchmark", "submission_platform")
RUN = ("run_start", "run_stop")
IN_LINEAR = f"precision: {LOWEST}, taken for all three passes of the whole run"


def recognises(log: LogFile) -> bool:
    """An event in the beginning of the file."""
    return any(TOKEN in line for line in log.first_lines(100_000))


def read(log: LogFile, given: Given) -> Run:
    """The numbers of each epoch, and what the log says of the run.

    Raises `InputError`: E1333 for a log that counts samples or steps but no epochs, E1322 for a precision that is none
    (`fp8` is two), else as `events` and any table.
    """
    notes: list[str] = []
    said = _said(log, notes)
    facts = _facts(said)
    run = table_run(
        NAME, log, given, lambda keys, corrections: _rows(log, keys, corrections), {"epoch": EPOCH}, facts
    )  # fmt: skip
    run = replace(run, corrections=(*notes, *run.corrections))
    if given.precision is not None or LOWEST not in said or any(one.precision is not None for one in run.stretches):
        return run
    event = said[LOWEST]
    name = Precisions(given.formats, given.bits).format(_text(event), f"{event.place} {LOWEST}:")
    facts["precision"] = Fact(PassPrecision.same(name), event.place)
    return replace(run, facts=facts, inferred=(IN_LINEAR,))


def _said(log: LogFile, notes: list[str]) -> dict[str, Event]:
    """The last event of each key that says something of the whole run; what is odd goes to `notes`."""
    said: dict[str, Event] = {}
    keys = (*SIZES, LOWEST, *TITLES, *RUN)
    for event in events(log, [], keys):
        before = said.get(event.key)
        if event.key == "run_start" and before is not None:
            notes.append(f"{event.place} the run was started again")
        elif event.key == "run_stop" and event.metadata.get("status", "success") != "success":
            notes.append(f"{event.place} the run stopped with status {_text(event, event.metadata['status'])}")
        elif event.key in keys and before is not None and before.value != event.value and len(notes) < 1000:
            notes.append(f"{event.place} {event.key} {_text(event)} replaces {_text(before)}")
        if event.key in keys:
            said[event.key] = event
    return said


def _facts(said: dict[str, Event]) -> dict[str, Fact]:
    facts = {key: Fact(said[name].size(most), said[name].place) for name, (key, most) in SIZES.items() if name in said}
    titles = [_text(said[name]) for name in TITLES if name in said]
    if titles:
        facts["title"] = Fact(" on ".join(titles), next(said[name].place for name in TITLES if name in said))
    return facts


def _text(event: Event, value: object = None) -> str:
    """The value as a text that is short and that UTF-8 can hold."""
    value = event.value if value is None else value
    return str(value)[:200].encode(errors="backslashreplace").decode()


def _rows(log: LogFile, keys: Keys, corrections: list[str]) -> Iterator[Row]:
    epochs = Epochs(log.place, keys, corrections)
    for event in events(log, corrections):
        yield from epochs.take(event)
    yield from epochs.end()
