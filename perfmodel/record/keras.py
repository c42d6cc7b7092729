"""`KerasRecorder`, a callback for `fit` of Keras 3 (any backend)."""

from __future__ import annotations

import os
from typing import Any

from perfmodel.errors import quote
from perfmodel.record.loop import unknown_precision
from perfmodel.record.recording import Given, Recording

DTYPES = {"float64": "fp64", "float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


class _Recorder:
    """A Keras callback that records the run it is given to; see `docs/record.md`.

    An iteration is as many batches as the optimiser accumulates. The learning rate is that of an epoch's first batch.
    """

    def __init__(
        self, path: str | os.PathLike, *, samples: int, batch: int, precision: Given = None, **rest: Any,
    ):  # fmt: skip
        super().__init__()
        self.recording = Recording(path, precision, samples, batch, rest)
        self._epoch = 0
        self._last = -1  # the last batch that was counted in this epoch
        self._waiting = 0  # batches that the optimiser has accumulated
        self._lr: Any = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Open the file."""
        self._waiting = 0
        self.recording.start()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Note the epoch."""
        self._epoch, self._last, self._lr = epoch, -1, None

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Read the learning rate once all callbacks have had their say; each time would slow a GPU down."""
        if self._lr is None:
            self._lr = _rate(self.model.optimizer)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Count the batches since the last call: there are several with `steps_per_execution`."""
        self._waiting += batch - self._last
        self._last = batch
        iterations, self._waiting = divmod(self._waiting, _accumulated(self.model.optimizer))
        for _ in range(iterations):
            precision = self.recording.passes(lambda: _precision(self.model))
            self.recording.writer.iteration(self._epoch, precision, self._lr)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write the epoch with its logs."""
        metrics = {name: value for name, value in (logs or {}).items() if name != "learning_rate"}
        self.recording.writer.end_epoch(metrics)

    def on_train_end(self, logs: Any = None) -> None:
        """Close the file."""
        self.recording.close()

    def close(self) -> None:
        """Close the file, where training was broken off."""
        self.recording.close()


def _rate(optimizer: Any) -> float | None:
    try:
        return float(optimizer.learning_rate)
    except (TypeError, ValueError):
        return None


def _accumulated(optimizer: Any) -> int:
    """How many batches make one step; the optimiser of FP16 training wraps the one that knows."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return getattr(inner, "gradient_accumulation_steps", None) or 1


def _precision(model: Any) -> str:
    policy = model.dtype_policy
    name = getattr(policy, "compute_dtype", None)
    if name not in DTYPES or getattr(policy, "quantization_mode", None):
        raise unknown_precision(f"Keras' policy {quote(getattr(policy, 'name', policy))} is no single format.")
    return DTYPES[name]


def __getattr__(name: str):
    if name != "KerasRecorder":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from keras.callbacks import Callback

    made = type(name, (_Recorder, Callback), {"__module__": __name__, "__doc__": _Recorder.__doc__})
    return globals().setdefault(name, made)
