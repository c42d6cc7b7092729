"""Advice as tables: the ways to compute a step, what each layer and pass gains, and from which batch size on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from perfmodel.advise import Advice
from perfmodel.advise.sweep import AtBatch, least_batches
from perfmodel.report.table import Table
from perfmodel.report.text import milliseconds, percent, ratio, rounded_interval, signed_milliseconds, supported
from perfmodel.units import grouped

GROUPS = ("pass", "layer")
MOST_NAMED = 5  # layers in a note
WAY_HEADERS = {
    "way": "every GEMM in", "step_s": "ms/step", "interval": "90 %, ms", "speedup": "speedup",
    "speedup_interval": "90 %", "narrow_share": "passes narrow", "conversions_s": "conversions, ms",
    "copies_s": "turned round, ms", "basis": "basis",
}  # fmt: skip
WAY_ENDS = (("step_low_s", "step_high_s"), ("speedup_low", "speedup_high"))
WAY_SHOW = {
    "narrow_share": percent, "conversions_s": milliseconds,
    "copies_s": milliseconds,
}  # fmt: skip
PASS_COLUMNS = (
    "room: what conversions may take at most for the narrow GEMM to pay off: the base's time less the GEMM's and what "
    "turning operands round takes. alone: room less what converting both operands takes, if for this pass alone. The "
    "plan converts each tensor once for all that read it, so a pass may pay off in company that does not alone."
)


def ways_frame(advice: Advice) -> pd.DataFrame:
    """One row for each way to compute the step: the base, each narrow format throughout, the plan."""
    rows = []
    for one in (advice.base, *advice.narrow, advice.best):
        low, high = one.step.interval()
        speedup, ratio_low, ratio_high = one.faster_than(advice.base)
        passes = sum(map(len, advice.tariff.passes.values()))
        rows.append({
            "way": one.name, "step_s": one.step.total.seconds, "step_low_s": low, "step_high_s": high,
            "speedup": speedup, "speedup_low": ratio_low, "speedup_high": ratio_high,
            "narrow_share": len(one.plan.narrow) / passes, "conversions_s": one.step.seconds_of(("quantise", "cast")),
            "copies_s": one.step.seconds_of(("transpose",)), "basis": one.step.total.basis,
        })  # fmt: skip
    return pd.DataFrame(rows)


def ways_table(advice: Advice, title: str, notes: tuple[str, ...]) -> Table:
    """`ways_frame` as people read it."""
    frame = ways_frame(advice)
    frame["way"] = [*frame["way"].iloc[:-1], f"the least-time plan ({' and '.join(frame['way'].iloc[:-1])})"]
    steps, speedups = (list(zip(frame[low], frame[high], strict=True)) for low, high in WAY_ENDS)
    frame["interval"] = [rounded_interval(milliseconds, *ends) for ends in steps]
    frame["speedup_interval"] = [None, *(rounded_interval(ratio, *ends) for ends in speedups[1:])]
    show = WAY_SHOW | {
        "step_s": [supported(milliseconds, *ends) for ends in steps],
        "speedup": [supported(ratio, *ends) for ends in speedups],
    }
    headers = {name: text for name, text in WAY_HEADERS.items() if name not in frame or frame[name].notna().any()}
    return Table(title, frame, show, headers, notes)


def passes_frame(advice: Advice, found: Sequence[AtBatch] = ()) -> pd.DataFrame:
    """One row for each layer, pass and narrow format: seconds of one step, and what the plan has.

    `room_s` is what conversions may take for the pass to pay off, `net_s` what it gains if both operands are converted
    for it alone; `least_batch` from which batch size on the plan has it in the format (missing: at none tried).
    """
    least = {name: least_batches(found, name) for name in advice.tariff.narrow} if found else {}
    return pd.DataFrame([
        {
            "layer": one.layer, "pass": one.pass_, "base": advice.tariff.base, "base_s": one.base_s,
            "narrow": one.format, "gemm_s": one.gemm_s, "copies_s": one.copies_s, "gemm_speedup_low": one.low,
            "gemm_speedup_high": one.high, "room_s": one.room_s, "convert_s": one.convert_s, "net_s": one.net_s,
            "plan": one.planned, "least_batch": least.get(one.format, {}).get((one.layer, one.pass_)),
        }
        for one in advice.gains
    ]).astype({"least_batch": "Int64"})  # fmt: skip


def layers_frame(advice: Advice, found: Sequence[AtBatch] = ()) -> pd.DataFrame:
    """One row for each layer and narrow format: what it gains as a whole, its tensors converted once, and its plan."""
    passes = passes_frame(advice, found)
    rows = []
    for name in advice.tariff.narrow:
        gains = advice.layer_gains(name)
        for layer, mine in passes[passes["narrow"] == name].groupby("layer", sort=False):
            chosen = mine.loc[mine["plan"] == name, "pass"].tolist()
            rows.append({
                "layer": layer, "base": advice.tariff.base, "narrow": name, "base_s": mine["base_s"].sum(),
                "gemm_s": mine["gemm_s"].sum(), "copies_s": mine["copies_s"].sum(),
                "convert_s": mine["base_s"].sum() - mine["gemm_s"].sum() - mine["copies_s"].sum() - gains[layer],
                "net_s": gains[layer], "passes": len(mine), "plan": ", ".join(chosen) or None,
                "least_batch": mine["least_batch"].min(),
            })  # fmt: skip
    return pd.DataFrame(rows).astype({"least_batch": "Int64"})


def gains_table(advice: Advice, found: Sequence[AtBatch], by: str) -> Table:
    """The break-even table, pass by pass or layer by layer."""
    base, names = advice.tariff.base, " or ".join(advice.tariff.narrow)
    narrow = {"narrow": "in"} if len(advice.tariff.narrow) > 1 else {}
    headers = {"layer": "layer", "pass": "pass", **narrow, "base_s": f"{base}, ms", "gemm_s": f"{names}, ms",
               "copies_s": "turned round, ms"}  # fmt: skip
    if by == "pass":
        frame = passes_frame(advice, found)
        headers |= {"room_s": "room, ms", "convert_s": "conversions, ms", "net_s": "alone, ms"}
        notes = (PASS_COLUMNS,)
    else:
        frame = layers_frame(advice, found)
        headers |= {"convert_s": "conversions, ms", "net_s": "gains, ms"}
        del headers["pass"]
        notes = (f"gains: what the layer saves with all its passes in {names}, each tensor converted once.",)
    headers |= {"plan": f"plan: passes in {names}" if by == "layer" else "plan"}
    headers |= {"least_batch": "from batch"} if found else {}
    show = dict.fromkeys(("base_s", "gemm_s", "copies_s", "convert_s"), milliseconds)
    show |= {name: signed_milliseconds for name in ("room_s", "net_s") if name in headers}
    return Table(f"Break-even by {by}, batch {grouped(advice.batch)}", frame, show, headers, notes)


def batches_frame(found: Sequence[AtBatch]) -> pd.DataFrame:
    """One row for each batch size: seconds of a step in one format throughout and by the plan of that batch size."""
    rows = []
    for at in found:
        ways = {"base": at.base_s, **at.narrow_s}
        rows.append({
            "batch": at.batch, **{f"{name}_s": seconds for name, seconds in ways.items()}, "plan_s": at.plan_s,
            "narrow_passes": len(at.plan.narrow), "plan_speedup": at.base_s / at.plan_s,
            **{f"{name}_speedup": at.base_s / seconds for name, seconds in at.narrow_s.items()},
        })  # fmt: skip
    return pd.DataFrame(rows)


def batches_table(advice: Advice, found: Sequence[AtBatch]) -> Table:
    """The sweep as people read it."""
    frame, names = batches_frame(found), advice.tariff.narrow
    headers = {
        "batch": "batch", "base_s": f"{advice.tariff.base}, ms", **{f"{name}_s": f"{name}, ms" for name in names},
        "plan_s": "plan, ms", **{f"{name}_speedup": f"{name} speedup" for name in names},
        "plan_speedup": "plan speedup", "narrow_passes": "narrow passes",
    }  # fmt: skip
    show = {name: milliseconds for name in headers if name.endswith("_s")}
    show |= {name: ratio for name in headers if name.endswith("_speedup")}
    return Table("By batch size", frame, show | {"batch": grouped}, headers)


def plan_words(advice: Advice) -> str:
    """How fast the plan is, with its interval, in a sentence."""
    if not advice.best.plan.narrow:
        return f"Nothing pays off: the plan has every GEMM in {advice.tariff.base}."
    value, *ends = advice.best.faster_than(advice.base)
    between = rounded_interval(ratio, *ends)
    known = f", 90 %: {between}" if between else ""
    return f"The plan is {supported(ratio, *ends)(value)} as fast as {advice.tariff.base} throughout{known}."


def findings(advice: Advice, found: Sequence[AtBatch]) -> Iterator[str]:
    """What the numbers say: what the plan saves, which layers lose, from which batch size on."""
    if not advice.best.plan.narrow:
        yield plan_words(advice)
    for one in (advice.base, *advice.narrow):
        saved_s = one.step.total.seconds - advice.best.step.total.seconds
        if saved_s > 0:
            share = percent(saved_s / one.step.total.seconds)
            yield f"The plan saves {milliseconds(saved_s)} ms, {share}, of the step in {one.name} throughout."
    for name in advice.tariff.narrow:
        yield _losers(advice, name)
        if found:
            yield _from_batch(found, name, advice.tariff.base)


def _losers(advice: Advice, name: str) -> str:
    gains = advice.layer_gains(name)
    losing = sorted((gain, layer) for layer, gain in gains.items() if gain < 0)
    if not losing:
        return f"Every layer as a whole gains in {name}."
    named = ", ".join(f"{layer} ({signed_milliseconds(gain)} ms)" for gain, layer in losing[:MOST_NAMED])
    most = " most" if len(losing) > MOST_NAMED else ""
    return f"As a whole, {len(losing)} of {len(gains)} layers are not worth {name};{most} {named}."


def _from_batch(found: Sequence[AtBatch], name: str, base: str) -> str:
    """From which batch size on one format throughout is faster than the base."""
    ordered = sorted(found, key=lambda at: at.batch)
    slower = [at.batch for at in ordered if at.narrow_s[name] >= at.base_s]
    if len(ordered) == 1:
        return f"{name} throughout is {'not ' * bool(slower)}faster than {base} at batch {ordered[0].batch}."
    if not slower:
        return f"{name} throughout is faster than {base} at each batch size, {ordered[0].batch} to {ordered[-1].batch}."
    if slower[-1] == ordered[-1].batch:
        return f"{name} throughout is not faster than {base} at the largest batch size, {slower[-1]}."
    first = next(at.batch for at in ordered if at.batch > slower[-1])
    return f"{name} throughout is faster than {base} from batch {first} on."
