"""The procedures of a measurement on one device: prepare a kernel, visit it, warm up, look for interference.

Each takes and returns plain values, so that a `Bench` can live in another process (`worker`), where a kernel that
hangs or breaks the device takes nothing else with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from perfmodel.measure.backend import (
    READINGS,
    Backend,
    BuildFailed,
    DeviceFacts,
    DeviceFault,
    NotReadable,
    OutOfDeviceMemory,
)
from perfmodel.measure.canary import CANARY, canary
from perfmodel.measure.instrument import calibrate
from perfmodel.measure.sampling import Visit, allocate, captured, cold_sets, giving_back, pilot, samples_of, starts_of
from perfmodel.measure.settings import Settings
from perfmodel.measure.settling import run_mix
from perfmodel.measure.verify import verify
from perfmodel.profiles.kernel import Kernel

DURING = ("clock_reasons", "temperature_c", "power_w")  # read after each visit
# NVML's reasons: hardware slowdown, thermal slowdown by software and by hardware, power brake. The power cap (4) is
# none of them: a card under full load stays there, and the clock that it then has is the reference.
THROTTLED = 0x8 | 0x20 | 0x40 | 0x80


class Bench:
    """One device and the procedures on it. `make` makes its backend, again after each `restart`."""

    def __init__(self, make: Callable[[], Backend], settings: Settings):
        self._make = make
        self._settings = settings
        self._backend = make()
        self._functions: dict[Kernel, object] = {}
        self._mix: tuple[Kernel, ...] = ()

    def facts(self) -> DeviceFacts:
        """What the device is."""
        return self._backend.facts()

    def readings(self, names: Sequence[str] = READINGS) -> dict:
        """The state of the device; null for what cannot be read."""
        found = {}
        for name in names:
            try:
                found[name] = self._backend.reading(name)
            except NotReadable:
                found[name] = None
        return found

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._backend.wait(seconds)

    def now_s(self) -> float:
        """The device's own monotonic time."""
        return self._backend.now_s()

    def state(self) -> dict:
        """What `restore` needs."""
        return self._backend.state()

    def restore(self, state: Mapping) -> bool:
        """Go on from a recorded state; False where the device must settle anew."""
        return bool(state) and self._backend.restore(state)

    def restart(self) -> None:
        """A fresh device in the place of one that no longer answers."""
        self._functions.clear()
        with suppress(DeviceFault):  # a broken device may refuse even that
            self._backend.close()
        self._backend = self._make()

    def close(self) -> None:
        """Give the device back; a broken one has nothing to give, and says so once more."""
        with suppress(DeviceFault):
            self._backend.close()

    def calibrate(self) -> dict:
        """What the instrument itself takes: the fields of an `instrument` record."""
        return calibrate(self._backend, self._settings.spin_s)

    def build(self, kernel: Kernel) -> dict | None:
        """The fields of a `kernel` record for one that does not build; None for one that does, and is kept."""
        try:
            self._function(kernel)
        except BuildFailed as error:
            return {"status": "failed", "reason": "; ".join(str(part) for part in error.args)}
        return None

    def prepare(self, kernel: Kernel, instrument: Mapping, seed: int) -> dict:
        """Build, verify and calibrate one kernel: the fields of a `kernel` record from `status` on."""
        if failure := self.build(kernel):
            return failure
        try:
            function = self._function(kernel)
            verdict = verify(kernel, self._product(kernel), self._settings.verify, seed)
            found = {"resources": dict(self._backend.resources(function)), "verification": verdict.to_json()}
            if not verdict.ok:
                return {"status": "wrong", "reason": verdict.reason} | found
            return {"status": "ready"} | self._calibrated(kernel, function, instrument, seed) | found
        except OutOfDeviceMemory as error:
            return {"status": "skipped", "reason": _memory(error)}

    def pilot(self, kernel: Kernel, instrument: Mapping, seed: int) -> dict:
        """About what one launch takes, unverified, for a choice between variants: `expected_s`, or `reason`."""
        if failure := self.build(kernel):
            return {"reason": failure["reason"]}
        try:
            found = self._calibrated(kernel, self._function(kernel), instrument, seed)
        except OutOfDeviceMemory as error:
            return {"reason": _memory(error)}
        return {"expected_s": found["expected_s"]}

    def _calibrated(self, kernel: Kernel, function, instrument: Mapping, seed: int) -> dict:
        wanted = cold_sets(kernel, self._settings, self._backend.facts().l2_bytes)
        sets, operands = allocate(self._backend, kernel, wanted, self._settings, seed)
        with giving_back(self._backend, [operands]):
            found = pilot(self._backend, function, operands, instrument, self._settings)
        return {"sets": sets, "cold": "full" if sets >= wanted else "partial"} | found

    def visit(self, visit: Visit) -> dict:
        """Samples of one kernel in a fresh place in memory: the fields of a `visit` record that the device knows."""
        backend, settings = self._backend, self._settings
        sets, operands = allocate(backend, visit.kernel, visit.sets, settings, visit.seed)
        with giving_back(backend, [operands]):
            function = self._function(visit.kernel)
            starts = starts_of(visit.seed % sets, sets, visit.launches, settings.samples)
            batches, mode = captured(backend, function, operands, visit.launches, starts, visit.mode)
            seconds, clocks, late = samples_of(backend, batches, mode, visit, settings)
        readings = self.readings(DURING)
        flags = {"late_enqueue": late, "throttle": (readings["clock_reasons"] or 0) & THROTTLED}
        found = {
            "launches": visit.launches, "sets": sets, "mode": mode, "seconds": seconds, "clock_hz": clocks,
            "flags": [name for name, holds in flags.items() if holds], "readings": readings,
        }  # fmt: skip
        if visit.recheck and self._settings.verify != "off":
            found["verification"] = verify(visit.kernel, self._product(visit.kernel), "sample", visit.seed).to_json()
        return found

    def keep_mix(self, kernels: Sequence[Kernel]) -> None:
        """The kernels that `settle` runs where it is given none."""
        self._mix = tuple(kernels)

    def settle(self, kernels: Sequence[Kernel] | None, first: int, limit_s: float) -> dict:
        """Run kernels in turn for about `limit_s`; see `run_mix`."""
        settings, kernels = self._settings, self._mix if kernels is None else kernels
        return run_mix(self._backend, self._function, kernels, first, limit_s, settings.data, settings.watchdog_s)

    def canary(self) -> dict:
        """The fixed piece of work that shows interference; see `canary`."""
        return canary(self._backend, self._function(CANARY), self._settings)

    def _function(self, kernel: Kernel):
        if kernel not in self._functions:
            self._functions[kernel] = self._backend.build(kernel)
        return self._functions[kernel]

    def _product(self, kernel: Kernel):
        return lambda data, seed: self._backend.product(self._function(kernel), kernel, data, seed)


def _memory(error: OutOfDeviceMemory) -> str:
    needed, free = (f"{size / 1e9:.1f}" for size in (error.needed_bytes, error.free_bytes))
    return f"out of memory (needs {needed} GB, {free} free)"
