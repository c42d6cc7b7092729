"""NVIDIA's nvMatmulHeuristics, a published predictor of GEMM times, where it is installed (it is not required).

It runs in a process of its own: version 0.1.0.27 ends with a segmentation fault where it is torn down.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from functools import lru_cache
from importlib import metadata, util
from pathlib import Path

import numpy as np

from perfmodel.validate.ledger import Model
from perfmodel.validate.problems import Guess, Lesson, Problems

PACKAGE, MODULE = "nvidia-matmul-heuristics", "nvMatmulHeuristics"
NAME = "nvMatmulHeuristics"
WORKER = Path(__file__).with_name("heuristics_worker.py")
LONGEST_S = 300.0  # for one series
# Ours: the GPU that it offers. It has no 40 GB A100: that of 80 GB stands for it, whose memory is a quarter faster.
GPUS = {
    "a100": "A100_PCIE_80GB", "a100-80gb": "A100_PCIE_80GB", "l4": "L4", "h100-sxm": "H100_SXM",
    "h100-pcie": "H100_PCIE", "h200": "H200_SXM", "rtx-3090": "RTX_3090", "rtx-4090": "RTX_4090",
}  # fmt: skip
PRECISIONS = {"fp32": "SSS", "fp16": "HSH", "int8": "III"}  # its letters for operands, accumulator and result
LAYOUTS = {"tn": "NT_ROW_MAJOR", "tt": "NN_ROW_MAJOR", "nt": "TN_ROW_MAJOR", "nn": "TT_ROW_MAJOR"}


def version() -> str | None:
    """The version installed; None where it is not."""
    try:
        return metadata.version(PACKAGE) if util.find_spec(MODULE) else None
    except metadata.PackageNotFoundError:
        return None


def speaks(problems: Problems) -> bool:
    """Whether it offers the device and the precision, and answers."""
    return problems.device.name in GPUS and problems.precision in PRECISIONS and _seconds(problems) is not None


def unfitted(lessons: Sequence[Lesson]) -> Model:
    """The predictor as it is: lessons teach it nothing."""
    return lambda question: Guess.of(_seconds(question.problems)[question.at])


@lru_cache(maxsize=256)
def _seconds(problems: Problems) -> np.ndarray | None:
    """Its time of each GEMM; None where it fails."""
    rows = [(one.m, one.n, one.k, one.batch, LAYOUTS[one.layout]) for one in problems.kernels]
    asked = {"gpu": GPUS[problems.device.name], "precision": PRECISIONS[problems.precision], "gemms": rows}
    command = [sys.executable, "-P", str(WORKER)]  # -P: this folder is none to import from
    try:
        done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, timeout=LONGEST_S)
        found = np.array(json.loads(done.stdout), dtype=np.float64)
    except (OSError, subprocess.TimeoutExpired, ValueError, TypeError):
        return None
    right = found.shape == (len(rows),) and bool((np.isfinite(found) & (found > 0)).all())
    return found if right else None
