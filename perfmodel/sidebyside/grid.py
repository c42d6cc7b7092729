"""One step of many schemes on many networks and devices, in seconds for all of them together.

Devices whose units give a step the same GEMMs share its kernels, equal kernels of all steps are one row of a ledger,
and a device prices each precision's rows in one call. What a step costs is then a product of counts and prices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from perfmodel.cost import Tiles
from perfmodel.cost.estimate import CostModel, Gemms, Streams
from perfmodel.devices import Device
from perfmodel.errors import PerfModelError
from perfmodel.formats import find_format
from perfmodel.gemm import Gemm, Precision, find_precision
from perfmodel.lowering import PASSES, Delay, MemoryOp, Work
from perfmodel.networks import Network
from perfmodel.schemes import Overhead, Scheme, choose_unit, first_step, training_step
from perfmodel.schemes.formats import StepFormats
from perfmodel.schemes.units import units_of
from perfmodel.simulate import CURRENT

MEMORY = "memory"  # the group of memory-bound kernels; given times are grouped by their basis
FP32 = ("fp32", "fp32")  # operand and accumulator
AT_PEAK = "roofline"  # the basis of the sums of tiles, whose times are those of a device's FP32 peak


@dataclass(frozen=True, slots=True)
class Cell:
    """One step of a scheme on a network and a device: its seconds, or the named refusal."""

    scheme: str
    network: str
    device: str
    seconds: float | None
    refusal: PerfModelError | None = None


@dataclass(frozen=True, slots=True)
class _Step:
    """The rows of a step's kernels by group, each with its count; groups in the order in which the step has them.

    Times of the group `AT_PEAK` are those of `device`.
    """

    rows: dict[object, tuple[np.ndarray, np.ndarray]]
    device: Device


@dataclass(slots=True)
class _Ledger:
    """Every distinct kernel of all steps once: for each group (a precision, `MEMORY`, a basis) its kernels in order."""

    groups: dict[object, list[Gemm | MemoryOp | Delay]] = field(default_factory=dict)
    _places: dict[object, dict] = field(default_factory=dict)
    _seen: dict[int, tuple[object, int]] = field(default_factory=dict)
    _kept: list[Gemm | MemoryOp | Delay] = field(default_factory=list)  # as long as their `id` is a key

    def enter(self, works: Sequence[Work], device: Device) -> _Step:
        """The rows of these kernels, lowered for `device`; new ones at the end."""
        counts: dict[object, dict[int, float]] = {}
        for work in works:
            group, row = self._seen.get(id(work.kernel)) or self._place(work.kernel)
            found = counts.setdefault(group, {})
            found[row] = found.get(row, 0) + work.count
        rows = {group: (np.array(list(of)), np.array(list(of.values()))) for group, of in counts.items()}
        return _Step(rows, device)

    def _place(self, kernel: Gemm | MemoryOp | Delay) -> tuple[object, int]:
        group = _group(kernel)
        places = self._places.setdefault(group, {})
        row = places.setdefault(kernel, len(places))
        if row == len(places) - 1 and row == len(kernels := self.groups.setdefault(group, [])):
            kernels.append(kernel)
        self._kept.append(kernel)
        self._seen[id(kernel)] = group, row
        return group, row

    def arrays(self) -> dict[object, Gemms | Streams | np.ndarray]:
        """What a cost model takes, for each group."""
        return {group: _arrays(group, kernels) for group, kernels in self.groups.items()}


def price_grid(
    schemes: Sequence[Scheme], networks: Sequence[Network], devices: Sequence[Device], batch: int = 256,
    model: Callable[[Device], CostModel] = Tiles, mapping: str = "implicit", overhead: Overhead = CURRENT,
) -> Iterator[Cell]:  # fmt: skip
    """The seconds of one iteration of each scheme's first step, or the refusal, as `step_cost` has them.

    The first step is that of a run's beginning (`first_step`): the narrowest formats of MuPPET and CPT. `model` makes
    the cost model of a device. Cells come device by device, then by network and scheme.
    """
    ledger = _Ledger()
    steps = {
        (device.name, network.name, scheme.name): step
        for network in networks
        for scheme in schemes
        for device, step in _steps(scheme, network, devices, batch, mapping, overhead, ledger)
    }
    arrays = ledger.arrays()
    for device in devices:
        prices = _Prices(model(device), arrays)
        for network in networks:
            for scheme in schemes:
                yield _cell(scheme, network, device, steps[device.name, network.name, scheme.name], prices)


def _cell(scheme: Scheme, network: Network, device: Device, step: _Step | PerfModelError, prices: _Prices) -> Cell:
    names = scheme.name, network.name, device.name
    if isinstance(step, PerfModelError):
        return Cell(*names, None, step)
    try:
        return Cell(*names, prices.seconds(step))
    except PerfModelError as error:
        return Cell(*names, None, error)


def _steps(
    scheme: Scheme, network: Network, devices: Sequence[Device], batch: int, mapping: str, overhead: Overhead,
    ledger: _Ledger,
) -> Iterator[tuple[Device, _Step | PerfModelError]]:  # fmt: skip
    """The step on each device; lowered once for all devices on which it has the same GEMMs."""
    known: dict[object, _Step | PerfModelError] = {}
    try:
        formats = first_step(scheme)
        pairs = _operand_pairs(scheme, network, formats)
    except PerfModelError as error:
        yield from ((device, error) for device in devices)
        return
    for device in devices:
        key = _choices(scheme, pairs, device)
        if key not in known:
            try:
                works = training_step(network, batch, scheme, formats, mapping, overhead, device)
                known[key] = ledger.enter(works, device)
            except PerfModelError as error:
                known[key] = error
        yield device, known[key]


def _operand_pairs(scheme: Scheme, network: Network, formats: StepFormats) -> list:
    """The pairs of formats that any layer's GEMMs multiply."""
    found = scheme.operands(network, formats).values()
    return list(dict.fromkeys(getattr(one, pass_) for one in found for pass_ in PASSES))


def _choices(scheme: Scheme, pairs: list, device: Device) -> tuple:
    """The units that these pairs run on: with the FP32 peak all that a step's kernels have of a device."""
    units, stored = None if scheme.exact else units_of(device), find_format(scheme.stored)
    return FP32 in device.rates, *(choose_unit(pair, stored, scheme.accumulate, units) for pair in pairs)


@dataclass(slots=True)
class _Prices:
    """Seconds of a ledger's kernels on one device, each group priced when it is first asked for."""

    model: CostModel
    arrays: dict[object, Gemms | Streams | np.ndarray]
    found: dict[object, np.ndarray | PerfModelError] = field(default_factory=dict)

    def seconds(self, step: _Step) -> float:
        """Seconds of a step; raises what the model has against its first group without a price."""
        total = 0.0
        for group, (rows, counts) in step.rows.items():
            seconds = float(counts @ self._group(group)[rows])
            if group == AT_PEAK:
                seconds *= _fp32_peak(step.device) / _fp32_peak(self.model.device)
            total += seconds
        return total

    def _group(self, group: object) -> np.ndarray:
        if group not in self.found:
            try:
                self.found[group] = self._price(group)
            except PerfModelError as error:
                self.found[group] = error
        if isinstance(found := self.found[group], PerfModelError):
            raise found
        return found

    def _price(self, group: object) -> np.ndarray:
        array = self.arrays[group]
        if isinstance(array, Gemms):
            return self.model.gemms(array).seconds
        return self.model.memory(array).seconds if isinstance(array, Streams) else array


def _group(kernel: Gemm | MemoryOp | Delay) -> object:
    if isinstance(kernel, Gemm):
        return kernel.precision
    return kernel.basis if isinstance(kernel, Delay) else MEMORY


def _arrays(group: object, kernels: Sequence) -> Gemms | Streams | np.ndarray:
    if isinstance(group, Precision):
        return Gemms.of(kernels)
    return Streams.of(kernels) if group == MEMORY else np.array([delay.seconds for delay in kernels])


def _fp32_peak(device: Device) -> float:
    """FLOP/s of the CUDA cores at the clock that they hold; raises `Unsupported` (E1103) where there are none."""
    return device.peak_flop_per_s(find_precision("fp32"), device.sustained_clock_hz)
