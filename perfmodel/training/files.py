"""The two files of a run, its trace and its checkpoint: new ones, or ones that belong together."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from perfmodel.datafiles import read_bytes
from perfmodel.errors import InputError, OutputError
from perfmodel.output import check_target
from perfmodel.record.existing import rows_of, whole_lines
from perfmodel.traces.jsonl import LARGEST_BYTES
from perfmodel.training.checkpoint import read_checkpoint
from perfmodel.training.options import Options


def check_new(options: Options) -> None:
    """Raise `OutputError` where the files cannot be written, or are there and not to be gone on with.

    E1345 a file that exists; E1901, E1902, E1905, E1906 as `write_text`.
    """
    for path in map(Path, (options.output, options.checkpoints)):
        try:
            there = check_target(path) is not None
        except OSError as error:
            found = f"cannot be written: {error.strerror or error}."
            raise OutputError.at("E1906", f"{path}:", found, "Check the path and permissions.") from None
        if there and not options.resume:
            fix = "Add --resume to go on with it, or give another path."
            raise OutputError.at("E1345", f"{path}:", "exists already.", fix)


def find_start(options: Options, iterations: int) -> dict[str, Any] | None:
    """What the checkpoint holds; None where training begins anew: not to be resumed, or no epoch was finished.

    Raises `InputError`: E1709 where the trace lacks epochs of the checkpoint, or the checkpoint is lacking, E1703 for
    one that is another run's, else as `read_trace`.
    """
    if not options.resume:
        return None
    recorded = _recorded(Path(options.output))
    place = f"{options.output}:"
    if not os.path.exists(options.checkpoints):
        if max(recorded, default=0) > 0:  # before its second epoch a run has a checkpoint
            found = f"has epochs, but there is no checkpoint {options.checkpoints}."
            fix = "Give it with --checkpoints, or begin anew with other paths."
            raise InputError.at("E1709", place, found, fix)
        return None
    found = read_checkpoint(options.checkpoints, options.same_run())
    epoch = found["epoch"]
    if type(epoch) is not int or recorded.get(epoch) != iterations:
        found = f"does not hold epoch {epoch}, at whose end the checkpoint {options.checkpoints} was written."
        raise InputError.at("E1709", place, found, "Give the trace and the checkpoint of the same run.")
    return found


def _recorded(path: Path) -> dict[int, int]:
    """How many iterations each epoch has that the trace holds; a line that is cut off is not counted."""
    whole = whole_lines(read_bytes(path, LARGEST_BYTES)) if path.exists() else b""
    counts: dict[int, int] = {}
    for _, segment in rows_of(whole, path) if whole.strip() else ():
        counts[segment.epoch] = counts.get(segment.epoch, 0) + segment.iterations
    return counts
