"""A small session on a simulated card: kernels of known times, few visits, no waiting."""

import json
from dataclasses import replace
from functools import partial
from unittest.mock import patch

import pytest

from perfmodel.gemm import Gemm
from perfmodel.measure import instrument
from perfmodel.measure.bench import Bench
from perfmodel.measure.job import Job
from perfmodel.measure.recorder import Interrupted
from perfmodel.measure.session import Session
from perfmodel.measure.settings import Settings
from perfmodel.measure.simulated import Simulated, Truth, find_scenario
from perfmodel.measure.simulated.faults import Fault
from perfmodel.profiles.journal import MemoryJournal
from perfmodel.profiles.kernel import Kernel

QUICK = {"settle_least_s": 0.25, "settle_most_s": 0.25, "verify": "off"}


class Rig:
    """Kernels whose truth is known, a scenario, settings, and the records of their session.

    Scenario fields and faults are given as keywords of `on`; every other keyword is a setting.
    """

    def __init__(self, times_s=(3e-3, 5e-3), on="calm", faults=(), seed=1, elasticity=0.5, load=0.5, kernels=None,
                 records=(), change=None, **settings):  # fmt: skip
        self.kernels = kernels or [Kernel(Gemm(7, 5, 3 + 2 * i)) for i in range(len(times_s))]
        self.truths = {
            kernel: Truth(seconds, elasticity, load) for kernel, seconds in zip(self.kernels, times_s, strict=False)
        }
        self.scenario = replace(find_scenario(on), faults=tuple(faults), **(change or {}))
        self.make = partial(Simulated, self.scenario, seed, self.truths)
        self.settings = Settings(**{"seed": seed} | QUICK | settings)
        self.jobs = [Job(kernel, prior=elasticity) for kernel in self.kernels]
        self.journal = MemoryJournal()
        self.journal.records += records

    @property
    def records(self):
        return self.journal.records

    def of(self, kind, /, **fields):
        """The records of one type whose fields are these."""
        return [r for r in self.records if r["type"] == kind and fields.items() <= r.items()]

    def session(self, bench=None, stop=lambda: False, journal=None):
        """A session that has not begun."""
        bench = bench or Bench(self.make, self.settings)
        return Session(self.jobs, bench, self.journal if journal is None else journal, self.settings, 1, stop)

    def run(self, **keywords):
        """The outcome of the session; `self.last` is the session."""
        with patch.object(instrument, "REPEATS", 41):  # calibration is tested by itself
            self.last = self.session(**keywords)
            return self.last.run()

    def run_until(self, steps):
        """Run until Ctrl-C at the so manieth time that somebody asks for it; whether it came to that."""
        asked = iter(range(1, 10**9))
        try:
            self.run(stop=lambda: next(asked) == steps)
        except Interrupted:
            return True
        return False

    def errors(self):
        """By how much each estimate is off the time at the reference clock, as a share."""
        relative = self.last.reference_hz / self.scenario.device.boost_clock_hz
        truths = [truth.seconds * relative**-truth.elasticity for truth in self.truths.values()]
        found = [self.last.subjects[i].estimate for i in sorted(self.last.subjects)]
        return [one.seconds / true - 1 for one, true in zip(found, truths, strict=True)]

    def covered(self):
        """Whether each interval holds that time."""
        relative = self.last.reference_hz / self.scenario.device.boost_clock_hz
        pairs = zip(self.last.subjects.values(), self.truths.values(), strict=True)
        return [one.estimate.low <= t.seconds * relative**-t.elasticity <= one.estimate.high for one, t in pairs]

    def fault_at(self, record, kind, **fields):
        """The fault that strikes the step that this record, of a session without faults, is of."""
        kernel = self.kernels[record["kernel"]].text if "kernel" in record else ""
        return Fault(kind, kernel, counter=record["state"]["counter"] - 1, **fields)


def canonical(records):
    """The records in an order that does not depend on when they were written."""
    return sorted(json.dumps(record, sort_keys=True) for record in records)


@pytest.fixture(scope="session")
def rig():
    """`Rig`: call it to make one."""
    return Rig


@pytest.fixture(scope="session")
def sorted_records():
    """`canonical`."""
    return canonical
