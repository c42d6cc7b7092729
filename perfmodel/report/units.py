"""Which unit of the chip runs what: a note that goes under every table of modelled times."""

from __future__ import annotations

from collections.abc import Iterable

from perfmodel.devices import Device
from perfmodel.gemm import Gemm
from perfmodel.simulate import StepCost
from perfmodel.units import MEGA

TIMED = ("measured", "simulated")  # bases of numbers that a profile holds
WORDS = {"simt": "CUDA cores", "dp4a": "CUDA cores (DP4A)", "tensor": "tensor cores"}


def units_note(device: Device, steps: Iterable[StepCost]) -> str:
    """The unit of each GEMM precision in these steps, what it sums in, and the clock that models of it assume."""
    priced = [pair for step in steps for pair in zip(step.works, step.prices.basis, strict=True)]
    gemms = [(work.kernel, basis) for work, basis in priced if isinstance(work.kernel, Gemm)]
    precisions = dict.fromkeys(gemm.precision for gemm, _ in gemms)
    clock = f" at {device.sustained_clock_hz / MEGA:.0f} MHz"
    if timed := [basis for _, basis in gemms if basis in TIMED]:  # at the clock of their profile
        clock = "" if len(timed) == len(gemms) else f"{clock} where modelled"
    parts = [f"{p.operand.name} (sums in {p.accumulator.name}) on {WORDS[device.rate(p).unit]}" for p in precisions]
    return f"GEMMs on {device.name}{clock}: {', '.join(dict.fromkeys(parts))}."
