"""CPT's precision range test: the fewest bits with which a network learns anything.

From the lowest on, each number of bits trains a few iterations; the first whose training accuracy rises by more than a
threshold is the lower end of the cycle. Fu et al., CPT, ICLR 2021, section 3.3. The released code does not have it and
the paper leaves open how the gain is averaged: here it is the mean accuracy over the second half of the
iterations at some bits less that over the first half.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from perfmodel.errors import InputError
from perfmodel.traces import values


@dataclass(frozen=True, slots=True)
class RangeRule:
    """From `lowest` to `highest` bits, 2 x `averaged` iterations each; a gain above `threshold` ends the search.

    `threshold` has the unit of the accuracies. Raises `InputError` (E1306, E1307, E1501).
    """

    lowest: int = 2
    highest: int = 8
    averaged: int = 50
    threshold: float = 0.01

    def __post_init__(self):
        for key, most in (("lowest", 32), ("highest", 32), ("averaged", 10**6)):
            object.__setattr__(self, key, values.whole(key, getattr(self, key), 1, most))
        object.__setattr__(self, "threshold", float(values.number("threshold", self.threshold)))
        if self.lowest > self.highest:
            found = f"{self.lowest} bits are more than highest, {self.highest}."
            raise InputError.at("E1501", "lowest:", found, "Swap them.")


@dataclass(frozen=True, slots=True)
class Gain:
    """How much accuracy rose at some bits, and whether that is enough."""

    bits: int
    before: float
    after: float
    enough: bool

    @property
    def gain(self) -> float:
        """Mean accuracy over the second half of the iterations less that over the first."""
        return self.after - self.before


class RangeTest:
    """The test under way: in a training loop `observe` each iteration's accuracy, train the next with `bits`.

    `bits` is None once the test is over; `found` is its result, None where no number of bits is enough; `gains` holds
    one entry for each number of bits tried.
    """

    def __init__(self, rule: RangeRule | None = None):
        self.rule = rule or RangeRule()
        self.bits: int | None = self.rule.lowest
        self.found: int | None = None
        self.gains: list[Gain] = []
        self._seen: list[float] = []

    def observe(self, accuracy: float) -> int | None:
        """One iteration's training accuracy; returns the bits of the next. `InputError`: E1306, E1307 for no number.

        After the test is over nothing changes any more.
        """
        accuracy = values.number("accuracy", accuracy)
        if self.bits is None:
            return None
        self._seen.append(accuracy)
        if len(self._seen) == 2 * self.rule.averaged:
            self._judge()
        return self.bits

    def _judge(self) -> None:
        n = self.rule.averaged
        before, after = sum(self._seen[:n]) / n, sum(self._seen[n:]) / n
        enough = after - before > self.rule.threshold
        self.gains.append(Gain(self.bits, before, after, enough))
        self._seen.clear()
        if enough:
            self.found = self.bits
        self.bits = None if enough or self.bits == self.rule.highest else self.bits + 1


def replay_range_test(accuracies: Iterable[float], rule: RangeRule | None = None) -> RangeTest:
    """The test on logged accuracies, one an iteration, of a run that raised its bits as the rule does.

    >>> replay_range_test([10, 10, 10, 20], RangeRule(lowest=3, averaged=1, threshold=5)).found
    4
    """
    test = RangeTest(rule)
    for accuracy in accuracies:
        test.observe(accuracy)
    return test
