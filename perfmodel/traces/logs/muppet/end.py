"""How a run of MuPPET ended: with its last row, or with an epoch more that has none.

In FP32 the code counts epochs, from the one at whose end it switched: after every `Fp32_Epochs_Per_Lr` of them it
lowers the learning rate, or ends the run where the rate is not above `Min_LR`, and then no row is written.
Source: ICIdsl/muppet @ a5cbb13, policy.py and training.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from perfmodel.traces.logs.muppet.config import Config
from perfmodel.traces.logs.muppet.row import Row
from perfmodel.traces.schedule import reference_fp32_rates


def after_rows(
    place: str, rows: Sequence[Row], config: Config | None, by_rule: bool
) -> tuple[bool, list[str], list[str]]:
    """Whether an epoch follows the last row, with corrections and what was inferred to say of it.

    `by_rule` asks whether the stopping rule tells; without it the log itself would have.
    """
    last = rows[-1]
    total = config.whole("total_epochs") if config is not None else None
    if total is not None and last.epoch + 1 >= total:
        return False, [], []
    ended = _ended_by_rule(rows, config) if by_rule and last.format == "fp32" else False
    at = f"{place}:{last.line}"
    if ended:
        text = f"the stopping rule ended the run after epoch {last.epoch + 1}, before it had a row"
        added = f"{at} epoch {last.epoch + 1} was added: {text}"
        return True, [added], [f"epoch {last.epoch + 1}: {text} (Min_LR, Gamma and Fp32_Epochs_Per_Lr)"]
    if ended is None:
        found = f"no epoch after {last.epoch}, the last row's: whether the stopping rule ended one more, which has no"
        why = "Min_LR, Gamma and Fp32_Epochs_Per_Lr are not known or do not give the rates of the rows"
        return False, [], [f"{found} row then, cannot be told: {why}"]
    if total is None:
        return False, [], []
    return False, [f"{at} the last row is epoch {last.epoch} of {total}: the run was stopped, or goes on"], []


def _ended_by_rule(rows: Sequence[Row], config: Config | None) -> bool | None:
    """Whether the rule ends the run with the epoch after the last row; None where it does not tell.

    It does not without its parameters, nor where it gives other rates: a resumed process counts epochs anew.
    """
    if config is None:
        return None
    tail = _fp32_rows(rows)
    first = len(rows) - len(tail)
    before = rows[first - 1].lr if first and not tail[0].begins else None
    start = before if before is not None else config.number("learning_rate")
    least, gamma, every = config.number("min_lr"), config.number("gamma"), config.whole("fp32_epochs_per_lr")
    if least is None or gamma is None or every is None or not start:
        return None
    logged = [row.lr for row in tail]
    if every < 2 or None in logged:
        return None
    rates = reference_fp32_rates(start, least, gamma, every, len(tail) + 2)
    if len(rates) < len(logged) or not all(map(math.isclose, rates, logged)):
        return None
    return len(rates) == len(logged)


def _fp32_rows(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows from the switch to FP32 on, without a gap or another process between them."""
    first = len(rows) - 1
    while first and rows[first - 1].format == "fp32" and not rows[first].begins:
        if rows[first - 1].epoch + 1 != rows[first].epoch:
            break
        first -= 1
    return rows[first:]
