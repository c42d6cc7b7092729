"""Training schemes as tables: the list of them, and one in full."""

from __future__ import annotations

import pandas as pd

from perfmodel.devices import Device
from perfmodel.formats import find_format
from perfmodel.networks import Network
from perfmodel.policies.cyclic import Cycle, relative_cost
from perfmodel.report.catalogue import short
from perfmodel.report.scheme_formats import formats_table
from perfmodel.report.table import Table, cut
from perfmodel.report.text import percent
from perfmodel.schemes import LEVELS, Overhead, Scheme, Stretch, find_scheme, run_stretches, scheme_names
from perfmodel.schemes.conversions import Conversion
from perfmodel.schemes.schedule import Cyclic, Shares
from perfmodel.simulate import CURRENT
from perfmodel.units import MEGA, grouped

PAPER_ITERATIONS, PAPER_CYCLES = 64_000, 32  # of CPT's runs on CIFAR
PAPER_RANGES = ((3, 8), (4, 8), (3, 6), (4, 6))
EXTRA_HEADERS = {
    "kind": "kind", "tensors": "tensors", "layers": "layers", "kernels": "kernels", "bytes_each": "B/element",
    "often": "times a step", "elements": "elements", "what": "what",
}  # fmt: skip
TURNED = (
    "Besides, operands of 8 bits and fewer are copied turned round where a pass does not read them along k (transpose)."
)


def schemes_tables() -> list[Table]:
    """The training schemes, and the levels of what quantising costs."""
    schemes = [
        {"scheme": s.name, "title": s.title, "formats": ", ".join(s.formats), "source": s.source}
        for s in map(find_scheme, scheme_names())
    ]
    levels = [
        {"level": name, "kernels": level.launches, "bytes_per_element": level.bytes_per_element, "meaning": level.title}
        for name, level in LEVELS.items()
    ]
    levels.append(
        {"level": "table3", "meaning": "solved from the paper: (MuPPET - limit) over the quantised iterations"}
    )
    levels.append({"level": "a number", "meaning": "milliseconds for each iteration"})
    notes = (
        "perfmodel schemes NAME explains one of them: the format of each tensor, extra kernels, schedule, source.",
    )
    return [
        Table("Schemes", pd.DataFrame(schemes), {"formats": lambda text: cut(text, 40), "source": short}, notes=notes),
        Table("What quantising costs (--overhead)", pd.DataFrame(levels).astype({"kernels": "Int64"})),
    ]


def scheme_tables(
    scheme: Scheme, device: Device | None = None, network: Network | None = None, batch: int = 256,
    overhead: Overhead = CURRENT,
) -> list[Table]:  # fmt: skip
    """One scheme: formats by layer and pass, what is stored, extra kernels, and the schedule of a cyclic one.

    Raises `InputError` (E1108) for a pattern of the scheme that fits no layer of the network.
    """
    stretches = distinct_stretches(scheme)
    tables = [
        formats_table(scheme, stretches, device, network), _stored_table(scheme),
        _extra_table(scheme, stretches, network, batch, overhead),
    ]  # fmt: skip
    if isinstance(scheme.schedule, Cyclic) and not scheme.stages:
        tables.append(cycles_table(scheme.schedule))
    return tables


def distinct_stretches(scheme: Scheme) -> list[Stretch]:
    """The stretches of a run long enough for all of the scheme's formats; of a plan, in epochs."""
    if scheme.stages:
        return run_stretches(scheme, max(stage.until or 0 for stage in scheme.stages) + 1, 1)
    if isinstance(scheme.schedule, Shares):
        return run_stretches(scheme, sum(count for _, count in scheme.schedule.epochs_in), 1)
    cycles = scheme.schedule.cycles if isinstance(scheme.schedule, Cyclic) else 1
    return run_stretches(scheme, 1, max(PAPER_ITERATIONS, 100 * cycles))


# ---- what is stored, and extra kernels -------------------------------------------------------------------------------


def _stored_table(scheme: Scheme) -> Table:
    kept = (
        ("activations and their gradients between layers", scheme.stored), ("master weights", scheme.master),
        ("weight gradients, as the update reads them", scheme.gradients), ("momentum", scheme.momentum),
    )  # fmt: skip
    rows = [{"tensor": name, "format": one, "bytes_each": find_format(one).stored_bytes} for name, one in kept]
    headers = {"tensor": "tensor", "format": "format", "bytes_each": "B/element"}
    return Table(f"{scheme.title}: tensors as stored", pd.DataFrame(rows), headers=headers)


def _extra_table(
    scheme: Scheme, stretches: list[Stretch], network: Network | None, batch: int, overhead: Overhead
) -> Table:
    counts = _counts(stretches[0], network, batch)
    rows = [_conversion_row(scheme, rule, counts.get(id(rule)), overhead) for rule in scheme.conversions]
    frame = pd.DataFrame([*rows, _update_row(scheme, network)]).astype({"kernels": "Int64", "elements": "Int64"})
    notes = [f"Kernels for each tensor, and B/element, with conversions {overhead.words}."]
    turned = overhead.transposes and any(find_format(name).reads_along_k for name in scheme.formats)
    notes += [TURNED] if turned else []
    if scheme.tile_k:
        notes.append(f"Sums of {scheme.tile_k} products are scaled and added up in FP32, on the CUDA cores (scale).")
    headers = dict(EXTRA_HEADERS)
    if network is None:
        del headers["elements"]
    else:
        total = stretches[0].scheme.quantised_elements(network, batch, stretches[0].formats)
        notes.append(
            f"Elements: of one step of {network.name}, batch {grouped(batch)}, in the formats that a run begins with; "
            f"{f'{total / MEGA:.1f} M' if total >= MEGA else grouped(total)} are quantised."
        )
    return Table(f"{scheme.title}: extra kernels", frame, {"elements": grouped}, headers, tuple(notes))


def _counts(first: Stretch, network: Network | None, batch: int) -> dict[int, int]:
    """Elements that each conversion, by its `id`, is about in the first step."""
    counts = dict.fromkeys(map(id, first.scheme.conversions), 0) if network else {}
    for rule, _, _, count in first.scheme.converted(network, batch, first.formats) if network else ():
        counts[id(rule)] += count
    return counts


def _conversion_row(scheme: Scheme, rule: Conversion, elements: int | None, overhead: Overhead) -> dict:
    kernels, moved = _cost(scheme, rule, overhead)
    return {
        "kind": rule.kind, "tensors": ", ".join(rule.of), "layers": _layers(rule), "kernels": kernels,
        "bytes_each": moved, "often": f"{rule.times:g}" if rule.times >= 1 else f"once in {1 / rule.times:g}",
        "elements": elements,
        "what": "; ".join(part for part in (rule.what, "codes alone" * rule.codes_only) if part) or None,
    }  # fmt: skip


def _layers(rule: Conversion) -> str | None:
    if rule.of == ("images",):
        return None
    return (", ".join(rule.ops) or "all that have any") + ("" if rule.heads else ", no auxiliary heads")


def _cost(scheme: Scheme, rule: Conversion, overhead: Overhead) -> tuple[int | None, float | None]:
    """Kernels for one tensor, and bytes for one of its elements; None where a time is given for all."""
    if rule.kind != "quantise":
        return (1, sum(rule.bytes_each)) if overhead.converts else (0, 0.0)
    if overhead.seconds is not None:
        return None, None
    works = list(overhead.quantise("", "", 1, scheme.activation_bytes, rule.one_pass))
    kernels = sum(int(work.count) for work in works if work.is_kernel)
    return kernels, sum(work.kernel.bytes * work.count for work in works)


def _update_row(scheme: Scheme, network: Network | None) -> dict:
    """SGD with momentum: reads all three, writes weights and momentum."""
    master, gradient, momentum = (
        find_format(one).stored_bytes for one in (scheme.master, scheme.gradients, scheme.momentum)
    )
    return {
        "kind": "update", "tensors": "parameters", "layers": "all that have any", "kernels": 1,
        "bytes_each": 2 * master + gradient + 2 * momentum, "often": "1",
        "elements": network.parameters if network else None, "what": "SGD with momentum",
    }  # fmt: skip


# ---- cycles ----------------------------------------------------------------------------------------------------------


def cycles_table(own: Cyclic) -> Table:
    """CPT's measure of cost for the ranges of its paper and the scheme's own: mean, static, saved, shares of widths."""
    ranges = dict.fromkeys(((own.low, own.high, own.backward), *((low, high, high) for low, high in PAPER_RANGES)))
    rows = [_cycle_row(*one) for one in ranges]
    widths = range(min(low for low, _, _ in ranges), max(high for _, high, _ in ranges) + 1)
    shares = {f"share_{bits}": f"{bits} bits" for bits in widths}
    frame = pd.DataFrame(rows, columns=["range", "backward", "cost", "static_cost", "saving", *shares])
    headers = {
        "range": "bits", "backward": "backward", "cost": "mean cost", "static_cost": "static", "saving": "saved",
        **shares,
    }  # fmt: skip
    show = {"cost": "{:.6f}".format, "static_cost": "{:.6f}".format, "saving": percent}
    show |= dict.fromkeys(shares, "{:.4f}".format)
    notes = (
        f"Cost of an iteration relative to FP32: (b² + 2 b g)/(3 · 32²) with b bits forward and g backward; static: "
        f"at the highest b throughout. {grouped(PAPER_ITERATIONS)} iterations, {PAPER_CYCLES} cycles. It counts all "
        "layers alike, and no time: perfmodel compare prices both.",
    )
    return Table("Cycles: mean cost, and the share of iterations at each width", frame, show, headers, notes)


def _cycle_row(low: int, high: int, backward: int) -> dict:
    cycle = Cycle(low, high, PAPER_CYCLES)
    shares = {f"share_{bits}": share for bits, share in cycle.shares(PAPER_ITERATIONS).items()}
    return {
        "range": f"{low}-{high}", "backward": backward, "cost": cycle.mean_cost(PAPER_ITERATIONS, backward),
        "static_cost": relative_cost(high, backward), "saving": cycle.saving(PAPER_ITERATIONS, backward), **shares,
    }  # fmt: skip
