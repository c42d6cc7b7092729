"""Quantities as people read them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import isnan, nan

from perfmodel.units import hours_minutes

HOUR, MINUTE = 3600.0, 60.0


def duration(seconds: float) -> str:
    """Hours:minutes from an hour on, as Table 3 has them; below, minutes or seconds. Always with the unit.

    >>> duration(108780), duration(398.4), duration(12.34)
    ('30:13 h', '6 min 38 s', '12.3 s')
    """
    if seconds >= HOUR - 30:
        return f"{hours_minutes(seconds)} h"
    if seconds >= MINUTE - 0.05:  # below, three digits read at most 59.9
        whole = round(seconds)
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{seconds:.3g} s"


def ratio(value: float) -> str:
    """A speedup with two decimals.

    >>> ratio(1.2661)
    '1.27x'
    """
    return f"{value:.2f}x"


def percent(share: float) -> str:
    """A share in percent.

    >>> percent(0.1234)
    '12.3 %'
    """
    return f"{share * 100:.1f} %"


def signed_percent(share: float) -> str:
    """A relative difference in percent, with its sign.

    >>> signed_percent(-0.446), signed_percent(0.0)
    ('-44.6 %', '+0.0 %')
    """
    return f"{share * 100 + 0.0:+.1f} %"


def milliseconds(seconds: float) -> str:
    """Milliseconds with three significant digits, no unit.

    >>> milliseconds(0.0012345), milliseconds(0.1449)
    ('1.23', '145')
    """
    value = seconds * 1e3
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def span(show: Callable[[float], str], low: float, high: float) -> str:
    """One value, or a range where its ends read differently.

    >>> span(ratio, 1.2, 1.3), span(ratio, 1.201, 1.202)
    ('1.20x … 1.30x', '1.20x')
    """
    ends = show(low), show(high)
    return ends[0] if ends[0] == ends[1] else " … ".join(ends)


def widest(ends: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """The least and the greatest of several intervals' ends; NaN where one is not known."""
    low, high = zip(*ends, strict=True)
    return (nan, nan) if any(map(isnan, low)) else (min(low), max(high))


def interval(show: Callable[[float], str], low: float, high: float) -> str | None:
    """Both ends of an interval; None where it is not known.

    >>> interval(ratio, 1.201, 1.202), interval(ratio, float("nan"), float("nan"))
    ('1.20x … 1.20x', None)
    """
    return None if isnan(low) else f"{show(low)} … {show(high)}"
