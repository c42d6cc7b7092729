"""MLflow's old file store: the folder of one run, `mlruns/<experiment>/<run>`."""

from __future__ import annotations

from perfmodel.traces.logs.given import Given
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.logs.mlflow.files import read_mlruns
from perfmodel.traces.logs.mlflow.params import param_facts
from perfmodel.traces.logs.run import Run
from perfmodel.traces.logs.serieslog import series_run

NAME = "mlruns"
TITLE = "MLflow's file store: the folder of one run, or its meta.yaml"
FOLDER = ("meta.yaml",)


def recognises(log: LogFile) -> bool:
    """The description of a run beside its metrics."""
    return log.path.name == "meta.yaml" and b"artifact_uri:" in log.head and b"run_id:" in log.head


def read(log: LogFile, given: Given) -> Run:
    """The metrics by key and step, and what the parameters say."""
    series, params = read_mlruns(log.path.parent, log.place)
    return series_run(NAME, (log,), given, series, param_facts(params, log.place, given))
