"""How results leave the program: where to, in which format, and what goes into files for programs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

from perfmodel.cli.common import profile_names
from perfmodel.errors import InputError, quote

RAW_SUFFIXES = (".csv", ".json")  # files for programs: raw values in SI units, every column


def check_timeline(arguments: argparse.Namespace) -> None:
    """Check the path of `--timeline` before any computing: E1904 for another suffix, E1745 where `-o` is that file.

    Raises `OutputError` as `check_output`.
    """
    from os.path import abspath

    from perfmodel.output import check_suffix

    if arguments.timeline is None:
        return
    check_suffix(arguments.timeline, (".json",))
    if arguments.output is not None and abspath(arguments.output) == abspath(arguments.timeline):
        found = f"and -o are both {quote(arguments.output)}."
        raise InputError.at("E1745", "--timeline", found, "Give each a file of its own.")
    check_output(arguments.timeline)


SETTING = (
    "network", "batch", "device", "model", "calibration", "framework", "mapping", "tile", "no_split_k", "fill",
    "overhead",
)  # fmt: skip


def with_setting(table, arguments: argparse.Namespace, suffix: str | None):
    """The table for a raw file with what its rows were computed on in columns of their own; others as they are."""
    if suffix not in RAW_SUFFIXES:
        return table
    given = {name: getattr(arguments, name) for name in SETTING if getattr(arguments, name, None) is not None}
    if getattr(arguments, "profile", None) is not None:
        given |= {"model": "profile", "profile": profile_names(arguments.profile)}
    new = {name: value for name, value in given.items() if name not in table.frame.columns}
    return replace(table, frame=table.frame.assign(**new))


def emit(tables: Sequence, output: str | None) -> None:
    """Print tables, or write them to `output` in the format of its suffix.

    `.csv` and `.parquet` hold one table: for several, `OutputError` (E1903) is raised.
    """
    from perfmodel.output import PARQUET, TABLE_SUFFIXES, check_suffix, write_file, write_text
    from perfmodel.report.render import check_single, render

    if output is None:
        print(render(tables, ".txt"), end="")
    elif check_suffix(output, (*TABLE_SUFFIXES, PARQUET)) == PARQUET:
        from perfmodel.report.parquet import to_parquet

        content = to_parquet(check_single(tables, PARQUET))
        write_file(output, lambda file: file.write(content))
    else:
        write_text(output, render(tables, check_suffix(output, TABLE_SUFFIXES)))


def figure_suffixes() -> tuple[str, ...]:
    """Suffixes that ask for a figure."""
    from perfmodel.output import FIGURE_SUFFIXES

    return FIGURE_SUFFIXES


def check_output(output: str | None) -> None:
    """Raise `OutputError` for a place that cannot be written to, before the work and not after it."""
    from contextlib import suppress
    from pathlib import Path

    from perfmodel.output import check_target

    if output is not None:
        with suppress(OSError):  # the writer says what the system says
            check_target(Path(output))


def output_suffix(output: str | None, figures: bool) -> str | None:
    """The suffix of `-o`, checked before any computing; None without `-o`, `.csv` for `.parquet`, which holds the same.

    Raises `OutputError`: E1904 for one that is not known, E1741 for `.parquet` where it cannot be written. Whoever asks
    is about to make tables: see `accept_any_text`.
    """
    from perfmodel.output import FIGURE_SUFFIXES, PARQUET, TABLE_SUFFIXES, check_suffix

    if output is None:
        accept_any_text()
        return None
    suffix = check_suffix(output, (*TABLE_SUFFIXES, *(FIGURE_SUFFIXES if figures else ()), PARQUET))
    accept_any_text()
    if suffix != PARQUET:
        return suffix
    from perfmodel.report.parquet import check_parquet

    check_parquet()
    return ".csv"


def accept_any_text() -> None:
    """Let pandas take every text that a name can be; for this process, so of a program alone and not of the library.

    Where pyarrow is installed, pandas keeps texts with it, and it refuses those that are no UTF-8, as names of files
    may be.
    """
    import pandas as pd

    pd.set_option("mode.string_storage", "python")
