"""MuPPET: dynamic fixed point of 8, 12, 14 and 16 bits, then FP32 (Rajagopal et al., ICML 2020)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from perfmodel.formats import Format
from perfmodel.gemm import find_precision
from perfmodel.lowering import Work
from perfmodel.networks import Layer, MemoryBound, Network
from perfmodel.networks.layers import elements
from perfmodel.schemes.formats import StepFormats
from perfmodel.schemes.scheme import FP32_BYTES, Choice, Overhead, refuse_format, update

QUANTISED_POOLS = ("avg_pool", "adaptive_avg_pool")
INT8_BITS = 8


@dataclass(frozen=True, slots=True)
class Muppet:
    """Block floating point, one power-of-two scale for each tensor; only conv and FC layers get faster (section 5.2).

    `accumulate` is what the FP16 GEMMs sum in that stand for 12 to 16 bits.
    """

    accumulate: str = "fp32"

    name = "muppet"
    title = "MuPPET"
    source = "Rajagopal et al., ICML 2020, sections 3 and 5.2; tensors as ICIdsl/muppet @ a5cbb13 quantises them"
    formats = ("dfx8", "dfx12", "dfx14", "dfx16", "fp32")

    def gemm(self, format_: Format, pass_: str) -> Choice:
        """8 bits on INT8 units, 12 to 16 on FP16 units as a proxy (FP16 cannot hold their codes), FP32 on its own."""
        if format_.name not in self.formats:
            raise refuse_format(self, format_)
        if format_.name == "fp32":
            return Choice(find_precision("fp32"))
        if format_.bits == INT8_BITS:
            return Choice(find_precision("int8"))
        return Choice(find_precision("fp16", self.accumulate, "fp32"), f"{format_.name} timed as fp16")

    def activation_bytes(self, format_: Format) -> float:
        """4 B: all but the GEMMs runs in FP32."""
        return FP32_BYTES

    def extra(self, network: Network, batch: int, formats: StepFormats, overhead: Overhead) -> Iterator[Work]:
        """Quantisation of every tensor that the reference quantises while in fixed point, and the update."""
        fixed = [row for row in quantised_tensors(network, batch) if _format(formats, *row[:2]).family == "dfx"]
        for layer, pass_, count in fixed:
            yield from overhead.quantise(layer, pass_, count)
        if fixed:
            yield from overhead.whole_step()
        yield from update(network)


def _format(formats: StepFormats, layer: str, pass_: str) -> Format:
    """The format of a tensor: that of its pass; parameters and their gradients have the weight gradient's."""
    return formats.find(layer, "wgrad" if pass_ == "update" else pass_)


def quantised_tensors(network: Network, batch: int) -> Iterator[tuple[str, str, int]]:
    """Layer, pass and elements of every tensor quantised in one iteration.

    The images; the output of each convolution, FC layer and average pool; the gradients of their inputs and weights;
    then every parameter's gradient once more, and every updated parameter. Auxiliary heads keep plain layers: only
    their parameters count. The input gradient of a pool to 1x1 counts batch x channels, as the reference's hooks saw
    it. Source: ICIdsl/muppet @ a5cbb13, training.py:78-80, quant_layers.py:77-80, scaler.py:87-100,
    quant_sgd.py:54-78.
    """
    yield "input", "fprop", batch * elements(network.input)
    main = network.main_path
    for layer in network.layers:
        if layer.name in main and _is_quantised(layer):
            yield layer.name, "fprop", batch * elements(layer.out_shape)
            if network.trains_before(layer):
                yield layer.name, "dgrad", batch * _gradient_elements(layer)
            if layer.parameters:
                yield layer.name, "wgrad", layer.parameters
    for layer in network.layers:
        if layer.parameters:
            yield layer.name, "update", layer.parameters
            yield layer.name, "update", layer.parameters


def _gradient_elements(layer: Layer) -> int:
    """Of one image's input gradient as a hook of the reference saw it: one a channel for a pool to 1x1."""
    if isinstance(layer, MemoryBound) and layer.out_shape[1:] == (1, 1):
        return layer.in_shape[0]
    return elements(layer.in_shape)


def _is_quantised(layer) -> bool:
    return not isinstance(layer, MemoryBound) or layer.op in QUANTISED_POOLS
