"""Where the time of one training step goes."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from perfmodel.cost.estimate import merge_bases
from perfmodel.lowering import KINDS, PASSES
from perfmodel.report.table import Table
from perfmodel.report.text import milliseconds, percent
from perfmodel.simulate import StepCost

GROUPS = ("layer", "pass", "kind")


def breakdown_frame(steps: Mapping[str, StepCost]) -> pd.DataFrame:
    """One row for each precision, layer, pass and kind of work; time, bytes and FLOP of all its launches."""
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
    return frame.groupby(["precision", "layer", "pass", "kind"], sort=False, as_index=False).agg(
        time_s=("time_s", "sum"), launches=("launches", "sum"), flop=("flop", "sum"), bytes=("bytes", "sum"),
        kernel=("kernel", "first"), proxy=("proxy", "first"), basis=("basis", lambda bases: merge_bases(*bases)),
    )  # fmt: skip


def breakdown_table(frame: pd.DataFrame, by: str, title: str, notes: tuple[str, ...] = ()) -> Table:
    """Milliseconds and share of each layer, pass or kind, precisions side by side, with their sums in the last row."""
    wide = frame.pivot_table(index=by, columns="precision", values="time_s", aggfunc="sum", sort=False)
    wide = wide[list(dict.fromkeys(frame["precision"]))]
    order = {"layer": layer_order(frame), "pass": (*PASSES, "update"), "kind": KINDS}[by]
    wide = wide.reindex([name for name in order if name in wide.index])
    sums = wide.sum()
    wide = pd.concat([wide, sums.to_frame("total").T])  # a layer may be called total, too
    table = pd.DataFrame({by: wide.index})
    headers, show = {by: by}, {}
    for precision in wide.columns:
        seconds, share = f"{precision}_time_s", f"{precision}_share"
        table[seconds] = wide[precision].to_numpy()
        table[share] = table[seconds] / sums[precision]
        headers |= {seconds: f"{precision} ms", share: "share"}
        show |= {seconds: milliseconds, share: percent}
    return Table(title, table, show, headers, notes)


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
