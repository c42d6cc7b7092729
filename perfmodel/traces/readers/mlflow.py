"""MLflow's SQLite store."""

from __future__ import annotations

from perfmodel.traces.logs.given import Given
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.logs.mlflow.params import param_facts
from perfmodel.traces.logs.run import Fact, Run
from perfmodel.traces.logs.serieslog import series_run

NAME = "mlflow"
TITLE = "MLflow's SQLite store (mlflow.db); with several runs, --run ID"
FOLDER = ("mlflow.db", "*.db", "*.sqlite")


def recognises(log: LogFile) -> bool:
    """A SQLite database: which tables it has is not said at its beginning."""
    return log.head.startswith(b"SQLite format 3\0")


def read(log: LogFile, given: Given) -> Run:
    """One run of the store: its metrics by key and step, and what its parameters say."""
    from perfmodel.traces.logs.mlflow.store import read_mlflow  # needs sqlite3, as nothing else does

    series, params, name = read_mlflow(log.path, given.run, log.place)
    facts = param_facts(params, log.place, given) | ({"title": Fact(name, log.place)} if name else {})
    return series_run(NAME, (log,), given, series, facts)
