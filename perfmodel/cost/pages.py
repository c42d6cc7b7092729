"""Rows that lie pages apart: what a GEMM on Pascal takes longer where its operands' rows along k are long.

The rows of an operand that is contiguous in k lie k elements apart. From 8 KiB on, NeuSight's FP32 timings of P100 and
P4 take longer than tiles and bandwidth say, up to 3.6 times at k beyond 10,000 (sitar-lab/NeuSight @ 6945927d); those
of Volta, Turing and Ampere do not. Each sector of 32 bytes that a tile reads costs the same for each slice of L2, as if
addresses had to be translated; that they are is a guess. Rows and batches of the two cards chose the form.
"""

from __future__ import annotations

import numpy as np

from perfmodel.cost.estimate import Gemms
from perfmodel.devices import Device

SECTOR_BYTES = 32
SLICE_BYTES_PER_CLOCK = 64  # of L2
NEAR_BYTES, FAR_BYTES = 8192.0, 98304.0  # between rows: none of the cost, all of it
TILES = {(6, 0): (128, 32)}  # m and n of cuBLAS's kernels for long k, by their names in NeuSight's P100 timings
USUAL_TILE = (128, 128)


def paged(device: Device) -> bool:
    """Whether the device's architecture is one that pays."""
    return device.architecture == "pascal"


def sector_reads(gemms: Gemms, device: Device, half_bytes: float) -> np.ndarray:
    """Reads of sectors whose rows lie far apart, for each slice of L2; a GEMM's, zero where nothing is contiguous in k.

    Rows cost half where the operands of one product span `half_bytes`, less where fewer pages are in use. Operands that
    are stored in part only (implicit convolutions) have other rows, and none of the cost.
    """
    size = gemms.precision.operand.bytes
    tile_m, tile_n = TILES.get(device.compute_capability, USUAL_TILE)
    a_along_k, b_along_k = gemms.along_k
    a, b = a_along_k & (gemms.a_fraction >= 1), b_along_k & (gemms.b_fraction >= 1)
    row = gemms.k * size
    sectors = gemms.batch * gemms.m * gemms.n * row / SECTOR_BYTES * (a / tile_n + b / tile_m)
    spanned = (gemms.m * a + gemms.n * b) * row
    far = np.clip((row - NEAR_BYTES) / (FAR_BYTES - NEAR_BYTES), 0.0, 1.0)
    slices = device.l2_bytes_per_clock / SLICE_BYTES_PER_CLOCK
    return sectors * far * spanned / (spanned + half_bytes) / slices
