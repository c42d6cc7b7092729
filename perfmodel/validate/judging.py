"""Every model on every series, by every protocol: fitted here, judged there, and scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.validate.contenders import Contender, of_kind
from perfmodel.validate.ledger import Ledger
from perfmodel.validate.problems import Guess, Problems, Series
from perfmodel.validate.protocols import Turn, find_turns
from perfmodel.validate.scores import Score, binomial_p, mean_score, score, size_classes

ALL = "all"
LEAST_OF_TAG = 5  # rows of a tag that are worth a line


@dataclass(frozen=True, slots=True)
class Verdict:
    """How wrong one model was on one series (`part` "all") or a part of it, and what it had been fitted on.

    `rows` were judged in each of `draws`; figures are means over them. `p` is that of the coverage, if all was well.
    """

    problems: Problems
    model: str
    fitted: str
    part: str
    rows: int
    draws: int
    score: Score
    p: float


def judge(
    series: Sequence[Series], contenders: Sequence[Contender], draws: int, ledger: Ledger,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> list[Verdict]:  # fmt: skip
    """The verdicts on all series; `tell` hears how many of how many are judged."""
    found: list[Verdict] = []
    for number, one in enumerate(series):
        tell(number, len(series))
        problems = one.problems
        for contender in of_kind(contenders, problems.kind):
            if contender.speaks(problems):
                for protocol in contender.protocols:
                    found += _verdicts(one, series, contender, protocol, draws, ledger)
    return found


def _verdicts(one, series, contender: Contender, protocol: str, draws: int, ledger: Ledger) -> Iterator[Verdict]:
    """The verdict on the whole series, and those on its parts, of one model and protocol."""
    guesses = [
        answered
        for turns in find_turns(one, series, protocol, draws)
        if (answered := _answer(one, contender, turns, ledger)) is not None
    ]
    if not guesses:
        return
    for part, chosen in _parts(one):
        scores, rows = [], []
        for at, guess in guesses:
            inside = np.isin(at, chosen)
            if inside.any():
                rows.append(int(inside.sum()))
                scores.append(score(_take(guess, inside), one.seconds[at[inside]]))
        if scores:
            mean = mean_score(scores)
            count = round(float(np.mean(rows)))
            p = np.nan if np.isnan(mean.coverage) else binomial_p(round(mean.coverage * count), count)
            yield Verdict(one.problems, contender.name, protocol, part, count, len(scores), mean, p)


def _answer(one: Series, contender: Contender, turns: list[Turn], ledger: Ledger) -> tuple[np.ndarray, Guess] | None:
    """Positions and guesses of all turns that had enough to fit on and an answer; None where none had."""
    found = []
    for lessons, judged in turns:
        if lessons and sum(map(len, lessons)) < contender.least:
            continue
        fitted = ledger.fit(contender.name, contender.fit, lessons, contender.devices(one.problems.device))
        guess = ledger.judge(fitted, one.question(judged))
        if guess is not None:
            found.append((judged, guess))
    if not found:
        return None
    at = np.concatenate([judged for judged, _ in found])
    ends = (np.concatenate([getattr(guess, name) for _, guess in found]) for name in ("seconds", "low", "high"))
    return at, Guess(*ends)


def _parts(one: Series) -> Iterator[tuple[str, np.ndarray]]:
    """The whole series, its size classes, and the rows of each tag that is neither rare nor common to all."""
    yield ALL, np.arange(len(one))
    yield from size_classes(one.seconds).items()
    for tag in sorted({tag for tags in one.tags for tag in tags}):
        at = np.array([i for i, tags in enumerate(one.tags) if tag in tags])
        if LEAST_OF_TAG <= len(at) < len(one):
            yield tag, at


def _take(guess: Guess, inside: np.ndarray) -> Guess:
    return Guess(guess.seconds[inside], guess.low[inside], guess.high[inside])
