"""Small files of timings whose errors are known."""

import csv

import numpy as np
import pytest

from perfmodel.cost.estimate import Gemms
from perfmodel.cost.tiles import Tiles
from perfmodel.devices import find_device
from perfmodel.gemm import find_precision
from perfmodel.validate.readers import CONV_COLUMNS, GEMM_COLUMNS, ITERATION_COLUMNS

GEMM = {"source": "lab", "device": "V100", "precision": "fp32", "accumulate": "fp32", "batch": 1, "m": 96, "n": 160,
        "k": 224, "seconds": 0.003}  # fmt: skip
CONV = {"source": "lab", "device": "V100", "precision": "fp16", "accumulate": "fp32", "pass": "fprop", "n": 3, "c": 16,
        "h": 15, "w": 17, "k": 24, "r": 3, "s": 5, "pad_h": 1, "pad_w": 2, "stride_h": 2, "stride_w": 1,
        "seconds": 0.0007}  # fmt: skip
ITERATION = {"source": "ryujaehun", "device": "GeForce RTX 2080 Ti", "network": "resnet34", "precision": "fp32",
             "mode": "forward+backward, no optimizer", "batch": 12, "seconds_per_iteration": 0.029}  # fmt: skip
TABLES = {
    "gemm_times.csv": (GEMM_COLUMNS, GEMM),
    "conv_times.csv": (CONV_COLUMNS, CONV),
    "training_times.csv": (ITERATION_COLUMNS, ITERATION),
}


@pytest.fixture
def write_times(tmp_path):
    """Writes a file of timings from rows that say only what is not usual; returns its path."""

    def write(name, rows):
        columns, usual = TABLES[name]
        with open(tmp_path / name, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(usual | row for row in rows)
        return tmp_path / name

    return write


@pytest.fixture
def tiles_rows():
    """Rows of GEMMs on a device that take so many times what `tiles` says."""

    def make(device, named, factor, count=60, seed=3):
        sizes = np.random.default_rng(seed).integers(64, 4096, (count, 3))
        m, n, k = sizes.T.astype(float)
        gemms = Gemms(find_precision("fp32"), m, n, k, np.ones(count))
        seconds = factor * Tiles(find_device(device)).unlimited().gemms(gemms).seconds
        return [
            {"device": named, "m": m, "n": n, "k": k, "seconds": repr(float(s))}
            for (m, n, k), s in zip(sizes.tolist(), seconds, strict=True)
        ]

    return make
