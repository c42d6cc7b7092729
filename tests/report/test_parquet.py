"""Parquet: raw values with their types, what they are in the schema, and a clear word where pyarrow is missing."""

import io
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.cli import writing
from perfmodel.errors import OutputError
from perfmodel.output import own_version
from perfmodel.report.parquet import check_parquet, to_parquet, unit_of
from perfmodel.report.table import Table

FRAME = pd.DataFrame({
    "layer": ["conv1", "fc|8", None], "time_s": [0.00123, 1 / 3, np.nan], "bytes": [4096, 12, 7],
    "launches": pd.array([1, None, 3], dtype="Int64"), "known": [True, None, False], "low_s": [np.nan] * 3,
    "proxy": [None] * 3, "huge": [2**63, 5, None], "mixed": [True, 1, "x"],
})  # fmt: skip
TABLE = Table("One step", FRAME, {"time_s": str}, {"layer": "layer", "time_s": "time, ms"}, ("First.", "Second."))


def read(table):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow (extra parquet) is not installed")
    return parquet.read_table(io.BytesIO(to_parquet(table)))


def test_raw_values_and_types():
    found = read(TABLE)
    assert {field.name: str(field.type) for field in found.schema} == {
        "layer": "string", "time_s": "double", "bytes": "int64", "launches": "int64", "known": "bool",
        "low_s": "double", "proxy": "string", "huge": "double", "mixed": "string",
    }  # fmt: skip
    assert found.to_pylist() == [
        {
            "layer": "conv1", "time_s": 0.00123, "bytes": 4096, "launches": 1, "known": True, "low_s": None,
            "proxy": None, "huge": 2.0**63, "mixed": "True",
        },
        {
            "layer": "fc|8", "time_s": 1 / 3, "bytes": 12, "launches": None, "known": None, "low_s": None,
            "proxy": None, "huge": 5.0, "mixed": "1",
        },
        {
            "layer": None, "time_s": None, "bytes": 7, "launches": 3, "known": False, "low_s": None, "proxy": None,
            "huge": None, "mixed": "x",
        },
    ]  # fmt: skip


def test_what_the_schema_says():
    schema = read(TABLE).schema
    assert schema.metadata == {
        b"title": b"One step", b"notes": b"First.\nSecond.", b"made_by": f"perfmodel {own_version()}".encode(),
    }  # fmt: skip
    assert schema.field("time_s").metadata == {b"header": b"time, ms", b"unit": b"s"}
    assert schema.field("bytes").metadata == {b"unit": b"B"}
    assert schema.field("launches").metadata is None


def test_pandas_reads_it():
    pytest.importorskip("pyarrow", reason="pyarrow (extra parquet) is not installed")
    found = pd.read_parquet(io.BytesIO(to_parquet(TABLE)))
    pd.testing.assert_series_equal(found["time_s"], FRAME["time_s"])
    assert to_parquet(TABLE) == to_parquet(TABLE)


def test_an_empty_table_keeps_its_columns():
    found = read(Table("t", FRAME.iloc[:0]))
    assert (found.num_rows, found.column_names) == (0, list(FRAME.columns))


@given(st.lists(st.one_of(st.none(), st.text(), st.integers(), st.floats(), st.booleans()), min_size=1, max_size=5))
def test_any_values_go_in(values):
    frame = pd.DataFrame({"x": pd.Series([*values, "\ud800"], dtype=object)})
    found = read(Table("\u202e\ud800", frame, notes=("\ud800",))).column("x").to_pylist()
    assert found.pop() == "\\ud800"
    assert [value is None for value in found] == [value is None or value != value for value in values]


@pytest.mark.parametrize(
    ("column", "unit"),
    [
        ("time_s", "s"), ("achieved_flop_per_s", "FLOP/s"), ("traffic_bytes", "B"), ("bytes", "B"), ("fp32_hours", "h"),
        ("boost_hz", "Hz"), ("intensity_flop_per_byte", "FLOP/B"), ("passes", ""), ("share", ""), ("s", ""),
    ],
)  # fmt: skip
def test_units_of_names(column, unit):
    assert unit_of(column) == unit


def test_without_pyarrow(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    line = (
        r"^E1741 \.parquet: needs pyarrow, which is not installed\. Install perfmodel\[parquet\], "
        r"or write \.csv or \.json\.$"
    )
    for call in (check_parquet, lambda: to_parquet(TABLE), lambda: writing.output_suffix("x.parquet", figures=False)):
        with pytest.raises(OutputError, match=line):
            call()


def test_a_file_holds_one_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match=r"^E1903 \.parquet: holds one table, and there are 2\. .* a \.parquet file"):
        writing.emit([TABLE, TABLE], "x.parquet")
    assert not list(tmp_path.iterdir())
    pytest.importorskip("pyarrow", reason="pyarrow (extra parquet) is not installed")
    assert writing.output_suffix("X.PARQUET", figures=True) == ".csv"  # what it holds
    writing.emit([TABLE], "x.parquet")
    assert (tmp_path / "x.parquet").read_bytes() == to_parquet(TABLE)
