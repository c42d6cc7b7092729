"""Launches of a built kernel that rotate through operand sets: one by one, or captured in a graph."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from perfmodel.measure.backend import CaptureFailed, DeviceFault
from perfmodel.measure.cuda.functions import Bound, Function, OneByOne
from perfmodel.measure.cuda.operands import Operands
from perfmodel.measure.cuda.runtime import Runtime
from perfmodel.measure.cuda.tools import Tools


@dataclass(slots=True, eq=False)
class Batch:
    """A captured graph, and the operands that it works on."""

    graph: Any
    operands: Operands | None


class Launcher:
    """Enqueues launches on one device. A function of None stands for the empty kernel, which has no operands."""

    def __init__(self, runtime: Runtime, tools: Tools):
        self._runtime = runtime
        self._empty = OneByOne(None, lambda operands, number: tools.empty())
        self._loose: list[Any] = []  # graphs of empty kernels

    def launch_each(self, function: Function | None, operands: Operands | None, launches: int, start: int) -> None:
        """Enqueue so many launches from set `start` on."""
        bound, sets = self._bound(function, operands, launches, start)
        bound.run(sets, launches)
        if function is not None:
            function.warm = True

    def capture(self, function: Function | None, operands: Operands | None, launches: int, start: int) -> Batch:
        """The same launches as a graph, which goes back with the operands; `CaptureFailed` otherwise."""
        bound, sets = self._bound(function, operands, launches, start)
        if function is not None and not function.warm:  # what a first launch loads cannot be captured everywhere
            bound.run(sets[:1], 1)
            function.warm = True
        self._runtime.begin_capture()
        try:
            bound.run(sets, launches)
        except DeviceFault as fault:
            with suppress(CaptureFailed):
                self._runtime.destroy_graph(self._runtime.end_capture())
            raise CaptureFailed(*map(str, fault.args)) from None
        graph = self._runtime.end_capture()
        (operands.graphs if operands else self._loose).append(graph)
        return Batch(graph, operands)

    def close(self) -> None:
        """Give the graphs without operands back."""
        while self._loose:
            self._runtime.destroy_graph(self._loose.pop())

    def _bound(
        self, function: Function | None, operands: Operands | None, launches: int, start: int
    ) -> tuple[Bound, list[int]]:
        if function is None:
            return self._empty, [0]
        if function not in operands.bound:
            operands.bound[function] = function.bind(operands)
        bound, sets = operands.bound[function], operands.in_turn(start, launches)
        bound.ready(sets)
        return bound, sets
