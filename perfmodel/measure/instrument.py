"""Calibrating the instrument: what events, launches, graphs and copies take by themselves."""

from __future__ import annotations

from itertools import pairwise
from math import inf
from statistics import median

from perfmodel.measure.backend import Backend, CaptureFailed, NotReadable, OutOfDeviceMemory

REPEATS = 200
LONG_CHAIN = 101  # empty kernels of the longer of two batches
COPIES = 5
COPY_BYTES = 2**30
GRID_S = 1e-10  # below any event tick, above the rounding of its readings
LIMIT_S = 30.0


def calibrate(backend: Backend, spin_s: float) -> dict:
    """Seconds of the instrument's parts, each the median of 200 readings: the fields of an `instrument` record.

    `event_offset_s` lies between two events with nothing in between; `graph_offset_s` is what a captured batch takes
    beyond its kernels, `graph_gap_s` each empty kernel in it: intercept and slope of batches of 1 and 101 empty
    kernels. Null where the device captures no graphs. Raises `NotReadable` where a part never has a time.
    """
    pairs = [_between(backend, spin_s, lambda i=i: backend.spin((i % 40) * 0.3e-6)) for i in range(REPEATS)]
    row = {
        "event_tick_s": tick_of(pairs),
        "event_offset_s": _median(backend, spin_s, lambda: None),
        "launch_s": _median(backend, spin_s, lambda: backend.launch_each(None, None, 1, 0)),
        "spin_s": _median(backend, 0.0, lambda: backend.spin(spin_s)),
        "enqueue_s": _enqueue_s(backend),
        "copy_bytes_per_s": _copy_rate(backend),
    }
    return row | _graph(backend, spin_s)


def tick_of(seconds: list[float]) -> float:
    """The tick of the event clock: the least difference between distinct readings; 0 where all are equal.

    >>> round(tick_of([0.0, 2.048e-6, 1.024e-6, 5.12e-6]) * 1e9)
    1024
    """
    grid = sorted({round(value / GRID_S) for value in seconds if 0 <= value < 1.0})
    gaps = [b - a for a, b in pairwise(grid) if b - a > 2]
    return min(gaps) * GRID_S if gaps else 0.0


def _between(backend: Backend, spin_s: float, enqueue) -> float:
    """Seconds between two events around what `enqueue` enqueues, the host hidden behind a spin."""
    if spin_s:
        backend.spin(spin_s)
    first = backend.event()
    enqueue()
    last = backend.event()
    backend.synchronise(LIMIT_S)
    return backend.elapsed_s(first, last)


def _median(backend: Backend, spin_s: float, enqueue) -> float:
    taken = [_between(backend, spin_s, enqueue) for _ in range(REPEATS)]
    known = [seconds for seconds in taken if 0 <= seconds < inf]
    if not known:
        raise NotReadable("the instrument has no times: the events give none")
    return median(known)


def _graph(backend: Backend, spin_s: float) -> dict:
    try:
        short, long = (backend.capture(None, None, launches, 0) for launches in (1, LONG_CHAIN))
    except CaptureFailed:
        return {"graph_gap_s": None, "graph_offset_s": None}
    one, many = (_median(backend, spin_s, lambda batch=batch: backend.launch(batch)) for batch in (short, long))
    gap = max(0.0, (many - one) / (LONG_CHAIN - 1))
    return {"graph_gap_s": gap, "graph_offset_s": max(0.0, one - gap)}


def _enqueue_s(backend: Backend) -> float:
    """Host time to enqueue what one sample needs: two stamps, two events and a launch."""
    taken = []
    for _ in range(REPEATS):
        start = backend.now_s()
        backend.stamp(), backend.event()
        backend.launch_each(None, None, 1, 0)
        backend.event(), backend.stamp()
        taken.append(backend.now_s() - start)
        backend.synchronise(LIMIT_S)
    return median(taken)


def _copy_rate(backend: Backend) -> float | None:
    """Bytes read and written per second of a large copy; None where the memory for it is not free."""
    size = min(COPY_BYTES, backend.free_bytes() // 4)
    if size < 2**20:
        return None
    try:
        taken = [_between(backend, 0.0, lambda: backend.copy(size)) for _ in range(COPIES)]
    except OutOfDeviceMemory:
        return None
    known = [seconds for seconds in taken if 0 < seconds < inf]
    return 2 * size / median(known) if known else None
