"""A training scheme: what format each tensor has, how wide things are stored, and what work is added to a step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from perfmodel.errors import Unsupported
from perfmodel.formats import Format, find_format
from perfmodel.lowering import PASSES, MemoryOp, Work
from perfmodel.networks import Network
from perfmodel.schemes.conversions import Conversion
from perfmodel.schemes.formats import StepFormats
from perfmodel.schemes.overhead import Overhead
from perfmodel.schemes.rules import LayerRule, Operands, TensorFormats, layer_formats, resolve
from perfmodel.schemes.schedule import Constant, Schedule, Stage
from perfmodel.schemes.units import narrower
from perfmodel.traces import PassPrecision

FP32_UPDATE = (12.0, 8.0)  # bytes of SGD with momentum in FP32: weight, gradient, momentum; weight, momentum

AS_THE_STEP, IN_FP32 = TensorFormats(), Constant("fp32")


@dataclass(frozen=True)
class Scheme:
    """One way of training, as `data/schemes/NAME.toml` or a user's file has it (`docs/schemes.md`).

    `formats` are those that a trace's passes may have, in the order in which a run may go through them. `tensors` says
    which tensors have a format of their own whatever the step's is, `layers` which layers are exceptions. `stored` is
    the format of tensors between layers and of what floating-point GEMMs write, `accumulate` what FP16 and FP8 units
    sum in. The optimizer reads `master`, `gradients` and `momentum`, and writes `master` and `momentum`. `tile_k` is
    how many products share one scale along k, 0 for all: partial sums are scaled and added in FP32 as often.
    `stands_for` gives the precisions that mean this scheme's step in a breakdown, and its format then. `exact` refuses
    chips without the very unit, where others take the next one and mark it.
    """

    name: str
    title: str
    source: str
    formats: tuple[str, ...]
    tensors: TensorFormats = AS_THE_STEP
    stored: str = "fp32"
    accumulate: str = "fp32"
    master: str = "fp32"
    gradients: str = "fp32"
    momentum: str = "fp32"
    tile_k: int = 0
    layers: tuple[LayerRule, ...] = ()
    conversions: tuple[Conversion, ...] = ()
    schedule: Schedule = IN_FP32
    stages: tuple[Stage, ...] = ()
    stands_for: Mapping[str, str] = field(default_factory=dict)
    leaves_out: tuple[str, ...] = ()
    notes: str = ""
    exact: bool = False

    @property
    def activation_bytes(self) -> float:
        """Size of a stored activation or gradient element [B]."""
        return find_format(self.stored).stored_bytes

    def check(self, formats: StepFormats) -> None:
        """Raise `Unsupported` (E1104) for a step in a format that the scheme does not train in."""
        for precision in (formats.precision, *(precision for _, precision in formats.layers)):
            for name in precision.names:
                if name not in self.formats:
                    raise refuse_format(self, find_format(name))

    def operands(self, network: Network, formats: StepFormats) -> dict[str, Operands]:
        """The operands of each layer with GEMMs; a layer that the step itself names has no other exception."""
        own = layer_formats(network, self.layers)
        given = dict(formats.layers)
        return {
            layer.name: resolve(self.tensors, None, given[layer.name])
            if layer.name in given
            else resolve(self.tensors, own.get(layer.name), formats.precision)
            for layer in network.gemm_layers
        }

    def converted(
        self, network: Network, batch: int, formats: StepFormats
    ) -> Iterator[tuple[Conversion, str, str, int]]:
        """Each tensor that one step converts: the rule that says so, layer, pass and elements."""
        operands = self.operands(network, formats)
        layers = {layer.name: layer for layer in network.layers}
        for rule in self.conversions:
            of_codes, done = rule.kind == "quantise" or rule.codes_only, set()
            for name, pass_, tensor, count in rule.tensors(network, batch):
                layer = layers.get(name)
                trains = layer is not None and network.trains_before(layer)
                format_ = _format_of(tensor, operands.get(name), formats.precision, trains)
                if of_codes and not format_.is_code:
                    continue
                key = tensor, rule.identity(layer, tensor), format_
                if rule.once and key in done:
                    continue
                done.add(key)
                yield rule, name, pass_, count

    def quantised_elements(self, network: Network, batch: int, formats: StepFormats) -> float:
        """How many elements one step quantises."""
        rows = self.converted(network, batch, formats)
        return sum(count * rule.times for rule, _, _, count in rows if rule.kind == "quantise")

    def extra(self, network: Network, batch: int, formats: StepFormats, overhead: Overhead) -> Iterator[Work]:
        """The work of one step besides its layers': conversions, and the optimizer's update."""
        others: list[Work] = []
        quantised = False
        for rule, layer, pass_, count in self.converted(network, batch, formats):
            if rule.kind == "quantise":
                quantised = True
                yield from overhead.quantise(layer, pass_, count, self.activation_bytes, rule.one_pass, rule.times)
            elif overhead.converts:
                others.append(rule.work(layer, pass_, count))
        yield from others
        if quantised:
            yield from overhead.whole_step()
        yield from self.update(network)

    def update(self, network: Network) -> Iterator[Work]:
        """SGD with momentum, one kernel for each layer that has parameters."""
        master, gradient, momentum = (
            find_format(one).stored_bytes for one in (self.master, self.gradients, self.momentum)
        )
        each = master + gradient + momentum, master + momentum
        for layer in network.layers:
            if count := layer.parameters:
                named = {"op": "update", "shape": (count,)} if each == FP32_UPDATE else {}
                yield Work(layer.name, "update", "update", MemoryOp(count * each[0], count * each[1], **named))


def _format_of(tensor: str, operands: Operands | None, step: PassPrecision, trains: bool) -> Format:
    """The format of a tensor: the narrower one in which GEMMs read it, or its pass's; without GEMMs the step's.

    Parameters and their gradients have the weight gradient's. Where nothing before the layer `trains`, it has no dgrad.
    """
    if operands is not None and tensor == "inputs":
        return narrower(operands.fprop[0], operands.wgrad[1])
    if operands is not None and tensor == "weights":
        return narrower(operands.fprop[1], operands.dgrad[1]) if trains else operands.fprop[1]
    if operands is not None and tensor == "output_gradients":
        return narrower(operands.dgrad[0], operands.wgrad[0]) if trains else operands.wgrad[0]
    pass_ = {"input_gradients": "dgrad", "weight_gradients": "wgrad", "parameters": "wgrad"}.get(tensor, "fprop")
    return find_format(getattr(step, pass_)[0]) if operands is None else operands.format(pass_)


def refuse_format(scheme: Scheme, format_: Format) -> Unsupported:
    """The error for a trace's format that a scheme does not train in."""
    return Unsupported.at(
        "E1104", f"scheme {scheme.name}:", f"does not train in {format_.name}.", f"It uses {', '.join(scheme.formats)}."
    )


def bit_operations(scheme: Scheme, network: Network, batch: int, formats: StepFormats) -> int:
    """Bit operations of one step's GEMMs: MACs x bits of the one operand x bits of the other, summed.

    Unpadded layers, as published counts have them; floats count with the bits that they are stored in (TF32: 32). The
    first layer has no data gradient. Source of the measure: Zhou et al., DoReFa-Net, arXiv 1606.06160, section 2.
    """
    operands = scheme.operands(network, formats)
    return sum(
        batch * layer.macs * operands[layer.name].bits(pass_)
        for layer in network.gemm_layers
        for pass_ in (PASSES if network.trains_before(layer) else ("fprop", "wgrad"))
    )
