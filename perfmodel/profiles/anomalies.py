"""What is conspicuous: samples that are unusable, high or throttled, disturbed rounds, visits in two modes.

Nothing is discarded for it: samples and visits are flagged, and visits of a disturbed round do not count. Times are in
seconds, clocks in Hz.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from perfmodel.profiles.intervals import TO_SD, median, part

LEAST_MAD = 1e-4  # of the median: samples on one tick have none
HIGH = 5.0  # robust standard deviations
THROTTLED = 0.9  # of the reference clock
SUSPECT = 0.02
LEAST_ROUNDS = 3  # with two, nobody knows which of them was disturbed
LEAST_FOR_MODES = 8
MODES_APART = 0.02


def usable(seconds: float, clock_hz: float) -> bool:
    """Whether a sample can enter the statistics: its time and its clock are finite and positive.

    >>> usable(3e-4, 1.5e9), usable(0.0, 1.5e9), usable(3e-4, float("nan"))
    (True, False, False)
    """
    return positive(seconds) and positive(clock_hz)


def flag_samples(seconds: Sequence[float], clock_hz: Sequence[float], reference_hz: float) -> list[str]:
    """What is conspicuous about the samples of one visit: any of `bad_clock`, `high`, `throttle`, in this order.

    `bad_clock`: a sample is not usable, and does not count for the others. `high`: one lies five robust standard
    deviations above the median. `throttle`: a clock is below 0.9 of the reference; not told where that is nan.
    """
    pairs = list(zip(seconds, clock_hz, strict=True))
    good = [(float(time), float(clock)) for time, clock in pairs if usable(time, clock)]
    flags = ["bad_clock"] if len(good) < len(pairs) else []
    if good:
        times = sorted(time for time, _ in good)
        middle = median(times)
        mad = max(median(sorted(abs(time - middle) for time in times)), LEAST_MAD * middle)
        if times[-1] > middle + HIGH * TO_SD * mad:
            flags.append("high")
        if positive(reference_hz) and min(clock for _, clock in good) < THROTTLED * reference_hz:
            flags.append("throttle")
    return flags


def suspect_rounds(canaries: Iterable[tuple[int, float, float]]) -> frozenset[int]:
    """The rounds in which a fixed piece of work took a different time: something else used the device.

    A canary is (round, cycles, seconds of a copy); those of one round are replaced by their medians. A round is
    suspect where one of the two is off the median over all rounds by more than 2 %, and by more than five robust
    standard deviations between rounds: a card that is merely noisy has no suspect rounds. None is with fewer than
    three rounds.
    Values that are not finite and positive do not count.
    """
    rounds: dict[int, tuple[list[float], list[float]]] = {}
    for number, *measured in canaries:
        for values, value in zip(rounds.setdefault(number, ([], [])), measured, strict=True):
            if positive(value):
                values.append(float(value))
    found: set[int] = set()
    for kind in (0, 1):
        medians = {number: median(sorted(values[kind])) for number, values in rounds.items() if values[kind]}
        if len(medians) >= LEAST_ROUNDS:
            middle = median(sorted(medians.values()))
            mad = median(sorted(abs(value - middle) for value in medians.values()))
            limit = max(SUSPECT * middle, HIGH * TO_SD * mad)
            found.update(number for number, value in medians.items() if abs(value - middle) > limit)
    return frozenset(found)


def modes(values: Iterable[float]) -> tuple[float, float] | None:
    """The medians of both groups where visit values fall into two, else None; see `is_unstable`."""
    values = list(values)
    if not all(map(positive, values)):
        raise ValueError("times must be finite and positive")
    ordered = sorted(map(float, values))
    groups = part(ordered) if len(ordered) >= LEAST_FOR_MODES else None
    if groups is None or groups[1][0] - groups[0][-1] <= MODES_APART * median(ordered):
        return None
    return median(groups[0]), median(groups[1])


def is_unstable(values: Iterable[float]) -> bool:
    """Whether visit values have two modes, so that one number says little: eight or more values, parted by a gap.

    The gap is above 2 % of the median and above three times what the groups on either side spread; each holds a fifth
    of the values or more (see `part`). Raises `ValueError` for what is not finite and positive.
    """
    return modes(values) is not None


def positive(value: float) -> bool:
    """Whether a number is finite and above zero."""
    return bool(0.0 < value <= sys.float_info.max)  # also for whole numbers too large for a float
