"""Where a step's time goes: the distinct steps of all runs on one network, in figures and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from perfmodel.devices import Device
from perfmodel.networks import Network
from perfmodel.report.breakdown import breakdown_table, interval_frame
from perfmodel.report.figures import breakdown_figure, roofline_figure
from perfmodel.report.html import words
from perfmodel.report.html.element import Element, Node
from perfmodel.report.html.tables import heaviest, table_element
from perfmodel.report.html.vector import figure_element
from perfmodel.report.roofline import roofline_frame, roofs_frame
from perfmodel.report.steps import distinct_steps
from perfmodel.report.table import Table
from perfmodel.report.text import milliseconds, percent
from perfmodel.simulate import OVERHEAD_KINDS, Comparison, StepCost
from perfmodel.units import grouped

MOST_STEPS = 6  # panels of a figure
MOST_LAYERS = 100  # rows of a table by layer; of more the heaviest
MOST_WITH_INTERVALS = 2000  # layers: computing the intervals of more takes seconds
MOST_BARS = 50  # of a figure of more layers than that
MOST_CONVERTING = 12  # of the layers whose conversions take longest


@dataclass(frozen=True, slots=True)
class Group:
    """The steps of all runs on one network with one batch size, equal ones once, by what they are called."""

    network: Network
    batch: int
    steps: dict[str, StepCost]
    left_out: int

    @classmethod
    def all_of(cls, comparisons: Sequence[Comparison]) -> list[Group]:
        """One group for each network and batch size, in order."""
        found: dict[tuple[str, int], list[Comparison]] = {}
        for one in comparisons:
            found.setdefault((one.network.name, one.trace.batch), []).append(one)
        return [cls.of(some) for some in found.values()]

    @classmethod
    def of(cls, comparisons: Sequence[Comparison]) -> Group:
        """The baselines' steps first, then those of the runs."""
        steps = distinct_steps(comparisons)
        kept = dict(list(steps.items())[:MOST_STEPS])
        return cls(comparisons[0].network, comparisons[0].trace.batch, kept, len(steps) - len(kept))


def step_nodes(groups: Sequence[Group], device: Device, note: str) -> tuple[Node, ...]:
    """The section's content."""
    return tuple(node for place, group in enumerate(groups) for node in _group_nodes(group, device, note, f"s{place}"))


def _group_nodes(group: Group, device: Device, note: str, prefix: str) -> list[Node]:
    title = f"{group.network.title}, batch {grouped(group.batch)}"
    frame = _frame(group.steps)
    nodes: list[Node] = [Element("h3", title)]
    if group.left_out:
        nodes.append(Element("p", f"{group.left_out} more steps in other formats are not shown.", class_="note"))
    nodes.append(figure_element(
        breakdown_figure(_fewer_layers(frame), ""), f"{prefix}-layers", words.breakdown_alt(group.steps),
        f"Time of one training step by layer, {title}. {note}",
    ))  # fmt: skip
    nodes += [_table(group, frame, by, f"{prefix}-{by}") for by in ("kind", "pass", "layer")]
    nodes += _converting(group.network.name, frame, f"{prefix}-conversions")
    points = roofline_frame(group.steps, device)
    roofs = roofs_frame(device, points["kernel_precision"].unique())
    nodes.append(figure_element(
        roofline_figure(points, roofs, ""), f"{prefix}-roofline", words.roofline_alt(points, roofs),
        f"GEMMs of {group.network.title} under the roofs of {device.title}: the sloped line is memory bandwidth, the "
        f"flat one the peak of the unit. {note}",
    ))  # fmt: skip
    return nodes


def _frame(steps: Mapping[str, StepCost]) -> pd.DataFrame:
    """Seconds of each precision, layer, pass and kind: of `breakdown_frame` what tables and figures here need."""
    rows = (
        (name, work.layer, work.pass_, work.kind, seconds)
        for name, step in steps.items()
        for work, seconds in zip(step.works, step.seconds.tolist(), strict=True)
    )
    frame = pd.DataFrame(rows, columns=["precision", "layer", "pass", "kind", "time_s"])
    # The images come before all layers of their precision, whenever they are converted.
    places = frame["precision"].map({name: place for place, name in enumerate(steps)})
    frame = frame.assign(_place=2 * places + (frame["layer"] != "input")).sort_values("_place", kind="stable")
    keys = ["precision", "layer", "pass", "kind"]
    return frame.groupby(keys, sort=False, as_index=False)["time_s"].sum()


def _fewer_layers(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with the layers that take longest, in all precisions together, and the others as one."""
    totals = frame.groupby("layer", sort=False)["time_s"].sum()
    if len(totals) <= MOST_LAYERS:
        return frame
    kept = set(totals.nlargest(MOST_BARS).index)
    others = f"{grouped(len(totals) - MOST_BARS)} others"
    return frame.assign(layer=frame["layer"].where(frame["layer"].isin(kept), others))


def _table(group: Group, frame: pd.DataFrame, by: str, name: str) -> Element:
    """Milliseconds and shares by layer, pass or kind, the sum last; of many layers the heaviest."""
    title = f"One step of {group.network.name} by {by}"
    if by == "layer" and frame["layer"].nunique() > MOST_LAYERS:
        return _layers_table(frame, title, name)
    many = frame["layer"].nunique() > MOST_WITH_INTERVALS
    intervals = None if many else interval_frame(group.steps, [by])
    made = breakdown_table(frame, by, title, intervals=intervals)
    ends = {} if many else _lower_ends(made, intervals, by)
    return table_element(made, name, 1, ends)


def _lower_ends(table: Table, intervals: pd.DataFrame, by: str) -> dict[str, list[float]]:
    """By which values the columns of intervals sort; the sum, in the last row, stays where it is."""
    found = {}
    for precision, mine in intervals.groupby("precision", sort=False):
        if (column := f"{precision}_interval") in table.frame:
            low = dict(zip(mine[by].iloc[1:], mine["low_s"].iloc[1:], strict=True))
            found[column] = [*(low.get(name, np.nan) for name in table.frame[by][:-1]), np.nan]
    return found


def _layers_table(frame: pd.DataFrame, title: str, name: str) -> Element:
    """The heaviest layers in the first precision, those of all others in one row."""
    wide = frame.pivot_table(index="layer", columns="precision", values="time_s", aggfunc="sum", sort=False).fillna(0.0)
    wide = wide[frame["precision"].unique()].reset_index()
    wide.columns = ["layer", *(f"{one}_time_s" for one in wide.columns[1:])]
    kept, rest = heaviest(wide, wide.columns[1], MOST_LAYERS, ["layer"])
    headers = {one: one.replace("_time_s", " ms") for one in wide.columns}
    made = Table(f"{title}: the heaviest", kept, dict.fromkeys(wide.columns[1:], milliseconds), headers)
    said = f"Of {grouped(len(wide))} layers those that take longest in {headers[wide.columns[1]].removesuffix(' ms')}."
    return Element("div", table_element(made, name, rest), _all_of_it(said))


def _all_of_it(said: str) -> Element:
    """A note that rows are left out, and which command has them."""
    return Element("p", f"{said} perfmodel breakdown NETWORK -o FILE.csv writes all.", class_="note")


def _converting(network: str, frame: pd.DataFrame, name: str) -> list[Node]:
    """The layers whose conversions take longest: where the overhead goes."""
    mine = frame[frame["kind"].isin(OVERHEAD_KINDS)]
    if mine.empty or not mine["time_s"].sum():
        return []
    whole = frame.groupby("precision")["time_s"].sum()
    rows = mine.pivot_table(
        index=["precision", "layer"], columns="kind", values="time_s", aggfunc="sum", sort=False
    ).fillna(0.0)
    rows["all"] = rows.sum(axis=1)
    rows = rows.reset_index()
    rows["share"] = rows["all"] / rows["precision"].map(whole)
    kinds = [kind for kind in OVERHEAD_KINDS if kind in rows]
    rows = rows[["precision", "layer", *kinds, "all", "share"]]
    kept = rows.loc[rows["all"].nlargest(MOST_CONVERTING).index].sort_index()  # no sum of others: of different steps
    show = dict.fromkeys((*kinds, "all"), milliseconds) | {"share": percent}
    headers = {"precision": "step", "layer": "layer", **{kind: f"{kind}, ms" for kind in kinds}, "all": "all, ms",
               "share": "of the step"}  # fmt: skip
    made = Table(f"One step of {network}: where converting numbers takes longest", kept, show, headers)
    said = f"The {MOST_CONVERTING} that take longest, of {grouped(len(rows))}."
    return [table_element(made, name), _all_of_it(said) if len(kept) < len(rows) else None]
