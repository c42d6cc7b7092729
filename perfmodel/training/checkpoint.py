"""One file with all that a run needs to go on exactly; it never holds half of anything, and loading runs no code."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
import torch

from perfmodel.datafiles import opened
from perfmodel.errors import InputError, quote
from perfmodel.output import write_file

SCHEMA = "perfmodel.checkpoint/1"
KEYS = ("epoch", "same_run", "source", "control", "loop")
LARGEST_BYTES = 2**40


def write_checkpoint(path: str | os.PathLike, content: Mapping[str, Any]) -> None:
    """Replace the file at `path` by one with this content: nested tables and lists of numbers, texts, arrays, tensors.

    `OutputError` as `perfmodel.output.write_text`; the file that was there is then still there.
    """
    buffer = io.BytesIO()
    torch.save({"schema": SCHEMA} | {key: _mapped(content[key], _saved) for key in KEYS}, buffer)
    write_file(path, lambda file: file.write(buffer.getbuffer()))


def read_checkpoint(path: str | os.PathLike, same_run: Mapping[str, Any]) -> dict[str, Any]:
    """What `write_checkpoint` wrote, on the CPU, arrays as tensors.

    Raises `InputError`: E1201-E1204 as `opened`, E1703 for no such file or another run's, of which `same_run` tells
    what a run is.
    """
    place = f"{os.fspath(path)}:"
    with opened(path, LARGEST_BYTES) as file:
        found = _loaded(file)
    if not isinstance(found, dict) or found.get("schema") != SCHEMA or found.keys() != {"schema", *KEYS}:
        fix = "Give the file that perfmodel train wrote."
        raise InputError.at("E1703", place, "is no checkpoint of perfmodel train, or is damaged.", fix)
    there = found["same_run"] if isinstance(found["same_run"], dict) else {}
    if keys := [key for key in {**there, **same_run} if repr(there.get(key)) != repr(same_run.get(key))]:
        said = ", ".join(f"{key} (there {quote(there.get(key))}, here {quote(same_run.get(key))})" for key in keys)
        fix = "Give the options of that run, or another file."
        raise InputError.at("E1703", place, f"is the checkpoint of another run: {said}.", fix)
    return found


def _loaded(file: BinaryIO) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception:  # whatever PyTorch raises for bytes that are none of its files: there are many kinds
        return None


def with_arrays(state: Any) -> Any:
    """The same nest with NumPy arrays where there are tensors."""
    return _mapped(state, lambda value: value.numpy() if isinstance(value, torch.Tensor) else value)


def _saved(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    return value.detach().cpu() if isinstance(value, torch.Tensor) else value


def _mapped(value: Any, change) -> Any:
    if isinstance(value, Mapping):
        return {key: _mapped(item, change) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_mapped(item, change) for item in value]
    return change(value)
