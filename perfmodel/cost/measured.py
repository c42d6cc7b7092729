"""Measured timings as a cost model: each kernel's time is looked up in a profile."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log
from typing import Any, Protocol

import numpy as np

from perfmodel.cost.doubt import find_doubts
from perfmodel.cost.estimate import CostModel, Estimates, Gemms, Streams
from perfmodel.cost.spread import UNKNOWN, Spreads, Width
from perfmodel.devices import Device
from perfmodel.errors import Unsupported
from perfmodel.gemm import Gemm
from perfmodel.lowering import MemoryOp
from perfmodel.profiles.kernel import Kernel

AT_90 = 1.645 / 1.960  # of an interval at 95 %, where errors are normal


class Timing(Protocol):
    """The time of one launch of a kernel, and the ends of its interval at 95 % (NaN where there is none)."""

    kernel: Kernel
    seconds: float
    low: float
    high: float


class Timings(Protocol):
    """What a profile must offer.

    `basis` is `measured` or `simulated`; `environment` says of which device; `timings` holds the kernels that have a
    time, and `refused` status and reason of those that should have one.
    """

    basis: str
    environment: Mapping[str, Any]
    timings: Mapping[Kernel, Timing]
    refused: Mapping[Kernel, tuple[str, str]]

    def fastest(self, problem: Gemm | MemoryOp) -> Timing | None:
        """The fastest variant of exactly this problem; None where none was timed."""
        ...


class NotTimed(Unsupported):
    """A profile holds no time of a kernel, and no model fills in."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The times of a profile; what it lacks comes from the model `fill`, with that model's basis, if there is one.

    A kernel counts as timed where sizes, batch, precision (what is written included) and stored elements are the
    same; nothing is scaled or interpolated. `detail` names the variant. Raises `NotTimed` (E2201) for kernels that
    neither has.
    """

    profile: Timings
    device: Device
    fill: CostModel | None = None

    def gemms(self, gemms: Gemms) -> Estimates:
        """The time of each GEMM by its fastest variant."""
        what = f"GEMMs in {gemms.precision.name}"
        return self._look_up(gemms.each(), what, lambda missing: self.fill.gemms(Gemms.of(missing)))

    def memory(self, streams: Streams) -> Estimates:
        """The time of each memory-bound kernel; bytes of another kernel (`fused`) at the device's bandwidth."""
        fused = [i for i, op in enumerate(streams.ops) if op.op == "fused"]
        if not fused:
            return self._look_up(streams.ops, "streams", lambda missing: self.fill.memory(Streams.of(missing)))
        kernels = [op for op in streams.ops if op.op != "fused"]
        timed = self.memory(Streams.of(kernels)).rows()
        rates = streams.bytes / self.device.dram_bytes_per_s
        doubt = find_doubts("tiles")["memory"]
        width = doubt.shared, doubt.own, "memory"
        rows = [(rates[i], "roofline", "", width) if i in fused else next(timed) for i in range(len(streams))]
        return _estimates(rows)

    def _look_up(self, problems: Sequence[Gemm | MemoryOp], what: str, fill: Callable) -> Estimates:
        found = [self.profile.fastest(problem) for problem in problems]
        missing = [i for i, timing in enumerate(found) if timing is None]
        if missing and self.fill is None:
            raise self._lacks(problems[missing[0]], f"{len(missing)} of {len(problems)} {what}")
        basis = self.profile.basis
        rows = [timing and (timing.seconds, basis, timing.kernel.variant, _width(timing)) for timing in found]
        if missing:
            for i, row in zip(missing, fill([problems[i] for i in missing]).rows(), strict=True):
                rows[i] = row
        return _estimates(rows)

    def _lacks(self, problem: Gemm | MemoryOp, count: str) -> NotTimed:
        """The error for the first kernel without a time; says why, and which mapping has one of the same product."""
        refused = (why for kernel, why in self.profile.refused.items() if kernel.problem == problem)
        why = next((f" ({status}: {reason.rstrip('.')})" for status, reason in refused), "")
        found = f"has no time of {Kernel(problem).text}{why}; {count} are missing."
        fix = "perfmodel profile NETWORK … measures them; --fill analytical models them."
        if other := self._other_view(problem):
            mapping = "implicit" if Kernel(other).view == "implicit" else "im2col"
            found += f" There is one of {Kernel(other).text}, which goes with --mapping {mapping}."
        return NotTimed.at("E2201", f"profile of {device_name(self.profile)}:", found, fix)

    def _other_view(self, problem: Gemm | MemoryOp) -> Gemm | None:
        """The same product, stored as it is read instead of in implicit form or the other way round, if timed."""
        if isinstance(problem, MemoryOp):
            return None
        timed = (kernel.problem for kernel in self.profile.timings if isinstance(kernel.problem, Gemm))
        same = [one for one in timed if _plain(one) == _plain(problem)]
        return next((one for one in same if Kernel(one).view != Kernel(problem).view), None)


def _estimates(rows: Sequence[tuple[float, str, str, Width]]) -> Estimates:
    seconds, basis, detail, widths = ([row[column] for row in rows] for column in range(4))
    return Estimates(np.array(seconds), basis, detail, Spreads.of(widths))


def _width(timing: Timing) -> Width:
    """What a timing's own statistics say. What moves all timings of a profile together (another board, a warmer day)
    is not in it."""
    if not 0 < timing.low <= timing.high:
        return UNKNOWN
    return 0.0, log(timing.high / timing.low) / 2 * AT_90, ""


def _plain(gemm: Gemm) -> Gemm:
    """The product, however its operands are stored."""
    return replace(gemm, a_distinct=None, b_distinct=None, layout="tn", conv=None)


UNKNOWN_DEVICE = "an unknown device"


def device_name(profile: Timings) -> str:
    """The device of a profile as its driver called it; `an unknown device` where the file does not say."""
    device = profile.environment.get("device")
    name = device.get("name") if isinstance(device, Mapping) else None
    return name if isinstance(name, str) and name else UNKNOWN_DEVICE


BRANDS = {"nvidia", "tesla", "geforce"}
MEMORY = re.compile(r"(\d+) ?gb\b")
BUS = re.compile(r"\b(pcie|sxm)\d*\b")


def is_device(reported: str, title: str) -> bool:
    """Whether the name that a driver reports can be that of the device with this title.

    Drivers leave out brands, memory size and slot as they like; what both name must be the same. What stands in
    parentheses does not count.

    >>> is_device("Tesla V100-SXM2-16GB", "NVIDIA Tesla V100 SXM2 16 GB"), is_device("NVIDIA H200", "NVIDIA H200 SXM5")
    (True, True)
    >>> is_device("NVIDIA GeForce RTX 2080 Ti", "NVIDIA GeForce RTX 2080")
    False
    """
    parts = [_name_parts(name) for name in (reported, title)]
    (model, *first), (other, *second) = parts
    return model == other and all(not a or not b or a == b for a, b in zip(first, second, strict=True))


def _name_parts(name: str) -> tuple[set[str], set[str], set[str]]:
    """Model, memory sizes [GB] and slots that a name contains."""
    name = re.sub(r"\([^)]*\)|\bhbm\w*", " ", name.lower())
    rest = BUS.sub(" ", MEMORY.sub(" ", name))
    return set(re.findall(r"\w+", rest)) - BRANDS, set(MEMORY.findall(name)), set(BUS.findall(name))
