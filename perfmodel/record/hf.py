"""`TrainerRecorder`, a callback for the Trainer of Hugging Face's transformers."""

from __future__ import annotations

import os
from typing import Any

from perfmodel.record.loop import autocast_format, dtype_format
from perfmodel.record.recording import Given, Recording, first_rate, samples_seen
from perfmodel.units import ceil_div

NO_METRICS = ("epoch", "learning_rate", "step")  # keys of its logs that a segment has elsewhere


class _Recorder:
    """A callback of transformers that records the run it is given to; see `docs/record.md`.

    An iteration is a step of the optimiser (`state.global_step`): accumulated batches are one.
    """

    def __init__(
        self, path: str | os.PathLike, *, precision: Given = None, samples: int | None = None,
        batch: int | None = None, **rest: Any,
    ):  # fmt: skip
        self.recording = Recording(path, precision, samples, batch, rest)
        self._epoch = -1
        self._lr: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, train_dataloader: Any = None, **_: Any) -> None:
        """Open the file, in the first process only; after a restart, cut it back to the checkpoint."""
        epoch, iteration = _position(args, state, train_dataloader)
        self._epoch = epoch - 1  # on_epoch_begin comes before the first step
        if not state.is_world_process_zero:
            return
        writer = self.recording.start(*_sizes(args, state, train_dataloader))
        if state.global_step:
            writer.resume_at(epoch, iteration)

    def on_epoch_begin(self, *_: Any, **__: Any) -> None:
        """Count epochs."""
        self._epoch += 1

    def on_step_begin(self, *_: Any, optimizer: Any = None, **__: Any) -> None:
        """Note the learning rate before the scheduler changes it."""
        if self.recording.writer is not None:
            self._lr = first_rate(optimizer)

    def on_step_end(self, args: Any, *_: Any, model: Any = None, **__: Any) -> None:
        """Count a step of the optimiser."""
        if self.recording.writer is not None:
            precision = self.recording.passes(lambda: _precision(args, model))
            self.recording.writer.iteration(self._epoch, precision, self._lr)

    def on_epoch_end(self, *_: Any, **__: Any) -> None:
        """Write the epoch; what is logged or evaluated at its end is added by `on_log`."""
        if self.recording.writer is not None:
            self.recording.writer.flush()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Add what is logged, but the summary of the whole run."""
        if self.recording.writer is not None and logs and "train_runtime" not in logs:
            self.recording.writer.note({name: value for name, value in logs.items() if name not in NO_METRICS})

    def on_save(self, *_: Any, **__: Any) -> None:
        """Write what is counted, so that a restart from this checkpoint finds it on file."""
        if self.recording.writer is not None:
            self.recording.writer.flush()

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Close the file."""
        self.recording.close()

    def close(self) -> None:
        """Close the file, where training was broken off."""
        self.recording.close()


def _position(args: Any, state: Any, loader: Any) -> tuple[int, int]:
    """The epoch at which training starts, and how many of its iterations are done, as the Trainer reckons it."""
    try:
        steps = max(ceil_div(len(loader), args.gradient_accumulation_steps), 1)
    except TypeError:  # a stream: one epoch without end
        return 0, state.global_step
    epoch, iteration = divmod(state.global_step, steps)
    return epoch, 0 if args.ignore_data_skip else iteration


def _sizes(args: Any, state: Any, loader: Any) -> tuple[int | None, int | None]:
    """Samples of an epoch and of an iteration; None for what the data loader does not say."""
    size = (state.train_batch_size or args.train_batch_size) * args.world_size
    try:
        most = len(loader) * size
    except TypeError:
        most = float("inf")
    return samples_seen(loader, most), size * args.gradient_accumulation_steps


def _precision(args: Any, model: Any) -> str:
    if args.bf16:
        return "bf16"
    if args.fp16:
        return "fp16"
    if (dtype := getattr(model, "dtype", None)) is not None and (name := dtype_format(dtype)) != "fp32":
        return name  # weights that are loaded in 16 bits are trained in 16 bits
    return autocast_format(args.device.type)


def __getattr__(name: str):
    if name != "TrainerRecorder":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from transformers import TrainerCallback

    made = type(name, (_Recorder, TrainerCallback), {"__module__": __name__, "__doc__": _Recorder.__doc__})
    return globals().setdefault(name, made)
