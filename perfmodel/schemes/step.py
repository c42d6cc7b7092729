"""One training step of a network under a scheme, as kernels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from perfmodel.errors import InputError, unknown_name
from perfmodel.lowering import PASSES, Work, lower_gemms, lower_joins, lower_memory
from perfmodel.networks import MemoryBound, Network
from perfmodel.schemes.formats import StepFormats
from perfmodel.schemes.scheme import Overhead, Scheme


def training_step(
    network: Network, batch: int, scheme: Scheme, formats: StepFormats, mapping: str, overhead: Overhead
) -> tuple[Work, ...]:
    """The kernels of one iteration: GEMMs with their copies, memory-bound layers, the scheme's extra work, the update.

    A memory-bound layer moves elements as wide as its forward format makes them. Raises `Unsupported` for a format
    that the scheme does not train in, `InputError` (E1108) for a layer of `formats` that the network does not have.
    """
    names = [layer.name for layer in network.gemm_layers]
    for name, _ in formats.layers:
        if name not in names:
            raise InputError(unknown_name("E1108", f"{network.name}: layer with a GEMM", name, names).problems)
    return tuple(_step(network, batch, scheme, formats, mapping, overhead))


def _step(network, batch, scheme, formats, mapping, overhead) -> Iterator[Work]:
    for layer in network.layers:
        trains = network.trains_before(layer)
        if not isinstance(layer, MemoryBound):
            for pass_ in PASSES if trains else ("fprop", "wgrad"):
                choice = scheme.gemm(formats.find(layer.name, pass_), pass_)
                for work in lower_gemms(layer, batch, mapping, choice.precision, (pass_,), overhead.transposes):
                    yield replace(work, proxy=choice.proxy) if choice.proxy else work
        width = scheme.activation_bytes(formats.find(layer.name, "fprop"))
        yield from lower_memory(layer, batch, width, trains)
    yield from lower_joins(network, batch, scheme.activation_bytes(formats.find("", "fprop")))
    yield from scheme.extra(network, batch, formats, overhead)
