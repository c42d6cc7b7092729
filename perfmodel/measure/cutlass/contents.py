"""What is in a compiled library, and what its kernels occupy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import perfmodel
from perfmodel.measure.cutlass.emit import type_name
from perfmodel.measure.cutlass.kernels import GemmKernel
from perfmodel.measure.cutlass.ptxas import resources_of

LIMIT_S = 60.0  # for a library to load and name its kernels


def describe_library(path: Path) -> list[dict]:
    """What a library says of its kernels, asked in a process of its own that sees no GPU. Raises `ValueError`."""
    places = [str(Path(perfmodel.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": os.pathsep.join(filter(None, places))}
    command = [sys.executable, "-m", "perfmodel.measure.cutlass.cabi", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        raise ValueError(f"no answer within {LIMIT_S:.0f} s") from None
    if done.returncode:
        raise ValueError((done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1])
    return json.loads(done.stdout)


def resources(log: str, kernels: Sequence[GemmKernel], facts: Sequence[dict]) -> dict[str, dict[str, int]]:
    """ptxas's report by kernel; shared memory with the part that is asked for at launch."""
    reported = resources_of(log, [type_name(kernel) for kernel in kernels])
    found = {}
    for kernel, fact in zip(kernels, facts, strict=True):
        said = dict(reported.get(type_name(kernel), {}))
        dynamic = {"shared_bytes": said.get("shared_bytes", 0) + fact["shared_bytes"], "threads": fact["threads"]}
        found[kernel.name] = said | dynamic
    return found
