"""The least sum of terms that depend on few variables each: dynamic programming over the variables.

One variable after the other is eliminated: of the terms that depend on it, the least over its states is kept for each
assignment of the others (Bertele and Brioschi, Nonserial Dynamic Programming, 1972). Exact. On a chain it is the usual
recursion; its cost grows with the states of the variables that a variable shares terms with.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from perfmodel.errors import InputError

MOST_ENTRIES = 2**18  # of one table: networks have a handful


@dataclass(frozen=True, slots=True)
class Term:
    """A cost for each assignment of states to `over`, in their order."""

    over: tuple[Hashable, ...]
    costs: Mapping[tuple, float]


def least_sum(states: Mapping[Hashable, Sequence], terms: Sequence[Term]) -> dict[Hashable, object]:
    """The assignment of a state to each variable under which the terms' sum is least; of equals, the first states.

    Raises `InputError` (E1762) where the terms tie too many variables together.

    >>> costs = {("a", "a"): 3.0, ("a", "b"): 9.0, ("b", "a"): 5.0, ("b", "b"): 1.0}
    >>> pairs = [Term(("x", "y"), costs), Term(("y", "z"), costs), Term(("z",), {("a",): 0.0, ("b",): 7.0})]
    >>> least_sum({"x": "ab", "y": "ab", "z": "ab"}, pairs)
    {'x': 'a', 'y': 'a', 'z': 'a'}
    """
    touching: dict[Hashable, dict[int, Term]] = {name: {} for name in states}
    for number, term in enumerate(terms):
        for name in term.over:
            touching[name][number] = term
    # Those that share no term come first and cost nothing to order.
    waiting = [name for name in states if len(_neighbours(touching, name)) > 0]
    order = [(name, *_eliminate(states, touching, name, len(terms))) for name in states if name not in set(waiting)]
    fresh = len(terms)
    while waiting:
        name = min(waiting, key=lambda one: prod(len(states[other]) for other in _neighbours(touching, one)))
        waiting.remove(name)
        order.append((name, *_eliminate(states, touching, name, fresh)))
        fresh += 1
    chosen: dict[Hashable, object] = {}
    for name, over, best in reversed(order):
        chosen[name] = best[tuple(chosen[other] for other in over)]
    return {name: chosen[name] for name in states}


def _neighbours(touching: Mapping[Hashable, Mapping[int, Term]], name: Hashable) -> tuple[Hashable, ...]:
    """The variables with which one shares terms, each once, in a fixed order."""
    return tuple(dict.fromkeys(other for term in touching[name].values() for other in term.over if other != name))


def _eliminate(states, touching, name: Hashable, number: int) -> tuple[tuple[Hashable, ...], dict[tuple, object]]:
    """Replace the terms of one variable by one without it; returns over what, and the best state for each case."""
    terms, over = list(touching[name].items()), _neighbours(touching, name)
    if prod(len(states[other]) for other in over) * len(states[name]) > MOST_ENTRIES:
        raise InputError.at(
            "E1762", "network:", f"{len(over)} tensors are shared by layers that share others with {name!r}.",
            "Advise on a part of it.",
        )  # fmt: skip
    costs, best = {}, {}
    for case in product(*(states[other] for other in over)):
        given = dict(zip(over, case, strict=True))
        sums = [
            sum(term.costs[tuple(state if one == name else given[one] for one in term.over)] for _, term in terms)
            for state in states[name]
        ]
        place = min(range(len(sums)), key=sums.__getitem__)
        costs[case], best[case] = sums[place], states[name][place]
    for old, term in terms:
        for one in term.over:
            touching[one].pop(old, None)
    for other in over:
        touching[other][number] = Term(over, costs)
    return over, best
