"""What Table 3 itself charges for quantising, as an overhead to price other runs with."""

from __future__ import annotations

from perfmodel.errors import Unsupported
from perfmodel.reproduce.published import table3
from perfmodel.reproduce.schedules import implied_overhead
from perfmodel.schemes import Overhead
from perfmodel.traces import Trace

PUBLISHED_OVERHEAD = "table3"  # the word for it on the command line


def published_overhead(network: str, trace: Trace) -> Overhead:
    """What Table 3 charges for quantising: (MuPPET − limit) spread over the quantised epochs of a trace, per iteration.

    Raises `Unsupported` (E1109) for a network that Table 3 does not have, or a trace without quantised epochs.
    """
    row = table3().row(network)
    quantised = {s.epoch for s in trace.segments if any(name.startswith("dfx") for name in s.precision.names)}
    if row is None or not quantised:
        known = ", ".join(row.network for row in table3().rows)
        raise Unsupported.at(
            "E1109", "--overhead table3:", f"Table 3 says nothing of {network} over {len(quantised)} quantised epochs.",
            f"It has {known}. Choose another overhead.",
        )  # fmt: skip
    return Overhead("table3", implied_overhead(row, len(quantised)) / table3().iterations, "published")
