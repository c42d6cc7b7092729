"""Whole iterations as judged models price them: the sums of their kernels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from perfmodel.cost import find_cost_model
from perfmodel.errors import PerfModelError
from perfmodel.framework import timings as framework
from perfmodel.framework.modes import step_of_mode
from perfmodel.networks import find_network, network_names
from perfmodel.schemes import find_scheme
from perfmodel.schemes.formats import StepFormats
from perfmodel.simulate import Setting, step_cost
from perfmodel.validate.problems import Iteration, Problems

LARGEST_BATCH = 10**5


def why_unpriced(what: Iteration) -> str:
    """Why an iteration has no price; "" where it has one."""
    if (what.source, what.xla) not in framework.FRAMEWORKS:
        return "its framework is not known"
    if what.precision not in framework.SCHEMES:
        return "its precision is no scheme's"
    if what.batch > LARGEST_BATCH:
        return f"its batch is beyond {LARGEST_BATCH}"
    return "" if network_of(what) in _networks() else "its network is not bundled"


@lru_cache(1)
def _networks() -> frozenset[str]:
    return frozenset(network_names())


def network_of(what: Iteration) -> str:
    """What a source's network is called here."""
    return framework.NETWORKS.get((what.source, what.network), what.network.replace("_", "-"))


def has_unit(problems: Problems) -> bool:
    """Whether the device runs the precision."""
    try:
        step_tiles(problems)
    except PerfModelError:
        return False
    return True


@lru_cache(maxsize=256)
def step_tiles(problems: Problems) -> np.ndarray:
    """Seconds of the kernels of each iteration by `tiles`."""
    return _priced(problems, "tiles")


@lru_cache(maxsize=256)
def step_roofline(problems: Problems) -> np.ndarray:
    """Seconds of the kernels of each iteration by `roofline`."""
    return _priced(problems, "roofline")


def _priced(problems: Problems, name: str) -> np.ndarray:
    model = find_cost_model(name, problems.device)
    found = {what: _iteration_s(what, model) for what in dict.fromkeys(problems.kernels)}
    return np.array([found[what] for what in problems.kernels])


def _iteration_s(what: Iteration, model) -> float:
    scheme, format_, _ = framework.SCHEMES[what.precision]
    formats = StepFormats.everywhere(format_)
    step = step_cost(find_network(network_of(what)), what.batch, find_scheme(scheme), formats, Setting(model))
    return step_of_mode(step, framework.MODES[what.mode], model).total.seconds


def in_framework_terms(kernels: Sequence[Iteration], device: str, seconds: np.ndarray) -> list[framework.Iteration]:
    """The iterations as `perfmodel.framework` has them."""
    return [
        framework.Iteration(
            one.source, device, device, framework.FRAMEWORKS[one.source, one.xla], network_of(one), one.precision,
            framework.MODES[one.mode], one.batch, float(taken),
        )
        for one, taken in zip(kernels, seconds, strict=True)
    ]  # fmt: skip
