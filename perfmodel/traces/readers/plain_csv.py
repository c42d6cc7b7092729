"""Plain CSV and TSV: a header line, then numbers."""

from __future__ import annotations

from perfmodel.traces.logs.csvtable import delimiter_of
from perfmodel.traces.logs.given import Given
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.logs.run import Run
from perfmodel.traces.logs.tablerun import csv_run

NAME = "csv"
TITLE = "CSV or TSV with a header line"
ANY_TABLE = True


def recognises(log: LogFile) -> bool:
    """A first line of several names between commas, semicolons, tabs or bars."""
    first = next((line for line in log.first_lines() if line.strip()), "")
    first = first.lstrip()
    return first[:1].isprintable() and not first.startswith(("{", "[")) and delimiter_of(first) is not None


def read(log: LogFile, given: Given) -> Run:
    """One row an epoch, or several with steps; names as `perfmodel.traces.logs.keys` knows them."""
    return csv_run(NAME, log, given)
