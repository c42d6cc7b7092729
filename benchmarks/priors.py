"""Learn what is expected of GEMM corrections: `python benchmarks/priors.py GEMM_TIMES.csv > gemm.toml`.

The file has the columns of `perfmodel validate`'s GEMM data. Of NeuSight's `linear-test` rows and DeepBench's rows the
error that fitted constants leave is taken, on 25 and on 100 timings of each device and precision, and the prior under
which these errors are most likely is written: once from all, once from each half of the shapes, and the same without
each device, so that it can be judged on that device. Needs scipy.
"""

import json
import sys
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from perfmodel.calibration.fit import Rows
from perfmodel.calibration.halves import halves
from perfmodel.calibration.physics import fit_physics
from perfmodel.calibration.priors import prior_lines
from perfmodel.calibration.timings import Timings
from perfmodel.cost.estimate import Gemms
from perfmodel.cost.features import GEMM_FEATURES
from perfmodel.cost.residual import SHORT_S, Prior
from perfmodel.cost.tiles import Tiles
from perfmodel.devices import find_device
from perfmodel.gemm import find_precision
from perfmodel.units import round_up

DEVICES = {
    "Tesla T4": "t4", "T4": "t4", "Tesla V100-PCIE-32GB": "v100", "V100": "v100-sxm2", "Tesla P100-PCIE-16GB": "p100",
    "P100": "p100", "Tesla P4": "p4", "NVIDIA A100-PCIE-40GB": "a100", "1080Ti": "gtx-1080-ti",
}  # fmt: skip
SOURCES = ("neusight-linear-test", "deepbench")
PRECISIONS = ("fp32", "fp16")  # DeepBench's INT8 rows ran on other units than the device files have, or are too few
CARDS = {"v100": ("v100", "v100-sxm2")}  # one chip: left out together
SAMPLES = ((25, 0), (25, 1), (100, 0), (100, 1))  # timings, seed
F = len(GEMM_FEATURES)
START = np.concatenate([[-1.0, -1.8, -2.8, -3.0], np.full(F, 0.7), np.full(F, -2.5), np.full(F, 0.3)])
LEAST = np.concatenate([[-3.0, -4.0, -5.0, -6.0], np.full(F, -1.0), np.full(F, -5.0), np.full(F, -1.0)])
MOST = np.concatenate([[1.0, 0.0, -1.5, 1.0], np.full(F, 3.0), np.full(F, 0.0), np.full(F, 3.0)])
PENALTY = 0.05  # on the distance from `START`
NOISE_SD = 0.5  # of the logarithm of a sample's own noise factor
SOURCE = (
    "benchmarks/priors.py on NeuSight's linear-test GEMMs (sitar-lab/NeuSight @ 6945927d, at most 700 shapes for each "
    "device) and DeepBench's training GEMMs (baidu-research/DeepBench @ da81ba78, 77 shapes): V100, A100, T4, P100, "
    "P4, GTX 1080 Ti"
)


@dataclass(frozen=True, slots=True)
class Sample:
    """Features [n, F], modelled seconds [n] and log errors [n] of some timings, constants fitted to them."""

    features: np.ndarray
    seconds: np.ndarray
    errors: np.ndarray


def main(path: str) -> None:
    """Print the file of priors."""
    table = pd.read_csv(path)
    table = table[table.source.isin(SOURCES) & table.precision.isin(PRECISIONS) & table.device.isin(DEVICES)]
    table = table.assign(half=halves(table.batch, table.m, table.n, table.k))
    print('title = "Prior of GEMM corrections"')
    print(f"source = {json.dumps(SOURCE)}")
    print(f"features = {json.dumps(list(GEMM_FEATURES))}")
    for without in ("", "v100", "a100", "t4", "p100", "p4", "gtx-1080-ti"):
        for half in (None, 0, 1):
            samples = list(draw(table, CARDS.get(without, (without,)), half))
            prior = learn(samples)
            print("\n[[priors]]", f'without = "{without}"', sep="\n")
            if half is not None:
                print(f"half = {half}")
            print(*prior_lines(prior), sep="\n")


def draw(table: pd.DataFrame, without: tuple[str, ...], half: int | None):
    """Samples of every source, device and precision but those of the devices `without`."""
    chosen = table if half is None else table[table.half == half]
    for (_, device, precision), rows in chosen.groupby(["source", "device", "precision"]):
        if DEVICES[device] not in without:
            for count, seed in SAMPLES:
                yield sample(rows.sample(min(count, len(rows)), random_state=seed), DEVICES[device], precision)


def sample(rows: pd.DataFrame, device: str, precision: str) -> Sample:
    """What these timings leave over when constants are fitted to them."""
    kind = find_precision(precision)
    layouts = rows.op_a.fillna("T").str.lower() + rows.op_b.fillna("N").str.lower()
    timings = []
    for layout, part in rows.groupby(layouts):
        m, n, k, batch = (part[name].to_numpy(dtype=float) for name in ("m", "n", "k", "batch"))
        gemms = Gemms(kind, m, n, round_up(k, kind.operand.align_k), batch, layout=layout)
        timings.append(Timings(gemms, part.seconds.to_numpy()))
    found = Rows.of(Tiles(find_device(device)).unlimited(), timings)
    seconds = fit_physics(found.body_s, found.seconds).seconds(found.body_s)
    return Sample(found.features(seconds), seconds, np.log(found.seconds / seconds))


def learn(samples: list[Sample], steps: int = 80) -> Prior:
    """The prior under which the samples' errors are most likely; each sample may scatter more or less than it says."""
    count = len(samples)

    def cost(at: np.ndarray) -> tuple[float, np.ndarray]:
        shared, noise = at[:-count], at[-count:]
        value = PENALTY * ((shared - START) ** 2).mean()
        slope = np.concatenate([2 * PENALTY * (shared - START) / len(START), np.zeros(count)])
        for i, one in enumerate(samples):
            weight = 1 / (len(one.errors) * count)
            part, along, along_noise = misfit(shared, noise[i], one)
            value += weight * (part + 0.5 * (noise[i] / NOISE_SD) ** 2)
            slope[:-count] += weight * along
            slope[i - count] += weight * (along_noise + noise[i] / NOISE_SD**2)
        return value, slope

    bounds = [*zip(LEAST, MOST, strict=True), *[(-2.5, 2.5)] * count]
    start = np.concatenate([START, np.zeros(count)])
    found = minimize(cost, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": steps})
    at = np.exp(found.x[:-count])
    return Prior(*at[:4], at[4 : 4 + F], at[4 + F : 4 + 2 * F], at[4 + 2 * F :])


def misfit(at: np.ndarray, noise: float, sample: Sample) -> tuple[float, np.ndarray, float]:
    """Negative log likelihood of a sample's errors, and its slopes along the prior's logarithms and the noise's.

    Rasmussen and Williams 2006, equation 5.9.
    """
    joint_length, each_length = np.exp(at[4 : 4 + F]), np.exp(at[4 + 2 * F :])
    each_variance = np.exp(2 * at[4 + F : 4 + 2 * F])
    delta = sample.features[:, None, :] - sample.features[None, :, :]
    squares = (delta / joint_length) ** 2
    distance = np.sqrt(squares.sum(axis=2))
    joint_decay = np.exp(2 * at[1] - distance)
    joint = (1 + distance) * joint_decay
    apart = np.abs(delta) / each_length
    each_decay = each_variance * np.exp(-apart)
    each = (1 + apart) * each_decay
    plain = np.exp(2 * (at[2] + noise))
    short = (np.exp(at[3] + noise) * SHORT_S / sample.seconds) ** 2
    covariance = np.exp(2 * at[0]) + joint + each.sum(axis=2) + np.diag(plain + short)
    inverse = np.linalg.inv(covariance)
    weights = inverse @ sample.errors
    value = 0.5 * sample.errors @ weights + np.log(np.diag(np.linalg.cholesky(covariance))).sum()
    pull = 0.5 * (inverse - np.outer(weights, weights))
    diagonal = np.diag(pull)
    noise_slopes = 2 * plain * diagonal.sum(), 2 * (short * diagonal).sum()
    slope = np.concatenate([
        [2 * np.exp(2 * at[0]) * pull.sum(), 2 * (pull * joint).sum(), *noise_slopes],
        np.einsum("ij,ijf->f", pull * joint_decay, squares),
        2 * np.einsum("ij,ijf->f", pull, each),
        np.einsum("ij,ijf->f", pull, each_decay * apart**2),
    ])  # fmt: skip
    return float(value), slope, float(sum(noise_slopes))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
