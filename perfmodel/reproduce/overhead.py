"""What Table 3 itself charges for quantising, as an overhead to price other runs with."""

from __future__ import annotations

from perfmodel.errors import Unsupported
from perfmodel.networks import Network, find_network
from perfmodel.reproduce.published import table3
from perfmodel.schemes import Overhead
from perfmodel.traces import Trace

PUBLISHED_OVERHEAD = "table3"  # the word for it on the command line


def published_overhead(network: Network, trace: Trace) -> Overhead:
    """What Table 3 charges for quantising, (MuPPET − limit) in all, spread over the quantised iterations of a trace.

    Raises `Unsupported` (E1109) for a network that is not one of Table 3's, or a trace without quantised iterations.
    """
    row = next((row for row in table3().rows if network == find_network(row.network)), None)
    quantised = sum(s.iterations for s in trace.segments if any(name.startswith("dfx") for name in s.precision.names))
    if row is None or not quantised:
        known = ", ".join(row.network for row in table3().rows)
        raise Unsupported.at(
            "E1109", "--overhead table3:",
            f"Table 3 says nothing of {network.name} over {quantised} quantised iterations.",
            f"It has {known}. Choose another overhead.",
        )  # fmt: skip
    return Overhead("table3", (row.muppet - row.limit) / quantised, "published")
