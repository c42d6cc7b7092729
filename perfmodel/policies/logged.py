"""What a trace holds of gradients, epoch by epoch, and where its run switched.

Under `gradient_diversity` (or under `metrics`, where readers put columns that they do not know) stand `mean`, the Δ of
the window that ends with the epoch, or squared norms of that window by group: `norm2/GROUP` = Σ_k ‖g_k‖² and
`sum_norm2/GROUP` = ‖Σ_k g_k‖², without a group those of the whole network. Epochs without any of them hold no
evaluation: readers leave out what a log merely repeats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from perfmodel.errors import InputError, quote
from perfmodel.policies.diversity import Norms
from perfmodel.traces import Segment, Trace

WHOLE = "network"  # the name of the only group where norms are those of the network
KINDS = ("norm2", "sum_norm2")


@dataclass(frozen=True, slots=True)
class Logged:
    """One epoch's diversity, norms by group (empty where there are none) and threshold."""

    mean: float | None
    norms: Mapping[str, Norms]
    threshold: float | None

    @property
    def empty(self) -> bool:
        """Whether there is nothing to decide by."""
        return self.mean is None and not self.norms


def logged_epochs(trace: Trace) -> dict[int, Logged]:
    """What each epoch of the trace logged; `InputError` (E1508) for one of two norms, or for nothing at all."""
    raw: dict[int, dict[str, float]] = {}
    for segment in trace.segments:
        raw.setdefault(segment.epoch, {}).update(_values(segment))
    found = {e: Logged(each.get("mean"), _norms(e, each), each.get("threshold")) for e, each in raw.items()}
    if all(each.empty for each in found.values()):
        raise InputError.at(
            "E1508", "gradient diversity:", f"the log holds none, in {len(found)} epochs.",
            "Log past the end of a window of the rule; map one (gd_mean), or log norm2/LAYER and sum_norm2/LAYER.",
        )  # fmt: skip
    return found


def norm_values(norms: Mapping[str, Norms]) -> dict[str, float]:
    """Norms by group as a trace holds them: what a training loop logs as `gradient_diversity`.

    >>> norm_values({"fc": Norms(2.0, 4.0)})
    {'norm2/fc': 2.0, 'sum_norm2/fc': 4.0}
    """
    return {f"{kind}/{name}": getattr(one, kind) for name, one in norms.items() for kind in KINDS}


def _values(segment: Segment) -> dict[str, float]:
    norms = {name: value for name, value in segment.metrics.items() if name.partition("/")[0] in KINDS}
    return norms | dict(segment.gradient_diversity)


def _norms(epoch: int, values: Mapping[str, float]) -> dict[str, Norms]:
    sides: dict[str, dict[str, float]] = {kind: {} for kind in KINDS}
    for name, value in values.items():
        kind, _, group = name.partition("/")
        if kind in sides:
            sides[kind][group or WHOLE] = float(value)
    one, other = sides.values()
    for group in sorted(one.keys() ^ other.keys()):
        has, lacks = KINDS if group in one else KINDS[::-1]
        raise InputError.at("E1508", f"epoch {epoch}:", f"{quote(group)} has {has}, not {lacks}.", "Log both.")
    return {group: Norms(value, other[group]) for group, value in one.items()}


def switches_of(trace: Trace) -> dict[int, str]:
    """The epochs at whose ends the run went on with another format of fprop, and with which."""
    found, before = {}, None
    for segment in trace.segments:
        label = segment.precision.label
        if before is not None and before[0] < segment.epoch and before[1] != label:
            found[before[0]] = label
        before = segment.epoch, label
    return found


def changes_within(trace: Trace) -> list[int]:
    """The epochs in which the format of fprop changes."""
    pairs = zip(trace.segments, trace.segments[1:], strict=False)
    return sorted({a.epoch for a, b in pairs if a.epoch == b.epoch and a.precision.label != b.precision.label})
