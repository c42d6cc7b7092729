"""CPT's cycle against the printed table of its arithmetic, and counting against listing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.policies.cyclic import Cycle, relative_cost

TABLE = [  # bits, mean cost, saving in percent, shares
    ((3, 8), "0.039579", "36.7", (0.2050, 0.1645, 0.1305, 0.1310, 0.1645, 0.2045)),
    ((4, 8), "0.043683", "30.1", (0.2305, 0.1895, 0.1605, 0.1895, 0.2300)),
    ((3, 6), "0.024593", "30.0", (0.2680, 0.2325, 0.2320, 0.2675)),
    ((4, 6), "0.027883", "20.7", (0.3335, 0.3335, 0.3330)),
]


@pytest.mark.parametrize(("ends", "mean", "saving", "shares"), TABLE)
def test_the_printed_averages(ends, mean, saving, shares):
    cycle = Cycle(*ends)
    assert f"{cycle.mean_cost(64_000):.6f}" == mean
    assert f"{100 * cycle.saving(64_000):.1f}" == saving
    assert tuple(cycle.shares(64_000).values()) == shares


def test_one_cycle_by_hand():
    # t/T in eighths: 3 + 2.5 (1 - cos): 3, 3.19, 3.73, 4.54, 5.5 (to even: 6), 6.46, 7.27, 7.81
    assert Cycle(3, 8, 1).bits(8, np.arange(8)).tolist() == [3, 3, 4, 5, 6, 6, 7, 8]
    assert Cycle(3, 6, 1).bits(2, 1) == 4  # 4.5 goes to the even side
    assert Cycle(4, 6, 1).bits(3, np.arange(3)).tolist() == [4, 4, 6]  # 4.5 and 5.5, exactly


def test_the_rest_begins_another_cycle():
    assert Cycle(3, 8, 2).bits(17, np.array([0, 7, 8, 15, 16])).tolist() == [3, 8, 3, 8, 3]
    assert Cycle(3, 8, 2).counts(17) == {3: 5, 4: 2, 5: 2, 6: 4, 7: 2, 8: 2}


@given(st.integers(1, 16), st.integers(0, 15), st.integers(1, 40), st.integers(0, 5000))
def test_counts_are_those_of_all_iterations(low, more, cycles, extra):
    cycle, total = Cycle(low, low + more, cycles), cycles + extra
    found, counts = np.unique(cycle.bits(total, np.arange(total)), return_counts=True)
    assert cycle.counts(total) == dict(zip(found.tolist(), counts.tolist(), strict=True))


def test_a_milliard_iterations_are_counted():
    counts = Cycle(3, 8, 1).counts(10**9)
    assert sum(counts.values()) == 10**9
    assert counts[3] == 204832765  # arccos(4/5)/π of them, the first included


def test_costs():
    assert relative_cost(8, 8) == 0.0625
    assert relative_cost(32, 32) == 1
    assert relative_cost(np.array([2, 4]), 8).tolist() == [36 / 3072, 80 / 3072]
    assert Cycle(8, 8).saving(64, backward=8) == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [((8, 3), "E1501"), ((0, 8), "E1307"), ((3, 33), "E1307"), ((3, 8, 0), "E1307"), ((3.5, 8), "E1306")],
)
def test_impossible_cycles(arguments, code):
    with pytest.raises(InputError) as caught:
        Cycle(*arguments)
    assert caught.value.problems[0].code == code


def test_fewer_iterations_than_cycles():
    with pytest.raises(InputError, match="E1501 total: 31 iterations cannot hold 32 cycles"):
        Cycle(3, 8).counts(31)
