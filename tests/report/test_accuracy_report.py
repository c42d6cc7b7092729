"""Accuracies of traces by hand, and the time to them."""

from dataclasses import replace

import pytest

from perfmodel.cost import Tiles
from perfmodel.devices import find_device
from perfmodel.networks import find_network
from perfmodel.report.accuracy import accuracies, accuracy_frame, accuracy_table
from perfmodel.simulate import Setting, compare
from perfmodel.traces import PassPrecision, Segment, Trace

SETTING = Setting(Tiles(find_device("rtx-2080-ti")))


def trace(*found, metric="test_accuracy", scheme="fp32", dataset="cifar10"):
    """A run of an epoch of 7 iterations for each accuracy, None where the log has none."""
    precision = PassPrecision.same("dfx8" if scheme == "muppet" else "fp32")
    segments = tuple(
        Segment(e, 7, precision, metrics={"loss": 1.0} if value is None else {metric: value})
        for e, value in enumerate(found)
    )
    return Trace("resnet20", dataset, scheme, 700, 100, segments, {"made": "up"})


def compared(one):
    return compare(one, find_network("resnet20"), SETTING)


def test_the_best_the_last_and_the_first_that_reaches():
    found = accuracies(trace(50.0, None, 71.0, 70.0, 71.0))
    assert (found.metric, found.shares) == ("test_accuracy", False)
    assert (found.best, found.last) == ((2, 71.0), 71.0)
    assert [found.reached(target) for target in (50.0, 50.5, 71.0, 71.5)] == [0, 2, 2, None]


def test_shares_become_percent():
    found = accuracies(trace(0.25, 0.5, metric="val_acc"))
    assert found.shares
    assert found.by_epoch == {0: 25.0, 1: 50.0}


@pytest.mark.parametrize("metric", ["Test_Top1", "val/acc", "eval-accuracy", "validation.accuracy"])
def test_names_are_known_however_they_are_written(metric):
    assert accuracies(trace(50.0, metric=metric)).metric == metric


@pytest.mark.parametrize("metric", ["train_accuracy", "acc", "my_test_accuracy", "loss"])
def test_other_names_are_not_guessed(metric):
    assert accuracies(trace(50.0, metric=metric)) is None


def test_test_data_come_before_validation_data():
    both = trace(50.0)
    segment = replace(both.segments[0], metrics={"val_acc": 60.0, "test_top1": 40.0})
    assert accuracies(replace(both, segments=(segment,))).metric == "test_top1"


@pytest.mark.parametrize("values", [(50.0, 359.0), (-3.0, 60.0), (0.5, -0.1)])
def test_what_is_no_accuracy_is_not_used(values):
    assert accuracies(trace(*values)) is None


def test_percent_of_our_own_training_are_percent_however_small():
    ours = replace(trace(0.1, 0.1), source={"reader": "perfmodel train"})
    assert accuracies(ours).best == (0, 0.1)


def test_of_two_spellings_the_usual_one_counts():
    both = trace(50.0)
    segment = replace(both.segments[0], metrics={"Test/Acc": 90.0, "test_acc": 50.0})
    assert accuracies(replace(both, segments=(segment,))).metric == "test_acc"


def test_the_target_is_what_all_of_the_same_data_reach():
    runs = [trace(50.0, 72.0), trace(40.0, 60.0, 71.0, scheme="muppet"), trace(20.0, 30.0, dataset="cifar100")]
    comparisons = [compared(one) for one in runs]
    frame = accuracy_frame(["a", "b", "c"], comparisons, None)
    assert frame.target_accuracy.tolist() == [71.0, 71.0, 30.0]
    assert frame.target_epoch.tolist() == [1, 2, 1]
    step = comparisons[0].runs[0].seconds / 14
    assert frame.target_low_s[0] == frame.time_low_s[0] == pytest.approx(14 * step)
    assert frame.target_low_s[1] == pytest.approx(comparisons[1].runs[0].seconds)


def test_a_target_that_is_not_reached_is_told():
    frame = accuracy_frame(["a", "b"], [compared(trace(50.0, 72.0, 73.0)), compared(trace(80.0))], 72.0)
    assert frame.target_epoch.tolist() == [1, 0]
    frame = accuracy_frame(["a", "b"], [compared(trace(50.0, 72.0)), compared(trace(80.0))], 75.0)
    rows = accuracy_table(frame, "Time").rows()
    assert rows[0][:4] == ["a", "FP32", "72.00", "1"]
    assert rows[0][7:] == ["75.00", "not reached", "–", "–"]
    assert rows[1][7:9] == ["75.00", "epoch 0"]


def test_without_accuracies_there_is_no_row():
    assert not len(accuracy_frame(["a"], [compared(trace(None, None))], None))
