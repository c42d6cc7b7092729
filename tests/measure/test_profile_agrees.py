"""A profile says of the records of a session what the session said while it ran: the same numbers, to the last bit."""

import math
from unittest.mock import patch

import pytest

from perfmodel.measure import instrument
from perfmodel.measure.simulated.faults import Fault
from perfmodel.measure.simulated.scenario import Instrument
from perfmodel.measure.simulated.world import Environment, Span
from perfmodel.profiles.environment import make_header
from perfmodel.profiles.lines import decode, encode
from perfmodel.profiles.profile import Profile

HEADER = make_header({"device": {"kind": "simulated", "name": "a card"}}, "2026-11-22T10:00:00Z", "test")
TIMES_S = (2e-5, 7e-4, 3e-3)
TENANT = Environment(tenants=(Span(0.40, 0.441, 0.2), Span(0.494, 0.535, 0.2)))
SCENARIOS = {
    "calm": {},
    "drift": {"on": "drift", "half_width": 0.004, "most_visits": 20},
    "nine visits and more": {"on": "drift", "least_visits": 11},
    "another process comes and goes": {"change": {"environment": TENANT}, "least_visits": 9, "most_visits": 20},
    "throttled": {"change": {"environment": Environment(throttles=(Span(0.4, 0.5, 0.5),))}},
    "samples without a time": {"faults": [Fault("bad samples", "7x5x5", value="nan", times=9, call=20)]},
    "clocks that cannot be": {"faults": [Fault("bad clock", "7x5x5", value="inf", times=9, call=20)]},
    "no graphs": {"faults": [Fault("capture", times=0)]},
    "some batches are not captured": {"faults": [Fault("capture", "7x5x3", times=7, call=20)]},
    "the budget ends": {"budget_s": 0.2, "least_visits": 7},
    "a kernel that hangs": {"faults": "from the sixth round on"},
}


def scenario(rig, name):
    fields = dict(SCENARIOS[name])
    if fields.get("faults") == "from the sixth round on":
        plain = rig(TIMES_S)
        plain.run()
        fields["faults"] = [plain.fault_at(plain.of("visit")[15], "hang", always=True)]
    return fields


def compared(rig):
    """Session and profile of each kernel: all that must be equal, and the ends of the interval."""
    header, *records = decode([encode(HEADER), *map(encode, rig.records)])  # as a file gives them back
    profile = Profile.from_records(header, records)
    (session,) = profile.sessions
    assert session.suspect_rounds == rig.last.suspect
    assert session.reference_hz == rig.last.reference_hz
    for subject in rig.last.subjects.values():
        one, other = subject.estimate, profile.timings[subject.job.kernel]
        names = ("seconds", "visits", "raw_seconds", "elasticity", "elasticity_sd", "spread")
        assert [getattr(one, name) for name in names] == [getattr(other, name) for name in names]
        ends = [(one.low, other.low), (one.high, other.high)]
        if math.isnan(one.low):
            assert other.interval == "none"
        else:
            assert all(a == b for a, b in ends)
        yield one


@pytest.mark.parametrize("name", SCENARIOS)
def test_without_a_tick_all_is_equal(rig, name):
    plan = rig(TIMES_S, **scenario(rig, name))
    with patch.object(instrument, "tick_of", lambda seconds: 0.0):
        plan.run()
    estimates = list(compared(plan))
    assert len(estimates) == 3
    assert all(one.visits >= 4 for one in estimates)


@pytest.mark.parametrize("name", ["calm", "drift"])
def test_with_a_tick_all_is_equal_too(rig, name):
    plan = rig(TIMES_S, change={"instrument": Instrument(event_tick_s=1e-6)}, **SCENARIOS[name])
    plan.run()
    assert len(list(compared(plan))) == 3


def test_the_scenarios_are_what_they_are_called(rig):
    """Rounds are suspect, samples bad, batches one by one, kernels broken: else nothing would be compared."""
    runs = {}
    for name in SCENARIOS:
        runs[name] = rig(TIMES_S, **scenario(rig, name))
        runs[name].outcome = runs[name].run()
    assert runs["another process comes and goes"].last.suspect
    assert any("throttle" in v["flags"] for v in runs["throttled"].of("visit"))
    for name in ("samples without a time", "clocks that cannot be"):
        assert any("bad_clock" in v["flags"] for v in runs[name].of("visit")), name
    assert {v["mode"] for v in runs["no graphs"].of("visit")} == {"stream"}
    some = {(v["mode"], v["offset_s"]) for v in runs["some batches are not captured"].of("visit")}
    row = runs["some batches are not captured"].of("instrument")[0]
    assert some == {("stream", row["event_offset_s"]), ("graph", row["graph_offset_s"])}
    assert runs["the budget ends"].outcome.status == "budget"
    assert runs["a kernel that hangs"].of("fault")
