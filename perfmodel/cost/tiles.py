"""The analytical GEMM model: tiles, waves, occupancy, L2 reuse, DRAM, split-K and launch.

    t = t_launch + max(compute, memory) + x·min(compute, memory) + exposed prologue and epilogue (+ reduction of
    split-K)

compute   full waves of CTAs, then the last wave at its own residency; one k-step of c resident CTAs takes max(c·s, l)
          cycles, s being the slower of issue and shared memory plus the share x of the other, and l what a lone CTA
          takes: max(s, latency) + sync, s being longer where fewer than four warps leave parts of the SM idle
memory    the slower of L2 → SM traffic and DRAM traffic plus the share x of the other; DRAM traffic is that of the
          rectangle of tiles resident in one wave, so a wave reuses rows of A and columns of B through L2; fewer CTAs
          than half of the SMs do not saturate DRAM
exposed   once for the last wave, and for a full wave 1/c of it: the CTAs of an SM cover each other's epilogues
split-K   the CTAs of one tile share its k; a second kernel adds their partial results
pages     on Pascal, what rows that lie far apart cost besides, whatever the tile (`perfmodel.cost.pages`)

What the spec sheet does not say is in `Constants`, none of it fitted but what a watt gives and what pages cost; a few
thresholds (half of the SMs, half of L2, four k-steps for each slice) stand where they are used. How far the model is
from measurements is in `docs/accuracy.md`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import inf

import numpy as np

from perfmodel.cost.estimate import Estimates, Gemms, Streams
from perfmodel.cost.pages import paged, sector_reads
from perfmodel.cost.tileset import SPLITS, TileTable, find_tile, tiles_for
from perfmodel.devices import Device
from perfmodel.gemm import Precision

BLOCK = 32  # shapes evaluated together: their arrays then stay in the cache
SM_BYTES_PER_CLOCK = 64.0  # one SM's port to L2 (Jia et al., arXiv 1804.06826, table 3.1)
WORKSPACE_BYTES = 4.0  # split-K's partial results are FP32 or INT32

LIMITED = ("pascal", "volta", "turing")  # architectures of 12 and 16 nm, for which `simt_flop_per_j` was fitted


@dataclass(frozen=True, slots=True)
class Constants:
    """What the spec sheet does not say; the values are a priori but for the last three, common to all devices."""

    issue: float = 0.92  # share of issue slots that the main loop fills with arithmetic
    dram: float = 0.82  # achievable share of DRAM bandwidth
    l2: float = 0.75  # achievable share of L2 bandwidth
    launch_s: float = 4.0e-6  # from launch to the first instruction, and the tail, of each kernel
    latency: float = 520.0  # cycles from a global load to its data in shared memory
    sync: float = 40.0  # cycles of a k-step that a lone CTA does not hide
    epilogue: float = 900.0  # cycles of prologue and epilogue that a wave of one CTA on each SM exposes
    overlap: float = 0.15  # share of the lesser of two resources that does not overlap with the greater
    simt_fragments: float = 2.5  # shared-memory wavefronts of SIMT fragment loads against the least possible
    clock: float = 1.0  # multiplier on the sustained clock
    # What CUDA cores reach for each watt where power holds a card back: 0.058 TFLOP/J on a T4, 0.062 on a P4 in long
    # FP32 GEMMs (NeuSight's linear test rows, sitar-lab/NeuSight @ 6945927d).
    simt_flop_per_j: float = 0.060e12
    # Rows that lie pages apart, on Pascal: 4.10 ns and 0.57 GB on a P100, 4.81 ns and 1.30 GB on a P4 (same rows).
    page_s: float = 4.45e-9  # for each sector that a slice of L2 reads
    page_bytes: float = 0.9e9  # spanned by the operands, at which half of it is paid


@dataclass(frozen=True, slots=True)
class Tiles:
    """The analytical model of one device.

    `tile` is "best" (the fastest of the set for each GEMM) or the name of one tile; `split_k` whether k may be split;
    `squarest` whether a wave's tiles form the squarest rectangle (CUTLASS's swizzles) or run along m (no swizzle).
    """

    device: Device
    tile: str = "best"
    split_k: bool = True
    squarest: bool = True
    constants: Constants = Constants()
    _tables: dict[Precision, TileTable] = field(default_factory=dict, init=False, repr=False, compare=False)

    def unlimited(self) -> Tiles:
        """The same with no power limit and no pages: what calibrations correct, whose timings say what these cost."""
        return replace(self, constants=replace(self.constants, simt_flop_per_j=inf, page_s=0.0))

    def table(self, precision: Precision) -> TileTable:
        """The tiles among which `gemms` chooses; made once for each precision."""
        if precision not in self._tables:
            best = self.tile == "best"
            tiles = tiles_for(precision, self.device) if best else (find_tile(self.tile, precision, self.device),)
            self._tables[precision] = TileTable.of(tiles, precision, self.device)
        return self._tables[precision]

    def gemms(self, gemms: Gemms) -> Estimates:
        """Seconds of each GEMM with its fastest tile and split, named in `detail` (`128x64x8 split 4`)."""
        table = self.table(gemms.precision)
        splits = np.array(SPLITS if self.split_k else (1,), dtype=np.float64)
        seconds = np.empty(len(gemms))
        best = np.empty(len(gemms), dtype=np.intp)
        for start in range(0, len(gemms), BLOCK):
            part = slice(start, min(start + BLOCK, len(gemms)))
            times = self.times(_part(gemms, part), table, splits).reshape(-1, part.stop - start)
            best[part] = times.argmin(axis=0)
            seconds[part] = times[best[part], np.arange(part.stop - start)]
        seconds += self.pages_s(gemms)
        endings = [f" split {split:.0f}" if split > 1 else "" for split in splits]
        names = [name + ending for name in (tile.name for tile in table.tiles) for ending in endings]
        return Estimates(seconds, "analytical", np.array(names)[best])

    def pages_s(self, gemms: Gemms) -> np.ndarray | float:
        """Seconds that rows far apart add to each GEMM, whatever its tile."""
        if not self.constants.page_s or not paged(self.device):
            return 0.0
        return self.constants.page_s * sector_reads(gemms, self.device, self.constants.page_bytes)

    def memory(self, streams: Streams) -> Estimates:
        """Launch plus bytes at the achievable bandwidth; bytes of another kernel (`fused`) have no launch."""
        rate = self.constants.dram * self.device.dram_bytes_per_s
        launched = np.array([op.op != "fused" for op in streams.ops])
        return Estimates(self.constants.launch_s * launched + streams.bytes / rate, "analytical")

    def clock_hz(self, precision: Precision) -> float:
        """The clock in long GEMMs: the sustained one, or on CUDA cores the one that the board's power limit allows."""
        c, device, rate = self.constants, self.device, self.device.rate(precision)
        if rate.unit != "simt" or device.power_w is None or device.architecture not in LIMITED:
            return device.sustained_clock_hz * c.clock
        flop_per_clock = 2 * rate.macs_per_clock * device.sms * c.issue
        return min(device.sustained_clock_hz, c.simt_flop_per_j * device.power_w / flop_per_clock) * c.clock

    def times(self, gemms: Gemms, table: TileTable, splits: np.ndarray) -> np.ndarray:
        """Seconds of every GEMM, tile and split [tiles, splits, shapes]; infinite where k is too short to split."""
        c, device = self.constants, self.device
        clock = self.clock_hz(gemms.precision)
        size, out_size = gemms.precision.operand.bytes, gemms.precision.output.bytes
        m, n, k, batch = gemms.m, gemms.n, gemms.k, gemms.batch  # [shapes], the last axis of all arrays
        rows, columns = np.ceil(m / table.m[:, None]), np.ceil(n / table.n[:, None])  # of tiles [tiles, shapes]
        slots = device.sms * table.resident
        splits = splits[:, None]  # [splits, 1]

        ctas = (rows * columns * batch)[:, None] * splits
        steps = np.ceil(k / (_each(table.k) * splits))  # of k, in one CTA

        reads, writes = self._dram_bytes(gemms, table, rows, columns, slots)
        memory = (batch * reads)[:, None] + batch * writes * (splits == 1)
        memory /= np.minimum(1.0, ctas * (2.0 / device.sms))  # half of the SMs saturate DRAM
        memory /= c.dram * device.dram_bytes_per_s
        memory = _combine(self._l2_s(ctas, steps, table, size, clock), memory, c.overlap)

        compute, waves = self._waves(ctas, table, gemms.precision)
        compute *= steps
        compute /= clock
        body = _combine(compute, memory, c.overlap)

        exposed = (c.epilogue + table.m * table.n * out_size / (2 * device.shared_bytes_per_clock)) / clock
        body += waves * _each(exposed)
        body += c.launch_s + self._reduction_s(m * n * batch, out_size, splits)
        body[(k < 4 * _each(table.k) * splits) & (splits > 1)] = np.inf
        return body

    def _waves(self, ctas: np.ndarray, table: TileTable, precision: Precision) -> tuple[np.ndarray, np.ndarray]:
        """Cycles of one k-step of all waves, and how many epilogues they expose [tiles, splits, shapes]."""
        lone, busy = self.step_cycles(table, precision)
        slots = _each(self.device.sms * table.resident)
        full = np.floor(ctas / slots)
        rest = ctas - full * slots  # CTAs of the last wave
        last = rest > 0
        cycles = np.maximum(np.ceil(rest / self.device.sms) * _each(busy), _each(lone))
        cycles *= last
        cycles += full * _each(np.maximum(table.resident * busy, lone))
        return cycles, full / _each(table.resident) + last

    def _l2_s(self, ctas: np.ndarray, steps: np.ndarray, table: TileTable, size: float, clock: float) -> np.ndarray:
        """Seconds in which both operands of all k-steps come from L2 [tiles, splits, shapes]."""
        stage = (table.m + table.n) * table.k * size  # bytes of both operands in one k-step
        rate = np.minimum(self.device.l2_bytes_per_clock, SM_BYTES_PER_CLOCK * np.minimum(ctas, self.device.sms))
        return ctas * steps * _each(stage / (self.constants.l2 * clock)) / rate

    def step_cycles(self, table: TileTable, precision: Precision) -> tuple[np.ndarray, np.ndarray]:
        """Cycles of one k-step of a lone CTA (latency shows), and of one among many (throughput) [tiles]."""
        c, rate = self.constants, self.device.rate(precision)
        size = precision.operand.bytes
        issue = table.m * table.n * table.k / (rate.macs_per_clock * c.issue)
        inflation = 1.0 if rate.unit == "tensor" else c.simt_fragments
        loads = table.warps * table.warp_edge * table.k * size * inflation
        stores = (table.m + table.n) * table.k * size
        busy = _combine(issue, (loads + stores) / self.device.shared_bytes_per_clock, c.overlap)
        idle = np.maximum(1.0, 4.0 / table.warps)  # fewer than 4 warps leave partitions of the SM without work
        lone = np.maximum(busy * idle, c.latency) + c.sync
        return lone, busy

    def _dram_bytes(self, gemms: Gemms, table: TileTable, rows, columns, slots) -> tuple[np.ndarray, np.ndarray]:
        """Bytes of A and B read [tiles, shapes], and of C written [shapes], for one batch element."""
        m, n, k = gemms.m, gemms.n, gemms.k
        tile_m, tile_n = table.m[:, None], table.n[:, None]
        tiles = rows * columns
        wave = np.minimum(tiles, slots[:, None])  # tiles in flight together
        if self.squarest:
            wide = np.minimum(columns, np.maximum(1.0, np.rint(np.sqrt(wave * (tile_m / tile_n)))))
            tall = np.minimum(rows, np.ceil(wave / wide))
            wide = np.minimum(columns, np.maximum(wide, np.ceil(wave / tall)))
        else:
            tall, wide = np.minimum(rows, wave), np.ceil(wave / rows)
        per_wave = tiles / wave * k * gemms.precision.operand.bytes
        a = self._read(m * k, gemms.a_fraction, per_wave * tall * tile_m, gemms)
        b = self._read(n * k, gemms.b_fraction, per_wave * wide * tile_n, gemms)
        return a + b, m * n * gemms.precision.output.bytes

    def _read(self, view: np.ndarray, fraction: np.ndarray, streamed: np.ndarray, gemms: Gemms) -> np.ndarray:
        """Bytes of one operand, stored part only: once if half of L2 holds it, else what the waves stream."""
        stored = view * gemms.precision.operand.bytes
        return np.where(stored * fraction < 0.5 * self.device.l2_bytes, stored, np.maximum(stored, streamed)) * fraction

    def _reduction_s(self, outputs: np.ndarray, out_size: float, splits: np.ndarray) -> np.ndarray:
        """The second kernel of split-K: its launch, partial results written and read, C written [splits, shapes]."""
        partial = outputs * WORKSPACE_BYTES * splits
        speed_up = np.where(partial < 0.6 * self.device.l2_bytes, 2.0, 1.0)  # L2 holds them
        rate = speed_up * (self.constants.dram * self.device.dram_bytes_per_s)
        seconds = 0.6 * self.constants.launch_s + (2 * partial + outputs * out_size) / rate
        return np.where(splits > 1, seconds, 0.0)


def _each(of_tile: np.ndarray) -> np.ndarray:
    """One value a tile, against all splits and shapes [tiles, 1, 1]."""
    return of_tile[:, None, None]


def _combine(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    """The greater of two times plus a share of the lesser: overlap is never perfect."""
    lesser = np.minimum(a, b)
    lesser *= share
    lesser += np.maximum(a, b)
    return lesser


def _part(gemms: Gemms, part: slice) -> Gemms:
    fields = (gemms.m, gemms.n, gemms.k, gemms.batch, gemms.a_fraction, gemms.b_fraction)
    return Gemms(gemms.precision, *(array[part] for array in fields))
