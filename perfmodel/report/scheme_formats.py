"""The formats of a training scheme as a table: operands, unit and result of each pass, and layers that differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import pandas as pd

from perfmodel.devices import Device
from perfmodel.errors import InputError, Unsupported
from perfmodel.formats import Format, find_format
from perfmodel.lowering import PASSES
from perfmodel.networks import Network
from perfmodel.report.table import Table, cut
from perfmodel.schemes import Scheme, Stretch, choose_unit
from perfmodel.schemes.rules import OPERANDS, LayerRule, Operands, TensorFormats, layer_formats, resolve
from perfmodel.schemes.units import units_of

HEADERS = {
    "step": "step", "layers": "layers", "pass": "pass", "operands": "operands", "computed_in": "computed in",
    "unit": "unit", "sums_in": "sums in", "writes": "writes", "proxy": "proxy",
}  # fmt: skip
MOST_SETS = 5000  # of formats, three rows each: a small file's stages times its rules would fill the memory
LONGEST_LAYERS = 10_000  # characters of a row's layers


def formats_table(
    scheme: Scheme, stretches: Sequence[Stretch], device: Device | None = None, network: Network | None = None
) -> Table:
    """Three rows for each set of formats that a run goes through, and for layers that are exceptions.

    Units are those of `device`, a refusal where it has none; layers are named where `network` is given. Raises
    `InputError`: E1108 for a pattern that fits no layer of the network, E1212 for more than `MOST_SETS` sets.
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
    """Each set of formats once, with all steps that have it; exceptions behind."""
    labels = list(_labels(scheme, stretches))
    plain, exceptions = {}, {}
    rules = cache(lambda one: list(_exceptions(one, network)))  # stages of a plan may share thousands of patterns
    for label, one in zip(labels, stretches, strict=True):
        layers = "others" if one.scheme.layers else "all"
        plain.setdefault((layers, resolve(one.scheme.tensors, None, one.formats.precision)), []).append(label)
        for names, own in rules(one.scheme.layers):
            operands = resolve(one.scheme.tensors, own, one.formats.precision)
            exceptions.setdefault((cut(names, LONGEST_LAYERS), operands), []).append(label)
        if len(exceptions) > MOST_SETS:
            found = f"its stages and rules make more than {MOST_SETS} sets of formats."
            raise InputError.at("E1212", f"scheme {scheme.name}:", found, "Write fewer stages, or fewer rules.")
    for (layers, operands), found in plain.items():
        yield from _pass_rows(scheme, ", ".join(dict.fromkeys(found)), layers, operands, device)
    for (layers, operands), found in exceptions.items():
        step = "all" if found == labels else ", ".join(dict.fromkeys(found))
        yield from _pass_rows(scheme, step, layers, operands, device)


def _labels(scheme: Scheme, stretches: Sequence[Stretch]) -> Iterator[str]:
    """What each stretch is called: its formats, and of a user's plan its epochs; the last one goes on."""
    begin = 0
    for place, one in enumerate(stretches):
        end = begin + one.iterations - 1
        epochs = f"epochs {begin}-{end}" if end > begin else f"epoch {begin}"
        epochs = epochs if place < len(stretches) - 1 else f"epochs {begin}-"
        yield f"{epochs}: {one.formats.label}" if scheme.stages else one.formats.label
        begin = end + 1


def _exceptions(rules: tuple[LayerRule, ...], network: Network | None) -> Iterator[tuple[str, TensorFormats]]:
    """What the rules say: of the layers of a network, or of roles and patterns."""
    if network is None:
        yield from _patterns(rules)
        return
    found: dict[TensorFormats, list[str]] = {}
    for name, formats in layer_formats(network, rules).items():
        found.setdefault(formats, []).append(name)
    for formats, names in found.items():
        yield ", ".join(names), formats


def _patterns(rules: tuple[LayerRule, ...]) -> Iterator[tuple[str, TensorFormats]]:
    """Roles and patterns as they stand, each for the first rule that always holds: a later one never counts."""
    taken: set[str] = set()
    for rule in rules:
        large = f" (images from {rule.least_image} pixels)" * (rule.least_image > 1)
        if left := [one for one in rule.match if one not in taken]:
            yield ", ".join(left) + large, rule.formats
        if rule.least_image == 1:
            taken.update(left)


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
