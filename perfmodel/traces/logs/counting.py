"""The stretches of a table's epochs: how many iterations each had, and each precision within it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from perfmodel.traces.logs.epochs import Epoch, finite, spans
from perfmodel.traces.logs.given import Given
from perfmodel.traces.logs.run import Said, Stretch
from perfmodel.traces.logs.steps import Count, Steps, number_epochs
from perfmodel.traces.logs.table import Table
from perfmodel.traces.precision import PassPrecision

GD = {f"gd_{name}": name for name in ("mean", "max", "ratio", "threshold", "violations")}

Part = tuple[PassPrecision | None, int | None]  # and its iterations


def table_stretches(table: Table, given: Given, said: Said, steps_from: int | None = None) -> tuple[Stretch, ...]:
    """The stretches of the epochs of a table; what was assumed goes to the table's corrections.

    `steps_from` is the number of the first step where the format fixes it. Errors as `Table.epochs`.
    """
    epochs = table.epochs()
    if not epochs:
        return ()
    steps = _steps(table, epochs, given, said, steps_from)
    if said.whole is not None:
        _note_short(table, steps.counts, said.whole)
    _note_rates(table, epochs)
    parts = _parts(table, epochs, steps)
    fields = table.keys.fields()
    return tuple(stretch for number in epochs for stretch in _stretches(number, epochs[number], parts[number], fields))


def _steps(table: Table, epochs: Mapping[int, Epoch], given: Given, said: Said, steps_from: int | None) -> Steps:
    """Iterations as the log counts them itself; else by its steps, where each epoch has some."""
    logged = {number: Count(0, epoch.iterations) for number, epoch in epochs.items()}
    if given.step_is == "epoch" or any(epoch.last is None for epoch in epochs.values()):
        return Steps(0, logged)
    if given.step_is is None and number_epochs(epochs):
        table.corrections.append(f"{table.place} steps rise by one with each epoch: taken for epochs, not iterations")
        return Steps(0, logged)
    steps = Steps.of(epochs, said.samples, said.batch, steps_from)
    counts = {
        number: count if logged[number].iterations is None else Count(count.before, logged[number].iterations)
        for number, count in steps.counts.items()
    }
    return Steps(steps.base, counts)


def _note_short(table: Table, counts: Mapping[int, Count], whole: int) -> None:
    short = [n for n, count in counts.items() if count.iterations is not None and count.iterations < whole]
    if short and short == [max(counts)]:
        done = counts[short[0]].iterations
        table.corrections.append(
            f"{table.place} partial epoch: {done} of {whole} iterations of epoch {short[0]}, the last"
        )
    elif short:
        done = sorted({counts[number].iterations for number in short})
        many = f"{done[0]}" if len(done) == 1 else f"{done[0]} to {done[-1]}"
        found = f"{spans(short)} counted as logged: {many} iterations, not ceil(samples / batch) = {whole}"
        table.corrections.append(f"{table.place} {found}")


def _note_rates(table: Table, epochs: Mapping[int, Epoch]) -> None:
    name = table.keys.name("lr")
    wrong = [number for number, epoch in epochs.items() if _rate(epoch.kept.get(name)) is False]
    if wrong:
        table.corrections.append(f"{table.place} the learning rate is not above 0 in {spans(wrong)} and left out there")


def _rate(value: object) -> float | bool | None:
    """A learning rate; None where there is none, False where it is none that a step is made with."""
    if not isinstance(value, float) or value != value:
        return None
    return value if value > 0 else False


def _parts(table: Table, epochs: Mapping[int, Epoch], steps: Steps) -> dict[int, list[Part]]:
    """Precision and iterations of each part of each epoch."""
    logged = {number: epoch.precisions for number, epoch in epochs.items()}
    first = next((number for number in epochs if logged[number]), None)
    if first is None:
        return {number: [(None, steps.counts[number].iterations)] for number in epochs}
    leading = [number for number in epochs if number < first]
    if leading:
        found = f"the precision of {spans(leading)} is taken from epoch {first}, the first that says it"
        table.corrections.append(f"{table.place} {found}")
    changes, now, parts = _only_changes(list(logged.values())), logged[first][0][0], {}
    for number, epoch in epochs.items():
        begins = _begins(logged[number], now, epoch.first, changes)
        parts[number] = _cut(begins, steps.counts[number], steps.base)
        now = begins[-1][0]
    return parts


def _only_changes(logged: Sequence[Sequence[Sequence]]) -> bool:
    """Whether the precision was logged when it changed, not when it was: never twice alike, and not in each epoch."""
    said = [entry for epoch in logged for entry in epoch]
    some = next(i for i, epoch in enumerate(logged) if epoch)
    twice = any(before[0] == after[0] for before, after in pairwise(said))
    return not twice and all(last == first for _, last, first in said) and not all(logged[some:])


def _begins(
    logged: Sequence[Sequence], before: PassPrecision, first: int | None, changes: bool
) -> list[tuple[PassPrecision, int | None]]:
    """Each precision of an epoch, and the step at which it began, as far as that matters."""
    if not logged:
        return [(before, first)]
    if changes:
        begins = [(precision, step) for precision, _, step in logged]
        waits = begins[0][1] is not None and first is not None and begins[0][1] > first
        return [(before, first), *begins] if waits else begins
    after = [None if last is None else last + 1 for _, last, _ in logged]
    return [(entry[0], begin) for entry, begin in zip(logged, [first, *after], strict=False)]


def _cut(begins: Sequence[tuple[PassPrecision, int | None]], count: Count, base: int) -> list[Part]:
    """The iterations of each precision of an epoch: it holds until the next one begins."""
    if len(begins) == 1:
        return [(begins[0][0], count.iterations)]
    if count.iterations is None or any(step is None for _, step in begins[1:]):
        return [(precision, None) for precision, _ in begins]
    parts, done = [], 0
    for (precision, _), (_, step) in pairwise(begins):
        end = min(max(step - base - count.before, done), count.iterations - 1)
        if end > done:
            parts.append((precision, end - done))
            done = end
    return [*parts, (begins[-1][0], count.iterations - done)]


def _stretches(number: int, epoch: Epoch, parts: Sequence[Part], fields: Mapping[str, str]) -> list[Stretch]:
    """Those of one epoch; the last one has what was measured in it."""
    lr, gd, metrics = None, {}, {}
    for name, value in finite(epoch.kept):
        key = fields.get(name)
        if key == "lr":
            lr = _rate(value) or None
        elif key in GD:
            gd[GD[key]] = value
        elif key is None:
            metrics[name] = value
    last = len(parts) - 1
    return [
        Stretch(number, precision, iterations, lr, *((gd, metrics) if i == last else ({}, {})))
        for i, (precision, iterations) in enumerate(parts)
    ]
