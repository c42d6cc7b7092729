"""CUTLASS threadblock tiles: what each occupies on an SM, for one precision and device."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from perfmodel.devices import Device
from perfmodel.errors import InputError, Unsupported, quote
from perfmodel.gemm import Precision
from perfmodel.units import round_up

WARP = 32  # threads
SPLITS = (1, 2, 4, 8, 16, 32, 64)  # slices of k that a best-of search may run in parallel


@dataclass(frozen=True, slots=True)
class Tile:
    """A threadblock (CTA) tile m x n x k, worked on by warps of warp_m x warp_n each."""

    m: int
    n: int
    k: int
    warp_m: int
    warp_n: int

    @property
    def name(self) -> str:
        """As CUTLASS writes it: `128x256x32`."""
        return f"{self.m}x{self.n}x{self.k}"

    @property
    def warps(self) -> int:
        """Warps of one CTA."""
        return (self.m // self.warp_m) * (self.n // self.warp_n)


# (m, n, warp m, warp n): the tiles that CUTLASS's default configurations and generator instantiate for
# SIMT and for tensor-op GEMMs (include/cutlass/gemm/device/default_gemm_configuration.h,
# python/cutlass_library/generator.py), and their smaller neighbours, which its templates build as well.
SIMT_TILES = (
    (128, 128, 32, 64), (128, 64, 64, 32), (64, 128, 32, 64), (64, 64, 32, 32), (128, 32, 64, 32), (32, 128, 32, 64),
    (256, 64, 64, 32), (64, 256, 32, 64), (256, 128, 64, 64), (128, 256, 64, 64), (64, 32, 32, 32), (32, 64, 32, 32),
    (32, 32, 32, 16),
)  # fmt: skip
TENSOR_TILES = (
    (256, 128, 64, 64), (128, 256, 64, 64), (128, 128, 64, 64), (256, 64, 64, 64), (64, 256, 64, 64), (128, 64, 64, 32),
    (64, 128, 32, 64), (64, 64, 32, 32), (128, 32, 64, 32), (32, 128, 32, 64), (64, 32, 32, 32), (32, 64, 32, 32),
)  # fmt: skip
K_BYTES = {"simt": 32, "dp4a": 32, "tensor": 64}  # of one k-step: 8 FP32, 32 FP16, 64 INT8 elements


def tiles_for(precision: Precision, device: Device) -> tuple[Tile, ...]:
    """The tile set of a precision: SIMT or tensor-op, k-step by the size of the operand."""
    unit = device.rate(precision).unit
    k = int(K_BYTES[unit] / precision.operand.bytes)
    shapes = TENSOR_TILES if unit == "tensor" else SIMT_TILES
    return tuple(Tile(m, n, k, warp_m, warp_n) for m, n, warp_m, warp_n in shapes)


def find_tile(name: str, precision: Precision, device: Device) -> Tile:
    """The tile `MxN` or `MxNxK` of the set; `InputError` (E1106) with the known ones otherwise."""
    known = tiles_for(precision, device)
    for tile in known:
        if name in (tile.name, f"{tile.m}x{tile.n}"):
            return tile
    names = ", ".join(tile.name for tile in known)
    raise InputError.at("E1106", "tile", f"{quote(name)} is not in the set for {precision.name}.", f"Known: {names}.")


def registers_per_thread(tile: Tile, precision: Precision, unit: str) -> int:
    """Registers for accumulators, fragments, staged loads and addresses, in the multiples of 8 that hardware allots.

    An estimate: within 20 % of what nvcc reports for CUTLASS's sm_75 kernels with 128x128 tiles (132 FP32, 216 FP16
    and INT8).
    """
    size = precision.operand.bytes
    accumulators = tile.warp_m * tile.warp_n / WARP * precision.accumulator.bytes / 4
    if unit == "tensor":
        fragments = (tile.warp_m + tile.warp_n) * 16 * size / WARP / 4 * 2
    else:
        fragments = (tile.warp_m / 32 + tile.warp_n / 32) * 8
    staged = (tile.m + tile.n) * tile.k * size / (tile.warps * WARP) / 4
    return min(255, round_up(ceil(accumulators + fragments + staged + 28), 8))


def shared_bytes(tile: Tile, precision: Precision) -> int:
    """Two stages of both operands' tiles [B].

    >>> from perfmodel.gemm import find_precision
    >>> shared_bytes(Tile(128, 128, 32, 64, 64), find_precision("fp16"))
    32768
    """
    return int(2 * (tile.m + tile.n) * tile.k * precision.operand.bytes)


def ctas_per_sm(tile: Tile, precision: Precision, device: Device) -> int:
    """CTAs of this tile that fit one SM at once: 0 where it does not fit."""
    threads = tile.warps * WARP
    registers = registers_per_thread(tile, precision, device.rate(precision).unit)
    return min(
        device.registers_per_sm // (registers * threads),
        device.shared_bytes_per_sm // shared_bytes(tile, precision),
        device.threads_per_sm // threads,
        device.ctas_per_sm,
    )


@dataclass(frozen=True, slots=True)
class TileTable:
    """The tiles that fit a device, as arrays of one element a tile [T]."""

    tiles: tuple[Tile, ...]
    m: np.ndarray
    n: np.ndarray
    k: np.ndarray
    warps: np.ndarray
    warp_edge: np.ndarray  # warp_m + warp_n
    resident: np.ndarray  # CTAs on one SM

    @classmethod
    def of(cls, tiles: tuple[Tile, ...], precision: Precision, device: Device) -> TileTable:
        """The table; `Unsupported` (E1107) where none of the tiles fits an SM."""
        resident = [(tile, ctas_per_sm(tile, precision, device)) for tile in tiles]
        rows = [(t.m, t.n, t.k, t.warps, t.warp_m + t.warp_n, count) for t, count in resident if count]
        if not rows:
            names = ", ".join(tile.name for tile in tiles)
            raise Unsupported.at(
                "E1107",
                f"tile {names}:",
                f"does not fit an SM of {device.name} in {precision.name}.",
                "Choose a smaller one.",
            )
        return cls(tuple(tile for tile, count in resident if count), *np.array(rows, dtype=np.float64).T)
