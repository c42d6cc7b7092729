"""A replayed rule as tables: where it and the run switched, and every evaluation."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from perfmodel.policies.replay import Evaluation, Replay
from perfmodel.policies.rule import CHOICES, MuppetRule
from perfmodel.report.table import Table

RAW_SUFFIXES = (".csv", ".json")
UNSAID = ("gradient", "first_term", "fp32_stage")  # options without a part in a replay
COLUMNS = (
    "epoch", "diversity", "maximum", "ratio", "threshold", "violations", "rule_switches_to", "run_switches_to",
    "agrees",
)  # fmt: skip
HEADERS = {name: name.replace("_", " ") for name in COLUMNS} | {"ratio": "ratio p", "threshold": "threshold T"}


def replay_tables(name: str, replay: Replay, suffix: str = ".txt") -> list[Table]:
    """What a file of this suffix shows of a replay: the switches, then the evaluations (`.csv` has those alone)."""
    evaluations = Table("Evaluations of the rule", replay_frame(replay), headers=HEADERS, notes=(_verdict(replay),))
    return [evaluations] if suffix == ".csv" else [switches_table(name, replay), evaluations]


def switches_table(name: str, replay: Replay) -> Table:
    """The epochs at whose ends the rule and the run went on with each format; in the notes the rule and its limits."""
    reached = dict.fromkeys((*replay.rule.ladder[1:], *replay.switches.values(), *replay.ran.values()))
    rows = [
        {"by": who} | {format_: _epochs(switches, format_) for format_ in reached}
        for who, switches in (("rule", replay.switches), ("run", replay.ran))
    ]
    notes = (f"Rule: {rule_text(replay.rule)}.", *(f"Note: {note}." for note in replay.notes))
    return Table(f"{name}: formats, and the epoch (from 0) at whose end they began", pd.DataFrame(rows), notes=notes)


def replay_frame(replay: Replay) -> pd.DataFrame:
    """One row an evaluation; `rule_switches_to` and `run_switches_to` are empty where there is no switch."""
    return pd.DataFrame([_row(one) for one in replay.evaluations], columns=list(COLUMNS))


def rule_text(rule: MuppetRule) -> str:
    """All options that have a part in a replay.

    >>> rule_text(MuppetRule())[:60]
    'resolution 3, patience 2, T(j) = 1 + 1.5 exp(-0.1 j), window'
    """
    threshold = f"T(j) = {rule.alpha:g} + {rule.beta:g} exp(-{rule.decay:g} j)"
    options = [f"{key.replace('_', '-')} {getattr(rule, key)}" for key in CHOICES if key not in UNSAID]
    return ", ".join((f"resolution {rule.resolution}", f"patience {rule.patience}", threshold, *options))


def _row(one: Evaluation) -> dict:
    decision = one.decision
    return {
        "epoch": decision.epoch, "diversity": decision.diversity, "maximum": decision.maximum, "ratio": decision.ratio,
        "threshold": decision.threshold, "violations": decision.violations, "rule_switches_to": one.ours or None,
        "run_switches_to": one.ran or None, "agrees": one.agrees,
    }  # fmt: skip


def _epochs(switches: Mapping[int, str], format_: str) -> str | None:
    return ", ".join(str(epoch) for epoch, name in switches.items() if name == format_) or None


def _verdict(replay: Replay) -> str:
    judged = [one.agrees for one in replay.evaluations if one.agrees is not None]
    same = "The rule switches where the run did." if replay.agrees else "The rule does not switch where the run did."
    return f"{same} Of {len(judged)} evaluations {sum(judged)} agree."
