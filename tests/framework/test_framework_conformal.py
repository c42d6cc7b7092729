"""The quantile of errors that come in groups."""

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.framework.conformal import grouped_quantile


def test_single_rows_give_the_usual_conformal_quantile():
    # The smallest value with at least 0.9 (n + 1) rows up to it: the 18th of 19, the 9th of 9, none of 8.
    assert grouped_quantile(range(1, 20), range(19)) == 18
    assert grouped_quantile(range(1, 10), range(9)) == 9
    assert grouped_quantile(range(1, 9), range(8)) == inf


def test_a_group_counts_once_however_many_rows_it_has():
    errors, groups = [5.0] * 90 + [1.0] * 9, ["many"] * 90 + list("abcdefghi")
    assert grouped_quantile(errors, groups, 0.8) == 1.0  # nine of eleven groups
    assert grouped_quantile(errors, groups, 0.9) == 5.0
    assert grouped_quantile(errors, range(99), 0.8) == 5.0  # were the rows independent


def test_half_of_a_groups_rows_are_half_of_its_mass():
    errors, groups = [1.0, 2.0, 3.0, 4.0], "aabb"  # masses 1/6 each
    assert [grouped_quantile(errors, groups, level) for level in (0.16, 0.17, 0.5, 0.66, 0.67)] == [1, 2, 3, 4, inf]


@given(st.lists(st.tuples(st.floats(0, 9), st.integers(0, 30)), min_size=1), st.floats(0.01, 0.99))
def test_it_is_one_of_the_errors_or_infinite_and_grows_with_the_level(rows, level):
    errors, groups = zip(*rows, strict=True)
    found = grouped_quantile(errors, groups, level)
    assert found in errors or found == inf
    assert found <= grouped_quantile(errors, groups, min(0.999, level + 0.1))


@pytest.mark.parametrize("level", [0.8, 0.9])
def test_new_groups_are_covered_as_often_as_promised(level):
    draw = np.random.default_rng(7)
    covered = []
    for _ in range(400):
        scale = draw.lognormal(size=20)  # of each group; the last is the new one
        errors = np.abs(draw.normal(size=(20, 3))) * scale[:, None]
        bound = grouped_quantile(errors[:-1].ravel(), np.repeat(range(19), 3), level)
        covered.append((errors[-1] <= bound).mean())
    assert level - 0.03 < np.mean(covered) < level + 0.07
