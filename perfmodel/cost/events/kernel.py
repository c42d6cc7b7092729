"""A GEMM as one kernel of the tile model: what its thread blocks are, and what runs beside them."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from perfmodel.cost.events.grid import Grid
from perfmodel.cost.events.machine import Block, Machine
from perfmodel.cost.events.panels import Panels
from perfmodel.cost.events.simulation import Simulation, simulate
from perfmodel.cost.tiles import SM_BYTES_PER_CLOCK, WORKSPACE_BYTES, Tiles
from perfmodel.cost.tileset import Tile
from perfmodel.gemm import Precision

OPERANDS_HELD = 0.5  # share of L2 that operands fill before they are evicted, as in the closed form
PARTIALS_HELD = 0.6  # share of L2 that split-K's partial results may fill and stay in it, as in the closed form
LEAST_S = 1e-12  # of a phase


@dataclass(frozen=True, slots=True)
class Kernel:
    """One GEMM with one tile and split, on the device and with the constants of `tiles`.

    `a_fraction` and `b_fraction` are the stored parts of the operands, as in `Gemms`; `index` is the tile's place in
    the table of `precision`.
    """

    tiles: Tiles
    precision: Precision
    index: int
    split: int
    m: int
    n: int
    k: int
    batch: int
    a_fraction: float = 1.0
    b_fraction: float = 1.0

    @property
    def tile(self) -> Tile:
        """The tile of each CTA."""
        return self.tiles.table(self.precision).tiles[self.index]

    @property
    def name(self) -> str:
        """Tile and split, as the closed form names them."""
        return self.tile.name + (f" split {self.split}" if self.split > 1 else "")

    @property
    def output_bytes(self) -> float:
        """Of C."""
        return self.batch * self.m * self.n * self.precision.output.bytes

    @property
    def partial_bytes(self) -> float:
        """Of the partial results that split-K leaves to its second kernel."""
        return self.batch * self.m * self.n * self.split * WORKSPACE_BYTES if self.split > 1 else 0.0

    @property
    def partials_stay(self) -> bool:
        """Whether L2 holds the partial results until they are added."""
        return self.partial_bytes < PARTIALS_HELD * self.tiles.device.l2_bytes

    def grid(self) -> Grid:
        """The CTAs."""
        slots = self.tiles.device.sms * int(self.tiles.table(self.precision).resident[self.index])
        return Grid.of(self.m, self.n, self.tile.m, self.tile.n, self.batch * self.split, slots)

    def machine(self) -> Machine:
        """What the CTAs share."""
        c, device = self.tiles.constants, self.tiles.device
        l2 = c.l2 * self.tiles.clock_hz(self.precision)
        return Machine(
            device.sms, l2 * device.l2_bytes_per_clock, l2 * SM_BYTES_PER_CLOCK, c.dram * device.dram_bytes_per_s,
            float(device.l2_bytes), c.overlap,
        )  # fmt: skip

    def block(self) -> Block:
        """One of the CTAs; of the exposed cycles of the closed form, the latency of a load makes the prologue."""
        c, tile = self.tiles.constants, self.tile
        table = self.tiles.table(self.precision)
        alone, busy = (float(cycles[self.index]) for cycles in self.tiles.step_cycles(table, self.precision))
        steps, hertz = ceil(self.k / (tile.k * self.split)), self.tiles.clock_hz(self.precision)
        prologue = min(c.latency, c.epilogue)
        stored = tile.m * tile.n * self.precision.output.bytes / (2 * self.tiles.device.shared_bytes_per_clock)
        written = self.output_bytes if self.split == 1 else self.partial_bytes * (not self.partials_stay)
        return Block(
            int(table.resident[self.index]),
            max(LEAST_S, prologue / hertz),
            steps * alone / hertz,
            steps * busy / hertz,
            max(LEAST_S, (c.epilogue - prologue + stored) / hertz),
            written / self.grid().ctas,
        )

    def panels(self) -> Panels:
        """What the CTAs read, nothing of it yet; edges of tiles beyond m and n are not read."""
        grid, tile = self.grid(), self.tile
        line = self.k / self.split * self.precision.operand.bytes  # of one row or column of C
        a, b = line * self.a_fraction, line * self.b_fraction
        held = OPERANDS_HELD * self.tiles.device.l2_bytes
        last_m, last_n = self.m - (grid.rows - 1) * tile.m, self.n - (grid.columns - 1) * tile.n
        return Panels(grid, held, tile.m * a, last_m * a, tile.n * b, last_n * b)

    def simulate(self) -> Simulation:
        """The CTAs on the SMs, finished."""
        return simulate(self.machine(), self.block(), self.panels())

    def reduction_s(self) -> float:
        """Split-K's second kernel: its launch, partial results read, C written; 0 without split."""
        if self.split == 1:
            return 0.0
        read = self.partial_bytes / (2 if self.partials_stay else 1)  # L2 reads at twice the speed, as there
        c = self.tiles.constants
        return 0.6 * c.launch_s + (read + self.output_bytes) / (c.dram * self.tiles.device.dram_bytes_per_s)
