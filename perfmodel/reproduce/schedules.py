"""Which precision schedules Table 3 allows: one equation for each network, and the policy's rule.

With N = n8 + n16 quantised epochs (12, 14 and 16 bits all take t16 in the model), then n32 in FP32, F and M the FP32
and mixed-precision columns over 150 epochs, ρ = t8 / t16 of a whole epoch and t16 = M / 150,

    limit  = n8·ρ·t16 + n16·t16 + n32·F / 150
    MuPPET = limit + N·o

so n8 = (N·t16 − R) / (t16·(1 − ρ)) with R = limit − n32·F / 150. The reference's policy decides every 3 epochs and
stays at least 9 on each precision: N is a multiple of 3, n8 ≥ 9, n16 ≥ 27; and the run is no longer than the
baseline's 150.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from perfmodel.reproduce.published import Row

RESOLUTION = 3  # epochs between decisions
DWELL = 9  # least epochs on one precision
FEWEST_8, FEWEST_16 = DWELL, 3 * DWELL  # on 8 bits; on 12, 14 and 16 together


@dataclass(frozen=True, slots=True, order=True)
class Schedule:
    """Epochs at 8 bits, at 12 to 16 bits, and in FP32."""

    n8: float
    n16: float
    n32: int

    @property
    def quantised(self) -> float:
        """N."""
        return self.n8 + self.n16

    def seconds(self, t8: float, t16: float, t32: float) -> float:
        """Time of the run when an epoch at each precision takes so long."""
        return self.n8 * t8 + self.n16 * t16 + self.n32 * t32


def solve_n8(quantised: float, t16: float, rest: float, rho: float) -> float:
    """The 8-bit epochs that make N quantised epochs take `rest` = R: n8 = (N·t16 − R) / (t16·(1 − ρ)).

    The oracle of AlexNet, in minutes: N = 69, n32 = 44, ρ = 0.6.

    >>> round(solve_n8(69, 1760 / 150, 1225 - 44 * 1813 / 150, 0.6), 1)
    24.8
    """
    return (quantised * t16 - rest) / (t16 * (1 - rho))


def quantised_rest(row: Row, n32: int) -> float:
    """R: what the limit leaves for the quantised epochs [s]."""
    return row.limit - n32 * row.epoch("fp32")


def least_quantised(row: Row, n32: int) -> float:
    """N if 8 bits gained nothing (ρ = 1): no schedule has fewer quantised epochs."""
    return quantised_rest(row, n32) / row.epoch("mixed")


def solutions(row: Row, n32: int, rho: float) -> list[Schedule]:
    """The schedules that reproduce the published limit at this ρ and obey the rule, fewest epochs first."""
    t16, rest = row.epoch("mixed"), quantised_rest(row, n32)
    found = []
    for quantised in range(FEWEST_8 + FEWEST_16, row.baseline_epochs - n32 + 1, RESOLUTION):
        n8 = solve_n8(quantised, t16, rest, rho)
        if n8 >= FEWEST_8 and quantised - n8 >= FEWEST_16:
            found.append(Schedule(n8, quantised - n8, n32))
    return found


def region(row: Row) -> Iterator[Schedule]:
    """Every schedule of whole epochs that the rule and what is known of the row's run allow."""
    for n32 in row.known.fp32:
        most = row.baseline_epochs - n32
        totals = row.known.quantised or range(FEWEST_8 + FEWEST_16, most + 1, RESOLUTION)
        for quantised in totals:
            for n8 in range(FEWEST_8, quantised - FEWEST_16 + 1, RESOLUTION):
                yield Schedule(n8, quantised - n8, n32)


def fitting(row: Row, n32: int, low: float, high: float) -> list[int]:
    """Every N at which some ρ between `low` and `high` (below 1) reproduces the limit under the rule, fewest first.

    n8 rises with ρ where 16 bits alone take longer than the limit allows, so a ρ exists if n8 at `low` is not too
    great and n8 at `high` is not too small.
    """
    t16, rest = row.epoch("mixed"), quantised_rest(row, n32)
    found = []
    for quantised in range(FEWEST_8 + FEWEST_16, row.baseline_epochs - n32 + 1, RESOLUTION):
        least, most = (solve_n8(quantised, t16, rest, rho) for rho in (low, high))
        if quantised * t16 > rest and least <= quantised - FEWEST_16 and most >= FEWEST_8:
            found.append(quantised)
    return found


def implied_overhead(row: Row, quantised: float) -> float:
    """o: seconds that quantising adds to each quantised epoch, (MuPPET − limit) / N.

    >>> from perfmodel.reproduce.published import table3
    >>> round(implied_overhead(table3().rows[0], 69) / 5005 * 1e3)
    36
    """
    return (row.muppet - row.limit) / quantised


def break_even_quantised(row: Row, n32: int) -> float:
    """N above which a MuPPET epoch is faster than an FP32 epoch: (MuPPET − n32·F/150) / (F/150).

    >>> from perfmodel.reproduce.published import table3
    >>> round(break_even_quantised(table3().rows[0], 44), 1)
    74.5
    """
    return row.muppet / row.epoch("fp32") - n32
