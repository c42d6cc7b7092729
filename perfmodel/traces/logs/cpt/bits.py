"""The bits of every iteration of a CPT run, of which its log prints a few."""

from __future__ import annotations

from itertools import pairwise
from math import isclose
from typing import Any

from perfmodel.errors import InputError
from perfmodel.traces.logs.cpt.cyclic import (
    DISPUTED,
    MOST_CYCLES,
    Cycle,
    Part,
    cycles_of,
    lengths_by_drop,
    lengths_of,
    mean_cost,
    parts_of,
)  # fmt: skip
from perfmodel.traces.logs.cpt.log import CptLog

MOST_PARTS = 1_000_000
COST_STEP = 1e-6  # what the mean cost is printed to


def bits_of(found: CptLog, inferred: list[str]) -> tuple[list[Part], dict[str, Any]]:
    """The bits of all iterations, and the scheme's parameters."""
    schedules = _schedules(found)
    runs = sum(
        abs(cycle.last - cycle.first) * (found.trained // cycle.length + 1) for pair in schedules for cycle in pair
    )
    if runs > MOST_PARTS:
        raise InputError.at(
            "E1328", f"{found.place}:", f"more than {MOST_PARTS} changes of precision.", "Split the log."
        )
    parts, disputed = parts_of(schedules, found.trained)
    forward, backward = schedules[0]
    if len(schedules) > 1:
        lengths = sorted({pair[0].length for pair in schedules})
        inferred.append(
            f"the cycle: {len(schedules)} fit the bits that were printed, of {lengths[0]} to {lengths[-1]} iterations; "
            f"they differ in {disputed} of {found.trained}"
            + (", where that of middle length was taken" if disputed and disputed <= DISPUTED * found.trained else "")
        )
        return parts, {}
    if forward.length == 1 and backward.length == 1:
        return parts, {"bits": forward.first, "gradient_bits": backward.first}
    inferred.append(
        f"the bits of iterations between those printed: the only cycle with all {len(found.iterations)} that were, "
        f"{forward.first} to {forward.last} bits in {forward.length} iterations"
    )
    return parts, _params(found, forward, backward)


def _params(found: CptLog, forward: Cycle, backward: Cycle) -> dict[str, Any]:
    params = {
        "bits": [forward.first, forward.last],
        "gradient_bits": [backward.first, backward.last],
        "cycle_iterations": max(forward.length, backward.length),
    }
    if found.total is not None:
        params["iterations"] = found.total
        cycles = found.total // params["cycle_iterations"]
        if found.total // cycles == params["cycle_iterations"]:
            params["cycles"] = cycles
    return params


def _schedules(found: CptLog) -> list[tuple[Cycle, Cycle]]:
    """The cycles of both passes that have all printed bits, and the printed mean cost; their lengths are the same.

    A length is int(N / n) for n cycles in the N iterations of the run; where the log does not say N, one that ends a
    cycle between two printed iterations, between which the bits drop. Raises `InputError` (E1338).
    """
    if not found.iterations:
        raise InputError.at("E1338", f"{found.place}:", "no line has the bits.", "Give --precision for the whole run.")
    at, forward, backward = found.iterations, found.forward, found.backward
    lengths = _lengths(found) if found.cyclic else []
    if min(backward) == max(backward):
        steady = Cycle(backward[0], backward[0], 1)
        pairs = [(cycle, steady) for cycle in cycles_of(at, forward, lengths)]
    else:
        cycles = cycles_of(at, forward, lengths)
        known = lengths if any(cycle.length == 1 for cycle in cycles) else [cycle.length for cycle in cycles]
        others = cycles_of(at, backward, sorted(set(known)))
        pairs = [(one, two) for one in cycles for two in others if one.length in (1, two.length)]
    if found.cost is not None and found.first == 0:
        done, cost = found.cost
        pairs = [pair for pair in pairs if isclose(mean_cost(*pair, done), cost, rel_tol=0, abs_tol=COST_STEP)]
    if not pairs:
        text = f"no cycle has the bits of all {len(at)} iterations that are printed."
        fix = "Give the log of one run; --precision reads it in one precision."
        raise InputError.at("E1338", f"{found.place}:{found.line_of_bits}:", text, fix)
    if len(pairs) > MOST_CYCLES:
        text = f"the log ends before its cycle can be told: more than {MOST_CYCLES} have the bits that are printed."
        raise InputError.at("E1338", f"{found.place}:{found.line_of_bits}:", text, "Give a longer log, or --precision.")
    return pairs


def _lengths(found: CptLog) -> list[int]:
    if found.total is not None:
        return lengths_of(found.total)
    for column in (found.forward, found.backward):
        rising = next((b - a for a, b in pairwise(column) if a != b), 0)
        for i in range(1, len(column)):
            if (column[i] - column[i - 1]) * rising < 0:
                most = 1 if not found.first else 1000
                return lengths_by_drop(found.iterations[i - 1], found.iterations[i], most)
    return []
