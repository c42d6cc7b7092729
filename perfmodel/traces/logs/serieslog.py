"""Runs from series: values by tag and step, of which the user may have to say what a step counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from perfmodel.errors import InputError, quote
from perfmodel.traces.logs.counting import table_stretches
from perfmodel.traces.logs.given import Given
from perfmodel.traces.logs.keys import Keys
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.logs.run import Fact, Run, Said
from perfmodel.traces.logs.series import Series
from perfmodel.traces.logs.table import Table

STEP = "step"  # the name of the steps themselves, for --map


def series_run(
    reader: str,
    files: tuple[LogFile, ...],
    given: Given,
    series: Series,
    facts: Mapping[str, Fact] | None = None,
    corrections: Iterable[str] = (),
) -> Run:
    """The run that a series tells: rows of one step each, of epochs by a tag of epochs or as `given.step_is` says.

    `corrections` are those of reading the files. Lines of messages are steps. Raises `InputError` as `Table`.
    """
    place, facts = files[0].place, facts or {}
    _check_steps(series, place)
    said = Said.of(given, facts)
    without = frozenset({"epoch"}) if given.step_is == "epoch" else frozenset()
    keys = Keys(given, without, {"step": STEP})
    table = Table(place, given, keys, said.whole)
    tags = list(series.tags())
    keys.see(tags)
    table.corrections += [*corrections, *(f"{place} {text}" for text in series.corrections())]
    if given.step_is == "epoch":
        tags = _same_clock(series, tags, keys, table)
    for step, row in series.rows(tags):
        values = {name: value for name, value in row.items() if isinstance(value, float) or name in keys.fields()}
        if values:
            table.add(step, {STEP: float(step), **values})
    stretches = table_stretches(table, given, said)
    return Run(reader, files, stretches, facts, corrections=tuple(table.corrections))


def _same_clock(series: Series, tags: Iterable[str], keys: Keys, table: Table) -> list[str]:
    """The tags whose steps may be epochs.

    A loop that logs once an epoch leaves tags with a value at every step; of these the shortest is the clock. What goes
    twice as far as it counts something else: iterations.
    """
    dense = [tag for tag in tags if _dense(series.steps(tag))]
    changing = {keys.name(key) for key in ("precision", "fprop", "dgrad", "wgrad")}  # perhaps at changes only
    clocks = [tag for tag in dense if tag not in changing] or dense
    if not clocks:
        return list(tags)
    clock = min(clocks, key=lambda tag: series.steps(tag)[-1])
    last = series.steps(clock)[-1]
    others = [tag for tag in tags if series.steps(tag)[-1] + 1 >= 2 * (last + 1)]
    if others:
        names = ", ".join(quote(tag, 40) for tag in others[:20])
        found = f"{names} go beyond step {last}, the last of {quote(clock)}: no steps of epochs, left out"
        table.corrections.append(f"{table.place} {found}")
    return [tag for tag in tags if tag not in others]


def _dense(steps: Sequence[int]) -> bool:
    return len(steps) > 1 and len(steps) == steps[-1] - steps[0] + 1


def _check_steps(series: Series, place: str) -> None:
    """Raise E1323 where values were logged again and again at one step: the writer was given none."""
    steps = {step for tag in series.tags() for step in series.steps(tag)}
    if len(steps) == 1 and series.changes > 1:
        found = f"all values were logged at step {steps.pop()}, each over the one before."
        fix = "Give a step to add_scalar or log_metric, and log again."
        raise InputError.at("E1323", f"{place}:", found, fix)
