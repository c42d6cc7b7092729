"""What tables and pictures of a trace share: its stretches, places on the epoch axis, and which metrics count."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from perfmodel.formats import FORMATS
from perfmodel.traces import PassPrecision, Segment, Trace
from perfmodel.units import ceil_div

LOSS = re.compile(r"loss|perplexity|(?<![a-z])(ppl|nll)(?![a-z])|cross_?entropy")
ACCURACY = re.compile(r"accuracy|(?<![a-z])(acc(?![a-z])|f1(?![a-z0-9])|auc|bleu|miou)|top[-_@]?[0-9]|prec[-_@]?[0-9]")
SPLITS = (  # whose value it is, the more telling first; a name that says nothing comes before `train`
    re.compile(r"(?<![a-z])(val|valid|validation|eval|dev)(?![a-z])"),
    re.compile(r"(?<![a-z])test(?![a-z])"),
    re.compile(r"^(?!.*(?<![a-z])train)"),
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive segments of one precision, over as many epochs as it held without a gap."""

    segments: tuple[Segment, ...]

    @property
    def precision(self) -> PassPrecision:
        """The precision of all of them."""
        return self.segments[0].precision

    @property
    def epochs(self) -> tuple[int, int]:
        """The first and the last epoch that it touches."""
        return self.segments[0].epoch, self.segments[-1].epoch

    @property
    def iterations(self) -> int:
        """How many iterations it lasted."""
        return sum(segment.iterations for segment in self.segments)

    @property
    def lr(self) -> tuple[float | None, float | None]:
        """The first and the last learning rate that are known, None where none is."""
        known = [segment.lr for segment in self.segments if segment.lr is not None]
        return (known[0], known[-1]) if known else (None, None)

    def last(self, values: str, name: str) -> float | None:
        """The last value known in it of one of `metrics` or `gradient_diversity`, None where there is none."""
        found = (getattr(segment, values).get(name) for segment in reversed(self.segments))
        return next((value for value in found if value is not None), None)


def stretches(trace: Trace) -> list[Stretch]:
    """The stretches of a trace, in order: a change of precision, layers or `inferred`, or a gap, begins one."""
    groups: list[list[Segment]] = []
    for segment in trace.segments:
        last = groups[-1][-1] if groups else None
        if last is not None and segment.epoch <= last.epoch + 1 and _alike(segment, last):
            groups[-1].append(segment)
        else:
            groups.append([segment])
    return [Stretch(tuple(group)) for group in groups]


def _alike(a: Segment, b: Segment) -> bool:
    return a.precision == b.precision and a.inferred == b.inferred and a.layers == b.layers


def places(trace: Trace) -> np.ndarray:
    """[segments, 2]: where each segment begins and ends, in epochs from the start of epoch 0.

    An epoch that was cut short ends before the next one begins; leaving out the last, smaller batch is no cut.
    """
    epoch = np.array([segment.epoch for segment in trace.segments])
    iterations = np.array([segment.iterations for segment in trace.segments])
    _, first, group = np.unique(epoch, return_index=True, return_inverse=True)
    done = np.cumsum(iterations)
    after = done - (done - iterations)[first][group]  # iterations of its epoch up to its end
    total = np.add.reduceat(iterations, first)[group]
    total = np.where(total >= trace.samples // trace.batch, total, ceil_div(trace.samples, trace.batch))
    return np.stack([epoch + (after - iterations) / total, epoch + after / total], axis=1)


def levels(names: Iterable[str]) -> list[str]:
    """Formats from narrow to wide, candidates (`dfx8|dfx12`) between them.

    >>> levels(["fp32", "dfx16", "dfx8", "dfx8|dfx12"])
    ['dfx8', 'dfx8|dfx12', 'dfx16', 'fp32']
    """

    def bits(name: str) -> float:
        widths = [FORMATS[part].bits for part in name.split("|")]
        return sum(widths) / len(widths)

    return sorted(set(names), key=lambda name: (bits(name), name))


def pass_words(trace: Trace, label: Callable[[str], str] = str) -> str:
    """What a picture of fprop's precision leaves out: passes and layers that differ from it; "" for nothing.

    `label` turns a format's name into what the picture calls it.
    """
    precisions = dict.fromkeys(segment.precision for segment in trace.segments)
    words = []
    for key in ("dgrad", "wgrad"):
        if any(getattr(one, key) != one.fprop for one in precisions):
            formats = list(dict.fromkeys(label("|".join(getattr(one, key))) for one in precisions))
            words.append(f"{key} {' / '.join(formats[:3])}{' …' * (len(formats) > 3)}")
    if any(segment.layers for segment in trace.segments):
        words.append("some layers differ")
    return f" of fprop; {', '.join(words)}" if words else ""


def ranked_metrics(trace: Trace) -> Mapping[str, list[str]]:
    """The metrics' names by kind (`accuracy`, `loss`, `other`), the more telling first.

    The kind is read from the name. Within a kind the first metric of each split comes first (validation, test, not
    said, training), then the second of each, in order of appearance: val_top1, test_top1, train_top1, val_top5 …
    """
    names = dict.fromkeys(name for segment in trace.segments for name in segment.metrics)
    ranks: dict[str, list[tuple[int, int, str]]] = {"accuracy": [], "loss": [], "other": []}
    counts: dict[tuple[str, int], int] = {}
    for name in names:
        kind, split = _kind(name.lower()), _split(name.lower())
        count = counts[kind, split] = counts.get((kind, split), 0) + 1
        ranks[kind].append((count, split, name))
    return {kind: [name for *_, name in sorted(found)] for kind, found in ranks.items()}


def _kind(name: str) -> str:
    return "loss" if LOSS.search(name) else "accuracy" if ACCURACY.search(name) else "other"


def _split(name: str) -> int:
    return next((i for i, split in enumerate(SPLITS) if split.search(name)), len(SPLITS))


def chosen_metrics(trace: Trace, most: int) -> list[str]:
    """At most `most` metrics: half of them accuracies and half losses, as ranked; others only where places are left.

    They come in the order accuracies, losses, others.
    """
    ranked = ranked_metrics(trace)
    everything = [name for names in ranked.values() for name in names]
    first = [name for kind in ("accuracy", "loss") for name in ranked[kind][: most // 2]]
    chosen = [*first, *(name for name in everything if name not in first)][:most]
    return [name for name in everything if name in chosen]
