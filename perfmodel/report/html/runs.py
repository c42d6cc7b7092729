"""Each run epoch by epoch: its precision, its hours beside both baselines, what its log says."""

from __future__ import annotations

from perfmodel.report.figures import timeline_figure
from perfmodel.report.html import words
from perfmodel.report.html.element import Element, Node
from perfmodel.report.html.tables import table_element
from perfmodel.report.html.vector import figure_element
from perfmodel.report.run_figure import shaded_words
from perfmodel.report.speedup import timeline_frame
from perfmodel.report.stretches import ranked_metrics
from perfmodel.report.trace import stretches_table
from perfmodel.report.trace_figure import trace_figure
from perfmodel.simulate import Comparison
from perfmodel.units import grouped


def run_nodes(names: list[str], comparisons: list[Comparison], note: str) -> tuple[Node, ...]:
    """The section's content."""
    pairs = enumerate(zip(names, comparisons, strict=True))
    return tuple(node for place, (name, one) in pairs for node in _one(name, one, note, f"r{place}"))


def _one(name: str, comparison: Comparison, note: str, prefix: str) -> list[Node]:
    trace = comparison.trace
    facts = (
        f"{comparison.network.title} on {trace.dataset}: {comparison.runs[0].title}, {grouped(trace.epochs)} epochs, "
        f"{grouped(trace.iterations)} iterations of batch {grouped(trace.batch)}; "
        f"{words.conversions(comparison.runs)} of its time converts numbers."
    )
    frame, stretches = timeline_frame(comparison), stretches_table(trace)
    nodes: list[Node] = [
        Element("h3", name),
        Element("p", facts),
        figure_element(
            timeline_figure(frame, "", "", comparison.runs[0].title), f"{prefix}-timeline",
            words.timeline_alt(name, comparison, frame["precision"].dropna()),
            f"{name}: precision of each epoch, and time since the start beside both baselines."
            f"{shaded_words(frame)} {note}",
        ),
        table_element(stretches, f"{prefix}-stretches"),
        *(Element("p", note, class_="note") for note in stretches.notes),
    ]  # fmt: skip
    if any(ranked_metrics(trace).values()) or any(one.gradient_diversity for one in trace.segments):
        nodes.append(figure_element(
            trace_figure(trace, ""), f"{prefix}-log",
            f"What the log of {name} says, epoch by epoch: precision, metrics, gradient diversity, learning rate; the "
            "table above has the values at the end of each stretch.",
            f"{name}: what its log says.",
        ))  # fmt: skip
    return nodes
