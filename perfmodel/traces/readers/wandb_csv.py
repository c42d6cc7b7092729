"""Weights & Biases: a run's history as CSV, or the lines of one chart as the web page exports them.

Columns as documented and as such files look; not tested against the service.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from perfmodel.errors import InputError, quote
from perfmodel.traces.logs.csvtable import Row, csv_table_rows, header_of
from perfmodel.traces.logs.given import Given
from perfmodel.traces.logs.keys import Keys
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.logs.run import Run
from perfmodel.traces.logs.tablerun import table_run

NAME = "wandb-csv"
TITLE = "Weights & Biases: the history or a chart of one run, exported as CSV"
BOOKKEEPING = ("_step", "_runtime", "_timestamp")
BETWEEN = " - "  # run and metric, in the columns of a chart
EXTREMES = ("__MIN", "__MAX")


def recognises(log: LogFile) -> bool:
    """A column `_step` beside `_runtime` or `_timestamp`, or columns of runs with their extremes."""
    header = header_of(log)
    return ("_step" in header and ("_runtime" in header or "_timestamp" in header)) or _is_chart(header)


def read(log: LogFile, given: Given) -> Run:
    """Rows of the history, which `_step` only numbers: it counts no iterations, unless the user says so.

    Raises `InputError`: E1334 for a chart of several runs, else as any table.
    """
    header = header_of(log)
    if not _is_chart(header):
        left_out = [name for name in BOOKKEEPING if name not in given.keys.values()]
        return _run(log, given, {}, dict.fromkeys(left_out))
    columns = _chart_columns(header, log.place)
    mapped = {key: columns.get(name, name) for key, name in given.keys.items()}
    keys = Keys(given)
    keys.see(columns)
    usual = {key: columns[name] for name, key in keys.fields().items() if name in columns}
    names: dict[str, str | None] = {column: name for name, column in columns.items() if column not in usual.values()}
    names |= {name: None for name in header if name.endswith(EXTREMES)}
    if "Step" not in mapped.values():
        names["Step"] = None
    return _run(log, replace(given, keys=mapped), usual, names)


def _is_chart(header: list[str]) -> bool:
    return any(BETWEEN in name and name.endswith(EXTREMES) for name in header[1:])


def _chart_columns(header: list[str], place: str) -> dict[str, str]:
    """The column of each metric of the one run."""
    parts = [(*name.rpartition(BETWEEN)[::2], name) for name in header if BETWEEN in name]
    runs = list(dict.fromkeys(run for run, _, _ in parts))
    if len(runs) > 1:
        found = f"holds {len(runs)} runs: {', '.join(quote(run, 40) for run in runs[:10])}."
        raise InputError.at("E1334", f"{place}:1:", found, "Export one of them, best its whole history.")
    return {metric: name for _, metric, name in parts if not metric.endswith(EXTREMES)}


def _run(log: LogFile, given: Given, usual: Mapping[str, str], names: Mapping[str, str | None]) -> Run:
    """The run of the rows under these names; None leaves a column out."""

    def rows(keys: Keys, corrections: list[str]) -> Iterator[Row]:
        for line, *found in csv_table_rows(log, given, keys, corrections):
            row = found[0] if len(found) == 1 else dict(zip(*found, strict=True))
            renamed = {names.get(name, name): value for name, value in row.items()}
            renamed.pop(None, None)
            if renamed:
                yield line, renamed

    return table_run(NAME, log, given, rows, usual)
