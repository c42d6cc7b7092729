"""Make the calibrations that come with the devices: `python benchmarks/calibrations.py GEMM_TIMES.csv FOLDER`.

The file has the columns of `perfmodel validate`'s GEMM data. One calibration is written for each device that has
timings, from all of them: it must never be judged on these. Prints what `perfmodel/data/doubts/tiles.toml` says: how
far off the model is where nothing was fitted.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from perfmodel.calibrate import calibrate
from perfmodel.calibration.files import calibration_text
from perfmodel.calibration.fit import Rows
from perfmodel.calibration.timings import Timings
from perfmodel.cost.estimate import Gemms
from perfmodel.cost.tiles import Tiles
from perfmodel.devices import find_device
from perfmodel.gemm import align, find_precision

NEUSIGHT, DEEPBENCH = ("neusight-linear-test", "neusight-bmm-test"), ("deepbench",)
CITED = {
    NEUSIGHT: "sitar-lab/NeuSight @ 6945927d, linear and bmm test rows (PyTorch 2.1), 700 shapes each at most",
    DEEPBENCH: "baidu-research/DeepBench @ da81ba78, 77 of its 160 training GEMMs (cuBLAS)",
}
DATE = "2026-11-23"  # of the fit
TIMINGS_A_POINT = 3  # at least, on average: the package holds what was fitted, not the data
FROM = {  # device: precision → sources, and what they call the device
    "v100": {"fp32": (NEUSIGHT, "Tesla V100-PCIE-32GB")},
    "a100": {"fp32": (NEUSIGHT, "NVIDIA A100-PCIE-40GB")},
    "p100": {"fp32": (NEUSIGHT, "Tesla P100-PCIE-16GB")},
    "p4": {"fp32": (NEUSIGHT, "Tesla P4")},
    "t4": {"fp32": (NEUSIGHT, "Tesla T4"), "fp16": (DEEPBENCH, "T4")},
    "v100-sxm2": {"fp32": (DEEPBENCH, "V100"), "fp16": (DEEPBENCH, "V100")},
    "gtx-1080-ti": {"fp32": (DEEPBENCH, "1080Ti")},
}


def main(path: str, folder: str) -> None:
    """Write the calibrations, and print how far off the model was without them."""
    table = pd.read_csv(path)
    for device, parts in FROM.items():
        timings, cited = [], []
        for precision, (sources, name) in parts.items():
            rows = table[table.source.isin(sources) & (table.device == name) & (table.precision == precision)]
            found = list(read(rows, precision))
            timings += found
            cited.append(f"{precision}: {CITED[sources]}")
            errors = log_errors(device, found)
            middle = np.median(errors)
            apart = np.quantile(np.abs(errors - middle), 0.9)
            print(f"{device:12}{precision:6}{len(rows):5} median {middle:+.2f}, 90 % within {apart:.2f} of it")
        made = calibrate(
            find_device(device), timings, title=f"{find_device(device).title}, published GEMM timings",
            source="; ".join(cited) + "; by benchmarks/calibrations.py", date=DATE,
            timings_a_point=TIMINGS_A_POINT,
        )  # fmt: skip
        Path(folder, f"{device}.toml").write_text(calibration_text(made), encoding="utf-8")


def read(rows: pd.DataFrame, precision: str):
    """The rows as timings, those of one layout together."""
    kind = find_precision(precision)
    layouts = rows.op_a.fillna("T").str.lower() + rows.op_b.fillna("N").str.lower()
    for layout, part in rows.groupby(layouts):
        m, n, k, batch = (part[name].to_numpy(dtype=float) for name in ("m", "n", "k", "batch"))
        gemms = Gemms(kind, *align(kind, layout, m, n, k, batch), batch, layout=layout)
        yield Timings(gemms, part.seconds.to_numpy())


def log_errors(device: str, timings: list[Timings]) -> np.ndarray:
    """ln(measured / modelled) with nothing fitted."""
    model = Tiles(find_device(device))
    rows = Rows.of(model, timings)
    return np.log(rows.seconds / (rows.body_s + model.constants.launch_s))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
