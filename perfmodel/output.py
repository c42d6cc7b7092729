"""Writing results: a file is there whole or not at all, and only where it was asked for.

The text goes to a temporary file in the target's folder, which then takes the target's name in one step. So a full disk
or Ctrl-C leaves what was there before. Folders are never made: a mistyped path is an error, not a new tree.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from perfmodel.errors import OutputError, quote

TABLE_SUFFIXES = (".txt", ".csv", ".json", ".md", ".tex")  # tables as text
PARQUET = ".parquet"  # and as bytes, with the package that can
FIGURE_SUFFIXES = (".png", ".svg", ".pdf")


def check_suffix(path: str | os.PathLike, allowed: Sequence[str]) -> str:
    """The suffix of an output path, in lower case. Call it before computing, so that no work is lost to a typing error.

    Raises `OutputError` (E1904) that lists the allowed ones.

    >>> check_suffix("reports/step.CSV", TABLE_SUFFIXES)
    '.csv'
    """
    suffix = Path(path).suffix.lower()
    if suffix not in allowed:
        found = f"ends in {quote(suffix)}." if suffix else "has no suffix, so its format is not known."
        raise OutputError.at("E1904", _place(path) + ":", found, f"Choose one of {', '.join(allowed)}.")
    return suffix


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write `text` as UTF-8 to `path`, replacing a file that is there.

    Raises `OutputError`: E1901 the folder does not exist, E1902 the target is a symbolic link, E1905 it is a folder or
    a device, E1906 the system refuses (no permission, disk full, name too long …).
    """
    # A lone surrogate, as in file names that are no UTF-8, cannot be encoded.
    content = text.encode("utf-8", errors="backslashreplace")
    write_file(path, lambda file: file.write(content))


def write_file(path: str | os.PathLike, fill: Callable[[BinaryIO], object]) -> None:
    """Let `fill` write to a new file that takes the place of `path` when it is complete; errors as `write_text`."""
    path = Path(path)
    try:
        mode = check_target(path)
        temporary = path.with_name(f".perfmodel-{secrets.token_hex(8)}.tmp")
        try:
            # x: never a file or link that is there already. A new file's mode is what the umask leaves.
            with open(temporary, "xb") as file:
                if mode is not None:
                    os.chmod(temporary, mode)
                fill(file)
            os.replace(temporary, path)
        finally:  # Ctrl-C comes through here, too
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
    except OSError as error:
        found = f"cannot be written: {error.strerror or error}."
        raise OutputError.at("E1906", _place(path) + ":", found, "Check permissions and free space.") from None


def check_target(path: Path) -> int | None:
    """The mode of the file at `path`, None where there is none; `OutputError` where it must not be written.

    Raises `OutputError` (E1901, E1902, E1905, E1906) as `write_text`, and `OSError` where the system refuses to look.
    """
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if not path.parent.is_dir():
            found = f"there is no folder {_place(path.parent)}."
            raise OutputError.at("E1901", _place(path) + ":", found, "Make it first, or correct the path.") from None
        return None
    except ValueError:  # a NUL in the path
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL)) from None
    if stat.S_ISLNK(mode):
        raise OutputError.at("E1902", _place(path) + ":", "is a symbolic link.", "Give the path of the file itself.")
    if not stat.S_ISREG(mode):
        found = "is a folder." if stat.S_ISDIR(mode) else "is not a regular file."
        raise OutputError.at("E1905", _place(path) + ":", found, "Give the path of a file.")
    if not os.access(path, os.W_OK):  # replacing needs no right to write the file itself, but its owner said no
        raise OutputError.at("E1906", _place(path) + ":", "is write-protected.", "Change its mode or the path.")
    return stat.S_IMODE(mode)


def _place(path: str | os.PathLike) -> str:
    text = os.fspath(path)
    return text if text and text.isprintable() else quote(text)


def own_version() -> str:
    """The version of this package, for what it writes; `unknown` where its files are used without being installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("perfmodel")
    except PackageNotFoundError:
        return "unknown"
