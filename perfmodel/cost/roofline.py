"""The roofline: what a kernel could reach at the peak rate and bandwidth of the device file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perfmodel.cost.estimate import Estimates, Gemms, Streams
from perfmodel.devices import Device


def roofline_seconds(flop, bytes_moved, flop_per_s, bytes_per_s):
    """Least time of a kernel whose arithmetic and traffic overlap fully.

        t = max(F / P, Q / B)

    flop F [FLOP], bytes_moved Q [B], flop_per_s P and bytes_per_s B; numbers or arrays. Launch, tiles and caches are
    left out. Source: Williams, Waterman, Patterson, CACM 52(4), 2009, doi:10.1145/1498765.1498785.

    >>> float(roofline_seconds(2e12, 1e9, 1e15, 4e12)), float(roofline_seconds(2e9, 8e9, 1e15, 4e12))
    (0.002, 0.002)
    """
    return np.maximum(flop / flop_per_s, bytes_moved / bytes_per_s)


def compulsory_bytes(gemms: Gemms):
    """Traffic when what exists of A and B is read once and C written once [B]."""
    operand, output = gemms.precision.operand.bytes, gemms.precision.output.bytes
    reads = gemms.m * gemms.k * gemms.a_fraction + gemms.n * gemms.k * gemms.b_fraction
    return gemms.batch * (reads * operand + gemms.m * gemms.n * output)


@dataclass(frozen=True, slots=True)
class Roofline:
    """Peak arithmetic at the sustained clock and full DRAM bandwidth: no GEMM at that clock is faster."""

    device: Device

    def gemms(self, gemms: Gemms) -> Estimates:
        """The bound of each GEMM; `Unsupported` where the chip has no unit for the precision."""
        peak = self.device.peak_flop_per_s(gemms.precision, self.device.sustained_clock_hz)
        flop = 2 * gemms.batch * gemms.m * gemms.n * gemms.k
        seconds = roofline_seconds(flop, compulsory_bytes(gemms), peak, self.device.dram_bytes_per_s)
        return Estimates(seconds, "roofline")

    def memory(self, streams: Streams) -> Estimates:
        """Bytes over bandwidth."""
        return Estimates(streams.bytes / self.device.dram_bytes_per_s, "roofline")
