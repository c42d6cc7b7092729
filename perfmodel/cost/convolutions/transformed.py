"""Convolutions by transforms: fewer products (Winograd), or products of frequencies (FFT), and the traffic between.

Lavin and Gray, Fast algorithms for convolutional neural networks (arXiv 1509.09308); Mathieu et al., Fast training of
convolutional networks through FFTs (arXiv 1312.5851).
"""

from __future__ import annotations

import numpy as np

from perfmodel.cost.convolutions.implicit import gemm_s
from perfmodel.cost.convolutions.problems import Problems
from perfmodel.cost.tiles import Tiles
from perfmodel.gemm import Precision

# Chosen with all of DeepBench's rows in sight (docs/convolutions.md).
FUSED = 1.3  # the transforms within a fused kernel, against its products
IMAGES = 16.0  # that non-fused kernels of fprop and dgrad take together: fewer cost as much
FFT_EDGE = 32.0
FREQUENCIES = 32 * 17.0  # of one real tile: half of them, the others are their conjugates
COMPLEX = 3.0  # real products of a complex one


def winograd_s(p: Problems, precision: Precision, tiles: Tiles) -> np.ndarray:
    """Seconds of non-fused Winograd: transforms, one GEMM for each element of a tile, transforms back.

    F(4×4, 3×3) and F(5×5, 5×5); infinite for other filters, strides and dilations.
    """
    edge = np.where(p.rows == 3, 4.0, 5.0)
    elements = (edge + p.rows - 1) ** 2
    images = p.images if p.pass_ == "wgrad" else np.ceil(p.images / IMAGES) * IMAGES
    count = images * _tiles(p, edge)
    found = _products_s(p, precision, tiles, count, elements)
    moved = p.inputs + p.outputs + p.weights + elements * p.groups * p.channels * p.filters
    moved = moved + elements * p.groups * count * (p.channels + p.filters)
    found += moved * precision.operand.bytes / (tiles.constants.dram * tiles.device.dram_bytes_per_s)
    found += 2 * tiles.constants.launch_s
    return np.where(_plain(p) & np.isin(p.rows, (3, 5)) & (p.rows == p.columns), found, np.inf)


def fused_winograd_s(p: Problems, precision: Precision, tiles: Tiles) -> np.ndarray:
    """Seconds of fused Winograd F(2×2, 3×3), one kernel: 16 products for four outputs; no wgrad."""
    if p.pass_ == "wgrad":
        return np.full(len(p.images), np.inf)
    found = FUSED * _products_s(p, precision, tiles, p.images * _tiles(p, 2.0), 16.0, 0.25)
    return np.where(_plain(p) & (p.rows == 3) & (p.columns == 3), found, np.inf)


def fft_s(p: Problems, precision: Precision, tiles: Tiles) -> np.ndarray:
    """Seconds of FFT in tiles of 32×32, for filters of more than one row and column that fit a tile."""
    fits = (p.rows > 1) & (p.columns > 1) & (p.rows < FFT_EDGE) & (p.columns < FFT_EDGE)
    rows, columns = (np.minimum(each, FFT_EDGE) for each in (p.rows, p.columns))
    height, width = _result(p)
    count = p.images * np.ceil(height / (FFT_EDGE - rows + 1)) * np.ceil(width / (FFT_EDGE - columns + 1))
    found = _products_s(p, precision, tiles, count, FREQUENCIES * COMPLEX)
    spectra = FREQUENCIES * p.groups * (count * (p.channels + p.filters) + p.channels * p.filters)
    moved = (p.inputs + p.outputs) * precision.operand.bytes + 2 * 8 * spectra  # a complex number has 8 bytes
    found += moved / (tiles.constants.dram * tiles.device.dram_bytes_per_s) + 3 * tiles.constants.launch_s
    return np.where(_plain(p) & fits, found, np.inf)


def _products_s(p: Problems, precision: Precision, tiles: Tiles, count, elements, read=1.0) -> np.ndarray:
    """The batched GEMM over transformed elements, of which the part `read` of the activations comes from memory."""
    sizes = {
        "fprop": (count, p.filters, p.channels),
        "dgrad": (count, p.channels, p.filters),
        "wgrad": (p.filters, p.channels, count),
    }[p.pass_]
    return gemm_s(tiles, precision, *sizes, elements * p.groups, read)


def _result(p: Problems) -> tuple[np.ndarray, np.ndarray]:
    return (p.height, p.width) if p.pass_ == "dgrad" else (p.out_height, p.out_width)


def _tiles(p: Problems, edge: np.ndarray | float) -> np.ndarray:
    """Of one image; the last of a row or column may hang over."""
    height, width = _result(p)
    return np.ceil(height / edge) * np.ceil(width / edge)


def _plain(p: Problems) -> np.ndarray:
    return ~p.strided & ~p.dilated
