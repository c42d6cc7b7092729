"""Hugging Face: a toy model that the real `Trainer` trains on a CPU."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from truth import BATCH, EPOCHS, ITERATIONS, SAMPLES, epochs

from perfmodel.traces import Trace


def write(folder: Path, truth: Trace) -> None:
    """`trainer_state.json` as `Trainer.save_state` writes it: a loss and an evaluation for each epoch, and the sum-up.

    The precision of such a run stands in a pickle beside it, never here.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    from transformers import Trainer, TrainingArguments

    rows = epochs(truth)
    model = _model(rows)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    rates = [row.lr for row in rows for _ in range(ITERATIONS)]
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rates[min(step, len(rates) - 1)])
    data = [{"x": torch.zeros(1), "labels": torch.zeros(1)}] * SAMPLES
    with tempfile.TemporaryDirectory() as work:
        arguments = TrainingArguments(
            output_dir=work,
            num_train_epochs=EPOCHS,
            per_device_train_batch_size=BATCH,
            logging_strategy="epoch",
            eval_strategy="epoch",
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
            max_grad_norm=0,
        )
        trainer = Trainer(
            model,
            arguments,
            train_dataset=data,
            eval_dataset=data,
            optimizers=(optimizer, schedule),
            compute_metrics=lambda _: {"accuracy": rows[model.epoch(-1)].val_acc},
        )
        trainer.train()
        trainer.save_state()
        folder.mkdir(parents=True)
        (folder / "trainer_state.json").write_bytes(Path(work, "trainer_state.json").read_bytes())


def _model(rows: list):
    """A model whose loss is the truth's: it counts the batches that it was trained with."""
    import torch

    class Toy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))
            self.seen = 0

        def epoch(self, last: int = 0) -> int:
            return (self.seen + last) // ITERATIONS

        def forward(self, x, labels=None):
            logits = x * self.weight
            loss = rows[self.epoch(0 if self.training else -1)].loss + 0 * logits.sum()
            self.seen += self.training
            return {"loss": loss, "logits": logits}

    return Toy()
