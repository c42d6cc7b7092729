"""From timings to a calibration: physical constants first, then the correction, then how wide intervals must be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.calibration.clusters import cluster
from perfmodel.calibration.physics import Physics, fit_physics
from perfmodel.calibration.robust import widened
from perfmodel.calibration.timings import Timings
from perfmodel.cost.calibration import COVERAGE, Group
from perfmodel.cost.features import gemm_features
from perfmodel.cost.residual import Prior, Residual
from perfmodel.cost.tiles import Tiles

LEAST_TIMINGS = 20  # of one precision: fewer leave the interval without a guarantee
LEAST_SHAPES = 10  # from nine up, the quantile of nine in ten is one of the errors seen
MOST_TIMINGS = 4096  # that are looked at; of more, so many are drawn
MOST_POINTS = 128  # of the correction: evaluating it takes longer with more
FOLDS = 10
LEAST_QUANTILE = 0.5  # the least that 25 public sets ask for: what seems more regular will not stay so away from it


@dataclass(frozen=True, slots=True)
class Fit:
    """Physics and correction of some timings, before it is known how wide intervals must be."""

    physics: Physics
    residual: Residual

    def log_seconds(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """Natural logarithm of what a timing of each row would show, and its standard deviation."""
        seconds = self.physics.seconds(rows.body_s)
        correction, variance = self.residual.correct(rows.features(seconds))
        return np.log(seconds) + correction, np.sqrt(variance + self.residual.prior.scatter(seconds))


@dataclass(frozen=True, slots=True)
class Rows:
    """Timings of one precision beside what the model says of their bodies."""

    model: Tiles
    timings: Sequence[Timings]
    body_s: np.ndarray
    seconds: np.ndarray

    @classmethod
    def of(cls, model: Tiles, timings: Sequence[Timings]) -> Rows:
        """The rows of all `timings`, which must have one precision; their layouts may differ."""
        launch = model.constants.launch_s
        body = np.concatenate([model.gemms(one.gemms).seconds - launch for one in timings])
        return cls(model, tuple(timings), body, np.concatenate([one.seconds for one in timings]))

    def features(self, seconds: np.ndarray) -> np.ndarray:
        """`gemm_features` of each row; `seconds` is what the physics says of it."""
        ends = np.cumsum([len(one) for one in self.timings])[:-1].tolist()
        parts = zip(self.timings, np.split(seconds, ends), strict=True)
        return np.concatenate([gemm_features(one.gemms, self.model.device, part) for one, part in parts])

    def take(self, chosen: np.ndarray) -> Rows:
        """The rows at the (ascending) positions `chosen`."""
        parts, start = [], 0
        for one in self.timings:
            inside = chosen[(chosen >= start) & (chosen < start + len(one))] - start
            if len(inside):
                parts.append(one.take(inside))
            start += len(one)
        return Rows(self.model, tuple(parts), self.body_s[chosen], self.seconds[chosen])

    def __len__(self) -> int:
        return len(self.seconds)


def fit_group(model: Tiles, timings: Sequence[Timings], prior: Prior, timings_a_point: int = 1) -> Group:
    """What timings of one precision teach about `model`.

    The half-width of an interval is a multiple of the correction's own standard deviation, so that it grows away from
    what was timed. The multiple is that which held the errors of `COVERAGE` of the timings when each was predicted
    from the others, a tenth of them left out at a time (CV+ of Barber et al., Annals of Statistics 49(1), 2021).
    """
    random = np.random.default_rng(0)
    rows = Rows.of(model, _drawn(timings, random))
    whole = fit(rows, prior, timings_a_point)
    errors, deviations = errors_of_folds(rows, prior, random, timings_a_point)
    launch = min(model.constants.launch_s, whole.physics.added_s)
    return Group(
        precision=timings[0].gemms.precision.name,
        timings=sum(len(one) for one in timings),
        body=whole.physics.body,
        launch_s=launch,
        timing_s=whole.physics.added_s - launch,
        residual=whole.residual,
        quantile=max(conformal_quantile(np.abs(errors) / deviations, COVERAGE), LEAST_QUANTILE),
        mape=float(np.abs(np.expm1(errors)).mean()),
        least_seconds=float(rows.seconds.min()),
        most_seconds=float(rows.seconds.max()),
    )


def _drawn(timings: Sequence[Timings], random: np.random.Generator) -> list[Timings]:
    """All timings, or `MOST_TIMINGS` of them."""
    count = sum(map(len, timings))
    kept = np.ones(count, dtype=bool)
    if count > MOST_TIMINGS:
        kept[random.choice(count, count - MOST_TIMINGS, replace=False)] = False
    parts = np.split(kept, np.cumsum([len(one) for one in timings])[:-1].tolist())
    return [one.take(np.flatnonzero(part)) for one, part in zip(timings, parts, strict=True) if part.any()]


def fit(rows: Rows, prior: Prior, timings_a_point: int = 1) -> Fit:
    """Constants and correction of some rows."""
    physics = fit_physics(rows.body_s, rows.seconds)
    seconds = physics.seconds(rows.body_s)
    errors = np.log(rows.seconds / seconds)
    most = max(1, min(MOST_POINTS, len(rows) // timings_a_point))
    points, means, variances = cluster(rows.features(seconds), errors, prior.scatter(seconds), prior.joint_length, most)
    return Fit(physics, Residual(prior, points, means, widened(prior, points, means, variances)))


def errors_of_folds(
    rows: Rows, prior: Prior, random: np.random.Generator, timings_a_point: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """ln(predicted / measured) of each row, predicted from the rows of other folds, and the correction's deviation."""
    folds = _folds(rows, random)
    errors, deviations = np.empty(len(rows)), np.empty(len(rows))
    for number in range(folds.max() + 1):
        out, kept = np.flatnonzero(folds == number), np.flatnonzero(folds != number)
        judged = rows.take(out)
        mean, deviations[out] = fit(rows.take(kept), prior, timings_a_point).log_seconds(judged)
        errors[out] = mean - np.log(judged.seconds)
    return errors, deviations


def conformal_quantile(scores: np.ndarray, coverage: float) -> float:
    """The score that holds a new one with probability `coverage`: the ⌈(n + 1)·coverage⌉-th smallest.

    >>> conformal_quantile(np.arange(1.0, 20.0), 0.9)  # the 18th of 19
    18.0
    """
    rank = int(np.ceil((len(scores) + 1) * coverage - 1e-9))
    return float(np.sort(scores)[min(rank, len(scores)) - 1])


def _folds(rows: Rows, random: np.random.Generator) -> np.ndarray:
    """The fold of each row [rows]: equal shapes, whatever their layout, in the same; at least two folds."""
    sizes = np.concatenate([np.column_stack([g.batch, g.m, g.n, g.k]) for g in (one.gemms for one in rows.timings)])
    _, shape = np.unique(sizes, axis=0, return_inverse=True)
    shape = shape.ravel()
    count = shape.max() + 1
    return (random.permutation(count) % min(FOLDS, count))[shape]
