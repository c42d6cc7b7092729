"""Which unit of the chip runs what: a note that goes under every table of modelled times."""

from __future__ import annotations

from collections.abc import Iterable

from perfmodel.cost.tiles import Tiles
from perfmodel.devices import Device
from perfmodel.gemm import Gemm
from perfmodel.simulate import StepCost
from perfmodel.units import MEGA

TIMED = ("measured", "simulated")  # bases of numbers that a profile holds
WORDS = {"simt": "CUDA cores", "dp4a": "CUDA cores (DP4A)", "tensor": "tensor cores"}


def units_note(device: Device, steps: Iterable[StepCost]) -> str:
    """The unit of each GEMM precision in these steps, what it sums in, and the clock that models of it assume."""
    priced = [pair for step in steps for pair in zip(step.works, step.prices.basis, strict=True)]
    gemms = [(work.kernel.precision, basis) for work, basis in priced if isinstance(work.kernel, Gemm)]
    model = Tiles(device)
    clocks = {p: f" at {model.clock_hz(p) / MEGA:.0f} MHz" for p, basis in gemms if basis not in TIMED}
    same = len(set(clocks.values())) == 1  # else some are held back by the board's power limit
    common = next(iter(clocks.values())) if same else ""
    if common and any(basis in TIMED for _, basis in gemms):  # at the clock of their profile
        common += " where modelled"
    parts = (
        f"{p.operand.name} (sums in {p.accumulator.name}) on {WORDS[device.rate(p).unit]}"
        + ("" if same else clocks.get(p, ""))
        for p in dict.fromkeys(p for p, _ in gemms)
    )
    return f"GEMMs on {device.name}{common}: {', '.join(dict.fromkeys(parts))}."
