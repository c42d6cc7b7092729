"""Warming a device up with the workload itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress

from perfmodel.measure.backend import Backend, OutOfDeviceMemory
from perfmodel.measure.sampling import giving_back
from perfmodel.profiles.kernel import Kernel

IN_FLIGHT = 16  # launches between two waits: waiting after each idles the device, which then stays too cool


def run_mix(
    backend: Backend, function_of: Callable[[Kernel], object], kernels: Sequence[Kernel], first: int,
    limit_s: float, data: str, watchdog_s: float,
) -> dict:  # fmt: skip
    """Run kernels once each, in order from `first`, for about `limit_s`: seconds, clock, and which comes next.

    The clock is null where it cannot be read. A kernel that finds no memory is left out; `OutOfDeviceMemory` where
    none of a whole turn finds any.
    """
    start, stamp, done, left_out, at_once = backend.now_s(), backend.stamp(), 0, 0, 1
    while True:
        group = [kernels[(first + done + i) % len(kernels)] for i in range(at_once)]
        left_out = 0 if _run_group(backend, function_of, group, data, watchdog_s) else left_out + len(group)
        if left_out >= len(kernels):
            raise OutOfDeviceMemory(math.ceil(min(kernel.bytes for kernel in kernels)), backend.free_bytes())
        done += len(group)
        taken_s = backend.now_s() - start
        if taken_s >= limit_s:
            break
        at_once = max(1, min(IN_FLIGHT, int(done * limit_s / (2 * max(taken_s, 1e-9)))))  # half of the time at most
    last = backend.stamp()
    backend.synchronise(watchdog_s)
    clock_hz = backend.clock_hz(stamp, last)
    return {
        "seconds": backend.now_s() - start,
        "clock_hz": clock_hz if 0 < clock_hz < math.inf else None,
        "next": (first + done) % len(kernels),
    }


def _run_group(backend: Backend, function_of, group: Sequence[Kernel], data: str, watchdog_s: float) -> int:
    """Launch kernels one after the other and wait for all of them; how many found memory."""
    held, ran = [], 0
    with giving_back(backend, held):
        for kernel in group:
            with suppress(OutOfDeviceMemory):
                held.append(_allocate(backend, kernel, data, held, watchdog_s))
                backend.launch_each(function_of(kernel), held[-1], 1, 0)
                ran += 1
        backend.synchronise(watchdog_s)
    return ran


def _allocate(backend: Backend, kernel: Kernel, data: str, held: list, watchdog_s: float):
    """One set of operands; where memory is short, after the launches before it have ended and given theirs back."""
    try:
        return backend.allocate(kernel, 1, data, 0)
    except OutOfDeviceMemory:
        if not held:
            raise
    backend.synchronise(watchdog_s)
    while held:
        backend.release(held.pop())
    return backend.allocate(kernel, 1, data, 0)
