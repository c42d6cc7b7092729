"""The process in which nvMatmulHeuristics runs: GEMMs as JSON on standard input, their seconds on standard output."""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module


def main() -> None:
    """Answer what standard input asks: GEMMs (m, n, k, batch, layout), all names being those of the library.

    Leaves without cleaning up, because that is where the library fails.
    """
    asked = json.load(sys.stdin)
    names = import_module("nvMatmulHeuristics")
    predictor = names.NvMatmulHeuristicsInterface(
        backend=names.NvMatmulHeuristicsTarget.GENERIC,
        precision=asked["precision"],
        flags=names.NvMatmulHeuristicsFlags.PERF_MODEL_BASED_AUTO_TUNING,
    )
    hardware = predictor.createHardwareDescriptor()
    predictor.setHardwarePredefinedGpu(hardware, names.NvMatmulHeuristicsNvidiaGpu[asked["gpu"]])
    found = []
    for *sizes, batch, layout in asked["gemms"]:
        named = names.NvMatmulHeuristicsMatmulLayout[layout]
        problem = predictor.makeNvMatmulHeuristicsProblem(*sizes, named, batch)
        found.append(float(predictor.get(problem, 1, hardware)[0]["runtime"]))
    sys.stdout.write(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
