"""Sessions of the engine on simulated cards: kernels with a known truth, and what a profile says of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from rules import Metered

from perfmodel.gemm import Gemm
from perfmodel.measure.bench import Bench
from perfmodel.measure.job import Job
from perfmodel.measure.preflight import environment_of
from perfmodel.measure.session import Session
from perfmodel.measure.settings import Settings
from perfmodel.measure.simulated import Scenario, Truth
from perfmodel.profiles.journal import MemoryJournal
from perfmodel.profiles.kernel import Kernel
from perfmodel.profiles.profile import Profile

PRIOR_ERROR = 0.15  # standard deviation of the expected elasticities about the true ones


@dataclass(frozen=True, slots=True)
class Estimates:
    """What one method says about the kernels of one workload, and what is true; the first half is FP32's."""

    seconds: np.ndarray
    low: np.ndarray
    high: np.ndarray
    own: np.ndarray  # the estimand that is stated
    long_run: np.ndarray
    busy_s: float
    wall_s: float

    @property
    def half_width(self) -> np.ndarray:
        """Of the interval, as a share of the time."""
        return (self.high - self.low) / 2 / self.seconds

    def covers(self, truth: np.ndarray) -> np.ndarray:
        """Whether the interval holds the truth, NaN where there is none."""
        return np.where(np.isnan(self.low), np.nan, (self.low <= truth) & (truth <= self.high))


@dataclass(frozen=True, slots=True)
class Workload:
    """Kernels in two precisions, `half` shapes each in order of time; how fast they are, and what a model expects."""

    truths: dict[Kernel, Truth]
    jobs: tuple[Job, ...]

    @property
    def kernels(self) -> list[Kernel]:
        """The kernels in order."""
        return list(self.truths)


def workload(seed: int, shapes: int, weights: bool = False) -> Workload:
    """Shapes of 3 µs to 4 ms in FP32, and the same 1.5 to 4 times faster and less bound by arithmetic in INT8."""
    r = np.random.default_rng([seed, 1])
    seconds = np.sort(np.exp(r.uniform(np.log(3e-6), np.log(4e-3), shapes)))
    elasticity = r.beta(2, 1, shapes)
    power = np.clip(0.3 + 0.7 * elasticity * r.random(shapes) + 0.1 * np.log10(seconds / 3e-6) / 3, 0, 1)
    faster = np.maximum(2e-6, seconds / r.uniform(1.5, 4.0, shapes))
    other = np.clip(elasticity - r.uniform(0, 0.5, shapes), 0, 1)
    other_power = np.clip(power * r.uniform(0.8, 1.1, shapes), 0, 1)
    rows = [*zip(seconds, elasticity, power, strict=True), *zip(faster, other, other_power, strict=True)]
    truths = {Kernel(Gemm(7, 5, i)): Truth(*map(float, row)) for i, row in enumerate(rows, 1)}
    priors = np.clip([t.elasticity + PRIOR_ERROR * r.standard_normal() for t in truths.values()], 0, 1)
    counts = r.integers(1, 24, len(truths)) if weights else np.ones(len(truths))
    jobs = (Job(k, float(w), float(b)) for k, w, b in zip(truths, counts, priors, strict=True))
    return Workload(truths, tuple(jobs))


class Measured:
    """Sessions of the engine on one card, each on a device that begins cold; `profile` is what their records say."""

    def __init__(self, scenario: Scenario, load: Workload, seed: int, settings: Settings | None = None):
        self.scenario, self.load, self.seed = scenario, load, seed
        self.settings = replace(settings or Settings(verify="off"), seed=seed)
        self.records: list[dict] = []
        self.header: dict = {}
        self.spent: dict[int, tuple[float, float]] = {}  # session: busy, wall

    def run(self, number: int, planned: Iterable[Mapping] = ()) -> Measured:
        """One more session; `planned` are records of rounds that it finds in its journal and so follows."""
        card = Metered(self.scenario, 100 * self.seed + number, self.load.truths)
        bench, journal = Bench(lambda: card, self.settings), MemoryJournal()
        self.header = {"environment": environment_of(bench.facts())}
        journal.append({"type": "session", "session": number, "settings": self.settings.to_json(), "started": ""})
        for row in planned:
            journal.append({"type": "round", "session": number, **row})
        Session(self.load.jobs, bench, journal, self.settings, number).run()
        self.records += journal.records
        self.spent[number] = (card.busy_s, card.now_s())
        return self

    def estimates(self, numbers: Sequence[int], clockless: bool = False) -> Estimates:
        """What a profile of these sessions says."""
        rows = [row for row in self.records if row["session"] in numbers]
        profile = Profile.from_records(self.header, without_clock(rows) if clockless else rows)
        assert not profile.damage, profile.damage[0]
        card = Metered(self.scenario, 0, self.load.truths)
        long_run = card.long_run_seconds(self.load.kernels)
        reference = profile.sessions[0].reference_hz / self.scenario.device.boost_clock_hz
        own = np.array([t.seconds * reference**-t.elasticity for t in self.load.truths.values()])
        found = np.array([
            (one.seconds, one.low, one.high) for one in (profile.timings[kernel] for kernel in self.load.kernels)
        ])  # fmt: skip
        spent = np.sum([self.spent[number] for number in numbers], axis=0)
        return Estimates(*found.T, own if len(numbers) == 1 else long_run, long_run, *spent)


def without_clock(rows: Iterable[dict]) -> list[dict]:
    """The records of one or more sessions as if all visits had run at the reference clock: no control variate."""
    rows = list(rows)
    reference = {row["session"]: row["reference_clock_hz"] for row in rows if row["type"] == "settle"}
    changed = {
        "visit": lambda row: {"clock_hz": [reference[row["session"]]] * len(row["seconds"])},
        "kernel": lambda row: {"prior": 0.0},
    }
    return [row | changed[row["type"]](row) if row["type"] in changed else row for row in rows]


def in_file_order(kernels: int) -> list[dict]:
    """The first six rounds, which visit everything, in the order of the plan."""
    return [{"round": number, "order": list(range(kernels))} for number in range(1, 7)]
