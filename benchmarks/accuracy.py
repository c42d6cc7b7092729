"""Error of the cost models, nothing fitted, on public GEMM timings: `python benchmarks/accuracy.py GEMM_TIMES.csv`.

The file has the columns source, device, precision, accumulate, batch, m, n, k, seconds: DeepBench's and NeuSight's
published timings, joined. It is not part of this project; nothing of it is kept but the table that is printed.
"""

import sys

import numpy as np
import pandas as pd

from perfmodel.cost.estimate import CostModel, Gemms
from perfmodel.cost.roofline import Roofline
from perfmodel.cost.tiles import Tiles
from perfmodel.devices import find_device
from perfmodel.gemm import Precision, find_precision
from perfmodel.units import round_up

DEVICES = {
    "T4": "t4", "Tesla T4": "t4", "V100": "v100-sxm2", "Tesla V100-PCIE-32GB": "v100", "P100": "p100",
    "Tesla P100-PCIE-16GB": "p100", "Tesla P4": "p4", "NVIDIA A100-PCIE-40GB": "a100", "1080Ti": "gtx-1080-ti",
}  # fmt: skip
# DeepBench's T4 INT8 rows run on DP4A units, not on the tensor cores that the device file has for INT8.
GROUP = ["source", "device", "precision", "accumulate"]
LEFT_OUT = {("T4", "int8"), ("P100", "fp16_storage")}


def main(path: str) -> None:
    """Print one line for each source, device and precision."""
    timings = pd.read_csv(path)
    print(f"{'source':24}{'device':14}{'precision':11}{'n':>6}", end="")
    print(f"{'tiles: MAPE':>13}{'median':>9}{'bias':>8}{'roofline: MAPE':>16}")
    for (source, name, precision, accumulate), rows in timings.groupby(GROUP):
        if name not in DEVICES or (name, precision) in LEFT_OUT:
            continue
        device, kind = find_device(DEVICES[name]), find_precision(precision, accumulate)
        tiles, roofline = (errors(model, rows, kind) for model in (Tiles(device), Roofline(device)))
        figures = (np.abs(tiles).mean(), np.median(np.abs(tiles)), tiles.mean(), np.abs(roofline).mean())
        mape, median, bias, bound = (100 * value for value in figures)
        print(f"{source:24}{device.name:14}{kind.name:11}{len(rows):6}", end="")
        print(f"{mape:11.1f} %{median:7.1f} %{bias:+7.1f}{bound:14.1f} %")


def errors(model: CostModel, rows: pd.DataFrame, kind: Precision) -> np.ndarray:
    """Relative error of each row."""
    m, n, k, batch = (rows[column].to_numpy(dtype=float) for column in ("m", "n", "k", "batch"))
    gemms = Gemms(kind, m, n, round_up(k, kind.operand.align_k), batch)
    return model.gemms(gemms).seconds / rows["seconds"].to_numpy() - 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
