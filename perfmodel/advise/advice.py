"""Advice on one network and device: what each pass gains, the plan of least time, and from which batch size on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from perfmodel.advise.least import least_plan
from perfmodel.advise.plan import Plan, is_narrow
from perfmodel.advise.tariff import COPIES, Tariff, make_tariff, plan_step
from perfmodel.cost.spread import ratio_interval
from perfmodel.errors import InputError
from perfmodel.networks import Network
from perfmodel.schemes import Scheme
from perfmodel.simulate import Setting, StepCost


@dataclass(frozen=True, slots=True)
class PassGain:
    """One pass of one layer, in the base format and in a narrow one; seconds of one step.

    `convert_s` is what it takes to convert both of its operands for this pass alone; `planned` the format that the
    plan has for it. `low` and `high` are the 90 % interval of the ratio of times, base over narrow, GEMM and copies.
    """

    layer: str
    pass_: str
    format: str
    base_s: float
    gemm_s: float
    copies_s: float
    convert_s: float
    planned: str
    low: float
    high: float

    @property
    def room_s(self) -> float:
        """What conversions may take at most for the pass to pay off: negative where the GEMM itself does not."""
        return self.base_s - self.gemm_s - self.copies_s

    @property
    def net_s(self) -> float:
        """What it gains if both operands are converted for it alone."""
        return self.room_s - self.convert_s


@dataclass(frozen=True, slots=True)
class Outcome:
    """One way to compute the whole step."""

    name: str
    plan: Plan
    step: StepCost

    def faster_than(self, other: Outcome) -> tuple[float, float, float]:
        """The other's time over this one's, and its 90 % interval."""
        above, below = other.step, self.step
        ends = ratio_interval(above.total.seconds, above.spread, below.total.seconds, below.spread)
        return above.total.seconds / below.total.seconds, *ends


@dataclass(frozen=True, slots=True)
class Advice:
    """What was found at one batch size: the base, each narrow format throughout, the plan, and every pass."""

    network: Network
    batch: int
    base: Outcome
    narrow: tuple[Outcome, ...]
    best: Outcome
    gains: tuple[PassGain, ...]
    tariff: Tariff

    def layer_gains(self, name: str) -> dict[str, float]:
        """What each layer gains as a whole in a format, its tensors converted once for all of its passes [s]."""
        found = {}
        for layer, passes in self.tariff.passes.items():
            tensors = {one for pass_ in passes for one in self.tariff.reads[layer, pass_]}
            saved = sum(
                self.tariff.pass_s(layer, one, self.tariff.base) - self.tariff.pass_s(layer, one, name)
                for one in passes
            )
            found[layer] = saved - sum(self.tariff.convert_s[one] for one in tensors)
        return found


def advise(network: Network, batch: int, base: Scheme, narrow: Sequence[str], setting: Setting) -> Advice:
    """The advice at one batch size.

    `base` is the scheme whose tensors are stored and whose GEMMs are computed as they are where the plan says nothing,
    `narrow` the formats that passes may have instead. Raises `InputError` (E1761) for a base with formats of its own
    for layers or tensors, or in codes, and for formats that need no conversion; else as `make_tariff` and `least_plan`.
    """
    check(base, narrow)
    tariff = make_tariff(network, batch, base, narrow, setting)
    plan = least_plan(tariff)
    outcomes = [Outcome(name, Plan.everywhere(network, tariff.base, name), step) for name, step in tariff.steps.items()]
    best = Outcome("plan", plan, plan_step(network, batch, plan, base, setting))
    gains = tuple(_gains(tariff, plan))
    return Advice(network, batch, outcomes[0], tuple(outcomes[1:]), best, gains, tariff)


def check(base: Scheme, narrow: Sequence[str]) -> None:
    """Raise `InputError` (E1761) for what there is no advice on."""
    plain = len(base.formats) == 1 and not base.layers and not base.stages and not is_narrow(base.formats[0])
    if not plain or any(one.kind == "quantise" for one in base.conversions):
        raise InputError.at(
            "E1761", "--base", f"{base.name} has formats of its own for some layers or tensors.",
            "Choose a scheme of one format, such as mixed, bf16 or fp32.",
        )  # fmt: skip
    for name in narrow:
        if not is_narrow(name):
            raise InputError.at(
                "E1761", "--precision", f"{name} needs no conversion, so there is no plan to make.",
                "Choose a format of 8 bits and fewer, such as int8 or fp8_e4m3, or fixed point.",
            )  # fmt: skip


def _gains(tariff: Tariff, plan: Plan) -> Iterator[PassGain]:
    parts = {name: _by_pass(step) for name, step in tariff.steps.items()}
    for layer, passes in tariff.passes.items():
        for pass_ in passes:
            for name in tariff.narrow:
                key = layer, pass_, name
                convert_s = sum(tariff.convert_s[one] for one in tariff.reads[layer, pass_])
                above, below = (parts[one][layer, pass_] for one in (tariff.base, name))
                ends = ratio_interval(above.total.seconds, above.spread, below.total.seconds, below.spread)
                yield PassGain(
                    layer, pass_, name, tariff.pass_s(layer, pass_, tariff.base), tariff.gemm_s[key],
                    tariff.copies_s[key], convert_s, plan.find(layer, pass_), *ends,
                )  # fmt: skip


def _by_pass(step: StepCost) -> dict[tuple[str, str], StepCost]:
    """The GEMMs of a step and their copies, apart by layer and pass."""
    rows: dict[tuple[str, str], list[int]] = {}
    for place, work in enumerate(step.works):
        if work.kind == "gemm" or work.kind in COPIES:
            rows.setdefault((work.layer, work.pass_), []).append(place)
    return {key: StepCost(tuple(step.works[i] for i in some), step.prices.take(some)) for key, some in rows.items()}
