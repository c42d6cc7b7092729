"""The file of a framework as text: constants, what they were fitted on, and their errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.framework.fit import CONSTANTS
from perfmodel.framework.timings import Iteration
from perfmodel.framework.validation import NAMES, Judged, mape_percent


@dataclass(frozen=True, slots=True)
class Fitted:
    """One table of a framework's file: a format, its constants [CONSTANTS], and the rows it is judged on."""

    format: str
    constants: np.ndarray
    spread: float
    fitted_on: str
    timings: int
    networks: int
    error_percent: Mapping[str, float]


def fitted_table(judged: Judged, framework: str, judge_on: str = "rtx-2080-ti") -> Fitted | None:
    """What one framework's file says of a format; None where none of its iterations was fitted.

    Errors are of training iterations on `judge_on`.
    """
    mine = [one for one in judged.iterations if one.framework == framework]
    if not mine:
        return None
    chosen = np.array(
        [one.framework == framework and one.device == judge_on and one.mode != "forward" for one in judged.iterations]
    )
    errors = {
        key: mape_percent(getattr(judged, name)[chosen], judged.measured[chosen])
        for key, name in ERRORS.items()
        if chosen.any()
    }
    return Fitted(
        mine[0].format, judged.constants[NAMES.index(framework)], judged.spread, _where(mine), len(mine),
        len({one.base for one in mine}), errors,
    )  # fmt: skip


ERRORS = {"uncalibrated": "modelled", "unseen_network": "network", "unseen_family": "family", "unseen_device": "device"}


def _where(iterations: Sequence[Iteration]) -> str:
    devices = ", ".join(dict.fromkeys(one.published for one in iterations))
    networks = ", ".join(dict.fromkeys(one.base for one in iterations))
    return f"{devices}: {networks}"


def framework_text(title: str, source: str, notes: str, accumulates: bool, tables: Sequence[Fitted]) -> str:
    """The file, as `read_framework` takes it."""
    head = [
        f"title = {_text(title)}", f"source = {_text(source)}", f"notes = {_text(notes)}",
        f"accumulates_gradients = {str(accumulates).lower()}",
    ]  # fmt: skip
    return "\n".join([*head, *(_table(table) for table in tables)]) + "\n"


def _table(table: Fitted) -> str:
    values = dict(zip(CONSTANTS, map(float, table.constants), strict=True))
    kernel_us = values.pop("kernel_s") * 1e6
    errors = ", ".join(f"{key} = {value:.1f}" for key, value in table.error_percent.items())
    lines = [
        "", "[[views]]", f'format = "{table.format}"', *(f"{key} = {value:.4g}" for key, value in values.items()),
        f"kernel_us = {kernel_us:.4g}", f"spread_90 = {table.spread:.4g}", f"fitted_on = {_text(table.fitted_on)}",
        f"timings = {table.timings}", f"networks = {table.networks}", f"error_percent = {{ {errors} }}",
    ]  # fmt: skip
    return "\n".join(lines)


def _text(value: str) -> str:
    """A TOML basic string; control characters are not expected in a file that a person wrote."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
