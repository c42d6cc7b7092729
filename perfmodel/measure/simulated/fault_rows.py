"""The `[[faults]]` tables of a scenario file."""

from __future__ import annotations

from typing import Any

from perfmodel.datafiles import Section
from perfmodel.errors import quote
from perfmodel.measure.backend import READINGS
from perfmodel.measure.simulated.faults import BAD_VALUES, KINDS, LASTING, Fault
from perfmodel.measure.simulated.fields import amount, choice, period, tables
from perfmodel.measure.simulated.products import WRONG

MOST_BYTES = 10**15


def read_faults(top: Section) -> tuple[Fault, ...]:
    """The faults of the file in order; `InputError` (E1210-E1213) that names table and key."""
    return tuple(_read(row) for row in tables(top, "faults"))


def _read(row: Section) -> Fault:
    kind = choice(row, "kind", KINDS)
    fields = _late_enqueue(row) if kind == "late enqueue" else _trigger(row, kind) | _details(row, kind)
    row.finish()
    return Fault(kind, **fields)


def _late_enqueue(row: Section) -> dict[str, Any]:
    start, end = period(row)
    return {"factor": amount(row, "factor", most=1e6), "from_s": start, "to_s": end}


def _trigger(row: Section, kind: str) -> dict[str, Any]:
    return {
        "kernel": "" if kind == "reading" else row.text("kernel", ""),
        "counter": row.whole("counter", None, least=0),
        "call": row.whole("call", 1),
        "times": row.whole("times", 0 if kind in LASTING else 1, least=0),
        "always": row.take("always", bool, False),
    }


def _details(row: Section, kind: str) -> dict[str, Any]:
    match kind:
        case "out of memory":
            return {"free_bytes": row.whole("free_bytes", None, least=0, most=MOST_BYTES)}
        case "build":
            return {"message": row.text("message", "error: the simulated compiler refuses this kernel")}
        case "hang":
            return {"real": row.take("real", bool, False)}
        case "reading":
            return {"names": _names(row)}
        case "bad samples" | "bad clock":
            return {"value": choice(row, "value", BAD_VALUES)}
        case "wrong":
            return {"how": choice(row, "how", WRONG)}
    return {}


def _names(row: Section) -> tuple[str, ...]:
    names = row.take("names", list, ["all"], "a list of names")
    for name in names:
        if name not in (*READINGS, "all"):
            raise row.fail("E1211", "names", f"{quote(name)} is not a reading.", f"Known: all, {', '.join(READINGS)}.")
    return tuple(names)
