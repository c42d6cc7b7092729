"""FP32: the baseline, nothing converted."""

from __future__ import annotations

from collections.abc import Iterator

from perfmodel.formats import Format
from perfmodel.gemm import find_precision
from perfmodel.lowering import Work
from perfmodel.networks import Network
from perfmodel.schemes.formats import StepFormats
from perfmodel.schemes.scheme import FP32_BYTES, Choice, Overhead, refuse_format, update


class Fp32:
    """Every tensor and every GEMM in FP32 on the CUDA cores; SGD with momentum."""

    name = "fp32"
    title = "FP32"
    source = "the baseline of Rajagopal et al., ICML 2020, section 5.1"
    formats = ("fp32",)

    def gemm(self, format_: Format, pass_: str) -> Choice:
        """FP32 in all three passes."""
        if format_.name != "fp32":
            raise refuse_format(self, format_)
        return Choice(find_precision("fp32"))

    def activation_bytes(self, format_: Format) -> float:
        """4 B."""
        return FP32_BYTES

    def extra(self, network: Network, batch: int, formats: StepFormats, overhead: Overhead) -> Iterator[Work]:
        """The optimizer's update."""
        yield from update(network)
