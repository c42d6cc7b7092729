"""Models corrected by timings: fitted, kept on file, and found again."""

from __future__ import annotations

from pathlib import Path

from perfmodel.calibration.files import read_calibration, shipped_calibration
from perfmodel.cost import find_cost_model
from perfmodel.cost.calibrated import Calibrated
from perfmodel.cost.calibration import Calibration
from perfmodel.cost.doubt import find_doubts
from perfmodel.cost.estimate import CostModel
from perfmodel.devices import Device, device_names, find_device
from perfmodel.errors import InputError

DEFAULT, NONE = "default", "none"


def find_calibrated_model(
    name: str, device: Device, tile: str = "best", split_k: bool = True, calibration: str = DEFAULT
) -> CostModel:
    """The cost model of this name with intervals, and corrected by a calibration of the device.

    `calibration` is `default` (the one that comes with the device, if any), `none`, or a file. Calibrations are of the
    model `tiles` with its fastest tile; E1626 where a file is given for another, or is of another device.
    """
    model = find_cost_model(name, device, tile, split_k)
    fits = name == "tiles" and tile == "best" and split_k
    if calibration not in (DEFAULT, NONE) and not fits:
        found = "is of the model tiles with the fastest tile and split of each GEMM, and another is asked for."
        raise InputError.at("E1626", f"calibration {calibration}:", found, "Drop it, or the options for the model.")
    return Calibrated(model, _find(calibration, device), find_doubts(name)) if fits else model


def calibration_file(choice: str, device: Device) -> Path | None:
    """The file that `choice` names (see `find_calibrated_model`), which need not be there; None for no calibration.

    A user's own device of a bundled one's name has none by default.
    """
    if choice != DEFAULT:
        return None if choice == NONE else Path(choice)
    bundled = device.name in device_names() and find_device(device.name) == device
    return shipped_calibration(device.name) if bundled else None


def _find(choice: str, device: Device) -> Calibration | None:
    path = calibration_file(choice, device)
    if path is None:
        return None
    found = read_calibration(path)
    if found.device != device.name:
        why = f"is {found.device}, not {device.name}."
        raise InputError.at("E1626", f"{path}: device:", why, "Give that --device, or its own file.")
    return found
