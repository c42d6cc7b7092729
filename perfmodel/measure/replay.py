"""A recorded session in the place of a device: the same samples again, and none that was not recorded.

It stands where a `Bench` does, one floor above the driver calls of `Backend`: a profile holds the results of whole
procedures (a calibration, a visit), and giving out anything finer would mean inventing it. So one can ask what other
settings would have done, such as a wider interval or a smaller budget, on the raw samples of a real GPU.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from perfmodel.measure.backend import READINGS, DeviceFacts, NotRecorded
from perfmodel.measure.sampling import Visit
from perfmodel.profiles.kernel import Kernel

FROM_VISIT = ("launches", "sets", "mode", "seconds", "clock_hz", "flags", "readings")
BEFORE_STATUS = ("type", "session", "kernel", "what", "weight", "prior", "bound_s", "took_s", "state", "trial")
INSTRUMENT = (
    "event_tick_s", "event_offset_s", "launch_s", "graph_gap_s", "graph_offset_s", "enqueue_s", "spin_s",
    "copy_bytes_per_s",
)  # fmt: skip


class Replay:
    """Session `number` of a journal. Visits of a kernel come in the order in which they were made.

    Raises `NotRecorded` for a kernel, a visit or a canary that the session does not hold.
    """

    def __init__(self, header: Mapping, records: Sequence[Mapping], number: int):
        rows = [row for row in records if row.get("session") == number]
        self._environment = header["environment"]
        self._single = {row["type"]: row for row in rows if row["type"] in ("instrument", "settle")}
        self._kernels = {Kernel.from_json(row["what"]): row for row in rows if row["type"] == "kernel"}
        index = {row["kernel"]: kernel for kernel, row in self._kernels.items()}
        self._visits: dict[Kernel, deque] = {kernel: deque() for kernel in self._kernels}
        for row in sorted((r for r in rows if r["type"] == "visit"), key=_order):
            self._visits[index[row["kernel"]]].append(row)
        self._canaries = deque(sorted((row for row in rows if row["type"] == "canary"), key=_order))
        self._now_s = 0.0

    def facts(self) -> DeviceFacts:
        """Those of the device that was measured, as a replay."""
        rest = {name: self._environment[name] for name in ("driver", "runtime", "compiler", "kernels")}
        return DeviceFacts(**{**self._environment["device"], **rest, "kind": "replay"})

    def readings(self, names: Sequence[str] = READINGS) -> dict:
        """The device's state when the session began."""
        found = self._one("instrument").get("readings", {})
        return {name: found.get(name) for name in names}

    def calibrate(self) -> dict:
        """The recorded calibration."""
        row = self._take(self._one("instrument"))
        return {name: row[name] for name in INSTRUMENT}

    def prepare(self, kernel: Kernel, instrument: Mapping, seed: int) -> dict:
        """What was found when the kernel was prepared."""
        row = self._take(self._kernel(kernel))
        return {name: value for name, value in row.items() if name not in BEFORE_STATUS}

    def pilot(self, kernel: Kernel, instrument: Mapping, seed: int) -> dict:
        """The recorded time of a kernel; a replay has no other variants."""
        return (
            {"expected_s": self._kernel(kernel)["expected_s"]} if kernel in self._kernels else {"reason": "not timed"}
        )

    def settle(self, kernels: Sequence[Kernel], first: int, limit_s: float) -> dict:
        """The whole recorded warming up in one step, at its reference clock."""
        row = self._take(self._one("settle"))
        return {"seconds": row["seconds"], "clock_hz": row["reference_clock_hz"], "next": 0}

    def visit(self, visit: Visit) -> dict:
        """The next recorded visit of the kernel."""
        self._kernel(visit.kernel)
        if not self._visits[visit.kernel]:
            raise NotRecorded(f"no further visit of {visit.kernel.text}")
        row = self._take(self._visits[visit.kernel].popleft())
        return {name: row[name] for name in (*FROM_VISIT, *("verification",) * ("verification" in row))}

    def canary(self) -> dict:
        """The next recorded canary."""
        if not self._canaries:
            raise NotRecorded("no further canary")
        row = self._take(self._canaries.popleft())
        return {"cycles": row["cycles"], "copy_s": row["copy_s"]}

    def now_s(self) -> float:
        """Seconds that the replayed steps took."""
        return self._now_s

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._now_s += seconds

    def state(self) -> dict:
        """None: a replay is not resumed."""
        return {}

    def restore(self, state: Mapping) -> bool:
        """A replay is not resumed."""
        return False

    def restart(self) -> None:
        """Nothing breaks."""

    def close(self) -> None:
        """Nothing is held."""

    def _one(self, kind: str) -> Mapping:
        if kind not in self._single:
            raise NotRecorded(f"the session has no {kind} record")
        return self._single[kind]

    def _kernel(self, kernel: Kernel) -> Mapping:
        if kernel not in self._kernels:
            raise NotRecorded(f"{kernel.text} is not in the session")
        return self._kernels[kernel]

    def _take(self, row: Mapping) -> Mapping:
        self._now_s += row.get("took_s", 0.0)
        return row


def _order(row: Mapping) -> tuple[int, int]:
    return row["round"], row["position"]
