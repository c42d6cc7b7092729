"""Lightning: a toy module that is really fitted, with `CSVLogger` and `TensorBoardLogger` at once."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from pathlib import Path

from event_files import rename_events
from truth import BATCH, EPOCHS, SAMPLES, epochs

from perfmodel.traces import Trace

LOG_EVERY = 3  # iterations, so that most of them have no row


def write(folder: Path, truth: Trace) -> None:
    """`csv/metrics.csv`, `tb/events…` and the `hparams.yaml` of both.

    Rows and steps come from the Trainer: `step` is the global iteration, LearningRateMonitor's rows have no epoch.
    """
    import torch
    from lightning.pytorch import Trainer
    from lightning.pytorch.callbacks import LearningRateMonitor
    from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
    from torch.utils.data import DataLoader, TensorDataset

    warnings.filterwarnings("ignore")  # of few workers and the like
    data = DataLoader(TensorDataset(torch.zeros(SAMPLES, 1)), batch_size=BATCH)
    with tempfile.TemporaryDirectory() as work:
        trainer = Trainer(
            max_epochs=EPOCHS,
            accelerator="cpu",
            logger=[CSVLogger(work, "csv", ""), TensorBoardLogger(work, "tb", "")],
            callbacks=[LearningRateMonitor()],
            log_every_n_steps=LOG_EVERY,
            num_sanity_val_steps=0,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(_module(epochs(truth)), data, data)
        for name in ("csv", "tb"):
            shutil.copytree(Path(work, name), folder / name)
    rename_events(folder / "tb")


def _module(rows: list):
    """A module whose loss, accuracy, learning rate and precision are those of the truth."""
    import torch
    from lightning.pytorch import LightningModule

    class Toy(LightningModule):
        def __init__(self, arch: str = "toy", batch_size: int = BATCH):
            super().__init__()
            self.save_hyperparameters()
            self.weight = torch.nn.Parameter(torch.zeros(()))

        def training_step(self, batch, index):
            row = rows[self.current_epoch]
            loss = row.loss + 0 * self.weight
            self.log("train_loss", loss, on_step=True, on_epoch=True)
            self.log("precision/bits", float(row.bits[index]), on_step=True, on_epoch=False)
            return loss

        def validation_step(self, batch, index):
            self.log("val_acc", rows[self.current_epoch].val_acc)

        def configure_optimizers(self):
            optimizer = torch.optim.SGD(self.parameters(), lr=1.0)
            rates = [row.lr for row in rows]
            schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: rates[min(epoch, EPOCHS - 1)])
            return [optimizer], [schedule]

    return Toy()
