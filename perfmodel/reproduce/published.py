"""Table 3 of the MuPPET paper as data, and what its numbers imply by arithmetic alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from perfmodel.datafiles import DATA, Section, read_toml
from perfmodel.units import ceil_div

MINUTE = 60.0
COLUMNS = ("fp32", "mixed", "muppet", "limit")
COLUMN_TITLES = {"fp32": "FP32", "mixed": "Mixed Prec.", "muppet": "MuPPET", "limit": "MuPPET limit"}


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the schedule behind a row: possible epochs before FP32 (none: unknown) and in FP32, and why."""

    quantised: tuple[int, ...]
    fp32: tuple[int, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Row:
    """One network's four cells [s], the speedups as printed, the baseline's epochs, and what its schedule may be."""

    network: str
    title: str
    fp32: float
    mixed: float
    muppet: float
    limit: float
    printed: dict[str, str]
    baseline_epochs: int
    known: Known

    def epoch(self, column: str) -> float:
        """Seconds of one epoch of a baseline column, `fp32` or `mixed`."""
        return getattr(self, column) / self.baseline_epochs


@dataclass(frozen=True, slots=True)
class Table3:
    """The table with the setting that its text states."""

    source: str
    device: str
    samples: int
    batch: int
    baseline_epochs: int
    rows: tuple[Row, ...]

    @property
    def iterations(self) -> int:
        """Of one epoch: ceil(1,281,167 / 256) = 5005."""
        return ceil_div(self.samples, self.batch)

    def row(self, network: str) -> Row | None:
        """The row of a network, None where the table has none."""
        return next((row for row in self.rows if row.network == network), None)


@cache
def table3() -> Table3:
    """The published table."""
    top = read_toml(DATA / "published" / "table3.toml")
    known = {name: _known(Section(v, top.place, name)) for name, v in top.take("schedules", dict).items()}
    samples, batch, epochs = (top.whole(key) for key in ("samples", "batch", "baseline_epochs"))
    rows = tuple(_row(section, epochs, known) for section in top.tables("rows"))
    source, device = top.text("source"), top.text("device")
    top.text("title")
    top.finish()
    return Table3(source, device, samples, batch, epochs, rows)


def _row(section: Section, epochs: int, known: dict[str, Known]) -> Row:
    name = section.text("network")
    cells = [_seconds(section.text(column)) for column in COLUMNS]
    printed = dict(zip(COLUMNS, section.take("speedups", list), strict=True))
    row = Row(name, section.text("title"), *cells, printed, epochs, known[name])
    section.finish()
    return row


def _known(section: Section) -> Known:
    lists = [tuple(section.take(key, list)) for key in ("quantised", "fp32")]
    known = Known(*lists, section.text("source"))
    section.finish()
    return known


def _seconds(text: str) -> float:
    hours, minutes = text.split(":")
    return (int(hours) * 60 + int(minutes)) * MINUTE


def per_iteration(table: Table3, seconds: float) -> float:
    """Seconds of one iteration of a baseline run: T / (150 · 5005).

    >>> round(per_iteration(table3(), table3().rows[0].fp32) * 1e3, 1)
    144.9
    """
    return seconds / (table.baseline_epochs * table.iterations)


def implied_gemm_share(fp32: float, mixed: float, gemm_speedup: float) -> float:
    """Share x of GEMMs in the FP32 time if mixed precision made them `gemm_speedup` times faster and nothing else.

        M / F = 1 − x·(1 − 1 / g)

    >>> round(implied_gemm_share(1813, 1760, 4), 3)
    0.039
    """
    return (1 - mixed / fp32) / (1 - 1 / gemm_speedup)
