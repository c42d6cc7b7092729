"""The settings of one measurement session: what the protocol does, and when it stops."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from perfmodel.errors import InputError, quote, unknown_name

DATA = ("realistic", "normal", "uniform", "integers", "zeros")
STATES = ("sustained", "burst")
CHECKS = ("strict", "sample", "off")
MOST_LAUNCHES = 512  # behind one spin kernel: a launch queue holds about 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """Numbers are in seconds, bytes and shares of one. Stored with the session, so that `--resume` can compare."""

    half_width: float = 0.01  # of the 95 % interval, as a share of the time: a kernel is done below it
    least_visits: int = 6  # fewer give no distribution-free 95 % interval
    most_visits: int = 40
    samples: int = 5  # of one visit
    sample_s: float = 300e-6  # least length of one sample
    sample_ticks: int = 100  # and in ticks of the event clock
    condition_s: float = 1e-3  # of the same kernel before the samples of a visit, not recorded
    spin_s: float = 150e-6  # device kept busy while the host enqueues a sample
    budget_s: float = 300.0  # device time of the session after settling
    settle_least_s: float = 20.0
    settle_most_s: float = 60.0
    state: str = "sustained"  # burst: no settling
    canary_every: int = 20  # visits
    l2_multiple: float = 3.0  # operand sets rotate over so many L2 sizes
    memory_share: float = 0.6  # of the free memory that operands may take
    data: str = "realistic"
    verify: str = "strict"
    watchdog_s: float = 30.0  # least time before a silent device counts as hung
    seed: int = 0
    allow_mig: bool = False
    allow_shared: bool = False
    wait_idle_s: float = 60.0

    def __post_init__(self):
        for name, known in (("data", DATA), ("state", STATES), ("verify", CHECKS)):
            if getattr(self, name) not in known:
                raise unknown_name("E2001", f"--{name}", getattr(self, name), known)
        for name, low, high in LIMITS:
            value = getattr(self, name)
            kinds = int if name in WHOLE else (int, float)
            if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
                found = (
                    f"{quote(value)} is not {'a whole number ' * (name in WHOLE)}between {low:.12g} and {high:.12g}."
                )
                raise InputError.at("E2002", f"--{name.removesuffix('_s').replace('_', '-')}", found, "Correct it.")
        if self.least_visits > self.most_visits:
            found = f"{self.least_visits} is above --most-visits {self.most_visits}."
            raise InputError.at("E2002", "--least-visits", found, "Correct one of them.")

    def to_json(self) -> dict:
        """All settings as a JSON object."""
        return asdict(self)


WHOLE = ("least_visits", "most_visits", "samples", "sample_ticks", "canary_every", "seed")
LIMITS = (
    ("half_width", 1e-4, 1.0), ("least_visits", 6, 10_000), ("most_visits", 6, 10_000), ("samples", 1, 1000),
    ("sample_s", 1e-6, 10.0), ("sample_ticks", 1, 10**6), ("condition_s", 0.0, 10.0), ("spin_s", 0.0, 0.1),
    ("budget_s", 0.0, 1e7), ("settle_least_s", 0.0, 3600.0), ("settle_most_s", 0.0, 3600.0),
    ("canary_every", 1, 10_000), ("l2_multiple", 0.0, 100.0), ("memory_share", 0.01, 0.95), ("watchdog_s", 0.1, 3600.0),
    ("seed", 0, 2**32 - 1), ("wait_idle_s", 0.0, 3600.0),
)  # fmt: skip
