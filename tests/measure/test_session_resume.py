"""A session that was interrupted, or whose file lost records, ends bit for bit like one that was not."""

import random
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from perfmodel.measure.preflight import environment_of
from perfmodel.measure.recorder import Interrupted, sessions_in
from perfmodel.profiles.environment import make_header
from perfmodel.profiles.journal import Journal, read_journal
from perfmodel.profiles.profile import Profile, read_profile

TWENTY = {"on": "drift", "least_visits": 10, "half_width": 0.5, "canary_every": 7}
BEGUN = {"type": "session", "session": 1, "settings": {}, "request": {}, "started": "2026-11-22T10:00:00+00:00"}


@pytest.fixture(scope="module")
def whole(rig):
    """The session of 20 visits that nothing interrupts."""
    whole = rig(**TWENTY)
    whole.outcome = whole.run()
    assert whole.outcome.visits == 20
    return whole


def rest_of(rig, records, **changes):
    """The session that goes on from these records, at its end."""
    rest = rig(records=records, **TWENTY | changes)
    rest.outcome = rest.run()
    return rest


def test_a_stop_at_any_step_changes_nothing(rig, whole):
    steps = 1
    while (part := rig(**TWENTY)).run_until(steps):
        assert part.records == whole.records[: len(part.records)]
        rest = rest_of(rig, part.records)
        assert (rest.outcome, rest.records) == (whole.outcome, whole.records)
        steps += 1
    assert steps > 40  # calibration, two kernels, settling, 20 visits, two canaries in each of ten rounds


@pytest.mark.parametrize("apart", [2, 3, 7, 11])
def test_many_interruptions_of_one_session_change_nothing(rig, whole, apart):
    records, times = [], 0
    while (part := rig(records=records, **TWENTY)).run_until(apart + 1):  # each time it gets so many steps further
        assert len(part.records) > len(records)
        records, times = part.records, times + 1
    assert part.records == whole.records
    assert times >= 40 // apart


def test_any_one_lost_record_is_made_again(rig, whole, sorted_records):
    for lost in range(len(whole.records)):
        rest = rest_of(rig, whole.records[:lost] + whole.records[lost + 1 :])
        assert rest.records[-1] == whole.records[lost]  # where only its order in the file differs
        assert rest.outcome == whole.outcome
        assert sorted_records(rest.records) == sorted_records(whole.records)


@pytest.mark.parametrize("seed", range(10))
def test_any_set_of_lost_records_is_made_again(rig, whole, sorted_records, seed):
    draw = random.Random(seed)
    left = [record for record in whole.records if draw.random() < 0.7]
    draw.shuffle(left)
    assert sorted_records(rest_of(rig, left).records) == sorted_records(whole.records)


def test_only_the_end_is_missing(rig, whole):
    rest = rest_of(rig, whole.records[:-1])
    assert rest.records == whole.records


def test_a_finished_session_is_not_measured_again(rig, whole):
    rest = rest_of(rig, whole.records)
    assert (rest.outcome, rest.records) == (whole.outcome, whole.records)


def test_another_seed_would_give_other_records(rig, whole):
    """The comparisons above can fail."""
    other = rig(**TWENTY | {"seed": 2})
    other.run()
    assert other.records != whole.records


def test_faults_are_not_met_again(rig, sorted_records):
    """The fault, the restart, and what came after are as in the session that was not interrupted."""
    plain = rig(**TWENTY)
    plain.run()
    visit = plain.of("visit")[7]
    broken = TWENTY | {"faults": [plain.fault_at(visit, "illegal address")]}
    whole = rig(**broken)
    whole.run()
    assert len(whole.of("fault")) == 1
    at = next(i for i, record in enumerate(whole.records) if record["type"] == "fault")
    for cut in (at, at + 1, at + 2, len(whole.records) - 3):
        rest = rig(records=whole.records[:cut], **broken)
        rest.run()
        if cut > at:  # before, a device that was restored no longer meets it
            assert sorted_records(rest.records) == sorted_records(whole.records)
        assert rest.last.visits == 20


def test_a_clock_that_jumps_changes_nothing(rig, whole):
    draw = random.Random(3)
    with patch("time.time", lambda: draw.uniform(-1e9, 1e10)), patch("time.time_ns", lambda: draw.randrange(10**19)):
        jumpy = rig(**TWENTY)
        assert jumpy.run() == whole.outcome
    assert jumpy.records == whole.records


def test_a_device_that_keeps_no_state_warms_up_again(rig, whole):
    """A real one; the reference clock stays."""
    part = rig(**TWENTY)
    part.run_until(25)
    rest = rig(records=[{k: v for k, v in r.items() if k != "state"} for r in part.records], **TWENTY)
    session = rest.session()
    calls = []
    settle = session.bench.settle
    session.bench.settle = lambda *args: calls.append(args) or settle(*args)
    session.bench.state = dict
    session.run()
    assert 20 <= len(calls) <= 22  # 5 s in steps of 0.25 s
    assert session.reference_hz == whole.last.reference_hz
    assert len(rest.of("settle")) == 1
    assert len(rest.of("visit")) == 20


def test_burst_does_not_warm_up(rig):
    part = rig(on="drift", state="burst")
    part.run_until(15)
    assert part.of("settle")[0]["settled"] is False
    rest = rig(records=[{k: v for k, v in r.items() if k != "state"} for r in part.records], on="drift", state="burst")
    session = rest.session()
    session.bench.settle = None  # never called
    session.bench.state = dict
    assert session.run().status == "complete"


# Any sequence of runs, kills and damage, on a real file

PLAN = {"on": "drift", "least_visits": 6, "half_width": 0.5, "canary_every": 7}


def keys_of(records):
    names = ("type", "kind", "kernel", "round", "position", "trial")
    return {tuple(record.get(name) for name in names) for record in records}


class Sessions(RuleBasedStateMachine):
    """One profile file through runs that are killed, torn tails, flipped bits, and a second reader."""

    rig = folder = whole = None

    @initialize()
    def begin(self):
        Sessions.count = getattr(Sessions, "count", 0) + 1
        self.path = self.folder / f"{Sessions.count}.jsonl"
        environment = environment_of(self.rig(**PLAN).make().facts())
        with Journal.create(self.path, make_header(environment, "2026-11-22T10:00:00Z", "test"), sync=False) as journal:
            journal.append(BEGUN)
        self.begun = self.path.read_bytes()
        self.intact = read_journal(self.path).records
        self.ever = list(self.intact)
        self.over = False

    def _run(self, stop):
        """Run with a journal that is dropped, not closed in good order."""
        before = self.path.read_bytes()
        session = self.rig(**PLAN)
        acknowledged = []
        with Journal.open(self.path, sync=False) as journal:
            session.journal = journal
            append = journal.append
            journal.append = lambda record: (append(record), acknowledged.append(record))
            try:
                session.run(stop=stop)
                self.over = True
            except Interrupted:
                self.over = False
        assert self.path.read_bytes().startswith(before)  # nothing is ever rewritten
        readable = read_journal(self.path).records
        assert readable[-len(acknowledged) :] == acknowledged or not acknowledged
        assert len(readable) == len(self.intact) + len(acknowledged)
        self.intact = readable
        self.ever += acknowledged

    @rule(steps=st.integers(1, 25))
    def run_some_steps_and_kill(self, steps):
        asked = iter(range(10**9))
        self._run(lambda: next(asked) >= steps)

    @rule()
    def run_to_the_end(self):
        self._run(lambda: False)
        assert self.over

    @rule(cut=st.integers(1, 2000))
    def tear_the_tail(self, cut):
        data = self.path.read_bytes()
        self.path.write_bytes(data[: max(len(self.begun), len(data) - cut)])
        self._lost_some()

    @rule(where=st.floats(0, 1), bit=st.integers(0, 7))
    def flip_a_bit(self, where, bit):
        data = bytearray(self.path.read_bytes())
        place = len(self.begun) + int(where * (len(data) - len(self.begun)))
        if place < len(data):
            data[place] ^= 1 << bit
            self.path.write_bytes(data)
        self._lost_some()

    @rule(junk=st.binary(min_size=1, max_size=40))
    def add_junk(self, junk):
        self.path.write_bytes(self.path.read_bytes() + junk)
        self._lost_some()

    def _lost_some(self):
        """Damage takes records away and makes none up; but a bit that is flipped back gives one back."""
        left = read_journal(self.path).records
        assert all(record in self.ever for record in left)
        self.intact = left

    @invariant()
    def timings_do_not_depend_on_the_order_of_the_records(self):
        reading = read_journal(self.path)
        profile = read_profile(self.path)
        shuffled = random.Random(5).sample(reading.records, len(reading.records))
        again = Profile.from_records(reading.header, shuffled)
        assert repr(again.timings) == repr(profile.timings)

    def teardown(self):
        if self.folder is None or not hasattr(self, "path"):
            return
        self.run_to_the_end()
        found = {repr(record) for record in self.intact}
        assert found == {repr(record) for record in [BEGUN, *self.whole.records]}
        assert sessions_in(self.intact) == {1: True}
        self.path.unlink()


def run_machine(rig, folder, examples, steps):
    whole = rig(**PLAN)
    whole.run()
    machine = type("Machine", (Sessions,), {"rig": rig, "folder": folder, "whole": whole})
    checks = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    run_state_machine_as_test(machine, settings=checks)


def test_any_sequence_of_runs_kills_and_damage(rig, tmp_path):
    run_machine(rig, tmp_path, 50, 20)


@pytest.mark.nightly
def test_more_sequences_of_runs_kills_and_damage(rig, tmp_path):
    run_machine(rig, tmp_path, 500, 30)
