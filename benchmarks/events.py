"""The simulation of thread blocks beside the closed form, on public GEMM timings: `python benchmarks/events.py FILE`.

The file has the columns of `perfmodel validate`'s GEMM data. At most 60 timings, drawn with a fixed seed, for each
source, device and precision. Each model has one scale, fitted on the timings of one of validate's halves of the shapes
and judged on the other, both ways.
"""

# ruff: noqa: E402  (the number of threads is read when NumPy is imported)

import os

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[threads] = "1"

import sys
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd

from perfmodel.cost.estimate import CostModel
from perfmodel.cost.events import Events
from perfmodel.cost.tiles import Tiles
from perfmodel.validate.problems import Problems, Series
from perfmodel.validate.readers import read_gemms

MODELS = ("tiles", "events")
SHAPE = ["batch", "m", "n", "k"]
MOST, SEED = 60, 7
LISTED = 16  # of the GEMMs on which the models differ most


def main(path: str) -> None:
    """Print one line for each source, device and precision, and the GEMMs on which the models differ most."""
    print(f"{'source':22}{'device':14}{'precision':11}{'n':>4}{'tiles':>8}{'events':>8}", end="")
    print(f"{'differ':>9}{'p90':>8}{'bias':>8}{'a second':>10}")
    parts = []
    for series in read_gemms(Path(path)).series:
        of = series.problems
        part, seconds = compare(series)
        parts.append(part.assign(source=of.source, device=of.device.name, precision=of.precision))
        differ = part["events"] / part["tiles"] - 1
        print(f"{of.source:22}{of.device.name:14}{of.precision:11}{len(part):4}", end="")
        print("".join(f"{100 * error(part, model):6.1f} %" for model in MODELS), end="")
        print(f"{100 * differ.abs().mean():7.1f} %{100 * differ.abs().quantile(0.9):6.1f} %", end="")
        print(f"{100 * differ.mean():+6.1f} %{len(part) / seconds:10.0f}")
    print("".join(f"{name} {100 * mean_error(parts, name):.1f} %  " for name in MODELS), "mean over the lines")
    list_differences(pd.concat(parts))


def compare(series: Series) -> tuple[pd.DataFrame, float]:
    """Seconds of both models beside those measured, with `half`, and how long the simulations took."""
    at = np.sort(np.random.default_rng(SEED).choice(len(series), min(MOST, len(series)), replace=False))
    problems = series.problems
    closed, _ = priced(Tiles(problems.device), problems, at)
    start = perf_counter()
    found, detail = priced(Events(problems.device), problems, at)
    taken = perf_counter() - start
    shapes = {name: [getattr(problems.kernels[i], name) for i in at] for name in SHAPE}
    columns = {"seconds": series.seconds[at], "half": problems.halves[at], "tiles": closed, "events": found}
    return pd.DataFrame(shapes | columns | {"detail": detail}), taken


def priced(model: CostModel, problems: Problems, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Seconds and details of the GEMMs at these positions."""
    seconds, detail = np.empty(len(at)), np.empty(len(at), dtype=object)
    for rows, gemms in problems.by_layout(at):
        estimates = model.gemms(gemms)
        seconds[rows], detail[rows] = estimates.seconds, estimates.detail
    return seconds, detail


def mean_error(parts: list[pd.DataFrame], model: str) -> float:
    """The mean of the errors of all lines."""
    return float(np.mean([error(part, model) for part in parts]))


def error(part: pd.DataFrame, model: str) -> float:
    """Mean absolute relative error of a model, its scale fitted on the other half of the shapes."""
    misses = []
    for half in (0, 1):
        ratio = part["seconds"] / part[model]
        scale = ratio[part["half"] != half].median()
        misses.append((scale / ratio[part["half"] == half] - 1).abs())
    return float(pd.concat(misses).mean())


def list_differences(part: pd.DataFrame) -> None:
    """Print the GEMMs on which the models differ most, with what both say and what was measured, in microseconds."""
    part = part.assign(differ=part["events"] / part["tiles"] - 1)
    part = part.sort_values("differ", key=np.abs, ascending=False).drop_duplicates([*SHAPE, "device"])
    print(f"\n{'device':14}{'precision':11}{'batch':>6}{'m':>8}{'n':>7}{'k':>8}{'differ':>9}", end="")
    print(f"{'events':>10}{'tiles':>10}{'measured':>10}  kernel")
    for row in part.head(LISTED).itertuples():
        print(f"{row.device:14}{row.precision:11}{row.batch:6}{row.m:8}{row.n:7}{row.k:8}", end="")
        print(f"{100 * row.differ:+7.1f} %{row.events * 1e6:10.1f}{row.tiles * 1e6:10.1f}", end="")
        print(f"{row.seconds * 1e6:10.1f}  {row.detail}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
