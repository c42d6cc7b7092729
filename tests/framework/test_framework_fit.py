"""The fit of frameworks' constants: recovers what made the rows, and never sees what is left out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.framework.fit import CONSTANTS, PRIOR, Rows, fit, leave_out, predict

TRUE = np.array([[0.6, 1.1, 1.5, 2.1, 0.9, 1.2, 7e-6], [0.6, 1.1, 1.5, 3.1, 1.8, 2.5, 20e-6]])


def rows_of(count=60, seed=3, truth=TRUE, noise=0.0, frameworks=2):
    draw = np.random.default_rng(seed)
    work = draw.lognormal(-6, 1.2, size=(count, len(CONSTANTS)))
    work[:, -1] = draw.integers(50, 2000, size=count)
    framework = np.arange(count) % len(truth)
    seconds = (work * truth[framework]).sum(axis=1) * np.exp(noise * draw.normal(size=count))
    return Rows(work, np.zeros(count), seconds, framework, frameworks)


def test_constants_that_made_the_rows_are_found():
    found = fit(rows_of())
    assert found == pytest.approx(TRUE, rel=0.06)
    assert predict(found, rows_of()) == pytest.approx(rows_of().measured_s, rel=0.02)


def test_one_odd_row_does_not_decide():
    rows = rows_of(noise=0.02)
    rows.measured_s[5] *= 20
    others = np.arange(60) != 5
    assert predict(fit(rows), rows)[others] == pytest.approx(rows.measured_s[others], rel=0.12)


def test_a_framework_with_few_rows_borrows_the_librarys_factors():
    rows = rows_of(80)
    few = rows.part((rows.framework == 0) | (np.arange(80) < 4))
    found = fit(few)
    assert found[1, :3] == pytest.approx(TRUE[1, :3], rel=0.1)


def test_frameworks_weigh_the_same_whatever_their_number_of_rows():
    fast, slow = TRUE.copy(), TRUE.copy()
    fast[:, :3], slow[:, :3] = 0.5, 1.0
    many, few = rows_of(60, truth=fast[:1]), rows_of(6, 11, truth=slow[1:])
    both = Rows(
        np.concatenate([many.work, few.work]), np.zeros(66), np.concatenate([many.measured_s, few.measured_s]),
        np.array([0] * 60 + [1] * 6), 2,
    )  # fmt: skip
    assert fit(both)[:, 1].min() > 0.6  # row by row the many would have it at 0.52


def test_a_framework_without_rows_gets_what_the_others_have_in_common():
    found = fit(rows_of(truth=TRUE[:1], frameworks=2))
    assert found[1, :3] == pytest.approx(found[0, :3], rel=0.01)
    assert (found > 0).all()


def test_given_seconds_are_not_scaled():
    rows = rows_of()
    later = Rows(rows.work, rows.given_s + 0.5, rows.measured_s + 0.5, rows.framework, 2)
    assert predict(fit(rows), later) == pytest.approx(predict(fit(rows), rows) + 0.5)


def test_without_rows_there_is_nothing_to_fit():
    rows = rows_of()
    with pytest.raises(ValueError, match="no rows to fit"):
        fit(rows.part(np.zeros(60, dtype=bool)))
    with pytest.raises(ValueError, match="no rows to fit"):
        leave_out(rows, ["same"] * 60)


def test_a_label_that_is_left_out_is_predicted_without_its_measurements():
    rows, labels = rows_of(noise=0.1), [f"network {i % 7}" for i in range(60)]
    predicted = leave_out(rows, labels)
    for name in ("network 0", "network 5"):
        mine = np.array([label == name for label in labels])
        spoilt = Rows(rows.work, rows.given_s, np.where(mine, 9.0, rows.measured_s), rows.framework, 2)
        assert leave_out(spoilt, labels)[mine] == pytest.approx(predicted[mine], rel=1e-12)
        assert leave_out(spoilt, labels)[~mine] != pytest.approx(predicted[~mine], rel=1e-3)


def test_a_planted_leak_is_found():
    """Rows that are judged by constants that saw them change with their own measurements."""
    rows = rows_of(noise=0.1)
    spoilt = Rows(rows.work, rows.given_s, rows.measured_s * np.where(np.arange(60) < 6, 3.0, 1.0), rows.framework, 2)
    leaking = predict(fit(rows), rows)[:6], predict(fit(spoilt), spoilt)[:6]
    assert leaking[0] != pytest.approx(leaking[1], rel=1e-3)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.floats(0.01, 100.0))
def test_a_clock_that_is_slower_by_a_factor_scales_predictions_with_it(seed, factor):
    rows = rows_of(40, seed)
    slower = Rows(rows.work * factor, rows.given_s, rows.measured_s * factor, rows.framework, 2)
    slower.work[:, -1] = rows.work[:, -1] * factor
    assert predict(fit(slower), slower) == pytest.approx(predict(fit(rows), rows) * factor, rel=1e-5)


def test_the_prior_is_good_kernels_and_ten_microseconds():
    assert PRIOR.tolist() == [1, 1, 1, 1, 1, 1, 10e-6]
    assert CONSTANTS == ("conv_3x3", "pointwise", "conv_other", "pooling", "forward", "backward", "kernel_s")
