"""Figures of error against ones worked out by hand."""

from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.validate.problems import Guess
from perfmodel.validate.scores import Score, binomial_p, mean_score, score, size_classes


def test_figures_of_five_errors():
    # errors: +10 %, -20 %, 0, +50 %, -40 %
    found = score(Guess.of(np.array([1.1, 1.6, 3.0, 6.0, 3.0])), np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert found.mape == pytest.approx(0.24)
    assert found.median == pytest.approx(0.2)
    assert found.p90 == pytest.approx(0.46)  # 0.6 of the way from 0.4 to 0.5
    assert found.bias == pytest.approx(0.0)
    assert isnan(found.coverage)
    assert isnan(found.width)


def test_coverage_counts_both_ends_and_width_is_relative():
    guess = Guess(np.full(4, 2.0), np.array([1.0, 1.5, 1.9, nan]), np.array([3.0, 2.5, 2.1, nan]))
    found = score(guess, np.array([3.0, 1.5, 2.2, 2.0]))
    assert found.coverage == pytest.approx(2 / 3)  # of the three that have an interval
    assert found.width == pytest.approx(0.5)  # (2.5 - 1.5) / 2


def test_means_over_draws_with_their_deviation():
    found = mean_score([Score(0.1, 0.2, 0.3, -0.1, 0.9, 0.5), Score(0.2, 0.2, 0.5, 0.1, 0.8, 0.7)])
    assert (found.mape, found.p90, found.bias) == pytest.approx((0.15, 0.4, 0.0))
    assert (found.coverage, found.width) == pytest.approx((0.85, 0.6))
    assert found.spread == pytest.approx(0.0707107, rel=1e-5)
    assert isnan(mean_score([Score(0.1, 0.2, 0.3, 0.0)]).spread)


def test_edges_of_size_classes_belong_to_the_slower():
    found = size_classes(np.array([1e-4, 9.9e-5, 1e-3, 1e-2, 0.5, 9e-3]))
    assert {name: at.tolist() for name, at in found.items()} == {
        "under 0.1 ms": [1], "0.1 to 1 ms": [0], "1 to 10 ms": [2, 5], "10 ms and more": [3, 4],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("hits", "trials", "share", "p"),
    [
        (0, 1, 0.9, 0.1), (1, 1, 0.9, 1.0), (0, 2, 0.5, 0.5), (1, 2, 0.5, 1.0), (2, 3, 0.9, 0.271),
        (5, 5, 0.5, 0.0625), (4, 5, 0.5, 0.375), (8, 10, 0.9, 0.2639010709),
    ],
)  # fmt: skip
def test_p_of_the_binomial_test(hits, trials, share, p):
    assert binomial_p(hits, trials, share) == pytest.approx(p, rel=1e-9)


def test_coverage_of_forty_that_is_rejected():
    assert binomial_p(31, 40) > 0.01 > binomial_p(30, 40)
    assert binomial_p(40, 40) > 0.01  # 0.9 ** 40 is 1.5 %


@given(st.integers(1, 80), st.data())
def test_a_p_is_a_probability_and_one_at_the_likeliest(trials, data):
    hits = data.draw(st.integers(0, trials))
    assert 0 < binomial_p(hits, trials) <= 1
    assert max(binomial_p(i, trials) for i in range(trials + 1)) == pytest.approx(1.0)
