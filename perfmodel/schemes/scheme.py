"""What a training scheme decides: which unit runs each GEMM, how wide the stored tensors are, and what work it adds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from perfmodel.errors import InputError, Unsupported, quote
from perfmodel.formats import Format
from perfmodel.gemm import Precision
from perfmodel.lowering import Delay, MemoryOp, Work
from perfmodel.networks import Network
from perfmodel.schemes.formats import StepFormats

FP32_BYTES = 4.0
# SGD with momentum in FP32: read weight, gradient and momentum, write weight and momentum.
SGD_READ_BYTES, SGD_WRITE_BYTES = 12.0, 8.0
MILLISECONDS = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
LONGEST_MS = 1e10  # of one iteration: 116 days


@dataclass(frozen=True, slots=True)
class Choice:
    """The precision a GEMM runs in; `proxy` says for what it stands where that is not the scheme's own format."""

    precision: Precision
    proxy: str = ""


class Scheme(Protocol):
    """One way of training. Format names are those of the trace's segments."""

    name: str
    title: str
    source: str
    formats: tuple[str, ...]  # of the GEMMs, in the order in which a run may go through them

    def gemm(self, format_: Format, pass_: str) -> Choice:
        """The precision in which the GEMMs of one pass run; `Unsupported` for a format that is not the scheme's."""
        ...

    def activation_bytes(self, format_: Format) -> float:
        """Size of a stored activation or gradient element [B]."""
        ...

    def extra(self, network: Network, batch: int, formats: StepFormats, overhead: Overhead) -> Iterator[Work]:
        """The work of one step that FP32 training would not do, the optimizer's update included."""
        ...


@dataclass(frozen=True, slots=True)
class Level:
    """Kernels that quantise a tensor: op, how many alike, and bytes that these together read and write an element."""

    kernels: tuple[tuple[str, int, float, float], ...]
    title: str

    @property
    def launches(self) -> int:
        """How many kernels quantise one tensor."""
        return sum(count for _, count, _, _ in self.kernels)

    @property
    def bytes_per_element(self) -> float:
        """Bytes read and written by all of them."""
        return sum(read + written for _, _, read, written in self.kernels)


# An FP32 element in, one byte out (12 to 16 bits would write two: the levels are those of 8 bits for all); `current`
# reads once more for the maximum; `unfused` is the chain of about 14 PyTorch kernels and 18 accesses of 4 B that the
# reference runs on each tensor (ICIdsl/muppet @ a5cbb13, quantize.py:18-73; its call for each image is not counted).
LEVELS = {
    "ideal": Level((), "no overhead: the paper's theoretical limit"),
    "delayed": Level((("quantise_delayed", 1, 4.0, 1.0),), "one pass with the scale of an earlier step, 5 B/element"),
    "current": Level((("absmax", 1, 4.0, 0.0), ("quantise", 1, 4.0, 1.0)), "maximum first, then quantise, 9 B/element"),
    "unfused": Level((("stream", 14, 36.0, 36.0),), "the reference's chain of PyTorch kernels, 72 B/element"),
}


@dataclass(frozen=True, slots=True)
class Overhead:
    """What quantising costs: a level of `LEVELS`, or so many seconds an iteration, of the given basis."""

    level: str = "current"
    seconds: float | None = None
    basis: str = "given"

    @property
    def words(self) -> str:
        """What it means, for notes under tables."""
        if self.seconds is not None:
            return f"{self.seconds * 1e3:.4g} ms for each quantised iteration ({self.basis})"
        return f"{self.level}, {LEVELS[self.level].title}"

    def quantise(self, layer: str, pass_: str, elements: int) -> Iterator[Work]:
        """The kernels that quantise one tensor; none when the overhead is a given time for the whole iteration."""
        if self.seconds is not None:
            return
        for op, count, read, written in LEVELS[self.level].kernels:
            each = elements / count
            shape = () if op == "stream" else (elements,)
            yield Work(layer, pass_, "quantise", MemoryOp(read * each, written * each, op, shape), count)

    @property
    def transposes(self) -> bool:
        """Whether the copies count that turn operands round: not without overhead, nor where a given time has all."""
        return self.seconds is None and bool(LEVELS[self.level].kernels)

    def whole_step(self) -> Iterator[Work]:
        """The given time of one iteration, where there is one."""
        if self.seconds:
            yield Work("(all tensors)", "fprop", "quantise", Delay(self.seconds, self.basis))


def find_overhead(text: str) -> Overhead:
    """The overhead that the command line names: a level, or milliseconds for each iteration.

    >>> find_overhead("current").level, find_overhead("36").seconds
    ('current', 0.036)
    """
    if text in LEVELS:
        return Overhead(text)
    milliseconds = float(text) if MILLISECONDS.fullmatch(text) else -1.0
    if not 0 <= milliseconds <= LONGEST_MS:
        raise InputError.at(
            "E1105", "--overhead", f"{quote(text)} is neither a level nor a number of milliseconds.",
            f"Choose {', '.join((*LEVELS, 'table3'))} or a number up to {LONGEST_MS:.0e}.",
        )  # fmt: skip
    return Overhead("given", milliseconds / 1e3)


def refuse_format(scheme: Scheme, format_: Format) -> Unsupported:
    """The error for a trace's format that a scheme does not train in."""
    return Unsupported.at(
        "E1104", f"scheme {scheme.name}:", f"does not train in {format_.name}.", f"It uses {', '.join(scheme.formats)}."
    )


def update(network: Network) -> Iterator[Work]:
    """SGD with momentum on FP32 master weights, one kernel for each layer that has any."""
    for layer in network.layers:
        if count := layer.parameters:
            operation = MemoryOp(count * SGD_READ_BYTES, count * SGD_WRITE_BYTES, "update", (count,))
            yield Work(layer.name, "update", "update", operation)
