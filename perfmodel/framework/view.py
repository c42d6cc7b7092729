"""Frameworks as data: constants fitted on published iterations, and a step as the framework would run it.

    t = sum over kernels of (a[group] · t_model + c)      with c for each launch

a : factor of a group of work (`GROUPS`) on the time that the analytical model gives good kernels
c : host time for each kernel, beyond the launch that the model has
Where the numbers come from and how far off they are is in the file of each framework, `data/frameworks/*.toml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path

import numpy as np

from perfmodel.cost.estimate import CostModel, Estimate, Prices
from perfmodel.cost.spread import around
from perfmodel.datafiles import Section, bundled, find_file, read_toml
from perfmodel.errors import Unsupported
from perfmodel.framework.groups import GROUPS, group_of, launches
from perfmodel.framework.modes import mode_with_accumulation
from perfmodel.lowering import Work
from perfmodel.simulate import StepCost

UNKNOWN_FRAMEWORK, UNKNOWN_FORMAT, NOT_IMPLICIT = "E1014", "E1112", "E1113"
LEAST_FACTOR, LARGEST_FACTOR = 1e-3, 100.0
MICRO = 1e-6


@dataclass(frozen=True, slots=True)
class FrameworkView:
    """One framework in one number format.

    `factors` are those of `GROUPS`, `kernel_s` the host's seconds for each kernel; `accumulates` says whether gradients
    are set to zero and added up (PyTorch). `spread` bounds |log(measured / predicted)| of nine in ten iterations of
    networks that the constants were not fitted on; NaN where it is not known.
    """

    name: str
    format: str
    factors: Mapping[str, float]
    kernel_s: float
    accumulates: bool = False
    spread: float = nan

    def step(self, step: StepCost, model: CostModel, mode: str = "step", gradient_bytes: float = 4.0) -> StepCost:
        """What runs of a training step in a mode (`MODES`), with the times that the framework needs.

        `step` holds the prices of `model` and convolutions in implicit form; raises `Unsupported` (E1113) for others,
        `UnknownName` (E1013) for a mode that is none. `gradient_bytes`: of an element of a weight's gradient.
        """
        return self.scaled(self.works(step, model, mode, gradient_bytes))

    def works(self, step: StepCost, model: CostModel, mode: str = "step", gradient_bytes: float = 4.0) -> StepCost:
        """The same with the prices of `model`: what the constants are fitted on."""
        _check_mapping(step)
        return mode_with_accumulation(step, model, mode, gradient_bytes if self.accumulates else 0.0)

    def scaled(self, step: StepCost) -> StepCost:
        """The step with this view's factors and host times, nothing added."""
        factor = np.array([self._factor(work) for work in step.works])
        once = launches(step.works) > 0
        seconds = step.prices.seconds * factor + self.kernel_s * once
        pairs = zip(step.works, step.prices.basis, strict=True)
        basis = [old if group_of(work) is None else "calibrated" for work, old in pairs]
        widths = [(self.spread, 0.0, f"{self.name} {self.format}")] * len(basis)
        return StepCost(step.works, Prices(seconds, basis, step.prices.detail, widths))

    def estimate(self, step: StepCost) -> Estimate:
        """The total of a step that this view made, with the interval of an unseen network."""
        low, high = around(step.total.seconds, self.spread)
        return replace(step.total, low=low, high=high)

    def _factor(self, work: Work) -> float:
        group = group_of(work)
        return 1.0 if group is None else self.factors[group]


@dataclass(frozen=True, slots=True)
class Framework:
    """A framework with its views by format; `title` and `source` as its file has them."""

    name: str
    title: str
    source: str
    views: Mapping[str, FrameworkView]

    def view(self, format_: str) -> FrameworkView:
        """The view of a format; `Unsupported` (E1112) where no iterations in it were there to fit."""
        if format_ not in self.views:
            known = ", ".join(self.views)
            found = f"has no constants for {format_}: no iterations in it were there to fit."
            raise Unsupported.at(UNKNOWN_FORMAT, f"framework {self.name}:", found, f"It has {known}.")
        return self.views[format_]


def framework_names() -> list[str]:
    """The names of the bundled frameworks, sorted."""
    return list(bundled("frameworks"))


def find_framework(name: str) -> Framework:
    """A bundled framework by name, or the file at a path that ends in `.toml`.

    Raises `UnknownName` (E1014) with the nearest names, `InputError` for a file that does not read.
    """
    return read_framework(find_file("frameworks", "framework", name, UNKNOWN_FRAMEWORK))


def read_framework(path: Path) -> Framework:
    """The framework that a file describes: title, source, and a table of constants for each format."""
    name = path.name.removesuffix(".toml")
    top = read_toml(path)
    title, source = top.text("title"), top.text("source")
    top.text("notes", "")
    accumulates = top.take("accumulates_gradients", bool, False)
    views = {}
    for row in top.tables("views"):
        view = _read_view(row, name, accumulates)
        if view.format in views:
            raise row.fail("E1211", "format", f"{view.format} stands here twice.", "Remove one table.")
        views[view.format] = view
    top.finish()
    if not views:
        raise top.fail("E1210", "views", "is empty.", "Give the constants of at least one format.")
    return Framework(name, title, source, views)


def _read_view(row: Section, name: str, accumulates: bool) -> FrameworkView:
    row.text("fitted_on")
    for told in ("timings", "networks"):
        row.whole(told, 1)
    row.table("error_percent")
    factors = {group: row.number(group, least=LEAST_FACTOR, most=LARGEST_FACTOR) for group in GROUPS}
    kernel_s = row.number("kernel_us", least=-1e-12, most=1e6) * MICRO
    if kernel_s < 0:
        raise row.fail("E1212", "kernel_us", "is negative.", "Correct it.")
    spread = row.number("spread_90", nan, most=5.0)
    view = FrameworkView(name, row.text("format"), factors, kernel_s, accumulates, spread)
    row.finish()
    return view


def _check_mapping(step: StepCost) -> None:
    if any(work.kind == "im2col" for work in step.works):
        raise Unsupported.at(
            NOT_IMPLICIT, "framework view:", "the step has convolutions as explicit GEMMs.", "Use the mapping implicit."
        )
