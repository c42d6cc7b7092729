"""The same advice at many batch sizes: from which on a narrow format pays off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perfmodel.advise.advice import check
from perfmodel.advise.least import least_plan
from perfmodel.advise.plan import Plan
from perfmodel.advise.tariff import Tariff, make_tariff
from perfmodel.networks import Network
from perfmodel.schemes import Scheme
from perfmodel.simulate import Setting


@dataclass(frozen=True, slots=True)
class AtBatch:
    """The least plan at one batch size, and what the step takes by it and in one format throughout [s]."""

    batch: int
    plan: Plan
    plan_s: float
    base_s: float
    narrow_s: dict[str, float]

    @classmethod
    def of(cls, batch: int, tariff: Tariff) -> AtBatch:
        """From the prices of all choices."""
        plan = least_plan(tariff)
        base_s, *narrow_s = (step.total.seconds for step in tariff.steps.values())
        rest_s = base_s - tariff.plan_s(Plan(tariff.base, {}))
        return cls(batch, plan, rest_s + tariff.plan_s(plan), base_s, dict(zip(tariff.narrow, narrow_s, strict=True)))


def sweep(
    network: Network, batches: Sequence[int], base: Scheme, narrow: Sequence[str], setting: Setting
) -> list[AtBatch]:
    """`AtBatch` of each batch size; raises as `advise`."""
    check(base, narrow)
    return [AtBatch.of(batch, make_tariff(network, batch, base, narrow, setting)) for batch in batches]


def least_batches(found: Sequence[AtBatch], format_: str) -> dict[tuple[str, str], int]:
    """The batch size from which on, to the largest tried, each layer and pass is in a format; others are not there."""
    least: dict[tuple[str, str], int] = {}
    still: set[tuple[str, str]] | None = None  # in the format at every larger batch size, too
    for at in sorted(found, key=lambda one: -one.batch):
        now = {key for key, name in at.plan.narrow.items() if name == format_}
        still = now if still is None else still & now
        least |= dict.fromkeys(still, at.batch)
    return least
