"""Training steps as trace events: what Perfetto and chrome://tracing open, a kernel a slice.

The format is the Trace Event Format of Chrome's about:tracing, here its phases X (slices), C (counters) and M (names).
Readers add durations to starts, some in binary fractions of microseconds, others in whole nanoseconds, and slices that
then overlap by a hair no longer nest. So slices begin and end on a grid that both hold exactly: eighths of a
microsecond. The exact times are among the arguments.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any, BinaryIO

from perfmodel.gemm import Gemm
from perfmodel.lowering import MemoryOp, Work
from perfmodel.networks import Network
from perfmodel.output import own_version, write_file
from perfmodel.report.table import visible
from perfmodel.report.text import milliseconds
from perfmodel.simulate import OVERHEAD_KINDS, StepCost
from perfmodel.units import GIGA, TERA

PHASES = {"fprop": "forward", "dgrad": "backward", "wgrad": "backward", "update": "update"}
PASS_ORDER = {"fprop": 0, "dgrad": 0, "wgrad": 1, "update": 0}  # within a layer of one phase
BITS, FLOPS, BYTES = "GEMM operands", "arithmetic", "memory"  # the counters
UNITS = {BITS: "bits", FLOPS: "TFLOP/s", BYTES: "GB/s"}  # their series, which Perfetto names too
GRID_S = 1.25e-7  # an eighth of a microsecond
EXPLAINED = (
    "Kernels lie end to end, in the order of a step: layers forward, backward, update. All launches of a kernel in a "
    "step are one slice; it begins and ends at whole eighths of a microsecond, and what is shorter than half of one is "
    "left out (time_us is exact). Where a layer's conversions lie within its pass is a convention. Each counter holds "
    "during the kernel below it, the bits until the next GEMM; bytes are compulsory traffic."
)


@dataclass(frozen=True, slots=True)
class Slice:
    """One kernel of a step, and at which place of the grid all its launches begin and end."""

    work: Work
    start: int
    end: int
    seconds: float
    basis: str
    detail: str


def timeline_events(
    steps: Mapping[str, StepCost], network: Network, setting: str = "", device: str = ""
) -> dict[str, Any]:
    """The steps as one trace: a process for each, in which phases hold layers and layers hold kernels.

    `steps` are called what they shall be called there (`fp32`, `dfx8`); `setting` and `device` say in words what they
    were priced on, for whoever opens the file. Times are in microseconds, as the format has them.
    """
    order = {layer.name: number for number, layer in enumerate(network.layers)}
    events = [event for pid, (name, step) in enumerate(steps.items(), 1) for event in _process(pid, name, step, order)]
    about = {"made by": f"perfmodel {own_version()}", "network": network.name, "device": device, "setting": setting}
    other = {name: visible(text) for name, text in about.items() if text} | {"reading": EXPLAINED}
    return {"displayTimeUnit": "ms", "otherData": other, "traceEvents": events}


def write_timeline(
    path: str | os.PathLike, steps: Mapping[str, StepCost], network: Network, setting: str = "", device: str = ""
) -> None:
    """Write `timeline_events` as JSON, an event a line; raises `OutputError` as `perfmodel.output.write_file`."""
    write_file(path, partial(_fill, timeline_events(steps, network, setting, device)))


def _fill(trace: Mapping[str, Any], file: BinaryIO) -> None:
    head = {name: value for name, value in trace.items() if name != "traceEvents"}
    file.write((json.dumps(head, indent=1)[:-2] + ',\n "traceEvents": [\n').encode())
    encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
    for number, event in enumerate(trace["traceEvents"]):
        file.write((",\n" * bool(number) + encode(event)).encode())
    file.write(b"\n ]\n}\n")


def _process(pid: int, name: str, step: StepCost, order: Mapping[str, int]) -> Iterator[dict]:
    """The events of one step, by time; what holds others comes before them."""
    title = f"{visible(name)} step, {milliseconds(step.total.seconds)} ms"
    yield _event("M", pid, name="process_name", args={"name": title})
    yield _event("M", pid, name="process_sort_index", args={"sort_index": pid})
    yield _event("M", pid, name="thread_name", args={"name": "layers and kernels"})
    slices = list(_laid_out(step, order))
    bits = next((_bits(one) for one in slices if isinstance(one.work.kernel, Gemm)), 0)
    last: dict[str, float] = {}
    for phase, in_phase in groupby(slices, lambda one: PHASES[one.work.pass_]):
        in_phase = list(in_phase)
        yield _span(pid, phase, "phase", in_phase)
        for layer, in_layer in groupby(in_phase, lambda one: one.work.layer):
            in_layer = list(in_layer)
            yield _span(pid, visible(layer), "layer", in_layer)
            for one in in_layer:
                yield _kernel(pid, one)
                bits = _bits(one) or bits
                values = _rates(one) | {BITS: bits}
                yield from _changes(pid, one.start, values, last)
    if slices:
        yield from _changes(pid, slices[-1].end, {BITS: 0, FLOPS: 0.0, BYTES: 0.0}, last)


def _laid_out(step: StepCost, order: Mapping[str, int]) -> Iterator[Slice]:
    """The kernels that reach the grid's next place, one after the other."""
    hooked = any(work.layer == "input" and work.kind == "quantise" for work in step.works)
    seconds = step.seconds.tolist()
    places = sorted(range(len(step.works)), key=lambda i: _place(step.works[i], order, hooked))
    before_s, start = 0.0, 0
    for i in places:
        before_s += seconds[i]
        end = round(before_s / GRID_S)
        if end > start:
            yield Slice(step.works[i], start, end, seconds[i], step.prices.basis[i], step.prices.detail[i])
            start = end


def _place(work: Work, order: Mapping[str, int], hooked: bool) -> tuple[int, int, int, int]:
    """Where a kernel comes in the step: phase, layer, pass, and within it what is needed before what.

    The images, and what is of no layer, come before all layers forward and after them backward. `hooked`: converted is
    what a layer has written, by hooks behind it; else what it is about to read. Gradients of weights are converted when
    they are there.
    """
    phase = list(dict.fromkeys(PHASES.values())).index(PHASES[work.pass_])
    number = order.get(work.layer, -1)
    converts = work.kind in ("cast", "quantise")
    if work.pass_ == "update":
        rank = 0 if converts and work.kind == "cast" else 1 if work.kind == "update" else 2
    elif converts:
        rank = 4 if hooked or work.pass_ == "wgrad" else 0
    elif work.kind == "add/concat" and work.pass_ == "dgrad":
        rank = 0  # the sum of gradients that come from several layers
    elif work.kind in ("transpose", "im2col") and getattr(work.kernel, "op", "") != "col2im":
        rank = 1
    else:
        rank = 2 if isinstance(work.kernel, Gemm) else 3
    return phase, -number if phase == 1 else number, PASS_ORDER[work.pass_], rank


def _event(phase: str, pid: int, **fields: Any) -> dict:
    return {"ph": phase, "pid": pid, "tid": pid, **fields}


def _slice(pid: int, name: str, kind: str, start: int, end: int, args: dict) -> dict:
    return _event("X", pid, name=name, cat=kind, ts=start / 8, dur=(end - start) / 8, args=args)


def _span(pid: int, name: str, kind: str, inside: list[Slice]) -> dict:
    """The slice around others."""
    seconds = sum(one.seconds for one in inside)
    converting = sum(one.seconds for one in inside if one.work.kind in OVERHEAD_KINDS)
    args = {
        "kernels": len(inside),
        "time_us": _digits(seconds * 1e6),
        "converting": f"{100 * converting / seconds:.1f} %",
    }
    return _slice(pid, name, kind, inside[0].start, inside[-1].end, args)


def _kernel(pid: int, one: Slice) -> dict:
    work, kernel = one.work, one.work.kernel
    name = work.kind if work.kind == work.pass_ else f"{work.pass_} {work.kind}"
    args: dict[str, Any] = {"layer": visible(work.layer)}
    if isinstance(kernel, Gemm):
        args |= {"m": kernel.m, "n": kernel.n, "k": kernel.k, "batch": kernel.batch, "layout": kernel.layout}
        args |= {"precision": kernel.precision.name, "flop": kernel.flop * work.count}
    elif isinstance(kernel, MemoryOp):
        args |= {"op": kernel.op} | ({"shape": " x ".join(map(str, kernel.shape))} if kernel.shape else {})
    args |= {"bytes": kernel.bytes * work.count} if isinstance(kernel, Gemm | MemoryOp) else {}
    args |= {"launches": work.count, "time_us": _digits(one.seconds * 1e6)}
    texts = {"kernel": visible(one.detail), "basis": one.basis, "proxy": visible(work.proxy)}
    args |= {key: text for key, text in texts.items() if text}
    return _slice(pid, name, "kernel", one.start, one.end, args)


def _bits(one: Slice) -> int:
    return one.work.kernel.precision.operand.bits if isinstance(one.work.kernel, Gemm) else 0


def _rates(one: Slice) -> dict[str, float]:
    """What the kernel reaches."""
    flop, moved = (getattr(one.work.kernel, name, 0) * one.work.count for name in ("flop", "bytes"))
    return {FLOPS: _digits(flop / one.seconds / TERA), BYTES: _digits(moved / one.seconds / GIGA)}


def _digits(value: float) -> float:
    """Six digits: it is looked at, and the file is shorter."""
    return float(f"{value:.6g}")


def _changes(pid: int, at: int, values: Mapping[str, float], last: dict[str, float]) -> Iterable[dict]:
    """The counters that are not what they were."""
    for name, value in values.items():
        if last.get(name) != value:
            last[name] = value
            yield _event("C", pid, name=name, ts=at / 8, args={UNITS[name]: value})
