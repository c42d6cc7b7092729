"""The first line of a training run's trace: what was trained, on what, how, and by which program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perfmodel.schemes import Scheme
from perfmodel.schemes.schedule import Cyclic
from perfmodel.training.control import EPOCHS_PER_LR, GAMMA, STAGES
from perfmodel.training.options import RULE, Options


def header(options: Options, scheme: Scheme, samples: int, source: Mapping[str, Any]) -> dict[str, Any]:
    """The header's values, as `TraceWriter` takes them."""
    return {
        "network": options.network, "dataset": options.dataset, "scheme": options.scheme, "samples": samples,
        "batch": options.batch, "source": source, "scheme_params": _params(options, scheme),
        "title": f"{options.network} on {options.dataset}, {_how(options, scheme)}",
    }  # fmt: skip


def _how(options: Options, scheme: Scheme) -> str:
    if options.switches:
        return f"MuPPET ({options.mode})"
    return f"{scheme.title}, {options.ladder[0]}" if options.ladder else scheme.title


def _params(options: Options, scheme: Scheme) -> dict[str, Any]:
    """What the run depends on: of MuPPET's rule under the names that `perfmodel policy replay` reads."""
    found = {"seed": options.seed, "lr0": options.lr, "momentum": options.momentum,
             "weight_decay": options.weight_decay, "gamma": GAMMA, "most_epochs": options.epochs}  # fmt: skip
    if options.ladder:
        found |= {"mode": options.mode, "ladder": list(options.ladder)}
    if options.switches:
        rule = options.rule
        found |= {key: getattr(rule, key) for key in RULE}
        found |= {"min_dwell": rule.min_dwell, "min_lr": options.min_lr, "epochs_per_lr": EPOCHS_PER_LR}
        return found | {"stopping": rule.fp32_stage}
    if isinstance(schedule := scheme.schedule, Cyclic):
        found |= {key: getattr(schedule, key) for key in ("low", "high", "backward", "cycles")}
    return found | {"stages": STAGES}
