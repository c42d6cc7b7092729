"""What if a run had used other formats, or other lengths: alternative traces, and their price beside the run's.

An alternative changes formats and lengths of the quantised phase, the epochs that are not FP32, and nothing else. What
no model can know is assumed unchanged, see `UNCHANGED`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from perfmodel.errors import InputError, quote, unknown_name
from perfmodel.formats import FORMATS, find_format
from perfmodel.networks import Network
from perfmodel.schemes import find_scheme
from perfmodel.simulate import Comparison, RunCost, Setting, compare, simulate
from perfmodel.traces import PassPrecision, Segment, Trace, values

REMOVED = ("up", "down", "dropped")
MOST_EPOCHS = 10**6
LAST = "fp32"  # the format of what is not the quantised phase
UNCHANGED = (
    "accuracy", "the number of FP32 epochs and their learning rates", "iterations per epoch",
    "gradient diversity, and with it the epochs at which formats switch",
)  # fmt: skip

Epoch = tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Alternative:
    """A change with its name, from the epochs of a known run to those of another, and what it takes for granted."""

    name: str
    change: Callable[[list[Epoch]], list[Epoch]]
    assumes: str = ""

    def of(self, trace: Trace) -> Trace:
        """The alternative to a known trace, epochs counted anew; `InputError` E1511 where it cannot be changed."""
        epochs = self.change(_epochs(trace))
        segments = [replace(segment, epoch=i) for i, epoch in enumerate(epochs) for segment in epoch]
        return replace(trace, segments=tuple(segments), title=self.name, scheme_params={})


def ladder_alternative(formats: Sequence[str], removed: str = "up") -> Alternative:
    """The run on another ladder, formats from the lowest to the highest.

    A rung that is removed leaves its epochs to the next higher that there is (`removed` up), to the next lower (down),
    or to none (dropped: the run is shorter). A rung that is added takes an equal share of the epochs of the next
    higher quantised rung, the first of them; above the highest, of the next lower one, the last of them. Raises
    `InputError`: E1509 for formats that do not rise, E1510 (when applied) where there is no rung to go to, E1504 for
    another `removed`.
    """
    if removed not in REMOVED:
        raise unknown_name("E1504", "epochs of removed", removed, REMOVED)
    ladder = PassPrecision.same(list(formats)).fprop
    for low, high in pairwise(ladder):
        if find_format(low).bits >= find_format(high).bits:
            raise InputError.at("E1509", "ladder:", f"{high} is not wider than {low}.", "Give the narrowest first.")
    name = f"ladder {', '.join(ladder)} (removed: {removed})"
    where = "are dropped" if removed == "dropped" else f"go {removed} to the next rung"
    assumes = (
        f"epochs of formats that a ladder lacks {where}; a rung that is added takes an equal share of the epochs of "
        "the next higher quantised rung, or else of the next lower"
    )
    return Alternative(name, lambda epochs: _on_ladder(epochs, ladder, removed), assumes)


def uniform_alternative(name: str) -> Alternative:
    """The whole quantised phase in one format."""
    found = find_format(name).name
    return Alternative(f"quantised phase in {found}", lambda epochs: [_in(e, found) if _low(e) else e for e in epochs])


def scaled_alternative(factor: float) -> Alternative:
    """The quantised phase so many times as long, each rung in proportion; E1306, E1307 for no factor up to 100."""
    factor = float(values.number("scale-phase", factor, above=0))
    if factor > 100:
        raise InputError.at("E1307", "scale-phase:", f"{factor:g} is above 100.", "Correct it.")
    assumes = "a longer or shorter phase keeps the proportions of its rungs"
    return Alternative(f"quantised phase x {factor:g}", lambda epochs: _scaled(epochs, factor), assumes)


def format_named(text: str, trace: Trace) -> str:
    """The format of a name, or of a number of bits: 32 is FP32, others are of the family that the trace quantises in.

    Raises `UnknownName` (E1004) for another name, `InputError` (E1509) for bits where the trace has no one family.
    """
    if not re.fullmatch(r"[0-9]{1,3}", text):
        return find_format(text).name
    if text == "32":
        return LAST
    names = {name for s in trace.segments for name in s.precision.fprop if name != LAST}
    families = {re.sub(r"[0-9].*", "", name) for name in names}
    if len(families) != 1:
        found = f"{quote(text)} bits may be of several families of formats, as the trace has {len(families)}."
        raise InputError.at("E1509", "ladder:", found, "Name formats: dfx8, fp16.")
    name = f"{families.pop()}{int(text)}"
    if name not in FORMATS:
        raise InputError.at("E1509", "ladder:", f"{text} bits: there is no format {name}.", "Name formats: dfx8, fp16.")
    return name


@dataclass(frozen=True, slots=True)
class Priced:
    """An alternative's traces with their costs: one, or one for each end of what the trace leaves open."""

    name: str
    assumes: str
    traces: tuple[Trace, ...]
    runs: tuple[RunCost, ...]


def price_alternatives(
    trace: Trace, alternatives: Iterable[Alternative], network: Network, setting: Setting,
    baseline_epochs: int | None = None,
) -> tuple[Comparison, list[Priced]]:  # fmt: skip
    """The run beside its baselines, as `compare`, and each alternative priced on the same setting."""
    comparison = compare(trace, network, setting, baseline_epochs)
    scheme, steps = find_scheme(trace.scheme), {}
    priced = []
    for alternative in alternatives:
        traces = tuple(alternative.of(one) for one in (trace.completions() if not trace.known else (trace,)))
        runs = tuple(simulate(one, network, scheme, setting, steps) for one in traces)
        priced.append(Priced(alternative.name, alternative.assumes, traces, runs))
    return comparison, priced


def _epochs(trace: Trace) -> list[Epoch]:
    """The segments of each epoch; E1511 unless every epoch has one format, the same in all passes and layers."""
    found = [tuple(group) for _, group in groupby(trace.segments, key=lambda segment: segment.epoch)]
    for epoch in found:
        names = {name for segment in epoch for name in segment.precision.names}
        if len(names) > 1 or any(segment.layers for segment in epoch):
            why = f"epoch {epoch[0].epoch} has more than one format, or layers with their own."
            raise InputError.at("E1511", "trace:", why, "What-if changes whole epochs.")
    return found


def _name(epoch: Epoch) -> str:
    return epoch[0].precision.fprop[0]


def _low(epoch: Epoch) -> bool:
    return _name(epoch) != LAST


def _in(epoch: Epoch, name: str) -> Epoch:
    master = None if name == LAST else epoch[0].precision.master
    return tuple(replace(s, precision=PassPrecision.same(name, master), inferred=True) for s in epoch)


def _on_ladder(epochs: list[Epoch], ladder: Sequence[str], removed: str) -> list[Epoch]:
    if LAST not in ladder and not all(map(_low, epochs)):
        raise InputError.at("E1510", "ladder:", "it has no rung for the FP32 epochs of the run.", "Add 32.")
    kept = [epoch for epoch in epochs if removed != "dropped" or _name(epoch) in ladder]
    moved = [e if _name(e) in ladder else _in(e, _rung_for(_name(e), ladder, removed)) for e in kept]
    return _with_added(moved, ladder)


def _rung_for(name: str, ladder: Sequence[str], removed: str) -> str:
    bits = find_format(name).bits
    higher = [rung for rung in ladder if find_format(rung).bits >= bits]
    lower = [rung for rung in ladder if find_format(rung).bits <= bits]
    found = higher[:1] if removed == "up" else lower[-1:]
    if not found:
        what = f"the epochs of {name} have no rung to go {removed}."
        raise InputError.at("E1510", "ladder:", what, "Add one, or say up, down or dropped.")
    return found[0]


def _with_added(epochs: list[Epoch], ladder: Sequence[str]) -> list[Epoch]:
    """Rungs without epochs get theirs from the next higher quantised rung that has some, else from the next lower."""
    used = {_name(epoch) for epoch in epochs}
    rungs = [rung for rung in ladder if rung != LAST]
    givers = [rung for rung in rungs if rung in used]
    takers: dict[str, list[str]] = {}
    for rung in rungs:
        if rung not in used:
            higher = [giver for giver in givers if rungs.index(giver) > rungs.index(rung)]
            giver = (higher[:1] or givers[-1:] or [None])[0]
            if giver is None:
                what = f"no quantised rung has epochs to give to {rung}."
                raise InputError.at("E1510", "ladder:", what, "Keep a rung of the run, or put the phase in one format.")
            takers.setdefault(giver, [giver]).append(rung)
    for giver, sharing in takers.items():
        epochs = _shared(epochs, giver, sorted(sharing, key=rungs.index))
    return epochs


def _shared(epochs: list[Epoch], giver: str, sharing: Sequence[str]) -> list[Epoch]:
    """The epochs of one format dealt out in equal parts, the narrowest first."""
    places = [i for i, epoch in enumerate(epochs) if _name(epoch) == giver]
    dealt = list(epochs)
    for j, i in enumerate(places):
        dealt[i] = _in(epochs[i], sharing[j * len(sharing) // len(places)])
    return dealt


def _scaled(epochs: list[Epoch], factor: float) -> list[Epoch]:
    """Stretches of one quantised format, stretched: their ends are rounded, so that the sum is right."""
    if sum(map(_low, epochs)) * factor > MOST_EPOCHS:
        raise InputError.at("E1307", "scale-phase:", f"makes more than {MOST_EPOCHS} epochs.", "Correct it.")
    found, before = [], 0
    for name, group in groupby(epochs, key=_name):
        stretch = list(group)
        if name == LAST:
            found += stretch
            continue
        length = round((before + len(stretch)) * factor) - round(before * factor)
        found += [stretch[i * len(stretch) // length] for i in range(length)]
        before += len(stretch)
    return found
