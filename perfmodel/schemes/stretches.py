"""A run of a scheme without a trace: how many iterations it spends in which formats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from perfmodel.schemes.formats import StepFormats
from perfmodel.schemes.rules import bounds
from perfmodel.schemes.schedule import Constant, Stage
from perfmodel.schemes.scheme import Scheme


@dataclass(frozen=True, slots=True)
class Stretch:
    """So many iterations of a run in one set of formats; `scheme` is the scheme, or what a stage makes of it."""

    scheme: Scheme
    formats: StepFormats
    iterations: int


def run_stretches(scheme: Scheme, epochs: int, iterations: int) -> list[Stretch]:
    """The stretches of a run of `epochs` with so many iterations each: a user's stages, else the scheme's schedule.

    Those of a cyclic schedule are one for each width, the narrowest first. Raises `InputError` (E1501) for a run too
    short for a cycle.
    """
    if scheme.stages:
        return list(_staged(scheme, epochs, iterations))
    return [
        Stretch(scheme, StepFormats(bounds(scheme.tensors, forward, backward)), count)
        for forward, backward, count in scheme.schedule.stretches(epochs, iterations)
    ]


def _staged(scheme: Scheme, epochs: int, iterations: int) -> Iterator[Stretch]:
    done = 0
    for stage in scheme.stages:
        until = epochs if stage.until is None else min(stage.until, epochs)
        if until > done:
            yield _stretch(staged(scheme, stage), (until - done) * iterations)
            done = until
    if done < epochs:  # behind the last stage the scheme is what it says itself
        yield _stretch(scheme, (epochs - done) * iterations)


def staged(scheme: Scheme, stage: Stage) -> Scheme:
    """The scheme as it is in one stage: the stage's formats and exceptions before its own."""
    return replace(
        scheme, tensors=stage.formats.over(scheme.tensors), layers=(*stage.layers, *scheme.layers), stages=()
    )


def _stretch(scheme: Scheme, iterations: int) -> Stretch:
    format_ = scheme.schedule.format if isinstance(scheme.schedule, Constant) else scheme.formats[0]
    return Stretch(scheme, StepFormats(bounds(scheme.tensors, format_, format_)), iterations)


def first_stretch(scheme: Scheme) -> Stretch:
    """How a run of the scheme begins."""
    return run_stretches(scheme, 1, 10**6)[0]


def first_step(scheme: Scheme) -> StepFormats:
    """The formats in which a run of the scheme begins."""
    return first_stretch(scheme).formats
