"""How far off a model may be on a device that nobody timed: half-widths of 90 % intervals, read from a cited file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from perfmodel.datafiles import find_file, read_toml


@dataclass(frozen=True, slots=True)
class Doubt:
    """Half-widths in natural log: `shared` moves all kernels of a kind on a device together, `own` each alone.

    `assumed` where no timing stands behind them.
    """

    shared: float
    own: float
    assumed: bool


@cache
def find_doubts(model: str) -> Mapping[str, Doubt]:
    """The doubts about a model by operand format, and about `memory`-bound kernels."""
    top = read_toml(find_file("doubts", "doubts", model, "E1007"))
    top.text("title"), top.text("source")
    found = {}
    for row in top.tables("doubts"):
        widths = (row.number(name, least=0.0, most=5.0) for name in ("shared", "own"))
        found[row.text("of")] = Doubt(*widths, row.take("assumed", bool, False))
        row.finish()
    top.finish()
    return found
