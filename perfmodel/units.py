"""SI prefixes, and numbers for people. Inside the package: s, B, FLOP, Hz."""

from __future__ import annotations

KILO, MEGA, GIGA, TERA = 1e3, 1e6, 1e9, 1e12
KIB, MIB, GIB = 2**10, 2**20, 2**30


def ceil_div(a, b):
    """The least integer not below a / b; whole numbers or arrays of them.

    >>> ceil_div(1_281_167, 256)
    5005
    """
    return -(-a // b)


def round_up(a, multiple):
    """The least multiple of `multiple` not below `a`.

    >>> round_up(147, 8), round_up(147, 16)
    (152, 160)
    """
    return ceil_div(a, multiple) * multiple


def hours_minutes(seconds: float) -> str:
    """Hours:minutes, as Table 3 of the MuPPET paper prints them; rounded to the nearest minute.

    >>> hours_minutes(1813 * 60)
    '30:13'
    """
    minutes = round(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02d}"


def grouped(number: float) -> str:
    """A whole number with its thousands apart.

    >>> grouped(1814073344)
    '1,814,073,344'
    """
    return f"{number:,.0f}"
