"""The lines of CPT's `log_train.txt`, as what they say of iterations (from 0).

The code for CIFAR counts iterations alone: `Iter: [n/N]` comes after n of them, with the bits of the last, which are
those of iteration n - 1, in the line before. The code for ImageNet counts from 0 in each epoch: `Iter: [e][i/L]`
comes after iteration i of epoch e. In both, `Iter [n] num_bits` announces iteration n of the run, before it is trained.
Source: RICE-EIC/CPT @ eb9cdaa, cpt_cifar/train.py and cpt_imagenet/train.py.
"""

from __future__ import annotations

import re
from array import array
from math import isnan, nan

from perfmodel.errors import InputError, quote
from perfmodel.traces.logs import numbers
from perfmodel.traces.values import LARGEST

MOST_ITERATIONS = 10**7
MOST_BITS = 64
MOST_RECORDS = 10**6  # of rates, and of tests
MOST_NOTES = 1000
_COUNT = r"(\d{1,12})"
_TEXT = r"(\S{1,40})"
_NUM_BIT = re.compile(rf"Num bit {_TEXT}\s+Num grad bit {_TEXT}", re.ASCII)
_ITER = re.compile(rf"Iter: \[{_COUNT}/{_COUNT}\]", re.ASCII)
_ITER_OF_EPOCH = re.compile(rf"Iter: \[{_COUNT}\]\[{_COUNT}/{_COUNT}\]", re.ASCII)
_ANNOUNCED = re.compile(rf"Iter \[{_COUNT}\] num_bits = {_TEXT} num_grad_bits = {_TEXT}( cyclic precision)?", re.ASCII)
_EPOCH_ENDED = re.compile(rf"Epoch \[{_COUNT}\] num_bits = {_TEXT} num_grad_bits = {_TEXT}", re.ASCII)
_RATE = re.compile(rf"Iter \[{_COUNT}\] learning rate = {_TEXT}", re.ASCII)
_TESTED = re.compile(rf"(Step|Epoch) {_COUNT} \* Prec@1 {_TEXT}", re.ASCII)
_LOSS = re.compile(rf"Loss {_TEXT} \({_TEXT}\)", re.ASCII)
_TOP1 = re.compile(rf"Prec@1 {_TEXT} \({_TEXT}\)", re.ASCII)
_COST = re.compile(rf"FLOPS ratio: {_TEXT} \({_TEXT}\)", re.ASCII)
_START = re.compile(r"start training ([\w.-]{1,100})", re.ASCII)


def is_cpt(lines: list[str]) -> bool:
    """Whether these lines are of such a log."""
    text = "\n".join(lines)
    if _ANNOUNCED.search(text) or _NUM_BIT.search(text):
        return True
    return bool(_START.search(text) and (_ITER.search(text) or _ITER_OF_EPOCH.search(text)))


class CptLog:
    """What the lines said, read with `take`; iterations count from 0.

    `iterations`, `forward` and `backward` are the bits that were printed, `trained` how many iterations were done,
    `total` how many the run has, `per_epoch` how many an epoch; `rates` is by the iteration from which on a rate holds,
    `train` (columns; NaN where there is no number) and `tests` by the iteration that was done last, `cost` is after how
    many iterations their mean cost was what.

    Raises `InputError`: E1207 for a number, E1322 for bits, E1328 for too many iterations, E1339 for numbers that
    contradict each other.
    """

    def __init__(self, place: str):
        self.place = place
        self.iterations, self.forward, self.backward = array("q"), array("b"), array("b")
        self.rates: dict[int, float] = {}
        self.train = {"iteration": array("q"), "train_loss": array("d"), "train_top1": array("d")}
        self.tests: dict[int, float] = {}
        self.cost: tuple[int, float] | None = None
        self.trained, self.first = 0, None
        self.total = self.per_epoch = None
        self.arch: tuple[str, int] | None = None
        self.cyclic = False
        self.line_of_bits = 1
        self.corrections: list[str] = []
        self.not_finite: dict[str, list[int]] = {}
        self._pending: tuple[int, int] | None = None
        self._at = ""

    def take(self, line: int, text: str) -> None:
        """One line; lines of another kind are passed over."""
        self._at = f"{self.place}:{line}:"
        if "Iter" in text or "Num bit" in text or "Epoch" in text or "Step" in text:
            for pattern, do in self._PATTERNS:
                if found := pattern.search(text):
                    do(self, line, found, text)
                    return
        elif self.arch is None and (found := _START.search(text)):
            self.arch = found[1], line

    def _num_bit(self, line: int, found: re.Match, text: str) -> None:
        self._pending = self._bits(found[1]), self._bits(found[2])

    def _iter(self, line: int, found: re.Match, text: str) -> None:
        done, total = int(found[1]), int(found[2])
        self._keep("total", total, f"iterations of the run: {total}")
        if not 0 < done <= total:
            raise self._contradiction(f"iteration {done} of {total}")
        self._printed(line, self._checked(done), text, 0)

    def _iter_of_epoch(self, line: int, found: re.Match, text: str) -> None:
        epoch, at, length = int(found[1]), int(found[2]), int(found[3])
        self._keep("per_epoch", length, f"iterations of an epoch: {length}")
        if at >= length:
            raise self._contradiction(f"iteration {at} of {length}, from 0")
        self._printed(line, self._checked(epoch * length + at + 1), text, epoch * length)

    def _printed(self, line: int, done: int, text: str, first: int) -> None:
        self._done(line, done, first)
        if self._pending is not None:
            self._point(line, done - 1, *self._pending)
            self._pending = None
        values = {"iteration": done - 1}
        for name, pattern in (("train_loss", _LOSS), ("train_top1", _TOP1)):
            found = pattern.search(text)
            values[name] = self._finite(done - 1, found[2], name) if found else nan
        for name, value in values.items():
            self.train[name].append(value)
        if cost := _COST.search(text):
            self.cost = done, self._number(cost[2], "FLOPS ratio")

    def _announced(self, line: int, found: re.Match, text: str) -> None:
        iteration = self._checked(int(found[1]))
        self._done(line, iteration, iteration)
        self._point(line, iteration, self._bits(found[2]), self._bits(found[3]))
        self.cyclic = self.cyclic or bool(found[4])

    def _epoch_ended(self, line: int, found: re.Match, text: str) -> None:
        if self.per_epoch is not None and int(found[1]):
            done = self._checked(int(found[1]) * self.per_epoch)
            self._done(line, done, 0)
            self._point(line, done - 1, self._bits(found[2]), self._bits(found[3]))

    def _rate(self, line: int, found: re.Match, text: str) -> None:
        rate, iteration = self._number(found[2], "learning rate"), self._checked(int(found[1]))
        self._done(line, iteration, iteration)
        if 0 < rate <= LARGEST:
            self._record(self.rates, iteration, rate)

    def _tested(self, line: int, found: re.Match, text: str) -> None:
        number = int(found[2])
        if found[1] == "Epoch" and self.per_epoch is None:
            return
        done = self._checked(number if found[1] == "Step" else (number + 1) * self.per_epoch)
        if done:
            self._done(line, done, 0)
            if not isnan(top1 := self._finite(done - 1, found[3], "test_top1")):
                self._record(self.tests, done - 1, top1)

    def _record(self, records: dict[int, float], iteration: int, value: float) -> None:
        if len(records) >= MOST_RECORDS:
            raise InputError.at("E1328", self._at, f"more than {MOST_RECORDS} values.", "Split the log.")
        records[iteration] = value

    _PATTERNS = (
        (_NUM_BIT, _num_bit), (_ITER, _iter), (_ITER_OF_EPOCH, _iter_of_epoch), (_ANNOUNCED, _announced),
        (_RATE, _rate), (_EPOCH_ENDED, _epoch_ended), (_TESTED, _tested),
    )  # fmt: skip

    # What keeps the log in order

    def _done(self, line: int, iterations: int, first: int) -> None:
        """So many iterations were done now, of which the log holds those from `first` on if nothing stands before.

        Fewer than before say that the run went on from an earlier checkpoint.
        """
        if self.first is None:
            self.first = first
        if iterations < self.trained:
            self._forget(line, iterations)
        self.trained = iterations

    def _forget(self, line: int, kept: int) -> None:
        if len(self.corrections) < MOST_NOTES:
            found = f"restart: iterations {kept} to {self.trained - 1} were replaced by what follows"
            self.corrections.append(f"{self.place}:{line} {found}")
        while self.iterations and self.iterations[-1] >= kept:
            for column in (self.iterations, self.forward, self.backward):
                column.pop()
        while self.train["iteration"] and self.train["iteration"][-1] >= kept:
            for column in self.train.values():
                column.pop()
        for records in (self.rates, self.tests):
            while records and next(reversed(records)) >= kept:
                records.popitem()
        self.cost = None if self.cost is not None and self.cost[0] > kept else self.cost
        self.first = min(self.first or 0, kept)

    def _point(self, line: int, iteration: int, forward: int, backward: int) -> None:
        self.line_of_bits = self.line_of_bits if self.iterations else line
        if self.iterations and self.iterations[-1] == iteration:
            if (forward, backward) != (self.forward[-1], self.backward[-1]):
                raise self._contradiction(f"{forward} and {self.forward[-1]} bits in iteration {iteration}")
            return
        if self.iterations and self.iterations[-1] > iteration:
            raise self._contradiction(f"iteration {iteration} after {self.iterations[-1]}")
        for column, value in zip(
            (self.iterations, self.forward, self.backward), (iteration, forward, backward), strict=True
        ):
            column.append(value)

    def _keep(self, name: str, value: int, what: str) -> None:
        if getattr(self, name) not in (None, value) or not value:
            raise self._contradiction(f"{what}, and {getattr(self, name)} before")
        setattr(self, name, self._checked(value))

    def _checked(self, iterations: int) -> int:
        if iterations > MOST_ITERATIONS:
            raise InputError.at("E1328", self._at, f"more than {MOST_ITERATIONS} iterations.", "Split the log.")
        return iterations

    def _contradiction(self, found: str) -> InputError:
        return InputError.at("E1339", self._at, f"{found}: the log contradicts itself.", "Give the log of one run.")

    # Values

    def _bits(self, text: str) -> int:
        bits = self._number(text, "bits")
        if not 0 <= bits <= MOST_BITS or not bits.is_integer():
            raise InputError.at("E1322", self._at, f"{quote(text)} is no number of bits.", "Correct it.")
        return int(bits)

    def _number(self, text: str, what: str) -> float:
        return numbers.number(text, self._at, what)

    def _finite(self, iteration: int, text: str, name: str) -> float:
        """The number, NaN for one that is not finite."""
        value = self._number(text, name)
        if -LARGEST <= value <= LARGEST:
            return value
        if len(self.not_finite.setdefault(name, [])) < MOST_NOTES:
            self.not_finite[name].append(iteration)
        return nan
