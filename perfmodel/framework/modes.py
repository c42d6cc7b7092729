"""What of a training step runs in a mode: inference, gradients alone, or the whole step with the optimizer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from perfmodel.cost.estimate import CostModel, Prices, price
from perfmodel.errors import unknown_name
from perfmodel.lowering import MemoryOp, Work
from perfmodel.simulate import StepCost

MODES = ("forward", "gradients", "step")
OPTIMIZER = ("update", "cast")  # kinds of work of an optimizer: none of it where gradients alone are timed
UNKNOWN_MODE = "E1013"


def step_of_mode(step: StepCost, mode: str, model: CostModel) -> StepCost:
    """The part of a training step that runs in a mode, priced by the model that priced the step.

    `step` is the whole of it; `gradients` leaves the optimizer out, and what casts its weights; `forward` is an
    inference: no loss, and a batch norm reads its input once, having its statistics. Raises `UnknownName` (E1013).
    """
    if mode not in MODES:
        raise unknown_name(UNKNOWN_MODE, "mode", mode, MODES)
    if mode == "step":
        return step
    kept = step.without(OPTIMIZER)
    return kept if mode == "gradients" else _inference(kept, model)


def mode_with_accumulation(step: StepCost, model: CostModel, mode: str, gradient_bytes: float) -> StepCost:
    """`step_of_mode`, and gradients of `gradient_bytes` an element set to zero and added up where it has gradients."""
    kept = step_of_mode(step, mode, model)
    if mode == "forward" or not gradient_bytes:
        return kept
    return extended(kept, accumulation(step, gradient_bytes), model)


def _inference(step: StepCost, model: CostModel) -> StepCost:
    works = [work for work in step.works if work.pass_ == "fprop" and work.kind != "loss"]
    return extended(StepCost((), Prices(step.prices.seconds[:0], [], [])), [_at_rest(work) for work in works], model)


def _at_rest(work: Work) -> Work:
    """A batch norm with its statistics known: half of the reads."""
    if work.kind != "batch norm" or not isinstance(work.kernel, MemoryOp):
        return work
    return replace(work, kernel=replace(work.kernel, bytes_read=work.kernel.bytes_read / 2))


def accumulation(step: StepCost, element_bytes: float) -> list[Work]:
    """Gradients set to zero before a step and added up in it, as PyTorch does: one write, then two reads and a write.

    One kernel of each for every layer that the step updates; `element_bytes` is the size of a gradient's element.
    """
    works = []
    for work in step.works:
        if work.kind == "update" and isinstance(work.kernel, MemoryOp) and work.kernel.shape:
            size = work.kernel.shape[0] * element_bytes
            for moved in (MemoryOp(0.0, size), MemoryOp(2 * size, size)):
                works.append(Work(work.layer, "wgrad", "update", moved))
    return works


def extended(step: StepCost, works: list[Work], model: CostModel) -> StepCost:
    """The step with more work, priced by `model`."""
    new = price(model, [work.kernel for work in works])
    seconds = [*step.prices.seconds, *new.seconds]
    prices = Prices(
        np.array(seconds, dtype=np.float64), [*step.prices.basis, *new.basis], [*step.prices.detail, *new.detail]
    )
    return StepCost((*step.works, *works), prices)
