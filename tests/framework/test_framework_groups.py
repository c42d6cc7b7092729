"""Which group a piece of work belongs to, and the seconds of each group in a step."""

import numpy as np
import pytest

from perfmodel.convolution import Convolution
from perfmodel.cost.estimate import Prices
from perfmodel.framework import GROUPS
from perfmodel.framework.groups import group_of, group_seconds, launches
from perfmodel.gemm import Gemm, find_precision
from perfmodel.lowering import Delay, MemoryOp, Work
from perfmodel.simulate import StepCost


def convolution(kernel, size=(6, 10), stride=(1, 1), padding=(0, 0), groups=1):
    conv = Convolution("fprop", 2, 4, *size, 4, kernel, stride, padding, groups=groups)
    return Work("conv", "fprop", "gemm", Gemm(3, 5, 7, 1, find_precision("fp32"), conv=conv))


@pytest.mark.parametrize(
    ("work", "group"),
    [
        (convolution((3, 3), padding=(1, 1)), "conv_3x3"),
        (convolution((3, 3)), "conv_3x3"),  # 6x10 to 4x8
        (convolution((3, 3), (7, 9), padding=(1, 1)), "conv_other"),  # 63 pixels
        (convolution((3, 3), (7, 10), padding=(1, 1)), "conv_3x3"),  # 70 pixels, though one side is odd
        (convolution((3, 3), (6, 10), (2, 2), (1, 1)), "conv_other"),
        (convolution((3, 3), padding=(1, 1), groups=4), "conv_other"),
        (convolution((1, 1)), "pointwise"),
        (convolution((1, 1), stride=(2, 2)), "conv_other"),  # 3x5 pixels come out
        (convolution((1, 1), (8, 12), (2, 2)), "pointwise"),
        (convolution((1, 7), padding=(0, 3)), "conv_other"),
        (convolution((5, 5), padding=(2, 2)), "conv_other"),
        (Work("fc", "wgrad", "gemm", Gemm(3, 5, 7)), "pointwise"),
        (Work("relu", "fprop", "activation", MemoryOp(8, 8)), "forward"),
        (Work("relu", "dgrad", "activation", MemoryOp(8, 8)), "backward"),
        (Work("pool", "fprop", "pooling", MemoryOp(8, 8)), "pooling"),
        (Work("pool", "dgrad", "pooling", MemoryOp(8, 8)), "pooling"),
        (Work("fc", "update", "update", MemoryOp(8, 8)), "backward"),
        (Work("fc", "fprop", "cast", MemoryOp(8, 8)), "forward"),
        (Work("fc", "fprop", "scale", Delay(1.0, "given")), None),
    ],
)
def test_every_piece_of_work_has_its_group(work, group):
    assert group_of(work) == group


def test_group_seconds_add_up_to_the_step_and_count_launches():
    works = (
        convolution((3, 3), padding=(1, 1)),
        Work("fc", "wgrad", "gemm", Gemm(3, 5, 7), 2),
        Work("relu", "fprop", "activation", MemoryOp(8, 8), 0.5),
        Work("relu", "fprop", "quantise", MemoryOp(8, 8, "fused"), 3),
        Work("fc", "fprop", "scale", Delay(1.0, "given")),
        Work("relu", "dgrad", "activation", MemoryOp(8, 8)),
        Work("pool", "dgrad", "pooling", MemoryOp(8, 8)),
    )
    step = StepCost(works, Prices(np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]), ["analytical"] * 7, [""] * 7))
    #                                 3x3 pointwise other pooling forward backward given launches
    assert group_seconds(step).tolist() == [1.0, 4.0, 0.0, 64.0, 2.0 + 24.0, 32.0, 16.0, 1 + 2 + 0.5 + 1 + 1]
    assert launches(works).tolist() == [1, 2, 0.5, 0, 0, 1, 1]
    assert GROUPS == ("conv_3x3", "pointwise", "conv_other", "pooling", "forward", "backward")
    assert group_seconds(step)[:-1].sum() == step.total.seconds
