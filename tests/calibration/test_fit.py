"""Fitting: what made-up timings of known truth give back."""

from dataclasses import replace

import numpy as np
import pytest

from perfmodel.calibration.fit import Rows, conformal_quantile, errors_of_folds, fit, fit_group
from perfmodel.calibration.priors import find_prior
from perfmodel.calibration.timings import Timings
from perfmodel.cost.estimate import Gemms
from perfmodel.cost.tiles import Tiles
from perfmodel.devices import find_device
from perfmodel.gemm import find_precision

MODEL, PRIOR = Tiles(find_device("v100")), find_prior()
FP32 = find_precision("fp32")


def made_up(count: int, seed: int = 0, layout: str = "tn", truth=lambda gemms, seconds: 1.3 * seconds) -> Timings:
    random = np.random.default_rng(seed)
    m, n, k = (2.0 ** random.uniform(7, 13, size=count) // 8 * 8 for _ in range(3))
    gemms = Gemms(FP32, m, n, k, np.ones(count), layout=layout)
    return Timings(gemms, truth(gemms, MODEL.gemms(gemms).seconds) * np.exp(random.normal(0, 0.02, size=count)))


def long_k_is_slow(gemms, seconds):
    return seconds * np.where(gemms.k > 2048, 2.0, 1.0)


def predicted(found, timings: Timings) -> np.ndarray:
    rows = Rows.of(MODEL, [timings])
    return np.exp(found.log_seconds(rows)[0])


def test_a_slower_clock_is_found():
    group = fit_group(MODEL, [made_up(40)], PRIOR)
    assert group.body == pytest.approx(1.3, rel=0.02)
    assert group.timings == 40
    assert group.mape < 0.03
    assert group.launch_s + group.timing_s < 3e-5


def test_a_trend_that_physics_does_not_have_is_learned_from_twenty_timings():
    train, test = made_up(20, 1, truth=long_k_is_slow), made_up(100, 2, truth=long_k_is_slow)
    rows = Rows.of(MODEL, [train])
    found = fit(rows, PRIOR)
    corrected = np.abs(predicted(found, test) / test.seconds - 1).mean()
    plain = np.abs(found.physics.seconds(Rows.of(MODEL, [test]).body_s) / test.seconds - 1).mean()
    assert corrected < 0.5 * plain


@pytest.mark.parametrize("count", [20, 60, 300])
def test_intervals_of_new_shapes_hold_nine_in_ten(count):
    train, test = made_up(count, 3, truth=long_k_is_slow), made_up(600, 4, truth=long_k_is_slow)
    rows, judged = Rows.of(MODEL, [train]), Rows.of(MODEL, [test])
    found = fit(rows, PRIOR)
    errors, deviations = errors_of_folds(rows, PRIOR, np.random.default_rng(0))
    quantile = conformal_quantile(np.abs(errors) / deviations, 0.9)
    mean, deviation = found.log_seconds(judged)
    inside = (np.abs(np.log(test.seconds) - mean) <= quantile * deviation).mean()
    assert 0.8 < inside < 0.99


def test_layouts_are_told_apart():
    row_major = made_up(40, 5)
    other = made_up(40, 5, layout="nt", truth=lambda gemms, seconds: 1.9 * seconds)
    found = fit(Rows.of(MODEL, [row_major, other]), PRIOR)
    assert np.median(predicted(found, other) / predicted(found, row_major)) > 1.2


def test_rows_keep_their_order_and_their_layout_when_some_are_taken():
    rows = Rows.of(MODEL, [made_up(3, 6), made_up(4, 7, layout="nt")])
    part = rows.take(np.array([1, 2, 4]))
    assert part.seconds.tolist() == rows.seconds[[1, 2, 4]].tolist()
    assert [one.gemms.layout for one in part.timings] == ["tn", "nt"]
    features = rows.features(rows.seconds)
    assert part.features(part.seconds) == pytest.approx(features[[1, 2, 4]])


def test_a_shape_timed_twice_is_never_predicted_from_its_twin():
    one = made_up(30, 8)
    twins = Timings(one.gemms, one.seconds * 3)  # the same shapes, three times slower: as another layout
    twins = Timings(replace(twins.gemms, layout="nt"), twins.seconds)
    alone, _ = errors_of_folds(Rows.of(MODEL, [one]), PRIOR, np.random.default_rng(0))
    both, _ = errors_of_folds(Rows.of(MODEL, [one, twins]), PRIOR, np.random.default_rng(0))
    assert len(both) == 60
    assert np.abs(both).mean() > np.abs(alone).mean()  # had twins helped, errors would have stayed small


def test_the_quantile_by_hand():
    assert conformal_quantile(np.array([3.0, 1.0, 2.0]), 0.5) == 2  # the ⌈4 · 0.5⌉ = 2nd
    assert conformal_quantile(np.array([3.0, 1.0, 2.0]), 0.9) == 3  # the 4th would be: the largest there is


def test_points_stand_for_several_timings_where_asked():
    group = fit_group(MODEL, [made_up(60)], PRIOR, timings_a_point=3)
    assert len(group.residual.errors) == 20
    assert len(fit_group(MODEL, [made_up(60)], PRIOR).residual.errors) == 60
