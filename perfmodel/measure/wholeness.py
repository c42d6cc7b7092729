"""Whether a record of a journal can be resumed from: its values are what the engine needs, in kind and in range.

A checksum says that a line is as it was written, not who wrote it. A record that was edited by hand, or by a program
with a bug, must neither crash the engine nor send it astray: it counts as missing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from perfmodel.errors import InputError
from perfmodel.profiles.session import STATUSES
from perfmodel.profiles.values import LARGEST_S, Fields

KEYS = ("type", "session", "kernel", "round", "position", "trial")
MODES = ("graph", "stream")
MOST_NUMBERED = 10**9  # sessions, rounds, positions, kernels: as many as a profile may hold
MOST_LAUNCHES = 10**6
MOST_SETS = 10**12
LEAST_HZ, LARGEST_HZ = 1.0, 1e11
LARGEST_CYCLES = 1e18


def is_whole(row: Mapping) -> bool:
    """Whether a record has what the engine needs of it; one that was edited by hand may not, and is made again."""
    fields = Fields(row, "")
    try:
        for name in KEYS[1:]:
            if row.get(name) is not None:
                fields.whole(name, 0, MOST_NUMBERED)
        if "took_s" in row:
            fields.number("took_s", 0.0, LARGEST_S)
        fields.table("state")
        CHECKS.get(row.get("type"), _is_nothing)(fields)
    except InputError:
        return False
    return True


def _is_nothing(fields: Fields) -> None:
    """A type of which the engine needs no values."""


def _is_instrument(fields: Fields) -> None:
    for name in ("event_tick_s", "event_offset_s", "enqueue_s"):
        fields.number(name, 0.0, LARGEST_S)
    _is_number_or_null(fields, "graph_offset_s", LARGEST_S)


def _is_kernel(fields: Fields) -> None:
    if fields.text("status") not in STATUSES:
        raise fields.wrong("status", "a status")
    if fields.values["status"] == "ready":
        for name in ("launches", "sets"):
            fields.whole(name, 1, MOST_LAUNCHES if name == "launches" else MOST_SETS)
        if fields.text("mode") not in MODES:
            raise fields.wrong("mode", "a mode")
        for name in ("offset_s", "expected_s"):
            fields.number(name, 0.0, LARGEST_S)


def _is_pilot(fields: Fields) -> None:
    if "expected_s" in fields.values:
        fields.number("expected_s", 0.0, LARGEST_S)


def _is_settle(fields: Fields) -> None:
    fields.number("reference_clock_hz", LEAST_HZ, LARGEST_HZ)


def _is_round(fields: Fields) -> None:
    order = fields.values.get("order")
    fields.whole("round", 1, MOST_NUMBERED)
    if not isinstance(order, list) or not order or not all(type(index) is int for index in order):
        raise fields.wrong("order", "a list of kernels")


def _is_canary(fields: Fields) -> None:
    for name, most in (("cycles", LARGEST_CYCLES), ("copy_s", LARGEST_S)):
        _is_number_or_null(fields, name, most)


def _is_visit(fields: Fields) -> None:
    fields.whole("launches", 1, MOST_LAUNCHES)
    counts = []
    for name, most in (("seconds", LARGEST_S), ("clock_hz", LARGEST_HZ)):
        values = fields.samples(name, -most, most)
        counts.append(len(values))
        if any(math.isnan(one) and given is not None for one, given in zip(values, fields.values[name], strict=True)):
            raise fields.wrong(name, "a list of numbers in range")
    if counts[0] != counts[1]:
        raise fields.wrong("clock_hz", "as many numbers as seconds has")
    verdict = Fields(fields.table("verification"), "")
    if not verdict.flag("ok", "verification" not in fields.values):
        verdict.text("reason")


def _is_fault(fields: Fields) -> None:
    fields.text("kind")


def _is_number_or_null(fields: Fields, name: str, most: float) -> None:
    if name not in fields.values:
        raise fields.wrong(name, "a number or null")
    fields.number(name, 0.0, most, 0.0)


CHECKS = {
    "instrument": _is_instrument, "pilot": _is_pilot, "candidate": _is_kernel, "kernel": _is_kernel,
    "settle": _is_settle, "round": _is_round,
    "canary": _is_canary, "visit": _is_visit, "fault": _is_fault,
}  # fmt: skip
