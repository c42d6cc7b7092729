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

KEYS = ("type", "session", "kernel", "round", "position", "trial")
FAULTS_IN_A_ROW = 8  # two of each kernel: where four in a row crash, it is the device


NUMBER, OPTIONAL = (int, float), (int, float, type(None))
NEEDED = {
    "instrument": {"event_tick_s": NUMBER, "event_offset_s": NUMBER, "enqueue_s": NUMBER, "graph_offset_s": OPTIONAL},
    "kernel": {"status": str},
    "settle": {"reference_clock_hz": NUMBER},
    "round": {"round": int, "order": list},
    "canary": {"cycles": OPTIONAL, "copy_s": OPTIONAL},
    "visit": {"launches": int, "seconds": list, "clock_hz": list},
    "fault": {"kind": str},
}
NEEDED_WHEN_READY = {"launches": int, "sets": int, "mode": str, "offset_s": NUMBER, "expected_s": NUMBER}


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
        self._state: dict | None = None  # after the latest step
        self._live = True  # whether the device is where the latest step left it
        self._faults = 0

    def known(self, **key) -> dict | None:
        """The record of a step, if there is one."""
        return self._known.get(_key({**key, "session": self.number}))

    def note(self, **row) -> dict:
        """A step that does nothing but be recorded: a decision."""
        return self.known(**row) or self._write({**row, "session": self.number})

    def step(self, act: Callable[[], Mapping], **key) -> dict:
        """The record of a step, carried out if there is none. A device fault is recorded as `fault` of the same key.

        Raises `DeviceLost` where the device does not come back, or eight steps in a row fail; `Interrupted`.
        """
        for row in (self.known(**key), self.known(**{**key, "type": "fault", "kind": key["type"]})):
            if row is not None:
                self._state, self._live = row.get("state", self._state), False
                return row
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
        return self._write({**key, "session": self.number, **row})

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


def is_whole(row: Mapping) -> bool:
    """Whether a record has what the engine needs of it; one that was edited by hand may not, and is made again."""
    needed = NEEDED.get(row.get("type"), {})
    if row.get("type") == "kernel" and row.get("status") == "ready":
        needed = needed | NEEDED_WHEN_READY
    return all(name in row and isinstance(row[name], kinds) for name, kinds in needed.items())


def _text(fault: DeviceFault) -> str:
    return "; ".join(str(part) for part in fault.args) or type(fault).__name__


def sessions_in(records: Sequence[Mapping]) -> dict[int, bool]:
    """The sessions of a journal, and whether each is over."""
    found: dict[int, bool] = {}
    for row in records:
        if row.get("type") in ("session", "end") and type(row.get("session")) is int:
            found[row["session"]] = row["type"] == "end" or found.get(row["session"], False)
    return found
