"""What the error of a GEMM model may depend on: numbers of a GEMM on a device, made comparable."""

from __future__ import annotations

import numpy as np

from perfmodel.cost.estimate import Gemms
from perfmodel.devices import Device

CTA = 128  # rows and columns of the tile that the features count in, whatever tile a kernel has

# name: (centre, scale), so that most values lie between -2 and 2. Those up to `padded_n` are natural logarithms.
GEMM_FEATURES = {
    "k": (7.5, 1.5),  # length of the sums
    "footprint": (2.0, 2.0),  # stored operands against L2
    "waves": (2.0, 2.0),  # tiles for each SM
    "least_edge": (7.0, 1.5),  # the lesser of m and n
    "aspect": (0.0, 2.0),  # m against n
    "seconds": (-5.0, 2.5),  # what the physics says, in seconds
    "roof": (0.3, 0.3),  # the physics against the roofline
    "intensity": (2.0, 1.5),  # compute bound against memory bound of the roofline
    "batch": (2.0, 2.0),
    "padded_m": (0.0, 0.25),  # rows of whole tiles against m
    "padded_n": (0.0, 0.25),
    "tail": (0.8, 0.25),  # share of the last wave's slots that is used, over all waves
    "a_in_lines_of_m": (0.0, 1.0),  # 1 where A is contiguous in m, 0 where in k
    "b_in_lines_of_n": (0.0, 1.0),
    "streamed": (0.0, 0.5),  # how far the GEMM waits for operands that come from DRAM in lines of k
    "streamed_odd": (0.0, 0.5),  # the same where k is no power of two, else 0
}
MOST_PADDING = 2.0  # beyond it, padding says no more than the edge itself


def gemm_features(gemms: Gemms, device: Device, seconds: np.ndarray) -> np.ndarray:
    """The features of each GEMM [gemms, features], in the order of `GEMM_FEATURES`; `seconds` is what the physics says.

    >>> from perfmodel.devices import find_device
    >>> from perfmodel.gemm import Gemm
    >>> gemms = Gemms.of([Gemm(128, 256, 1808)])
    >>> found = gemm_features(gemms, find_device("v100"), np.array([1e-3]))[0]
    >>> dict(zip(GEMM_FEATURES, found.round(3).tolist()))["aspect"]  # (ln 128/256 - 0) / 2
    -0.347
    """
    m, n, k, batch = gemms.m, gemms.n, gemms.k, gemms.batch
    a, b, c = _bytes(gemms)
    compute_s = 2.0 * batch * m * n * k / device.peak_flop_per_s(gemms.precision, device.boost_clock_hz)
    memory_s = (a + b + c) / device.dram_bytes_per_s
    rows, columns = np.ceil(m / CTA), np.ceil(n / CTA)
    waves = rows * columns * batch / (2 * device.sms)
    logs = (
        k, (a + b) / device.l2_bytes, batch * m * n / (CTA * CTA * device.sms), np.minimum(m, n), m / n, seconds,
        seconds / np.maximum(compute_s, memory_s), compute_s / memory_s, batch,
        np.minimum(rows * CTA / m, MOST_PADDING), np.minimum(columns * CTA / n, MOST_PADDING),
    )  # fmt: skip
    a_along_k, b_along_k = gemms.along_k
    bound, cold = memory_s / (memory_s + compute_s), (a + b) / (a + b + device.l2_bytes)
    streamed = (a * a_along_k + b * b_along_k) / (a + b + c) * bound * cold
    odd = np.frexp(k)[0] != 0.5  # no power of two
    plain = (waves / np.ceil(waves), ~a_along_k, ~b_along_k, streamed, streamed * odd)
    found = np.column_stack([*map(np.log, logs), *plain])
    centre, scale = np.array(list(GEMM_FEATURES.values())).T
    return (found - centre) / scale


def _bytes(gemms: Gemms) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bytes of A and B as stored, and of C, of each GEMM."""
    size, written = gemms.precision.operand.bytes, gemms.precision.output.bytes
    m, n, k, batch = gemms.m, gemms.n, gemms.k, gemms.batch
    return batch * m * k * gemms.a_fraction * size, batch * n * k * gemms.b_fraction * size, batch * m * n * written
