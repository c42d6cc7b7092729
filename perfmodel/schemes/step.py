"""One training step of a network under a scheme, as kernels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter

from perfmodel.devices import Device
from perfmodel.errors import InputError, unknown_name
from perfmodel.formats import find_format
from perfmodel.gemm import Gemm, find_precision
from perfmodel.lowering import PASSES, Delay, Work, layer_gemm, lower_gemms, lower_joins, lower_memory
from perfmodel.networks import Conv2d, Layer, Linear, MemoryBound, Network
from perfmodel.schemes.formats import StepFormats
from perfmodel.schemes.overhead import Overhead
from perfmodel.schemes.rules import Operands, resolve
from perfmodel.schemes.scheme import Scheme
from perfmodel.schemes.units import Choice, choose_unit, units_of
from perfmodel.units import ceil_div

SHAPES_KEPT = 2**14  # of layers, whose kernels are remembered: layers, steps of many schemes, and devices share them
OF_SHAPE = {
    kind: attrgetter(*(one.name for one in fields(kind) if one.name not in ("name", "inputs")))
    for kind in (Conv2d, Linear, MemoryBound)
}  # fmt: skip


def training_step(
    network: Network, batch: int, scheme: Scheme, formats: StepFormats, mapping: str, overhead: Overhead,
    device: Device | None = None,
) -> tuple[Work, ...]:  # fmt: skip
    """The kernels of one iteration: GEMMs with their copies, memory-bound layers, the scheme's extra work, the update.

    A GEMM runs on the narrowest unit of `device` that holds its operands, see `choose_unit`; without a device, of a
    chip that has them all. Raises `Unsupported`: E1104 for a format that the scheme does not train in, E1103 where no
    unit will do; `InputError` (E1108) for a layer of `formats` that the network does not have.
    """
    names = [layer.name for layer in network.gemm_layers]
    for name, _ in formats.layers:
        if name not in names:
            raise InputError(unknown_name("E1108", f"{network.name}: layer with a GEMM", name, names).problems)
    scheme.check(formats)
    return tuple(_step(network, batch, scheme, formats, mapping, overhead, device))


def gemm_choice(scheme: Scheme, formats: StepFormats, pass_: str, device: Device | None = None) -> Choice:
    """The unit of a pass in layers that are no exception; raises as `choose_unit`."""
    operands = resolve(scheme.tensors, None, formats.precision)
    return _choose(scheme, operands, pass_, None if scheme.exact else units_of(device))


def _choose(scheme: Scheme, operands: Operands, pass_: str, units: frozenset | None) -> Choice:
    return choose_unit(getattr(operands, pass_), find_format(scheme.stored), scheme.accumulate, units)


def _step(network, batch, scheme, formats, mapping, overhead, device) -> Iterator[Work]:
    width, operands = scheme.activation_bytes, scheme.operands(network, formats)
    units = None if scheme.exact else units_of(device)
    for layer in network.layers:
        trains = network.trains_before(layer)
        if not isinstance(layer, MemoryBound):
            for pass_ in PASSES if trains else ("fprop", "wgrad"):
                yield from _gemms(layer, pass_, batch, scheme, operands[layer.name], mapping, overhead, device, units)
        yield from _memory(layer, batch, width, trains)
    yield from lower_joins(network, batch, width)
    yield from scheme.extra(network, batch, formats, overhead)


def _gemms(
    layer, pass_: str, batch: int, scheme: Scheme, operands: Operands, mapping, overhead, device, units
) -> Iterator[Work]:
    """The GEMMs of one layer and pass with their copies, and what scaling their partial sums takes."""
    choice = _choose(scheme, operands, pass_, units)
    tiled = scheme.tile_k and overhead.converts and operands.format(pass_).family == "bfp"
    chunks = 1
    if tiled:  # of the products that there are: those that fill them up to whole lines are zero
        chunks = ceil_div(layer_gemm(layer, pass_, batch, mapping, choice.precision).k, scheme.tile_k)
    for work in _lowered(layer, pass_, batch, mapping, choice, overhead.transposes):
        yield work
        if tiled and isinstance(work.kernel, Gemm):
            yield from _tile_sums(work, chunks, device)


class _Shape:
    """A layer as what it computes: the same for layers that differ in name and inputs alone."""

    __slots__ = ("key", "layer")

    def __init__(self, layer: Layer):
        self.layer, self.key = layer, (layer.op, OF_SHAPE[type(layer)](layer))

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Shape) and self.key == other.key


def _lowered(layer, pass_: str, batch: int, mapping: str, choice: Choice, transposes: bool) -> tuple[Work, ...]:
    """What `lower_gemms` has of one layer and pass, marked where the unit is a proxy."""
    parts = _gemm_parts(_Shape(layer), pass_, batch, mapping, choice.precision, transposes)
    return tuple(Work(layer.name, pass_, *part, choice.proxy) for part in parts)


@lru_cache(SHAPES_KEPT)
def _gemm_parts(shape: _Shape, pass_: str, batch: int, mapping: str, precision, transposes: bool) -> tuple[tuple, ...]:
    """Kind, kernel and count of each piece of work."""
    works = lower_gemms(shape.layer, batch, mapping, precision, (pass_,), transposes)
    return tuple((work.kind, work.kernel, work.count) for work in works)


def _memory(layer: Layer, batch: int, width: float, trains: bool) -> tuple[Work, ...]:
    """What `lower_memory` has of one layer."""
    return tuple(Work(layer.name, *part) for part in _memory_parts(_Shape(layer), batch, width, trains))


@lru_cache(SHAPES_KEPT)
def _memory_parts(shape: _Shape, batch: int, width: float, trains: bool) -> tuple[tuple, ...]:
    """Pass, kind, kernel and count of each piece of work."""
    works = lower_memory(shape.layer, batch, width, trains)
    return tuple((work.pass_, work.kind, work.kernel, work.count) for work in works)


def _tile_sums(work: Work, chunks: int, device: Device | None) -> Iterator[Work]:
    """Partial sums of so many chunks of k scaled and added in FP32: a multiply-add each, at the CUDA cores' peak.

    Nothing of it is hidden behind the tensor cores, and no kernel that does it has been timed. Left out without a
    device, whose peak it needs, and where one tile holds all of k.
    """
    if device is not None and chunks > 1:
        peak = device.peak_flop_per_s(find_precision("fp32"), device.sustained_clock_hz)
        sums = 2 * work.kernel.batch * work.kernel.m * work.kernel.n * chunks
        yield Work(work.layer, work.pass_, "scale", Delay(sums / peak, "roofline"), work.count)
