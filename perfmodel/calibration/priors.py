"""What is expected of a correction before a device's own timings: learned from others, kept as cited numbers."""

from __future__ import annotations

from functools import cache

import numpy as np

from perfmodel.cost.features import GEMM_FEATURES
from perfmodel.cost.residual import Prior
from perfmodel.datafiles import Section, bundled, read_toml

SCALES = ("constant", "joint", "noise", "short_noise")
LENGTHS = ("joint_length", "each", "each_length")
LARGEST_SCALE = 10.0  # of a deviation of log seconds
MOST = 1e3  # of any number of a correction


def find_prior(without: str = "", half: int | None = None) -> Prior:
    """The prior for GEMMs; for judging, the one learned without a device, on the shapes of one half alone.

    Raises `KeyError` where none was learned that way.
    """
    return _priors()[without, half]


def priors_without() -> tuple[str, ...]:
    """The devices without which a prior was learned."""
    return tuple(dict.fromkeys(without for without, _ in _priors() if without))


@cache
def _priors() -> dict[tuple[str, int | None], Prior]:
    top = read_toml(bundled("priors")["gemm"])
    top.text("title"), top.text("source")
    check_features(top)
    found = {}
    for row in top.tables("priors"):
        half = row.take("half", int, None)
        found[row.take("without", str, ""), half] = read_prior(row)
        row.finish()
    top.finish()
    return found


def check_features(section: Section) -> None:
    """Raise `InputError` (E1621) where a file's numbers belong to other features than those of this version."""
    named = section.take("features", list, expected="a list of names")
    if named != list(GEMM_FEATURES):
        raise section.fail(
            "E1621", "features", "are not those of this version.", "Calibrate again with this version of perfmodel."
        )


def read_prior(section: Section) -> Prior:
    """The prior that a table holds; `InputError` (E1211, E1212, E1622) where its numbers cannot be."""
    scales = (section.number(name, most=LARGEST_SCALE) for name in SCALES)
    return Prior(*scales, *(read_numbers(section, name, len(GEMM_FEATURES), 1e-6, MOST) for name in LENGTHS))


def read_numbers(section: Section, name: str, count: int, least: float, most: float) -> np.ndarray:
    """A list of `count` numbers between `least` and `most`."""
    return checked(section.take(name, list, expected="a list of numbers"), section, name, count, least, most)


def checked(values: object, section: Section, name: str, count: int, least: float, most: float) -> np.ndarray:
    """`values` as an array; `InputError` (E1622) where it is not a list of `count` numbers between the bounds."""
    right = isinstance(values, list) and len(values) == count
    if not (right and all(type(one) in (int, float) and least <= one <= most for one in values)):
        found = f"is not a list of {count} numbers from {least:g} to {most:g}."
        raise section.fail("E1622", name, found, "Correct it, or calibrate again.")
    return np.array(values, dtype=np.float64)


def prior_lines(prior: Prior, digits: int = 4) -> list[str]:
    """The keys of a prior as lines of TOML."""
    scales = [f"{name} = {getattr(prior, name):.{digits}g}" for name in SCALES]
    return scales + [f"{name} = {number_list(getattr(prior, name), digits)}" for name in LENGTHS]


def number_list(values: np.ndarray, digits: int) -> str:
    """Numbers as a TOML list.

    >>> number_list(np.array([1.0, 0.12345]), 3)
    '[1, 0.123]'
    """
    rounded = np.round(values, 9) + 0.0  # no -0, no 1e-17
    return "[" + ", ".join(f"{value:.{digits}g}" for value in rounded) + "]"
