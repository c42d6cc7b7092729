"""Which kernels a profile of some networks must time: those of the training steps that `speedup` prices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil

from perfmodel.cost.estimate import CostModel, price
from perfmodel.devices import Device
from perfmodel.gemm import Gemm
from perfmodel.lowering import MemoryOp, Work
from perfmodel.measure.settings import Settings
from perfmodel.networks import Network
from perfmodel.profiles.kernel import Kernel
from perfmodel.schemes import (
    Overhead,
    Scheme,
    find_breakdown_scheme,
    find_scheme,
    names_scheme,
    run_stretches,
    training_step,
)
from perfmodel.schemes.formats import StepFormats

PRECISIONS = ("fp32", "fp16", "int8")
# The steps of `speedup` in each precision: 12, 14 and 16 bits are all timed as FP16, so one stands for the three.
STEPS = {"fp32": (("fp32", "fp32"),), "fp16": (("mixed", "fp16"), ("muppet", "dfx12")), "int8": (("muppet", "dfx8"),)}
LONGEST_RUN = 10**6  # iterations: of a run that goes through every format of its scheme
CANARY_S = 8e-3  # of the fixed work that shows interference


@dataclass(frozen=True, slots=True)
class PlannedKernel:
    """One kernel to time.

    `weight` is how often it is launched in one step of each planned training step, all together; `uses` say where
    (`resnet18 layer1.0.conv1 fprop`), in order; `seconds` is what the model takes one launch for, `bound_s` the
    roofline. `variants` are implementations to choose from, the most promising first (none where the device is free to
    choose). `prior` is the elasticity of its time to the SM clock that one would expect before measuring, see `prior`.
    """

    kernel: Kernel
    weight: float
    uses: tuple[str, ...]
    seconds: float
    bound_s: float
    prior: float
    variants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Kernels in the order in which the training steps launch them first, and what was asked for (JSON values)."""

    kernels: tuple[PlannedKernel, ...]
    request: dict

    @property
    def step_s(self) -> float:
        """What the model takes one step of each planned training step for, all together [s]."""
        return sum(planned.weight * planned.seconds for planned in self.kernels)

    @property
    def step_flop(self) -> float:
        """Arithmetic of these steps, all together [FLOP]."""
        return sum(planned.weight * planned.kernel.flop for planned in self.kernels)

    def measuring_s(self, settings: Settings) -> float:
        """GPU seconds of one session that visits every kernel as often as it must, and no more: an estimate.

        Settling, then for each visit its conditioning and its samples, each behind a spin and none shorter than one
        launch, and the canaries: every few visits of a round, and at its end.
        """
        if not self.kernels:
            return 0.0
        samples = sum(settings.spin_s + max(settings.sample_s, planned.seconds) for planned in self.kernels)
        visits = settings.least_visits * len(self.kernels)
        measuring = visits * settings.condition_s + settings.least_visits * settings.samples * samples
        settling = 0.0 if settings.state == "burst" else settings.settle_least_s
        canaries = settings.least_visits * (ceil(len(self.kernels) / settings.canary_every) + 1)
        return settling + measuring + canaries * CANARY_S


def make_plan(
    networks: Sequence[Network], batches: Sequence[int], precisions: Sequence[str], mapping: str, overhead: Overhead,
    model: CostModel, roofline: CostModel,
) -> Plan:  # fmt: skip
    """Every GEMM and memory-bound kernel of one step of each network, batch size and precision, equal ones once.

    `fp32` stands for the FP32 step, `fp16` for mixed precision and MuPPET's of 12 to 16 bits, `int8` for MuPPET's of
    8 bits, the name or file of a scheme for all steps of its run, any other precision for what it is in a breakdown.
    Work of a given time is left out: there is nothing to measure. Raises what `find_breakdown_scheme`, `training_step`
    and the models raise, such as `Unsupported` (E1103) where the device has no unit for a kernel.
    """
    asked = (step for precision in precisions for step in _steps(precision, model.device))
    # Stages of one scheme have its name, and may differ in formats of tensors and layers alone.
    steps = list({(step[0].name, step[0].tensors, step[0].layers, step[1]): step for step in asked}.values())
    found: dict[Gemm | MemoryOp, _Uses] = {}
    for network in networks:
        for batch in batches:
            for scheme, formats, device in steps:
                _collect(found, network, training_step(network, batch, scheme, formats, mapping, overhead, device))
    seconds, bounds = (price(one, list(found)).seconds.tolist() for one in (model, roofline))
    kernels = (
        PlannedKernel(Kernel(problem), uses.launches, tuple(uses.where), taken, bound, prior(problem, roofline.device))
        for (problem, uses), taken, bound in zip(found.items(), seconds, bounds, strict=True)
    )
    return Plan(tuple(kernels), _request(networks, batches, precisions, steps, mapping, overhead))


def prior(problem: Gemm | MemoryOp, device: Device) -> float:
    """How a kernel's time is expected to follow the SM clock: 0 not at all, 1 inversely.

        b = min(1, (F / P) / (Q / B))

    F [FLOP] over the peak P at the sustained clock is the time of the arithmetic, Q [B] over the bandwidth B that of
    the compulsory bytes. It is 1 where arithmetic takes at least as long as the bytes, falls in proportion to its
    share below, and has no jump where the two meet; 0 for streams, as DRAM has a clock of its own. Only where a
    measurement starts from: its own samples correct it. `Unsupported` (E1103) where the device has no unit for it.
    """
    if isinstance(problem, MemoryOp):
        return 0.0
    flop_s = problem.flop / device.peak_flop_per_s(problem.precision, device.sustained_clock_hz)
    return min(1.0, flop_s / (problem.bytes / device.dram_bytes_per_s))


@dataclass(slots=True)
class _Uses:
    launches: float = 0
    where: dict[str, None] = field(default_factory=dict)  # an ordered set


def _steps(precision: str, device: Device) -> Iterator[tuple[Scheme, StepFormats, Device | None]]:
    """Scheme and formats of each step that a precision stands for, and the device whose units may stand for others.

    Only a scheme that is asked for by name may do without a unit: a precision is timed as it is, or refused.
    """
    if precision not in STEPS:
        if not names_scheme(precision):
            yield *find_breakdown_scheme(precision), None
            return
        for stretch in run_stretches(find_scheme(precision), LONGEST_RUN, 1):
            yield stretch.scheme, stretch.formats, device
    for scheme, format_ in STEPS.get(precision, ()):
        yield find_scheme(scheme), StepFormats.everywhere(format_), None


def _collect(found: dict[Gemm | MemoryOp, _Uses], network: Network, works: Sequence[Work]) -> None:
    for work in works:
        if work.is_kernel:
            uses = found.setdefault(work.kernel, _Uses())
            uses.launches += work.count
            uses.where[f"{network.name} {work.layer} {work.pass_}"] = None


def _request(networks, batches, precisions, steps, mapping: str, overhead: Overhead) -> dict:
    schemes: dict[str, list[str]] = {}
    for scheme, formats, _ in steps:
        schemes.setdefault(scheme.name, []).append(formats.label)
    return {
        "networks": [network.name for network in networks], "batch": list(batches), "precisions": list(precisions),
        "schemes": schemes, "mapping": mapping, "overhead": overhead.level,
    }  # fmt: skip
