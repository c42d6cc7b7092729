"""Number formats, by the names that traces, devices and schemes use."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from perfmodel.errors import unknown_name


@dataclass(frozen=True, slots=True)
class Format:
    """How one element is stored.

    `family` is `float`, `int`, `dfx` (dynamic fixed point: n-bit integers and one power-of-two scale for
    the tensor, MuPPET section 3.2.1), `bfp` (n-bit mantissas, sign included, and one exponent for each tile of the
    tensor: HBFP, Drumond et al., NeurIPS 2018) or `mx` (a shared scale for each small block, OCP MX v1.0).
    `align_k` is how many elements of a GEMM's k dimension its fastest CUTLASS kernels read at a
    time, 16 bytes of them (CUTLASS documentation, functionality.md); SIMT FP32 needs none.
    """

    name: str
    bits: int
    family: str
    align_k: int = 1

    @property
    def bytes(self) -> float:
        """Bytes of one element, packed."""
        return self.bits / 8

    @property
    def stored_bytes(self) -> float:
        """Bytes of one element as memory-bound kernels read and write it: 1, 2, 4 or 8, nothing packed.

        >>> FORMATS["dfx12"].stored_bytes, FORMATS["int4"].stored_bytes
        (2.0, 1.0)
        """
        return _whole_bytes(self.bits)

    @property
    def is_code(self) -> bool:
        """Whether a tensor must be quantised into it: integers with a scale, and floats of 8 bits and fewer."""
        return self.family != "float" or self.bits <= 8

    @property
    def reads_along_k(self) -> bool:
        """Whether tensor cores read a GEMM's operands of this format along k alone: those of 8 bits and fewer."""
        return self.bits <= 8


@cache
def _whole_bytes(bits: int) -> float:
    return float(next(size for size in (1, 2, 4, 8) if 8 * size >= bits))


FORMATS: dict[str, Format] = {
    f.name: f
    for f in (
        Format("fp64", 64, "float"),
        Format("fp32", 32, "float"),
        Format("tf32", 32, "float", 4),
        Format("bf16", 16, "float", 8),
        Format("fp16", 16, "float", 8),
        Format("fp8_e4m3", 8, "float", 16),
        Format("fp8_e5m2", 8, "float", 16),
        Format("int32", 32, "int"),
        Format("int8", 8, "int", 16),
        Format("int4", 4, "int", 32),
        # What training is emulated in, such as CPT's 3 to 8 bits: no GPU has units for these widths.
        *(Format(f"int{bits}", bits, "int") for bits in range(1, 17) if bits not in (4, 8)),
        *(Format(f"dfx{bits}", bits, "dfx") for bits in range(2, 17)),
        *(Format(f"bfp{bits}", bits, "bfp") for bits in range(4, 17)),
        Format("mxfp8", 8, "mx"),
        Format("mxfp6", 6, "mx"),
        Format("mxfp4", 4, "mx"),
        Format("nvfp4", 4, "mx"),
    )
}


def find_format(name: str) -> Format:
    """The format of this name; `UnknownName` (E1004) with the nearest names otherwise."""
    try:
        return FORMATS[name]
    except (KeyError, TypeError):
        raise unknown_name("E1004", "format", name, FORMATS) from None
