"""One precision for every GEMM, nothing converted: for formats that no bundled scheme trains in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from perfmodel.formats import Format
from perfmodel.gemm import find_precision
from perfmodel.lowering import Work
from perfmodel.networks import Network
from perfmodel.schemes.formats import StepFormats
from perfmodel.schemes.scheme import Choice, Overhead, update

LEAST_STORED_BYTES = 2.0  # of a tensor between layers: batch norm and its like are not computed in 8 bits or fewer


@dataclass(frozen=True, slots=True)
class Uniform:
    """All GEMMs in one precision; tensors between layers are as wide as its operands, but at least 2 B."""

    precision: str

    title = "one precision, no conversions"
    source = "no scheme: the GEMMs' own time"

    @property
    def name(self) -> str:
        """That of the precision."""
        return self.precision

    @property
    def formats(self) -> tuple[str, ...]:
        """The operand's format alone."""
        return (find_precision(self.precision).operand.name,)

    def gemm(self, format_: Format, pass_: str) -> Choice:
        """The precision, in all three passes."""
        return Choice(find_precision(self.precision))

    def activation_bytes(self, format_: Format) -> float:
        """Width of the operand, 2 B at least."""
        return max(format_.bytes, LEAST_STORED_BYTES)

    def extra(self, network: Network, batch: int, formats: StepFormats, overhead: Overhead) -> Iterator[Work]:
        """The update alone."""
        yield from update(network)
