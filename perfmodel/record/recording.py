"""What the callbacks of all libraries share: a trace file that is opened when training starts."""

from __future__ import annotations

import os
from collections.abc import Callable, Sized
from typing import Any

from perfmodel.errors import InputError, Problem
from perfmodel.record.logged import passes
from perfmodel.record.writer import Precision, TraceWriter

Given = Precision | Callable[[], Precision] | None


class Recording:
    """The settings of a callback, and its `writer` from `start` to `close`, else None.

    `precision` is one for the whole run, a function without arguments that is asked in each iteration, or None: then
    the library is asked. `samples` and `batch` may be None where the library knows them. The rest goes to
    `TraceWriter`.

    Raises `InputError` or `UnknownName` (E1004) for a precision that is not known.
    """

    def __init__(self, path: str | os.PathLike, precision: Given, samples: int | None, batch: int | None, rest: dict):
        if precision is not None and not callable(precision):
            precision = passes(precision)
        self.path, self.precision, self.samples, self.batch, self.rest = path, precision, samples, batch, rest
        self.writer: TraceWriter | None = None

    def start(self, samples: int | None = None, batch: int | None = None) -> TraceWriter:
        """Open the file; `samples` and `batch` are what the library says.

        Raises `InputError` (E1348) where neither the user nor the library says them, else as `TraceWriter`.
        """
        self.close()
        sizes = {
            "samples": samples if self.samples is None else self.samples,
            "batch": batch if self.batch is None else self.batch,
        }
        missing = [
            Problem("E1348", f"{key}:", "the training library does not say it.", f"Give {key}=… to the recorder.")
            for key, value in sizes.items()
            if value is None
        ]
        if missing:
            raise InputError(missing)
        self.writer = TraceWriter(self.path, **sizes, **self.rest)
        return self.writer

    def passes(self, library: Callable[[], Precision]) -> Precision:
        """The precision now: what the user said, else what `library` gives."""
        if self.precision is None:
            return library()
        return self.precision() if callable(self.precision) else self.precision

    def close(self) -> None:
        """Write what is counted and close the file; the second time nothing happens."""
        if self.writer is not None:
            self.writer.close()
            self.writer = None


def samples_seen(loader: Any, most: float) -> int | None:
    """How many samples an epoch over a PyTorch data loader sees, at most `most`; None where it does not know."""
    dataset = getattr(loader, "dataset", None)
    try:
        return int(min(len(dataset), most)) if isinstance(dataset, Sized) else None
    except TypeError:  # a wrapper with a length around a stream without one
        return None


def first_rate(optimizer: Any) -> Any:
    """The learning rate of the first parameter group of a PyTorch optimiser; None where there is none."""
    groups = getattr(optimizer, "param_groups", None)
    return groups[0].get("lr") if groups else None
