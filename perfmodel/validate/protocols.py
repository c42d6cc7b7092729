"""What a model may be fitted on before it is judged: each protocol's lessons, and the rows they are for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from perfmodel.validate.problems import Lesson, Problems, Series
from perfmodel.validate.splits import draw, each_shape, split

NOTHING, FEW, HALF, OTHER_GPUS = "nothing", "20 timings", "half", "other GPUs"
OTHER_NETWORKS, ALL_OTHER_NETWORKS = "other networks", "other networks of all"
OTHERS_ALONE = "other GPUs and networks"
PROTOCOLS = {
    NOTHING: "nothing: as it is, from the device file",
    FEW: "20 timings drawn from one half of the shapes, judged on the other half",
    HALF: "all timings of one half of the shapes, judged on the other half",
    OTHER_GPUS: "the other GPUs of the source, one half of the shapes; judged on the other half",
    OTHER_NETWORKS: "the other networks of the series",
    ALL_OTHER_NETWORKS: "the other networks, of all sources, devices and modes",
    OTHERS_ALONE: "the other networks on the other GPUs, of all sources and modes",
}
Turn = tuple[Sequence[Lesson], np.ndarray]  # what is fitted on, and the positions that are judged


def find_turns(one: Series, series: Sequence[Series], protocol: str, draws: int) -> Iterator[list[Turn]]:
    """What is fitted on and judged, once for each draw; one draw but where few timings are drawn."""
    if protocol == NOTHING:
        yield [((), np.arange(len(one)))]
    elif protocol == HALF:
        yield [((one.lesson(fitted),), judged) for fitted, judged in split(one)]
    elif protocol == FEW:
        for seed in range(draws):
            yield [((one.lesson(draw(fitted, seed)),), judged) for fitted, judged in split(one)]
    elif protocol == OTHER_NETWORKS:
        yield [((one.lesson(fitted),), judged) for fitted, judged in each_shape(one)]
    elif protocol in (ALL_OTHER_NETWORKS, OTHERS_ALONE):
        yield _other_networks(one, series, protocol == OTHERS_ALONE)
    elif protocol == OTHER_GPUS:
        yield _other_gpus(one, series)
    else:
        raise ValueError(f"no protocol {protocol!r}")


def _other_networks(one: Series, series: Sequence[Series], other_gpus: bool) -> list[Turn]:
    """For each network in turn all rows of the others, of any series; those of this device too, or not."""
    mine = one.problems
    pool = [
        other
        for other in series
        if other.problems.kind == mine.kind and not (other_gpus and other.problems.device.name == mine.device.name)
    ]
    turns = []
    for _, judged in each_shape(one):
        asked = mine.shapes[judged]
        if lessons := _lessons(pool, lambda problems, asked=asked: ~np.isin(problems.shapes, asked)):
            turns.append((lessons, judged))
    return turns


def _other_gpus(one: Series, series: Sequence[Series]) -> list[Turn]:
    """One half of the other devices' shapes to fit on, the other half of this one's to judge; both directions."""
    mine = one.problems
    pool = [
        other
        for other in series
        if _likeness(other.problems) == _likeness(mine) and other.problems.device.name != mine.device.name
    ]
    turns = []
    for half in (0, 1):
        judged = np.flatnonzero(mine.halves != half)
        lessons = _lessons(pool, lambda problems, half=half: problems.halves == half)
        if lessons and len(judged):
            turns.append((lessons, judged))
    return turns


def _likeness(problems: Problems) -> tuple[str, ...]:
    return problems.kind, problems.source, problems.precision, problems.pass_


def _lessons(pool: Sequence[Series], kept: Callable[[Problems], np.ndarray]) -> list[Lesson]:
    """The rows of several series that a mask keeps; a series without any is left out."""
    return [one.lesson(at) for one in pool if len(at := np.flatnonzero(kept(one.problems)))]
