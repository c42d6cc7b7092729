"""A segment on its way to the file: counted, then a line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from perfmodel.errors import InputError, OutputError, PerfModelError, Problem
from perfmodel.traces import PassPrecision, Segment
from perfmodel.traces.jsonl import format_segment
from perfmodel.traces.trace import HEADER_RULES

NO_METRICS: dict[str, Mapping] = {"metrics": {}, "gradient_diversity": {}}


@dataclass(slots=True)
class Pending:
    """Iterations that are counted and not yet on file."""

    epoch: int
    precision: PassPrecision
    iterations: int = 0
    lr: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    gradient_diversity: dict[str, float] = field(default_factory=dict)

    def segment(self) -> Segment:
        """What is counted."""
        return Segment(self.epoch, self.iterations, self.precision, self.lr, self.gradient_diversity, self.metrics)


def segment_line(segment: Segment) -> tuple[Segment, str]:
    """The segment and its line; without its metrics where they make it too long to be read."""
    try:
        return segment, format_segment(segment)
    except OutputError:
        segment = replace(segment, **NO_METRICS)
        return segment, format_segment(segment)


def checked_header(**given: Any) -> dict[str, Any]:
    """The plain values of a header; `InputError` (E1304, E1306, E1307) with all that is wrong."""
    problems: list[Problem] = []
    fields = {}
    for key, rule in HEADER_RULES.items():
        try:
            fields[key] = rule(key, given[key])
        except PerfModelError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return fields
