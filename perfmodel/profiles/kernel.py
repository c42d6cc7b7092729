"""What a timing belongs to: a problem (a GEMM, or a kernel that only moves bytes) and the variant that computed it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from perfmodel.convolution import SIZES, Convolution
from perfmodel.errors import InputError, PerfModelError, quote
from perfmodel.formats import find_format
from perfmodel.gemm import LAYOUTS, OUTPUTS, Gemm, Precision
from perfmodel.lowering import PASSES, MemoryOp

LARGEST_SIZE = 10**15  # of m, n, k, batch and stored elements
LARGEST_BYTES = 1e18
LARGEST_SHAPE = 20  # numbers of a stream's shape
GEMM_KEYS = (
    "op", "m", "n", "k", "batch", "operand", "accumulator", "output", "a_distinct", "b_distinct", "layout", "conv",
    "variant",
)  # fmt: skip
STREAM_KEYS = ("op", "bytes_read", "bytes_written", "kind", "shape", "variant")
USUAL_LAYOUT, USUAL_STREAM = "tn", "stream"
VENDOR = "cublas"  # the variant that is the vendor's library: what others are compared with


@dataclass(frozen=True, slots=True)
class Kernel:
    """A problem and how it was computed; `variant` is empty where the device was free to choose.

    Timings of one problem compete: the fastest variant is the problem's time. The vendor's library (`VENDOR`) does not.
    """

    problem: Gemm | MemoryOp
    variant: str = ""

    @property
    def view(self) -> str:
        """`gemm`: operands stored as they are read; `implicit`: a convolution in implicit form; `stream`: bytes."""
        if isinstance(self.problem, MemoryOp):
            return "stream"
        stored = (self.problem.a_distinct, self.problem.b_distinct, self.problem.conv)
        return "gemm" if stored == (None, None, None) else "implicit"

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
            shape = " " + "x".join(map(str, p.shape)) if p.shape else ""
            name = f"{p.op}{shape} {_amount(p.bytes_read)} B in, {_amount(p.bytes_written)} B out"
        else:
            batch = f"{p.batch}x" if p.batch > 1 else ""
            operand, output = p.precision.operand.name, p.precision.output.name
            written = "" if output == OUTPUTS.get(operand, operand) else f"->{output}"
            stored = "".join(
                f" {x}={size}" for x, size in (("a", p.a_distinct), ("b", p.b_distinct)) if size is not None
            )
            layout = f" {p.layout}" if p.layout != USUAL_LAYOUT else ""
            if p.conv:  # what is stored follows from it
                stored = f" {p.conv.text}"
            name = f"{self.view} {batch}{p.m}x{p.n}x{p.k} {p.precision.name}{written}{stored}{layout}"
        return f"{name} {self.variant}" if self.variant else name

    def to_json(self) -> dict:
        """The kernel as a JSON object; `from_json` reads it back."""
        p = self.problem
        if isinstance(p, MemoryOp):
            row = {"op": "stream", "bytes_read": p.bytes_read, "bytes_written": p.bytes_written}
            row |= ({"kind": p.op} if p.op != USUAL_STREAM else {}) | ({"shape": [*p.shape]} if p.shape else {})
        else:
            row = {
                "op": "gemm", "m": p.m, "n": p.n, "k": p.k, "batch": p.batch,
                "operand": p.precision.operand.name, "accumulator": p.precision.accumulator.name,
                "output": p.precision.output.name,
            }  # fmt: skip
            row |= {key: getattr(p, key) for key in ("a_distinct", "b_distinct") if getattr(p, key) is not None}
            row |= {"layout": p.layout} if p.layout != USUAL_LAYOUT else {}
            row |= {"conv": {"pass": p.conv.pass_, "sizes": [*p.conv.numbers]}} if p.conv else {}
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
    kind, shape = row.get("kind", USUAL_STREAM), row.get("shape", [])
    if not isinstance(kind, str) or not re.fullmatch(r"[a-z0-9_]{1,40}", kind):
        raise _wrong(place, f"kind is {quote(kind)}, not the name of a kernel.")
    if not isinstance(shape, list) or len(shape) > LARGEST_SHAPE or not all(_is_size(size) for size in shape):
        raise _wrong(place, f"shape is {quote(shape)}, not a list of sizes.")
    return MemoryOp(float(sizes[0]), float(sizes[1]), kind, tuple(shape))


def _is_size(value: object) -> bool:
    return type(value) is int and 0 <= value <= LARGEST_SIZE


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
    layout = row.get("layout", USUAL_LAYOUT)
    if layout not in LAYOUTS:
        raise _wrong(place, f"layout is {quote(layout)}, not one of {', '.join(LAYOUTS)}.")
    return Gemm(
        row["m"], row["n"], row["k"], row.get("batch", 1), Precision(*formats), row.get("a_distinct"),
        row.get("b_distinct"), layout,
        _conv(row.get("conv"), place),
    )  # fmt: skip


def _conv(value: object, place: str) -> Convolution | None:
    """The convolution of a record; None where it is none."""
    if value is None:
        return None
    if isinstance(value, dict) and sorted(value) == ["pass", "sizes"] and value["pass"] in PASSES:
        sizes = value["sizes"]
        if isinstance(sizes, list) and len(sizes) == SIZES and all(map(_is_size, sizes)) and min(sizes[:9]) >= 1:
            return Convolution.of_numbers(value["pass"], tuple(sizes))
    raise _wrong(place, f"conv is {quote(value)}, not the sizes of a convolution.")


def _wrong(place: str, found: str) -> InputError:
    return InputError.at("E2106", place, found, "The record was not written by this version, or was edited.")
