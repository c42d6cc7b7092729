"""Kinds of work that a framework's speed differs in, and what a step holds of each."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from perfmodel.convolution import Convolution
from perfmodel.gemm import Gemm
from perfmodel.lowering import Delay, Work
from perfmodel.simulate import StepCost

Group = str

# The factors that a view has for modelled seconds, and the last, its own seconds for each kernel launched.
GROUPS: tuple[Group, ...] = ("conv_3x3", "pointwise", "conv_other", "pooling", "forward", "backward")


def group_of(work: Work) -> Group | None:
    """The group of a piece of work; None for a time that is given, which no framework changes.

    Libraries have fast algorithms (Winograd) for 3x3 convolutions that visit every pixel; a 1x1 convolution and a fully
    connected layer are GEMMs as they are; the others are strided, large, not square, or on planes of an odd number of
    pixels, where vector loads do not fit and Winograd's tiles overhang. Pools read pixels once for each window they are
    in, and scatter gradients. The rest of what is no GEMM belongs to the forward pass or comes after it. A GEMM that is
    no convolution in implicit form counts as pointwise.
    """
    if isinstance(work.kernel, Delay):
        return None
    if work.kind == "pooling":
        return "pooling"
    if not isinstance(work.kernel, Gemm):
        return "forward" if work.pass_ == "fprop" else "backward"
    conv = work.kernel.conv
    return "pointwise" if conv is None else _convolution_group(conv)


def _convolution_group(conv: Convolution) -> Group:
    if conv.groups > 1 or conv.height * conv.width % 2 or prod(conv.out) % 2:
        return "conv_other"
    if conv.kernel == (1, 1):
        return "pointwise"
    return "conv_3x3" if conv.kernel == (3, 3) and conv.stride == (1, 1) else "conv_other"


def launches(works: Sequence[Work]) -> np.ndarray:
    """How often each piece of work launches a kernel [len(works)]; 0 for what another kernel does in passing."""
    return np.array([work.count if work.is_kernel else 0.0 for work in works])


def group_seconds(step: StepCost) -> np.ndarray:
    """Modelled seconds of each group, then of given times, then the number of launches [len(GROUPS) + 2].

    The seconds are those of the cost model that priced the step, its own launch time included.
    """
    columns = (*GROUPS, None)
    totals = np.zeros(len(columns) + 1)
    for work, seconds in zip(step.works, step.seconds, strict=True):
        totals[columns.index(group_of(work))] += seconds
    totals[-1] = launches(step.works).sum()
    return totals
