"""The training steps that Table 3 is made of, priced kernel by kernel with one cost model."""

from __future__ import annotations

from dataclasses import dataclass, replace

from perfmodel.cost.estimate import merge_bases, price
from perfmodel.networks import Network
from perfmodel.reproduce.explanation import StepTimes
from perfmodel.schemes import Scheme, find_scheme, training_step
from perfmodel.schemes.formats import StepFormats
from perfmodel.simulate import CURRENT, OVERHEAD_KINDS, Setting, StepCost, step_cost


@dataclass(frozen=True)
class Steps:
    """One iteration of a network: in FP32, in mixed precision, of MuPPET at 16 and at 8 bits with its conversions."""

    network: Network
    fp32: StepCost
    mixed: StepCost
    fp16: StepCost
    int8: StepCost

    @property
    def each(self) -> tuple[StepCost, ...]:
        """All four, in this order."""
        return self.fp32, self.mixed, self.fp16, self.int8

    @property
    def times(self) -> StepTimes:
        """Their seconds, the conversions apart."""
        return StepTimes(
            self.fp32.total.seconds, self.mixed.total.seconds, self.network.parameters,
            self.fp16.without(OVERHEAD_KINDS).total.seconds, self.int8.without(OVERHEAD_KINDS).total.seconds,
            self.fp16.overhead_s, self.int8.seconds_of(("transpose",)),
        )  # fmt: skip

    def basis(self, column: str) -> str:
        """Where the numbers of a column's cell come from: `fp32`, `mixed`, `muppet` or `limit`."""
        if column in ("fp32", "mixed"):
            return getattr(self, column).total.basis
        quantised = (self.fp16, self.int8)
        if column == "limit":
            quantised = (step.without(OVERHEAD_KINDS) for step in quantised)
        return merge_bases(self.fp32.total.basis, *(step.total.basis for step in quantised))


def price_steps(network: Network, batch: int, setting: Setting) -> Steps:
    """The four steps: FP16 sums in FP32, mixed precision casts whatever quantising costs. Raises as the model does."""
    formats, baseline = StepFormats.everywhere, replace(setting, overhead=CURRENT)
    return Steps(
        network,
        step_cost(network, batch, find_scheme("fp32"), formats("fp32"), baseline),
        step_cost(network, batch, find_scheme("mixed"), formats("fp16"), baseline),
        *(_quantised(network, batch, find_scheme("muppet"), formats(name), setting) for name in ("dfx16", "dfx8")),
    )


def _quantised(network: Network, batch: int, scheme: Scheme, formats: StepFormats, setting: Setting) -> StepCost:
    """A quantised step: what it trains with, whatever its conversions cost, then these as the overhead has them.

    The kernels of the two are the same at every level of overhead, so one profile gives one theoretical limit.
    """
    training, converting = (
        training_step(network, batch, scheme, formats, setting.mapping, overhead, setting.model.device)
        for overhead in (CURRENT, setting.overhead)
    )
    works = tuple(work for work in training if work.kind not in OVERHEAD_KINDS)
    works += tuple(work for work in converting if work.kind in OVERHEAD_KINDS)
    return StepCost(works, price(setting.model, [work.kernel for work in works]))
