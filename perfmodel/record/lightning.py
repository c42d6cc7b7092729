"""`LightningRecorder`, a callback for the Trainer of Lightning 2 (`lightning` or `pytorch_lightning`)."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

from perfmodel.errors import quote
from perfmodel.record.loop import autocast_format, unknown_precision
from perfmodel.record.recording import Given, Recording, first_rate, samples_seen

PRECISIONS = {"64": "fp64", "16": "fp16", "bf16": "bf16"}  # the part of trainer.precision before its dash
LIBRARIES = ("lightning.pytorch", "pytorch_lightning")


class _Recorder:
    """A Lightning callback that records the run it is given to; see `docs/record.md`.

    An iteration is a batch after which `trainer.global_step` is higher than before: accumulated batches are one.
    """

    def __init__(
        self, path: str | os.PathLike, *, precision: Given = None, samples: int | None = None,
        batch: int | None = None, **rest: Any,
    ):  # fmt: skip
        self.recording = Recording(path, precision, samples, batch, rest)
        self._at = {"epoch": 0, "iterations": 0}  # how far training is
        self._loaded = False
        self._steps = 0
        self._lr: Any = None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Open the file, in the first process only; after a restart, cut it back to the checkpoint."""
        self._steps = trainer.global_step
        if not trainer.is_global_zero:
            return
        writer = self.recording.start(*_sizes(trainer))
        if self._loaded:
            writer.resume_at(self._at["epoch"], self._at["iterations"])
            self._loaded = False

    def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
        """Note the learning rate before a scheduler changes it."""
        if self.recording.writer is not None:
            self._lr = first_rate(trainer.optimizers[0] if trainer.optimizers else None)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        """Count a step of the optimiser."""
        if trainer.global_step == self._steps:
            return
        self._steps = trainer.global_step
        epoch = trainer.current_epoch
        if epoch != self._at["epoch"]:
            self._at = {"epoch": epoch, "iterations": 0}
        self._at["iterations"] += 1
        if self.recording.writer is not None:
            precision = self.recording.passes(lambda: _precision(trainer, pl_module))
            self.recording.writer.iteration(epoch, precision, self._lr)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Write the epoch with all that was logged."""
        if self.recording.writer is not None:
            self.recording.writer.end_epoch(trainer.callback_metrics)

    def on_save_checkpoint(self, *_: Any) -> None:
        """Write what is counted, so that a restart from this checkpoint finds it on file."""
        if self.recording.writer is not None:
            self.recording.writer.flush()

    def state_dict(self) -> dict[str, int]:
        """How far training is, for the checkpoint."""
        return dict(self._at)

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Take up where the checkpoint was made."""
        self._at, self._loaded = dict(state_dict), True

    def on_train_end(self, *_: Any) -> None:
        """Close the file."""
        self.recording.close()

    def on_exception(self, *_: Any) -> None:
        """Write what is counted and close the file."""
        self.recording.close()

    def close(self) -> None:
        """Close the file, where training was broken off."""
        self.recording.close()


def _sizes(trainer: Any) -> tuple[int | None, int | None]:
    """Samples of an epoch and of an iteration; None for what the trainer's data loader does not say."""
    loader = trainer.train_dataloader
    if not isinstance(size := getattr(loader, "batch_size", None), int):
        return samples_seen(loader, float("inf")), None
    size *= trainer.world_size
    return samples_seen(loader, trainer.num_training_batches * size), size * trainer.accumulate_grad_batches


def _precision(trainer: Any, pl_module: Any) -> str:
    word, _, _ = str(trainer.precision).partition("-")
    if word == "32":
        return autocast_format(pl_module.device.type)
    if word not in PRECISIONS:
        raise unknown_precision(f"Lightning's {quote(trainer.precision)} is no single format.")
    return PRECISIONS[word]


def _base() -> type:
    """Lightning's Callback: of the package that the script has imported, for there are two of them."""
    for name in LIBRARIES:
        if name in sys.modules:
            return sys.modules[name].Callback
    try:
        return import_module(LIBRARIES[0]).Callback
    except ModuleNotFoundError:
        return import_module(LIBRARIES[1]).Callback


def __getattr__(name: str):
    if name != "LightningRecorder":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = type(name, (_Recorder, _base()), {"__module__": __name__, "__doc__": _Recorder.__doc__})
    return globals().setdefault(name, made)
