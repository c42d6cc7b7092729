"""A trace: which precision training used, iteration by iteration, and what it cited."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

from perfmodel.errors import InputError, Problem, quote
from perfmodel.traces import values
from perfmodel.traces.precision import PassPrecision, pass_precision
from perfmodel.traces.values import within
from perfmodel.units import ceil_div

SCHEMA = "perfmodel.trace/1"


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive iterations of one epoch (from 0) in one precision.

    `gradient_diversity` and `metrics` hold what the log recorded, by name (percent, loss: as the log has it);
    `layers` the layers whose precision differs: a format for all passes, or a table of passes as in `PassPrecision`.
    `inferred` says that the segment comes from a rule or an assumption, not from a log.

    Raises `InputError` (E1306 wrong kind, E1307 out of range) or `UnknownName` (E1004).
    """

    epoch: int
    iterations: int
    precision: PassPrecision
    lr: float | None = None
    gradient_diversity: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    layers: Mapping[str, str | Mapping[str, Any]] = field(default_factory=dict)
    inferred: bool = False

    def __post_init__(self):
        put = partial(object.__setattr__, self)
        put("epoch", values.whole("epoch", self.epoch, 0, 10**6))
        put("iterations", values.whole("iterations", self.iterations, 1, 10**9))
        if not isinstance(self.precision, PassPrecision):
            raise values.wrong_kind("precision", self.precision, "a table with fprop, dgrad and wgrad")
        if self.lr is not None:
            put("lr", float(values.number("lr", self.lr, above=0)))
        put("gradient_diversity", values.numbers("gd", self.gradient_diversity))
        put("metrics", values.numbers("metrics", self.metrics))
        put("layers", values.table("layers", self.layers))
        for name, given in self.layers.items():
            _layer_precision(name, given)
        put("inferred", values.flag("inferred", self.inferred))

    @property
    def known(self) -> bool:
        """Whether the precision of every pass and layer is known."""
        return self.precision.known and all(self.layer(name).known for name in self.layers)

    def layer(self, name: str) -> PassPrecision:
        """The precision of one layer: its own where it has one, else that of the segment."""
        if name not in self.layers:
            return self.precision
        return _layer_precision(name, self.layers[name])


def _layer_precision(name: str, given: object) -> PassPrecision:
    with within(f"layers[{quote(name)}]."):
        if isinstance(given, str):
            return PassPrecision.same(given)
        return pass_precision(given)


# The rule of each header value: (key, value) -> the value in its plain form.
HEADER_RULES: dict[str, Callable[[str, Any], Any]] = {
    "network": values.text,
    "dataset": values.text,
    "scheme": values.text,
    "samples": partial(values.whole, least=1, most=10**12),
    "batch": partial(values.whole, least=1, most=10**7),
    "source": values.cited,
    "scheme_params": values.table,
    "corrections": values.texts,
    "inferred": values.texts,
    "baseline_epochs": lambda key, value: None if value is None else values.whole(key, value, 1, 10**6),
    "title": values.line,
    "notes": values.line,
}


@dataclass(frozen=True, slots=True)
class Trace:
    """What one training run did.

    `samples` is how many training samples an epoch sees, `batch` how many an iteration sees; `network` is the name of
    a bundled network, or the path of a file. `source` says where the trace comes from and must not be empty.
    `corrections` lists what a reader changed, `inferred` what no log states. `baseline_epochs` is the length of the
    FP32 run that this one is compared with.

    Raises `InputError`: E1304-E1307 for a value, E1309 for epochs that decrease,
    E1311 for more iterations than the samples allow, E1312 without segments.
    """

    network: str
    dataset: str
    scheme: str
    samples: int
    batch: int
    segments: tuple[Segment, ...]
    source: Mapping[str, Any]
    scheme_params: Mapping[str, Any] = field(default_factory=dict)
    corrections: tuple[str, ...] = ()
    inferred: tuple[str, ...] = ()
    baseline_epochs: int | None = None
    title: str = ""
    notes: str = ""

    def __post_init__(self):
        for key, rule in HEADER_RULES.items():
            object.__setattr__(self, key, rule(key, getattr(self, key)))
        object.__setattr__(self, "segments", tuple(self.segments))
        problems = [
            Problem(code, f"segments[{i}]:", found, fix)
            for i, code, found, fix in sequence_problems(self.segments, self.samples, self.batch)
        ]
        if problems:
            raise InputError(problems)
        if not self.segments:
            raise InputError.at("E1312", "segments:", "there are none.", "Give at least one segment.")

    @property
    def epochs(self) -> int:
        """How many epochs were trained."""
        return len({segment.epoch for segment in self.segments})

    @property
    def gaps(self) -> tuple[tuple[int, int], ...]:
        """The runs of epochs, first and last, that the trace leaves out: their time is in no sum made from it."""
        present = [-1, *sorted({segment.epoch for segment in self.segments})]
        return tuple((before + 1, after - 1) for before, after in pairwise(present) if after > before + 1)

    @property
    def partial(self) -> tuple[int, ...]:
        """The epochs with fewer iterations than ceil(samples / batch): cut short, or not logged in full."""
        whole = ceil_div(self.samples, self.batch)
        return tuple(epoch for epoch, iterations in self.iterations_by_epoch().items() if iterations < whole)

    def iterations_by_epoch(self) -> dict[int, int]:
        """How many iterations each epoch has."""
        done: dict[int, int] = {}
        for segment in self.segments:
            done[segment.epoch] = done.get(segment.epoch, 0) + segment.iterations
        return done

    @property
    def iterations(self) -> int:
        """How many iterations were trained."""
        return sum(segment.iterations for segment in self.segments)

    @property
    def known(self) -> bool:
        """Whether the precision of every segment is known."""
        return all(segment.known for segment in self.segments)

    def epochs_by_precision(self) -> dict[str, int]:
        """How many epochs used each format in fprop, in order of appearance.

        An epoch with segments in several formats counts once for each of them; where the format is not known,
        its candidates stand as `dfx8|dfx12`.
        """
        epochs: dict[str, set[int]] = {}
        for segment in self.segments:
            epochs.setdefault(segment.precision.label, set()).add(segment.epoch)
        return {label: len(found) for label, found in epochs.items()}

    def completions(self) -> tuple[Trace, Trace]:
        """The two extreme known traces that this one may stand for: fewest, then most epochs in the lowest format.

        See `perfmodel.traces.completion`; a known trace is both. Raises `InputError` (E1315).
        """
        from perfmodel.traces.completion import complete  # needs what is above

        return (self, self) if self.known else (complete(self, "fewest"), complete(self, "most"))


def sequence_problems(segments: Sequence[Segment], samples: int, batch: int) -> Iterator[tuple[int, str, str, str]]:
    """What is wrong with the order of segments, as (index, code, found, fix)."""
    most = ceil_div(samples, batch)
    epoch, done = -1, 0
    for i, segment in enumerate(segments):
        if segment.epoch < epoch:
            yield i, "E1309", f"epoch {segment.epoch} follows epoch {epoch}.", "Keep one run, in order."
            continue
        before = done if segment.epoch == epoch else 0
        epoch, done = segment.epoch, before + segment.iterations
        if before <= most < done:
            found = f"epoch {epoch} has {done} iterations; {samples} samples in batches of {batch} make {most}."
            yield i, "E1311", found, "Correct iterations, samples or batch."
