"""One session of a profile: its plan of kernels, its visits, and the state it was in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median

from perfmodel.profiles.anomalies import usable
from perfmodel.profiles.kernel import Kernel

STATUSES = ("skipped", "failed", "ready", "wrong")  # of a kernel's record; of two, the later one of this list counts
REGIMES = ("cold", "hot", "isolated")


@dataclass(frozen=True, slots=True)
class Planned:
    """One kernel of a session's plan. `bound_s` is NaN where no roofline is stored."""

    kernel: Kernel
    weight: float
    prior: float
    status: str
    reason: str
    bound_s: float


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit: seconds and clock of every sample, NaN where a sample has none. `number` is the kernel's."""

    round: int
    position: int
    number: int
    regime: str
    launches: int
    offset_s: float
    seconds: tuple[float, ...]
    clocks_hz: tuple[float, ...]
    flags: tuple[str, ...]
    took_s: float

    @property
    def clock_hz(self) -> float:
        """Median clock of the samples that can be used; NaN where there is none."""
        clocks = [
            clock for second, clock in zip(self.seconds, self.clocks_hz, strict=True) if usable(second, clock)
        ]  # fmt: skip
        return median(clocks) if clocks else math.nan


@dataclass(frozen=True, slots=True)
class Canary:
    """One reading of the fixed piece of work; NaN where it has none."""

    round: int
    position: int
    cycles: float
    copy_s: float


@dataclass(frozen=True, slots=True)
class Fault:
    """A failure of a kernel (its number), or of the device (None): `kind` is `wrong`, `hang`, `lost` or `failed`."""

    number: int | None
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class Session:
    """One session: what it did and in which state.

    `status` is that of its `end` record, `open` without one. `settled` is None where it did not warm up.
    `reference_hz` is the clock that its times are for: NaN where no clock was ever read. `identity` is what its
    `session` record says but the number: two sessions of two files that share it are one. `flags` are those of its
    `instrument` records; `copy_bytes_per_s` is what a copy in device memory moves, reads and writes counted, NaN
    where that is not known.
    """

    number: int
    identity: str
    status: str
    started: str
    settings: dict
    reference_hz: float
    settled: bool | None
    rounds: int
    suspect_rounds: frozenset[int]
    canaries: tuple[Canary, ...]
    elapsed_s: float
    event_tick_s: float
    flags: tuple[str, ...]
    kernels: dict[int, Planned]
    visits: tuple[Visit, ...]
    faults: tuple[Fault, ...]
    copy_bytes_per_s: float = math.nan

    def counts(self, visit: Visit) -> bool:
        """Whether the visit may enter an estimate: operands from memory, and no interference seen in its round."""
        return visit.regime == "cold" and visit.round not in self.suspect_rounds
