"""MLflow: its SQLite store, and the folder of files that older versions wrote."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from truth import BATCH, SAMPLES, Epoch, epochs

from perfmodel.traces import Trace

KEPT = ("experiments", "runs", "metrics", "latest_metrics", "params", "tags", "alembic_version")


def write_store(folder: Path, truth: Trace) -> None:
    """`mlflow.db` with the tables of runs as MLflow made them; the others, 860 kB without a run, are dropped."""
    folder.mkdir(parents=True)
    path = folder / "mlflow.db"
    with tempfile.TemporaryDirectory() as work:
        whole = Path(work, "mlflow.db")
        _write_run(f"sqlite:///{whole}", epochs(truth))
        shutil.copyfile(whole, path)
    with closing(sqlite3.connect(path)) as store:
        store.execute("PRAGMA foreign_keys = OFF")
        tables = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in set(tables) - set(KEPT):
            if not name.startswith("sqlite_"):
                store.execute(f'DROP TABLE "{name}"')
        store.execute("UPDATE experiments SET artifact_location = 'artifacts/' || experiment_id")
        store.execute("UPDATE runs SET artifact_uri = 'artifacts'")
        store.commit()
        store.execute("VACUUM")


def write_files(folder: Path, truth: Trace) -> None:
    """`mlruns/EXPERIMENT/RUN/metrics/KEY` with lines of time, value and step."""
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    root = folder / "mlruns"
    _write_run(root.absolute().as_uri(), epochs(truth))
    shutil.rmtree(root / ".trash", ignore_errors=True)
    for path in root.rglob("meta.yaml"):
        path.write_text(re.sub(r"(?m)^(artifact_\w+): .*", r"\1: artifacts", path.read_text()))


def _write_run(uri: str, rows: list[Epoch]) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment("toy", artifact_location="artifacts")
    run = client.create_run(experiment, run_name="toy", tags={"mlflow.user": "someone"}).info.run_id
    client.log_param(run, "batch_size", BATCH)
    client.log_param(run, "train_samples", SAMPLES)
    for row in rows:
        client.log_metric(run, "precision_bits", row.bits[0], step=row.index)
        client.log_metric(run, "learning_rate", row.lr, step=row.index)
        client.log_metric(run, "loss", row.loss, step=row.index)
        client.log_metric(run, "val_acc", row.val_acc, step=row.index)
    client.set_terminated(run)
