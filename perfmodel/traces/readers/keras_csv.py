"""Keras' CSVLogger: an epoch on each line."""

from __future__ import annotations

from perfmodel.traces.logs.csvtable import header_of
from perfmodel.traces.logs.given import Given
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.logs.run import Run
from perfmodel.traces.logs.tablerun import csv_run

NAME = "keras-csv"
TITLE = "Keras' CSVLogger"


def recognises(log: LogFile) -> bool:
    """A column `epoch`, then the others sorted, a loss among them and no steps."""
    first, *rest = header_of(log) or [""]
    return first == "epoch" and "loss" in rest and "step" not in rest and rest == sorted(rest)


def read(log: LogFile, given: Given) -> Run:
    """Epochs from 0; `NA` is a missing value. A file that was appended to (`append=True`) keeps its last run."""
    return csv_run(NAME, log, given)
