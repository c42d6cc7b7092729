"""MLflow's SQLite store: the metrics and parameters of one run.

Tables (MLflow 3.17): `runs` (run_uuid, name, lifecycle_stage, …), `metrics` (key, value, timestamp in ms, run_uuid,
step, is_nan) and `params` (key, value, run_uuid). NaN is stored as is_nan, an infinite value as the largest float.
Nothing is written: neither to the store nor beside it.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from array import array
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import pairwise
from math import inf, nan
from time import monotonic
from urllib.parse import quote as percent_encoded

from perfmodel.datafiles import opened
from perfmodel.errors import InputError, printable, quote
from perfmodel.traces.logs.mlflow.files import MOST_CHARACTERS, MOST_PARAMS
from perfmodel.traces.logs.series import LONGEST_TAG, MOST_TAGS, MOST_VALUES, Series, too_much

LARGEST_BYTES = 2**30
LARGEST_CELL = 2**20  # bytes
LONGEST_S = 30.0  # of checking the store, and of each query
PATIENCE_S = 5.0  # while another program writes
STEPS = 10_000  # of SQLite's machine between two looks at the clock
WAL = 2  # in the header: the journal is a write-ahead log
INFINITE = {sys.float_info.max: inf, -sys.float_info.max: -inf}
LISTED = 20  # runs that an error names
COLUMNS = {
    "runs": ("run_uuid", "name", "lifecycle_stage"),
    "metrics": ("key", "value", "timestamp", "run_uuid", "step", "is_nan"),
    "params": ("key", "value", "run_uuid"),
}


def read_mlflow(path: str | os.PathLike, run: str | None, place: str) -> tuple[Series, dict[str, str], str]:
    """Metrics by key and step, parameters by key and the name of one run: `run` (an id, or a name), or the only one.

    Raises `InputError`: E1201-E1204 for what is no readable file of at most 1 GiB, E1344 for one that is no intact
    MLflow store or that another program is in the middle of writing, E1343 where the run is not in it or not the only
    one, E1340 as `Series`.
    """
    try:
        with closing(_connect(os.path.realpath(path), place)) as store:
            _check(store, place)
            run_id, name = _find_run(store, run, place)
            return _metrics(store, run_id, place), _params(store, run_id, place), name
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter where SQLite's own message quotes damaged text
        why = f"it takes longer than {LONGEST_S:g} s" if "interrupted" in str(error) else printable(str(error))[:200]
        raise _broken(f"{place}:", f"cannot be read: {why}.", "Copy the store while nothing writes it.") from None


def _broken(place: str, found: str, fix: str = "Give an intact MLflow store.") -> InputError:
    return InputError.at("E1344", place, found, fix)


def _connect(path: str, place: str) -> sqlite3.Connection:
    """The database, to be read only; SQLite would bring a write-ahead log up to date, which is to write beside it."""
    with opened(path, LARGEST_BYTES) as file:
        head = file.read(100) or b""
    if len(head) < 100 or not head.startswith(b"SQLite format 3\0"):
        raise _broken(f"{place}:", "is no SQLite database.")
    log = path + "-wal"
    if os.path.lexists(log) and os.lstat(log).st_size:
        fix = "End the program that writes the store, or copy the store with sqlite3's .backup."
        raise _broken(f"{place}:", "has a write-ahead log beside it, whose values are not in the store.", fix)
    still = WAL in head[18:20] or os.path.lexists(log)
    uri = f"file:///{percent_encoded(os.fsencode(path).lstrip(b'/'))}?mode=ro&immutable={int(still)}"
    store = sqlite3.connect(uri, uri=True, timeout=PATIENCE_S, isolation_level=None)
    store.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_CELL)
    return store


def _rows(store: sqlite3.Connection, query: str, *values: object) -> Iterator[tuple]:
    """The rows of a query, which may take 30 s from now on."""
    end = monotonic() + LONGEST_S
    store.set_progress_handler(lambda: monotonic() > end, STEPS)
    return store.execute(query, values)


def _check(store: sqlite3.Connection, place: str) -> None:
    """Raise E1344 unless the database is intact and has MLflow's tables; views may run anything, tables cannot."""
    for setting in ("trusted_schema = OFF", "cell_size_check = ON", "query_only = ON", "temp_store = MEMORY"):
        store.execute(f"PRAGMA {setting}")
    for table, columns in COLUMNS.items():
        query = "SELECT 1 FROM sqlite_master WHERE name = ? AND type = 'table' AND sql LIKE 'CREATE TABLE%'"
        if not list(_rows(store, query, table)):
            raise _broken(f"{place}:", f"has no table {table}.")
        stored = {name for _, name, *_, hidden in _rows(store, f"PRAGMA table_xinfo({table})") if not hidden}
        if missing := [name for name in columns if name not in stored]:
            raise _broken(f"{place}:", f"its table {table} has no column {', '.join(missing)}.")
        for (found,) in _rows(store, f"PRAGMA quick_check({table})"):
            if found != "ok":
                raise _broken(f"{place}:", f"its table {table} is damaged: {quote(found, 200)}.")


def _find_run(store: sqlite3.Connection, run: str | None, place: str) -> tuple[str, str]:
    """Id and name of the run asked for, else of the only one; a name that nobody gave is the id."""
    known = "lifecycle_stage IS NOT 'deleted'"
    run = run and run.encode(errors="replace").decode()  # half of a surrogate pair, from a command line, is in no store
    if run is None:
        found = _runs(store, place, known)
    elif not (found := _runs(store, place, "run_uuid = ?", run)):
        found = _runs(store, place, f"name = ? AND {known}", run)
    if len(found) == 1:
        return found[0]
    if found:
        what = "holds several runs" if run is None else f"holds several runs named {quote(run)}"
    else:
        found = _runs(store, place, known)
        what = "holds no run" if run is None or not found else f"does not hold the run {quote(run)}"
    listed = ", ".join(f"{name} ({quote(title)})" for name, title in found[:LISTED])
    listed += ", …" if len(found) > LISTED else ""
    raise InputError.at("E1343", f"{place}:", f"{what}{': ' if found else ''}{listed}.", "Give --run ID.")


def _runs(store: sqlite3.Connection, place: str, which: str, *values: str) -> list[tuple[str, str]]:
    """Ids and names of the first runs that are so, one more than are listed."""
    query = f"SELECT rowid, run_uuid, name FROM runs WHERE {which} ORDER BY rowid LIMIT {LISTED + 1}"
    runs = []
    for row, run_id, name in _rows(store, query, *values):
        if not isinstance(run_id, str) or not isinstance(name, str | None):
            raise _broken(f"{place}: runs row {row}:", f"{quote((run_id, name))} are no id and name.")
        runs.append((run_id, name or run_id))
    return runs


def _metrics(store: sqlite3.Connection, run_id: str, place: str) -> Series:
    """The metrics in the order in which they were logged, which the time tells; within a millisecond, the step."""
    logged: dict[str, tuple[array, array, array]] = {}
    query = "SELECT rowid, key, value, timestamp, step, is_nan FROM metrics WHERE run_uuid = ? ORDER BY rowid"
    for count, (row, key, value, time_ms, step, is_nan) in enumerate(_rows(store, query, run_id)):
        column = logged.get(key)
        if column is None:
            column = logged[key] = _column(key, len(logged), row, place)
        if (
            not isinstance(value, float | int)
            or type(time_ms) is not int
            or type(step) is not int
            or is_nan not in (0, 1)
        ):
            raise _broken(f"{place}: metrics row {row}:", f"{quote((value, time_ms, step, is_nan))} is no metric.")
        if count == MOST_VALUES:
            raise too_much(f"{place}:", f"the run holds more than {MOST_VALUES} values.")
        for kept, one in zip(column, (time_ms, step, nan if is_nan else INFINITE.get(value, value)), strict=True):
            kept.append(one)
    series = Series(f"{place}:")
    for key in list(logged):
        times, steps, values = logged.pop(key)
        for i in _order(times, steps):
            series.add(key, steps[i], values[i])
    return series


def _column(key: object, count: int, row: int, place: str) -> tuple[array, array, array]:
    if not isinstance(key, str):
        raise _broken(f"{place}: metrics row {row}:", f"{quote(key)} is no key.")
    if len(key) > LONGEST_TAG or count >= MOST_TAGS:
        raise too_much(f"{place}:", f"the run has more than {MOST_TAGS} keys, or one of more than {LONGEST_TAG}.")
    return array("q"), array("q"), array("d")


def _order(times: array, steps: array) -> Iterable[int]:
    """The indices by time and then step; a store has most of its rows in this order."""
    order = range(len(times))
    if all(times[i] < times[j] or (times[i] == times[j] and steps[i] <= steps[j]) for i, j in pairwise(order)):
        return order
    return sorted(sorted(order, key=steps.__getitem__), key=times.__getitem__)


def _params(store: sqlite3.Connection, run_id: str, place: str) -> dict[str, str]:
    params, room = {}, MOST_CHARACTERS
    for row, key, value in _rows(store, "SELECT rowid, key, value FROM params WHERE run_uuid = ?", run_id):
        if not isinstance(key, str) or not isinstance(value, str):
            raise _broken(f"{place}: params row {row}:", f"{quote((key, value))} are no key and text.")
        params[key] = value
        room -= len(key) + len(value)
        if len(params) > MOST_PARAMS or room < 0:
            found = f"the run has more than {MOST_PARAMS} parameters or {MOST_CHARACTERS} characters of them."
            raise too_much(f"{place}:", found)
    return params
