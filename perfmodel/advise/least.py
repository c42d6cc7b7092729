"""The plan of least time: exact for any network."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, combinations, product

from perfmodel.advise.elimination import Term, least_sum
from perfmodel.advise.plan import Plan
from perfmodel.advise.tariff import Tariff, Tensor

NOTHING: frozenset[str] = frozenset()


def least_plan(tariff: Tariff) -> Plan:
    """Of all plans whose layers have at most one narrow format each, the one that takes the least time.

    A tensor that several layers read is a variable: the formats that it is converted into. Given those, layers choose
    on their own, so the sum over layers and tensors is least by `least_sum`. Of equal plans the one with fewer narrow
    passes. Raises `InputError` (E1762) for a network whose layers share tensors in too many ways at once.
    """
    readers: dict[Tensor, set[str]] = {}
    for (layer, pass_), tensors in tariff.reads.items():
        if pass_ in tariff.passes[layer]:
            for tensor in tensors:
                readers.setdefault(tensor, set()).add(layer)
    shared = {tensor for tensor, layers in readers.items() if len(layers) > 1}
    states = {tensor: _subsets(tariff.narrow) for tensor in readers if tensor in shared}
    terms = [Term((one,), {(state,): tariff.convert_s[one] * len(state) for state in states[one]}) for one in states]
    choices = {layer: _Choices(tariff, layer, shared) for layer in tariff.passes}
    terms += [choice.term(states) for choice in choices.values() if choice.over]
    converted = least_sum(states, terms)
    narrow: dict[tuple[str, str], str] = {}
    for choice in choices.values():
        narrow |= choice.best(tuple(converted[one] for one in choice.over))[1]
    plan, none = Plan(tariff.base, narrow), Plan(tariff.base, {})
    return plan if tariff.plan_s(plan) < tariff.plan_s(none) else none


class _Choices:
    """One layer's ways: the formats of its passes, what each takes, and which shared tensors it needs as codes."""

    def __init__(self, tariff: Tariff, layer: str, shared: set[Tensor]):
        passes = tariff.passes[layer]
        tensors = dict.fromkeys(one for pass_ in passes for one in tariff.reads[layer, pass_])
        self.over = tuple(one for one in tensors if one in shared)
        self._ways = [self._way(tariff, layer, narrow, shared) for narrow in _ways(tariff, passes)]
        self._best: dict[tuple, tuple[float, dict]] = {}

    def _way(self, tariff: Tariff, layer: str, narrow: dict[str, str], shared: set[Tensor]):
        """Seconds without shared tensors, which of these are needed in which format, and the choice itself."""
        seconds = sum(tariff.pass_s(layer, pass_, narrow.get(pass_, tariff.base)) for pass_ in tariff.passes[layer])
        needed = {(tensor, name) for pass_, name in narrow.items() for tensor in tariff.reads[layer, pass_]}
        seconds += sum(tariff.convert_s[tensor] for tensor, _ in needed if tensor not in shared)
        lacking = tuple(frozenset(name for tensor, name in needed if tensor == one) for one in self.over)
        return seconds, lacking, {(layer, pass_): name for pass_, name in narrow.items()}

    def best(self, given: tuple[frozenset[str], ...]) -> tuple[float, dict]:
        """The least seconds, and how, where the shared tensors are there in the given formats."""
        if given not in self._best:
            fitting = ((s, way) for s, needed, way in self._ways if all(map(frozenset.issubset, needed, given)))
            self._best[given] = min(fitting, key=lambda one: one[0])
        return self._best[given]

    def term(self, states) -> Term:
        """The layer's least seconds for each state of its shared tensors."""
        cases = product(*(states[one] for one in self.over))
        return Term(self.over, {case: self.best(case)[0] for case in cases})


def _ways(tariff: Tariff, passes: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Each choice of passes in one narrow format, none first."""
    yield {}
    for name in tariff.narrow:
        some = chain.from_iterable(combinations(passes, count) for count in range(1, len(passes) + 1))
        yield from (dict.fromkeys(one, name) for one in some)


def _subsets(names: tuple[str, ...]) -> list[frozenset[str]]:
    return [frozenset(one) for count in range(len(names) + 1) for one in combinations(names, count)]
