"""Training schemes side by side on one network: what a run in each costs, without a trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import nan

from perfmodel.cost.estimate import merge_bases
from perfmodel.cost.spread import EVERYTHING_KNOWN, Spread, ratio_interval
from perfmodel.errors import InputError, PerfModelError
from perfmodel.lowering import KINDS
from perfmodel.networks import Network
from perfmodel.schemes import Scheme, Stretch, bit_operations, find_scheme, first_step, run_stretches
from perfmodel.schemes.schedule import Cyclic
from perfmodel.simulate import OVERHEAD_KINDS, Setting, StepCost, step_cost
from perfmodel.units import ceil_div

IMAGENET_SAMPLES, CIFAR_SAMPLES = 1_281_167, 50_000
LARGE_IMAGE = 64  # pixels of width and height from which a network's images are taken for ImageNet's
GROUPS = {  # of kinds of work, as tables and figures add them up
    "gemm": ("gemm",), "conversions": OVERHEAD_KINDS, "update": ("update",),
    "other": tuple(kind for kind in KINDS if kind not in ("gemm", "update", *OVERHEAD_KINDS)),
}  # fmt: skip
OF_THE_SETTING = ("E1111",)  # refusals that are a mistake in what was asked for, not a scheme's


@dataclass(frozen=True, slots=True)
class Run:
    """How long is trained: so many epochs of `samples` images in batches of `batch`."""

    epochs: int
    samples: int
    batch: int

    @property
    def iterations(self) -> int:
        """Iterations of one epoch; the last batch may be smaller."""
        return ceil_div(self.samples, self.batch)


def usual_samples(network: Network) -> int:
    """The training images of the data set that a network's input looks like: ImageNet's, or CIFAR's."""
    return IMAGENET_SAMPLES if min(network.input[1:]) >= LARGE_IMAGE else CIFAR_SAMPLES


@dataclass(frozen=True)
class StretchCost:
    """Some iterations in one set of formats: one step's cost, and its GEMMs' bit operations."""

    stretch: Stretch
    step: StepCost
    bit_operations: int

    @property
    def label(self) -> str:
        """The formats in short."""
        return self.stretch.formats.label

    @property
    def iterations(self) -> int:
        """How many iterations."""
        return self.stretch.iterations

    @cached_property
    def bytes(self) -> float:
        """Least traffic of one step [B]: of all launches, GEMMs' operands read once and results written once."""
        return sum(getattr(work.kernel, "bytes", 0.0) * work.count for work in self.step.works)

    @cached_property
    def seconds(self) -> Mapping[str, float]:
        """Seconds of one step by group of kinds (`GROUPS`)."""
        return {name: self.step.seconds_of(kinds) for name, kinds in GROUPS.items()}


@dataclass(frozen=True)
class SchemeCost:
    """The run of one scheme: its stretches. Means are over all its iterations."""

    scheme: Scheme
    run: Run
    stretches: tuple[StretchCost, ...]

    @cached_property
    def iterations(self) -> int:
        """How many iterations the run has."""
        return sum(one.iterations for one in self.stretches)

    @cached_property
    def seconds(self) -> float:
        """The whole run."""
        return float(sum(one.step.total.seconds * one.iterations for one in self.stretches))

    @cached_property
    def spread(self) -> Spread:
        """How far the whole run may be off."""
        return sum((one.step.spread * one.iterations for one in self.stretches), EVERYTHING_KNOWN)

    def interval(self) -> tuple[float, float]:
        """The 90 % interval of the whole run's seconds; NaN where one kernel's is not known."""
        return self.spread.interval(self.seconds)

    @property
    def epoch_s(self) -> float:
        """Mean seconds of an epoch."""
        return self.seconds / self.run.epochs

    def share(self, group: str) -> float:
        """The share of the time that one group of kinds takes."""
        return sum(one.seconds[group] * one.iterations for one in self.stretches) / self.seconds

    @property
    def bit_operations(self) -> float:
        """Mean bit operations of an iteration's GEMMs."""
        return sum(one.bit_operations * one.iterations for one in self.stretches) / self.iterations

    @property
    def bytes(self) -> float:
        """Mean traffic of an iteration [B], see `StretchCost.bytes`."""
        return sum(one.bytes * one.iterations for one in self.stretches) / self.iterations

    @property
    def basis(self) -> str:
        """Where the numbers come from."""
        return merge_bases(*(one.step.total.basis for one in self.stretches))

    @property
    def proxies(self) -> tuple[str, ...]:
        """What stands for something else in any step, each once."""
        return tuple(dict.fromkeys(proxy for one in self.stretches for proxy in one.step.proxies))


@dataclass(frozen=True, slots=True)
class Refused:
    """A scheme without a price, and why."""

    scheme: Scheme
    error: PerfModelError


@dataclass(frozen=True, slots=True)
class SideBySide:
    """The schemes of one network in the order asked for.

    `fp32` is the reference, and `fp32_bit_operations` those of its iteration. `static` holds, for each cyclic scheme
    with a price, the same scheme at its highest width throughout.
    """

    network: Network
    run: Run
    costs: tuple[SchemeCost | Refused, ...]
    fp32: SchemeCost | Refused
    fp32_bit_operations: int
    static: Mapping[str, SchemeCost]

    @property
    def priced(self) -> list[SchemeCost]:
        """The schemes that have a price."""
        return [cost for cost in self.costs if isinstance(cost, SchemeCost)]

    @property
    def refused(self) -> list[Refused]:
        """Those that have none."""
        return [cost for cost in self.costs if isinstance(cost, Refused)]

    def speedup(self, cost: SchemeCost) -> float | None:
        """FP32's time over this one's; None where FP32 has no price."""
        return self.fp32.seconds / cost.seconds if isinstance(self.fp32, SchemeCost) else None

    def speedup_interval(self, cost: SchemeCost) -> tuple[float, float]:
        """The 90 % interval of `speedup`; NaN where it is not known."""
        if not isinstance(self.fp32, SchemeCost):
            return nan, nan
        return ratio_interval(self.fp32.seconds, self.fp32.spread, cost.seconds, cost.spread)

    def relative_bit_operations(self, cost: SchemeCost) -> float:
        """Bit operations against FP32's."""
        return cost.bit_operations / self.fp32_bit_operations


def price_schemes(network: Network, schemes: Sequence[Scheme], run: Run, setting: Setting) -> SideBySide:
    """Each scheme's run on one network; one that cannot be priced is `Refused`.

    Raises the problems of all where none can be priced, and what is a mistake of the setting (E1111).
    """
    costs = tuple(_priced(network, scheme, run, setting) for scheme in schemes)
    if all(isinstance(cost, Refused) for cost in costs):
        raise InputError(dict.fromkeys(problem for cost in costs for problem in cost.error.problems))
    reference = find_scheme("fp32")
    known = next((cost for cost in costs if cost.scheme is reference), None)
    static = {
        cost.scheme.name: at_most
        for cost in costs
        if isinstance(cost, SchemeCost) and is_cyclic(cost.scheme)
        and isinstance(at_most := _priced(network, at_most_bits(cost.scheme), run, setting), SchemeCost)
    }  # fmt: skip
    return SideBySide(
        network, run, costs, known or _priced(network, reference, run, setting),
        bit_operations(reference, network, run.batch, first_step(reference)), static,
    )  # fmt: skip


def scheme_cost(network: Network, scheme: Scheme, run: Run, setting: Setting) -> SchemeCost:
    """The run of one scheme; raises as `run_stretches` and `step_cost`."""
    stretches = (
        StretchCost(
            stretch,
            step_cost(network, run.batch, stretch.scheme, stretch.formats, setting),
            bit_operations(stretch.scheme, network, run.batch, stretch.formats),
        )
        for stretch in run_stretches(scheme, run.epochs, run.iterations)
    )
    return SchemeCost(scheme, run, tuple(stretches))


def _priced(network: Network, scheme: Scheme, run: Run, setting: Setting) -> SchemeCost | Refused:
    try:
        return scheme_cost(network, scheme, run, setting)
    except PerfModelError as error:
        if any(problem.code in OF_THE_SETTING for problem in error.problems):
            raise
        return Refused(scheme, error)


def is_cyclic(scheme: Scheme) -> bool:
    """Whether the scheme's widths go round, with at least two of them."""
    schedule = scheme.schedule
    return not scheme.stages and isinstance(schedule, Cyclic) and schedule.low < schedule.high


def at_most_bits(scheme: Scheme) -> Scheme:
    """A cyclic scheme that stays at its highest forward width: the static one that its paper compares with."""
    return replace(scheme, schedule=replace(scheme.schedule, low=scheme.schedule.high))
