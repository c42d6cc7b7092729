"""What a simulated card answers when it is asked about its state."""

from __future__ import annotations

from typing import Any

from perfmodel.measure.backend import READINGS
from perfmodel.measure.simulated.world import World

SOFTWARE_POWER_CAP = 0x4  # nvmlClocksEventReasonSwPowerCap
COOL_C, WARMING_C = 35.0, 45.0  # at heat 0, and added at heat 1
IDLE_W, LOADED_W = 25.0, 225.0  # at load 0, and added at load 1
FIXED_READINGS: dict[str, Any] = {
    "power_limit_w": 250.0, "power_limit_default_w": 250.0, "mig": False, "mps": False, "compute_mode": "default",
    "ecc": False, "persistence": True, "display": False,
}  # fmt: skip
_NUMBER, _WHOLE = (int, float), (int,)
READING_TYPES: dict[str, Any] = dict.fromkeys(READINGS, _NUMBER) | {
    "clock_reasons": _WHOLE, "other_processes": _WHOLE, "compute_mode": (str,),
    "mig": bool, "mps": bool, "ecc": bool, "persistence": bool, "display": bool,
}  # fmt: skip


def simulated_reading(name: str, world: World, boost_hz: float) -> float | int | None:
    """A reading that follows the state of the card; None for one that is not simulated."""
    match name:
        case "clock_reasons":
            return SOFTWARE_POWER_CAP if world.environment.throttled(world.time_s) else 0
        case "temperature_c":
            return COOL_C + WARMING_C * world.heat
        case "power_w":
            return IDLE_W + LOADED_W * world.load
        case "sm_clock_hz":
            return world.relative_clock() * boost_hz
        case "application_clock_hz":
            return boost_hz
        case "other_processes":
            return sum(span.holds(world.time_s) for span in world.environment.tenants)
    return None
