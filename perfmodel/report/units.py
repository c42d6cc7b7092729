"""Which unit of the chip runs what: a note that goes under every table of modelled times."""

from __future__ import annotations

from collections.abc import Iterable

from perfmodel.devices import Device
from perfmodel.gemm import Gemm
from perfmodel.simulate import StepCost
from perfmodel.units import MEGA

WORDS = {"simt": "CUDA cores", "dp4a": "CUDA cores (DP4A)", "tensor": "tensor cores"}


def units_note(device: Device, steps: Iterable[StepCost]) -> str:
    """The unit of each GEMM precision in these steps, what it sums in, and the clock that the models assume."""
    kernels = (work.kernel for step in steps for work in step.works)
    precisions = dict.fromkeys(kernel.precision for kernel in kernels if isinstance(kernel, Gemm))
    parts = [f"{p.operand.name} (sums in {p.accumulator.name}) on {WORDS[device.rate(p).unit]}" for p in precisions]
    return f"GEMMs on {device.name} at {device.sustained_clock_hz / MEGA:.0f} MHz: {', '.join(dict.fromkeys(parts))}."
