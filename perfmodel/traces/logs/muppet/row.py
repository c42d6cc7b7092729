"""A row of MuPPET's `log.csv` or console output, and how to tell the two apart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from perfmodel.traces.logs.csvtable import delimiter_of

LAST_EPOCH = 10**6
HEAD_LINES = 2000  # warnings and progress bars may come first
CONSOLE_ROW = re.compile(r",\s*(?:DFixed|Float),\s{2,}-?\d+\s*$")  # two tabs, where a file has one
METRICS = {
    f"{part.title()}_{kind}": f"{part}_{kind.lower()}"
    for part in ("train", "test", "val")
    for kind in ("Loss", "Top1", "Top5")
}
REQUIRED = ("Epoch", "LR", "DataType", "BitWidth")
PLAIN = ("Epoch", "LR", *METRICS, "DataType", "BitWidth")  # the columns of every row
GD = {"MeanGD": "mean", "MaxGD": "max", "Ratio": "ratio", "Threshold": "threshold", "GDViolations": "violations"}
BRANCH, PROCESS = "branch", "process"  # what begins with a row: a branch of a run, or a new process


@dataclass(slots=True)
class Row:
    """A row as it stands there: `format` and `lr` are those of the next epoch where `policy` (MuPPET steers the run).

    `begins` says that a branch or a process begins with this row; `gd` is what the check of this epoch found.
    """

    line: int
    epoch: int
    lr: float | None
    format: str
    metrics: dict[str, float]
    gd: dict[str, float] = field(default_factory=dict)
    policy: bool = True
    begins: str = ""


def looks_like_file(lines: Sequence[str]) -> bool:
    """Whether these lines begin as `log.csv` does, and not as the console, which has the same header."""
    lines = [line for line in lines if line.strip()]
    rows = [line for line in lines[1:3] if set(line.strip()) != {"-"}]
    return (
        bool(lines)
        and set(REQUIRED) <= set(_cells(lines[0]))
        and all(len(_cells(line)) >= len(REQUIRED) for line in rows[:1])
        and not any(map(CONSOLE_ROW.search, lines))
    )


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split(delimiter_of(line) or ",")]
