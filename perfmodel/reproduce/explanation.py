"""An explanation of Table 3's FP32 and mixed-precision columns: which kernels would take that long.

The published times are 1.3 to 2.1 times those of good kernels in FP32, and about four times in mixed precision. They
follow, for all three networks at once, if every convolution is an implicit GEMM of a 64x64 tile in FP32 and of
CUTLASS's sm_75 default 128x256x32 with FP16 accumulation in mixed precision, and if k is never split: weight gradients,
whose k is batch x pixels, then starve the GPU. AlexNet's mixed precision needs one constant more, a cost for each
weight and iteration. Three networks, six numbers and many variants: this shows that the numbers can be understood, not
that this is what the authors ran.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from operator import attrgetter

from perfmodel.cost.tiles import Tiles
from perfmodel.cost.tileset import tiles_for
from perfmodel.devices import Device
from perfmodel.gemm import find_precision
from perfmodel.lowering import MAPPINGS
from perfmodel.networks import Network
from perfmodel.reproduce.published import Row, per_iteration, table3
from perfmodel.schemes import Overhead, Scheme, find_scheme
from perfmodel.schemes.formats import StepFormats
from perfmodel.simulate import CURRENT, IDEAL, Setting, StepCost, step_cost

CHOICES = ("fp32", "fp16")  # of mixed precision: what its GEMMs sum in, and what its activations are stored in
EARLIER = 864  # variants that an earlier search tried, with a prototype of the model; the explanation was its best


@dataclass(frozen=True, slots=True)
class Variant:
    """One way in which the published times may have come about; the same for all networks."""

    mapping: str = "implicit"
    fp32_tile: str = "64x64"
    low_tile: str = "128x256"  # of FP16 and INT8
    split_k: bool = False
    accumulate: str = "fp16"
    stored: str = "fp16"

    def label(self) -> str:
        """In words."""
        split = "split-K" if self.split_k else "no split-K"
        return (
            f"{self.mapping}, {split}, tile {self.fp32_tile} in FP32; {self.low_tile} in FP16, sums in "
            f"{self.accumulate.upper()}, activations in {self.stored.upper()}"
        )


EXPLANATION = Variant()
GOOD_KERNELS = Variant(fp32_tile="best", low_tile="best", split_k=True, accumulate="fp32")


@dataclass(frozen=True, slots=True)
class Baselines:
    """Seconds of one iteration of FP32 and of mixed precision, and the trained parameters."""

    fp32: float
    mixed: float
    parameters: int


@dataclass(frozen=True, slots=True)
class StepTimes(Baselines):
    """With them, one iteration of MuPPET at 16 and at 8 bits without conversions, and the conversions of one [s].

    `overhead` is what quantising takes, at any number of bits; `transposes` what turning operands round takes besides,
    at 8 bits alone.
    """

    fp16: float
    int8: float
    overhead: float
    transposes: float = 0.0

    @property
    def rho(self) -> float:
        """8-bit over 16-bit time."""
        return self.int8 / self.fp16


def step_times(network: Network, variant: Variant, device: Device, batch: int, overhead: Overhead = IDEAL) -> StepTimes:
    """Price one iteration of a network under a variant; `overhead` is what quantising costs in MuPPET's steps."""
    muppet = replace(find_scheme("muppet"), accumulate=variant.accumulate)
    fp16, int8 = (_step(network, variant, device, batch, muppet, name, overhead) for name in ("dfx16", "dfx8"))
    return StepTimes(
        fp32_seconds(network, variant, device, batch), mixed_seconds(network, variant, device, batch),
        network.parameters, fp16.total.seconds - fp16.overhead_s, int8.total.seconds - int8.overhead_s, fp16.overhead_s,
        int8.seconds_of(("transpose",)),
    )  # fmt: skip


def fp32_seconds(network: Network, variant: Variant, device: Device, batch: int) -> float:
    """One iteration of FP32 under a variant [s]."""
    return _step(network, variant, device, batch, find_scheme("fp32"), "fp32", CURRENT).total.seconds


def mixed_seconds(network: Network, variant: Variant, device: Device, batch: int) -> float:
    """One iteration of mixed precision under a variant [s]."""
    scheme = replace(find_scheme("mixed"), accumulate=variant.accumulate, stored=variant.stored)
    return _step(network, variant, device, batch, scheme, "fp16", CURRENT).total.seconds


def _step(network, variant: Variant, device, batch, scheme: Scheme, format_: str, overhead: Overhead) -> StepCost:
    tile = variant.fp32_tile if format_ == "fp32" else variant.low_tile
    setting = Setting(Tiles(device, tile, variant.split_k), variant.mapping, overhead)
    return step_cost(network, batch, scheme, StepFormats.everywhere(format_), setting)


@dataclass(frozen=True, slots=True)
class Cell:
    """One of the six cells: seconds of an iteration, published and modelled, and parameters if the constant applies."""

    row: Row
    column: str
    published: float
    modelled: float
    parameters: int

    def error(self, per_parameter: float = 0.0) -> float:
        """Relative error with so many seconds added for each parameter."""
        return (self.modelled + per_parameter * self.parameters) / self.published - 1


def six_cells(times: Mapping[str, Baselines]) -> list[Cell]:
    """The FP32 and mixed-precision cells of the three networks; the constant is mixed precision's alone."""
    table = table3()
    cells = []
    for row in table.rows:
        found = times[row.network]
        cells.append(Cell(row, "fp32", per_iteration(table, row.fp32), found.fp32, 0))
        cells.append(Cell(row, "mixed", per_iteration(table, row.mixed), found.mixed, found.parameters))
    return cells


def mean_error(cells: list[Cell], per_parameter: float = 0.0) -> float:
    """Mean absolute relative error."""
    return sum(abs(cell.error(per_parameter)) for cell in cells) / len(cells)


def fit_constant(cells: list[Cell]) -> float:
    """Seconds for each parameter and iteration that make the mean error least; never negative.

    The error is piecewise linear in the constant, so its least value lies where one of the cells is met exactly, or
    at 0.
    """
    meets = [(c.published - c.modelled) / c.parameters for c in cells if c.parameters]
    return min((0.0, *(value for value in meets if value > 0)), key=lambda value: mean_error(cells, value))


@dataclass(frozen=True, slots=True)
class Tried:
    """A variant of the search: its mean error and rank, without a constant and with the best one."""

    variant: Variant
    error: float
    constant: float  # seconds for each parameter and iteration of mixed precision
    error_with_constant: float
    rank: int = 0
    rank_with_constant: int = 0


def search(networks: dict[str, Network], device: Device) -> list[Tried]:
    """Every variant, least mean error without a constant first; all networks share mapping, tiles and split rule."""
    tried = list(_try_all([networks[row.network] for row in table3().rows], device))
    for key, rank in (("error_with_constant", "rank_with_constant"), ("error", "rank")):
        tried.sort(key=attrgetter(key))
        tried = [replace(one, **{rank: place}) for place, one in enumerate(tried, 1)]
    return tried


def _try_all(networks: list[Network], device: Device) -> Iterator[Tried]:
    batch = table3().batch
    for mapping, split_k in product(MAPPINGS, (False, True)):
        base = Variant(mapping, split_k=split_k)
        singles = {
            tile: [fp32_seconds(network, replace(base, fp32_tile=tile), device, batch) for network in networks]
            for tile in _tile_names("fp32", device)
        }
        for low, accumulate, stored in product(_tile_names("fp16", device), CHOICES, CHOICES):
            half = replace(base, low_tile=low, accumulate=accumulate, stored=stored)
            mixed = [mixed_seconds(network, half, device, batch) for network in networks]
            for tile, fp32 in singles.items():
                pairs = zip(networks, fp32, mixed, strict=True)
                yield _judge(
                    replace(half, fp32_tile=tile), {n.name: Baselines(f, m, n.parameters) for n, f, m in pairs}
                )


def _judge(variant: Variant, times: Mapping[str, Baselines]) -> Tried:
    cells = six_cells(times)
    constant = fit_constant(cells)
    return Tried(variant, mean_error(cells), constant, mean_error(cells, constant))


def _tile_names(precision: str, device: Device) -> list[str]:
    return ["best", *(f"{t.m}x{t.n}" for t in tiles_for(find_precision(precision), device))]


def count_variants(device: Device) -> int:
    """How many variants `search` tries."""
    tiles = len(_tile_names("fp32", device)) * len(_tile_names("fp16", device))
    return len(MAPPINGS) * 2 * tiles * len(CHOICES) ** 2
