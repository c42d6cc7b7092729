"""A log in, a trace out: which reader, by content, and what it finds."""

from __future__ import annotations

import os
import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

from perfmodel.errors import InputError, printable, quote, unknown_name
from perfmodel.traces import readers
from perfmodel.traces.logs.given import Given
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.logs.run import Run, make_trace
from perfmodel.traces.trace import Trace

MOST_FOLDERS = 200  # that are looked through for the log when the one that was given holds none
TRACE = "trace"  # the reader of what is a trace already


@cache
def all_readers() -> dict[str, ModuleType]:
    """The readers by name, those that know one format well before those that take any table.

    A reader is a module of `perfmodel.traces.readers` with

    * `NAME` and `TITLE`, for `--log-format` and for people,
    * `recognises(log: LogFile) -> bool`, which looks at the head of the file alone,
    * `read(log: LogFile, given: Given) -> Run | Trace`,
    * perhaps `FOLDER`, the file names (glob patterns) that stand for a folder given instead of a file, and
      `ANY_TABLE = True` where it takes what no other reader knows.
    """
    names = [found.name for found in pkgutil.iter_modules(readers.__path__)]
    modules = [import_module(f"{readers.__name__}.{name}") for name in sorted(names)]
    modules.sort(key=lambda module: getattr(module, "ANY_TABLE", False))  # stable
    return {module.NAME: module for module in modules}


def reader_names() -> list[str]:
    """The names of the log formats."""
    return sorted(all_readers())


def read_log(path: str | os.PathLike, given: Given | None = None) -> Trace:
    """The trace of the log at `path`, a file or the folder of one run, with what the user says beside it.

    Raises `InputError`: E1012 for an unknown reader, E1201-E1205 for a file that does not read, E1324 for a log that
    no reader knows, E1325 for a kind of file that is not opened; E1320-E1344 as the readers do, E1304-E1311 as `Trace`.
    """
    given = given or Given()
    log, module = _open(path, given)
    run = module.read(log, given)
    return make_trace(run, given) if isinstance(run, Run) else run


def is_trace(path: str | os.PathLike, given: Given) -> bool:
    """Whether the file is a trace already; errors as `LogFile`."""
    if os.path.isdir(path) or given.reader is not None:
        return given.reader == TRACE
    return all_readers()[TRACE].recognises(LogFile(path, given.largest_bytes))


def _open(path: str | os.PathLike, given: Given) -> tuple[LogFile, ModuleType]:
    known = all_readers()
    if given.reader is not None and given.reader not in known:
        raise unknown_name("E1012", "log format", given.reader, known)
    wanted = list(known.values()) if given.reader is None else [known[given.reader]]
    if os.path.isdir(path):
        return _in_folder(path, wanted, given)
    log = LogFile(path, given.largest_bytes)
    if given.reader is not None:
        return log, wanted[0]
    return log, _recognise(log, wanted)


def _recognise(log: LogFile, wanted: list[ModuleType]) -> ModuleType:
    for module in wanted:
        if module.recognises(log):
            return module
    if log.size <= len(log.head) and not "".join(log.first_lines()).strip():
        raise InputError.at("E1324", f"{log.place}:", "is empty.", "Give the log of a run that trained.")
    first = next((line for line in log.first_lines() if line.strip()), "")
    raise InputError.at(
        "E1324", f"{log.place}:1:", f"{quote(first)} begins no log that is known.",
        f"Name the format with --log-format; known: {', '.join(module.NAME for module in wanted)}.",
    )  # fmt: skip


def _in_folder(path: str | os.PathLike, wanted: list[ModuleType], given: Given) -> tuple[LogFile, ModuleType]:
    """The log of a run's folder: the first reader, by their order, that knows a file of its kind in there."""
    folder = Path(path)
    try:
        files = sorted(entry for entry in folder.iterdir() if entry.is_file())
    except OSError as error:
        found = f"cannot be read: {error.strerror}."
        raise InputError.at("E1204", os.fspath(path), found, "Check permissions.") from None
    for module in wanted:
        for pattern in getattr(module, "FOLDER", ()):
            logs = _logs([file for file in files if file.match(pattern)], given)
            logs = [log for log in logs if given.reader is not None or module.recognises(log)]
            if logs:
                logs[0].together = tuple(logs)
                return logs[0], module
    kinds = ", ".join(pattern for module in wanted for pattern in getattr(module, "FOLDER", ()))
    if not kinds:
        raise InputError.at("E1324", os.fspath(path), f"is a folder; {given.reader} logs are files.", "Give the file.")
    below = next(_below(folder, kinds.split(", ")), None)
    fix = f"Known: {kinds}." if below is None else f"Did you mean {printable(os.fspath(below))}?"
    raise InputError.at("E1324", os.fspath(path), "is a folder without a log that is known.", fix)


def _below(folder: Path, patterns: list[str]) -> Iterator[Path]:
    """Folders below this one, at most three levels deep, that may hold a log."""
    for count, (path, folders, files) in enumerate(os.walk(folder)):
        if count >= MOST_FOLDERS:
            return
        here = Path(path)
        if count and any(Path(file).match(pattern) for file in files[:MOST_FOLDERS] for pattern in patterns):
            yield here
        folders[:] = sorted(folders) if len(here.relative_to(folder).parts) < 3 else []


def _logs(files: list[Path], given: Given) -> list[LogFile]:
    """These files but for packed ones, which may lie beside the log; E1325 where there are no others."""
    logs, refused = [], None
    for file in files:
        try:
            logs.append(LogFile(file, given.largest_bytes))
        except InputError as error:
            if error.problems[0].code != "E1325":
                raise
            refused = error
    if refused is not None and not logs:
        raise refused
    return logs
