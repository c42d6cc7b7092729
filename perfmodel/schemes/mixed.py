"""Mixed precision: FP16 GEMMs with FP32 accumulation, FP32 master weights, a scaled loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from perfmodel.formats import Format, find_format
from perfmodel.gemm import find_precision
from perfmodel.lowering import MemoryOp, Work
from perfmodel.networks import Network
from perfmodel.schemes.formats import StepFormats
from perfmodel.schemes.scheme import Choice, Overhead, refuse_format, update

CAST_READ_BYTES, CAST_WRITE_BYTES = 4.0, 2.0  # FP32 master weight -> FP16 copy
CHECK_READ_BYTES, CHECK_WRITE_BYTES = 4.0, 4.0  # unscale an FP32 gradient and look for inf and NaN


@dataclass(frozen=True, slots=True)
class Mixed:
    """Micikevicius et al.; `accumulate` and the format of tensors between layers are choices of the implementation."""

    accumulate: str = "fp32"
    stored: str = "fp16"

    name = "mixed"
    title = "mixed precision"
    source = "Micikevicius et al., ICLR 2018 (arXiv 1710.03740): FP16 tensors, FP32 master weights, loss scaling"
    formats = ("fp16",)

    def gemm(self, format_: Format, pass_: str) -> Choice:
        """FP16 in all three passes."""
        if format_.name != "fp16":
            raise refuse_format(self, format_)
        return Choice(find_precision("fp16", self.accumulate, self.stored))

    def activation_bytes(self, format_: Format) -> float:
        """2 B: activations and their gradients are stored in FP16, unless `stored` says otherwise."""
        return find_format(self.stored).bytes

    def extra(self, network: Network, batch: int, formats: StepFormats, overhead: Overhead) -> Iterator[Work]:
        """Cast of the weights, unscaling and check of the gradients, the update (seldom skipped)."""
        for layer in network.layers:
            if count := layer.parameters:
                cast = MemoryOp(count * CAST_READ_BYTES, count * CAST_WRITE_BYTES, "cast", (count,))
                check = MemoryOp(count * CHECK_READ_BYTES, count * CHECK_WRITE_BYTES, "check", (count,))
                yield Work(layer.name, "fprop", "cast", cast)
                yield Work(layer.name, "update", "cast", check)
        yield from update(network)
