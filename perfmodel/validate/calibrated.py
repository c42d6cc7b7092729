"""The calibrated model as it is judged: priors learned without the judged device, on the half that is fitted on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from perfmodel.calibration.fit import fit_group
from perfmodel.calibration.priors import find_prior, priors_without
from perfmodel.calibration.timings import Timings
from perfmodel.cost.calibrated import Calibrated
from perfmodel.cost.calibration import Calibration
from perfmodel.cost.residual import Prior
from perfmodel.cost.spread import WIDEST
from perfmodel.cost.tiles import Tiles
from perfmodel.devices import Device
from perfmodel.validate.ledger import Model
from perfmodel.validate.problems import Guess, Lesson, Question

SAME_CHIP = {"v100-sxm2": "v100"}  # boards of one chip: the prior must know neither


def left_out(device: Device) -> str:
    """The device without which the prior must be learned; "" where no prior knows it."""
    name = SAME_CHIP.get(device.name, device.name)
    return name if name in priors_without() else ""


def prior_devices(device: Device) -> frozenset[str]:
    """The devices whose timings shaped the prior that is used for judging this one."""
    return frozenset(priors_without()) - {left_out(device)}


def prior_for(lesson: Lesson) -> Prior:
    """The prior that knows neither the device nor a shape of the half that is not fitted on."""
    (half,) = set(lesson.problems.halves[lesson.at].tolist())
    return find_prior(left_out(lesson.problems.device), half)


def fit(lessons: Sequence[Lesson]) -> Model:
    """Physics, correction and intervals from the timings of one device and precision."""
    (lesson,) = lessons
    problems = lesson.problems
    timings = [Timings(gemms, lesson.seconds[at]) for at, gemms in problems.by_layout(lesson.at)]
    model = Tiles(problems.device).unlimited()
    group = fit_group(model, timings, prior_for(lesson))
    named = (problems.source, "judged", problems.source, problems.device.name, "")
    calibrated = Calibrated(model, Calibration(*named, {group.precision: group}), {}, timed=True)
    return lambda question: answer(calibrated, question)


def answer(model, question: Question) -> Guess:
    """Seconds and intervals of a cost model's estimates; NaN where they have no spreads."""
    seconds, width = np.empty(len(question)), np.full(len(question), np.nan)
    for at, gemms in question.problems.by_layout(question.at):
        found = model.gemms(gemms)
        seconds[at] = found.seconds
        if found.spreads is not None:
            width[at] = np.hypot(found.spreads.shared, found.spreads.own)
    width = np.minimum(width, WIDEST)
    return Guess(seconds, seconds * np.exp(-width), seconds * np.exp(width))
