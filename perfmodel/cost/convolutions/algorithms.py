"""What each algorithm of a convolution library takes, and the fastest: a view of its own beside CUTLASS's.

Chetlur et al., cuDNN: Efficient primitives for deep learning (arXiv 1410.0759); NVIDIA, cuDNN API reference,
cudnnConvolutionFwdAlgo_t. Which algorithms are offered, and what their kernels skip, was inferred from timings:
docs/convolutions.md says how, and how far off they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from perfmodel.convolution import Convolution
from perfmodel.cost.convolutions.implicit import implicit_s, scatter_s
from perfmodel.cost.convolutions.problems import Problems
from perfmodel.cost.convolutions.transformed import fft_s, fused_winograd_s, winograd_s
from perfmodel.cost.estimate import Estimates
from perfmodel.cost.tiles import Tiles
from perfmodel.devices import Device
from perfmodel.gemm import Precision, find_precision

ALGORITHMS = ("implicit-gemm", "cuda-cores", "scatter", "winograd-fused", "winograd", "fft")


def algorithm_times(
    convolutions: Sequence[Convolution], precision: Precision, tiles: Tiles
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Seconds of each algorithm and convolution [algorithms, convs], with the algorithms' labels.

    Infinite where the library has no such kernel: no transforms on tensor cores, no dgrad nor wgrad of integers.
    `tiles` gives device and constants; its tile and split-K are the library's own choice here. `Unsupported` (E1103)
    where the device has no unit for the precision.
    """
    seconds = np.full((len(ALGORITHMS), len(convolutions)), np.inf)
    for pass_ in dict.fromkeys(one.pass_ for one in convolutions):
        at = [i for i, one in enumerate(convolutions) if one.pass_ == pass_]
        seconds[:, at] = _times([convolutions[i] for i in at], precision, tiles)
    return seconds, ALGORITHMS


def library_estimates(convolutions: Sequence[Convolution], precision: Precision, tiles: Tiles) -> Estimates:
    """Seconds of each convolution with its fastest algorithm, named in `detail`; infinite where there is none."""
    seconds, names = algorithm_times(convolutions, precision, tiles)
    best = seconds.argmin(axis=0)
    return Estimates(seconds.min(axis=0), "analytical", [names[i] for i in best])


def _times(convolutions: Sequence[Convolution], precision: Precision, tiles: Tiles) -> np.ndarray:
    """Those of one pass [algorithms, convs]."""
    pass_, unit = convolutions[0].pass_, tiles.device.rate(precision).unit
    p = Problems.of(convolutions, unit, precision.operand.bytes)
    tiles = replace(tiles, tile="best", split_k=pass_ == "wgrad")  # nothing in the timings shows another split
    rows = dict.fromkeys(ALGORITHMS, np.full(len(convolutions), np.inf))
    integers = precision.accumulator.name == "int32"
    if pass_ == "fprop" or not integers:
        rows["implicit-gemm"] = implicit_s(p, precision, tiles)
    if unit == "simt":
        rows["winograd"] = winograd_s(p, precision, tiles)
        if pass_ == "dgrad":
            rows["scatter"] = scatter_s(p, precision, tiles)
        if precision.operand.bytes == 4:
            rows["winograd-fused"] = fused_winograd_s(p, precision, tiles)
            rows["fft"] = fft_s(p, precision, tiles)
    elif pass_ != "fprop" and not integers and _has_fp32(tiles.device):
        fp32 = find_precision("fp32")
        plain = Problems.of(convolutions, "simt", fp32.operand.bytes)
        rows["cuda-cores"] = np.where(p.wide, implicit_s(plain, fp32, tiles), np.inf)
        rows["implicit-gemm"] = np.where(p.wide, np.inf, rows["implicit-gemm"])
    return np.array([rows[name] for name in ALGORITHMS])


def _has_fp32(device: Device) -> bool:
    return ("fp32", "fp32") in device.rates
