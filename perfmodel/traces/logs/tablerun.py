"""Runs from rows of a format of its own: what its reader yields goes through a `Table`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from perfmodel.traces.logs.counting import table_stretches
from perfmodel.traces.logs.csvtable import Row, csv_table_rows
from perfmodel.traces.logs.given import Given
from perfmodel.traces.logs.keys import Keys
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.logs.run import Fact, Run, Said
from perfmodel.traces.logs.table import Table

Rows = Callable[[Keys, list[str]], Iterator[Row]]  # of the table's keys, and the list that corrections go to


def table_run(
    reader: str,
    log: LogFile,
    given: Given,
    rows: Rows,
    usual: Mapping[str, str] | None = None,
    facts: Mapping[str, Fact] | None = None,
    steps_from: int | None = None,
    files: tuple[LogFile, ...] = (),
    inferred: tuple[str, ...] = (),
) -> Run:
    """The run that rows tell.

    `usual` are the format's own names of fields, `facts` what files beside the log say (`files`), `steps_from` the
    number of the first step where the format fixes it.

    Raises `InputError` as `Table` and the rows do.
    """
    facts = facts or {}
    said = Said.of(given, facts)
    table = Table(log.place, given, Keys(given, usual=usual or {}), said.whole)
    for row in rows(table.keys, table.corrections):
        if len(row) == 2:
            table.add(*row)
        else:
            table.add_values(*row)
    stretches = table_stretches(table, given, said, steps_from)
    return Run(reader, (log, *files), stretches, facts, corrections=tuple(table.corrections), inferred=inferred)


def csv_run(reader: str, log: LogFile, given: Given) -> Run:
    """The run that a CSV file tells, one row an epoch or several with steps; errors as `table_run`."""
    return table_run(reader, log, given, lambda keys, corrections: csv_table_rows(log, given, keys, corrections))
