"""The models that are judged, by name: what each is fitted with, and on which kinds of problems it has a say."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from perfmodel.devices import Device
from perfmodel.validate import calibrated, matmul_heuristics, views
from perfmodel.validate.baselines import one_scale, roofline_seconds, roofline_three, tiles_seconds, tiles_two, unfitted
from perfmodel.validate.iterations import has_unit, step_roofline, step_tiles
from perfmodel.validate.ledger import Fit
from perfmodel.validate.library import FOLDS, offered
from perfmodel.validate.library_residual import library_learned, many_shapes
from perfmodel.validate.problems import Problems
from perfmodel.validate.protocols import (
    ALL_OTHER_NETWORKS,
    FEW,
    HALF,
    NOTHING,
    OTHER_GPUS,
    OTHER_NETWORKS,
    OTHERS_ALONE,
)  # fmt: skip
from perfmodel.validate.unseen import tiles_unseen

KERNELS, ITERATIONS = ("gemm", "conv"), ("iteration",)
LEAST_OF_HALF = 15  # timings: halves of small series hold fewer than the 20 that a user must have


def _nobody(device: Device) -> frozenset[str]:
    return frozenset()


@dataclass(frozen=True, slots=True)
class Contender:
    """A model that is judged: how it is fitted, by which protocols, and on problems of which kinds.

    `least` is the fewest timings it can be fitted on; `devices` names, for a judged device, those whose timings shaped
    constants that it comes with; `speaks` says which problems it has a price for; `note` what to know about it.
    """

    name: str
    fit: Fit
    protocols: tuple[str, ...]
    kinds: tuple[str, ...] = KERNELS
    least: int = 1
    devices: Callable[[Device], frozenset[str]] = _nobody
    speaks: Callable[[Problems], bool] = lambda problems: True
    note: str = ""


FITTED = (FEW, HALF, OTHER_GPUS)
ROOFLINE_ONE, ROOFLINE_THREE = "roofline, one scale", "roofline, 3 factors"
TILES, TILES_TWO, CALIBRATED, VIEW = "tiles", "tiles, clock and launch", "calibrated", "framework view"
LIBRARY = "library's algorithms"
BASELINES = (
    Contender("roofline", unfitted(roofline_seconds), (NOTHING,)),
    Contender(ROOFLINE_ONE, one_scale(roofline_seconds), FITTED),
    Contender(ROOFLINE_THREE, roofline_three, FITTED),
    Contender(TILES, unfitted(tiles_seconds), (NOTHING,)),
    Contender(TILES, tiles_unseen, (OTHER_GPUS,)),
    Contender(TILES_TWO, tiles_two, FITTED),
)


STEPS = (
    Contender("roofline, kernels alone", unfitted(step_roofline), (NOTHING,), ITERATIONS, speaks=has_unit),
    Contender(ROOFLINE_ONE, one_scale(step_roofline), (OTHER_NETWORKS, OTHERS_ALONE), ITERATIONS, speaks=has_unit),
    Contender("tiles, kernels alone", unfitted(step_tiles), (NOTHING,), ITERATIONS, speaks=has_unit),
    Contender("tiles, one scale", one_scale(step_tiles), (OTHER_NETWORKS, OTHERS_ALONE), ITERATIONS, speaks=has_unit),
    Contender(VIEW, views.fit, (ALL_OTHER_NETWORKS, OTHERS_ALONE), ITERATIONS, speaks=has_unit),
)
GEMMS = (Contender(CALIBRATED, calibrated.fit, (FEW, HALF), ("gemm",), LEAST_OF_HALF, calibrated.prior_devices),)
CONVOLUTIONS = (
    Contender(
        LIBRARY, partial(library_learned, ordered=False), FITTED, ("conv",), FOLDS, speaks=offered,
        note="which algorithms there are, and what they skip, was chosen with DeepBench's rows in sight: "
        "docs/convolutions.md has the errors where it was chosen again in each half. From 100 different problems of a "
        "series on, a correction is learned",
    ),
    Contender(
        f"{LIBRARY}, with the session's drift", library_learned, (HALF,), ("conv",), FOLDS, speaks=many_shapes,
        note="the same, and what each timing added as the session went on: the order of the file is known before a "
        "time is, but it is a fact about the measurement, not about the convolution",
    ),
)  # fmt: skip


def find_contenders() -> tuple[Contender, ...]:
    """All models that can be judged here, baselines first; one that needs a package is there if the package is."""
    return (*BASELINES, *GEMMS, *CONVOLUTIONS, *STEPS, *_heuristics())


def _heuristics() -> tuple[Contender, ...]:
    found = matmul_heuristics.version()
    if found is None:
        return ()
    note = f"{matmul_heuristics.NAME} {found}, target GENERIC; the A100 of 40 GB as that of 80 GB"
    fit, speaks = matmul_heuristics.unfitted, matmul_heuristics.speaks
    return (Contender(matmul_heuristics.NAME, fit, (NOTHING,), ("gemm",), speaks=speaks, note=note),)


def of_kind(contenders: Iterable[Contender], kind: str) -> list[Contender]:
    """Those that have a say on problems of a kind."""
    return [one for one in contenders if kind in one.kinds]
