"""Plain JSON: an object on each line, or one list of objects."""

from __future__ import annotations

import re

from perfmodel.traces.logs.given import Given
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.logs.objects.rows import item_rows, line_rows
from perfmodel.traces.logs.run import Run
from perfmodel.traces.logs.tablerun import table_run

NAME = "jsonl"
TITLE = "JSON lines, or a JSON list, of objects"
ANY_TABLE = True
_BEGIN = re.compile(r'\s*(?:\{\s*["}]|\[\s*\{)')


def recognises(log: LogFile) -> bool:
    """A file that begins with an object on one line, or with a list of objects."""
    lines = log.first_lines()
    first = next((line for line in lines if line.strip()), "")
    return _BEGIN.match("\n".join(lines) if _is_list(first) else first) is not None


def read(log: LogFile, given: Given) -> Run:
    """One object an epoch, or several with steps; names as `perfmodel.traces.logs.keys` knows them."""
    if _is_list(next((line for line in log.first_lines() if line.strip()), "")):
        return table_run(NAME, log, given, lambda keys, _: item_rows(log, keys))
    return table_run(NAME, log, given, lambda keys, corrections: line_rows(log, keys, corrections))


def _is_list(first: str) -> bool:
    return first.lstrip().startswith("[")
