"""Trace x network x scheme x cost model: what a training run costs, epoch by epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from perfmodel.cost.estimate import CostModel, Estimate, Prices, merge_bases, price
from perfmodel.cost.spread import EVERYTHING_KNOWN, Spread, ratio_interval, sum_intervals
from perfmodel.devices import Device
from perfmodel.errors import Unsupported
from perfmodel.lowering import Work
from perfmodel.networks import Network
from perfmodel.schemes import Overhead, Scheme, find_scheme, training_step
from perfmodel.schemes.formats import StepFormats
from perfmodel.traces import Trace
from perfmodel.units import ceil_div

OVERHEAD_KINDS = ("quantise", "cast", "transpose", "scale")  # the kinds of work that convert numbers and train nothing
IN_PROFILES = ("measured", "simulated")  # the bases of numbers that a profile holds
IDEAL, CURRENT = Overhead("ideal"), Overhead("current")


@dataclass(frozen=True)
class StepCost:
    """The kernels of one training step and what each takes, all its launches together."""

    works: tuple[Work, ...]
    prices: Prices

    @cached_property
    def seconds(self) -> np.ndarray:
        """Seconds of each piece of work [len(works)]."""
        return self.prices.seconds * np.array([work.count for work in self.works])

    @cached_property
    def total(self) -> Estimate:
        """The whole step; for its interval see `interval`."""
        return Estimate(float(self.seconds.sum()), merge_bases(*self.prices.basis))

    @cached_property
    def spread(self) -> Spread:
        """How far the whole step may be off."""
        return Spread.of((work.kernel for work in self.works), self.seconds.tolist(), self.prices.widths)

    def interval(self) -> tuple[float, float]:
        """The 90 % interval of the whole step's seconds; NaN where one kernel's is not known."""
        return self.spread.interval(self.total.seconds)

    def only(self, chosen: Callable[[Work], bool]) -> StepCost:
        """The step without the work that is not `chosen`."""
        kept = [i for i, work in enumerate(self.works) if chosen(work)]
        return StepCost(tuple(self.works[i] for i in kept), self.prices.take(kept))

    @cached_property
    def overhead_s(self) -> float:
        """Seconds of the work that only converts numbers."""
        return self.seconds_of(OVERHEAD_KINDS)

    def without(self, kinds: Iterable[str]) -> StepCost:
        """The step without some kinds of work."""
        gone = set(kinds)
        return self.only(lambda work: work.kind not in gone)

    def seconds_of(self, kinds: Iterable[str]) -> float:
        """Seconds of some kinds of work together."""
        chosen = set(kinds)
        return float(sum(s for work, s in zip(self.works, self.seconds, strict=True) if work.kind in chosen))

    @property
    def proxies(self) -> tuple[str, ...]:
        """What stands for something else, each once."""
        return tuple(dict.fromkeys(work.proxy for work in self.works if work.proxy))


@dataclass(frozen=True, slots=True)
class SegmentCost:
    """Some iterations of one epoch in one set of formats, and their time."""

    epoch: int
    formats: StepFormats
    iterations: int
    seconds: float

    @property
    def label(self) -> str:
        """The formats in short."""
        return self.formats.label


@dataclass(frozen=True, repr=False)
class RunCost:
    """The cost of a whole run: one row a segment, and the steps that they are made of."""

    title: str
    segments: tuple[SegmentCost, ...]
    steps: dict[StepFormats, StepCost]

    def __repr__(self) -> str:
        return f"<{self.title}: {self.epochs} epochs, {self.seconds:.6g} s, {self.basis}>"

    @cached_property
    def seconds(self) -> float:
        """The whole run."""
        return float(sum(segment.seconds for segment in self.segments))

    @cached_property
    def overhead_s(self) -> float:
        """Seconds of the work that only converts numbers."""
        return float(sum(self.steps[s.formats].overhead_s * s.iterations for s in self.segments))

    @cached_property
    def spread(self) -> Spread:
        """How far the whole run may be off: all iterations of a step move together."""
        iterations: dict[StepFormats, int] = {}
        for segment in self.segments:
            iterations[segment.formats] = iterations.get(segment.formats, 0) + segment.iterations
        parts = (self.steps[formats].spread * count for formats, count in iterations.items())
        return sum(parts, EVERYTHING_KNOWN)

    def interval(self) -> tuple[float, float]:
        """The 90 % interval of the whole run's seconds; NaN where one kernel's is not known."""
        return self.spread.interval(self.seconds)

    def speedup_interval(self, reference: RunCost) -> tuple[float, float]:
        """The 90 % interval of the reference's time over this one's: what moves both alike cancels."""
        return ratio_interval(reference.seconds, reference.spread, self.seconds, self.spread)

    def without_conversions(self) -> RunCost:
        """The same run if converting numbers took no time: its theoretical limit."""
        steps = {formats: step.without(OVERHEAD_KINDS) for formats, step in self.steps.items()}
        segments = (replace(s, seconds=steps[s.formats].total.seconds * s.iterations) for s in self.segments)
        return RunCost(self.title, tuple(segments), steps)

    def until(self, epoch: int) -> RunCost:
        """The run up to the end of an epoch (from 0)."""
        return replace(self, segments=tuple(segment for segment in self.segments if segment.epoch <= epoch))

    @property
    def epochs(self) -> int:
        """How many epochs."""
        return len({segment.epoch for segment in self.segments})

    @property
    def iterations(self) -> int:
        """How many iterations."""
        return sum(segment.iterations for segment in self.segments)

    @property
    def basis(self) -> str:
        """Where the numbers come from."""
        return merge_bases(*(step.total.basis for step in self.steps.values()))

    @property
    def proxies(self) -> tuple[str, ...]:
        """What stands for something else in any step, each once."""
        return tuple(dict.fromkeys(proxy for step in self.steps.values() for proxy in step.proxies))

    def epoch_ends_s(self) -> np.ndarray:
        """Seconds since the start at the end of each epoch, from epoch 0 to the last."""
        per_epoch = np.zeros(self.segments[-1].epoch + 1)
        for segment in self.segments:
            per_epoch[segment.epoch] += segment.seconds
        return per_epoch.cumsum()

    def epoch_end_intervals(self) -> np.ndarray:
        """The 90 % interval of each of `epoch_ends_s` [epochs, 2]; NaN where one kernel's is not known."""
        places = {formats: place for place, formats in enumerate(self.steps)}
        counts = np.zeros((self.segments[-1].epoch + 1, len(places)))
        for segment in self.segments:
            counts[segment.epoch, places[segment.formats]] += segment.iterations
        steps = self.steps.values()
        return sum_intervals([s.spread for s in steps], [s.total.seconds for s in steps], counts.cumsum(axis=0))


@dataclass(frozen=True, slots=True)
class Setting:
    """What a run is priced on: cost model, how convolutions become GEMMs, what quantising costs.

    `view` turns the kernels' prices of a step into what something around them makes of it (`perfmodel.framework`).
    """

    model: CostModel
    mapping: str = "implicit"
    overhead: Overhead = CURRENT
    view: Callable[[StepCost, StepFormats, CostModel], StepCost] | None = None


def step_cost(network: Network, batch: int, scheme: Scheme, formats: StepFormats, setting: Setting) -> StepCost:
    """The cost of one training step."""
    works = training_step(network, batch, scheme, formats, setting.mapping, setting.overhead, setting.model.device)
    step = StepCost(works, price(setting.model, [work.kernel for work in works]))
    if setting.overhead.level == "measured":
        _check_measured(step, setting.model.device)
    return step if setting.view is None else setting.view(step, formats, setting.model)


def _check_measured(step: StepCost, device: Device) -> None:
    """Raise `Unsupported` (E1111) where a conversion's time is not that of a profile."""
    pairs = zip(step.works, step.prices.basis, strict=True)
    found = sorted({basis for work, basis in pairs if work.kind == "quantise" and basis not in IN_PROFILES})
    if found:
        raise Unsupported.at(
            "E1111", "--overhead measured:", f"the time of conversions on {device.name} is {' or '.join(found)}.",
            "Give a --profile that holds them, or choose another level.",
        )  # fmt: skip


def simulate(
    trace: Trace, network: Network, scheme: Scheme, setting: Setting, steps: dict[StepFormats, StepCost] | None = None
) -> RunCost:
    """The cost of the run that a known trace describes: iterations x step, for every segment.

    `steps` holds steps of the same network, scheme and setting priced before, and receives the new ones. Raises
    `InputError` (E1315) for a segment whose precision is not known: price the trace's `completions`.
    """
    steps = {} if steps is None else steps
    segments, used = [], {}
    for segment in trace.segments:
        formats = StepFormats.of_segment(segment)
        if formats not in steps:
            steps[formats] = step_cost(network, trace.batch, scheme, formats, setting)
        step = used[formats] = steps[formats]
        seconds = step.total.seconds * segment.iterations
        segments.append(SegmentCost(segment.epoch, formats, segment.iterations, seconds))
    return RunCost(scheme.title, tuple(segments), used)


def constant_run(
    network: Network, batch: int, epochs: Mapping[int, int], scheme: Scheme, format_: str, setting: Setting
) -> RunCost:
    """The cost of `epochs` (how many iterations each has) in one format throughout: a baseline."""
    formats = StepFormats.everywhere(format_)
    step = step_cost(network, batch, scheme, formats, setting)
    seconds = step.total.seconds
    segments = (SegmentCost(epoch, formats, count, seconds * count) for epoch, count in epochs.items())
    return RunCost(scheme.title, tuple(segments), {formats: step})


@dataclass(frozen=True, slots=True, repr=False)
class Comparison:
    """A trace's run beside its baselines.

    `runs` and `limits` (the same without conversions) hold one cost where the trace is known, else those of
    the two extreme traces that it may stand for.
    """

    trace: Trace
    network: Network
    fp32: RunCost
    mixed: RunCost
    runs: tuple[RunCost, ...]
    limits: tuple[RunCost, ...]

    def __repr__(self) -> str:
        ours = " or ".join(f"{run.seconds:.6g} s" for run in self.runs)
        baselines = f"FP32 {self.fp32.seconds:.6g} s, mixed precision {self.mixed.seconds:.6g} s"
        return f"<{self.network.name}: {baselines}, run {ours}>"


def compare(trace: Trace, network: Network, setting: Setting, baseline_epochs: int | None = None) -> Comparison:
    """Price a trace, its theoretical limit, and FP32 and mixed precision over `baseline_epochs`.

    By default the baselines train as many epochs as the trace's header says, else those of the trace, each with as
    many iterations as it has there: a run that was interrupted gains nothing by that.
    """
    scheme = find_scheme(trace.scheme)
    whole = baseline_epochs or trace.baseline_epochs
    epochs = dict.fromkeys(range(whole), ceil_div(trace.samples, trace.batch)) if whole else trace.iterations_by_epoch()
    fp32, mixed = (
        constant_run(network, trace.batch, epochs, find_scheme(name), format_, setting)
        for name, format_ in (("fp32", "fp32"), ("mixed", "fp16"))
    )
    known = (trace,) if trace.known else trace.completions()
    steps: dict[StepFormats, StepCost] = {}
    runs = tuple(simulate(one, network, scheme, setting, steps) for one in known)
    return Comparison(trace, network, fp32, mixed, runs, tuple(run.without_conversions() for run in runs))
