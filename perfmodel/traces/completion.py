"""The extreme traces behind one whose switches are only partly known.

A scheme that climbs a ladder of formats one rung at a time, and stays on each for a minimum number of epochs,
leaves bounds even where no log says when it climbed. Of N epochs spread over k formats with a minimum dwell of d,
the lowest format had between d and N - d (k - 1). Those two ends are built here: `fewest` gives what is left
to the highest format, so that every epoch has the highest precision it can have; `most` gives it to the lowest.

The dwell is the policy's: resolution r = 3 epochs for each decision, patience 2, so one decision to set the maximum
and two to violate it: 9 epochs (ICIdsl/muppet @ a5cbb13, policy.py).
"""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from perfmodel.errors import InputError
from perfmodel.traces import values

if TYPE_CHECKING:
    from perfmodel.traces.trace import Segment, Trace


def complete(trace: Trace, end: str) -> Trace:
    """The trace with every candidate list decided, at the end `fewest` or `most`.

    Raises `InputError` (E1315) where `scheme_params` give no ladder and `min_dwell`, where the formats of the trace
    do not climb that ladder one rung at a time, or where there are too few epochs for all candidates.
    """
    if trace.gaps:
        raise _cannot("epochs are missing, so how long each format lasted cannot be bounded.", "Add them.")
    ladder, dwell = _rule(trace)
    blocks = [(names, list(block)) for names, block in groupby(trace.segments, key=lambda s: s.precision.fprop)]
    _check_climb([name for names, _ in blocks for name in names], ladder)
    segments, assumed = [], []
    for names, block in blocks:
        if len(names) == 1:
            segments += block
            continue
        epochs = sorted({segment.epoch for segment in block})
        counts = split(len(epochs), len(names), dwell, end)
        segments += _decide(block, dict(zip(epochs, _spread(names, counts), strict=True)))
        assumed.append(_assumption(epochs, names, counts, dwell, end))
    if not all(segment.known for segment in segments):
        raise _cannot("another pass or a single layer is not known.", "Only the ladder of all passes can be completed.")
    return replace(trace, segments=tuple(segments), corrections=(*trace.corrections, *assumed))


def split(epochs: int, formats: int, dwell: int, end: str) -> list[int]:
    """How many of `epochs` each format gets, lowest first: `dwell` each, and the rest to one end.

    >>> split(69, 4, 9, "fewest"), split(69, 4, 9, "most")
    ([9, 9, 9, 42], [42, 9, 9, 9])
    """
    if epochs < dwell * formats:
        raise _cannot(
            f"{epochs} epochs are too few for {formats} formats of at least {dwell} each.", "Correct min_dwell."
        )
    counts = [dwell] * formats
    counts[-1 if end == "fewest" else 0] += epochs - dwell * formats
    return counts


def _rule(trace: Trace) -> tuple[list[str], int]:
    params = trace.scheme_params
    if not {"ladder", "min_dwell"} <= params.keys():
        raise _cannot(
            "the precision of some epochs is not known, and scheme_params give no ladder and min_dwell.",
            'Add "ladder": the formats, lowest first, and "min_dwell": least epochs on each.',
        )
    with values.within("scheme_params."):
        ladder = values.texts("ladder", params["ladder"])
        return list(ladder), values.whole("min_dwell", params["min_dwell"], 1, 10**6)


def _check_climb(path: list[str], ladder: list[str]) -> None:
    start = ladder.index(path[0]) if path[0] in ladder else 0
    if path != ladder[start : start + len(path)]:
        raise _cannot(
            f"the formats {', '.join(path[:20])} do not climb the ladder {', '.join(ladder[:20])} rung by rung.",
            "Correct scheme_params.ladder or the candidates.",
        )


def _spread(names: tuple[str, ...], counts: list[int]) -> list[str]:
    return [name for name, count in zip(names, counts, strict=True) for _ in range(count)]


def _decide(block: list[Segment], format_at: dict[int, str]) -> list[Segment]:
    decided = []
    for segment in block:
        passes = segment.precision
        if not passes.fprop == passes.dgrad == passes.wgrad:
            raise _cannot("the passes of one epoch have different candidates.", "Give all passes the same ones.")
        name = format_at[segment.epoch]
        precision = replace(passes, fprop=name, dgrad=name, wgrad=name)
        decided.append(replace(segment, precision=precision, inferred=True))
    return decided


def _assumption(epochs: list[int], names: tuple[str, ...], counts: list[int], dwell: int, end: str) -> str:
    parts = ", ".join(f"{count} in {name}" for name, count in zip(names, counts, strict=True))
    return (
        f"assumed: epochs {epochs[0]} to {epochs[-1]} are {parts}, the {end} epochs in {names[0]} "
        f"that a minimum of {dwell} on each format allows; the real split is not known"
    )


def _cannot(found: str, fix: str) -> InputError:
    return InputError.at("E1315", "trace:", found, fix)
