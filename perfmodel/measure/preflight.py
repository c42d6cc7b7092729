"""Before a session: is the device fit to be measured, and what is it exactly?"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from perfmodel.errors import InputError, Problem
from perfmodel.measure.backend import READINGS, DeviceFacts
from perfmodel.measure.bench import Bench
from perfmodel.measure.settings import Settings

PROTOCOL = 1  # counts up when timings made by different versions must not be mixed
POLL_S = 1.0
# Variables that slow every launch down, or insert code between the program and the driver.
DISTURBING = (
    "CUDA_LAUNCH_BLOCKING", "CUDA_INJECTION64_PATH", "CUDA_INJECTION32_PATH", "NVTX_INJECTION64_PATH",
    "CUDA_DEVICE_WAITS_ON_EXCEPTION",
)  # fmt: skip


def environment_of(facts: DeviceFacts) -> dict:
    """What timings must have in common to be mixed: device, driver, libraries, kernels, protocol."""
    device = facts.to_json()
    tools = {name: device.pop(name) for name in ("driver", "runtime", "compiler", "kernels")}
    return {"device": device, **tools, "protocol": PROTOCOL}


def preflight(
    bench: Bench, settings: Settings, variables: Mapping[str, str], stop: Callable[[], bool] = lambda: False
) -> tuple[list[str], dict]:
    """Flags of the session, and the device's readings; waits for other processes to leave, as the settings say.

    `variables` are those of the process's environment. Raises `InputError`: E2010 the GPU is split into instances
    (MIG), E2011 a variable that disturbs every launch is set. No clock and no limit is ever changed.
    """
    kind = bench.facts().kind
    problems = [
        Problem("E2011", f"environment variable {name}:", "disturbs every launch.", "Unset it and start again.")
        for name in DISTURBING
        if kind == "cuda" and variables.get(name, "0") not in ("", "0")
    ]
    readings = bench.readings(READINGS)
    if readings["mig"] and not settings.allow_mig:
        fix = "Measure on a whole GPU, or accept instances with --allow-mig."
        problems.append(Problem("E2010", "device:", "is split into instances (MIG): others share its memory.", fix))
    if problems:
        raise InputError(problems)
    if not settings.allow_shared:
        readings = _wait_for_others(bench, readings, settings.wait_idle_s, stop)
    return _flags(readings, variables, kind), readings


def _wait_for_others(bench: Bench, readings: dict, limit_s: float, stop: Callable[[], bool]) -> dict:
    start = bench.now_s()
    while readings["other_processes"] and bench.now_s() - start < limit_s and not stop():
        bench.wait(min(POLL_S, limit_s))
        readings = bench.readings(READINGS)
    return readings


def _flags(readings: Mapping, variables: Mapping[str, str], kind: str) -> list[str]:
    limit, usual = readings["power_limit_w"], readings["power_limit_default_w"]
    found = {  # the application clock is none: drivers report one whether it was set or not
        "mig": readings["mig"],
        "mps": readings["mps"] or (kind == "cuda" and any(name.startswith("CUDA_MPS_") for name in variables)),
        "shared": readings["other_processes"],
        "display": readings["display"],
        "power_limit_lowered": limit is not None and usual is not None and limit < usual,
    }
    return [name for name, holds in found.items() if holds]
