"""How far estimates may be off: kernel by kernel, and carried through sums and ratios."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp, expm1, hypot, isnan, nan

import numpy as np

Width = tuple[float, float, str]  # shared, own and source of one kernel
UNKNOWN: Width = (nan, nan, "")
EXACT: Width = (0.0, 0.0, "")  # what was given needs no interval
AT_90 = 1.645  # deviations of a normal error that nine in ten lie within
WIDEST = 300.0  # of a half-width: its exponential is finite, and nothing is known long before


@dataclass(frozen=True, slots=True)
class Spreads:
    """Half-widths of the 90 % intervals of many kernels, in natural log of seconds; NaN where not known.

    `shared` is the part that moves together with all kernels of the same `source` (one text for all, or one each),
    `own` that of each kernel alone; the whole is the root of the sum of their squares.
    """

    shared: np.ndarray
    own: np.ndarray
    source: str | Sequence[str]

    @classmethod
    def of(cls, widths: Sequence[Width]) -> Spreads:
        """The arrays of single widths."""
        shared, own = (np.array([width[i] for width in widths], dtype=np.float64) for i in (0, 1))
        return cls(shared, own, [width[2] for width in widths])

    @property
    def half_widths(self) -> np.ndarray:
        """Of the whole interval: from seconds · exp(-it) to seconds · exp(it)."""
        return np.hypot(self.shared, self.own)

    def rows(self) -> Iterator[Width]:
        """Shared and own half-width and source of each kernel, in order."""
        sources = [self.source] * len(self.shared) if isinstance(self.source, str) else self.source
        return zip(self.shared.tolist(), self.own.tolist(), sources, strict=True)


@dataclass(frozen=True, slots=True)
class Spread:
    """How far one sum of kernels may be off: half-widths in seconds by what they come from.

    What comes from one source, or from one kernel launched many times, moves together and adds up; different sources
    and kernels are taken to be independent. The sum of kernels with log-normal errors is itself about log-normal
    (Fenton, IRE Transactions on Communications Systems 8(1), 1960), of mean seconds + `excess`: kernels that may take
    much longer and only a little less pull their sum up.

    >>> clock = Spread({"gemm fp32": 3.0}, {})
    >>> (clock + clock).half_width, (clock + Spread({}, {"conv1": 4.0})).half_width
    (6.0, 5.0)
    """

    sources: Mapping[str, float]
    kernels: Mapping[Hashable, float]
    excess: float = 0.0

    @classmethod
    def of(cls, kernels: Iterable[Hashable], seconds: Sequence[float], widths: Iterable[Width]) -> Spread:
        """That of the sum of kernels which take `seconds` each, all their launches together."""
        sources, of_one, excess = {}, {}, 0.0
        kernels = list(kernels)  # kept, so that no two have one `id`
        for kernel, taken, (shared, alone, source) in zip(kernels, seconds, widths, strict=True):
            sources[source] = sources.get(source, 0.0) + taken * shared
            of_one[id(kernel)] = of_one.get(id(kernel), 0.0) + taken * alone
            excess += taken * expm1(min((shared**2 + alone**2) / AT_90**2 / 2, WIDEST))
        own: dict[Hashable, float] = {}
        for kernel in {id(kernel): kernel for kernel in kernels}.values():
            own[kernel] = own.get(kernel, 0.0) + of_one[id(kernel)]
        return cls(sources, own, excess)

    def __add__(self, other: Spread) -> Spread:
        parts = _sum(self.sources, other.sources), _sum(self.kernels, other.kernels)
        return Spread(*parts, self.excess + other.excess)

    def __mul__(self, times: float) -> Spread:
        sources, kernels = ({key: times * one for key, one in part.items()} for part in (self.sources, self.kernels))
        return Spread(sources, kernels, self.excess * times)

    __rmul__ = __mul__

    @property
    def half_width(self) -> float:
        """Of the sum [s]; NaN where that of any part is not known."""
        return hypot(*self.sources.values(), *self.kernels.values())

    def interval(self, seconds: float) -> tuple[float, float]:
        """The 90 % interval of a sum that takes `seconds`; it holds that number, too."""
        return _interval(seconds, self.half_width, self.excess)


EVERYTHING_KNOWN = Spread({}, {})


def sum_intervals(parts: Sequence[Spread], seconds: Sequence[float], counts: np.ndarray) -> np.ndarray:
    """The 90 % intervals [n, 2] of n sums, each of so many (`counts` [n, parts]) of these parts of `seconds` each.

    What `Spread.interval` has of each sum, for many at once; parts of which a sum has none are left out. Half its width
    is the root of a quadratic form of its counts, since what comes from one source or kernel adds up over all parts.
    """
    each = [{**one.sources, **{("", kernel): width for kernel, width in one.kernels.items()}} for one in parts]
    keys = {key: place for place, key in enumerate(dict.fromkeys(key for one in each for key in one))}
    widths = np.zeros((len(parts), len(keys)))
    for row, one in zip(widths, each, strict=True):
        row[[keys[key] for key in one]] = list(one.values())
    unknown = np.isnan(widths).any(axis=1)
    widths[unknown] = 0.0
    halves = np.sqrt(((counts @ (widths @ widths.T)) * counts).sum(axis=1))
    halves[counts[:, unknown].any(axis=1)] = nan
    totals, excess = counts @ np.array(seconds), counts @ np.where(unknown, 0.0, [one.excess for one in parts])
    with np.errstate(invalid="ignore", divide="ignore"):  # what takes no time has no interval
        relative = halves / totals
    middles = (totals + excess) * np.exp(-np.minimum(np.minimum(relative / AT_90, WIDEST) ** 2 / 2, WIDEST))
    factors = np.exp(np.minimum(relative, WIDEST))
    return np.column_stack([np.minimum(totals, middles / factors), np.maximum(totals, middles * factors)])


def ratio_interval(above_s: float, above: Spread, below_s: float, below: Spread) -> tuple[float, float]:
    """The 90 % interval of above / below: what moves both alike cancels.

    >>> one = Spread({"clock": 1.0}, {"conv1": 3.0})
    >>> ratio_interval(10.0, one, 10.0, one)
    (1.0, 1.0)
    """
    if not (above_s and below_s):
        return nan, nan
    apart = above * (1 / above_s) + below * (-1 / below_s)
    middle = _middle(above_s, above.half_width, above.excess) / _middle(below_s, below.half_width, below.excess)
    return _holding(above_s / below_s, around(middle, apart.half_width))


def around(value: float, half_width: float) -> tuple[float, float]:
    """From value / exp(half-width) to value · exp(half-width); NaN where the half-width is."""
    if isnan(half_width):
        return nan, nan
    half_width = min(half_width, WIDEST)
    return value * exp(-half_width), value * exp(half_width)


def _interval(seconds: float, half_width: float, excess: float) -> tuple[float, float]:
    if not seconds:
        return nan, nan
    return _holding(seconds, around(_middle(seconds, half_width, excess), half_width / seconds))


def _middle(seconds: float, half_width: float, excess: float) -> float:
    """The median of what a sum of `seconds` may turn out to be."""
    deviation = min(half_width / seconds / AT_90, WIDEST)
    return (seconds + excess) * exp(-min(deviation**2 / 2, WIDEST))


def _holding(value: float, ends: tuple[float, float]) -> tuple[float, float]:
    low, high = ends
    return (nan, nan) if isnan(low) else (min(low, value), max(high, value))


def _sum(one: Mapping, other: Mapping) -> dict:
    found = dict(one)
    for key, value in other.items():
        found[key] = found.get(key, 0.0) + value
    return found
