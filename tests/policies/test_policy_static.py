"""Schedules given as lists."""

import pytest

from perfmodel.errors import InputError
from perfmodel.policies.static import StaticSchedule


def test_a_list_switches_at_the_ends_of_its_epochs():
    schedule = StaticSchedule([1, 4], ("dfx8", "dfx12", "fp32"))
    assert [schedule.format(epoch) for epoch in range(6)] == ["dfx8", "dfx8", "dfx12", "dfx12", "dfx12", "fp32"]
    decisions = [schedule.decide(epoch) for epoch in range(6)]
    assert [decision.epoch for decision in decisions if decision.switch] == [1, 4]
    assert decisions[1].format == "dfx12"
    assert decisions[0].format == "dfx8"


@pytest.mark.parametrize(
    ("switches", "code"), [([3, 3], "E1501"), ([1, 2, 3], "E1501"), ([-1], "E1307"), (["2"], "E1306")]
)
def test_lists_that_are_no_schedule(switches, code):
    with pytest.raises(InputError, match=code):
        StaticSchedule(switches, ("dfx8", "dfx12", "fp32"))
