"""What a step's choices cost: each GEMM in each format, with its copies, and each tensor's conversion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.advise.plan import CONVERTED, Plan, passes_of, plan_scheme
from perfmodel.cost.estimate import price
from perfmodel.lowering import Work
from perfmodel.networks import Network
from perfmodel.schemes import Scheme
from perfmodel.schemes.formats import StepFormats
from perfmodel.schemes.rules import OPERANDS
from perfmodel.simulate import Setting, StepCost, step_cost

COPIES = ("im2col", "transpose", "scale")  # kinds of work that a GEMM in a format needs besides conversions
TENSOR_OF = {"activations": "inputs", "weights": "weights", "errors": "output_gradients"}

Tensor = tuple[str, str]  # which of `CONVERTED`'s tensors, and whose (`Conversion.identity`)


@dataclass(frozen=True, slots=True)
class Tariff:
    """The prices among which a plan chooses, of one network, batch size and setting; all in seconds of one step.

    `gemm_s` and `copies_s` are of each (layer, pass, format); `convert_s` of each tensor, in any narrow format;
    `reads` says which tensors a layer's pass multiplies, `passes` which passes a layer has. `whole_s` comes on top of
    a step that converts anything. `steps` are the steps in one format throughout, the base first.
    """

    base: str
    narrow: tuple[str, ...]
    passes: Mapping[str, tuple[str, ...]]
    reads: Mapping[tuple[str, str], tuple[Tensor, Tensor]]
    gemm_s: Mapping[tuple[str, str, str], float]
    copies_s: Mapping[tuple[str, str, str], float]
    convert_s: Mapping[Tensor, float]
    whole_s: float
    steps: Mapping[str, StepCost]

    def pass_s(self, layer: str, pass_: str, format_: str) -> float:
        """GEMM and copies of one layer and pass in a format."""
        return self.gemm_s[layer, pass_, format_] + self.copies_s[layer, pass_, format_]

    def plan_s(self, plan: Plan) -> float:
        """Of the passes and conversions of a plan: what differs between plans of one tariff."""
        passes = ((layer, pass_) for layer, every in self.passes.items() for pass_ in every)
        gemms = sum(self.pass_s(*one, plan.find(*one)) for one in passes)
        converted = {(tensor, name) for one, name in plan.narrow.items() for tensor in self.reads[one]}
        return gemms + sum(self.convert_s[tensor] for tensor, _ in converted) + self.whole_s * bool(plan.narrow)


def make_tariff(network: Network, batch: int, base: Scheme, narrow: Sequence[str], setting: Setting) -> Tariff:
    """The prices of all choices of one step: the scheme `base`, and the formats that a pass may have instead.

    Raises `Unsupported` (E1103) for a format that the device has no unit for, and what `step_cost` raises.
    """
    usual = base.formats[0]
    steps = {name: uniform_step(network, batch, base, name, setting) for name in (usual, *narrow)}
    gemm_s: dict[tuple[str, str, str], float] = {}
    copies_s: dict[tuple[str, str, str], float] = {}
    for name, step in steps.items():
        for work, seconds in zip(step.works, step.seconds.tolist(), strict=True):
            into = gemm_s if work.kind == "gemm" else copies_s if work.kind in COPIES else None
            if into is not None:
                key = work.layer, work.pass_, name
                into[key] = into.get(key, 0.0) + seconds
    reads = {(layer.name, pass_): _tensors(layer, pass_) for layer in network.gemm_layers for pass_ in OPERANDS}
    passes = {layer.name: passes_of(network, layer) for layer in network.gemm_layers}
    return Tariff(
        usual, tuple(narrow), passes, reads, gemm_s, {key: copies_s.get(key, 0.0) for key in gemm_s},
        _conversions(network, batch, base, setting), setting.overhead.seconds or 0.0, steps,
    )  # fmt: skip


def uniform_step(network: Network, batch: int, base: Scheme, name: str, setting: Setting) -> StepCost:
    """The step with every GEMM in one format."""
    plan = Plan.everywhere(network, base.formats[0], name)
    return plan_step(network, batch, plan, base, setting)


def plan_step(network: Network, batch: int, plan: Plan, base: Scheme, setting: Setting) -> StepCost:
    """The step of a plan."""
    scheme = plan_scheme(network, plan, base, "plan", "plan", "perfmodel")
    return step_cost(network, batch, scheme, StepFormats.everywhere(plan.base), setting)


def _tensors(layer, pass_: str) -> tuple[Tensor, Tensor]:
    """The tensors that one pass multiplies."""
    return tuple(
        (kind, CONVERTED.identity(layer, kind)) for kind in (TENSOR_OF[operand] for operand in OPERANDS[pass_])
    )


def _conversions(network: Network, batch: int, base: Scheme, setting: Setting) -> dict[Tensor, float]:
    """What converting each tensor takes, whatever the format: levels of conversions are of 8 bits for all."""
    layers = {layer.name: layer for layer in network.layers}
    works: dict[Tensor, list[Work]] = {}
    for name, pass_, tensor, count in CONVERTED.tensors(network, batch):
        key = tensor, CONVERTED.identity(layers[name], tensor)
        if key not in works:
            works[key] = list(setting.overhead.quantise(name, pass_, count, base.activation_bytes))
    every = [work for some in works.values() for work in some]
    seconds = price(setting.model, [work.kernel for work in every]).seconds if every else np.zeros(0)
    found = iter((seconds * np.array([work.count for work in every])).tolist())
    return {key: sum(next(found) for _ in some) for key, some in works.items()}
