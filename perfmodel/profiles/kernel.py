"""What a timing belongs to: a problem (a GEMM, or a kernel that only moves bytes) and the variant that computed it."""

from __future__ import annotations

from dataclasses import dataclass

from perfmodel.errors import InputError, PerfModelError, quote
from perfmodel.formats import find_format
from perfmodel.gemm import OUTPUTS, Gemm, Precision
from perfmodel.lowering import MemoryOp

LARGEST_SIZE = 10**15  # of m, n, k, batch and stored elements
LARGEST_BYTES = 1e18
GEMM_KEYS = ("op", "m", "n", "k", "batch", "operand", "accumulator", "output", "a_distinct", "b_distinct", "variant")
STREAM_KEYS = ("op", "bytes_read", "bytes_written", "variant")


@dataclass(frozen=True, slots=True)
class Kernel:
    """A problem and how it was computed; `variant` is empty where the device was free to choose.

    Timings of one problem compete: the fastest variant is the problem's time.
    """

    problem: Gemm | MemoryOp
    variant: str = ""

    @property
    def view(self) -> str:
        """`gemm`: operands stored as they are read; `implicit`: a convolution in implicit form; `stream`: bytes."""
        if isinstance(self.problem, MemoryOp):
            return "stream"
        return "gemm" if self.problem.a_distinct is None and self.problem.b_distinct is None else "implicit"

    @property
    def flop(self) -> int:
        """Arithmetic of one launch; none for a stream."""
        return self.problem.flop if isinstance(self.problem, Gemm) else 0

    @property
    def bytes(self) -> float:
        """Compulsory traffic of one launch [B]."""
        return self.problem.bytes

    @property
    def text(self) -> str:
        """How messages and tables call it.

        Different kernels never read alike.

        >>> Kernel(Gemm(3, 5, 7)).text, Kernel(MemoryOp(3e6, 1e6)).text
        ('gemm 3x5x7 fp32', 'stream 3000000 B in, 1000000 B out')
        """
        p = self.problem
        if isinstance(p, MemoryOp):
            name = f"stream {_amount(p.bytes_read)} B in, {_amount(p.bytes_written)} B out"
        else:
            batch = f"{p.batch}x" if p.batch > 1 else ""
            operand, output = p.precision.operand.name, p.precision.output.name
            written = "" if output == OUTPUTS.get(operand, operand) else f"->{output}"
            stored = "".join(
                f" {x}={size}" for x, size in (("a", p.a_distinct), ("b", p.b_distinct)) if size is not None
            )
            name = f"{self.view} {batch}{p.m}x{p.n}x{p.k} {p.precision.name}{written}{stored}"
        return f"{name} {self.variant}" if self.variant else name

    def to_json(self) -> dict:
        """The kernel as a JSON object; `from_json` reads it back."""
        p = self.problem
        if isinstance(p, MemoryOp):
            row = {"op": "stream", "bytes_read": p.bytes_read, "bytes_written": p.bytes_written}
        else:
            row = {
                "op": "gemm", "m": p.m, "n": p.n, "k": p.k, "batch": p.batch,
                "operand": p.precision.operand.name, "accumulator": p.precision.accumulator.name,
                "output": p.precision.output.name,
            }  # fmt: skip
            row |= {key: getattr(p, key) for key in ("a_distinct", "b_distinct") if getattr(p, key) is not None}
        return row | ({"variant": self.variant} if self.variant else {})

    @classmethod
    def from_json(cls, row: object, place: str = "kernel:") -> Kernel:
        """The kernel that `to_json` wrote.

        Raises `InputError` (E2106) that names what is missing, unknown or out of range.

        >>> k = Kernel(Gemm(3, 5, 7), "128x64x8")
        >>> Kernel.from_json(k.to_json()) == k
        True
        """
        if not isinstance(row, dict) or row.get("op") not in ("gemm", "stream"):
            raise _wrong(place, f"{quote(row)} is neither a gemm nor a stream.")
        known = GEMM_KEYS if row["op"] == "gemm" else STREAM_KEYS
        if unknown := [key for key in row if key not in known]:
            raise _wrong(place, f"the key {quote(unknown[0])} is not known.")
        variant = row.get("variant", "")
        if not isinstance(variant, str) or len(variant) > 500 or not variant.isprintable():
            raise _wrong(place, f"the variant {quote(variant)} is not a short printable text.")
        return cls(_gemm(row, place) if row["op"] == "gemm" else _stream(row, place), variant)


def _amount(size_bytes: float) -> str:
    """Bytes without a needless `.0`; shares of a byte occur where work is split over launches."""
    return str(int(size_bytes)) if size_bytes == int(size_bytes) else repr(size_bytes)


def _stream(row: dict, place: str) -> MemoryOp:
    sizes = [row.get(key) for key in ("bytes_read", "bytes_written")]
    if not all(type(size) in (int, float) and 0 <= size <= LARGEST_BYTES for size in sizes) or sum(sizes) <= 0:
        raise _wrong(place, f"bytes_read, bytes_written are {quote(sizes)}, not two amounts.")
    return MemoryOp(float(sizes[0]), float(sizes[1]))


def _gemm(row: dict, place: str) -> Gemm:
    for key in ("m", "n", "k", "batch", "a_distinct", "b_distinct"):
        size = row.get(key, 1 if key == "batch" else None)
        if size is None and key.endswith("distinct"):
            continue
        if type(size) is not int or not 1 <= size <= LARGEST_SIZE:
            raise _wrong(place, f"{key} is {quote(size)}, not a whole number from 1 to {LARGEST_SIZE}.")
    formats = []
    for key in ("operand", "accumulator", "output"):
        if not isinstance(row.get(key), str):
            raise _wrong(place, f"{key} is {quote(row.get(key))}, not the name of a format.")
        try:
            formats.append(find_format(row[key]))
        except PerfModelError as error:
            raise _wrong(place, f"{key}: {error.problems[0].found}") from None
    return Gemm(
        row["m"], row["n"], row["k"], row.get("batch", 1), Precision(*formats), row.get("a_distinct"),
        row.get("b_distinct"),
    )  # fmt: skip


def _wrong(place: str, found: str) -> InputError:
    return InputError.at("E2106", place, found, "The record was not written by this version, or was edited.")
