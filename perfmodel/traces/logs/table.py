"""Epochs from rows: what a table of any origin says of a run, row by row.

A row is what was logged at one moment: a table of values by the log's names, with missing ones left out. Rows of one
epoch are joined, the last value of each name counts. Rows without an epoch belong to the next row that has one: rates
are logged at the start of an epoch, before its number is. A row's precision holds from the row before it on.

Logs are kept in memory by epoch, never by row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perfmodel.errors import SHOWN, InputError, Problem, quote
from perfmodel.traces.logs.epochs import Epoch, not_finite, spans
from perfmodel.traces.logs.given import Given
from perfmodel.traces.logs.keys import Keys
from perfmodel.traces.logs.moments import Moments, Value
from perfmodel.traces.logs.plans import Plan, Plans
from perfmodel.traces.logs.quickrows import QuickRows
from perfmodel.traces.logs.rowprecision import RowPrecisions
from perfmodel.traces.logs.run import MOST_NOTES

MOST_EPOCHS = 200_000  # with what is logged of each; some 200 MB
MOST_VALUES = 1_000_000  # kept in all, of all epochs
MOST_PROBLEMS = 1000
MOST_WAITING = 10_000  # rows before the first that has an epoch

AGAIN: dict[str, Value] = {}  # for a row: the log was opened anew, and what follows replaces what it repeats


class Table:
    """Rows in, epochs out; `place` is the log's path for messages, `whole` is ceil(samples / batch) where known.

    Raises `InputError` as soon as something is too large (E1328), else with all problems when `epochs` is called:
    E1207 for an epoch, step or rate that is none, E1322 for a precision, E1323 where rows have no epoch, E1326 for
    rows of one moment that contradict each other.
    """

    def __init__(self, place: str, given: Given, keys: Keys, whole: int | None = None):
        self.place, self.given, self.keys = place, given, keys
        self._moments = Moments(place, given, whole)
        self.corrections: list[str] = []
        self.problems: list[Problem] = []
        self._precisions = RowPrecisions(given.formats, given.bits)
        self._plans = Plans(place, keys)
        self._epochs: dict[int, Epoch] = {}
        self._current: int = -1
        self._waiting: list[tuple[int, int | None, dict[str, Value]]] = []
        self._values = 0
        self._same = self._resolved = 0
        self._notes = 0
        self._again = False
        self._quick = QuickRows()

    def add(self, line: int, row: dict[str, Value]) -> None:
        """One row; `line` is its physical line, or whatever else finds it in the log. `AGAIN` is a new beginning."""
        self._take_quick()
        if row is AGAIN:
            self._again = True
            return
        names = tuple(row)
        plan = self._plan(names, line)
        try:
            epoch, step = self._position(plan, row, line)
        except InputError as error:
            self._complain(error)
            return
        if epoch is None:
            if len(self._waiting) >= MOST_WAITING or not self._room(len(row)):
                self._no_epoch(line)
            self._waiting.append((line, step, row))
            return
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            self._values -= sum(len(values) for _, _, values in waiting)
            for earlier, at, values in waiting:
                self._put(epoch, at, earlier, values)
        self._put(epoch, step, line, row)

    def add_values(self, line: int, names: tuple[str, ...], values: Sequence[Value]) -> None:
        """One row as its names and their values: finite numbers and texts.

        Rows that differ from the one before in nothing but a later step and metrics are quick.
        """
        if self._quick.takes(names, values):
            return
        resolved = self._resolved
        self.add(line, dict(zip(names, values, strict=True)))
        plan = self._plans.known(names)
        settled = self._epochs and not self._waiting and not self.problems and self._resolved == resolved
        if settled and plan is not None and plan.steady:
            self._quick.start(names, values, plan.epoch, plan.step, [name for _, name in plan.precision])

    def _take_quick(self) -> None:
        """What the quick rows since the last other row said."""
        for layout in self._quick.stop():
            epoch = self._epochs[self._current]
            epoch.last, epoch.gap = int(layout.last), max(epoch.gap, int(self._quick.gap))
            epoch.now = dict(zip(layout.names, layout.values, strict=True))
            self._take_room(len(epoch.now.keys() - epoch.kept.keys()), epoch.line)
            epoch.kept.update(epoch.now)
            if layout.constant:
                epoch.precisions[-1][1] = epoch.last

    def epochs(self) -> dict[int, Epoch]:
        """What was logged, by epoch, rising."""
        self._take_quick()
        if self._waiting and not self._epochs:
            self._no_epoch(self._waiting[0][0])
        if self._waiting:
            line, n = self._waiting[0][0], len(self._waiting)
            self._note(f"{self.place}:{line} {n} rows after the last epoch's belong to none that was logged; left out")
        if not self.problems:
            self.keys.check_mapped(self._plans.names, self.place)
        if self.problems:
            raise InputError(self.problems)
        self._drop_end_mark()
        self._count_from_zero()
        self._tell()
        return self._epochs

    def _plan(self, names: tuple[str, ...], line: int) -> Plan:
        plan = self._plans.known(names)
        if plan is None:
            plan = self._plans.make(names, line, bool(self._epochs))
            self._quick.forget()
        return plan

    def _position(self, plan: Plan, row: Mapping[str, Value], line: int) -> tuple[int | None, int | None]:
        moments = self._moments
        step = None if plan.step is None else moments.count(row[plan.step], plan.step, line)
        if plan.epoch is None:
            return (None, step) if self.keys.name("epoch") is not None else moments.by_step(step, line)
        epoch = moments.epoch(row[plan.epoch], plan.epoch, line)
        if moments.note:
            self._note(moments.note)
            moments.note = ""
        return epoch, step

    def _no_epoch(self, line: int) -> None:
        fix = "Give --map epoch=KEY; or --step-is epoch, or --step-is iteration with --samples and --batch."
        found = f"no epoch is known for the rows of a log with {self._plans.listed()}."
        raise InputError.at("E1323", f"{self.place}:{line}:", found, fix)

    def _put(self, number: int, step: int | None, line: int, row: dict[str, Value]) -> None:
        if number != self._current or self._again:
            self._enter(number, step, line)
        epoch = self._epochs[number]
        if step is not None and epoch.last is not None and step < epoch.last:
            self._note(f"{self.place}:{line} restart within epoch {number}: from step {step} on it was replaced")
            epoch.take_back(step)
        plan = self._plan(tuple(row), line)
        try:
            self._precision(plan, epoch, step, row, line)
            self._keep(plan, epoch, step, line, row)
        except InputError as error:
            self._complain(error)

    def _enter(self, number: int, step: int | None, line: int) -> None:
        again, self._again = self._again, False
        if number < self._current or (again and number == self._current):
            self._restart(number, step, line)
        elif self._current in self._epochs:
            self._epochs[self._current].now = {}  # only rows of one moment are compared
        self._current = number
        if number not in self._epochs:
            if len(self._epochs) >= MOST_EPOCHS:
                raise InputError.at("E1328", f"{self.place}:{line}:", f"more than {MOST_EPOCHS} epochs.", "Split it.")
            self._epochs[number] = Epoch(line)

    def _restart(self, number: int, step: int | None, line: int) -> None:
        """Take back this epoch, or the end of it where the restart was within, and all after it: keys rise."""
        first = self._epochs[number].first if number in self._epochs else None
        within = step is not None and first is not None and first < step
        last = self._current
        while self._epochs and next(reversed(self._epochs)) >= number + within:
            gone = self._epochs.popitem()[1]
            self._values -= len(gone.kept) + len(gone.precisions)
        if within:
            which = f"epoch {number} from step {step} on to epoch {last} were"
            self._epochs[number].take_back(step)
        else:
            which = f"epoch {number} was" if last == number else f"epochs {number} to {last} were"
        self._note(f"{self.place}:{line} restart: {which} replaced by what follows")

    def _precision(self, plan: Plan, epoch: Epoch, step: int | None, row: Mapping[str, Value], line: int) -> None:
        if not plan.precision:
            return
        found = self._precisions.of_row(plan.precision, row, f"{self.place}:{line}:")
        if epoch.precisions and epoch.precisions[-1][0] == found:
            epoch.precisions[-1][1] = step if step is not None else epoch.precisions[-1][1]
        elif epoch.precisions and _same_moment(plan, epoch, step, row) and self._contradicts(plan, epoch, row, line):
            epoch.precisions[-1][0] = found if self.given.on_duplicate == "last" else epoch.precisions[-1][0]
        else:
            epoch.precisions.append([found, step, step])
            self._take_room(1, line)

    def _contradicts(self, plan: Plan, epoch: Epoch, row: Mapping[str, Value], line: int) -> bool:
        """Whether the precision was another one at the same moment; then the user's choice decides."""
        for _, name in plan.precision:
            if name in epoch.now and epoch.now[name] != row[name]:
                self._resolve(name, epoch.now[name], row[name], line)
                return True
        return False

    def _keep(self, plan: Plan, epoch: Epoch, step: int | None, line: int, row: dict[str, Value]) -> None:
        same_moment = _same_moment(plan, epoch, step, row)
        if step is not None:
            epoch.at(step)
        if same_moment and epoch.now:
            row = self._joined(epoch, row, line)
        epoch.now = row
        if plan.iterations is not None:
            epoch.iterations = self._moments.count(row[plan.iterations], plan.iterations, line)
        before = len(epoch.kept)
        epoch.kept.update(row)
        self._take_room(len(epoch.kept) - before, line)

    def _room(self, count: int) -> bool:
        """Take room for so many values; False when there is none left."""
        self._values += count
        return self._values <= MOST_VALUES

    def _take_room(self, count: int, line: int) -> None:
        if not self._room(count):
            found = f"more than {MOST_VALUES} values are to be kept, of all epochs."
            raise _TooLarge.at("E1328", f"{self.place}:{line}:", found, "Drop some columns.")

    def _joined(self, epoch: Epoch, row: dict[str, Value], line: int) -> dict[str, Value]:
        """What the rows of one moment say together."""
        now, both = epoch.now, epoch.now.keys() & row.keys()
        if not both:
            return now | row
        differ = [name for name in both if now[name] != row[name] and _some_number(now[name], row[name])]
        if not differ:
            self._same += row.keys() <= now.keys()
            return now | row
        self._resolve(differ[0], now[differ[0]], row[differ[0]], line)
        return row | now if self.given.on_duplicate == "first" else now | row

    def _resolve(self, name: str, before: Value, now: Value, line: int) -> None:
        if self.given.on_duplicate != "error":
            self._resolved += 1
            return
        found = f"{quote(name)} is {quote(now)} after {quote(before)} in the same epoch and step."
        fix = "Give --on-duplicate last or first, or --map step=KEY."
        raise InputError.at("E1326", f"{self.place}:{line}:", found, fix)

    def _complain(self, error: InputError) -> None:
        seen = {(problem.code, problem.found) for problem in self.problems[:SHOWN]}
        self.problems += [problem for problem in error.problems if (problem.code, problem.found) not in seen]
        if isinstance(error, _TooLarge) or len(self.problems) >= MOST_PROBLEMS:
            raise InputError(self.problems)

    # What was corrected

    def _note(self, text: str) -> None:
        self._notes += 1
        if self._notes <= MOST_NOTES:  # a hostile log restarts with every row
            self.corrections.append(text)

    def _drop_end_mark(self) -> None:
        """Where epochs follow from steps: a row at the step after the last epoch's belongs to that epoch."""
        whole, last = self._moments.whole, next(reversed(self._epochs), 0)
        mark = self._epochs.get(last)
        if last - 1 not in self._epochs or mark.last is None or not self._moments.by_steps or whole is None:
            return
        if mark.first == mark.last == last * whole:
            epoch = self._epochs[last - 1]
            epoch.kept.update(self._epochs.pop(last).kept)

    def _count_from_zero(self) -> None:
        if self._epochs and min(self._epochs) == 1 and not self._moments.progress:
            self._note(f"{self.place} epochs counted from 1 were renumbered from 0")
            self._epochs = {number - 1: epoch for number, epoch in self._epochs.items()}

    def _tell(self) -> None:
        if self._notes > MOST_NOTES:
            self.corrections.append(f"{self.place} … {self._notes - MOST_NOTES} more such lines")
        if self._same:
            self.corrections.append(f"{self.place} {self._same} rows that repeat the one before were left out")
        if self._resolved:
            kept = "later" if self.given.on_duplicate == "last" else "earlier"
            found = f"{self._resolved} rows contradict one of the same moment; the {kept} were kept"
            self.corrections.append(f"{self.place} {found}")
        for name, numbers in not_finite(self._epochs).items():
            end = ": the run diverged" if "loss" in name.lower() else ""
            found = f"{quote(name)} is not a finite number at the end of {spans(numbers)} and left out there{end}"
            self.corrections.append(f"{self.place} {found}")


class _TooLarge(InputError):
    """Ends the reading at once."""


def _same_moment(plan: Plan, epoch: Epoch, step: int | None, row: Mapping[str, Value]) -> bool:
    """Whether the row was logged when the one before was: at the same step, or where epochs are fractions, the same."""
    if step is not None:
        return step == epoch.last
    before = epoch.now.get(plan.epoch) if plan.epoch is not None else None
    return before is None or before == row[plan.epoch]


def _some_number(*values: Value) -> bool:
    """Whether not all of them are NaN, which is unlike itself."""
    return any(value == value for value in values)
