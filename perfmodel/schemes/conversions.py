"""The kernels that a scheme adds to a step: which tensors are converted, how, and how often."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from perfmodel.lowering import MemoryOp, Work
from perfmodel.networks import Layer, MemoryBound, Network
from perfmodel.networks.layers import elements

GEMM_LAYERS = ("conv", "linear")
# The kernels that move FP32 as `measure` has them: op, and bytes that it reads and writes for each element.
NAMED = {("cast", 4.0, 2.0): "cast", ("check", 4.0, 4.0): "check"}
# The tensors that a rule may name, and the pass whose format each has.
PASS_OF = {
    "images": "fprop", "inputs": "fprop", "outputs": "fprop", "weights": "fprop", "input_gradients": "dgrad",
    "output_gradients": "dgrad", "weight_gradients": "wgrad", "parameters": "update",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Conversion:
    """What is done to some tensors in each step.

    `kind` `quantise` leaves kernels and bytes to the overhead's level and concerns tensors alone whose format is a
    code; the others (`cast`, `check`, `scale`) read and write `bytes_each` for every element, of codes alone where
    `codes_only` says so. `ops` are the
    operations of the layers concerned (empty: all that have parameters), `heads` whether auxiliary heads count.
    `one_pass`: no maximum of the whole tensor is needed first. `times` is how often a step does it. `pooled` says how
    the input gradient of a pool to 1x1 counts: `whole`, or one element for each channel, as the hooks of an old PyTorch
    saw it. `once`: a tensor that several layers read, such as a block's input or shared weights, is converted once.
    """

    kind: str
    of: tuple[str, ...]
    ops: tuple[str, ...] = GEMM_LAYERS
    bytes_each: tuple[float, float] = (0.0, 0.0)
    pass_: str = ""
    heads: bool = True
    one_pass: bool = False
    times: float = 1
    pooled: str = "whole"
    codes_only: bool = False
    what: str = ""
    once: bool = False

    def tensors(self, network: Network, batch: int) -> Iterator[tuple[str, str, str, int]]:
        """Layer, pass, tensor and elements of everything that the rule is about."""
        if "images" in self.of:
            yield "input", "fprop", "images", batch * elements(network.input)
        main = network.main_path
        for layer in network.layers:
            if self._concerns(layer) and (self.heads or layer.name in main):
                for tensor in self.of:
                    if tensor != "images" and (count := self._count(network, layer, tensor, batch)):
                        yield layer.name, self.pass_ or PASS_OF[tensor], tensor, count

    def _concerns(self, layer: Layer) -> bool:
        return layer.op in self.ops if self.ops else bool(layer.parameters)

    def _count(self, network: Network, layer: Layer, tensor: str, batch: int) -> int:
        if tensor == "weights" and self.once and layer.shares:  # the owner may be read in another format
            return replace(layer, shares=None).parameters
        if tensor in ("weights", "weight_gradients", "parameters"):
            return layer.parameters
        if tensor == "input_gradients" and not network.trains_before(layer):
            return 0
        if tensor in ("outputs", "output_gradients"):
            return batch * elements(layer.out_shape)
        if tensor == "input_gradients" and self.pooled == "channels" and _pools_to_one(layer):
            return batch * layer.in_shape[0]
        return batch * elements(layer.in_shape)

    def identity(self, layer: Layer | None, tensor: str) -> str:
        """Which tensor it is: of an input that several layers read, the layer that made it; of weights, their owner."""
        if layer is None:  # the images
            return ""
        if tensor == "inputs":
            return layer.inputs[0]
        return (tensor == "weights" and layer.shares) or layer.name

    def work(self, layer: str, pass_: str, count: int) -> Work:
        """The kernel of a conversion with bytes of its own."""
        read, written = self.bytes_each
        op = NAMED.get((self.kind, read, written), "stream")
        moved = MemoryOp(count * read, count * written, op, (count,) if op != "stream" else ())
        return Work(layer, pass_, "cast" if self.kind == "check" else self.kind, moved, self.times)


def _pools_to_one(layer: Layer) -> bool:
    return isinstance(layer, MemoryBound) and layer.out_shape[1:] == (1, 1)
