"""A CSV file of GEMM timings of one device → what they teach about its model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from perfmodel.calibration.files import check_readable
from perfmodel.calibration.fit import LEAST_SHAPES, LEAST_TIMINGS, fit_group
from perfmodel.calibration.priors import find_prior
from perfmodel.calibration.timings import Timings
from perfmodel.cost.calibration import Calibration
from perfmodel.cost.estimate import Gemms
from perfmodel.cost.residual import Prior
from perfmodel.cost.tiles import Tiles
from perfmodel.csvfiles import MOST_PROBLEMS
from perfmodel.devices import Device
from perfmodel.errors import InputError, PerfModelError, Problem, quote
from perfmodel.gemm import align
from perfmodel.predict import read_gemms
from perfmodel.traces.logs.numbers import number

LEAST_S, MOST_S = 1e-7, 1e5  # of one GEMM: beyond them the column is not in seconds


def read_timings(path: Path) -> list[Timings]:
    """The timings of a CSV file, those of one precision and layout together.

    Columns as `predict` reads them, and `seconds`. Raises `InputError` as `read_gemms`; E1624 for a time that cannot
    be.
    """
    rows = read_gemms(path, required=("seconds",), added=())
    column = rows.header.index("seconds")
    seconds, problems = np.empty(len(rows.rows)), []
    for i, (row, line) in enumerate(zip(rows.rows, rows.lines, strict=True)):
        try:
            seconds[i] = _seconds(row[column], f"{path}:{line}:{column + 1}")
        except PerfModelError as error:
            problems += error.problems
        if len(problems) >= MOST_PROBLEMS:
            break
    if problems:
        raise InputError(problems)
    groups = defaultdict(list)
    for i, kind in enumerate(rows.precisions):
        groups[kind].append(i)
    return [_timings(kind, rows.sizes[chosen], seconds[chosen]) for kind, chosen in groups.items()]


def calibrate(
    device: Device, timings: Sequence[Timings], prior: Prior | None = None, *, title: str, source: str, date: str,
    timings_a_point: int = 1,
) -> Calibration:  # fmt: skip
    """What timings teach about the tile model of a device; each precision needs a few (E1625).

    `E1103` where the device lacks a precision. `date` is that of the timings or, where none is known, of the fit. Where
    a correction's points shall stand for several timings each, `timings_a_point` says for how many on average.
    """
    prior = prior or find_prior()
    by_precision = defaultdict(list)
    for one in timings:
        device.rate(one.gemms.precision)
        by_precision[one.gemms.precision.name].append(one)
    _check_enough(by_precision, source)
    model = Tiles(device).unlimited()
    groups = {name: fit_group(model, parts, prior, timings_a_point) for name, parts in by_precision.items()}
    found = Calibration(device.name, title, source, device.name, date, groups)
    _check_sense(found, source)
    return found


def _check_enough(by_precision: Mapping[str, Sequence[Timings]], source: str) -> None:
    """Raise `InputError` (E1625) for precisions with too few timings, or of too few shapes, to fit an interval to."""
    problems = []
    for name, parts in by_precision.items():
        count, shapes = sum(map(len, parts)), len(set().union(*(one.shapes() for one in parts)))
        if count < LEAST_TIMINGS or shapes < LEAST_SHAPES:
            found = f"holds {count} timings of {shapes} shapes in {name}; "
            found += f"an interval needs {LEAST_TIMINGS} of {LEAST_SHAPES} at least."
            problems.append(Problem("E1625", f"{source}:", found, "Time more GEMMs, or drop these rows."))
    if problems:
        raise InputError(problems)


def _check_sense(calibration: Calibration, source: str) -> None:
    """Raise `InputError` (E1627) where what was fitted is beyond what any GPU can be."""
    try:
        check_readable(calibration)
    except InputError as error:
        problem = error.problems[0]
        found = f"gives a calibration that cannot be: {problem.place.partition(': ')[2]} {problem.found}"
        raise InputError.at("E1627", f"{source}:", found, "Are these seconds of one call of each GEMM?") from None


def _seconds(cell: str, place: str) -> float:
    try:
        value = number(cell, place, "column seconds")
    except InputError:
        found = f"column seconds: {quote(cell)} is not a number."
        raise InputError.at("E1207", place, found, "Write seconds with a decimal point.") from None
    if not LEAST_S <= value <= MOST_S:
        found = f"column seconds: {cell} is not between {LEAST_S:g} and {MOST_S:g}."
        raise InputError.at("E1624", place, found, "Give seconds of one call.")
    return value


def _timings(kind: tuple, sizes: np.ndarray, seconds: np.ndarray) -> Timings:
    precision, layout = kind
    m, n, k, batch = sizes.T
    return Timings(Gemms(precision, *align(precision, layout, m, n, k, batch), batch, layout=layout), seconds)
