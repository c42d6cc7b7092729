"""GPUs, one TOML file each under `data/devices/`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from perfmodel.datafiles import Section, bundled, find_file, read_toml
from perfmodel.errors import Unsupported, quote
from perfmodel.formats import FORMATS
from perfmodel.gemm import ACCUMULATORS, Precision, find_precision
from perfmodel.units import GIGA, KIB, MEGA, TERA

REQUIRED = (
    "title", "source", "architecture", "compute_capability", "sms", "base_mhz", "boost_mhz", "registers_per_sm",
    "shared_kib_per_sm", "shared_bytes_per_clock_per_sm", "threads_per_sm", "ctas_per_sm", "l2_kib",
    "l2_bytes_per_clock", "dram_gb_per_s", "memory_gib", "rates",
)  # fmt: skip
PEAK_TOLERANCE = 0.03  # between a published peak and that of the rate: more is a slip, such as a peak with sparsity
UNITS = ("simt", "dp4a", "tensor")


@dataclass(frozen=True, slots=True)
class Rate:
    """What one kind of arithmetic reaches on one device.

    `macs_per_clock` is dense multiply-accumulates per clock and SM, an architectural constant;
    `published_flop_per_s` the peak that the vendor prints, at the vendor's clock, where there is one.
    """

    unit: str
    macs_per_clock: float
    published_flop_per_s: float | None = None
    clock_hz: float | None = None  # of the published peak, where it is not the unit's (FP64 tensor of H100)


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU. Sizes and rates are per SM where the name says so; all in SI units."""

    name: str
    title: str
    source: str
    architecture: str
    compute_capability: tuple[int, int]
    sms: int
    base_clock_hz: float
    boost_clock_hz: float
    tensor_clock_hz: float  # the clock of the vendor's tensor peaks: the boost clock on most cards
    sustained_clock_hz: float  # what the card holds in long GEMMs: what the models use
    registers_per_sm: int
    shared_bytes_per_sm: int
    shared_bytes_per_clock: float  # per SM
    threads_per_sm: int
    ctas_per_sm: int
    l2_bytes: int
    l2_bytes_per_clock: float  # all SMs together
    dram_bytes_per_s: float
    memory_bytes: int
    rates: Mapping[tuple[str, str], Rate]
    power_w: float | None = None  # the board's limit
    assumed: tuple[str, ...] = ()  # keys whose value no source states

    def rate(self, precision: Precision) -> Rate:
        """The rate of a precision; `Unsupported` (E1103) where the chip has no unit for it."""
        key = precision.operand.name, precision.accumulator.name
        if key in self.rates:
            return self.rates[key]
        others = [acc for op, acc in self.rates if op == key[0]]
        if others:
            raise Unsupported.at(
                "E1103", f"device {self.name}:",
                f"has no unit for {key[0]} with {key[1]} accumulation.", f"It has {key[0]} with {' or '.join(others)}.",
            )  # fmt: skip
        known = sorted({op for op, _ in self.rates})
        raise Unsupported.at(
            "E1103", f"device {self.name}:", f"has no unit for {key[0]}.", f"It computes in {', '.join(known)}."
        )

    def peak_flop_per_s(self, precision: Precision, clock_hz: float | None = None) -> float:
        """Dense peak [FLOP/s]: 2 · MAC per clock and SM · SMs · clock (by default the vendor's clock for that unit)."""
        rate = self.rate(precision)
        vendor = rate.clock_hz or (self.tensor_clock_hz if rate.unit == "tensor" else self.boost_clock_hz)
        return 2 * rate.macs_per_clock * self.sms * (clock_hz or vendor)


def device_names() -> list[str]:
    """The names of the bundled devices, sorted."""
    return list(bundled("devices"))


def find_device(name: str) -> Device:
    """A bundled device by name, or the device file at a path that ends in `.toml`.

    Raises `UnknownName` (E1001) with the nearest names, `InputError` for a file that does not read.
    """
    return read_device(find_file("devices", "device", name, "E1001"))


def read_device(path: Path) -> Device:
    """The device that a file describes; every key is required, cited and checked."""
    top = read_toml(path)
    top.require(REQUIRED)
    boost = _number(top, "boost_mhz") * MEGA
    major, _, minor = top.text("compute_capability").partition(".")
    if not ((major + minor).isascii() and major.isdecimal() and minor.isdecimal() and len(major + minor) < 5):
        raise top.fail("E1211", "compute_capability", "is not of the form '7.5'.", "Write major.minor.")
    device = Device(
        name=path.name.removesuffix(".toml"),
        title=top.text("title"),
        source=top.text("source"),
        architecture=top.text("architecture"),
        compute_capability=(int(major), int(minor)),
        sms=top.whole("sms", most=10_000),
        base_clock_hz=_number(top, "base_mhz") * MEGA,
        boost_clock_hz=boost,
        tensor_clock_hz=_number(top, "tensor_mhz", boost / MEGA) * MEGA,
        sustained_clock_hz=_number(top, "sustained_mhz", boost / MEGA) * MEGA,
        registers_per_sm=top.whole("registers_per_sm"),
        shared_bytes_per_sm=round(_number(top, "shared_kib_per_sm") * KIB),
        shared_bytes_per_clock=_number(top, "shared_bytes_per_clock_per_sm"),
        threads_per_sm=top.whole("threads_per_sm"),
        ctas_per_sm=top.whole("ctas_per_sm"),
        l2_bytes=round(_number(top, "l2_kib") * KIB),
        l2_bytes_per_clock=_number(top, "l2_bytes_per_clock"),
        dram_bytes_per_s=_number(top, "dram_gb_per_s") * GIGA,
        memory_bytes=round(_number(top, "memory_gib") * KIB**3),
        rates=_read_rates(top),
        power_w=_number(top, "power_w", None),
        assumed=tuple(str(key) for key in top.take("assumed", list, [])),
    )
    top.finish()
    _check_peaks(device, top)
    return device


def _check_peaks(device: Device, top: Section) -> None:
    """Raise E1214 where a published peak and the one that the rate gives are not the same."""
    for i, ((operand, accumulate), rate) in enumerate(device.rates.items()):
        published = rate.published_flop_per_s
        peak = device.peak_flop_per_s(find_precision(operand, accumulate)) if published else None
        if published and abs(peak / published - 1) > PEAK_TOLERANCE:
            raise top.fail(
                "E1214", f"rates[{i}].tflop_per_s",
                f"{published / TERA:g} is not the {peak / TERA:.4g} of {rate.macs_per_clock:g} MAC per clock and SM.",
                "Give the dense peak (without sparsity) and the clock that belongs to it, or leave it out.",
            )  # fmt: skip


def _number(section: Section, key: str, default=...) -> float:
    """A number that a device can have, in the unit of its key: beyond these bounds it is a slip."""
    return section.number(key, default, least=1e-9, most=1e12)


def _read_rates(top: Section) -> dict[tuple[str, str], Rate]:
    rates = {}
    for row in top.tables("rates"):
        operand, accumulate = _choice(row, "operand", ACCUMULATORS), _choice(row, "accumulate", FORMATS)
        unit = _choice(row, "unit", UNITS)
        if (operand, accumulate) in rates:
            raise row.fail("E1211", "operand", f"{operand} with {accumulate} stands here twice.", "Remove one row.")
        published, mhz = _number(row, "tflop_per_s", None), _number(row, "mhz", None)
        rates[operand, accumulate] = Rate(
            unit, _number(row, "macs_per_clock_per_sm"), published and published * TERA, mhz and mhz * MEGA
        )
        row.finish()
    if not rates:
        raise top.fail("E1210", "rates", "is empty.", "Give the rate of at least one format.")
    return rates


def _choice(row: Section, key: str, known: Collection[str]) -> str:
    value = row.text(key)
    if value not in known:
        raise row.fail("E1211", key, f"{quote(value)} is not one of {', '.join(known)}.", "Correct the value.")
    return value
