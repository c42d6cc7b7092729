"""How wrong predictions are: relative errors, their spread, and whether intervals cover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import lgamma, log, nan

import numpy as np

from perfmodel.validate.problems import Guess

COVERAGE = 0.9
CLASSES = {"under 0.1 ms": 1e-4, "0.1 to 1 ms": 1e-3, "1 to 10 ms": 1e-2, "10 ms and more": np.inf}


@dataclass(frozen=True, slots=True)
class Score:
    """Errors relative to the measured time, as shares: mean and median size, the size that 90 % stay below, and bias.

    `coverage` is the share of intervals that hold the measured time, `width` the median of (high - low) / predicted;
    NaN without intervals. `spread` is the standard deviation of `mape` over draws, NaN of a single one.
    """

    mape: float
    median: float
    p90: float
    bias: float
    coverage: float = nan
    width: float = nan
    spread: float = nan


def score(guess: Guess, seconds: np.ndarray) -> Score:
    """The score of one set of predictions.

    >>> score(Guess.of(np.array([1.1, 0.8])), np.array([1.0, 1.0])).mape
    0.15000000000000002
    """
    error = guess.seconds / seconds - 1
    size = np.abs(error)
    known = np.isfinite(guess.low) & np.isfinite(guess.high)
    coverage = width = nan
    if known.any():
        inside = (guess.low <= seconds) & (seconds <= guess.high)
        coverage = float(inside[known].mean())
        width = float(np.median((guess.high - guess.low)[known] / guess.seconds[known]))
    figures = (size.mean(), np.median(size), np.quantile(size, 0.9), error.mean())
    return Score(*map(float, figures), coverage, width)


def mean_score(scores: Sequence[Score]) -> Score:
    """The mean of each figure over draws, with the spread of the error between them."""
    if len(scores) == 1:
        return scores[0]
    names = [field.name for field in fields(Score) if field.name != "spread"]
    means = {name: float(np.mean([getattr(one, name) for one in scores])) for name in names}
    return Score(**means, spread=float(np.std([one.mape for one in scores], ddof=1)))


def size_classes(seconds: np.ndarray) -> dict[str, np.ndarray]:
    """Which rows took how long: positions by class, empty classes left out.

    >>> {name: at.tolist() for name, at in size_classes(np.array([5e-5, 2.0, 1e-4])).items()}
    {'under 0.1 ms': [0], '0.1 to 1 ms': [2], '10 ms and more': [1]}
    """
    number = np.searchsorted(list(CLASSES.values()), seconds, side="right")
    found = {name: np.flatnonzero(number == i) for i, name in enumerate(CLASSES)}
    return {name: at for name, at in found.items() if len(at)}


def binomial_p(hits: int, trials: int, share: float = COVERAGE) -> float:
    """Two-sided p-value of so many hits if each comes with probability `share`.

    The probability of all outcomes that are no likelier than this one (the exact test as R's `binom.test` has it).

    >>> round(binomial_p(7, 7), 4), round(binomial_p(3, 5), 5)
    (1.0, 0.08146)
    """
    logs = np.array([_log_probability(i, trials, share) for i in range(trials + 1)])
    return float(min(1.0, np.exp(logs[logs <= logs[hits] + 1e-7]).sum()))


def _log_probability(hits: int, trials: int, share: float) -> float:
    ways = lgamma(trials + 1) - lgamma(hits + 1) - lgamma(trials - hits + 1)
    return ways + hits * log(share) + (trials - hits) * log(1 - share)
