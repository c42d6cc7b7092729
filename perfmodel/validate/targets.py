"""What the model has to reach, beside what it reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isnan, nan

from perfmodel.validate.contenders import CALIBRATED, LIBRARY, ROOFLINE_ONE, ROOFLINE_THREE, TILES, TILES_TWO, VIEW
from perfmodel.validate.judging import ALL, Verdict
from perfmodel.validate.problems import Problems
from perfmodel.validate.protocols import (
    ALL_OTHER_NETWORKS,
    FEW,
    HALF,
    NOTHING,
    OTHER_GPUS,
    OTHER_NETWORKS,
    OTHERS_ALONE,
)

OURS = {  # the first that was judged
    "gemm": (CALIBRATED,), "conv": (CALIBRATED, LIBRARY, TILES_TWO), "iteration": (VIEW,),
}  # fmt: skip
UNSEEN = (TILES, OTHER_GPUS)  # what an unseen GPU is predicted by, intervals included
POWER_LIMITED = ("t4", "p4", "l4")
LEAST_COVERAGE, MOST_COVERAGE, MANY_ROWS, REJECTED = 0.88, 0.94, 400, 0.01
ITERATION_DEVICE = "rtx-2080-ti"
TRAINING = ("train step", "forward+backward, no optimizer")
CONV_LIMITS = {"fprop": 0.12, "dgrad": 0.18, "wgrad": 0.20}
FEW_LIMITS = {"v100": 0.05, "a100": 0.05, "t4": 0.07, "p100": 0.12, "p4": 0.12}
TARGET_SET = "neusight-linear-test"


@dataclass(frozen=True, slots=True)
class Target:
    """A limit on the mean absolute error of one series: whose, and fitted on what; `limit` says of which series."""

    what: str
    kind: str
    fitted: str
    limit: Callable[[Problems], float | None]
    models: tuple[str, ...]
    baseline: tuple[str, str]  # model and protocol that stand beside


@dataclass(frozen=True, slots=True)
class Result:
    """A target of one series, what was reached, and what the baseline reached; NaN where it was not judged."""

    target: Target
    verdict: Verdict
    limit: float
    baseline: float

    @property
    def met(self) -> bool:
        """Whether the error is no greater than the limit."""
        return self.verdict.score.mape <= self.limit


def _few(problems: Problems) -> float | None:
    return FEW_LIMITS.get(problems.device.name) if problems.source == TARGET_SET else None


def _unseen(problems: Problems) -> float | None:
    if problems.source != TARGET_SET:
        return None
    return 0.20 if problems.device.name in POWER_LIMITED else 0.12


def _deepbench(problems: Problems) -> float | None:
    mine = problems.source == "deepbench" and problems.device.name in ("v100-sxm2", "t4")
    return 0.07 if mine and problems.precision in ("fp32", "fp16") else None


def _conv(problems: Problems) -> float | None:
    return CONV_LIMITS[problems.pass_] if problems.precision in ("fp32", "fp16") else None


def _iteration(problems: Problems) -> float | None:
    return 0.08 if problems.device.name == ITERATION_DEVICE and problems.pass_ in TRAINING else None


TARGETS = (
    Target("FP32 GEMM, fitted on 20 timings", "gemm", FEW, _few, OURS["gemm"], (ROOFLINE_THREE, FEW)),
    Target("FP32 GEMM, GPU unseen", "gemm", OTHER_GPUS, _unseen, (TILES,), ("roofline", NOTHING)),
    Target("DeepBench GEMM", "gemm", HALF, _deepbench, OURS["gemm"], (ROOFLINE_THREE, HALF)),
    Target("convolution", "conv", HALF, _conv, OURS["conv"], (ROOFLINE_THREE, HALF)),
    Target(
        "iteration, network unseen", "iteration", ALL_OTHER_NETWORKS, _iteration, OURS["iteration"],
        (ROOFLINE_ONE, OTHER_NETWORKS),
    ),
)  # fmt: skip


def results(verdicts: Sequence[Verdict], targets: Sequence[Target] = TARGETS) -> Iterator[Result]:
    """Each target of each series, in the order of the targets."""
    whole = {(one.problems, one.model, one.fitted): one for one in verdicts if one.part == ALL}
    every = list(dict.fromkeys(one.problems for one in verdicts))
    for target in targets:
        for problems in every:
            limit = target.limit(problems) if problems.kind == target.kind else None
            found = (whole.get((problems, name, target.fitted)) for name in target.models)
            verdict = next((one for one in found if one is not None), None)
            if limit is not None and verdict is not None:
                beside = whole.get((problems, *target.baseline))
                yield Result(target, verdict, limit, beside.score.mape if beside else nan)


def covers(verdict: Verdict) -> bool | None:
    """Whether intervals cover as they should: 88 to 94 % of 400 rows and more, fewer not rejected at 1 %.

    None where there are no intervals, and for a GPU unseen, for which there is no target.
    """
    coverage = verdict.score.coverage
    if isnan(coverage) or verdict.fitted in (OTHER_GPUS, OTHERS_ALONE):
        return None
    if verdict.rows >= MANY_ROWS:
        return LEAST_COVERAGE <= coverage <= MOST_COVERAGE
    return verdict.p >= REJECTED
