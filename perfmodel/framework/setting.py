"""A framework as part of a setting: every step is priced as the framework would run it."""

from __future__ import annotations

from dataclasses import dataclass

from perfmodel.cost.estimate import CostModel
from perfmodel.framework.view import Framework
from perfmodel.schemes.formats import StepFormats
from perfmodel.simulate import StepCost


@dataclass(frozen=True, slots=True)
class InFramework:
    """The steps of one framework, by the format of their GEMMs."""

    framework: Framework

    def __call__(self, step: StepCost, formats: StepFormats, model: CostModel) -> StepCost:
        """The step as the framework runs it; `Unsupported` (E1112) for formats that it has no constants for."""
        view = self.framework.view(formats.label)
        return view.step(step, model, gradient_bytes=4.0 if formats.label == "fp32" else 2.0)
