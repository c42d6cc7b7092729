"""Convolutions as one GEMM that no memory holds: what a library's kernels of this kind multiply and read."""

from __future__ import annotations

import numpy as np

from perfmodel.cost.convolutions.problems import Problems
from perfmodel.cost.estimate import Gemms
from perfmodel.cost.tiles import Tiles
from perfmodel.gemm import Precision

# Chosen with all of DeepBench's rows in sight (docs/convolutions.md).
SIMT_WGRAD = 1.4  # wgrad on CUDA cores against a GEMM of its shape
SCATTER = 1.5  # scattering dgrad against its GEMM
FEW_CHANNELS = 8  # below it dgrad may scatter


def gemm_s(tiles: Tiles, precision: Precision, m, n, k, batch, a_fraction=1.0, b_fraction=1.0) -> np.ndarray:
    """Seconds of GEMMs whose sizes are arrays or one number for all."""
    m, n, k, batch, a, b = np.broadcast_arrays(m, n, k, batch, np.minimum(a_fraction, 1), np.minimum(b_fraction, 1))
    return tiles.gemms(Gemms(precision, m * 1.0, n * 1.0, k * 1.0, batch * 1.0, a * 1.0, b * 1.0)).seconds


def implicit_s(p: Problems, precision: Precision, tiles: Tiles) -> np.ndarray:
    """Seconds of the implicit GEMM of each convolution.

    A strided dgrad multiplies ⌈r/stride⌉·⌈s/stride⌉ taps for each pixel, and of the zeros that remain skips those
    along one axis; where padding is wider than the filter it skips none. On CUDA cores a kernel before it clears the
    result.
    """
    out, column = p.images * p.out_pixels, p.channels * p.taps
    read = p.images * p.channels * np.minimum(p.pixels, p.out_pixels * p.taps) / (out * column)
    if p.pass_ == "fprop":
        return gemm_s(tiles, precision, out, p.filters, column, p.groups, read)
    simt = tiles.device.rate(precision).unit == "simt"
    if p.pass_ == "wgrad":
        return gemm_s(tiles, precision, p.filters, column, out, p.groups, 1.0, read) * (SIMT_WGRAD if simt else 1.0)
    skipping = np.ceil(p.rows / p.stride) * np.ceil(p.columns / p.across) * np.minimum(1.0, p.rows / p.stride)
    k = np.ceil(p.filters * np.where(p.wide, p.taps, skipping))
    m = p.images * p.pixels
    seconds = gemm_s(tiles, precision, m, p.channels, k, p.groups, out * p.filters / (m * k))
    rate = tiles.constants.dram * tiles.device.dram_bytes_per_s
    clearing = tiles.constants.launch_s + p.inputs * precision.output.bytes / rate
    return seconds + np.where(p.strided & simt, clearing, 0.0)


def scatter_s(p: Problems, precision: Precision, tiles: Tiles) -> np.ndarray:
    """Seconds of a dgrad that multiplies into columns and adds these to the pixels, each sum twice through L2."""
    columns = p.images * p.out_pixels * p.channels * p.taps
    product = gemm_s(tiles, precision, p.images * p.out_pixels, p.channels * p.taps, p.filters, p.groups)
    cleared = p.inputs * precision.output.bytes / (tiles.constants.dram * tiles.device.dram_bytes_per_s)
    added = 2 * 4 * columns * p.groups / (tiles.device.l2_bytes_per_clock * tiles.clock_hz(precision))
    return np.where(p.channels < FEW_CHANNELS, SCATTER * (product + cleared + added), np.inf)
