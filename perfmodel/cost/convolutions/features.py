"""What the error of the algorithms' times may depend on: numbers of a convolution on a device, made comparable."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from perfmodel.convolution import Convolution
from perfmodel.cost.convolutions.algorithms import ALGORITHMS
from perfmodel.cost.convolutions.problems import Problems
from perfmodel.cost.tiles import Tiles
from perfmodel.gemm import Precision

CTA = 128  # rows and columns of the tile that the features count in
MOST_PADDING = 4.0  # beyond it, padding says no more than the size itself
TOGETHER = 32  # images and filters that kernels of Winograd take together

# name: (centre, scale), so that most values lie between -2 and 2. The first eleven are natural logarithms.
CONVOLUTION_FEATURES = {
    "images": (2.5, 1.0),
    "channels": (5.0, 1.0),
    "filters": (5.0, 1.0),
    "pixels": (6.0, 1.5),  # of an output image
    "taps": (2.2, 1.5),
    "padded_images": (0.0, 0.7),
    "padded_channels": (0.0, 0.5),
    "padded_filters": (0.0, 0.5),
    "seconds": (-8.0, 2.0),  # what the physics says, in seconds
    "intensity": (2.0, 1.0),  # compute bound against memory bound of the roofline
    "waves": (1.0, 2.0),
    "strided": (0.0, 1.0),
    "wide_padding": (0.0, 1.0),
    "winograd": (0.0, 1.0),  # 1 where that algorithm was chosen
    "winograd_fused": (0.0, 1.0),
}


def features(
    convolutions: Sequence[Convolution],
    precision: Precision,
    tiles: Tiles,
    seconds: np.ndarray,
    chosen: Sequence[str],
) -> np.ndarray:
    """The features of convolutions of one pass [convs, features], in the order of `CONVOLUTION_FEATURES`.

    `seconds` is what the physics says, `chosen` the label of the algorithm that it chose for each; `ValueError` for a
    label that is none of `ALGORITHMS`.
    """
    if unknown := set(chosen) - set(ALGORITHMS):
        raise ValueError(f"no algorithms: {sorted(unknown)}")
    device = tiles.device
    p = Problems.of(convolutions, "simt", precision.operand.bytes)  # as given: no channels are padded
    flop = 2.0 * p.outputs * p.channels * p.taps
    compute_s = flop / device.peak_flop_per_s(precision, device.boost_clock_hz)
    memory_s = (p.inputs + p.outputs + p.weights) * precision.operand.bytes / device.dram_bytes_per_s
    logs = (
        p.images, p.channels, p.filters, p.out_pixels, p.taps,
        _padding(p.images, TOGETHER), _padding(p.channels, 8), _padding(p.filters, TOGETHER),
        seconds, compute_s / memory_s, p.outputs / (CTA * CTA * device.sms),
    )  # fmt: skip
    plain = (p.strided, p.wide, np.array(chosen) == "winograd", np.array(chosen) == "winograd-fused")
    found = np.column_stack([*map(np.log, logs), *(each.astype(float) for each in plain)])
    centre, scale = np.array(list(CONVOLUTION_FEATURES.values())).T
    return (found - centre) / scale


def _padding(count: np.ndarray, step: int) -> np.ndarray:
    """Whole steps against what is needed."""
    return np.minimum(np.ceil(count / step) * step / count, MOST_PADDING)
