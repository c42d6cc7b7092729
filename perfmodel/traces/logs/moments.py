"""When a row was logged: its epoch and its step."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from perfmodel.errors import InputError, quote
from perfmodel.traces.logs.given import Given

LAST_EPOCH = 10**6
LAST_STEP = 10**12
ROUNDING = 1e-9  # of an epoch: 3 x 0.1 is above 0.3

Value = float | str


@dataclass(slots=True)
class Moments:
    """Epochs (from 0, as logged) and steps from the values of a row.

    `place` is the log's path for messages; `whole`, the iterations of an epoch, is needed where `given.step_is` says
    that steps are all there is. `progress` is whether epochs say how many are done: so given, or seen by the first
    that is not whole.
    """

    place: str
    given: Given
    whole: int | None = None
    progress: bool = False
    first_step: int | None = None
    index_seen: bool = False  # an epoch above 0 that was taken for an index
    by_steps: bool = False  # whether epochs followed from steps
    _done: int = 0  # iterations before the last row's, in its epoch where steps begin anew
    _lap: int = 0  # the most of these
    _epochs_before: int = 0
    note: str = ""  # a correction, for the table to take

    def __post_init__(self):
        self.progress = self.given.epoch_is == "progress"

    def epoch(self, value: Value, name: str, line: int) -> int:
        """The epoch of a row; E1207 for what is none, E1323 where index and progress are mixed up."""
        if isinstance(value, str) or not 0 <= value <= LAST_EPOCH:
            raise self.wrong(value, name, line, f"an epoch from 0 to {LAST_EPOCH}")
        if value.is_integer() and not self.progress:
            self.index_seen = self.index_seen or value > 0
            return int(value)
        if not self.progress:
            self._see_progress(value, name, line)
        return max(0, ceil(value - ROUNDING) - 1)

    def _see_progress(self, value: float, name: str, line: int) -> None:
        if self.given.epoch_is == "index" or self.index_seen:
            found = f"epoch {value:g} is not whole."
            fix = "Give --epoch-is progress if 1.0 says that one epoch is done."
            raise InputError.at("E1323", f"{self.place}:{line}:", found, fix)
        self.progress = True
        self.note = f"{self.place}:{line} {quote(name)} says how many epochs are done ({value:g}), not which one"

    def by_step(self, step: int | None, line: int) -> tuple[int | None, int | None]:
        """Epoch and step of a row that has no more than a step, as far as the user says what that is."""
        if step is None or self.given.step_is is None:
            return None, step
        if self.given.step_is == "epoch":
            return self._checked(step, line), None
        if self.whole is None:
            return None, step
        self.by_steps = True
        if self.first_step is None:
            self.first_step = min(step, 1)  # it says whether steps count from 0 or from 1
        done = max(0, step - self.first_step)
        if done < self._done and self._lap < self.whole and 2 * done < self.whole <= 2 * (self._done + 1):
            self._epochs_before += 1  # steps begin anew with each epoch: they never went beyond one
        self._done, self._lap = done, max(self._lap, done)
        return self._checked(self._epochs_before + done // self.whole, line), step

    def _checked(self, epoch: int, line: int) -> int:
        if not 0 <= epoch <= LAST_EPOCH:
            found = f"epoch {epoch} is not from 0 to {LAST_EPOCH}."
            raise InputError.at("E1207", f"{self.place}:{line}:", found, "Correct it.")
        return epoch

    def count(self, value: Value, name: str, line: int) -> int:
        """A step or a number of iterations: E1207 for what is no whole number."""
        if isinstance(value, str) or not 0 <= value <= LAST_STEP or not value.is_integer():
            raise self.wrong(value, name, line, f"a whole number from 0 to {LAST_STEP}")
        return int(value)

    def wrong(self, value: Value, name: str, line: int, expected: str) -> InputError:
        """E1207 for a value of a row."""
        found = f"{quote(name)}: {quote(value)} is not {expected}."
        return InputError.at("E1207", f"{self.place}:{line}:", found, "Correct it, or choose with --map.")
