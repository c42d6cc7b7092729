"""Tables of schemes side by side: time of an epoch, where it goes, bit operations and traffic."""

from __future__ import annotations

from collections.abc import Iterator
from math import nan

import pandas as pd

from perfmodel.devices import Device
from perfmodel.lowering import PASSES
from perfmodel.report.basis import interval_notes
from perfmodel.report.scheme_formats import schedule_words
from perfmodel.report.table import Table, is_missing
from perfmodel.report.text import duration, milliseconds, percent, ratio, rounded_interval, supported
from perfmodel.report.units import units_note
from perfmodel.schemes import gemm_choice
from perfmodel.sidebyside import GROUPS, Refused, SchemeCost, SideBySide, StretchCost
from perfmodel.units import GIGA, grouped

SHARES = {f"{group}_share": group for group in GROUPS}
HEADERS = {
    "scheme": "scheme", "epoch_s": "time/epoch", "run_s": "whole run", "speedup": "speedup",
    "interval": "90 %", "bit_speedup": "by BitOPs", "gemm_share": "GEMM", "conversions_share": "conversions",
    "update_share": "update",
    "other_share": "other", "bit_share": "BitOPs", "traffic_bytes": "GB/iteration", "basis": "basis",
}  # fmt: skip
ENDS = ("run_low_s", "run_high_s", "speedup_low", "speedup_high")  # of 90 % intervals
SHOW = {
    "epoch_s": duration, "run_s": duration, "speedup": ratio, "bit_speedup": ratio, **dict.fromkeys(SHARES, percent),
    "bit_share": percent, "traffic_bytes": lambda moved: f"{moved / GIGA:.3g}",
}  # fmt: skip
STRETCH_HEADERS = {
    "scheme": "scheme", "formats": "formats", "iterations": "iterations", "iterations_share": "share",
    "step_s": "ms/iteration", "speedup": "speedup", "units": "GEMMs on",
}  # fmt: skip
STRETCH_SHOW = {"iterations": grouped, "iterations_share": percent, "step_s": milliseconds, "speedup": ratio}
SAME = 5e-4  # a difference of times that reads 0.0 %
COLUMNS = (
    "speedup = FP32's time / this time; by BitOPs: what it would be if time were bit operations (BitOPs, MACs x bits x "
    "bits, here against FP32's). Shares are of the time; conversions: quantise, cast, transpose and scale kernels. "
    "GB/iteration: what the kernels read and write at least."
)


def schemes_frame(result: SideBySide) -> pd.DataFrame:
    """One row for each scheme; one that has no price has its `refusal` and nothing else."""
    return pd.DataFrame([_row(result, cost) for cost in result.costs])


def _row(result: SideBySide, cost: SchemeCost | Refused) -> dict:
    row = {"network": result.network.name, "scheme": cost.scheme.name, "title": cost.scheme.title}
    if isinstance(cost, Refused):
        empty = dict.fromkeys(name for name in (*HEADERS, *ENDS) if name not in row and name != "interval")
        return row | empty | {"proxies": None, "refusal": refusal_text(cost)}
    bits = result.relative_bit_operations(cost)
    (run_low, run_high), (low, high) = cost.interval(), result.speedup_interval(cost)
    return row | {
        "epoch_s": cost.epoch_s, "run_s": cost.seconds, "speedup": result.speedup(cost), "bit_speedup": 1 / bits,
        **{column: cost.share(group) for column, group in SHARES.items()}, "bit_share": bits,
        "traffic_bytes": cost.bytes, "basis": cost.basis, "proxies": "; ".join(cost.proxies), "refusal": None,
        "run_low_s": run_low, "run_high_s": run_high, "speedup_low": low, "speedup_high": high,
    }  # fmt: skip


def epoch_words(row) -> str:
    """An epoch's time and the speedup of a row of `schemes_frame`, with the digits that intervals, if any, support."""
    low, high, *of_ratio = (float(getattr(row, name, nan)) for name in ENDS)
    share = row.epoch_s / row.run_s if getattr(row, "run_s", 0.0) else nan
    time = supported(duration, low * share, high * share)(row.epoch_s)
    return time if is_missing(row.speedup) else f"{time}, {supported(ratio, *of_ratio)(row.speedup)}"


def refusal_text(refused: Refused) -> str:
    """Code, place and reason of a refusal on one line."""
    return "; ".join(refused.error.lines())


def stretches_frame(result: SideBySide, device: Device) -> pd.DataFrame:
    """One row for each scheme and set of formats of its run: iterations, seconds of a step by group, bytes, bits.

    A scheme without a price has one row with its `refusal`.
    """
    return pd.DataFrame([row for cost in result.costs for row in _stretch_rows(result, cost, device)])


def _stretch_rows(result: SideBySide, cost: SchemeCost | Refused, device: Device) -> Iterator[dict]:
    names = {"network": result.network.name, "scheme": cost.scheme.name}
    if isinstance(cost, Refused):
        yield names | {"formats": None, "refusal": refusal_text(cost)}
        return
    fp32 = result.fp32.stretches[0].step.total.seconds if isinstance(result.fp32, SchemeCost) else None
    for one in cost.stretches:
        seconds = one.step.total.seconds
        yield names | {
            "formats": one.label, "iterations": one.iterations, "iterations_share": one.iterations / cost.iterations,
            "step_s": seconds, **dict(zip(("step_low_s", "step_high_s"), one.step.interval(), strict=True)),
            "speedup": fp32 and fp32 / seconds,
            **{f"{group}_s": one.seconds[group] for group in GROUPS}, "traffic_bytes": one.bytes,
            "bit_operations": float(one.bit_operations), "units": ", ".join(units_of_passes(one, device)),
            "basis": one.step.total.basis, "proxies": "; ".join(one.step.proxies), "refusal": None,
        }  # fmt: skip


def units_of_passes(one: StretchCost, device: Device) -> tuple[str, ...]:
    """The units on which the three passes run in layers that are no exception, each once."""
    choices = (gemm_choice(one.stretch.scheme, one.stretch.formats, pass_, device) for pass_ in PASSES)
    return tuple(dict.fromkeys(choice.precision.name for choice in choices))


def schemes_tables(result: SideBySide, device: Device, title: str, notes: tuple[str, ...]) -> list[Table]:
    """The schemes as people read them, and the steps of those that change their formats within a run."""
    frame = schemes_frame(result)
    codes = {one.scheme.name: f"refused, {one.error.problems[0].code}" for one in result.refused}
    frame["basis"] = [codes.get(name, basis) for name, basis in zip(frame["scheme"], frame["basis"], strict=True)]
    ends = _ends(frame, "speedup_low", "speedup_high")
    frame["interval"] = [rounded_interval(ratio, *both) for both in ends]
    run = _ends(frame, "run_low_s", "run_high_s")
    epochs = result.run.epochs
    show = SHOW | {
        "speedup": [supported(ratio, *both) for both in ends],
        "run_s": [supported(duration, *both) for both in run],
        "epoch_s": [supported(duration, low / epochs, high / epochs) for low, high in run],
    }
    headers = {name: text for name, text in HEADERS.items() if name != "interval" or frame["interval"].notna().any()}
    first = Table(title, frame, show, headers, notes)
    changing = [cost.scheme.name for cost in result.priced if len(cost.stretches) > 1]
    frame = stretches_frame(result, device)
    frame = frame[frame["scheme"].isin(changing)]
    if frame.empty:
        return [first]
    frame = frame.astype({"iterations": "Int64"})
    steps = [supported(milliseconds, *both) for both in _ends(frame, "step_low_s", "step_high_s")]
    show = STRETCH_SHOW | {"step_s": steps}
    return [first, Table("Steps of schemes that change their formats", frame, show, STRETCH_HEADERS)]


def _ends(frame: pd.DataFrame, low: str, high: str) -> list[tuple[float, float]]:
    """The intervals of two columns, NaN where not known."""
    return list(zip(frame[low].astype(float), frame[high].astype(float), strict=True))


def compare_notes(result: SideBySide, device: Device) -> tuple[str, ...]:
    """How long is trained, what was found, which units ran, what stands for something else, what was refused."""
    costs = [cost for cost in (result.fp32, *result.priced) if isinstance(cost, SchemeCost)]
    proxies = list(dict.fromkeys(proxy for cost in result.priced for proxy in cost.proxies))
    return (
        f"Trained: {grouped(result.run.epochs)} x {grouped(result.run.iterations)} iterations of batch "
        f"{grouped(result.run.batch)} ({grouped(result.run.samples)} images an epoch), the same with every scheme.",
        COLUMNS,
        *interval_notes((cost.interval() for cost in costs), rounded=True),
        *(f"{cost.scheme.name}: {schedule_words(cost.scheme)}." for cost in result.priced if len(cost.stretches) > 1),
        *findings(result, device),
        units_note(device, (one.step for cost in costs for one in cost.stretches)),
        *([f"Proxies: {', '.join(proxies)}."] if proxies else []),
        *(f"Refused: {one.scheme.name}: {refusal_text(one)}" for one in result.refused),
        *([f"No speedup: fp32: {refusal_text(result.fp32)}"] if isinstance(result.fp32, Refused) else []),
    )


def findings(result: SideBySide, device: Device) -> Iterator[str]:
    """What each cyclic scheme saves against its widest format throughout: time, and bit operations."""
    for cost in result.priced:
        static, cyclic = result.static.get(cost.scheme.name), cost.scheme.schedule
        if static is None:
            continue
        saved = 1 - cost.seconds / static.seconds
        paper = cyclic.cycle.saving(cost.iterations, cyclic.backward)
        ours = 1 - cost.bit_operations / static.bit_operations
        units = list(dict.fromkeys(unit for one in cost.stretches for unit in units_of_passes(one, device)))
        where = f"all its widths run on {units[0]} units" if len(units) == 1 else f"it runs on {', '.join(units)} units"
        yield (
            f"{cost.scheme.title} {saved_words(saved)} static {cyclic.high} bits on {device.name}: {where}; "
            f"bit operations fall by {percent(paper)} if all layers count alike, by {percent(ours)} as they are here."
        )


def saved_words(saved: float) -> str:
    """A share of time saved, as a verb.

    >>> saved_words(0.0), saved_words(0.031), saved_words(-0.02)
    ('saves no time over', 'saves 3.1 % of the time of', 'takes 2.0 % more time than')
    """
    if abs(saved) < SAME:
        return "saves no time over"
    return f"saves {percent(saved)} of the time of" if saved > 0 else f"takes {percent(-saved)} more time than"
