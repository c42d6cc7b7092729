"""CPT's search for the fewest bits, on accuracies whose means are known by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.policies.range_test import Gain, RangeRule, RangeTest, replay_range_test

RULE = RangeRule(lowest=3, highest=6, averaged=2, threshold=4)


def test_the_first_bits_that_gain_enough():
    test = replay_range_test([10, 12, 13, 11, 10, 12, 14, 18, 99], RULE)
    assert test.found == 4
    assert test.bits is None
    assert test.gains == [Gain(3, 11, 12, False), Gain(4, 11, 16, True)]
    assert [gain.gain for gain in test.gains] == [1, 5]


def test_a_gain_of_just_the_threshold_is_not_enough():
    assert replay_range_test([0, 0, 4, 4], RULE).bits == 4


def test_no_bits_are_enough():
    test = replay_range_test([7.0] * 16, RULE)
    assert (test.found, test.bits, [gain.bits for gain in test.gains]) == (None, None, [3, 4, 5, 6])


@given(st.lists(st.floats(0, 100), max_size=30))
def test_in_a_loop_as_on_a_log(accuracies):
    online = RangeTest(RULE)
    bits = [online.observe(accuracy) for accuracy in accuracies]
    offline = replay_range_test(accuracies, RULE)
    assert (online.found, online.gains) == (offline.found, offline.gains)
    tried = [b for b in bits if b is not None]
    assert tried == sorted(tried)


def test_what_is_refused():
    with pytest.raises(InputError, match="E1501 lowest: 9 bits are more"):
        RangeRule(lowest=9)
    with pytest.raises(InputError, match="E1307 averaged"):
        RangeRule(averaged=0)
    with pytest.raises(InputError, match="E1307 accuracy"):
        RangeTest().observe(float("nan"))
