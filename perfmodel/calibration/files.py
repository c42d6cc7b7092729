"""Calibrations on file: TOML that a person can read, with what they were fitted on."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np

from perfmodel.calibration.priors import (
    LARGEST_SCALE,
    MOST,
    check_features,
    checked,
    number_list,
    prior_lines,
    read_prior,
)
from perfmodel.cost.calibration import Calibration, Group
from perfmodel.cost.features import GEMM_FEATURES
from perfmodel.cost.residual import Prior, Residual
from perfmodel.datafiles import Section, bundled, read_toml
from perfmodel.errors import PerfModelError, printable
from perfmodel.gemm import find_precision

HEADER = ("title", "source", "device", "date")
DIGITS = 5
MOST_POINTS = 1024  # of one group
LEAST_VARIANCE, MOST_VARIANCE = 1e-8, 1e2  # of a point's error


def shipped_calibration(device: str) -> Path | None:
    """The calibration that comes with a bundled device, if there is one."""
    return bundled("calibrations").get(device)


def read_calibration(path: Path) -> Calibration:
    """The calibration in a file; `InputError` for what it lacks or cannot be (E1206, E1210-E1212, E1621-E1623)."""
    return _calibration(read_toml(path, lines=True), path.name.removesuffix(".toml"))


def check_readable(calibration: Calibration) -> None:
    """Raise `InputError` where the text of a calibration would not read back: what was fitted makes no sense."""
    _calibration(Section(tomllib.loads(calibration_text(calibration)), calibration.name), calibration.name)


def _calibration(top: Section, name: str) -> Calibration:
    top.require((*HEADER, "features", "groups"))
    check_features(top)
    texts = [top.text(name) for name in HEADER]
    groups = {}
    for row in top.tables("groups"):
        group = _read_group(row)
        if group.precision in groups:
            raise row.fail("E1211", "precision", f"{group.precision} stands here twice.", "Remove one group.")
        groups[group.precision] = group
    top.finish()
    return Calibration(name, *texts, groups)


def calibration_text(calibration: Calibration) -> str:
    """The text of a calibration's file."""
    lines = [f"{name} = {_quoted(getattr(calibration, name))}" for name in HEADER]
    lines.append(f"features = {json.dumps(list(GEMM_FEATURES))}")
    for group in calibration.groups.values():
        lines += ["", "[[groups]]", *_group_lines(group)]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A TOML string; what no file may hold stands in it escaped twice."""
    return json.dumps(printable(text), ensure_ascii=False)


def _group_lines(group: Group) -> list[str]:
    residual = group.residual
    rows = np.column_stack([residual.points, residual.errors, residual.variances])
    return [
        f'precision = "{group.precision}"',
        f"timings = {group.timings}",
        f"body = {group.body:.{DIGITS}g}  # measured seconds of a kernel against the model's, without launch",
        f"launch_s = {group.launch_s:.{DIGITS}g}",
        f"timing_s = {group.timing_s:.{DIGITS}g}  # what the timings' method adds to each",
        f"quantile = {group.quantile:.{DIGITS}g}  # half-width of the 90 % interval in standard deviations",
        f"mape = {group.mape:.{DIGITS}g}  # mean error of timings, each predicted from the others",
        f"least_seconds = {group.least_seconds:.{DIGITS}g}",
        f"most_seconds = {group.most_seconds:.{DIGITS}g}",
        *prior_lines(residual.prior),
        "points = [  # features, mean error of log seconds there, its variance",
        *(f"  {number_list(row, DIGITS)}," for row in rows),
        "]",
    ]


def _read_group(row: Section) -> Group:
    precision = row.text("precision")
    try:
        find_precision(precision)
    except PerfModelError as error:
        (problem,) = error.problems
        raise row.fail(problem.code, "precision", problem.found, problem.fix) from None
    group = Group(
        precision=precision,
        timings=row.whole("timings"),
        body=row.number("body", least=1e-3, most=1e3),
        launch_s=row.number("launch_s", least=-1.0, most=1.0),
        timing_s=row.number("timing_s", least=-1.0, most=1.0),
        quantile=row.number("quantile", most=1e3),
        mape=row.number("mape", least=-1.0, most=1e6),
        least_seconds=row.number("least_seconds"),
        most_seconds=row.number("most_seconds"),
        residual=_read_residual(row, read_prior(row)),
    )
    for name in ("launch_s", "timing_s"):
        if getattr(group, name) < 0:
            raise row.fail("E1212", name, "is negative.", "Correct it.")
    row.finish()
    return group


def _read_residual(row: Section, prior: Prior) -> Residual:
    """The correction; `InputError` (E1623) where its numbers make no sense together."""
    listed = row.take("points", list, expected="a list of lists of numbers")
    if not 1 <= len(listed) <= MOST_POINTS:
        raise row.fail("E1623", "points", f"are {len(listed)}, not 1 to {MOST_POINTS}.", "Calibrate again.")
    width = len(GEMM_FEATURES) + 2
    points = np.array([checked(p, row, f"points[{i}]", width, -MOST, MOST) for i, p in enumerate(listed)])
    features, errors, variances = points[:, :-2], points[:, -2], points[:, -1]
    if not ((variances >= LEAST_VARIANCE) & (variances <= MOST_VARIANCE) & (np.abs(errors) <= LARGEST_SCALE)).all():
        raise row.fail("E1623", "points", "hold an error or a variance that cannot be.", "Calibrate again.")
    residual = Residual(prior, features, errors, variances)
    try:
        residual.correct(features[:1])
    except np.linalg.LinAlgError:
        raise row.fail("E1623", "points", "contradict each other.", "Calibrate again.") from None
    return residual
