"""Weights & Biases: an offline run, which is only there to be refused, and an export laid out by hand."""

from __future__ import annotations

import csv
import os
import tempfile
from pathlib import Path

from truth import epochs

from perfmodel.traces import Trace


def write_export(folder: Path, truth: Trace) -> None:
    """`history.csv`, by hand: what the web pages export is not to be had offline, its columns are as documented."""
    folder.mkdir(parents=True)
    with open(folder / "history.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["_step", "_runtime", "_timestamp", "epoch", "loss", "lr", "meanGD", "precision", "val_acc"])
        for row in epochs(truth):
            seconds = 10 * (row.index + 1)
            times = [row.index, seconds, 1795000000 + seconds]
            rows.writerow([*times, row.index, row.loss, row.lr, row.mean_gd, row.precision[0], row.val_acc])


def write_offline(folder: Path, truth: Trace) -> None:
    """`run-toy.wandb`: the binary file of an offline run, without what wandb finds out about the machine."""
    os.environ |= {"WANDB_USERNAME": "someone", "WANDB_SILENT": "true", "WANDB_HOST": "host"}
    import wandb

    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as work:
        kept = {"console": "off", "x_disable_stats": True, "x_disable_meta": True, "x_disable_machine_info": True}
        kept |= {"disable_git": True, "disable_code": True, "host": "host", "root_dir": work}
        kept |= {"x_save_requirements": False, "program": "train.py"}
        run = wandb.init(project="toy", id="toy", dir=work, mode="offline", settings=wandb.Settings(**kept))
        for row in epochs(truth):
            run.log({"epoch": row.index, "loss": row.loss, "precision": row.precision[0]})
        run.finish()
        (path,) = Path(work).rglob("*.wandb")
        (folder / "run-toy.wandb").write_bytes(path.read_bytes())
