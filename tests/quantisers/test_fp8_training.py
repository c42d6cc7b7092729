"""FP8 training: which tensor is rounded how, and the hybrid's scaled E4M3."""

from math import inf, nan

import numpy as np
import pytest

from perfmodel.errors import InputError
from perfmodel.quantisers import fp8
from perfmodel.quantisers.floats import E5M2

F = np.float32


def test_each_tensor_is_rounded_in_its_own_way():
    x, u = np.array([1.2, 1.1, 1e6], F), np.array([0.1, 0.9, 0.5], F)
    for kind in ("weights", "activations"):
        assert fp8.rounded(x, kind).tolist() == [1.25, 1, inf]
        assert fp8.rounded(x, kind, u).tolist() == [1.25, 1, inf]
    for kind in ("errors", "gradients"):
        assert fp8.rounded(x, kind, u).tolist() == [1, 1.25, inf]
        assert fp8.rounded(x, kind, u, hybrid=True).tolist() == [1, 1.25, inf]
        with pytest.raises(InputError, match=f"E1523 uniform is not given, and {kind}"):
            fp8.rounded(x, kind)
    assert fp8.rounded(np.array([7, 0.4, -0.1], F), "weights", hybrid=True).tolist() == [7, 0.40625, -0.1015625]


def test_scaled_by_hand():
    values, scale = fp8.scaled(np.array([7.0, 0.4, -0.001, 0.0], F))
    assert scale == 64  # 448/7
    assert values.tolist() == [7, 26 / 64, -(2**-4) / 64, 0]  # 25.6, -0.064
    values, scale = fp8.scaled(np.array([2000.0, 2.0]))
    assert (values.tolist(), scale) == ([2000, 0.4375 / 0.224], 0.224)  # 0.448 is nearer to 7/16 than to 15/32
    values, scale = fp8.scaled(np.array([57344.0, 1.1]), E5M2)
    assert (values.tolist(), scale) == ([57344, 1], 1)
    assert fp8.scaled(np.array([57344.0, 1.1]), E5M2, np.array([0.0, 0.7]))[0].tolist() == [57344, 1.25]


def test_scales_are_limited():
    assert fp8.scaled(np.zeros(2, F))[1] == 65500
    assert fp8.scaled(np.zeros(2, F))[0].tolist() == [0, 0]
    assert fp8.scaled(np.array([448 / 32750]))[1] == pytest.approx(32750)
    assert fp8.scaled(np.array([448 / 32751]))[1] == 65500
    assert fp8.scaled(np.array([1e-45], F))[0].tolist() == [0]
    assert fp8.scaled(np.array([3e38, -1e38], F))[0] == pytest.approx([3e38, -1e38], rel=1 / 16)
    assert fp8.scaled(np.zeros((0, 3), F))[0].shape == (0, 3)


def test_what_is_not_finite_spoils_the_tensor():
    for value in (inf, -inf, nan):
        assert np.isnan(fp8.scaled(np.array([1, value], F))[0]).all()
