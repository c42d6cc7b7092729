"""How wrong framework views are on published iterations: networks, families and devices left out in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp

import numpy as np

from perfmodel.devices import find_device
from perfmodel.errors import Unsupported
from perfmodel.framework.conformal import grouped_quantile
from perfmodel.framework.fit import Rows, fit, leave_out, predict
from perfmodel.framework.timings import FRAMEWORKS, NOWHERE, Iteration, modelled_s, rows_of
from perfmodel.gemm import find_precision

LEVEL = 0.9
NAMES = tuple(FRAMEWORKS.values())
# Devices whose iterations are fitted; TensorFlow on others (one run each, other versions) is only predicted.
FITTED = {
    "pytorch-1.0": ("rtx-2080-ti", "gtx-1080-ti", "titan-v"),
    "tensorflow-1.15": ("rtx-2080-ti", "titan-rtx"),
    "tensorflow-1.15-xla": ("rtx-2080-ti", "titan-rtx"),
}


@dataclass(frozen=True, slots=True)
class Judged:
    """Iterations of one format with what was predicted of each without it [rows].

    `modelled` is the analytical model alone; `network`, `family` and `device` the predictions of constants fitted
    without that; `bound` the 90 % quantile of |log error| that the other networks gave, `spread` that of all of them.
    """

    iterations: tuple[Iteration, ...]
    constants: np.ndarray
    modelled: np.ndarray
    network: np.ndarray
    family: np.ndarray
    device: np.ndarray
    bound: np.ndarray
    spread: float

    @property
    def measured(self) -> np.ndarray:
        """Published seconds."""
        return np.array([one.seconds for one in self.iterations])


def fitted(iterations: Sequence[Iteration], format_: str, places: Mapping[str, str] = NOWHERE) -> list[Iteration]:
    """The iterations of one format that constants are fitted on: those on devices of `FITTED` with units for it."""
    of_format = [one for one in iterations if one.format == format_ and one.device in FITTED[one.framework]]
    names = {one.device for one in of_format}
    native = {name for name in names if format_ != "fp16" or _has_tensor_fp16(places.get(name, name))}
    return [one for one in of_format if one.device in native]


def _has_tensor_fp16(device: str) -> bool:
    """Whether FP16 is more than FP32 arithmetic on FP16 tensors."""
    return find_device(device).rate(find_precision("fp16", "fp32")).unit == "tensor"


def judge(iterations: Sequence[Iteration], places: Mapping[str, str] = NOWHERE) -> Judged:
    """Every iteration predicted by constants that never saw its network, its family, or its device.

    `places` has paths of devices that are not bundled. Raises `Unsupported` where two networks are not there.
    """
    networks = np.array([one.base for one in iterations], dtype=object)
    if len(set(networks)) < 2:
        raise Unsupported.at("E1105", "iterations:", "there are not two networks among them.", "Give more timings.")
    rows = rows_of(iterations, NAMES, places)
    unseen = leave_out(rows, networks)
    return Judged(
        tuple(iterations), fit(rows), np.array([modelled_s(one, places) for one in iterations]), unseen,
        _left_out(rows, [one.family for one in iterations]), _left_out(rows, [one.device for one in iterations]),
        _bounds(rows, networks), grouped_quantile(_errors(unseen, rows), networks, LEVEL),
    )  # fmt: skip


def _left_out(rows: Rows, labels: Sequence[str]) -> np.ndarray:
    return leave_out(rows, labels) if len(set(labels)) > 1 else np.full(len(rows), np.nan)


def _errors(predicted: np.ndarray, rows: Rows) -> np.ndarray:
    return np.abs(np.log(predicted / rows.measured_s))


def _bounds(rows: Rows, networks: np.ndarray) -> np.ndarray:
    """For each row the quantile of errors of the other networks, each predicted without itself and the row's [rows]."""
    bounds = np.full(len(rows), np.inf)
    for name in dict.fromkeys(networks):
        others = networks != name
        rest = rows.part(others)
        if len(set(networks[others])) > 1:
            errors = _errors(leave_out(rest, networks[others]), rest)
            bounds[~others] = grouped_quantile(errors, networks[others], LEVEL)
    return bounds


def unseen_devices(judged: Judged, iterations: Sequence[Iteration], places: Mapping[str, str] = NOWHERE) -> np.ndarray:
    """Seconds of iterations on devices that were not fitted, by the constants without each one's network as well."""
    rows, known = rows_of(iterations, NAMES, places), rows_of(judged.iterations, NAMES, places)
    networks = np.array([one.base for one in judged.iterations], dtype=object)
    predicted = np.empty(len(rows))
    for name in dict.fromkeys(one.base for one in iterations):
        mine = np.array([one.base == name for one in iterations])
        predicted[mine] = predict(fit(known.part(networks != name)), rows.part(mine))
    return predicted


def mape_percent(predicted: np.ndarray, measured: np.ndarray) -> float:
    """Mean of |predicted / measured - 1| in percent.

    >>> round(mape_percent(np.array([9.0, 22.0]), np.array([10.0, 20.0])), 6)
    10.0
    """
    return float(100 * np.mean(np.abs(predicted / measured - 1)))


def width_percent(bound: float) -> float:
    """From the lower end of an interval to the upper in percent of the prediction.

    >>> round(width_percent(0.1), 2)
    20.03
    """
    return 100 * (exp(bound) - exp(-bound))
