"""TensorBoard's event files: scalars as PyTorch, tensorboardX, Lightning and Keras write them."""

from __future__ import annotations

from perfmodel.traces.logs.given import Given
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.logs.run import Run
from perfmodel.traces.logs.series import Series
from perfmodel.traces.logs.serieslog import series_run
from perfmodel.traces.logs.tensorboard.events import looks_like_events, read_events

NAME = "tensorboard"
TITLE = "TensorBoard event files (PyTorch, tensorboardX, Lightning, Keras); a folder's are read together"
FOLDER = ("*tfevents*",)


def recognises(log: LogFile) -> bool:
    """A first record as TFRecord frames it, with an event in it."""
    return looks_like_events(log.head)


def read(log: LogFile, given: Given) -> Run:
    """Of tags and steps; which tag is the precision is for the user to say where its name does not."""
    series, corrections = Series(f"{log.place}:"), []
    for file in log.together:
        with file.binary() as stream:
            corrections += [f"{file.place} {text}" for text in read_events(stream, file.place, series)]
    return series_run(NAME, log.together, given, series, corrections=corrections)
