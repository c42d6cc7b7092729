"""Timelines of steps: what a reader of trace events needs of them, and that they are the step."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.cost.estimate import Prices
from perfmodel.errors import OutputError
from perfmodel.gemm import Gemm, find_precision
from perfmodel.lowering import KINDS, PASSES, Delay, MemoryOp, Work
from perfmodel.networks import Linear, Network
from perfmodel.report.timeline import timeline_events, write_timeline
from perfmodel.simulate import StepCost

REQUIRED = {"X": {"name", "cat", "ts", "dur", "args"}, "C": {"name", "ts", "args"}, "M": {"name", "args"}}
INT8 = find_precision("int8")
HOSTILE = ("</script>", 'a"b\\', "\x1b[31mred", "\u202eevil", "\ud800", "n" * 3000, "")


def a_network(*names):
    layers = tuple(Linear(name, ("input" if i == 0 else names[i - 1],), (3, 1, 1), 3) for i, name in enumerate(names))
    return Network("none", "", "", (3, 1, 1), layers)


def a_step(*rows):
    """Works of layer, pass, kind and kernel; the seconds of a launch, and how many of them."""
    works = tuple(Work(layer, pass_, kind, kernel, count) for layer, pass_, kind, kernel, _, count in rows)
    return StepCost(works, Prices(np.array([row[4] for row in rows]), ["given"] * len(rows), ["64x64x8"] * len(rows)))


def events(trace, phase, pid=1):
    return [event for event in trace["traceEvents"] if event["ph"] == phase and event["pid"] == pid]


def kernels(trace, pid=1):
    return [event for event in events(trace, "X", pid) if event["cat"] == "kernel"]


def check(trace):
    """What the format demands: keys by phase, times that do not go back, slices of a track inside others or apart."""
    content = json.loads(json.dumps(trace, allow_nan=False))
    last, open_until = {}, {}
    for event in content["traceEvents"]:
        track = event["pid"], event["tid"]
        assert set(event) == REQUIRED[event["ph"]] | {"ph", "pid", "tid"}
        if event["ph"] == "M":
            assert track not in last, "names come first"
            continue
        assert event["ts"] >= last.get(track, 0.0)
        last[track] = event["ts"]
        if event["ph"] == "C":
            assert all(isinstance(value, int | float) and value >= 0 for value in event["args"].values())
            continue
        end = event["ts"] + event["dur"]
        assert event["dur"] > 0
        stack = open_until.setdefault(track, [])
        while stack and stack[-1] <= event["ts"]:
            stack.pop()
        assert not stack or end <= stack[-1], "overlaps, and lies not within"
        stack.append(end)


STEP = a_step(
    ("a", "fprop", "gemm", Gemm(3, 5, 7, precision=INT8), 0.003, 1),
    ("a", "wgrad", "gemm", Gemm(3, 5, 7), 0.005, 1),
    ("b", "fprop", "gemm", Gemm(3, 5, 7), 0.001, 2),
    ("b", "dgrad", "gemm", Gemm(3, 5, 7), 0.007, 1),
    ("b", "dgrad", "add/concat", MemoryOp(3, 4), 0.001, 1),
    ("b", "wgrad", "gemm", Gemm(3, 5, 7), 0.011, 1),
    ("b", "fprop", "cast", MemoryOp(10, 20), 0.001, 1),
    ("b", "wgrad", "cast", MemoryOp(1, 2), 0.001, 1),
    ("a", "update", "update", MemoryOp(6, 7, "update", (3,)), 0.013, 1),
    ("a", "update", "scale", Delay(0.0, "given"), 0.0, 1),
)


def test_the_order_of_a_step():
    trace = timeline_events({"int8": STEP}, a_network("a", "b"))
    check(trace)
    assert [(one["args"]["layer"], one["name"], one["ts"], one["dur"]) for one in kernels(trace)] == [
        ("a", "fprop gemm", 0, 3000), ("b", "fprop cast", 3000, 1000), ("b", "fprop gemm", 4000, 2000),
        ("b", "dgrad add/concat", 6000, 1000), ("b", "dgrad gemm", 7000, 7000), ("b", "wgrad gemm", 14000, 11000),
        ("b", "wgrad cast", 25000, 1000), ("a", "wgrad gemm", 26000, 5000), ("a", "update", 31000, 13000),
    ]  # fmt: skip
    around = [(one["name"], one["ts"], one["dur"]) for one in events(trace, "X") if one["cat"] != "kernel"]
    assert around == [
        ("forward", 0, 6000), ("a", 0, 3000), ("b", 3000, 3000),
        ("backward", 6000, 25000), ("b", 6000, 20000), ("a", 26000, 5000),
        ("update", 31000, 13000), ("a", 31000, 13000),
    ]  # fmt: skip


def test_what_is_told_of_a_kernel():
    trace = timeline_events({"int8": STEP}, a_network("a", "b"))
    first, cast, gemm = kernels(trace)[:3]
    assert first["args"] == {
        "layer": "a", "m": 3, "n": 5, "k": 7, "batch": 1, "layout": "tn",
        "precision": "int8", "flop": 210, "bytes": 116.0, "launches": 1, "time_us": 3000.0, "kernel": "64x64x8",
        "basis": "given",
    }  # fmt: skip
    assert cast["args"]["bytes"] == 30
    assert (gemm["args"]["launches"], gemm["args"]["flop"], gemm["args"]["time_us"]) == (2, 420, 2000)
    assert kernels(trace)[-1]["args"]["shape"] == "3"
    (forward,) = (one for one in events(trace, "X") if one["name"] == "forward")
    assert forward["args"] == {"kernels": 3, "time_us": 6000.0, "converting": "16.7 %"}


def test_counters_by_hand():
    found = {}
    for event in events(timeline_events({"x": STEP}, a_network("a", "b")), "C"):
        ((series, value),) = event["args"].items()
        found.setdefault(f"{event['name']} {series}", []).append((event["ts"], value))  # as Perfetto calls it
    assert found["GEMM operands bits"] == [(0, 8), (4000, 32), (44000, 0)]  # an FP32 GEMM is the next after the cast
    # 210 FLOP in 3 ms, 420 in 2 ms
    assert found["arithmetic TFLOP/s"][:4] == [(0, 7e-8), (3000, 0.0), (4000, 2.1e-7), (6000, 0.0)]
    assert found["memory GB/s"][1] == (3000, 3e-5)  # 30 B in 1 ms
    assert found["memory GB/s"][-1] == (44000, 0.0)


def test_a_process_for_each_step_in_order():
    trace = timeline_events({"fp32": STEP, "dfx8": STEP, "empty": a_step()}, a_network("a", "b"), "batch 2", "slow")
    check(trace)
    names = [event["args"]["name"] for event in trace["traceEvents"] if event["name"] == "process_name"]
    assert names == ["fp32 step, 44 ms", "dfx8 step, 44 ms", "empty step, 0 ms"]
    assert [one["ts"] for one in kernels(trace, 2)] == [one["ts"] for one in kernels(trace, 1)]
    assert {name: trace["otherData"][name] for name in ("network", "device", "setting")} == {
        "network": "none", "device": "slow", "setting": "batch 2",
    }  # fmt: skip


def test_what_hooks_convert_comes_behind_the_layer():
    step = a_step(
        ("a", "fprop", "gemm", Gemm(3, 5, 7), 0.001, 1), ("input", "fprop", "quantise", MemoryOp(3, 4), 0.001, 1),
        ("a", "fprop", "quantise", MemoryOp(3, 4), 0.001, 1), ("a", "wgrad", "transpose", MemoryOp(3, 4), 0.001, 1),
        ("a", "wgrad", "gemm", Gemm(3, 5, 7), 0.001, 1),
    )  # fmt: skip
    found = [(one["args"]["layer"], one["name"]) for one in kernels(timeline_events({"x": step}, a_network("a")))]
    assert found == [
        ("input", "fprop quantise"), ("a", "fprop gemm"), ("a", "fprop quantise"), ("a", "wgrad transpose"),
        ("a", "wgrad gemm"),
    ]  # fmt: skip


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "no layer", *HOSTILE]), st.sampled_from([*PASSES, "update"]),
            st.sampled_from(KINDS),
            st.sampled_from([Gemm(3, 5, 7), Gemm(3, 5, 7, precision=INT8), MemoryOp(3, 4), Delay(1.0, "given")]),
            st.floats(0, 1) | st.floats(0, 1e-6), st.sampled_from([1, 7, 0.5]),
        ),
        max_size=30,
    )
)  # fmt: skip
def test_any_step_nests_and_lasts_as_long_as_it_takes(rows):
    step = a_step(*rows)
    trace = timeline_events({"any": step}, a_network("a", "b"))
    check(trace)
    found = kernels(trace)
    assert sum(one["dur"] for one in found) == pytest.approx(step.total.seconds * 1e6, abs=0.0626)
    ends = [one["ts"] + one["dur"] for one in found]
    assert [one["ts"] for one in found] == [0, *ends][: len(found)]
    phases = [one for one in events(trace, "X") if one["cat"] == "phase"]
    assert len(phases) <= 3
    assert sum(one["dur"] for one in phases) == sum(one["dur"] for one in found)


def test_names_are_data(tmp_path):
    step = a_step(*((name, "fprop", "gemm", Gemm(3, 5, 7), 0.001, 1) for name in HOSTILE))
    write_timeline(tmp_path / "x.json", {HOSTILE[2]: step}, a_network("a"), HOSTILE[3])
    text = (tmp_path / "x.json").read_text("ascii")
    assert all(c == "\n" or c.isprintable() for c in text)
    trace = json.loads(text)
    check(trace)
    named = {one["args"]["layer"] for one in kernels(trace)}
    assert {"</script>", 'a"b\\', "\\x1b[31mred", "\\u202eevil", "\\ud800"} <= named
    assert trace["otherData"]["setting"] == "\\u202eevil"


def test_the_file_is_the_events_and_the_same_again(tmp_path):
    arguments = {"fp32": STEP}, a_network("a", "b"), "batch 2", "slow"
    for name in ("a.json", "b.json"):
        write_timeline(tmp_path / name, *arguments)
    assert json.loads((tmp_path / "a.json").read_text()) == timeline_events(*arguments)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    with pytest.raises(OutputError, match="E1901"):
        write_timeline(tmp_path / "no" / "a.json", *arguments)


def test_the_check_finds_what_readers_stumble_over():
    def slices(*times):
        common = {"ph": "X", "pid": 1, "tid": 1, "name": "x", "cat": "kernel", "args": {}}
        return {"traceEvents": [common | {"ts": start, "dur": length} for start, length in times]}

    check(slices((0.0, 5.0), (0.0, 3.0), (3.0, 2.0), (5.0, 1.0)))
    for times in (((0.0, 5.0), (4.0, 2.0)), ((3.0, 1.0), (0.0, 1.0)), ((0.0, 0.0),), ((0.0, 0.3), (0.1, 0.2))):
        with pytest.raises(AssertionError):
            check(slices(*times))
    with pytest.raises(AssertionError):
        check({"traceEvents": [{"ph": "X", "pid": 1, "tid": 1, "ts": 0.0}]})
