"""Tables for people show what the intervals support; raw frames keep every digit."""

from math import nan

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.report.accuracy import accuracy_table
from perfmodel.report.basis import INTERVAL_NOTE, ROUNDED_NOTE, interval_notes
from perfmodel.report.breakdown import breakdown_table
from perfmodel.report.speedup import speedup_table

HOUR = 3600


def run_row(**changes):
    """A run of 24:10 h against 36:15 h, each known within a third; two thirds of the epochs."""
    return {
        "trace": "a", "training": "MuPPET", "epochs": 100, "epoch_factor": 1.25, "basis": "analytical",
        "time_low_s": 24 * HOUR + 600, "time_high_s": 24 * HOUR + 600,
        "time_interval_low_s": 18 * HOUR + 300, "time_interval_high_s": 33 * HOUR + 1200,
        "speedup_low": 1.5, "speedup_high": 1.5, "speedup_interval_low": 1.1234, "speedup_interval_high": 1.9876,
        "equal_epoch_speedup_low": 1.2, "equal_epoch_speedup_high": 1.2,
        "overhead_share_low": 0.1, "overhead_share_high": 0.1,
    } | changes  # fmt: skip


def cells(table):
    """The first row as people see it, by header."""
    return dict(zip(table.shown().values(), table.rows()[0], strict=True))


def test_a_run_and_its_speedup():
    found = cells(speedup_table(pd.DataFrame([run_row()]), "t", ()))
    assert {name: found[name] for name in ("time", "speedup", "90 %", "at equal epochs", "conversions")} == {
        "time": "24:00 h", "speedup": "1.50x", "90 %": "1.12x … 1.99x", "at equal epochs": "1.20x",
        "conversions": "10.0 %",
    }  # fmt: skip


def test_a_great_speedup_that_is_hardly_known():
    row = run_row(
        speedup_low=20.44, speedup_high=21.55, speedup_interval_low=11.23, speedup_interval_high=44.7,
        equal_epoch_speedup_low=16.352, equal_epoch_speedup_high=17.24, time_high_s=26 * HOUR,
    )  # fmt: skip
    found = cells(speedup_table(pd.DataFrame([row]), "t", ()))
    assert (found["speedup"], found["90 %"], found["at equal epochs"]) == ("22x … 20x", "11x … 45x", "17x … 16x")
    assert found["time"] == "24:00 h … 26:00 h"


@pytest.mark.parametrize(
    ("low", "high", "time", "interval"),
    [(nan, nan, "24:10 h", None), (1 * HOUR, 77 * HOUR, "20:00 h", "not known to a factor of 10")],
)
def test_times_whose_interval_says_little(low, high, time, interval):
    row = run_row(time_interval_low_s=low, time_interval_high_s=high, speedup_interval_low=low)
    row["speedup_interval_high"] = high
    found = cells(speedup_table(pd.DataFrame([row]), "t", ()))
    assert (found["time"], found.get("90 %")) == (time, interval)


def test_a_step():
    frame = pd.DataFrame({
        "precision": "fp32", "layer": ["a", "b"], "pass": "fprop", "kind": ["gemm", "loss"],
        "time_s": [0.03456, 0.000123456],
    })  # fmt: skip
    ends = [("total", 0.0253, 0.0571), ("a", 0.0253, 0.0571), ("b", nan, nan)]
    intervals = pd.DataFrame([("fp32", *row) for row in ends], columns=["precision", "layer", "low_s", "high_s"])
    table = breakdown_table(frame, "layer", "t", (), intervals)
    assert list(table.shown().values()) == ["layer", "fp32 ms", "90 %, ms", "share"]
    assert table.rows() == [
        ["a", "35", "25 … 57", "99.6 %"], ["b", "0.123", "–", "0.4 %"], ["total", "35", "25 … 57", "100.0 %"],
    ]  # fmt: skip
    assert table.numeric() == [False, True, False, True]
    assert table.values("fp32_time_s")[0] == 0.03456


def test_times_to_an_accuracy():
    row = {
        "trace": "a", "training": "FP32", "network": "n", "dataset": "d", "epochs": 9, "time_low_s": 1234.0,
        "time_high_s": 1234.0, "time_interval_low_s": 1000.0, "time_interval_high_s": 2000.0, "accuracy_metric": "acc",
        "best_accuracy": 90.0, "best_epoch": 5, "last_accuracy": 89.0, "target_accuracy": 88.0, "target_epoch": 4,
        "target_low_s": 617.0, "target_high_s": 617.0, "target_interval_low_s": 500.0, "target_interval_high_s": 1000.0,
    }  # fmt: skip
    found = cells(accuracy_table(pd.DataFrame([row]), "t"))
    assert (found["time"], found["time to it"]) == ("20 min 30 s", "10 min 20 s")  # to 30 s, to 10 s
    assert found["90 %"] == "8 min 20 s … 16 min 40 s"


@given(st.floats(1, 1e6), st.floats(1, 10), st.floats(0, 1), st.floats(0.5, 4), st.floats(1, 10))
def test_rows_of_any_size_can_be_shown(low, factor, part, speedup_low, wide):
    value, high = low + part * (factor - 1) * low, low * factor
    row = run_row(
        time_low_s=value, time_high_s=value, time_interval_low_s=low, time_interval_high_s=high,
        speedup_interval_low=speedup_low, speedup_interval_high=speedup_low * wide,
    )  # fmt: skip
    frame = pd.DataFrame([row])
    before = frame.copy()
    assert all(cells(speedup_table(frame, "t", ())).values())
    pd.testing.assert_frame_equal(frame, before)


def test_the_note_says_so_where_it_is_so():
    assert interval_notes([(nan, nan)], rounded=True) == []
    assert interval_notes([(1.0, 2.0)]) == [INTERVAL_NOTE]
    assert interval_notes([(nan, nan), (1.0, 2.0)], rounded=True) == [f"{INTERVAL_NOTE} {ROUNDED_NOTE}"]
