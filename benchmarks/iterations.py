"""Modelled training iterations beside published ones: `python benchmarks/iterations.py TRAINING_TIMES.csv`.

The file has the columns source, device, framework, network, precision, mode, batch, seconds_per_iteration, note:
published whole-iteration timings of stock frameworks, joined. It is not part of this project; nothing of it is kept
but the table that is printed. Nothing is fitted.
"""

import sys

import numpy as np
import pandas as pd

from perfmodel.cost.tiles import Tiles
from perfmodel.devices import find_device
from perfmodel.networks import find_network
from perfmodel.schemes import find_scheme
from perfmodel.schemes.formats import StepFormats
from perfmodel.simulate import Setting, StepCost, step_cost

DEVICES = {
    "GeForce RTX 2080 Ti": "rtx-2080-ti", "GeForce RTX 3090": "rtx-3090", "GeForce GTX 1080 Ti": "gtx-1080-ti",
}  # fmt: skip
NETWORKS = {
    "resnet50": "resnet50", "resnet18": "resnet18", "resnet34": "resnet34", "vgg16": "vgg16", "googlenet": "googlenet",
    "mobilenet_v2": "mobilenetv2", "alexnet": "alexnet",
}  # fmt: skip
SCHEMES = {"fp32": ("fp32", "fp32"), "fp16": ("mixed", "fp16"), "fp16 (all layers)": ("mixed", "fp16")}
NO_OPTIMIZER = ("update", "cast")  # kinds of work that a forward and backward pass alone does not do
GROUP = ["source", "device", "network", "precision", "mode", "batch"]


def main(path: str) -> None:
    """Print one line for each source, device, network, precision and batch: median of the published times, and ours."""
    timings = pd.read_csv(path)
    print(
        f"{'source':12}{'device':13}{'network':12}{'precision':19}{'mode':36}{'batch':>6}"
        f"{'published':>11}{'model':>9}  ratio"
    )
    ratios: dict[tuple[str, str], list[float]] = {}
    for (source, device, network, precision, mode, batch), rows in timings.groupby(GROUP):
        if device not in DEVICES or network not in NETWORKS or precision not in SCHEMES or mode == "forward":
            continue
        step = price(DEVICES[device], NETWORKS[network], *SCHEMES[precision], int(batch))
        if "no optimizer" in mode:
            step = step.without(NO_OPTIMIZER)
        published = float(rows["seconds_per_iteration"].median())
        ratio = step.total.seconds / published
        ratios.setdefault((source, precision), []).append(ratio)
        print(f"{source:12}{DEVICES[device]:13}{network:12}{precision:19}{mode:36}{batch:6}", end="")
        print(f"{published * 1e3:8.1f} ms{step.total.seconds * 1e3:6.1f} ms{ratio:7.2f}")
    for (source, precision), found in ratios.items():
        print(
            f"{source} {precision}: model / published, "
            f"geometric mean {np.exp(np.log(found).mean()):.2f}, n = {len(found)}"
        )


def price(device: str, network: str, scheme: str, format_: str, batch: int) -> StepCost:
    """One modelled training step."""
    setting = Setting(Tiles(find_device(device)))
    return step_cost(find_network(network), batch, find_scheme(scheme), StepFormats.everywhere(format_), setting)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
