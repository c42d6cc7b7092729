"""A profile as a table, one row a kernel: what `check --csv` and other tools get."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from perfmodel.lowering import MemoryOp
from perfmodel.profiles.kernel import Kernel

if TYPE_CHECKING:
    from perfmodel.profiles.profile import Profile

WHOLE = ("m", "n", "k", "batch", "a_distinct", "b_distinct", "visits", "sessions")
TIMED = (
    "seconds", "low", "high", "interval", "visits", "sessions", "half_width", "raw_seconds", "reference_hz",
    "elasticity", "spread", "bound_s", "share_of_bound", "of_vendor", "weight", "flags",
)  # fmt: skip
DERIVED = ("share_of_bound", "of_vendor")  # the speed as a share of the roofline's, and of the vendor's library
COLUMNS = (
    "op", "view", "m", "n", "k", "batch", "operand", "accumulator", "output", "a_distinct", "b_distinct", "layout",
    "kind", "shape", "bytes_read", "bytes_written", "variant", *TIMED, "status", "reason", "basis",
)  # fmt: skip


def frame(profile: Profile) -> pd.DataFrame:
    """All kernels with the columns `COLUMNS`; cells that do not apply are empty (NA), times are in seconds."""
    rows = [_what(kernel) | _result(profile, kernel) | {"basis": profile.basis} for kernel in profile.seen]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype(dict.fromkeys(WHOLE, "Int64"))


def _what(kernel: Kernel) -> dict:
    p = kernel.problem
    row = {"view": kernel.view, "variant": kernel.variant}
    if isinstance(p, MemoryOp):
        shape = "x".join(map(str, p.shape))
        sizes = {"bytes_read": p.bytes_read, "bytes_written": p.bytes_written}
        return row | {"op": "stream", "kind": p.op, "shape": shape} | sizes
    formats = {name: getattr(p.precision, name).name for name in ("operand", "accumulator", "output")}
    sizes = {name: getattr(p, name) for name in ("m", "n", "k", "batch", "a_distinct", "b_distinct")}
    return row | {"op": "gemm", "layout": p.layout} | sizes | formats


def _result(profile: Profile, kernel: Kernel) -> dict:
    timing = profile.timings.get(kernel)
    if timing is None:
        status, reason = profile.refused[kernel]
        return {"status": status, "reason": reason, "interval": "none", "visits": 0, "sessions": 0, "flags": ""}
    share = timing.bound_s / timing.seconds if timing.bound_s > 0 else math.nan
    row = {name: getattr(timing, name) for name in TIMED if name not in (*DERIVED, "flags")}
    vendor = profile.vendor(kernel.problem)
    of_vendor = vendor.seconds / timing.seconds if vendor else math.nan
    return row | {
        "share_of_bound": share,
        "of_vendor": of_vendor,
        "flags": " ".join(timing.flags),
        "status": "ready",
        "reason": "",
    }
