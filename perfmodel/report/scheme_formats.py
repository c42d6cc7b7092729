"""The formats of a training scheme as a table: operands, unit and result of each pass, and layers that differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from perfmodel.devices import Device
from perfmodel.errors import Unsupported
from perfmodel.formats import Format, find_format
from perfmodel.lowering import PASSES
from perfmodel.networks import Network
from perfmodel.report.table import Table
from perfmodel.schemes import Scheme, Stretch, choose_unit
from perfmodel.schemes.rules import OPERANDS, Operands, TensorFormats, layer_formats, resolve
from perfmodel.schemes.units import units_of

HEADERS = {
    "step": "step", "layers": "layers", "pass": "pass", "operands": "operands", "computed_in": "computed in",
    "unit": "unit", "sums_in": "sums in", "writes": "writes", "proxy": "proxy",
}  # fmt: skip


def formats_table(
    scheme: Scheme, stretches: Sequence[Stretch], device: Device | None = None, network: Network | None = None
) -> Table:
    """Three rows for each set of formats that a run goes through, and for layers that are exceptions.

    Units are those of `device`, a refusal where it has none; layers are named where `network` is given.
    """
    rows = list(_rows(scheme, stretches, device, network))
    on = f"those of {device.name}" if device else "the narrowest that holds both; --device says which one a GPU has"
    notes = (
        f"Operands: as a GEMM reads them; errors are the gradients of a layer's output. Units: {on}.",
        f"Schedule: {schedule_words(scheme)}.",
        *((scheme.notes,) if scheme.notes else ()),
        f"Source: {scheme.source}.",
        *(f"Left out: {one}." for one in scheme.leaves_out),
    )
    return Table(f"{scheme.title}: formats", pd.DataFrame(rows), headers=HEADERS, notes=notes)


def schedule_words(scheme: Scheme) -> str:
    """How a run goes through the formats."""
    return "the plan of its file, epoch by epoch" if scheme.stages else scheme.schedule.words


def _rows(
    scheme: Scheme, stretches: Sequence[Stretch], device: Device | None, network: Network | None
) -> Iterator[dict]:
    """Each set of formats once, named after the first step that has it; exceptions behind, with all their steps."""
    seen, exceptions = set(), {}
    labels = list(_labels(scheme, stretches))
    for label, one in zip(labels, stretches, strict=True):
        plain = resolve(one.scheme.tensors, None, one.formats.precision)
        if plain not in seen:
            seen.add(plain)
            yield from _pass_rows(scheme, label, "others" if one.scheme.layers else "all", plain, device)
        for layers, own in _exceptions(one.scheme, network):
            operands = resolve(one.scheme.tensors, own, one.formats.precision)
            exceptions.setdefault((layers, operands), []).append(label)
    for (layers, operands), found in exceptions.items():
        yield from _pass_rows(scheme, "all" if found == labels else ", ".join(found), layers, operands, device)


def _labels(scheme: Scheme, stretches: Sequence[Stretch]) -> Iterator[str]:
    """What each stretch is called: its formats, and of a user's plan its epochs; the last one goes on."""
    begin = 0
    for place, one in enumerate(stretches):
        end = begin + one.iterations - 1
        epochs = f"epochs {begin}-{end}" if place < len(stretches) - 1 else f"epochs {begin}-"
        yield f"{epochs}: {one.formats.label}" if scheme.stages else one.formats.label
        begin = end + 1


def _exceptions(scheme: Scheme, network: Network | None) -> Iterator[tuple[str, TensorFormats]]:
    """What the rules say: of the layers of a network, or of roles and patterns."""
    if network is None:
        for rule in scheme.layers:
            large = f" (images from {rule.least_image} pixels)" * (rule.least_image > 1)
            yield ", ".join(rule.match) + large, rule.formats
        return
    found: dict[TensorFormats, list[str]] = {}
    for name, formats in layer_formats(network, scheme.layers).items():
        found.setdefault(formats, []).append(name)
    for formats, names in found.items():
        yield ", ".join(names), formats


def _pass_rows(scheme: Scheme, step: str, layers: str, operands: Operands, device: Device | None) -> Iterator[dict]:
    for pass_ in PASSES:
        pair = getattr(operands, pass_)
        words = " x ".join(f"{tensor} {one.name}" for tensor, one in zip(OPERANDS[pass_], pair, strict=True))
        yield {
            "step": step, "layers": layers, "pass": pass_, "operands": words,
            "computed_in": operands.format(pass_).name, **_unit(scheme, pair, device),
        }  # fmt: skip


def _unit(scheme: Scheme, pair: tuple[Format, Format], device: Device | None) -> dict:
    units = None if scheme.exact else units_of(device)
    try:
        choice = choose_unit(pair, find_format(scheme.stored), scheme.accumulate, units)
        if device is not None:
            device.rate(choice.precision)
    except Unsupported as error:
        return {"unit": f"refused: {error.problems[0].found}", "sums_in": None, "writes": None, "proxy": None}
    precision = choice.precision
    return {
        "unit": precision.operand.name, "sums_in": precision.accumulator.name, "writes": precision.output.name,
        "proxy": choice.proxy or None,
    }  # fmt: skip
