"""Speed of the tile model on one core: evaluations per second, and microseconds for each best-of-tiles GEMM."""

# ruff: noqa: E402  (the number of threads is read when NumPy is imported)

import os

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[threads] = "1"

from statistics import median
from time import perf_counter

import numpy as np

from perfmodel.calibration import find_calibrated_model
from perfmodel.cost import Tiles
from perfmodel.cost.estimate import Gemms
from perfmodel.cost.tileset import SPLITS
from perfmodel.devices import find_device
from perfmodel.gemm import find_precision
from perfmodel.units import round_up

DEVICE = find_device("rtx-2080-ti")
PRECISIONS = ("fp32", "fp16", "int8")
BATCHES = (64, 256, 2048)
REPEATS = 41
WARM_UP_S = 0.3
CALIBRATED = "t4"  # a device that comes with a calibration of as many points as there may be
TARGET = "target: at least 10 million evaluations/s, at most 10 us for each GEMM, 20 us with calibration and interval"


def random_gemms(precision, count):
    """`count` shapes with sizes from 16 to 16384, small and large alike."""
    m, n, k = np.rint(2 ** np.random.default_rng(7).uniform(4, 14, (3, count)))
    return Gemms(precision, m, n, round_up(k, precision.operand.align_k), np.ones(count))


def seconds(call):
    """Seconds of each of `REPEATS` calls, after some that warm up caches, allocator and clock."""
    until = perf_counter() + WARM_UP_S
    while perf_counter() < until:
        call()
    found = []
    for _ in range(REPEATS):
        start = perf_counter()
        call()
        found.append(perf_counter() - start)
    return found


def tell(label, name, model):
    """One line for each batch size."""
    precision = find_precision(name)
    choices = len(Tiles(model.device).table(precision).tiles) * len(SPLITS)
    for batch in BATCHES:
        gemms = random_gemms(precision, batch)
        times = seconds(lambda gemms=gemms: model.gemms(gemms))
        usual, least = median(times) / batch, min(times) / batch
        print(f"{label:<10}{choices:>13}{batch:>7}{choices / usual / 1e6:>11.1f}", end="")
        print(f"{usual * 1e6:>11.2f}{least * 1e6:>10.2f}")


def main():
    print(f"{'precision':<10}{'tile x split':>13}{'batch':>7}{'million/s':>11}{'us a GEMM':>11}{'least us':>10}")
    for name in PRECISIONS:
        tell(name, name, Tiles(DEVICE))
    tell("calibr.", "fp32", find_calibrated_model("tiles", find_device(CALIBRATED)))
    print(f"Median and least of {REPEATS} repeats on {DEVICE.name}; {TARGET}.")


if __name__ == "__main__":
    main()
