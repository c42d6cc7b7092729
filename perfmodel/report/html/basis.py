"""What the numbers rest on: device, units, models, schemes, sources; and how to make the report again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from perfmodel.cost.estimate import merge_bases
from perfmodel.devices import Device
from perfmodel.report.catalogue import device_facts
from perfmodel.report.html.element import Element, Node
from perfmodel.report.html.tables import table_element
from perfmodel.report.table import Table
from perfmodel.report.trace import trace_notes
from perfmodel.schemes import find_scheme
from perfmodel.simulate import Comparison

BASES = {
    "measured": "timed on the device, in a profile",
    "simulated": "timed on a simulated device, in a profile: no measurement",
    "calibrated": "modelled, corrected by timings of the device",
    "analytical": "modelled from the device's data sheet; nothing fitted to this device",
    "roofline": "the least that peak and bandwidth allow",
    "published": "taken from a publication",
    "given": "given by the user",
}


@dataclass(frozen=True, slots=True)
class Provenance:
    """How a report was made: command, versions, the files that were read with their SHA-256, notes on the numbers.

    `profile` says in sentences what the profile holds, if there is one; `told` is what the command warned of.
    """

    command: str
    setting: str
    versions: tuple[tuple[str, str], ...]
    inputs: tuple[tuple[str, str, str], ...]
    notes: tuple[str, ...]
    profile: tuple[str, ...] = ()
    told: tuple[str, ...] = ()


def assumption_nodes(comparisons: Sequence[Comparison], device: Device, provenance: Provenance) -> tuple[Node, ...]:
    """What was assumed: where numbers come from, the device's figures, what schemes leave out."""
    runs = [run for one in comparisons for run in (one.fp32, one.mixed, *one.runs)]
    bases = merge_bases(*(run.basis for run in runs)).split("+")
    schemes = {one.trace.scheme: find_scheme(one.trace.scheme) for one in comparisons}
    schemes |= {name: find_scheme(name) for name in ("fp32", "mixed")}
    facts = device_facts(device)
    left_out = [f"{scheme.title}: {text}." for scheme in schemes.values() for text in scheme.leaves_out]
    return (
        Element("ul", *(Element("li", f"{basis}: {BASES.get(basis, basis)}.") for basis in bases)),
        *(Element("p", note) for note in provenance.notes),
        *_listed("The profile", provenance.profile),
        *_listed("What the command warned of", provenance.told),
        table_element(facts, "device"),
        *(Element("p", note, class_="note") for note in facts.notes),
        *_listed("What the schemes leave out", left_out),
    )


def _listed(title: str, texts: Sequence[str]) -> list[Node]:
    return [Element("h3", title), Element("ul", *(Element("li", text) for text in texts))] if texts else []


def source_nodes(names: Sequence[str], comparisons: Sequence[Comparison], device: Device) -> tuple[Node, ...]:
    """Where networks, schemes, the device and the traces come from."""
    rows = [("device", device.name, device.source)]
    for one in {one.network.name: one for one in comparisons}.values():
        rows.append(("network", one.network.name, one.network.source))
    for name in dict.fromkeys(("fp32", "mixed", *(one.trace.scheme for one in comparisons))):
        rows.append(("scheme", name, find_scheme(name).source))
    for name, one in zip(names, comparisons, strict=True):
        rows.append(("trace", name, " ".join(trace_notes(one.trace))))
    frame = pd.DataFrame(
        [(what, name, " ".join(source.split())) for what, name, source in rows], columns=["what", "name", "source"]
    )
    # Whole sources, not cells of a table, which are cut.
    entries = (
        node for what, name, source in frame.itertuples(index=False)
        for node in (Element("dt", f"{what} {name}"), Element("dd", source))
    )  # fmt: skip
    return (Element("dl", *entries),)


def reproduction_nodes(provenance: Provenance) -> tuple[Node, ...]:
    """The command, versions, and the files that were read."""
    inputs = pd.DataFrame(provenance.inputs, columns=["what", "file", "sha256"])
    versions = pd.DataFrame(provenance.versions, columns=["program", "version"])
    return (
        Element("pre", Element("code", provenance.command), tabindex="0"),
        table_element(Table("Files that were read", inputs), "inputs"),
        table_element(Table("Versions", versions), "versions"),
        Element(
            "p",
            "The same command with the same files and versions writes the same bytes: no date is in this file, and of "
            "the machine only what the command names. Every table can be saved as CSV. The rows of the first one, with "
            "columns that it does not show, are in this file as JSON, in the element with the id data.",
            class_="note",
        ),
    )  # fmt: skip
