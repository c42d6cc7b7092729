"""Faults of a scenario: what goes wrong, and at which call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, nan

KERNEL_FAULTS = ("launch failure", "illegal address")
KINDS = (
    "out of memory", "build", "capture", *KERNEL_FAULTS, "hang", "device lost", "reading", "bad samples",
    "bad clock", "wrong", "interrupt", "late enqueue",
)  # fmt: skip
LASTING = ("capture", "reading", "wrong")  # properties of a device or kernel, not events: each call meets them
BAD_VALUES = {
    "nan": lambda true, step: nan,
    "inf": lambda true, step: inf,
    "zero": lambda true, step: 0.0,
    "negative": lambda true, step: -true,
    "decreasing": lambda true, step: -step,  # the later reading lies one step before the earlier one
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong. A call matches when its kernel's text holds `kernel` and the counter is right.

    It happens at the matching calls number `call` to `call + times - 1` in the life of the simulated device; all of
    them where `times` is 0. `counter` is how many states were saved before; a device that was restored at this very
    counter no longer meets it, so that it happens once although the worker was replaced. With `always` it happens at
    every match from that counter on, to a restored device as well.
    """

    kind: str
    kernel: str = ""
    counter: int | None = None
    call: int = 1
    times: int = 1
    always: bool = False
    how: str = ""  # of a wrong product
    value: str = ""  # of bad samples and bad clocks
    names: tuple[str, ...] = ()  # of readings
    message: str = ""  # of a failed build
    real: bool = False  # a hang that blocks
    free_bytes: int | None = None  # the device has no more memory than this
    factor: float = 1.0  # of late enqueueing, between these host times
    from_s: float = 0.0
    to_s: float = inf

    def matches(self, subject: str) -> bool:
        """Whether it concerns this kernel's text, or this reading."""
        if self.kind == "reading":
            return subject in self.names or "all" in self.names
        return self.kernel in subject


class Plan:
    """The faults of one simulated device, and which of them have happened."""

    __slots__ = ("_by_kind", "_counter", "_restored", "_seen")

    def __init__(self, faults: Iterable[Fault]):
        self._by_kind: dict[str, list[Fault]] = {}
        for fault in faults:
            self._by_kind.setdefault(_moment(fault), []).append(fault)
        self._counter, self._restored = 0, False
        self._seen: dict[int, int] = {}  # matching calls so far, by identity: two faults may be equal

    def __bool__(self) -> bool:
        return bool(self._by_kind)

    def reach(self, counter: int, restored: bool) -> None:
        """The counter is now this one, by a saved state or by restoring one."""
        self._counter, self._restored = counter, restored

    def active(self, kind: str) -> list[Fault]:
        """The faults of a kind that the counter lets happen."""
        return [fault for fault in self._by_kind.get(kind, ()) if self._counts(fault)]

    def strikes(self, kind: str, subject: str = "") -> Fault | None:
        """The fault that happens at this call, if one does. Asking counts as the call."""
        struck = None
        for fault in self._by_kind.get(kind, ()):
            if not self._counts(fault) or not fault.matches(subject):
                continue
            seen = self._seen[id(fault)] = self._seen.get(id(fault), 0) + 1
            unlimited = fault.always or fault.times == 0
            if struck is None and seen >= fault.call and (unlimited or seen < fault.call + fault.times):
                struck = fault
        return struck

    def _counts(self, fault: Fault) -> bool:
        if fault.counter is None:
            return True
        if fault.always:
            return self._counter >= fault.counter
        return self._counter == fault.counter and not self._restored


def _moment(fault: Fault) -> str:
    """The key under which calls ask for it: some kinds exist in two forms."""
    if fault.kind == "device lost" and fault.kernel:
        return "device lost at launch"
    return "memory limit" if fault.free_bytes is not None else fault.kind
