"""The kernels of the tile model, simulated: the closed form chooses tile and split, events say how long they take."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from perfmodel.cost.estimate import Estimates, Gemms, Streams
from perfmodel.cost.events.kernel import Kernel
from perfmodel.cost.tiles import Constants, Tiles
from perfmodel.cost.tileset import SPLITS
from perfmodel.devices import Device


@dataclass(frozen=True, slots=True)
class Events:
    """An event-driven simulation of one device; the fields are those of `Tiles`, which chooses tile and split.

    Only the kernel that the closed form finds fastest is simulated; the fastest of several was no nearer to
    measurements (`docs/events.md`).
    """

    device: Device
    tile: str = "best"
    split_k: bool = True
    constants: Constants = field(default_factory=Constants)
    _tiles: Tiles = field(init=False, repr=False, compare=False)

    def __post_init__(self):
        object.__setattr__(self, "_tiles", Tiles(self.device, self.tile, self.split_k, constants=self.constants))

    def gemms(self, gemms: Gemms) -> Estimates:
        """Seconds of each GEMM; `detail` says tile, split and how busy issue and DRAM are: `64x64x8, issue 83 %, …`."""
        found = [self._timed(self.kernel(gemms, at)) for at in range(len(gemms))]
        seconds = np.array([seconds for seconds, _ in found]) + self._tiles.pages_s(gemms)  # not simulated
        return Estimates(seconds, "analytical", [detail for _, detail in found])

    def memory(self, streams: Streams) -> Estimates:
        """As the closed form prices them."""
        return self._tiles.memory(streams)

    def kernel(self, gemms: Gemms, at: int) -> Kernel:
        """What is simulated of one GEMM: the tile and split that the closed form finds fastest."""
        arrays = (gemms.m, gemms.n, gemms.k, gemms.batch, gemms.a_fraction, gemms.b_fraction)
        one = Gemms(gemms.precision, *(array[at : at + 1] for array in arrays))
        splits = SPLITS if self.split_k else SPLITS[:1]
        times = self._tiles.times(one, self._tiles.table(one.precision), np.array(splits, np.float64))
        index, split = divmod(int(times.argmin()), len(splits))
        m, n, k, batch = (int(array[at]) for array in arrays[:4])
        stored = float(gemms.a_fraction[at]), float(gemms.b_fraction[at])
        return Kernel(self._tiles, one.precision, index, splits[split], m, n, k, batch, *stored)

    def _timed(self, kernel: Kernel) -> tuple[float, str]:
        """Seconds of all that a GEMM launches, and what to say of it."""
        run = kernel.simulate()
        machine, block = kernel.machine(), kernel.block()
        issue = kernel.grid().ctas * block.busy_s / machine.sms / run.seconds
        dram = (run.filled_bytes + run.skipped_bytes) / machine.dram_bytes_per_s / run.seconds
        seconds = self.constants.launch_s + run.seconds + kernel.reduction_s()
        return seconds, f"{kernel.name}, issue {issue:.0%}, DRAM {dram:.0%}".replace("%", " %")
