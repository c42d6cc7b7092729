"""Where the time of one training step goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan, nan

import pandas as pd

from perfmodel.cost.estimate import merge_bases
from perfmodel.cost.spread import Spread
from perfmodel.lowering import KINDS, PASSES, Work
from perfmodel.report.table import Table
from perfmodel.report.text import milliseconds, percent, rounded_interval, supported
from perfmodel.simulate import StepCost

GROUPS = ("layer", "pass", "kind")
FINEST = ("layer", "pass", "kind")  # what a row of the frame is of, with its precision


def breakdown_frame(steps: Mapping[str, StepCost]) -> pd.DataFrame:
    """One row for each precision, layer, pass and kind of work: time, 90 % interval, bytes and FLOP of all launches."""
    rows = [
        {
            "precision": precision, "layer": work.layer, "pass": work.pass_, "kind": work.kind, "time_s": seconds,
            "launches": work.count, "flop": getattr(work.kernel, "flop", 0) * work.count,
            "bytes": getattr(work.kernel, "bytes", 0.0) * work.count, "kernel": detail, "proxy": work.proxy,
            "basis": basis,
        }
        for precision, step in steps.items()
        for work, seconds, basis, detail in zip(
            step.works, step.seconds, step.prices.basis, step.prices.detail, strict=True
        )
    ]  # fmt: skip
    order = list(steps)  # the images come before all layers of their precision, whenever they are converted
    rows.sort(key=lambda row: (order.index(row["precision"]), row["layer"] != "input"))
    frame = pd.DataFrame(rows)
    frame = frame.groupby(["precision", *FINEST], sort=False, as_index=False).agg(
        time_s=("time_s", "sum"), launches=("launches", "sum"), flop=("flop", "sum"), bytes=("bytes", "sum"),
        kernel=("kernel", "first"), proxy=("proxy", "first"), basis=("basis", lambda bases: merge_bases(*bases)),
    )  # fmt: skip
    ends = interval_frame(steps, FINEST)
    found = frame.merge(ends, how="left", on=["precision", *FINEST], validate="one_to_one")
    frame[["low_s", "high_s"]] = found[["low_s", "high_s"]]
    return frame


def interval_frame(steps: Mapping[str, StepCost], by: Sequence[str]) -> pd.DataFrame:
    """`low_s` and `high_s` for each precision and group, NaN where not known; first of everything, as `total`."""
    rows = []
    for precision, step in steps.items():
        groups: dict[tuple, list[int]] = {("total",) * len(by): list(range(len(step.works)))}
        for i, work in enumerate(step.works):
            groups.setdefault(tuple(_attribute(work, name) for name in by), []).append(i)
        for names, chosen in groups.items():
            seconds, widths = step.seconds[chosen], [step.prices.widths[i] for i in chosen]
            spread = Spread.of([step.works[i].kernel for i in chosen], seconds.tolist(), widths)
            rows.append((precision, *names, *spread.interval(float(seconds.sum()))))
    return pd.DataFrame(rows, columns=["precision", *by, "low_s", "high_s"])


def _attribute(work: Work, name: str) -> str:
    return work.pass_ if name == "pass" else getattr(work, name)


def breakdown_table(
    frame: pd.DataFrame, by: str, title: str, notes: tuple[str, ...] = (), intervals: pd.DataFrame | None = None
) -> Table:
    """Milliseconds and share of each layer, pass or kind, precisions side by side, with their sums in the last row.

    `intervals` is the `interval_frame` by the same; one column for each precision where any is known.
    """
    wide = frame.pivot_table(index=by, columns="precision", values="time_s", aggfunc="sum", sort=False)
    wide = wide[frame["precision"].unique()]
    order = layer_order(frame) if by == "layer" else {"pass": (*PASSES, "update"), "kind": KINDS}[by]
    wide = wide.reindex([name for name in order if name in wide.index])
    sums = wide.sum()
    wide = pd.concat([wide, sums.to_frame("total").T])  # a layer may be called total, too
    table = pd.DataFrame({by: wide.index})
    headers, show = {by: by}, {}
    for precision in wide.columns:
        seconds, share = f"{precision}_time_s", f"{precision}_share"
        table[seconds] = wide[precision].to_numpy()
        table[share] = table[seconds] / sums[precision]
        headers[seconds] = f"{precision} ms"
        ends = [] if intervals is None else _intervals(intervals, precision, by, wide.index)
        show |= {seconds: [supported(milliseconds, *both) for both in ends] or milliseconds, share: percent}
        if ends:
            table[f"{precision}_interval"] = [rounded_interval(milliseconds, *both) for both in ends]
            headers[f"{precision}_interval"] = "90 %, ms"
        headers[share] = "share"
    return Table(title, table, show, headers, notes)


def _intervals(intervals: pd.DataFrame, precision: str, by: str, names: Sequence[str]) -> list[tuple[float, float]]:
    """The interval of each row, NaN where not known; empty where none is. The last row is the total."""
    rows = intervals[intervals["precision"] == precision]
    ends = dict(zip(rows[by].tolist()[1:], zip(rows["low_s"][1:], rows["high_s"][1:], strict=True), strict=True))
    total = tuple(rows.iloc[0][["low_s", "high_s"]])
    return [] if isnan(total[0]) else [*(ends.get(name, (nan, nan)) for name in names[:-1]), total]


def layer_order(frame: pd.DataFrame) -> list[str]:
    """All layers once. One that the first precision does not have goes behind the layer that it follows elsewhere."""
    order: list[str] = []
    for _, layers in frame.groupby("precision", sort=False)["layer"]:
        place, seen = 0, set(order)
        if seen.issuperset(layers):
            continue
        for layer in dict.fromkeys(layers):
            if layer in seen:
                place = order.index(layer) + 1
            else:
                order.insert(place, layer)
                place += 1
    return order
