"""A rule put beside a logged run: what it would have decided at each epoch, and what the run did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfmodel.policies.decision import Decision
from perfmodel.policies.logged import Logged, changes_within, logged_epochs, switches_of
from perfmodel.policies.muppet import MuppetPolicy
from perfmodel.policies.rule import MODES, MuppetRule, muppet_rule
from perfmodel.traces import Trace, values

SHOWN = 12  # epochs that a note lists
TOLD = 20  # notes of single epochs
CLOSE = 1e-3  # relative: thresholds that differ by more are told


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One epoch: the rule's decision, and the format that the run went on with where it switched.

    `ran` is empty where the run stayed and None for the last epoch of the log.
    """

    decision: Decision
    ran: str | None
    logged_threshold: float | None = None

    @property
    def ours(self) -> str:
        """The format that the rule switches to, empty where it stays."""
        return self.decision.format if self.decision.switch else ""

    @property
    def agrees(self) -> bool | None:
        """Whether rule and run did the same; None where the log ends."""
        return None if self.ran is None else self.ours == self.ran


@dataclass(frozen=True, slots=True)
class Replay:
    """What the rule makes of a log: one evaluation for each epoch with something to decide by, or with a switch.

    `switches` and `ran` hold the epochs (from 0) at whose ends the rule and the run switched, with the format then. A
    switch at the end of the log's last epoch is not in them, as what the run did then is not known. `begins` is the
    format of the run's first epoch.
    """

    rule: MuppetRule
    evaluations: tuple[Evaluation, ...]
    switches: Mapping[int, str]
    ran: Mapping[int, str]
    notes: tuple[str, ...]
    begins: str

    @property
    def agrees(self) -> bool:
        """Whether rule and run switched at the same epochs to the same formats."""
        return self.switches == self.ran


def rule_of(trace: Trace, mode: str | None = None, **options: Any) -> MuppetRule:
    """The rule with mode, ladder, resolution, patience and threshold of the trace's configuration where it has them.

    `mode` (without one there: the reference's) and `options` come before it. Raises as `muppet_rule`.
    """
    params = trace.scheme_params
    if mode is None:
        mode = params["mode"] if params.get("mode") in MODES else MODES[0]
    with values.within("scheme_params."):
        known = {key: values.whole(key, params[key], 1, 10**4) for key in ("resolution", "patience") if key in params}
        known |= {key: values.number(key, params[key]) for key in ("alpha", "beta", "decay") if key in params}
        if "ladder" in params and "ladder" not in options:
            known["ladder"] = values.texts("ladder", params["ladder"])
    return muppet_rule(mode, **known | options)


def replay(trace: Trace, rule: MuppetRule | None = None) -> Replay:
    """Every decision of the rule on what the trace holds of gradients (see `logged`), beside what the run did.

    Norms are taken where both they and a diversity are there. Raises `InputError`: E1508 where it holds nothing of
    them, E1507 where its first format is not on the ladder, E1503 and E1506 as the rule says.
    """
    rule = rule or rule_of(trace)
    epochs, ran = logged_epochs(trace), switches_of(trace)
    policy, last = MuppetPolicy(rule, trace.segments[0].precision.label), max(epochs)
    found, missing = [], []
    for epoch, logged in epochs.items():
        decision = policy.feed_norms(epoch, logged.norms) if logged.norms else policy.feed(epoch, logged.mean)
        if decision.due and logged.empty:
            missing.append(epoch)
        if (decision.due and not logged.empty) or epoch in ran:
            went = None if epoch == last else ran.get(epoch, "")
            found.append(Evaluation(decision, went, logged.threshold))
    switches = {one.decision.epoch: one.ours for one in found if one.ours and one.ran is not None}
    notes = (
        *_epoch_notes(found), *_missing(missing), *_what_is_logged(rule, epochs), *_thresholds(found),
        *_others(trace, switches, ran),
    )  # fmt: skip
    return Replay(rule, tuple(found), switches, ran, notes, trace.segments[0].precision.label)


def _epoch_notes(found: Sequence[Evaluation]) -> list[str]:
    notes = [f"epoch {one.decision.epoch}: {note}" for one in found for note in one.decision.notes]
    return notes if len(notes) <= TOLD else [*notes[:TOLD], f"{len(notes) - TOLD} notes more of this kind"]


def _missing(epochs: Sequence[int]) -> Iterator[str]:
    if epochs:
        yield f"nothing is logged to decide by where the rule would: {_listed(epochs)}"


def _what_is_logged(rule: MuppetRule, epochs: Mapping[int, Logged]) -> Iterator[str]:
    means = sum(each.mean is not None and not each.norms for each in epochs.values())
    if means and rule.window == "sliding":
        yield (
            "cannot be replayed: sliding windows, which need gradients or norms of the window before every epoch; the "
            f"diversities logged, {means} in {len(epochs)} epochs, are those of the run's own windows and taken as such"
        )
    if means and rule.mean_over == "layers":
        yield "cannot be replayed: the mean over layers; a logged mean is over what the run took it over"


def _thresholds(found: Sequence[Evaluation]) -> Iterator[str]:
    pairs = [
        (one.decision.epoch, one.logged_threshold, one.decision.threshold)
        for one in found
        if one.logged_threshold is not None and one.decision.threshold is not None
    ]
    logs = {logged for _, logged, _ in pairs}
    for epoch, logged, ours in pairs:
        if abs(logged - ours) > CLOSE * max(abs(logged), abs(ours)):
            hint = f"; it is {logged:g} throughout: try alpha {logged:g} and beta 0" if len(logs) == 1 else ""
            yield f"the run's threshold was another: {logged:g} at epoch {epoch}, where the rule has {ours:.4g}{hint}"
            return


def _others(trace: Trace, switches: Mapping[int, str], ran: Mapping[int, str]) -> Iterator[str]:
    if within := changes_within(trace):
        yield f"the run changed formats within epochs, which is none of the rule's: {_listed(within)}"
    if switches != ran:
        first = min(epoch for epoch in switches.keys() | ran.keys() if switches.get(epoch) != ran.get(epoch))
        yield (
            f"rule and run part at the end of epoch {first}: what is logged of later gradients is of the run's "
            "precisions, not of those that the rule would have had"
        )


def _listed(epochs: Sequence[int]) -> str:
    more = f" … ({len(epochs)} in all)" if len(epochs) > SHOWN else ""
    return ("epoch " if len(epochs) == 1 else "epochs ") + ", ".join(map(str, epochs[:SHOWN])) + more
