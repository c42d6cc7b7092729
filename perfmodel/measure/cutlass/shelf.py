"""The cache of compiled libraries: found by the sources of their kernels, whole or not there at all.

Each library lies under a name that holds the hash of its content, with a JSON file that says what is in it. The JSON
comes last and in one step: a build that was cut short leaves nothing that is taken for a library, and two that make
the same one at once do not disturb each other.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

STALE_S = 86400.0  # after which a folder of a build is what a killed one left
BUILDING = "building-"


@dataclass(frozen=True, slots=True)
class Shelved:
    """Where a compiled kernel is."""

    path: Path
    index: int
    resources: Mapping[str, int]
    seconds: float


def default_cache(environ: Mapping[str, str] = os.environ) -> Path:
    """PERFMODEL_CACHE, else `perfmodel` in XDG_CACHE_HOME, else in ~/.cache."""
    if environ.get("PERFMODEL_CACHE"):
        return Path(environ["PERFMODEL_CACHE"]).absolute()  # compilers run in folders of their own
    home = environ.get("XDG_CACHE_HOME")
    return (Path(home).absolute() if home else Path.home() / ".cache") / "perfmodel"


def digest(*texts: str) -> str:
    """SHA-256 of the texts, in this order."""
    whole = hashlib.sha256()
    for text in texts:
        data = text.encode()
        whole.update(len(data).to_bytes(8, "little") + data)
    return whole.hexdigest()


class Shelf:
    """The libraries that one compiler made with one set of flags and headers. Methods raise `OSError`."""

    def __init__(self, folder: Path):
        self.folder = folder

    def find(self, keys: Collection[str]) -> dict[str, Shelved]:
        """Those of the kernels (by the hash of their source) that lie here in a library that is whole."""
        found: dict[str, Shelved] = {}
        for path in sorted(self.folder.glob("*.json")):
            record = _read(path)
            wanted = [(i, one) for i, one in enumerate(record.get("kernels", ())) if one["key"] in keys]
            if wanted and _whole(self.folder / record["library"], record["sha256"]):
                place = self.folder / record["library"]
                for index, one in wanted:
                    found.setdefault(one["key"], Shelved(place, index, one["resources"], record["seconds"]))
        return found

    def workplace(self) -> TemporaryDirectory:
        """A folder to build in, on the same file system; it goes with its context."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._sweep()
        return TemporaryDirectory(prefix=BUILDING, dir=self.folder, ignore_cleanup_errors=True)

    def keep(self, key: str, library: Path, record: Mapping) -> Path:
        """Take a library from its workplace; where it lies now. `record` says what is in it."""
        content = hashlib.sha256(library.read_bytes()).hexdigest()
        name = f"{key[:24]}-{content[:8]}.so"
        draft = library.with_suffix(".json")
        draft.write_text(json.dumps({"library": name, "sha256": content, **record}, indent=1) + "\n", encoding="utf-8")
        os.replace(library, self.folder / name)
        os.replace(draft, self.folder / f"{key[:24]}.json")
        return self.folder / name

    def keep_source(self, key: str, source: Path) -> Path:
        """Take a source that does not compile, so that its error can be seen again; where it lies now."""
        place = self.folder / f"{key[:24]}.cu"
        os.replace(source, place)
        return place

    def _sweep(self) -> None:
        for left in self.folder.glob(f"{BUILDING}*"):
            try:
                stale = time.time() - left.stat().st_mtime > STALE_S
            except OSError:
                continue  # another build has just removed it
            if stale:
                shutil.rmtree(left, ignore_errors=True)


def _read(path: Path) -> dict:
    """The record, or nothing where it is damaged: its kernels are then compiled again."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        kernels = record["kernels"]
        whole = all(isinstance(one["key"], str) and _is_counts(one["resources"]) for one in kernels)
        plain = Path(record["library"]).name == record["library"] and isinstance(record["sha256"], str)
        return record if whole and plain and isinstance(record["seconds"], float) else {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


def _is_counts(resources: object) -> bool:
    return isinstance(resources, dict) and all(type(value) is int for value in resources.values())


def _whole(path: Path, content: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == content
    except OSError:
        return False
