"""MLflow's old file store: the folder of one run.

`metrics/<key>` has lines `time in ms, value, step` (older: no step), one a value, in the order of logging;
`params/<key>` holds the value. A key with slashes is a path of folders.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from perfmodel.datafiles import opened, read_text
from perfmodel.errors import InputError, quote
from perfmodel.traces.logs.numbers import number
from perfmodel.traces.logs.series import Series, too_much

MOST_FILES = 1000  # of each kind
MOST_ENTRIES = 10_000  # of a folder, whatever they are
DEEPEST = 16  # folders in a key
LARGEST_BYTES = 64 * 2**20  # of a file of metrics
LARGEST_PARAM = 2**16  # bytes
MOST_PARAMS = 10_000
MOST_CHARACTERS = 10_000_000  # of all parameters
LONGEST_LINE = 1000
LINE = re.compile(rb"\d{1,18} ([!-~]{1,40})(?: ([+-]?\d{1,18})(?: \S+ \S+)?)?\r?\n")


def read_mlruns(folder: str | os.PathLike, place: str) -> tuple[Series, dict[str, str]]:
    """Metrics by key and step, and parameters by key, of the run in this folder. Symbolic links are passed over.

    `place` begins errors about the run as a whole, others name the file. Raises `InputError`: E1344 for what is no
    folder of a run and for a line that is no metric, E1207 for a value that is no number, E1340 for more than 1,000
    files of a kind and as `Series`, E1201-E1205 for a file that cannot be read.
    """
    folder, series = Path(folder), Series(f"{place}:")
    metrics = folder / "metrics"
    if metrics.is_symlink() or not metrics.is_dir():
        raise InputError.at("E1344", f"{place}:", "there is no folder metrics beside it.", "Give the folder of a run.")
    for key, path in _files(metrics, place):
        _add_metric(key, path, series)
    params, room = {}, MOST_CHARACTERS
    for key, path in _files(folder / "params", place):
        params[key] = read_text(path, LARGEST_PARAM)
        room -= len(key) + len(params[key])
        if room < 0:
            raise too_much(f"{place}:", f"the run has more than {MOST_CHARACTERS} characters of parameters.")
    return series, params


def _add_metric(key: str, path: Path, series: Series) -> None:
    with opened(path, LARGEST_BYTES) as file:
        row, begin = 0, 0
        while line := file.readline(LONGEST_LINE):
            row += 1
            found = LINE.fullmatch(line)
            if not found:
                if len(line) < LONGEST_LINE and not line.endswith(b"\n"):  # only the last line has no end
                    what = f"the last {len(line)} bytes from byte {begin} are no whole line"
                    return series.note(f"torn tail: {quote(key)}: {what}")
                fix = "A line is: time in ms, value, step."
                raise InputError.at("E1344", f"{path}:{row}:", f"{quote(line)} is no metric.", fix)
            begin += len(line)
            value = number(found[1].decode(), f"{path}:{row}:", "the value")
            series.add(key, int(found[2] or 0), value)


def _files(folder: Path, place: str) -> list[tuple[str, Path]]:
    """Keys and files below a folder, in the order of their keys; none where there is no such folder."""
    found, entries = [], 0
    waiting = [] if folder.is_symlink() or not folder.is_dir() else [("", folder, 0)]
    while waiting:
        prefix, inner, depth = waiting.pop()
        try:
            with os.scandir(inner) as listing:
                for entry in listing:
                    entries += 1
                    if entries > MOST_ENTRIES or len(found) > MOST_FILES or depth > DEEPEST:
                        what = f"more than {MOST_FILES} files, or is more than {DEEPEST} levels deep"
                        raise too_much(f"{place}:", f"the folder {folder.name} has {what}.")
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append((f"{prefix}{entry.name}/", Path(entry.path), depth + 1))
                    elif entry.is_file(follow_symlinks=False):
                        found.append((_key(prefix + entry.name, place), Path(entry.path)))
        except OSError as error:
            raise InputError.at("E1204", f"{inner}:", f"cannot be read: {error.strerror}.", "Check it.") from None
    if len(found) > MOST_FILES:
        raise too_much(f"{place}:", f"the folder {folder.name} has more than {MOST_FILES} files.")
    return sorted(found)


def _key(name: str, place: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        found = f"{quote(name)} is a name of a file that is not UTF-8."
        raise InputError.at("E1344", f"{place}:", found, "Rename it.") from None
    return name
