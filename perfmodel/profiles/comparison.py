"""How the kernels of a profile compare: GEMMs with the vendor's library, memory-bound kernels with a copy."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean, median

from perfmodel.gemm import Gemm
from perfmodel.lowering import MemoryOp
from perfmodel.profiles.profile import Profile

LARGE = 4.0  # times the L2 that a memory-bound kernel must move to be compared with a copy from memory


@dataclass(frozen=True, slots=True)
class Ratio:
    """How fast `count` kernels are as a share of what they are compared with: their mean, and the least of them."""

    what: str
    count: int
    mean: float
    least: float


def vendor_ratios(profile: Profile) -> list[Ratio]:
    """For each precision the geometric mean of the vendor's time over that of the fastest kernel, on the same GEMMs."""
    shares = defaultdict(list)
    for problem in dict.fromkeys(kernel.problem for kernel in profile.timings):
        ours, vendor = profile.fastest(problem), profile.vendor(problem)
        if isinstance(problem, Gemm) and ours and vendor:
            precision = problem.precision
            shares[f"{precision.name}->{precision.output.name}"].append(vendor.seconds / ours.seconds)
    return [_ratio(what, found, math.exp(fmean(map(math.log, found)))) for what, found in sorted(shares.items())]


def copy_ratios(profile: Profile) -> list[Ratio]:
    """For each op the median bandwidth of its large kernels, as a share of what a copy reaches on the device.

    Large are those that move at least four times the L2. None where the profile holds no bandwidth of a copy.
    """
    copies = [one.copy_bytes_per_s for one in profile.sessions if one.copy_bytes_per_s > 0]
    l2_bytes = profile.environment["device"].get("l2_bytes")
    if not copies or type(l2_bytes) not in (int, float):
        return []
    shares = defaultdict(list)
    for kernel, timing in profile.timings.items():
        if isinstance(kernel.problem, MemoryOp) and kernel.problem.bytes >= LARGE * l2_bytes:
            shares[kernel.problem.op].append(kernel.problem.bytes / timing.seconds / median(copies))
    return [_ratio(op, found, median(found)) for op, found in sorted(shares.items())]


def _ratio(what: str, shares: Iterable[float], mean: float) -> Ratio:
    shares = list(shares)
    return Ratio(what, len(shares), mean, min(shares))
