"""What a session knows of each kernel while it runs, and which kernels it visits next."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from perfmodel.measure.job import Job
from perfmodel.measure.sampling import Visit
from perfmodel.measure.settings import Settings
from perfmodel.profiles.anomalies import usable
from perfmodel.profiles.statistics import (
    SessionEstimate,
    estimate_session,
    expected_gain,
    resolution_of,
    visit_seconds,
)
from perfmodel.units import ceil_div

FAULTS_ALLOWED = 2  # a kernel that fails as often is left alone
RECHECK_EVERY = 10  # visits of a kernel
ROUND_SHARE = 5  # one in so many open kernels is visited in a later round
LEAST_ROUND = 20  # kernels of a round, while so many are open: fewer would not be interleaved


@dataclass(slots=True)
class Subject:
    """One kernel under measurement: how it is launched, and the values of its visits (two numbers each)."""

    index: int
    job: Job
    launches: int
    sets: int
    mode: str
    expected_s: float
    tick_s: float  # of the event clock
    visits: list[tuple[int, float, float]] = field(default_factory=list)  # round, seconds, clock
    attempts: int = 0
    faults: int = 0
    estimate: SessionEstimate | None = None

    @classmethod
    def of(cls, index: int, job: Job, record: Mapping, tick_s: float) -> Subject:
        """The subject of a `kernel` record whose status is ready."""
        parts = (record[name] for name in ("launches", "sets", "mode", "expected_s"))
        return cls(index, job, *parts, tick_s)

    def request(self, spin_s: float, seed: int) -> Visit:
        """The next visit."""
        recheck = self.attempts % RECHECK_EVERY == RECHECK_EVERY - 1
        return Visit(self.job.kernel, self.launches, self.sets, self.mode, spin_s, seed, recheck, self.expected_s)

    def add(self, record: Mapping, offset_s: float) -> None:
        """The value of a visit, from its record; its samples take `offset_s` beyond their launches."""
        self.attempts += 1
        pairs = zip(record["seconds"], record["clock_hz"], strict=True)
        good = [(s, f) for s, f in pairs if s is not None and f is not None and usable(s, f)]
        value = visit_seconds([s for s, _ in good], record["launches"], offset_s)
        if value > 0:  # neither nan nor below the offset
            self.visits.append((record["round"], value, median(f for _, f in good)))

    def judge(self, suspect: Iterable[int], reference_hz: float) -> None:
        """Estimate anew from the visits in rounds that are not suspect."""
        kept = [visit for visit in self.visits if visit[0] not in suspect]
        if not kept:
            self.estimate = None
            return
        values, clocks = [v for _, v, _ in kept], [f for _, _, f in kept]
        resolution = resolution_of(self.tick_s, (value * self.launches for value in values))
        self.estimate = estimate_session(values, clocks, reference_hz, self.job.prior, resolution)

    def count(self) -> int:
        """Visits behind the estimate."""
        return self.estimate.visits if self.estimate else 0

    def is_open(self, settings: Settings) -> bool:
        """Whether it needs further visits, and may have them."""
        if self.faults >= FAULTS_ALLOWED or self.attempts >= settings.most_visits:
            return False
        return not self.converged(settings)

    def converged(self, settings: Settings) -> bool:
        """Whether its interval is as narrow as asked."""
        return self.count() >= settings.least_visits and self.estimate.half_width <= settings.half_width


def next_round(subjects: Sequence[Subject], settings: Settings, name: str) -> list[int]:
    """The kernels of the next round, each once, in random order; none when all are done.

    Kernels with fewer visits than an interval needs come first, all together. Then the fifth of the open kernels, or
    twenty, by which a visit shortens the interval of the whole step most, for the device time that it takes (Neyman's
    rule); fewer would follow the rule more closely and be less interleaved.
    """
    alive = [one for one in subjects if one.is_open(settings)]
    chosen = [one for one in alive if one.count() < settings.least_visits]
    if not chosen:
        ranked = sorted(alive, key=lambda one: (-_gain(one, settings), one.index))
        chosen = ranked[: max(LEAST_ROUND, ceil_div(len(ranked), ROUND_SHARE))]
    order = sorted(one.index for one in chosen)
    random.Random(name).shuffle(order)
    return order


def seed_of(*parts: object) -> int:
    """A 32-bit number that depends on all parts."""
    return zlib.crc32("/".join(map(str, parts)).encode())


def _gain(subject: Subject, settings: Settings) -> float:
    sample_s = max(settings.sample_s, subject.launches * subject.expected_s)
    cost_s = settings.condition_s + settings.samples * (sample_s + settings.spin_s)
    weight_s = subject.job.weight * subject.estimate.seconds
    return expected_gain(weight_s, subject.estimate.spread, subject.count(), cost_s)
