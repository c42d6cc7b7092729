"""What a training loop logs, in the form that a trace can hold.

Training must never die of a metric: one that is no finite number (NaN, infinity, a text, a whole tensor) is left out.
A precision is what the trace is about: one that is not known is an error at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from perfmodel.errors import PerfModelError
from perfmodel.formats import find_format
from perfmodel.traces import PassPrecision, values
from perfmodel.traces.precision import pass_precision
from perfmodel.traces.values import within


def finite(key: str, given: Mapping[str, Any] | None) -> dict[str, float]:
    """The finite numbers of a table, by name; those in arrays and tensors of one element are taken out.

    Raises `InputError` (E1306) where it is no table.
    """
    if given is not None and not isinstance(given, Mapping):
        raise values.wrong_kind(key, given, "a table of numbers")
    kept: dict[str, float] = {}
    for name, value in (given or {}).items():
        try:
            kept |= values.numbers(key, {name: _scalar(value)})
        except PerfModelError:
            continue
    return kept


def rate(given: Any) -> float | None:
    """A learning rate; None for one that is not finite or not above 0, as at the start of a warm-up."""
    try:
        return float(values.number("lr", _scalar(given), above=0))
    except PerfModelError:
        return None


def _scalar(value: Any) -> Any:
    try:
        return value.item()
    except Exception:  # whatever a tensor of many elements raises, or no tensor at all
        return value


def passes(given: str | PassPrecision | Mapping[str, Any]) -> PassPrecision:
    """The precision that the name of a format (for all passes), a `PassPrecision` or a table of passes says.

    Raises `UnknownName` (E1004), `InputError` (E1304-E1306).
    """
    if isinstance(given, PassPrecision):
        return given
    if isinstance(given, str):
        return _same(given)
    if not isinstance(given, Mapping):
        raise values.wrong_kind("precision", given, "the name of a format or a table with fprop, dgrad and wgrad")
    with within("precision."):
        return pass_precision(given)


@lru_cache(maxsize=256)
def _same(name: str) -> PassPrecision:
    with within("precision: "):
        find_format(name)
    return PassPrecision.same(name)
