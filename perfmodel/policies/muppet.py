"""MuPPET's policy at work: told the gradients of each epoch, or their diversity, it says when precision switches."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from numbers import Real
from typing import Any

import numpy as np

from perfmodel.errors import InputError, quote
from perfmodel.policies.decision import Decision
from perfmodel.policies.diversity import Diversity, Norms, Window, by_layer, mean_diversity
from perfmodel.policies.rule import MuppetRule
from perfmodel.traces import values

NUMBERS = ("rung", "last", "start", "violations", "maximum")  # of a state


class MuppetPolicy:
    """The state of a run under a rule: call one of `observe`, `feed_norms` and `feed` once at the end of every epoch.

    `observe` takes gradients (a training loop), `feed_norms` their squared norms over a window, `feed` a diversity
    (a log); what they decide is the same. Epochs count from 0 and rise; `format` is that of the next epoch and begins
    at `start`, else at the lowest rung (E1507 where it is not on the ladder). At the last rung nothing is decided any
    more. A sliding window keeps `window_length` copies of all gradients in FP64, a tumbling one a single copy. `norms`
    are those of the last window that `observe` evaluated: what a log has to hold for the run to be replayed from it.

    All raise `InputError`: E1306, E1307 for an epoch that is none, E1505 for one that does not rise, E1503 for an
    undefined diversity where the rule says so.
    """

    def __init__(self, rule: MuppetRule | None = None, start: str | None = None):
        self.rule = rule or MuppetRule()
        self.norms: dict[str, Norms] = {}
        self._rung = 0 if start is None else _rung(self.rule, start)
        self._last = -1
        self._start = 0
        self._maximum: float | None = None
        self._violations = 0
        self._window = Window(self.rule.window_length if self.rule.window == "sliding" else None)

    @property
    def format(self) -> str:
        """The format of the next epoch."""
        return self.rule.ladder[self._rung]

    @property
    def finished(self) -> bool:
        """Whether the last rung is reached."""
        return self._rung == len(self.rule.ladder) - 1

    def observe(
        self,
        epoch: int,
        gradients: Mapping[str, np.ndarray],
        first_of_epoch: Mapping[str, np.ndarray] | None = None,
    ) -> Decision:
        """Decide by the gradients, by parameter, of the last mini-batch of an epoch; `InputError` E1502 for no arrays.

        `first_of_epoch` are the raw gradients of its first mini-batch, which `first_term` aliased needs (E1506).
        """
        epoch = self._rising(epoch)
        if self.finished:
            return self._pause(epoch)
        aliased = self.rule.first_term == "aliased" and len(self._window) == 1
        if aliased and first_of_epoch is None:
            found = "first_term aliased needs the gradients of the first mini-batch of the epoch."
            raise InputError.at("E1506", "first_of_epoch:", found, "Give them, or take first_term own.")
        self._window.add(gradients, first_of_epoch if aliased else None)
        self._last = epoch  # not before: an epoch that was refused can be told again
        if not self.rule.due(epoch) or (self.rule.window == "sliding" and len(self._window) < self.rule.window_length):
            return self._pause(epoch)
        self.norms = self._window.norms()
        decision = self._decide(epoch, self._mean(epoch, self.norms))
        if len(self._window) < self.rule.window_length:
            note = f"{len(self._window)} gradients in the window, of {self.rule.window_length}"
            decision = replace(decision, notes=(*decision.notes, note))
        if self.rule.window == "tumbling" or (decision.switch and self.rule.window_at_switch == "cleared"):
            self._window.clear()
        return decision

    def feed_norms(self, epoch: int, norms: Mapping[str, Norms] | None) -> Decision:
        """Decide by Σ ‖g‖² and ‖Σ g‖² of the window that ends with this epoch, by parameter; None where not known."""
        self._refuse_aliased()
        self._last = epoch = self._rising(epoch)
        if self.finished or not self.rule.due(epoch) or not norms:
            return self._pause(epoch)
        return self._decide(epoch, self._mean(epoch, norms))

    def feed(self, epoch: int, diversity: float | None) -> Decision:
        """Decide by the diversity of the window that ends with this epoch; None where it is not known."""
        self._refuse_aliased()
        self._last = epoch = self._rising(epoch)
        if self.finished or not self.rule.due(epoch) or diversity is None:
            return self._pause(epoch)
        if isinstance(diversity, bool) or not isinstance(diversity, Real):
            raise values.wrong_kind("diversity", diversity, "a number")
        sound = math.isfinite(diversity) and diversity > 0
        if not sound and self.rule.on_undefined == "error":
            raise InputError.at("E1503", f"epoch {epoch}:", f"{quote(diversity)} is no diversity.", "Leave it out.")
        undefined = {} if sound else {"diversity": f"{diversity:g}"}
        skipped = self.rule.on_undefined == "skip" or diversity < 0  # no sum of squares is: not the code's doing
        value = None if undefined and skipped else diversity
        return self._decide(epoch, Diversity(value, undefined))

    def state(self) -> dict[str, Any]:
        """All that the run has come to under the rule: numbers, lists and tables of them, float64 arrays; copies."""
        norms = {name: [one.norm2, one.sum_norm2] for name, one in self.norms.items()}
        numbers = {key: getattr(self, f"_{key}") for key in NUMBERS}
        return {**numbers, "norms": norms, "window": self._window.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from such a state, the rule being the same: what is decided then is what the first run would have.

        Raises `InputError`: E1512 for a state that none of this rule's runs has, E1502 for gradients in it.
        """
        if state.keys() != {*NUMBERS, "norms", "window"} or not self._can_be(*(state[key] for key in NUMBERS)):
            raise InputError.at("E1512", "policy:", "the state is not one of this rule.", "Take the run's own rule.")
        for key in NUMBERS:
            setattr(self, f"_{key}", state[key])
        self.norms = {name: Norms(*pair) for name, pair in state["norms"].items()}
        self._window.restore(state["window"])

    def _can_be(self, rung: Any, last: Any, start: Any, violations: Any, maximum: Any) -> bool:
        counts = all(type(one) is int for one in (rung, last, start, violations))
        return counts and 0 <= rung < len(self.rule.ladder) and (maximum is None or type(maximum) in (int, float))

    def _refuse_aliased(self) -> None:
        if self.rule.first_term == "aliased":
            found = "aliased replaces a gradient, which numbers of a log do not hold."
            raise InputError.at("E1506", "first_term:", found, "Take own, or observe gradients.")

    def _rising(self, epoch: int) -> int:
        epoch = values.whole("epoch", epoch, 0, 10**6)
        if epoch <= self._last:
            raise InputError.at("E1505", "epoch:", f"{epoch} follows {self._last}.", "Tell each epoch once, in order.")
        return epoch

    def _pause(self, epoch: int) -> Decision:
        due = not self.finished and self.rule.due(epoch)
        return Decision(epoch, self.format, due=due, violations=self._violations)

    def _mean(self, epoch: int, norms: Mapping[str, Norms]) -> Diversity:
        groups = by_layer(norms) if self.rule.mean_over == "layers" else norms
        with values.within(f"epoch {epoch}: "):
            return mean_diversity(groups, self.rule.on_undefined)

    def _decide(self, epoch: int, found: Diversity) -> Decision:
        notes = (found.note,) if found.note else ()
        if found.value is None:
            return replace(self._pause(epoch), notes=notes)
        threshold = self.rule.threshold(epoch, self._start)
        before, now = self._maximum, found.value
        grows = before is None or now >= before
        judged = before is not None and not (grows and self.rule.maximum == "with-current")
        ratio = _over(before, now) if judged else _unjudged(now) if self.rule.maximum == "with-current" else None
        violated = judged and ratio > threshold
        self._maximum = now if grows and not math.isnan(now) else before
        maximum = self._maximum if self.rule.maximum == "with-current" else before
        if not violated and self.rule.counting == "consecutive":
            self._violations = 0
        self._violations += violated
        count = self._violations
        switch = count >= self.rule.needed
        if switch:
            self._climb(epoch)
        numbers = (found.value, maximum, ratio, threshold, count, violated)
        return Decision(epoch, self.format, True, *numbers, switch=switch, notes=notes)

    def _climb(self, epoch: int) -> None:
        self._rung += 1
        self._start = epoch + 1
        self._maximum, self._violations = None, 0


def _rung(rule: MuppetRule, start: str) -> int:
    if start not in rule.ladder:
        found = f"{quote(start)} is not on the ladder {', '.join(rule.ladder)}."
        raise InputError.at("E1507", "ladder:", found, "Give the ladder of the run.")
    return rule.ladder.index(start)


def _unjudged(diversity: float) -> float:
    """The ratio of a new maximum to itself."""
    return math.nan if math.isnan(diversity) else 1.0


def _over(maximum: float, diversity: float) -> float:
    """The maximum over Δ as IEEE arithmetic has it."""
    if diversity == 0:
        return math.nan if maximum == 0 or math.isnan(maximum) else math.copysign(math.inf, maximum)
    return maximum / diversity
