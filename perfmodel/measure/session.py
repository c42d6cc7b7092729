"""One measurement session: calibrate, prepare, settle, then rounds of short visits until the intervals are narrow.

Visits of different kernels are interleaved, as a training step interleaves its layers, and an interval is taken over
visits: what varies on a GPU is the clock, the heat and where memory lies, from one visit to the next, not one launch
after the other. Every prefix of a session is a balanced set of data. The protocol and its reasons: docs/measurement.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import nan

from perfmodel.measure.backend import DeviceLost
from perfmodel.measure.bench import Bench
from perfmodel.measure.choice import choose
from perfmodel.measure.job import Job, Progress
from perfmodel.measure.kernels import FAULTS_ALLOWED, Subject, next_round, seed_of
from perfmodel.measure.recorder import Recorder
from perfmodel.measure.sampling import offset_of
from perfmodel.measure.settings import Settings
from perfmodel.measure.warming import STEP_S, Warming, warm_up
from perfmodel.profiles.anomalies import flag_samples, suspect_rounds

MOST_SUSPECT = 5  # rounds: beyond, the session counts as disturbed
RESETTLE_S = 5.0  # before going on with an interrupted session
SPINS_PER_ENQUEUE = 3.0  # a spin must outlast the host's work for a sample
MOST_TRIALS = 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a session ended.

    `status`: complete (all intervals as narrow as asked), unconverged (most visits reached), budget (spent before),
    disturbed (too many suspect rounds). `failed` counts kernels without a time.
    """

    status: str
    kernels: int
    converged: int
    failed: int
    visits: int
    spent_s: float


class Session:
    """The program of one session; `run` carries it out, or what is left of it."""

    def __init__(
        self, jobs: Sequence[Job], bench: Bench, journal, settings: Settings, number: int,
        stop: Callable[[], bool] = lambda: False, progress: Callable[[Progress], None] = lambda progress: None,
    ):  # fmt: skip
        self.jobs, self.bench, self.settings, self.number = jobs, bench, settings, number
        self.stop, self.tell = stop, progress
        self.recorder = Recorder(journal, bench, number, stop, self._resettle)
        self.subjects: dict[int, Subject] = {}
        self.instrument: Mapping = {}
        self.spin_s = settings.spin_s
        self.reference_hz: float | None = None
        self.canaries: list[tuple[int, float, float]] = []
        self.suspect: frozenset[int] = frozenset()
        self.failed = self.visits = 0
        self.spent_s = 0.0
        self.last_fault = ""
        self.deadly: set[str] = set()

    def run(self, flags: Sequence[str] = (), readings: Mapping | None = None) -> Outcome:
        """Measure until done; raises `Interrupted` and `DeviceLost`, with everything recorded that was done."""
        self.instrument = self._calibrate(flags, readings or {})
        self.spin_s = max(self.spin_s, SPINS_PER_ENQUEUE * self.instrument["enqueue_s"])
        for index, job in enumerate(self.jobs):
            self._prepare(index, job)
        status = "complete"
        if self.subjects:
            self._settle()
            status = self._rounds()
        outcome = self._outcome(status)
        self.recorder.note(type="end", status=outcome.status, elapsed_s=self.spent_s)
        return outcome

    def _calibrate(self, flags: Sequence[str], readings: Mapping) -> dict:
        self.tell(Progress("calibrating", 0, len(self.jobs)))
        extra = {"flags": list(flags), "readings": dict(readings)}
        row = self._attempt(lambda: self.bench.calibrate() | extra, type="instrument")
        if row is None:
            raise DeviceLost(f"the instrument cannot be calibrated: {self.last_fault}")
        return row

    def _prepare(self, index: int, job: Job) -> None:
        self.tell(Progress("preparing", index, len(self.jobs)))
        seed = seed_of(self.settings.seed, self.number, index)
        if job.variants:
            job, row = choose(job, index, self.bench, self.instrument, seed, self._attempt, self.recorder, self.deadly)
        else:
            row = self._attempt(
                lambda: job.about() | self.bench.prepare(job.kernel, self.instrument, seed), type="kernel", kernel=index
            )
        if row is None:  # it brought the device down, twice
            self.recorder.note(type="kernel", kernel=index, trial=MOST_TRIALS, status="failed", **job.about())
        if row is None or row["status"] != "ready":
            self.failed += 1
        else:
            self.subjects[index] = Subject.of(index, job, row, self.instrument["event_tick_s"])

    def _settle(self) -> None:
        """Run the workload itself until the clock is steady; the median clock of the last third is the reference."""
        row = self._attempt(self._warm_up, type="settle")
        if row is None:
            raise DeviceLost(f"the device cannot be warmed up with the kernels of the plan: {self.last_fault}")
        self.reference_hz = row["reference_clock_hz"]

    def _warm_up(self) -> dict:
        least_s, most_s = self.settings.settle_least_s, self.settings.settle_most_s
        burst = self.settings.state == "burst"
        warming = self._run_mix(self.subjects.values(), *((STEP_S, STEP_S) if burst else (least_s, most_s)))
        found = {"seconds": warming.seconds, "reference_clock_hz": warming.reference_hz}
        return found | {"settled": warming.steady and not burst}

    def _run_mix(self, subjects: Iterable[Subject], least_s: float, most_s: float) -> Warming:
        def tell(seconds: float) -> None:
            self.tell(Progress("settling", 0, len(self.jobs), spent_s=seconds, budget_s=least_s))

        kernels = [subject.job.kernel for subject in subjects]
        return warm_up(self.bench, kernels, least_s, most_s, self.stop, tell)

    def _resettle(self, without: int | None) -> None:
        """Warm a device up again that has idled since the session was interrupted; the reference clock stays.

        Kernels that are left alone are not run, nor is the one that has just brought the device down.
        """
        fit = [one for one in self.subjects.values() if one.faults < FAULTS_ALLOWED and one.index != without]
        if fit and self.reference_hz is not None and self.settings.state != "burst":
            self._run_mix(fit, RESETTLE_S, RESETTLE_S)

    def _rounds(self) -> str:
        number = 0
        while True:
            number += 1
            alive = list(self.subjects.values())
            order = next_round(alive, self.settings, f"{self.settings.seed}/{self.number}/{number}")
            if not order:
                return "complete"
            order = self.recorder.note(type="round", round=number, order=order)["order"]
            if not self._round(number, order):
                return "budget"
            self._judge(number)

    def _round(self, number: int, order: Sequence[int]) -> bool:
        """The visits of one round; False when the budget is spent before its end."""
        for position, index in enumerate(order):
            if position % self.settings.canary_every == 0 and self.spent_s < self.settings.budget_s:
                self._canary(number, position)
                self._tell()
            if self.spent_s >= self.settings.budget_s:
                return False
            self._visit(number, position, self.subjects[index])
        self._canary(number, len(order))
        return True

    def _visit(self, number: int, position: int, subject: Subject) -> None:
        seed = seed_of(self.settings.seed, self.number, number, position)
        request = subject.request(self.spin_s, seed)

        def act():
            found = self.bench.visit(request)
            seconds, clocks = ([nan if x is None else x for x in found[name]] for name in ("seconds", "clock_hz"))
            flags = {*flag_samples(seconds, clocks, self.reference_hz), *found["flags"]}
            offset_s = offset_of(self.instrument, found["mode"])
            return found | {"regime": "cold", "offset_s": offset_s, "flags": sorted(flags)}

        key = {"kernel": subject.index, "round": number, "position": position}
        row = self._attempt(act, type="visit", **key)
        if row is None:
            subject.faults = FAULTS_ALLOWED
            return
        subject.add(row, offset_of(self.instrument, row.get("mode")))
        self.visits += 1
        if not row.get("verification", {"ok": True})["ok"]:
            reason = row["verification"]["reason"]
            self.recorder.note(type="fault", kind="wrong", failure="Wrong", message=reason, **key)
            subject.faults = FAULTS_ALLOWED

    def _canary(self, number: int, position: int) -> None:
        row = self._attempt(self.bench.canary, type="canary", round=number, position=position)
        if row is not None:
            measured = (nan if row[name] is None else row[name] for name in ("cycles", "copy_s"))
            self.canaries.append((number, *measured))

    def _attempt(self, act: Callable[[], Mapping], **key) -> dict | None:
        """The record of a step, tried twice; None where it failed twice."""
        for trial in range(MOST_TRIALS):
            row = self.recorder.step(act, **key, **({"trial": trial} if trial else {}))
            if key["type"] in ("visit", "canary"):
                self.spent_s += row.get("took_s", 0.0)
            if row["type"] != "fault":
                return row
            self.last_fault = row.get("message", "")
        return None

    def _judge(self, number: int) -> None:
        """Estimate anew, without suspect rounds; a kernel that was done may have lost visits to them."""
        if number < self.settings.least_visits:
            return
        suspect = suspect_rounds(self.canaries)
        changed, self.suspect = suspect != self.suspect, suspect
        for subject in self.subjects.values():
            if changed or subject.is_open(self.settings):
                subject.judge(suspect, self.reference_hz)

    def _outcome(self, status: str) -> Outcome:
        subjects = self.subjects.values()
        self.suspect = suspect_rounds(self.canaries)  # a round that was not finished may be suspect as well
        for subject in subjects:
            subject.judge(self.suspect, self.reference_hz)
        failed = self.failed + sum(subject.faults >= FAULTS_ALLOWED for subject in subjects)
        converged = sum(subject.faults < FAULTS_ALLOWED and subject.converged(self.settings) for subject in subjects)
        if len(self.suspect) > MOST_SUSPECT:
            status = "disturbed"
        elif status == "complete" and converged < len(self.jobs) - failed:
            status = "unconverged"
        return Outcome(status, len(self.jobs), converged, failed, self.visits, self.spent_s)

    def _tell(self) -> None:
        judged = [s.estimate.half_width for s in self.subjects.values() if s.count() >= self.settings.least_visits]
        done = sum(not subject.is_open(self.settings) for subject in self.subjects.values()) + self.failed
        worst = max(judged) if judged else None
        self.tell(Progress("measuring", done, len(self.jobs), self.visits, worst, self.spent_s, self.settings.budget_s))
