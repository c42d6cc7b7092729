"""Quantities as people read them, with no more digits than their interval supports.

A `resolution` is the largest step that still says all that is known; 0 leaves a quantity its usual digits. Nothing gets
more than those. Rule: JCGM 100:2008 (GUM), 7.2.6: an uncertainty has two digits at most, its value ends at the same
place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import isnan, nan

from perfmodel.units import hours_minutes

HOUR, MINUTE = 3600.0, 60.0
STEPS = (1.0, 5.0, 10.0, 30.0, MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE)  # and 1, 5, 10, 50 … h
WIDE = 10.0  # the quotient of an interval's ends beyond which its numbers say nothing
NOT_KNOWN = "not known to a factor of 10"


def duration(seconds: float, resolution: float = 0.0) -> str:
    """Hours:minutes from an hour on, as Table 3 has them; below, minutes or seconds. Always with the unit.

    >>> duration(108780), duration(398.4), duration(12.34)
    ('30:13 h', '6 min 38 s', '12.3 s')
    >>> duration(108780, 2000), duration(398.4, 90), duration(12.34, 1)
    ('30:00 h', '7 min', '12 s')
    """
    if seconds < MINUTE - 0.05:  # three digits read at most 59.9
        return f"{_digits(seconds, resolution)} s"
    step = max(_step(resolution), MINUTE if seconds >= HOUR - 30 else 1.0)
    if resolution:  # else rounded below alone
        seconds = round(seconds / step) * step
    if seconds >= HOUR - 30:
        return f"{hours_minutes(seconds)} h"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min" + (f" {rest:02d} s" if step < MINUTE else "")


def ratio(value: float, resolution: float = 0.0) -> str:
    """A speedup with two decimals at most.

    >>> ratio(1.2661), ratio(12.661, 0.5)
    ('1.27x', '12.7x')
    """
    return f"{_fixed(value, max(-2, _exponent(resolution)))}x"


def percent(share: float) -> str:
    """A share in percent.

    >>> percent(0.1234)
    '12.3 %'
    """
    return f"{share * 100:.1f} %"


def signed_milliseconds(seconds: float) -> str:
    """Milliseconds with a sign.

    >>> signed_milliseconds(0.00123), signed_milliseconds(-0.5), signed_milliseconds(0.0)
    ('+1.23', '-500', '0')
    """
    return f"{'+' if seconds > 0 else '-' if seconds < 0 else ''}{milliseconds(abs(seconds))}"


def signed_percent(share: float) -> str:
    """A relative difference in percent, with its sign.

    >>> signed_percent(-0.446), signed_percent(0.0)
    ('-44.6 %', '+0.0 %')
    """
    return f"{share * 100 + 0.0:+.1f} %"


def milliseconds(seconds: float, resolution: float = 0.0) -> str:
    """Milliseconds with three significant digits at most, no unit.

    >>> milliseconds(0.0012345), milliseconds(0.1449), milliseconds(0.1449, 0.02)
    ('1.23', '145', '140')
    """
    value = seconds * 1e3
    if value >= 100:
        return _fixed(value, max(0, _exponent(resolution * 1e3)))
    return _digits(value, resolution * 1e3)


def supported(show: Callable[..., str], low: float, high: float) -> Callable[[float], str]:
    """How a value with this interval, and the interval's ends, are shown: to the second digit of half the width.

    As `show` has it where the interval is not known or has no width; one digit, or two that begin with 1, where the
    interval is wider than a factor of 10.

    >>> about = supported(milliseconds, 0.232, 0.447)
    >>> about(0.232), about(0.308), about(0.447)
    ('230', '310', '450')
    """
    if isnan(low) or low == high:
        return show
    if not _narrow(low, high):
        return lambda value: show(value, value / 2)
    return lambda value: show(value, (high - low) / 20)


def rounded_interval(show: Callable[..., str], low: float, high: float) -> str | None:
    """Both ends of an interval with the digits that it supports; None where it is not known.

    >>> rounded_interval(ratio, 8.1234, 13.9), rounded_interval(ratio, 1, 40)
    ('8.1x … 13.9x', 'not known to a factor of 10')
    """
    return NOT_KNOWN if high > low and not _narrow(low, high) else interval(supported(show, low, high), low, high)


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


def _narrow(low: float, high: float) -> bool:
    return low > 0 and high <= WIDE * low


def _exponent(value: float) -> int:
    """The power of ten of a number's first digit, after rounding to two; far below all others for 0."""
    return int(f"{value:.1e}".partition("e")[2]) if value else -400


def _digits(value: float, resolution: float) -> str:
    """Three significant digits, or those that a resolution above 0 supports."""
    if not resolution or not value:
        return f"{value:.3g}"
    first = int(f"{value:.2e}".partition("e")[2])
    place = max(first - 2, _exponent(resolution))
    return f"{value:.{max(first - place, 0)}e}" if place < -6 else _fixed(value, place)


def _fixed(value: float, place: int) -> str:
    """Decimals down to 10 to the power of `place`.

    >>> _fixed(12.345, -1), _fixed(1234.5, 2)
    ('12.3', '1200')
    """
    return f"{round(value, -place):.0f}" if place > 0 else f"{value:.{-place}f}"


def _step(resolution: float) -> float:
    """The greatest step of a duration that is not above the resolution, a second at least.

    >>> _step(0.0), _step(700.0), _step(7 * HOUR), _step(60 * HOUR)
    (1.0, 600.0, 18000.0, 180000.0)
    """
    largest = resolution * (1 + 1e-9)
    hours = 10.0 ** max(_exponent(largest / HOUR), 0)
    while hours * HOUR > largest and hours > 1:  # rounding to two digits went up
        hours /= 10
    steps = (*STEPS, hours * HOUR, 5 * hours * HOUR)
    return max((step for step in steps if step <= largest), default=1.0)
