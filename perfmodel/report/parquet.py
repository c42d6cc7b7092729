"""A table as Parquet: raw values of every column, and in the file's schema what they are. Needs pyarrow."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import pandas as pd

from perfmodel.errors import OutputError
from perfmodel.output import own_version
from perfmodel.report.table import Table

EXTRA = "perfmodel[parquet]"
LARGEST = 2**63  # whole numbers of the format lie below
UNITS = {  # of names that end so; longer ones first
    "flop_per_byte": "FLOP/B", "flop_per_s": "FLOP/s", "bytes_per_s": "B/s", "gb_per_s": "GB/s", "bytes": "B",
    "flop": "FLOP", "hours": "h", "_ghz": "GHz", "_mhz": "MHz", "_hz": "Hz", "_gib": "GiB", "_kib": "KiB", "_us": "us",
    "_ms": "ms", "_s": "s",
}  # fmt: skip


def check_parquet() -> None:
    """Raise `OutputError` (E1741) where Parquet cannot be written; call it before computing."""
    _pyarrow()


def to_parquet(table: Table) -> bytes:
    """The whole file: what CSV holds, with types; a missing value is null.

    Columns are truth values, 64-bit whole numbers or floats, else texts. The schema's metadata has `title`, `notes`
    (one a line) and `made_by`; a column's own its `header`, if people see it, and the `unit` that its name ends in. The
    same table gives the same bytes. Raises `OutputError` (E1741) without pyarrow.
    """
    arrow, parquet = _pyarrow()
    types = {"bool": arrow.bool_(), "int": arrow.int64(), "float": arrow.float64(), "text": arrow.string()}
    shown = table.shown()
    fields, columns = [], []
    for name in table.frame.columns:
        kind, values = _column(table.values(name), pd.api.types.is_float_dtype(table.frame[name].dtype))
        about = {"header": shown.get(name, ""), "unit": unit_of(name)}
        fields.append(arrow.field(_text(name), types[kind], metadata=_encoded(about)))
        columns.append(arrow.array(values, types[kind]))
    about = {"title": table.title, "notes": "\n".join(table.notes), "made_by": f"perfmodel {own_version()}"}
    out = io.BytesIO()
    schema = arrow.schema(fields, metadata=_encoded(about))
    parquet.write_table(arrow.Table.from_arrays(columns, schema=schema), out)
    return out.getvalue()


def unit_of(column: str) -> str:
    """The unit that a raw column's name ends in; empty where it ends in none.

    >>> unit_of("step_low_s"), unit_of("dram_bytes_per_s"), unit_of("traffic_bytes"), unit_of("launches")
    ('s', 'B/s', 'B', '')
    """
    return next((unit for ending, unit in UNITS.items() if column.endswith(ending)), "")


def _column(values: list[Any], floats: bool) -> tuple[str, list[Any]]:
    """What all the values are, and the values as that; `floats` says it of a column without any."""
    known = [value for value in values if value is not None]
    if not known:
        return "float" if floats else "text", values
    if all(isinstance(value, bool) for value in known):
        return "bool", values
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in known):
        return "text", [value if value is None else _text(value) for value in values]
    if all(isinstance(value, int) and -LARGEST <= value < LARGEST for value in known):
        return "int", values
    return "float", [value if value is None else float(value) for value in values]


def _text(value: object) -> str:
    """A text without lone surrogates, which UTF-8 does not have."""
    return str(value).encode("utf-8", errors="backslashreplace").decode()


def _encoded(about: Mapping[str, str]) -> dict[str, str] | None:
    return {name: _text(text) for name, text in about.items() if text} or None


def _pyarrow():
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        fix = f"Install {EXTRA}, or write .csv or .json."
        raise OutputError.at("E1741", ".parquet:", "needs pyarrow, which is not installed.", fix) from None
    return pyarrow, parquet
