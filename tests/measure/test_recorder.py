"""Steps are carried out once, recorded before they are answered, and faults end where they belong."""

import pytest

from perfmodel.measure.backend import DeviceLost, Hang, KernelFault, NotReadable, OutOfDeviceMemory
from perfmodel.measure.recorder import Interrupted, Recorder, free_number, is_whole, sessions_in
from perfmodel.profiles.journal import MemoryJournal


class FakeBench:
    """A device whose state is how often it was asked for one; each call of `now_s` is 3 s later."""

    def __init__(self, states=True):
        self.states, self.count, self.time_s = states, 0, 0.0
        self.calls = []
        self.broken = False  # the next restore fails

    def now_s(self):
        self.time_s += 3.0
        return self.time_s

    def state(self):
        self.count += 1
        return {"count": self.count} if self.states else {}

    def restore(self, state):
        self.calls.append(("restore", state))
        if self.broken:
            raise Hang("no answer")
        self.count = state["count"]
        return self.states

    def restart(self):
        self.calls.append("restart")
        self.count = 0


def recorder(records=(), bench=None, stop=lambda: False, number=1):
    journal = MemoryJournal()
    journal.records += records
    bench = bench or FakeBench()
    return Recorder(journal, bench, number, stop, lambda without: bench.calls.append(("resettle", without))), journal


def failing(*faults):
    """An act that raises these in turn, then answers."""
    left = list(faults)

    def act():
        if left:
            raise left.pop(0)
        return {"value": 7}

    return act


def test_a_step_is_recorded_with_its_time_and_state():
    steps, journal = recorder()
    row = steps.step(lambda: {"value": 7}, type="work", kernel=2, round=3, position=5)
    expected = {"type": "work", "session": 1, "kernel": 2, "round": 3, "position": 5, "value": 7, "took_s": 3.0}
    assert row == expected | {"state": {"count": 1}}
    assert journal.records == [row]


def test_a_recorded_step_is_not_carried_out():
    steps, journal = recorder()
    row = steps.step(lambda: {"value": 7}, type="work", round=3)
    again, journal = recorder(journal.records, stop=lambda: True)
    assert again.step(None, type="work", round=3) == row
    assert again.known(type="work", round=3) == row
    assert again.known(type="work", round=4) is None
    assert again.known(type="canary", round=3) is None
    assert journal.records == [row]


def test_the_first_of_two_records_counts():
    rows = [{"type": "warming", "session": 1, "value": value} for value in (5, 7)]
    assert recorder(rows)[0].known(type="warming")["value"] == 5


def test_other_sessions_are_not_known():
    rows = [{"type": "warming", "session": 1, "value": 5}]
    steps, journal = recorder(rows, number=2)
    assert steps.known(type="warming") is None
    assert steps.step(lambda: {"value": 7}, type="warming")["session"] == 2
    assert len(journal.records) == 2


def test_a_note_is_written_once():
    steps, journal = recorder()
    row = steps.note(type="round", round=3, order=[1, 0])
    assert journal.records == [row] == [{"type": "round", "session": 1, "round": 3, "order": [1, 0]}]
    again, journal = recorder(journal.records)
    assert again.note(type="round", round=3, order=[0, 1]) == row
    assert len(journal.records) == 1


def test_a_stop_is_asked_before_each_step_that_is_carried_out():
    answers = iter([False, True])
    steps, journal = recorder(stop=lambda: next(answers))
    steps.step(dict, type="work", round=1)
    with pytest.raises(Interrupted):
        steps.step(dict, type="work", round=2)
    assert len(journal.records) == 1


def test_the_device_goes_back_to_the_last_recorded_state():
    rows = [{"type": "work", "session": 1, "round": n, "state": {"count": n + 4}} for n in (1, 2)]
    bench = FakeBench()
    steps, journal = recorder(rows, bench)
    for number in (1, 2, 3, 4):
        steps.step(lambda: {"value": 7}, type="work", round=number)
    assert bench.calls == [("restore", {"count": 6})]  # once, before the third
    assert [row["state"]["count"] for row in journal.records] == [5, 6, 7, 8]


def test_a_gap_is_filled_from_the_state_before_it():
    rows = [{"type": "work", "session": 1, "round": n, "state": {"count": n}} for n in (1, 3)]
    bench = FakeBench()
    steps, journal = recorder(rows, bench)
    for number in (1, 2, 3, 4):
        steps.step(dict, type="work", round=number)
    assert bench.calls == [("restore", {"count": 1}), ("restore", {"count": 3})]
    assert [(row["round"], row["state"]["count"]) for row in journal.records[2:]] == [(2, 2), (4, 4)]


def test_a_device_that_cannot_go_back_is_warmed_up_again():
    bench = FakeBench(states=False)
    steps, _ = recorder([{"type": "work", "session": 1, "round": 1}], bench)
    steps.step(dict, type="work", round=1)
    steps.step(dict, type="work", round=2)
    steps.step(dict, type="work", round=3)
    assert bench.calls == [("resettle", None)]


def test_a_fault_then_success():
    bench = FakeBench()
    steps, journal = recorder(bench=bench)
    steps.step(dict, type="warming")
    act = failing(KernelFault("launch failure"))
    fault = steps.step(act, type="work", kernel=2, round=1)
    assert fault == {
        "type": "fault", "kind": "work", "session": 1, "kernel": 2, "round": 1, "failure": "KernelFault",
        "message": "launch failure", "state": {"count": 2},
    }  # fmt: skip
    assert bench.calls == ["restart", ("restore", {"count": 1})]
    row = steps.step(act, type="work", kernel=2, round=1, trial=1)
    assert (row["type"], row["trial"], row["value"]) == ("work", 1, 7)
    again, _ = recorder(journal.records)
    assert again.step(None, type="work", kernel=2, round=1) == fault
    assert again.step(None, type="work", kernel=2, round=1, trial=1) == row


def test_what_broke_a_device_without_states_is_named_to_who_warms_it_up():
    bench = FakeBench(states=False)
    steps, _ = recorder(bench=bench)
    steps.step(failing(Hang("no answer")), type="work", kernel=5, round=1)
    assert bench.calls == ["restart", ("resettle", 5)]


@pytest.mark.parametrize("fault", [OutOfDeviceMemory(7, 5), NotReadable("no")])
def test_some_faults_need_no_restart_and_may_go_on_for_ever(fault):
    bench = FakeBench()
    steps, journal = recorder(bench=bench)
    for number in range(1, 10):
        assert steps.step(failing(fault), type="work", round=number)["type"] == "fault"
    assert bench.calls == []
    assert len(journal.records) == 9


def test_eight_faults_in_a_row_are_the_device():
    steps, journal = recorder()
    for number in range(1, 8):
        steps.step(failing(Hang("no answer")), type="work", round=number)
    with pytest.raises(DeviceLost, match="8 steps in a row failed, the last with: no answer"):
        steps.step(failing(Hang("no answer")), type="work", round=8)
    assert len(journal.records) == 7


@pytest.mark.parametrize(
    ("row", "whole"),
    [
        ({"type": "visit", "launches": 3, "seconds": [1e-3], "clock_hz": [1e9]}, True),
        ({"type": "visit", "launches": "3", "seconds": [1e-3], "clock_hz": [1e9]}, False),
        ({"type": "visit", "launches": 3, "seconds": [1e-3]}, False),
        ({"type": "kernel", "status": "failed"}, True),
        ({"type": "kernel", "status": "ready", "launches": 3}, False),
        ({"type": "canary", "cycles": None, "copy_s": 1e-3}, True),
        ({"type": "canary", "copy_s": 1e-3}, False),
        ({"type": "of another version"}, True),
        ({"type": "kernel", "status": "done"}, False),
        ({"type": "settle", "reference_clock_hz": -1.5e9}, False),
        ({"type": "canary", "cycles": 10**400, "copy_s": 1e-3}, False),
    ],
)
def test_a_record_that_lacks_something_is_made_again(row, whole):
    assert is_whole(row) == whole
    steps, _ = recorder(records=[{**row, "session": 1}])
    key = {name: row[name] for name in ("type",)}
    assert (steps.known(**key) is not None) == whole
    assert steps.step(lambda: {"made": "again"}, **key).get("made") == (None if whole else "again")


VISIT = {"type": "visit", "kernel": 2, "round": 3, "position": 5, "session": 1, "launches": 7, "seconds": [3e-3, None],
         "clock_hz": [-1.5e9, 1.5e9], "took_s": 0.25, "state": {"counter": 9}}  # fmt: skip
READY = {"type": "kernel", "kernel": 2, "session": 1, "status": "ready", "launches": 7, "sets": 3, "mode": "graph",
         "offset_s": 3e-6, "expected_s": 5e-6}  # fmt: skip


def test_whole_visits_and_kernels_are_whole():
    assert is_whole(VISIT)
    assert is_whole(READY)


@pytest.mark.parametrize(
    "edited",
    [
        VISIT | {"kernel": []}, VISIT | {"round": {}}, VISIT | {"position": -1}, VISIT | {"trial": 1.0},
        VISIT | {"session": True}, VISIT | {"took_s": "1"}, VISIT | {"took_s": None}, VISIT | {"took_s": -1.0},
        VISIT | {"took_s": float("inf")}, VISIT | {"state": [9]}, VISIT | {"launches": 0}, VISIT | {"launches": True},
        VISIT | {"seconds": [3e-3]}, VISIT | {"seconds": [3e-3, "x"]}, VISIT | {"seconds": [3e-3, 1e308]},
        VISIT | {"clock_hz": [[], 1.5e9]}, VISIT | {"clock_hz": [10**400, 1.5e9]}, VISIT | {"verification": {}},
        VISIT | {"verification": None}, VISIT | {"verification": {"ok": False}}, READY | {"launches": 0},
        READY | {"sets": 0}, READY | {"mode": "by hand"}, READY | {"expected_s": -1.0}, READY | {"offset_s": 1e300},
        {"type": "round", "session": 1, "round": 3, "order": []},
        {"type": "round", "session": 1, "round": 3, "order": [[]]},
    ],
)  # fmt: skip
def test_an_edited_record_counts_as_missing(edited):
    assert not is_whole(edited)
    steps, _ = recorder(records=[edited])
    assert steps.known(type=edited["type"], kernel=edited.get("kernel") or 2, round=3, position=5) is None


@pytest.mark.parametrize("order", [[0, 5], [-1], [10**9]])
def test_a_round_of_kernels_that_are_not_there_is_decided_anew(order):
    steps, journal = recorder([READY, {"type": "round", "session": 1, "round": 3, "order": order}])
    steps.step(None, type="kernel", kernel=2)
    assert steps.note(type="round", round=3, order=[2])["order"] == [2]
    assert len(journal.records) == 3


def test_a_recorded_round_may_hold_more_than_the_one_that_is_asked_for():
    row = {"type": "round", "session": 1, "round": 3, "order": [2, 0]}
    steps, journal = recorder([READY, row])
    steps.step(None, type="kernel", kernel=2)
    assert steps.note(type="round", round=3, order=[0]) == row
    assert len(journal.records) == 2


def test_a_success_in_between_starts_the_count_again():
    steps, _ = recorder()
    for number in range(1, 30):
        act = failing(Hang("no answer")) if number % 8 else dict
        steps.step(act, type="work", round=number)


def test_a_lost_device_is_not_restarted():
    bench = FakeBench()
    steps, journal = recorder(bench=bench)
    with pytest.raises(DeviceLost, match="off the bus"):
        steps.step(failing(DeviceLost("off the bus")), type="work", round=1)
    assert (bench.calls, journal.records) == ([], [])


def test_a_restart_that_fails_is_a_lost_device():
    bench = FakeBench()
    steps, journal = recorder(bench=bench)
    steps.step(dict, type="warming")
    bench.broken = True
    with pytest.raises(DeviceLost, match="after launch failure, a restart failed with: no answer"):
        steps.step(failing(KernelFault("launch failure")), type="work", round=1)
    assert len(journal.records) == 1


@pytest.mark.parametrize("moment", ["now_s", "state", "restore"])
def test_a_fault_around_a_step_is_one_of_the_step(moment):
    """As where the worker process is killed while nothing runs on the device."""
    bench = FakeBench()
    steps, journal = recorder([{"type": "warming", "session": 1, "state": {"count": 5}}], bench)
    steps.step(None, type="warming")
    whole, failures = getattr(bench, moment), [Hang("no answer")]

    def once(*arguments):
        if failures:
            raise failures.pop()
        return whole(*arguments)

    setattr(bench, moment, once)
    assert steps.step(dict, type="work", round=1)["type"] == "fault"
    row = steps.step(lambda: {"value": 7}, type="work", round=1, trial=1)
    assert (row["value"], row["state"]) == (7, {"count": 7})
    assert [r["type"] for r in journal.records] == ["warming", "fault", "work"]


def test_messages_of_faults_without_arguments():
    steps, _ = recorder()
    assert steps.step(failing(KernelFault()), type="work")["message"] == "KernelFault"
    assert steps.step(failing(OutOfDeviceMemory(7, 5)), type="canary")["message"] == "7; 5"


def test_a_record_that_cannot_be_written_is_no_answer():
    steps, journal = recorder()

    def full(record):
        raise OSError("no space")

    journal.append = full
    with pytest.raises(OSError, match="no space"):
        steps.step(dict, type="work", round=1)


def test_which_sessions_are_over():
    rows = [
        {"type": "session", "session": 1}, {"type": "end", "session": 1}, {"type": "session", "session": 3},
        {"type": "work", "session": 7}, {"type": "session", "session": "x"}, {"type": "session", "session": True},
    ]  # fmt: skip
    assert sessions_in(rows) == {1: True, 3: False}
    assert sessions_in(reversed(rows[:2])) == {1: True}


@pytest.mark.parametrize(
    ("numbers", "free"),
    [([], 1), ([1, 2], 3), ([5], 6), ([7, 10**30, True, -3, "9"], 8), ([10**9], 1), ([1, 2, 10**9], 3)],
)
def test_a_new_session_has_a_number_that_is_read_back(numbers, free):
    assert free_number([{"type": "visit", "session": number} for number in numbers]) == free


def test_sessions_that_cannot_be_read_back_cannot_be_gone_on_with():
    rows = [{"type": "session", "session": number} for number in (0, 3, 10**9 + 1, True, "5")]
    assert sessions_in(rows) == {3: False}
