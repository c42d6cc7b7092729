"""The traces that come with the package, by name."""

from __future__ import annotations

import os
from pathlib import Path

from perfmodel.datafiles import DATA, bundled
from perfmodel.errors import unknown_name
from perfmodel.traces.jsonl import read_trace
from perfmodel.traces.trace import Trace

SUFFIX = ".jsonl"


def trace_files() -> dict[str, Path]:
    """The files of the bundled traces by name, sorted: the installed copies, or in a checkout its `traces/`."""
    if (DATA / "traces").is_dir():
        return bundled("traces", SUFFIX)
    checkout = DATA.parent.parent / "traces"
    return {path.name.removesuffix(SUFFIX): path for path in sorted(checkout.glob(f"*{SUFFIX}"))}


def find_trace(name: str | os.PathLike) -> Trace:
    """A bundled trace by name, or the trace file at a path: one that exists, or has a folder or a suffix.

    Raises `UnknownName` (E1003) with the nearest names, `InputError` as `read_trace` for a file that does not read.
    """
    files = trace_files()
    name = os.fspath(name)
    if name in files:
        return read_trace(files[name])
    if os.path.exists(name) or os.path.basename(name) != name or Path(name).suffix:
        return read_trace(name)
    raise unknown_name("E1003", "trace", name, files)
