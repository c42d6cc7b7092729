"""Published whole-iteration timings, and the modelled work beside each.

The file is CSV with the columns source, device, framework, network, precision, mode, batch, seconds_per_iteration and
note. It is no part of this package; what its names mean here is in the tables below.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from perfmodel.cost.tiles import Tiles
from perfmodel.csvfiles import LARGEST_BYTES, MOST_PROBLEMS, check_width, column_indices, csv_rows
from perfmodel.datafiles import read_text
from perfmodel.devices import device_names, find_device
from perfmodel.errors import InputError, Problem, quote
from perfmodel.framework.fit import Rows
from perfmodel.framework.groups import GROUPS, group_seconds
from perfmodel.framework.modes import mode_with_accumulation, step_of_mode
from perfmodel.networks import find_network, network_names
from perfmodel.schemes import find_scheme
from perfmodel.schemes.formats import StepFormats
from perfmodel.simulate import Setting, StepCost, step_cost

COLUMNS = ("source", "device", "framework", "network", "precision", "mode", "batch", "seconds_per_iteration", "note")
# Published device to the one that stands for it: Quadro RTX 6000 and 8000 are the TITAN RTX's chip and memory, the V100
# SXM3 an SXM2 with a higher limit, and A100s differ in their limit alone.
DEVICES = {
    "GeForce RTX 2080 Ti": "rtx-2080-ti", "GeForce GTX 1080 Ti": "gtx-1080-ti", "TITAN V": "titan-v",
    "Quadro RTX 8000": "titan-rtx", "Quadro RTX 6000": "titan-rtx", "GeForce RTX 3090": "rtx-3090",
    "Tesla V100-SXM3-32GB": "v100-sxm2", "A100-SXM4-40GB": "a100", "A100-PCIE-40GB": "a100",
}  # fmt: skip
FRAMEWORKS = {
    ("ryujaehun", False): "pytorch-1.0",
    ("lambda_tf", False): "tensorflow-1.15",
    ("lambda_tf", True): "tensorflow-1.15-xla",
}
# tf_cnn_benchmarks' resnet50 has its strides on the 1x1.
NETWORKS = {("lambda_tf", "resnet50"): "resnet50-v1"}
SCHEMES = {"fp32": ("fp32", "fp32", 4.0), "fp16": ("mixed", "fp16", 4.0), "fp16 (all layers)": ("mixed", "fp16", 2.0)}
MODES = {"forward": "forward", "forward+backward, no optimizer": "gradients", "train step": "step"}
UNKNOWN_ARITHMETIC = "TF32_or_FP32_unknown"
WHOLE = re.compile(r"[0-9]{1,5}")  # a batch
NUMBER = re.compile(r"[0-9]{0,20}\.?[0-9]{1,30}([eE][+-]?[0-9]{1,3})?")
LONGEST_S = 1e6
NOWHERE: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Iteration:
    """One published timing in this package's names; `published` is the device's name there."""

    source: str
    published: str
    device: str
    framework: str
    network: str
    precision: str
    mode: str
    batch: int
    seconds: float

    @property
    def format(self) -> str:
        """The format of the step."""
        return SCHEMES[self.precision][1]

    @property
    def base(self) -> str:
        """What counts as the same network: versions that differ in a stride are one."""
        return self.network.removesuffix("-v1").removesuffix("-aux")

    @property
    def family(self) -> str:
        """The name as far as its first digit: all ResNets are one family."""
        return re.split(r"[\d-]", self.network)[0]


def read_iterations(path: Path, places: Mapping[str, str] = NOWHERE) -> list[Iteration]:
    """The timings of a file for which there are device, network and framework; others are left out.

    `places` has paths of device files by name, for devices that are not bundled. FP32 that may have been TF32 is left
    out too. Raises `InputError`: E1207 for no positive number, E1208 and E1209 for a file that is no such table.
    """
    devices, networks = {*device_names(), *places}, set(network_names())
    place = str(path)
    lines = csv_rows(read_text(path, LARGEST_BYTES), place)
    number, header = next(lines, (1, []))
    columns = column_indices(header, f"{place}:{number}:", COLUMNS)
    found, problems = [], []
    for number, row in lines:
        check_width(row, len(header), f"{place}:{number}:")
        cells = {name: row[columns[name]] for name in COLUMNS}
        batch, seconds = _batch(cells["batch"]), _number(cells["seconds_per_iteration"])
        for name, value in (("batch", batch), ("seconds_per_iteration", seconds)):
            if value is None and len(problems) < MOST_PROBLEMS:
                text = f"{quote(cells[name])} is not a positive {'whole ' * (name == 'batch')}number."
                problems.append(Problem("E1207", f"{place}:{number}: {name}:", text, "Correct it."))
        one = _iteration(cells, batch, seconds) if batch and seconds else None
        if one and one.device in devices and one.network in networks:
            found.append(one)
    if problems:
        raise InputError(problems)
    return found


def _number(text: str) -> float | None:
    value = float(text) if NUMBER.fullmatch(text) else 0.0
    return value if 0 < value <= LONGEST_S else None


def _batch(text: str) -> int | None:
    return int(text) if WHOLE.fullmatch(text) and int(text) else None


def _iteration(cells: Mapping[str, str], batch: int, seconds: float) -> Iteration | None:
    source, xla = cells["source"], "xla" in cells["note"].split()
    network = NETWORKS.get((source, cells["network"]), cells["network"].replace("_", "-"))
    known = cells["device"] in DEVICES and cells["precision"] in SCHEMES and cells["mode"] in MODES
    if not known or (source, xla) not in FRAMEWORKS or UNKNOWN_ARITHMETIC in cells["note"]:
        return None
    return Iteration(
        source, cells["device"], DEVICES[cells["device"]], FRAMEWORKS[source, xla], network, cells["precision"],
        MODES[cells["mode"]], batch, seconds,
    )  # fmt: skip


@lru_cache(1024)
def priced(device: str, network: str, scheme: str, format_: str, batch: int) -> tuple[StepCost, Tiles]:
    """A training step by the analytical model, and that model; `device` and `network` are names or paths."""
    model = Tiles(find_device(device))
    step = step_cost(find_network(network), batch, find_scheme(scheme), StepFormats.everywhere(format_), Setting(model))
    return step, model


def modelled_s(one: Iteration, places: Mapping[str, str] = NOWHERE) -> float:
    """Seconds of the same iteration by the analytical model alone; `places` has paths of devices not bundled."""
    step, model = _step(one, places)
    return step_of_mode(step, one.mode, model).total.seconds


def _step(one: Iteration, places: Mapping[str, str]) -> tuple[StepCost, Tiles]:
    scheme, format_, _ = SCHEMES[one.precision]
    return priced(places.get(one.device, one.device), one.network, scheme, format_, one.batch)


def rows_of(iterations: Sequence[Iteration], frameworks: Sequence[str], places: Mapping[str, str] = NOWHERE) -> Rows:
    """The iterations as arrays for a fit of these frameworks together; PyTorch's gradients are accumulated."""
    work = np.zeros((len(iterations), len(GROUPS) + 1))
    given = np.zeros(len(iterations))
    for i, one in enumerate(iterations):
        step, model = _step(one, places)
        bytes_each = SCHEMES[one.precision][2] if one.framework.startswith("pytorch") else 0.0
        seconds = group_seconds(mode_with_accumulation(step, model, one.mode, bytes_each))
        work[i], given[i] = np.delete(seconds, len(GROUPS)), seconds[len(GROUPS)]
    index = np.array([list(frameworks).index(one.framework) for one in iterations], dtype=int)
    return Rows(work, given, np.array([one.seconds for one in iterations]), index, len(frameworks))
