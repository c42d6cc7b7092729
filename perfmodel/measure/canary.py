"""A fixed piece of work: when it takes another time than before, something else uses the device."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from perfmodel.gemm import Gemm
from perfmodel.measure.backend import Backend
from perfmodel.measure.sampling import giving_back, positive, timed
from perfmodel.measure.settings import MOST_LAUNCHES, Settings
from perfmodel.profiles.kernel import Kernel

CANARY = Kernel(Gemm(1024, 1024, 1024))
CANARY_S = 1e-3  # of arithmetic, and about as much of copying
COPY_BYTES = 2**26
SAMPLES = 5
PILOT_LAUNCHES = 4


def canary(backend: Backend, function, settings: Settings) -> dict:
    """A GEMM in cycles, which no clock changes, and a copy in seconds: the medians of five samples each, or null.

    How many launches a sample takes is found out each time: a bench that was restarted does just the same.
    """

    def run(launch: Callable) -> tuple[float, float]:
        return timed(backend, launch, settings.spin_s, settings.watchdog_s)[:2]

    operands = backend.allocate(CANARY, 1, "normal", 0)
    with giving_back(backend, [operands]):
        pilot_s = positive(run(lambda: backend.launch_each(function, operands, PILOT_LAUNCHES, 0))[0]) or CANARY_S
        launches = max(1, min(MOST_LAUNCHES, round(PILOT_LAUNCHES * CANARY_S / max(pilot_s, 1e-6))))
        products = [run(lambda: backend.launch_each(function, operands, launches, 0)) for _ in range(SAMPLES)]
    copies = [run(lambda: backend.copy(COPY_BYTES))[0] for _ in range(SAMPLES)]
    cycles = [seconds * hz / launches for seconds, hz in products if positive(seconds) and positive(hz)]
    copies = [seconds for seconds in copies if positive(seconds)]
    return {"cycles": median(cycles) if cycles else None, "copy_s": median(copies) if copies else None}
