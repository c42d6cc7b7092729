"""What the published speedups consist of, by arithmetic on Table 3 alone: fewer epochs, or faster ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from perfmodel.reproduce.published import Row, table3
from perfmodel.reproduce.schedules import break_even_quantised, fitting, implied_overhead


@dataclass(frozen=True, slots=True)
class Decomposition:
    """One network with `quantised` epochs before `fp32_epochs` in FP32; `inferred` says how the first is known.

    The published speedup is `epoch_factor` x `equal_epoch_speedup`; `quantised_epoch_s` is the mean time of a quantised
    MuPPET epoch, `conversions_s` what quantising adds to an iteration, and only with more than `break_even` quantised
    epochs would a quantised epoch be faster than one in FP32.
    """

    row: Row
    quantised: int
    fp32_epochs: int
    inferred: str
    epoch_factor: float
    equal_epoch_speedup: float
    quantised_epoch_s: float
    conversions_s: float
    break_even: float


def decompose(row: Row, quantised: int, fp32_epochs: int, inferred: str) -> Decomposition:
    """The figures of one network at one schedule.

    >>> found = decompose(table3().rows[0], 69, 44, "")
    >>> round(found.epoch_factor, 2), round(found.quantised_epoch_s / 60, 2)
    (1.33, 13.05)
    """
    factor = row.baseline_epochs / (quantised + fp32_epochs)
    return Decomposition(
        row, quantised, fp32_epochs, inferred, factor, row.fp32 / row.muppet / factor,
        (row.muppet - fp32_epochs * row.epoch("fp32")) / quantised,
        implied_overhead(row, quantised) / table3().iterations,
        break_even_quantised(row, fp32_epochs),
    )  # fmt: skip


def decompositions(row: Row, rhos: tuple[float, float]) -> Iterator[Decomposition]:
    """One for each inferred schedule; then, for each length of the FP32 stage, both ends of what fits the limit.

    `rhos` are the ends of the ratio of 8-bit to 16-bit time at which a schedule may reproduce the published limit.
    """
    for quantised in row.known.quantised:
        for n32 in row.known.fp32:
            yield decompose(row, quantised, n32, "inferred")
    for n32 in row.known.fp32:
        totals = fitting(row, n32, *rhos)
        ends = [(totals[0], "least that fits"), (totals[-1], "most that fits")] if len(totals) > 1 else []
        ends = ends or [(quantised, "all that fits") for quantised in totals]
        for quantised, end in ends:
            yield decompose(row, quantised, n32, end)
