"""Lightning's CSVLogger: `metrics.csv`, with `hparams.yaml` beside it."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from perfmodel.traces.logs.csvtable import Row, csv_table_rows, header_of
from perfmodel.traces.logs.given import MOST, Given
from perfmodel.traces.logs.hparams import size_fact
from perfmodel.traces.logs.keys import Keys
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.logs.run import Run
from perfmodel.traces.logs.tablerun import table_run

NAME = "lightning-csv"
TITLE = "Lightning's metrics.csv, with hparams.yaml beside it"
FOLDER = ("metrics.csv",)
MOST_TESTS = 10_000  # rows after the training: more are of something else
OF_ONE_DEVICE = "batch: the batch size of hparams.yaml; with several devices, or accumulated gradients, it is larger"


def recognises(log: LogFile) -> bool:
    """Columns `epoch` and `step`, all of them sorted, in rows with empty cells; or a file called metrics.csv."""
    header = header_of(log)
    if not {"epoch", "step"} <= set(header) or "_step" in header:
        return False
    if log.path.name == "metrics.csv":
        return True
    sparse = any(",," in line or line.startswith(",") or line.endswith(",") for line in log.first_lines()[1:])
    return header == sorted(header) and sparse


def read(log: LogFile, given: Given) -> Run:
    """Sparse rows, joined by epoch; `step` is the last batch of the run, from 0.

    Rows of `trainer.test` are left out: they stand in an epoch after the last that was trained, and hold nothing else.
    """
    hparams = log.companion("hparams.yaml")
    batch = size_fact(hparams, ("batch_size", "train_batch_size"), MOST["batch"]) if hparams is not None else None
    return table_run(
        NAME, log, given, lambda keys, corrections: _rows(log, given, keys, corrections),
        facts={"batch": batch} if batch is not None else {},
        steps_from=0,
        files=(hparams,) if hparams is not None and batch is not None else (),
        inferred=(OF_ONE_DEVICE,) if batch is not None and given.batch is None else (),
    )  # fmt: skip


def _rows(log: LogFile, given: Given, keys: Keys, corrections: list[str]) -> Iterator[Row]:
    tests = _Tests()
    for row in csv_table_rows(log, given, keys, corrections):
        yield from tests.sifted(row)
    tests.leave_out()
    if tests.left_out:
        corrections.append(f"{log.place} {tests.left_out} rows of tests after the training were left out")


class _Tests:
    """Rows of tests wait until training is seen to reach their epoch: a validation may log such a metric, too."""

    def __init__(self):
        self.last = -inf  # of the epochs that were trained
        self.waiting: list[Row] = []
        self.left_out = 0

    def sifted(self, row: Row) -> Iterator[Row]:
        """The rows that are known with this one to be of the training, in their order."""
        epoch = _epoch(row)
        if not row[1]:  # a header again
            self.leave_out()
        elif all(name in ("epoch", "step") or name.startswith("test") for name in row[1]):
            if not epoch <= self.last:
                self.waiting.append(row)
                if len(self.waiting) > MOST_TESTS:
                    yield from self._released(inf)
                return
        else:
            self.last = max(self.last, epoch) if epoch < inf else self.last
            if self.waiting:
                yield from self._released(epoch)
        yield row

    def leave_out(self) -> None:
        """The training has ended: what waits was no part of it."""
        self.left_out, self.waiting, self.last = self.left_out + len(self.waiting), [], -inf

    def _released(self, epoch: float) -> list[Row]:
        """Those that wait for an epoch up to this one."""
        waiting = self.waiting
        self.waiting = [row for row in waiting if _epoch(row) > epoch]
        return [row for row in waiting if not _epoch(row) > epoch]


def _epoch(row: Row) -> float:
    """The epoch of a row; infinite where it has none, as rows of rates, which only training logs."""
    names = row[1]
    if "epoch" not in names:
        return inf
    value = names["epoch"] if isinstance(names, dict) else row[2][names.index("epoch")]
    return value if isinstance(value, float) else inf
