"""Which unit of a chip multiplies two formats: the narrowest that holds both, or, marked, the next that is there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from perfmodel.devices import Device
from perfmodel.errors import Unsupported
from perfmodel.formats import Format, find_format
from perfmodel.gemm import ACCUMULATORS, Precision, find_precision

# The units that may stand for a float, best first: each holds what the one before it holds.
FALLBACKS = {
    "fp8_e4m3": ("fp16", "fp32"), "fp8_e5m2": ("fp16", "fp32"), "fp16": ("fp32",), "bf16": ("fp32",), "tf32": ("fp32",),
}  # fmt: skip
BOTH_HALVES = ("tf32", "fp32")  # hold FP16 and BF16, neither of which holds the other
CODES = ("int", "dfx", "bfp")
SUMS_AS_CHOSEN = ("fp16", "fp8_e4m3", "fp8_e5m2")  # units that sum in FP16 or in FP32


@dataclass(frozen=True, slots=True)
class Choice:
    """The precision a GEMM runs in; `proxy` says for what it stands where that is not the scheme's own format."""

    precision: Precision
    proxy: str = ""


def wider(a: Format, b: Format) -> Format:
    """The wider of two formats; of two that are equally wide, the float, and the first of two alike.

    >>> wider(find_format("int3"), find_format("int8")).name
    'int8'
    """
    return a if _width(a) >= _width(b) else b


def narrower(a: Format, b: Format) -> Format:
    """The narrower of two formats; of two that are equally wide, the integer, and the first of two alike.

    >>> narrower(find_format("int3"), find_format("int8")).name
    'int3'
    """
    return b if _width(b) < _width(a) else a


def _width(format_: Format) -> tuple[int, bool, bool]:
    return format_.bits, format_.family == "float", format_.name != "tf32"  # which is stored as wide as FP32


@lru_cache(maxsize=4096)
def choose_unit(
    operands: tuple[Format, Format], stored: Format, accumulate: str, has: frozenset[tuple[str, str]] | None
) -> Choice:
    """The precision in which a GEMM of two formats runs on a chip whose units are `has` (operand, accumulator).

    `stored` is what a floating-point unit writes, `accumulate` what FP16 and FP8 units sum in where they have the
    choice. None for `has` is a chip with every unit. A unit that is not the narrowest that holds both operands is a
    proxy, as are FP16 units for integers of more bits than any integer unit has. Where the chip has none that would
    do, the answer is one that it refuses (E1103): floats do not stand for integers of 8 bits and fewer. Raises
    `Unsupported` (E1101) for formats that no unit computes in.
    """
    first, *others = unit_names(operands)
    for name in (first, *others):
        for accumulator in _accumulators(name, accumulate):
            if has is None or (name, accumulator) in has:
                float_unit = find_format(name).family == "float"
                precision = find_precision(name, accumulator, stored.name if float_unit else None)
                return Choice(precision, _proxy(operands, name, first))
    return Choice(find_precision(name))  # which the chip refuses, and says what it has


def unit_names(operands: tuple[Format, Format]) -> tuple[str, ...]:
    """The units that may multiply two formats, the best first.

    >>> unit_names((find_format("int3"), find_format("int4")))
    ('int4', 'int8')
    """
    widest = wider(*operands)
    codes = [one for one in operands if one.family in CODES and one.bits <= 16]
    if len(codes) == 2:
        return tuple(name for name in ("int4", "int8") if find_format(name).bits >= widest.bits) or ("fp16",)
    if codes and (widest in codes or widest.bits <= 8):  # an integer and FP8: what holds both is FP16
        return "fp16", "fp32"
    if widest.name not in ACCUMULATORS:
        raise Unsupported.at(
            "E1101", f"precision '{widest.name}':", "no GEMM unit computes in it.",
            f"Choose one of {', '.join(ACCUMULATORS)}.",
        )  # fmt: skip
    if {one.name for one in operands} == {"fp16", "bf16"}:
        return BOTH_HALVES
    return widest.name, *FALLBACKS.get(widest.name, ())


def _accumulators(unit: str, wanted: str) -> tuple[str, ...]:
    usual = ACCUMULATORS[unit]
    return tuple(dict.fromkeys((wanted, usual))) if unit in SUMS_AS_CHOSEN else (usual,)


def _proxy(operands: tuple[Format, Format], unit: str, best: str) -> str:
    """What a unit stands for: nothing where it is the best, and holds the operands."""
    too_wide = [one for one in operands if one.family in CODES and one.bits > 8 and unit in ("fp16", "bf16")]
    stands_in = too_wide or [wider(*operands)] * (unit != best)
    return f"{wider(stands_in[0], stands_in[-1]).name} timed as {unit}" if stands_in else ""


def units_of(device: Device | None) -> frozenset[tuple[str, str]] | None:
    """The units of a device, as `choose_unit` takes them; None where any chip is meant."""
    return None if device is None else frozenset(device.rates)
