"""Steps of a session that survive interruption: what the journal already holds is not done again.

The engine is one straight program of steps. Each has a key; a step whose record is there is answered from it, any
other is carried out, recorded and only then answered. So resuming is running the same program again, and it takes the
same decisions, because these depend on records alone.

Each record holds the state of the device after it, where the device has one to tell (a simulated one does). Before the
first step that is carried out after a recorded one, the device goes back to that state: a simulated session that was
interrupted, or lost a record to a damaged file, ends bit for bit like one that was not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from perfmodel.measure.backend import DeviceFault, DeviceLost
from perfmodel.measure.wholeness import KEYS, MOST_NUMBERED, is_whole

FAULTS_IN_A_ROW = 8  # two of each kernel: where four in a row crash, it is the device


class Interrupted(Exception):
    """Somebody wants the session to stop; what was recorded is on the disk."""


class Recorder:
    """The steps of session `number`, on a journal and a bench.

    `stop` is asked before each step that would be carried out. `resettle` is called when steps are carried out after
    recorded ones, or after a restart, on a device that cannot go back to a state; its argument is the kernel that
    made the restart necessary, or None.
    """

    def __init__(
        self, journal, bench, number: int, stop: Callable[[], bool], resettle: Callable[[int | None], None]
    ):  # fmt: skip
        self._journal, self._bench, self._stop, self._resettle = journal, bench, stop, resettle
        self.number = number
        mine = (row for row in reversed(journal.records) if row.get("session") == number and is_whole(row))
        self._known = {_key(row): row for row in mine}
        self._ready: set[int] = set()  # kernels of which there is a record that says so
        self._state: dict | None = None  # after the latest step
        self._live = True  # whether the device is where the latest step left it
        self._faults = 0

    def known(self, **key) -> dict | None:
        """The record of a step, if there is one."""
        return self._known.get(_key({**key, "session": self.number}))

    def note(self, **row) -> dict:
        """A step that does nothing but be recorded: a decision."""
        known, planned = self.known(**row), self._ready.union(row.get("order", ()))
        if known is not None and planned.issuperset(known.get("order", ())):  # else edited: there are no such kernels
            return self._noticed(known)
        return self._noticed(self._write({**row, "session": self.number}))

    def step(self, act: Callable[[], Mapping], **key) -> dict:
        """The record of a step, carried out if there is none. A device fault is recorded as `fault` of the same key.

        Raises `DeviceLost` where the device does not come back, or eight steps in a row fail; `Interrupted`.
        """
        for row in (self.known(**key), self.known(**{**key, "type": "fault", "kind": key["type"]})):
            if row is not None:
                self._state, self._live = row.get("state", self._state), False
                return self._noticed(row)
        if self._stop():
            raise Interrupted
        try:
            self._return_to_state()
            start = self._bench.now_s()
            row = dict(act())
            row["took_s"] = self._bench.now_s() - start
            row |= self._where()
        except DeviceLost:
            raise
        except DeviceFault as fault:
            return self._record_fault(fault, key)
        self._faults = 0
        return self._noticed(self._write({**key, "session": self.number, **row}))

    def _noticed(self, row: dict) -> dict:
        if row["type"] == "kernel" and row.get("status") == "ready":
            self._ready.add(row["kernel"])
        return row

    def _record_fault(self, fault: DeviceFault, key: Mapping) -> dict:
        self._faults += fault.sticky
        if self._faults >= FAULTS_IN_A_ROW:
            raise DeviceLost(f"{self._faults} steps in a row failed, the last with: {_text(fault)}") from fault
        try:
            if fault.sticky:
                self._bench.restart()
                self._live = False
                self._return_to_state(without=key.get("kernel"))
            where = self._where()
        except DeviceFault as error:
            raise DeviceLost(f"after {_text(fault)}, a restart failed with: {_text(error)}") from error
        text = {"failure": type(fault).__name__, "message": _text(fault)}
        return self._write({**key, "type": "fault", "kind": key["type"], "session": self.number, **text, **where})

    def _return_to_state(self, without: int | None = None) -> None:
        if not self._live:
            if self._state is None or not self._bench.restore(self._state):
                self._resettle(without)
            self._live = True

    def _where(self) -> dict:
        """The state of the device, where it has one to tell."""
        state = self._bench.state()
        return {"state": state} if state else {}

    def _write(self, row: dict) -> dict:
        self._journal.append(row)
        self._state = row.get("state", self._state)
        return row


def _key(row: Mapping) -> tuple:
    kind = row.get("kind") if row.get("type") == "fault" else None
    return (*(row.get(name) for name in KEYS), kind)


def _text(fault: DeviceFault) -> str:
    return "; ".join(str(part) for part in fault.args) or type(fault).__name__


def sessions_in(records: Sequence[Mapping]) -> dict[int, bool]:
    """The sessions of a journal that can be read back, and whether each is over."""
    found: dict[int, bool] = {}
    for row in records:
        if row.get("type") in ("session", "end") and is_session_number(row.get("session")):
            found[row["session"]] = row["type"] == "end" or found.get(row["session"], False)
    return found


def open_number(records: Sequence[Mapping]) -> int | None:
    """The number of the latest session that is not over; None where all are."""
    still_open = [number for number, over in sessions_in(records).items() if not over]
    return still_open[-1] if still_open else None


def is_session_number(value: object) -> bool:
    """Whether a session can have this number: a profile reads no other."""
    return type(value) is int and 1 <= value <= MOST_NUMBERED


def free_number(records: Sequence[Mapping]) -> int:
    """The number of a new session: the one after the highest, or where that is the last, the first that is free."""
    taken = {row["session"] for row in records if is_session_number(row.get("session"))}
    number = max(taken, default=0) + 1
    return number if number <= MOST_NUMBERED else next(one for one in range(1, MOST_NUMBERED) if one not in taken)
