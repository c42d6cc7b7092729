"""How long all bundled schemes take to price on all bundled networks and devices, one step of each."""

import subprocess
import sys
from statistics import median
from time import perf_counter

from perfmodel.cost import Roofline, Tiles
from perfmodel.devices import device_names, find_device
from perfmodel.networks import find_network, network_names
from perfmodel.schemes import find_scheme, scheme_names
from perfmodel.sidebyside import price_grid

RUNS = 5
TARGET_S = 5.0
MODELS = {"tiles": Tiles, "roofline": Roofline}


def seconds(model):
    """Wall-clock seconds of the whole grid, and its cells: with prices, and refused."""
    start = perf_counter()
    schemes, networks, devices = (
        [find(name) for name in names()]
        for find, names in ((find_scheme, scheme_names), (find_network, network_names), (find_device, device_names))
    )
    cells = list(price_grid(schemes, networks, devices, model=MODELS[model]))
    return perf_counter() - start, len(cells), sum(cell.seconds is None for cell in cells)


def main():
    if len(sys.argv) > 1:  # one run in a process of its own, so that nothing is remembered
        print(*seconds(sys.argv[1]))
        return
    print(f"{'model':<10}{'cells':>7}{'refused':>9}{'min s':>8}{'median s':>10}   target: at most {TARGET_S:g} s")
    for model in MODELS:
        command = (sys.executable, __file__, model)
        runs = [subprocess.run(command, check=True, capture_output=True, text=True).stdout.split() for _ in range(RUNS)]
        times = [float(run[0]) for run in runs]
        print(f"{model:<10}{runs[0][1]:>7}{runs[0][2]:>9}{min(times):>8.2f}{median(times):>10.2f}")
    print(f"{RUNS} runs each, in processes of their own; files read included, starting Python not.")


if __name__ == "__main__":
    main()
