"""Table 3 from the times of a profile, and beside it from the analytical model of the same device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from perfmodel.calibration import NONE, find_calibrated_model
from perfmodel.cost.estimate import CostModel, merge_bases
from perfmodel.cost.measured import UNKNOWN_DEVICE, Measured, Timings, device_name, is_device
from perfmodel.devices import Device, device_names, find_device
from perfmodel.networks import Network
from perfmodel.reproduce.modes import SOLVED, Reproduced, from_steps
from perfmodel.reproduce.overhead import PUBLISHED_OVERHEAD
from perfmodel.reproduce.published import Row, table3
from perfmodel.reproduce.steps import Steps, price_steps
from perfmodel.schemes import Overhead
from perfmodel.simulate import IDEAL, Setting

PROFILE, ANALYTICAL = "profile", "analytical model"


@dataclass(frozen=True)
class Priced:
    """Table 3 from one cost model: twelve cells whose status is their basis, and by network the steps behind them."""

    mode: str
    cells: tuple[Reproduced, ...]
    steps: dict[str, Steps]

    def speedups(self, cell: Reproduced) -> tuple[float, float]:
        """Over this table's FP32, at the low and at the high end of a cell's time."""
        (fp32,) = (one for one in self.cells if (one.network, one.column) == (cell.network, "fp32"))
        return fp32.low.seconds / cell.low.seconds, fp32.low.seconds / cell.high.seconds


@dataclass(frozen=True)
class FromProfile:
    """Table 3 from a profile of the device called `device_name`, and from the analytical model of `device`.

    `model` and `device` are None where no device file describes the profile's device; `basis` is that of the profile's
    times.
    """

    profile: Priced
    model: Priced | None
    device_name: str
    device: Device | None
    basis: str
    mapping: str
    overhead: Overhead | str

    @property
    def known(self) -> bool:
        """Whether the profile says which device was timed."""
        return self.device_name != UNKNOWN_DEVICE

    @property
    def same_device(self) -> bool:
        """Whether the paper's device was timed, so that hours can be compared."""
        return is_device(self.device_name, find_device(table3().device).title)


def device_of(profile: Timings) -> Device | None:
    """The bundled device that a profile is of, the paper's first; None where none is called so."""
    names = dict.fromkeys((table3().device, *device_names()))
    devices = (find_device(name) for name in names)
    return next((device for device in devices if is_device(device_name(profile), device.title)), None)


def from_profile(
    networks: Mapping[str, Network], measured: Measured, device: Device | None, mapping: str, overhead: Overhead | str
) -> FromProfile:
    """Table 3 priced with a profile, and with the analytical model of `device` where there is one."""
    profile = price_table3(networks, PROFILE, measured, mapping, overhead)
    model = None if device is None else find_calibrated_model("tiles", device, calibration=NONE)
    if model is not None:
        model = price_table3(networks, ANALYTICAL, model, mapping, overhead)
    timed = measured.profile
    return FromProfile(profile, model, device_name(timed), device, timed.basis, mapping, overhead)


def price_table3(
    networks: Mapping[str, Network], mode: str, model: CostModel, mapping: str, overhead: Overhead | str
) -> Priced:
    """All twelve cells from the kernels' times; nothing is fitted, and nothing taken from the paper but schedules.

    `overhead` is a level, or "table3" to solve the MuPPET column from the paper. Raises what `model` raises, such as
    `NotTimed` (E2201) for a kernel that a profile lacks.
    """
    level = IDEAL if overhead == PUBLISHED_OVERHEAD else overhead
    setting = Setting(model, mapping, level)
    steps = {row.network: price_steps(networks[row.network], table3().batch, setting) for row in table3().rows}
    cells = (cell for row in table3().rows for cell in _cells(row, steps[row.network], mode, overhead))
    return Priced(mode, tuple(cells), steps)


def _cells(row: Row, steps: Steps, mode: str, overhead: Overhead | str) -> Iterator[Reproduced]:
    for cell in from_steps(row, steps, mode, overhead):
        published = "published" if cell.status == SOLVED else ""
        yield replace(cell, status=merge_bases(steps.basis(cell.column), published))
