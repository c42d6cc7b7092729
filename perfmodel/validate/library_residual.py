"""Convolutions of one long series: what each timing added as the session went on, and a correction learned from them.

    seconds = added + drift·position + factor·body·exp(correction)

`position`, from 0 to 1, is where a timing stands among those of its series: what its session had done before. It says
nothing of the convolution, but much of how it was timed (docs/convolutions.md); `ordered=False` does without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from perfmodel.calibration.fit import conformal_quantile
from perfmodel.calibration.robust import widened
from perfmodel.cost.residual import Prior, Residual
from perfmodel.validate.baselines import fit_two
from perfmodel.validate.leastsquares import fit_parts
from perfmodel.validate.ledger import Model
from perfmodel.validate.library import FOLDS, library_body, library_features, library_two, offered
from perfmodel.validate.problems import Guess, Lesson, Problems, Question
from perfmodel.validate.scores import COVERAGE

LEAST_SHAPES = 100  # different problems to fit on: 24 gained nothing on DeepBench, 50 one to three points on NeuSight
MOST_TIMINGS = 1024  # to learn from; of more, so many across the series: the time it takes grows with their cube
MOST_TIED = 0.2  # correlation of position and size; beyond it, a drift would stand for something of the sizes
LEAST_KERNEL = 0.2  # of what the kernel should take, where the rest seems to take all of a timing
# Deviations and lengths (of features that vary by one) among which the timings themselves choose.
JOINTS, LENGTHS, NOISES = (0.15, 0.35), (2.0, 4.0), (0.03, 0.06, 0.1, 0.15)
CONSTANT, EACH, EACH_LENGTH = 0.1, 0.1, 1.5


@dataclass(frozen=True, slots=True)
class Rows:
    """Timings beside what is known of their convolutions: model's seconds, position in the series, and features."""

    body: np.ndarray
    position: np.ndarray
    features: np.ndarray

    @classmethod
    def of(cls, problems: Problems, at: np.ndarray) -> Rows:
        """The rows at these positions of a series."""
        position = np.searchsorted(np.sort(problems.lines), problems.lines) / len(problems)
        return cls(library_body(problems), position, library_features(problems)).take(at)

    def take(self, at: np.ndarray) -> Rows:
        """Some of the rows."""
        return Rows(self.body[at], self.position[at], self.features[at])


@dataclass(frozen=True, slots=True)
class Session:
    """How a device ran and what its session added to each timing."""

    factor: float
    added_s: float
    drift_s: float

    def parts(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """Seconds of each kernel, and those that its timing holds besides."""
        return self.factor * rows.body, self.added_s + self.drift_s * rows.position


@dataclass(frozen=True, slots=True)
class Learned:
    """A session, and the correction of its kernels over features that were centred and scaled."""

    session: Session
    residual: Residual
    centre: np.ndarray
    scale: np.ndarray

    def seconds(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """What a timing of each row would show, and the standard deviation of its logarithm."""
        kernel, rest = self.session.parts(rows)
        correction, variance = self.residual.correct((rows.features - self.centre) / self.scale)
        kernel = kernel * np.exp(correction)
        share = kernel / (kernel + rest)
        return kernel + rest, np.sqrt(share**2 * variance + self.residual.prior.noise**2)


def library_learned(lessons: Sequence[Lesson], ordered: bool = True) -> Model:
    """As `library_two`, with drift and correction where the lessons are one series of `LEAST_SHAPES` and more.

    The interval's half-width is a multiple of the deviation that the correction claims: the one that held nine in ten
    timings when predicted from nine tenths of the shapes. Other series than that of the lessons get `library_two`.
    """
    usual = library_two(lessons)
    if len(lessons) != 1 or len(np.unique(shapes := lessons[0].problems.shapes[lessons[0].at])) < LEAST_SHAPES:
        return usual
    problems = lessons[0].problems
    kept = np.unique(np.linspace(0, len(shapes) - 1, MOST_TIMINGS).astype(int))
    shapes, seconds, rows = shapes[kept], lessons[0].seconds[kept], Rows.of(problems, lessons[0].at[kept])
    prior = choose_prior(rows, seconds, ordered)
    whole = fit(rows, seconds, prior, ordered)
    fold = np.unique(shapes, return_inverse=True)[1] % FOLDS
    quantile = conformal_quantile(_scores(rows, seconds, fold, prior, ordered), COVERAGE)

    def answer(question: Question) -> Guess:
        if question.problems is not problems:
            return usual(question)
        found, deviation = whole.seconds(Rows.of(problems, question.at))
        width = quantile * deviation
        return Guess(found, found * np.exp(-width), found * np.exp(width))

    return answer


def many_shapes(problems: Problems) -> bool:
    """Whether a half of the series can teach a correction."""
    return offered(problems) and len(np.unique(problems.shapes)) >= 2 * LEAST_SHAPES


def fit_session(rows: Rows, seconds: np.ndarray, ordered: bool) -> Session:
    """Factor, what each timing adds, and how that grew; no drift where positions go with sizes, or are not to count."""
    ranks = np.argsort(np.argsort(rows.body))
    if not ordered or not np.ptp(rows.position) or abs(np.corrcoef(rows.position, ranks)[0, 1]) > MOST_TIED:
        return Session(*np.exp(fit_two(rows.body, seconds)).tolist(), 0.0)
    terms = np.stack([rows.body, np.ones(len(seconds)), rows.position])
    added = 0.5 * float(seconds.min())
    starts = [np.log([1.2, first, drift]) for first in (2e-5, added) for drift in (1e-5, added)]
    return Session(*np.exp(fit_parts(lambda x: np.exp(x)[:, None] * terms, seconds, starts)).tolist())


def fit(rows: Rows, seconds: np.ndarray, prior: Prior, ordered: bool) -> Learned:
    """Session first, then the correction of what it leaves over."""
    session = fit_session(rows, seconds, ordered)
    centre, scale = _standard(rows.features)
    points, (errors, variances) = (rows.features - centre) / scale, _kernel_errors(session, rows, seconds, prior)
    return Learned(session, Residual(prior, points, errors, widened(prior, points, errors, variances)), centre, scale)


def choose_prior(rows: Rows, seconds: np.ndarray, ordered: bool) -> Prior:
    """Of a few priors, the one under which these timings are the most likely."""
    session = fit_session(rows, seconds, ordered)
    centre, scale = _standard(rows.features)
    points = (rows.features - centre) / scale
    found: dict[float, Prior] = {}
    for joint, length in product(JOINTS, LENGTHS):
        covariance = _prior(points.shape[1], joint, length, 0.0).covariance(points, points)
        for noise in NOISES:
            prior = _prior(points.shape[1], joint, length, noise)
            errors, variances = _kernel_errors(session, rows, seconds, prior)
            found[_log_likelihood(covariance + np.diag(variances), errors)] = prior
    return found[max(found)]


def _prior(count: int, joint: float, length: float, noise: float) -> Prior:
    every = np.ones(count)
    return Prior(CONSTANT, joint, noise, 0.0, length * every, EACH * every, EACH_LENGTH * every)


def _standard(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre and scale of each feature; one that does not vary stays."""
    spread = found.std(axis=0)
    return found.mean(axis=0), np.where(spread > 1e-9, spread, 1.0)


def _kernel_errors(session: Session, rows: Rows, seconds: np.ndarray, prior: Prior) -> tuple[np.ndarray, np.ndarray]:
    """ln(measured / modelled) of each kernel alone, and its variance: large where the kernel is little of a timing."""
    kernel, rest = session.parts(rows)
    left = np.maximum(seconds - rest, LEAST_KERNEL * kernel)
    share = kernel / (kernel + rest)
    return np.log(left / kernel), (prior.noise / share) ** 2


def _log_likelihood(covariance: np.ndarray, errors: np.ndarray) -> float:
    """But for a constant."""
    root = np.linalg.cholesky(covariance)
    white = np.linalg.solve(root, errors)
    return float(-0.5 * white @ white - np.log(np.diag(root)).sum())


def _scores(rows: Rows, seconds: np.ndarray, fold: np.ndarray, prior: Prior, ordered: bool) -> np.ndarray:
    """|log error| of each timing, predicted from other folds, in deviations."""
    found = np.empty(len(seconds))
    for number in range(FOLDS):
        out = fold == number
        guess, deviation = fit(rows.take(~out), seconds[~out], prior, ordered).seconds(rows.take(out))
        found[out] = np.abs(np.log(guess / seconds[out])) / deviation
    return found
