"""Reading the TOML files that describe devices, networks and published figures, with errors that name the place."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from perfmodel.errors import InputError, Problem, quote, unknown_name
from perfmodel.tomllines import key_lines

DATA = Path(__file__).parent / "data"
LARGEST_BYTES = 2**20  # of a hand-written TOML file; more is a mistake or an attack
MOST_PARTS = 100  # of a dotted key
PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
# No two of its repeats stand side by side: they would take time in the square of a run of blanks.
DEEP = re.compile(rf"(?:^|[{{,])[ \t]*(?:\[\[?[ \t]*)?(?:{PART}[ \t]*\.[ \t]*){{{MOST_PARTS}}}")
LARGEST_NUMBER = 1e30  # far above any quantity here, and still finite after a change of units


def bundled(folder: str, suffix: str = ".toml") -> dict[str, Path]:
    """The files of `perfmodel/data/<folder>` by name without suffix, sorted."""
    found = (DATA / folder).glob(f"*{suffix}")
    return dict(sorted((path.name.removesuffix(suffix), path) for path in found))


def find_file(folder: str, what: str, name: str, code: str) -> Path:
    """The file of a bundled name in `perfmodel/data/<folder>`, or a path that ends in `.toml`.

    Raises `UnknownName` with this code, and the nearest names.
    """
    files = bundled(folder)
    if name in files:
        return files[name]
    if str(name).endswith(".toml"):
        return Path(name)
    raise unknown_name(code, what, name, files)


def read_bytes(path: Path, limit: int = LARGEST_BYTES) -> bytes:
    """The bytes of a regular file of at most `limit` bytes; `InputError` (E1201-E1204) otherwise."""
    with opened(path, limit) as file:
        return file.read(limit + 1) or b""  # None where there is nothing to wait for


@contextmanager
def opened(path: str | os.PathLike, limit: int) -> Iterator[BinaryIO]:
    """A regular file of at most `limit` bytes, open for reading; `InputError` (E1201-E1204) otherwise."""
    place = os.fspath(path)
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            _check_file(os.fstat(file.fileno()), place, limit)
            yield file
    except FileNotFoundError:
        raise InputError.at("E1201", place, "does not exist.", "Check the path.") from None
    except IsADirectoryError:
        raise InputError.at("E1202", place, "is a folder, not a file.", "Give the path of a file.") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = getattr(error, "strerror", None) or str(error)
        raise InputError.at("E1204", place, f"cannot be read: {why}.", "Check path and permissions.") from None


def _check_file(status: os.stat_result, place: str, limit: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise InputError.at("E1202", place, "is not a regular file.", "Give the path of a file.")
    if status.st_size > limit:
        found = f"holds {status.st_size} bytes; at most {limit} are read."
        raise InputError.at("E1203", place, found, "Give a smaller file.")


def _open_without_waiting(path: str, flags: int) -> int:
    """Opening a FIFO would wait for a writer for ever; O_NONBLOCK does not (and changes nothing for files)."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_text(path: Path, limit: int = LARGEST_BYTES) -> str:
    """The text of a UTF-8 file (a byte-order mark is dropped); `InputError` (E1205) names the first bad byte."""
    raw = read_bytes(path, limit)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError.at(
            "E1205", f"{path}: byte {error.start}:", f"{error.object[error.start]:#04x} is not UTF-8.",
            "Save the file as UTF-8.",
        ) from None  # fmt: skip
    if "\0" in text:
        raise InputError.at("E1205", f"{path}: byte {raw.index(0)}:", "a NUL byte.", "Give a text file.")
    return text.removeprefix("\ufeff")


def read_toml(path: Path, lines: bool = False) -> Section:
    """A TOML file as a `Section`; `InputError` (E1206) with line and column where it does not parse.

    With `lines` the section's errors name the line of their key besides the file.
    """
    text = read_text(path)
    _check_depth(text, path)
    try:
        return Section(tomllib.loads(text), str(path), lines=key_lines(text) if lines else None)
    except ValueError as error:  # TOMLDecodeError, and what int() raises at thousands of digits
        raise InputError.at("E1206", f"{path}:", f"not valid TOML: {str(error)[:200]}.", "Correct that line.") from None
    except RecursionError:
        raise InputError.at("E1206", f"{path}:", "is nested too deeply.", "Use fewer levels.") from None


def _check_depth(text: str, path: Path) -> None:
    """Refuse keys of very many parts, for which `tomllib` takes time in the square of their number."""
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > MOST_PARTS and DEEP.search(line):
            found = f"a key of more than {MOST_PARTS} parts: is nested too deeply."
            raise InputError.at("E1206", f"{path}:{number}:", found, "Use fewer levels.")


class Section:
    """One table of a TOML file that knows its place, takes typed values out and finds keys nobody took."""

    def __init__(
        self, values: Mapping[str, Any], place: str, key: str = "", lines: Mapping[str, int] | None = None
    ):  # fmt: skip
        self.values, self.place, self.key, self.lines = dict(values), place, key, lines or {}
        self._taken: set[str] = set()

    def at(self, name: object = "") -> str:
        """`file: key.path:` for messages, `file:line: key.path:` where lines are known."""
        path = ".".join(str(part)[:80] for part in (self.key, name) if part != "")
        line = self._line(path)
        place = f"{self.place}:{line}" if line else self.place
        return f"{place}: {path}:" if path else f"{place}:"

    def _line(self, path: str) -> int | None:
        """The line of a key, or of the nearest thing around it that has one."""
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines.get(path)

    def fail(self, code: str, name: str, found: str, fix: str) -> InputError:
        """The error at key `name` of this table."""
        return InputError.at(code, self.at(name), found, fix)

    def require(self, names: Iterable[str]) -> None:
        """Raise E1210 for all of these keys that are missing, not for the first alone."""
        missing = [name for name in names if name not in self.values]
        if missing:
            raise InputError(Problem("E1210", self.at(name), "is missing.", f"Add {name}.") for name in missing)

    def take(self, name: str, kind: type | tuple[type, ...], default: Any = ..., expected: str = "") -> Any:
        """The value at `name`, which must be of `kind`; `default` where the key is absent, else E1210."""
        self._taken.add(name)
        if name not in self.values:
            if default is ...:
                raise self.fail("E1210", name, "is missing.", f"Add {name} = {expected or _named(kind)}.")
            return default
        value = self.values[name]
        if isinstance(value, int) and abs(value) >= 2**63:  # not promised by TOML; float() and repr() may fail on it
            raise self.fail("E1212", name, "is beyond 64 bits.", "Correct the value.")
        wrong_bool = isinstance(value, bool) and bool not in (kind if isinstance(kind, tuple) else (kind,))
        if wrong_bool or not isinstance(value, kind):
            raise self.fail("E1211", name, f"{quote(value)} is not {expected or _named(kind)}.", "Correct the value.")
        return value

    def text(self, name: str, default: Any = ...) -> str:
        """A string that is not blank."""
        value = self.take(name, str, default)
        if isinstance(value, str) and not value.strip() and default is ...:
            raise self.fail("E1211", name, "is blank.", "Give a text.")
        return value

    def whole(self, name: str, default: Any = ..., least: int = 1, most: int = 10**9) -> int:
        """A whole number between `least` and `most`."""
        value = self.take(name, int, default)
        if value is not default and not least <= value <= most:
            raise self.fail("E1212", name, f"{quote(value)} is not between {least} and {most}.", "Correct the value.")
        return value

    def number(self, name: str, default: Any = ..., least: float = 0.0, most: float = LARGEST_NUMBER) -> float:
        """A finite number above `least`, at most `most`."""
        value = self.take(name, (int, float), default, "a number")
        if value is not default and not least < value <= most:
            raise self.fail(
                "E1212", name, f"{quote(value)} is not a number above {least:g} and up to {most:g}.", "Correct it."
            )
        return value

    def tables(self, name: str, default: Any = ...) -> list[Section]:
        """A list of tables, each as a `Section` of its own."""
        rows = self.take(name, list, default, "a list of tables")
        for i, row in enumerate(rows):
            if not isinstance(row, dict):
                raise self.fail("E1211", f"{name}[{i}]", f"{quote(row)} is not a table.", "Write { key = value, … }.")
        prefix = f"{self.key}.{name}" if self.key else name
        return [Section(row, self.place, f"{prefix}[{i}]", self.lines) for i, row in enumerate(rows)]

    def table(self, name: str) -> Section:
        """A table as a `Section`; an empty one where the key is absent."""
        prefix = f"{self.key}.{name}" if self.key else name
        return Section(self.take(name, dict, {}, "a table"), self.place, prefix, self.lines)

    def finish(self) -> None:
        """Raise E1213 when the table holds keys that nobody took: a typing slip is not silently ignored."""
        unknown = [name for name in self.values if name not in self._taken]
        if unknown:
            known = ", ".join(sorted(self._taken))
            raise self.fail("E1213", unknown[0], "is not a key of this table.", f"Known keys: {known}.")


def _named(kind: type | tuple[type, ...]) -> str:
    names = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", list: "a list"}
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return " or ".join(names.get(k, k.__name__) for k in kinds)
