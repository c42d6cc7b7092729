"""The price of kernels: seconds, an interval where one is known, and where the number comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import Protocol

import numpy as np

from perfmodel.cost.spread import EXACT, UNKNOWN, Spreads, Width
from perfmodel.devices import Device
from perfmodel.gemm import Gemm, Precision
from perfmodel.lowering import Delay, MemoryOp

STREAM_BYTES = ("bytes_read", "bytes_written")
BASES = ("measured", "simulated", "calibrated", "analytical", "roofline", "published", "given")


@dataclass(frozen=True, slots=True)
class Estimate:
    """One price. `low` and `high` bound it where an interval is known, else they are NaN.

    Adding merges the bases and adds the interval ends (right when errors move together, wide when they do not).

    >>> Estimate(2.0, "measured", 1.0, 3.0) + Estimate(1.0, "analytical", 1.0, 1.0)
    Estimate(seconds=3.0, basis='measured+analytical', low=2.0, high=4.0)
    """

    seconds: float
    basis: str
    low: float = nan
    high: float = nan

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(
            self.seconds + other.seconds,
            merge_bases(self.basis, other.basis),
            self.low + other.low,
            self.high + other.high,
        )

    def __mul__(self, times: float) -> Estimate:
        return Estimate(self.seconds * times, self.basis, self.low * times, self.high * times)

    __rmul__ = __mul__


def merge_bases(*bases: str) -> str:
    """The distinct bases in the order of `BASES`, joined by `+`.

    >>> merge_bases("roofline", "measured", "roofline")
    'measured+roofline'
    """
    found = {part for basis in bases for part in basis.split("+") if part}
    return "+".join(sorted(found, key=lambda b: BASES.index(b) if b in BASES else len(BASES)))


@dataclass(frozen=True, slots=True)
class Estimates:
    """The prices of many kernels of one kind: arrays of equal length, and a text on each (a GEMM's tile, say).

    `basis` is one text for all of them, or a sequence with one text for each; `spreads` None where it is not known how
    far off they may be.
    """

    seconds: np.ndarray
    basis: str | Sequence[str]
    detail: Sequence[str] | None = None
    spreads: Spreads | None = None

    def rows(self) -> Iterator[tuple[float, str, str, Width]]:
        """Seconds, basis, detail and width of each kernel, in order."""
        count = len(self.seconds)
        bases = [self.basis] * count if isinstance(self.basis, str) else self.basis
        details = [""] * count if self.detail is None else map(str, self.detail)
        widths = [UNKNOWN] * count if self.spreads is None else self.spreads.rows()
        return zip(map(float, self.seconds), bases, details, widths, strict=True)


@dataclass(frozen=True, slots=True)
class Gemms:
    """Many GEMMs of one precision as arrays of equal length.

    `a_fraction` and `b_fraction` say which part of the view m·k and n·k is stored (1 unless the GEMM is a
    convolution in implicit form); `kernels` are the GEMMs that the arrays were made of, where there were any, and say
    their layouts; else `layout` is that of all.
    """

    precision: Precision
    m: np.ndarray
    n: np.ndarray
    k: np.ndarray
    batch: np.ndarray
    a_fraction: np.ndarray = field(default=None)
    b_fraction: np.ndarray = field(default=None)
    kernels: tuple[Gemm, ...] = ()
    layout: str = "tn"

    def __post_init__(self):
        for name in ("a_fraction", "b_fraction"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, np.ones(len(self.m)))

    @classmethod
    def of(cls, gemms: Sequence[Gemm]) -> Gemms:
        """The arrays of `gemms`, which must all have the precision of the first."""
        m, n, k, batch = np.array([(g.m, g.n, g.k, g.batch) for g in gemms], dtype=np.float64).T
        a = np.array([np.inf if g.a_distinct is None else g.a_distinct for g in gemms])
        b = np.array([np.inf if g.b_distinct is None else g.b_distinct for g in gemms])
        a_fraction = np.minimum(1.0, a / (batch * m * k))
        b_fraction = np.minimum(1.0, b / (batch * n * k))
        return cls(gemms[0].precision, m, n, k, batch, a_fraction, b_fraction, tuple(gemms))

    @property
    def along_k(self) -> tuple[np.ndarray, np.ndarray]:
        """Which GEMMs have an A, and which a B, that is contiguous in k.

        >>> a, b = Gemms.of([Gemm(3, 5, 7, layout="tn"), Gemm(3, 5, 7, layout="tt")]).along_k
        >>> a.tolist(), b.tolist()
        ([True, True], [True, False])
        """
        layouts = [gemm.layout for gemm in self.kernels] or [self.layout] * len(self)
        return np.array([one[0] == "t" for one in layouts]), np.array([one[1] == "n" for one in layouts])

    def each(self) -> tuple[Gemm, ...]:
        """The GEMMs one by one: those that the arrays were made of, else made from the arrays.

        >>> one = np.ones(1)
        >>> Gemms(Gemm(3, 5, 7).precision, 3 * one, 5 * one, 7 * one, one).each() == (Gemm(3, 5, 7),)
        True
        """
        if self.kernels:
            return self.kernels
        rows = zip(
            *(array.tolist() for array in (self.m, self.n, self.k, self.batch, self.a_fraction, self.b_fraction)),
            strict=True,
        )
        return tuple(
            Gemm(
                int(m), int(n), int(k), int(batch), self.precision,
                _distinct(a, batch * m * k), _distinct(b, batch * n * k), self.layout,
            )
            for m, n, k, batch, a, b in rows
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.m)


@dataclass(frozen=True, slots=True)
class Streams:
    """Many memory-bound kernels: what they are, and their bytes as arrays of equal length."""

    ops: tuple[MemoryOp, ...]
    bytes_read: np.ndarray
    bytes_written: np.ndarray

    @classmethod
    def of(cls, ops: Sequence[MemoryOp]) -> Streams:
        """The arrays of `ops`."""
        bytes_read, bytes_written = (np.array([getattr(op, name) for op in ops], np.float64) for name in STREAM_BYTES)
        return cls(tuple(ops), bytes_read, bytes_written)

    @property
    def bytes(self) -> np.ndarray:
        """Bytes read and written."""
        return self.bytes_read + self.bytes_written

    def __len__(self) -> int:
        return len(self.ops)


class CostModel(Protocol):
    """Prices kernels of one device, arrays in and arrays out. What it has no price for raises `Unsupported`."""

    device: Device

    def gemms(self, gemms: Gemms) -> Estimates:
        """Seconds of each GEMM, and with which kernel."""
        ...

    def memory(self, streams: Streams) -> Estimates:
        """Seconds of each memory-bound kernel."""
        ...


@dataclass(frozen=True, slots=True)
class Prices:
    """What `price` answers: for each kernel its seconds (one launch), basis, detail and width of its interval."""

    seconds: np.ndarray
    basis: list[str]
    detail: list[str]
    widths: list[Width] | None = None

    def __post_init__(self):
        if self.widths is None:
            object.__setattr__(self, "widths", [UNKNOWN] * len(self.seconds))

    def take(self, rows: Sequence[int]) -> Prices:
        """Some of the kernels."""
        texts = ([one[i] for i in rows] for one in (self.basis, self.detail, self.widths))
        return Prices(self.seconds[list(rows)], *texts)


def price(model: CostModel, kernels: Sequence[Gemm | MemoryOp | Delay]) -> Prices:
    """One price for each kernel; equal kernels are priced once, and those of one precision in one call."""
    groups: dict[object, list] = {}
    same = {id(kernel): kernel for kernel in kernels}  # equal layers share theirs, and comparing them takes longer
    for kernel in dict.fromkeys(same.values()):
        groups.setdefault(_group(kernel), []).append(kernel)
    found: dict[object, tuple[float, str, str, Width]] = {}
    for group in groups.values():
        found.update(zip(group, _estimates(model, group).rows(), strict=True))
    known = {key: found[kernel] for key, kernel in same.items()}
    rows = [known[id(kernel)] for kernel in kernels]
    return Prices(np.array([row[0] for row in rows]), *([row[i] for row in rows] for i in (1, 2, 3)))


def _group(kernel: Gemm | MemoryOp | Delay) -> object:
    """Kernels of one group are priced in one call."""
    if isinstance(kernel, Gemm):
        return kernel.precision
    return kernel.basis if isinstance(kernel, Delay) else MemoryOp


def _estimates(model: CostModel, group: Sequence[Gemm | MemoryOp | Delay]) -> Estimates:
    if isinstance(group[0], Gemm):
        return model.gemms(Gemms.of(group))
    if isinstance(group[0], Delay):
        seconds = np.array([delay.seconds for delay in group])
        return Estimates(seconds, group[0].basis, spreads=Spreads.of([EXACT] * len(group)))
    return model.memory(Streams.of(group))


def _distinct(fraction: float, view: float) -> int | None:
    """Stored elements of an operand; None where the whole view is stored."""
    return round(fraction * view) if fraction < 1 else None
