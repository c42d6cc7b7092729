"""How far a model's time of each kernel is from a profile's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median

from perfmodel.gemm import Gemm
from perfmodel.lowering import KINDS, PASSES, Work
from perfmodel.profiles.kernel import Kernel
from perfmodel.reproduce.profiled import Priced
from perfmodel.simulate import StepCost

ALL_GEMMS, ALL_STREAMS = "all GEMMs", "all memory-bound kernels"


@dataclass(slots=True)
class KernelError:
    """One kernel of one group, a precision and pass of GEMMs or a kind of memory-bound work.

    `seconds` and `modelled` are those of one launch; `launches` those in one of each priced step, all together; `use`
    is the first place that needs it.
    """

    kernel: Kernel
    group: str
    use: str
    seconds: float
    modelled: float
    launches: int = 0

    @property
    def error(self) -> float:
        """Relative error of the model: +0.1 where it says a tenth more than the profile."""
        return self.modelled / self.seconds - 1

    @property
    def factor(self) -> float:
        """How many times the one is the other, 1 or more."""
        return max(self.modelled / self.seconds, self.seconds / self.modelled)


@dataclass(frozen=True, slots=True)
class GroupError:
    """Errors of a group: median and mean of their size, mean with sign, and that of all launches' time together."""

    group: str
    kernels: int
    median: float
    mean: float
    bias: float
    together: float


def kernel_errors(profile: Priced, model: Priced, basis: str) -> list[KernelError]:
    """Each distinct kernel that the profile has a time of, once in each group that needs it.

    Both price the same steps. Kernels with another basis than the profile's, which a model fills in, are left out.
    """
    found: dict[tuple[str, object], KernelError] = {}
    for name, steps in profile.steps.items():
        for ours, theirs in zip(steps.each, model.steps[name].each, strict=True):
            for work, one in _errors(name, ours, theirs, basis):
                found.setdefault((one.group, work.kernel), one).launches += work.count
    return list(found.values())


def _errors(network: str, ours: StepCost, theirs: StepCost, basis: str) -> Iterator[tuple[Work, KernelError]]:
    """Every timed kernel of one step; `ours` is the profile's, `theirs` the model's."""
    prices = ours.prices
    modelled = theirs.prices.seconds.tolist()
    for work, taken, source, variant, other in zip(
        ours.works, prices.seconds.tolist(), prices.basis, prices.detail, modelled, strict=True
    ):
        if source == basis:
            where = f"{network} {work.layer} {work.pass_}"
            yield work, KernelError(Kernel(work.kernel, variant), _group(work), where, taken, other)


def _group(work: Work) -> str:
    return f"GEMM {work.kernel.precision.name} {work.pass_}" if isinstance(work.kernel, Gemm) else work.kind


def group_errors(errors: Sequence[KernelError]) -> list[GroupError]:
    """Every group, all GEMMs, all memory-bound kernels; a kernel of several groups counts in each, and once in all."""
    groups: dict[str, dict[Kernel, KernelError]] = {}
    for one in errors:
        for name in (one.group, ALL_GEMMS if isinstance(one.kernel.problem, Gemm) else ALL_STREAMS):
            counted = groups.setdefault(name, {}).setdefault(one.kernel, replace(one, launches=0))
            counted.launches += one.launches
    return [_group_error(name, list(groups[name].values())) for name in sorted(groups, key=_place)]


def _place(group: str) -> tuple[int, int, str]:
    """GEMMs before the rest; within them by precision as it comes, then by pass; the rest as tables have kinds."""
    if group in (ALL_GEMMS, ALL_STREAMS):
        return (1 if group == ALL_GEMMS else 3), 0, ""
    if group in KINDS:
        return 2, KINDS.index(group), ""
    _, precision, pass_ = group.split(" ")
    order = ("fp32", "fp16", "int8")
    return 0, (order.index(precision) if precision in order else len(order)), f"{PASSES.index(pass_)} {precision}"


def _group_error(name: str, errors: Sequence[KernelError]) -> GroupError:
    sizes, signed = [abs(one.error) for one in errors], [one.error for one in errors]
    modelled, timed = (sum(getattr(one, key) * one.launches for one in errors) for key in ("modelled", "seconds"))
    return GroupError(name, len(errors), median(sizes), fmean(sizes), fmean(signed), modelled / timed - 1)


def worst(errors: Sequence[KernelError], count: int) -> list[KernelError]:
    """The kernels where model and profile are furthest apart by factor, each once, the furthest first."""
    once = {one.kernel: one for one in reversed(errors)}
    return sorted(once.values(), key=lambda one: (-one.factor, one.kernel.text))[:count]
