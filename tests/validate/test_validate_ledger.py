"""Planted leaks are found, and models are told nothing of the times that they are judged on."""

import numpy as np
import pytest

from perfmodel.validate import contenders, protocols
from perfmodel.validate.contenders import BASELINES, Contender, find_contenders
from perfmodel.validate.judging import judge
from perfmodel.validate.ledger import Leak, Ledger
from perfmodel.validate.problems import Guess, Question, Series
from perfmodel.validate.protocols import FEW, HALF, OTHER_GPUS
from perfmodel.validate.readers import read_gemms


@pytest.fixture
def measured(write_times, tiles_rows):
    """Three devices with the same shapes."""
    rows = [*tiles_rows("v100-sxm2", "V100", 1.25), *tiles_rows("t4", "T4", 1.75), *tiles_rows("p100", "P100", 1.5)]
    return read_gemms(write_times("gemm_times.csv", rows)).series


def fit_nothing(lessons):
    return lambda question: Guess.of(np.ones(len(question)))


def rows(*at):
    return np.array(at)


def test_a_row_that_was_fitted_on_is_not_judged(measured):
    ledger, one = Ledger(), measured[0]
    fitted = ledger.fit("m", fit_nothing, [one.lesson(rows(3, 5, 7))])
    with pytest.raises(Leak, match="m: fitted on 1 of the rows"):
        ledger.judge(fitted, one.question(rows(2, 5, 9)))
    assert len(ledger.judge(fitted, one.question(rows(2, 9))).seconds) == 2


def test_a_shape_that_was_fitted_on_is_not_judged_on_another_device(measured):
    ledger, (one, other, _) = Ledger(), measured
    fitted = ledger.fit("m", fit_nothing, [one.lesson(rows(3, 5))])
    with pytest.raises(Leak, match="1 of the shapes"):
        ledger.judge(fitted, other.question(rows(5, 9)))
    assert len(ledger.judge(fitted, other.question(rows(9))).seconds) == 1


def test_constants_from_a_device_do_not_judge_it(measured):
    ledger, one = Ledger(), measured[0]
    fitted = ledger.fit("m", fit_nothing, [one.lesson(rows(3))], frozenset({"a100", one.problems.device.name}))
    with pytest.raises(Leak, match=f"come from {one.problems.device.name} itself"):
        ledger.judge(fitted, one.question(rows(5)))


def test_a_leaking_split_is_found_in_the_whole_run(measured, monkeypatch):
    """The plant: one row of the judged half is fitted on as well."""

    def leaky(series):
        (fitted, judged), back = honest(series)
        return [(np.append(fitted, judged[4]), judged), back]

    honest = protocols.split
    monkeypatch.setattr(protocols, "split", leaky)
    with pytest.raises(Leak, match=r"roofline, one scale: fitted on 1 of the rows"):
        judge(measured, BASELINES, 1, Ledger())


def test_a_leaking_half_of_other_devices_is_found_in_the_whole_run(measured):
    """The plant: a device says that its shapes lie in the other halves."""
    one, other, third = measured
    from dataclasses import replace

    swapped = Series(replace(other.problems, halves=1 - other.problems.halves), other.seconds, other.tags)
    unseen = [contender for contender in BASELINES if OTHER_GPUS in contender.protocols]
    with pytest.raises(Leak, match="of the shapes"):
        judge([one, swapped, third], unseen, 1, Ledger())


def test_a_prior_that_knows_the_judged_device_is_found_in_the_whole_run(measured):
    spoilt = Contender("spoilt", fit_nothing, (HALF,), devices=lambda device: frozenset({device.name}))
    with pytest.raises(Leak, match="spoilt: its constants come from"):
        judge(measured, [spoilt], 1, Ledger())


def test_the_calibrated_model_comes_with_constants_of_other_devices_alone(measured):
    (ours,) = [one for one in contenders.GEMMS if one.name == contenders.CALIBRATED]
    for one in measured:
        known = ours.devices(one.problems.device)
        assert known
        assert not known & {one.problems.device.name, one.problems.device.name.removesuffix("-sxm2")}


def test_questions_hold_no_times(measured):
    question = measured[0].question(rows(3, 5))
    assert set(Question.__slots__) == {"problems", "at"}
    assert not any("second" in name for name in vars(question.problems))


def test_judged_times_change_no_guess(measured):
    """Times of one half are doubled: what is said of that half, by every model and protocol, stays the same."""
    kept = []

    class Recorder(Ledger):
        def judge(self, fitted, question):
            guess = super().judge(fitted, question)
            halves = set(question.problems.halves[question.at].tolist())
            if halves == {1} and fitted.name != "roofline":
                kept.append((fitted.name, question.problems.device.name, guess.seconds.tolist(), guess.low.tolist()))
            return guess

    fitted = [one for one in find_contenders() if "gemm" in one.kinds]
    changed = [
        Series(one.problems, np.where(one.problems.halves == 1, 2 * one.seconds, one.seconds), one.tags)
        for one in measured
    ]
    judge(measured, fitted, 2, Recorder())
    before, kept[:] = list(kept), []
    judge(changed, fitted, 2, Recorder())
    assert len(before) == len(kept) > 20
    np.testing.assert_equal(kept, before)


def test_a_guess_that_is_no_time_is_a_mistake_of_the_program(measured):
    ledger, one = Ledger(), measured[0]
    for wrong in (np.array([np.nan]), np.array([0.0]), np.ones(2)):
        fitted = ledger.fit("m", lambda lessons, wrong=wrong: lambda question: Guess.of(wrong), [])
        with pytest.raises(AssertionError, match="a guess is missing"):
            ledger.judge(fitted, one.question(rows(3)))


def test_fits_and_judgements_are_counted(measured):
    ledger = Ledger()
    judge(measured[:1], [Contender("m", fit_nothing, (FEW, HALF))], 3, ledger)
    assert (ledger.fits, ledger.judgements) == (8, 8)  # 3 draws and the halves, two directions each
