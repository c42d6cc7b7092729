"""Kernels against the roofs of their device: arithmetic over traffic, what is reached, and what could be.

Williams, Waterman and Patterson, "Roofline: an insightful visual performance model", CACM 52(4), 2009.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

import pandas as pd

from perfmodel.devices import Device
from perfmodel.gemm import Gemm, find_precision
from perfmodel.lowering import MemoryOp
from perfmodel.simulate import StepCost

POINT_COLUMNS = (
    "precision", "layer", "pass", "kind", "kernel_precision", "flop", "bytes", "time_s", "intensity_flop_per_byte",
    "flop_per_s", "bound_flop_per_s",
)  # fmt: skip
ROOF_COLUMNS = ("precision", "unit", "peak_flop_per_s", "dram_bytes_per_s", "ridge_flop_per_byte")


def roofline_frame(steps: Mapping[str, StepCost], device: Device) -> pd.DataFrame:
    """One row for each step's precision, layer, pass and kind of kernel, all launches of a step together.

    `kernel_precision` is what a GEMM is computed in; `bytes` its compulsory traffic (operands read once, the result
    written once), so a kernel that reads them again lies lower, never further left. `flop_per_s` is what the model or
    the profile makes of it, `bound_flop_per_s` the roof above: the least of peak and intensity x bandwidth. Kernels
    that only move bytes have no `kernel_precision` and no intensity; given times are left out.
    """
    facts: dict[int, tuple[str, float, float]] = {}  # of each kernel, which many layers may share
    rows = []
    for precision, step in steps.items():
        for work, seconds in zip(step.works, step.seconds.tolist(), strict=True):
            if isinstance(kernel := work.kernel, Gemm | MemoryOp):
                if id(kernel) not in facts:
                    is_gemm = isinstance(kernel, Gemm)
                    facts[id(kernel)] = (
                        kernel.precision.name if is_gemm else "", float(kernel.flop) if is_gemm else 0.0, kernel.bytes,
                    )  # fmt: skip
                name, flop, moved = facts[id(kernel)]
                count = work.count
                rows.append((precision, work.layer, work.pass_, work.kind, name, flop * count, moved * count, seconds))
    frame = pd.DataFrame(rows, columns=list(POINT_COLUMNS[:8]))
    frame = frame.groupby(list(POINT_COLUMNS[:5]), sort=False, as_index=False).sum()
    frame["intensity_flop_per_byte"] = (frame["flop"] / frame["bytes"]).where(frame["flop"] > 0)
    frame["flop_per_s"] = (frame["flop"] / frame["time_s"]).where(frame["flop"] > 0)
    roofs = roofs_frame(device, frame["kernel_precision"].unique()).set_index("precision")
    peaks = frame["kernel_precision"].map(roofs["peak_flop_per_s"])
    frame["bound_flop_per_s"] = (frame["intensity_flop_per_byte"] * device.dram_bytes_per_s).clip(
        upper=peaks.fillna(inf)
    )
    return frame


def roofs_frame(device: Device, precisions) -> pd.DataFrame:
    """One row for each precision of GEMMs: the unit, its peak at the device's sustained clock, bandwidth, their ridge.

    `ridge_flop_per_byte` is where both roofs meet: fewer FLOP for each byte, and memory decides. Empty names are left
    out. Raises `Unsupported` (E1103) for what the device has no unit for.
    """
    rows = []
    for name in dict.fromkeys(name for name in precisions if name):
        precision = find_precision(name)
        peak = device.peak_flop_per_s(precision, device.sustained_clock_hz)
        rows.append({
            "precision": name, "unit": device.rate(precision).unit, "peak_flop_per_s": peak,
            "dram_bytes_per_s": device.dram_bytes_per_s, "ridge_flop_per_byte": peak / device.dram_bytes_per_s,
        })  # fmt: skip
    return pd.DataFrame(rows, columns=list(ROOF_COLUMNS))
