"""The report's sections in order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pandas as pd

from perfmodel.devices import Device
from perfmodel.report.accuracy import accuracy_frame, accuracy_table
from perfmodel.report.figures import speedup_figure
from perfmodel.report.html import words
from perfmodel.report.html.basis import Provenance, assumption_nodes, reproduction_nodes, source_nodes
from perfmodel.report.html.element import Element, Node
from perfmodel.report.html.page import Section, page
from perfmodel.report.html.runs import run_nodes
from perfmodel.report.html.steps import Group, step_nodes
from perfmodel.report.html.tables import table_element
from perfmodel.report.html.vector import figure_element
from perfmodel.report.render import to_json
from perfmodel.report.speedup import speedup_frame, speedup_table
from perfmodel.report.table import Table
from perfmodel.simulate import Comparison

# Columns of both tables that hold texts, and by which values they sort.
SORTING = {
    "time": "time_low_s", "speedup": "speedup_low", "interval": "speedup_interval_low",
    "same_epochs": "equal_epoch_speedup_low", "overhead": "overhead_share_low",
}  # fmt: skip

REACHED = {
    "best": "best_accuracy", "final": "last_accuracy", "target": "target_accuracy", "best_epoch": "best_epoch",
    "target_epoch": "target_epoch", "time": "time_low_s", "target_time": "target_low_s",
    "target_interval": "target_interval_low_s",
}  # fmt: skip


def report_text(
    names: Sequence[str], comparisons: Sequence[Comparison], device: Device, provenance: Provenance,
    target: float | None = None,
) -> str:  # fmt: skip
    """The whole report as the text of one HTML file; the same in every run.

    `names` are those of the traces, different ones; `target` is the accuracy [%] of the table of times to it, as
    `accuracy_frame` takes it.
    """
    names, comparisons = list(names), list(comparisons)
    frame = speedup_frame(names, comparisons)
    sections = (
        Section("answer", "The answer", _answer_nodes(names, comparisons, frame, provenance, target)),
        Section("runs", "The runs, epoch by epoch", run_nodes(names, comparisons, provenance.setting)),
        Section("steps", "Where a step's time goes", step_nodes(Group.all_of(comparisons), device, provenance.setting)),
        Section("basis", "What the numbers rest on", assumption_nodes(comparisons, device, provenance)),
        Section("sources", "Sources", source_nodes(names, comparisons, device)),
        Section("again", "How to make this report again", reproduction_nodes(provenance)),
    )
    what = names[0] if len(names) == 1 else f"{len(names)} training runs"
    data = json.loads(to_json(Table("Training time and speedup", frame)))
    made_with = ", ".join(f"{program} {version}" for program, version in provenance.versions[:1])
    return page(f"{what} on {device.title}", provenance.setting, sections, data, f"Made with {made_with}.")


def _answer_nodes(names, comparisons, frame, provenance: Provenance, target: float | None) -> tuple[Node, ...]:
    pairs = zip(names, comparisons, strict=True)
    table = speedup_table(frame, "Training time and speedup", ())
    reached = accuracy_frame(names, comparisons, target)
    accuracy = accuracy_table(reached, "Time to accuracy", target is not None) if len(reached) else None
    return (
        Element("ul", *(Element("li", *words.answer(*pair)) for pair in pairs), class_="answer"),
        Element("p", "In brackets: where the figure lies nine times in ten.", class_="note"),
        figure_element(
            speedup_figure(frame, ""), "a-speedups", words.speedups_alt(frame),
            f"Speedups against FP32; whiskers are 90 % intervals. {provenance.setting}",
        ),
        _sorted_by(table, "speedup", frame, SORTING),
        *(Element("p", note, class_="note") for note in table.notes),
        *([] if accuracy is None else [_sorted_by(accuracy, "accuracy", reached, REACHED)]),
        *(Element("p", note, class_="note") for note in (accuracy.notes if accuracy else ())),
    )  # fmt: skip


def _sorted_by(table: Table, name: str, frame: pd.DataFrame, raw: Mapping[str, str]) -> Element:
    """A table whose columns of text sort by values of the frame that it was made from."""
    return table_element(table, name, sorting={column: frame[values].tolist() for column, values in raw.items()})
