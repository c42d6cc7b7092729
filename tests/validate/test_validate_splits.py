"""Shapes are split, never rows."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.devices import find_device
from perfmodel.gemm import Gemm
from perfmodel.validate.problems import Problems, Series
from perfmodel.validate.splits import draw, each_shape, split


def series_of(halves, shapes=None):
    count = len(halves)
    shapes = np.arange(count) if shapes is None else np.array(shapes)
    kernels = tuple(Gemm(i + 1, 1, 1) for i in range(count))
    problems = Problems(
        "gemm", "lab", find_device("t4"), "fp32", "", kernels, np.arange(count) + 2, shapes, np.array(halves)
    )
    return Series(problems, np.ones(count), ((),) * count)


def test_both_directions_judge_every_row_once():
    (one, other) = split(series_of([0, 1, 1, 0, 1]))
    assert [part.tolist() for part in one] == [[0, 3], [1, 2, 4]]
    assert [part.tolist() for part in other] == [[1, 2, 4], [0, 3]]


def test_a_half_without_rows_leaves_nothing_to_judge():
    assert split(series_of([1, 1, 1])) == []


def test_each_shape_is_judged_by_the_others_alone():
    found = each_shape(series_of([0] * 5, [7, 3, 7, 9, 3]))
    assert [(fitted.tolist(), judged.tolist()) for fitted, judged in found] == [
        ([0, 2, 3], [1, 4]), ([1, 3, 4], [0, 2]), ([0, 1, 2, 4], [3]),
    ]  # fmt: skip


@given(st.integers(0, 300), st.integers(0, 2**31))
def test_draws_are_rows_of_the_given_each_once(count, seed):
    rows = 3 * np.arange(count)
    found = draw(rows, seed)
    assert len(found) == min(20, count)
    assert sorted(set(found.tolist())) == found.tolist()
    assert set(found.tolist()) <= set(rows.tolist())


def test_draws_repeat_and_differ_by_seed():
    rows = np.arange(100)
    assert draw(rows, 5).tolist() == draw(rows, 5).tolist() != draw(rows, 6).tolist()
