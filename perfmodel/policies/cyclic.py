"""CPT's cyclic precision: how many bits each iteration has, and what its arithmetic costs relative to FP32.

b(t) = rint(low + ½ (high - low) (1 + cos(π (t mod T)/T + π))) with T = int(iterations / cycles): within each cycle
the bits rise along half a cosine, and drop back at its end. Fu et al., CPT: Efficient Deep Neural Network Training
via Cyclic Precision, ICLR 2021; its code, train.py. Ties go to even bits and are decided exactly, not by the last bit
of a cosine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from perfmodel.errors import InputError
from perfmodel.traces import values

MOST_BITS, MOST_CYCLES, MOST_ITERATIONS = 32, 10**6, 10**12
FP32_BITS = 32
# (numerator, denominator) of t/T and how far between low and high b then is: nowhere else can b be a half exactly,
# as no other rational multiple of π has a rational cosine (Niven's theorem).
RATIONAL = ((0, 1, Fraction(0)), (1, 3, Fraction(1, 4)), (1, 2, Fraction(1, 2)), (2, 3, Fraction(3, 4)))


@dataclass(frozen=True, slots=True)
class Cycle:
    """A cyclic schedule from `low` to `high` bits, repeated `cycles` times.

    Its methods take how many iterations the run has in `total`; where `cycles` does not divide that, the rest is the
    beginning of one cycle more, as in CPT's code. Raises `InputError`: E1306 wrong kind, E1307 out of range, E1501
    for a `low` above `high` or fewer iterations than cycles.

    >>> Cycle(3, 8).counts(64_000)
    {3: 13120, 4: 10528, 5: 8352, 6: 8384, 7: 10528, 8: 13088}
    """

    low: int
    high: int
    cycles: int = 32

    def __post_init__(self):
        for key, most in (("low", MOST_BITS), ("high", MOST_BITS), ("cycles", MOST_CYCLES)):
            object.__setattr__(self, key, values.whole(key, getattr(self, key), 1, most))
        if self.low > self.high:
            raise InputError.at("E1501", "low:", f"{self.low} bits are more than high, {self.high}.", "Swap them.")

    def length(self, total: int) -> int:
        """Iterations of one cycle."""
        total = values.whole("total", total, 1, MOST_ITERATIONS)
        if total < self.cycles:
            found = f"{total} iterations cannot hold {self.cycles} cycles."
            raise InputError.at("E1501", "total:", found, "Take fewer cycles.")
        return total // self.cycles

    def bits(self, total: int, step: np.ndarray | int) -> np.ndarray | int:
        """Bits of iterations `step` (from 0): an array of int64 for an array, a number for a number."""
        length = self.length(total)
        steps = np.asarray(step, dtype=np.int64)
        at = steps % length
        turn = np.cos(np.pi * (at / length) + np.pi)
        found = np.rint(self.low + 0.5 * (self.high - self.low) * (1 + turn)).astype(np.int64)
        for numerator, denominator, part in RATIONAL:
            exact = round(self.low + (self.high - self.low) * part)
            found = np.where(at * denominator == numerator * length, exact, found)
        return int(found) if steps.ndim == 0 else found

    def counts(self, total: int) -> dict[int, int]:
        """How many of `total` iterations each number of bits has, fewest bits first; what none has is left out.

        Bits never fall within a cycle, so the first iteration of each is found by bisection.
        """
        length = self.length(total)
        whole, rest = divmod(total, length)
        begins = [_first(length, lambda step, b=b: self.bits(total, step) >= b) for b in range(self.low, self.high + 1)]
        ends = [*begins[1:], length]
        found = {}
        for i, (begin, end) in enumerate(zip(begins, ends, strict=True)):
            count = whole * (end - begin) + max(0, min(end, rest) - begin)
            found |= {self.low + i: count} if count else {}
        return found

    def shares(self, total: int) -> dict[int, float]:
        """The same as shares of all iterations."""
        return {bits: count / total for bits, count in self.counts(total).items()}

    def mean_cost(self, total: int, backward: int | None = None) -> float:
        """`relative_cost` averaged over all iterations; `backward` bits are `high` where not given."""
        backward = self.high if backward is None else backward
        cost = sum(count * relative_cost(bits, backward) for bits, count in self.counts(total).items())
        return cost / total

    def saving(self, total: int, backward: int | None = None) -> float:
        """Share of the arithmetic that is saved against `high` bits throughout."""
        backward = self.high if backward is None else backward
        return 1 - self.mean_cost(total, backward) / relative_cost(self.high, backward)


def relative_cost(bits: np.ndarray | int, backward: np.ndarray | int) -> np.ndarray | float:
    """Bit operations of an iteration relative to FP32: (b² + 2 b g)/(3 · 32²), forward bits b, backward bits g.

    One of three GEMMs multiplies b by b bits, two b by g. It stands for all layers; no exceptions are counted.

    >>> relative_cost(8, 8)
    0.0625
    """
    return (bits * bits + 2 * bits * backward) / (3 * FP32_BITS**2)


def _first(length: int, reached: Callable[[int], bool]) -> int:
    """The first of `length` steps at which `reached` holds, which it does ever after; `length` where at none."""
    low, high = 0, length
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle + 1, high)
    return low
