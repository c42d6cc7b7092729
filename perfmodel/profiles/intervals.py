"""Intervals at 95 % from few values (Student's t, order statistics of the median), and where values part in two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

ORDER_STATISTICS = 9  # values: from here on the ranks are not only the extremes, and one outlier costs nothing
TO_SD = 1.4826  # a normal distribution's standard deviation over its median absolute deviation
NORMAL_975 = 1.959963984540054
STUDENT_975 = (
    12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157, 2.228139,
    2.200985, 2.178813, 2.160369, 2.144787, 2.131450, 2.119905, 2.109816, 2.100922, 2.093024, 2.085963,
    2.079614, 2.073873, 2.068658, 2.063899, 2.059539, 2.055529, 2.051831, 2.048407, 2.045230, 2.042272,
    2.039513, 2.036933, 2.034515, 2.032245, 2.030108, 2.028094, 2.026192, 2.024394, 2.022691,
)  # fmt: skip


def student_t(freedom: int) -> float:
    """The 0.975 quantile of Student's t with `freedom` degrees of freedom.

    Up to 39 from a table, beyond by Fisher's expansion about the normal quantile (Abramowitz and Stegun 26.7.5, three
    terms), which is within 1e-6. Raises `ValueError` below 1.

    >>> student_t(5), round(student_t(60), 5)
    (2.570582, 2.0003)
    """
    if freedom < 1:
        raise ValueError(f"{freedom} degrees of freedom")
    if freedom <= len(STUDENT_975):
        return STUDENT_975[freedom - 1]
    z = NORMAL_975
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + (first + (second + third / freedom) / freedom) / freedom


@lru_cache(maxsize=16384)
def median_ranks(count: int) -> tuple[int, int] | None:
    """The ranks, from 1, of the values that enclose the median of any continuous distribution with 95 % or more.

    The innermost symmetric pair: its coverage is binomial, and computed in whole numbers. None below six values, where
    not even the extremes reach 95 %.

    >>> median_ranks(5), median_ranks(6), median_ranks(20)
    (None, (1, 6), (6, 15))
    """
    if count < 1:
        return None
    rank, term, below = (
        0,
        1,
        1,
    )  # below: of the 2**count equally likely cases, those with at most `rank` under the median
    while 40 * below <= 2**count:  # both tails together hold at most 1/20
        rank += 1
        term = term * (count - rank + 1) // rank
        below += term
    return (rank, count - rank + 1) if rank else None


def median(ordered: Sequence[float]) -> float:
    """The median of values in ascending order; the mean of the middle two where their number is even."""
    half = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[half]
    middle = (ordered[half - 1] + ordered[half]) / 2
    return middle if math.isfinite(middle) else ordered[half - 1] / 2 + ordered[half] / 2  # the sum overflowed


def reach(offsets: Sequence[float]) -> tuple[float, float]:
    """How far the interval goes below and above the point estimate: both zero or more, on the scale of `offsets`.

    `offsets` are the values less the point estimate, in ascending order, two or more. Below nine values Student's t
    about their mean, else the order statistics of the median. Neither side is negative: the interval holds its point.
    """
    count = len(offsets)
    if count < ORDER_STATISTICS:
        mean = math.fsum(offsets) / count
        half = student_t(count - 1) * deviation(offsets) / math.sqrt(count)
        low, high = mean - half, mean + half
    else:
        first, last = median_ranks(count)
        low, high = offsets[first - 1], offsets[last - 1]
    return max(-low, 0.0), max(high, 0.0)


def deviation(values: Sequence[float]) -> float:
    """The standard deviation that values show (n - 1 in the denominator); nan for fewer than two."""
    count = len(values)
    if count < 2:
        return math.nan
    mean = math.fsum(values) / count
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))


def part(ordered: Sequence[float]) -> tuple[Sequence[float], Sequence[float]] | None:
    """Two or more values in ascending order, parted at the widest gap with a fifth of them or more on either side.

    None where that gap is not wider than three times the interquartile ranges of both sides together. The range of all
    values is no yardstick: with two modes it spans the gap. Of sets of log-normal values with one mode, 2 % part with
    eight values, 1 % with ten, 0.1 % with twelve; of sets with two modes twelve deviations apart, nine out of ten do
    with eight to fifteen values, three out of four with forty.
    """
    least = -(-len(ordered) // 5)
    cuts = range(least, len(ordered) - least + 1)
    cut = max(cuts, key=lambda i: ordered[i] - ordered[i - 1])
    low, high = ordered[:cut], ordered[cut:]
    return (low, high) if high[0] - low[-1] > 3 * (_quartile_range(low) + _quartile_range(high)) else None


def _quartile_range(ordered: Sequence[float]) -> float:
    last = len(ordered) - 1
    return _between(ordered, 0.75 * last) - _between(ordered, 0.25 * last)


def _between(ordered: Sequence[float], position: float) -> float:
    i = min(int(position), max(len(ordered) - 2, 0))
    return ordered[i] + (position - i) * (ordered[min(i + 1, len(ordered) - 1)] - ordered[i])
