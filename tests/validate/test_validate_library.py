"""What a long series of convolutions teaches besides two constants, and that short ones teach just these."""

from dataclasses import replace

import numpy as np
import pytest

from perfmodel.cost.convolutions import ALGORITHMS, CONVOLUTION_FEATURES
from perfmodel.validate.contenders import LIBRARY, find_contenders
from perfmodel.validate.library import library_body, library_features, library_two, offered
from perfmodel.validate.library_residual import (
    LEAST_SHAPES,
    Rows,
    choose_prior,
    fit_session,
    library_learned,
    many_shapes,
)
from perfmodel.validate.problems import Lesson, Question
from perfmodel.validate.readers import read_convolutions

COUNT = 240
TAUGHT, ASKED = np.arange(0, COUNT, 2), np.arange(1, COUNT, 2)
SQUARE = {"r": 3, "s": 3, "pad_h": 1, "pad_w": 1, "stride_h": 1, "stride_w": 1, "precision": "fp32"}


@pytest.fixture
def problems(write_times):
    sizes = np.random.default_rng(7).integers((4, 16, 9, 16), (65, 600, 40, 600), (COUNT, 4)).tolist()
    rows = [SQUARE | {"n": n, "c": c, "h": h, "w": h + 3, "k": k} for n, c, h, k in sizes]
    (series,) = read_convolutions(write_times("conv_times.csv", rows)).series
    return series.problems


@pytest.fixture
def position(problems):
    return Rows.of(problems, np.arange(COUNT)).position


def lesson(problems, seconds, at=TAUGHT):
    return Lesson(problems, at, seconds[at])


def errors(guess, seconds):
    return np.abs(guess.seconds / seconds[ASKED] - 1)


def test_positions_count_the_rows_of_the_series(problems, position):
    assert position[:3].tolist() == [0, 1 / 240, 2 / 240]
    apart = replace(problems, lines=problems.lines * 17 + 3)
    assert Rows.of(apart, ASKED).position.tolist() == position[ASKED].tolist()


def test_a_session_that_slowed_down_is_found(problems, position):
    seconds = 1.3 * library_body(problems) + 5e-5 + 4e-4 * position
    found = fit_session(Rows.of(problems, TAUGHT), seconds[TAUGHT], True)
    assert (found.factor, found.added_s, found.drift_s) == pytest.approx((1.3, 5e-5, 4e-4), rel=1e-3)
    assert fit_session(Rows.of(problems, TAUGHT), seconds[TAUGHT], False).drift_s == 0
    guess = library_learned([lesson(problems, seconds)])(Question(problems, ASKED))
    assert guess.seconds == pytest.approx(seconds[ASKED], rel=5e-3)


def test_a_file_in_the_order_of_sizes_tells_no_drift(problems, position):
    rows = Rows.of(problems, TAUGHT)
    ordered = replace(rows, position=np.argsort(np.argsort(rows.body)) / len(rows.body))
    found = fit_session(ordered, 1.3 * rows.body + 5e-5, True)
    assert (found.factor, found.added_s, found.drift_s) == (pytest.approx(1.3), pytest.approx(5e-5), 0)


def test_a_trend_of_the_kernels_is_learned(problems, position):
    channels = np.array([gemm.conv.channels for gemm in problems.kernels])
    seconds = 1.2 * library_body(problems) * np.exp(0.5 * np.tanh(np.log(channels / 150))) + 2e-5 + 3e-4 * position
    asked = Question(problems, ASKED)
    assert errors(library_two([lesson(problems, seconds)])(asked), seconds).mean() > 0.15
    assert errors(library_learned([lesson(problems, seconds)])(asked), seconds).mean() < 0.05
    unordered = errors(library_learned([lesson(problems, seconds)], ordered=False)(asked), seconds).mean()
    assert 0.06 < unordered < 0.15


def test_who_is_blind_to_the_order_does_not_see_it(problems, position):
    seconds = 1.2 * library_body(problems) + 3e-4 * position
    turned = replace(problems, lines=problems.lines[::-1])
    guesses = [library_learned([lesson(one, seconds)], False)(Question(one, ASKED)) for one in (problems, turned)]
    assert guesses[0].seconds.tolist() == guesses[1].seconds.tolist()


def test_nine_in_ten_intervals_hold_and_grow_with_the_scatter(problems, position):
    widths = []
    for scatter in (0.05, 0.2):
        noise = np.exp(scatter * np.random.default_rng(11).standard_normal(COUNT))
        seconds = (1.2 * library_body(problems) + 3e-4 * position) * noise
        guess = library_learned([lesson(problems, seconds)])(Question(problems, ASKED))
        held = (guess.low <= seconds[ASKED]) & (seconds[ASKED] <= guess.high)
        assert 0.82 <= held.mean() <= 0.97  # of 120
        widths.append(np.median(np.log(guess.high / guess.low)) / scatter)
    assert widths == pytest.approx([2 * 1.645] * 2, rel=0.35)


def test_the_timings_choose_how_much_they_scatter(problems):
    rows, body = Rows.of(problems, TAUGHT), library_body(problems)[TAUGHT]
    noise = np.random.default_rng(13).standard_normal(len(TAUGHT))
    found = [choose_prior(rows, body * np.exp(scatter * noise), True).noise for scatter in (0.02, 0.15)]
    assert found == [0.03, 0.15]


def test_short_series_teach_two_constants(problems, position):
    seconds = 1.2 * library_body(problems) + 3e-4 * position
    few = lesson(problems, seconds, TAUGHT[: LEAST_SHAPES - 1])
    repeated = Lesson(problems, np.repeat(few.at, 2), np.repeat(few.seconds, 2))  # the same shapes twice are no more
    for lessons in ([few], [repeated], [few, few]):
        found, wanted = (fit(lessons)(Question(problems, ASKED)) for fit in (library_learned, library_two))
        for name in ("seconds", "low", "high"):
            assert getattr(found, name).tolist() == getattr(wanted, name).tolist()
    more = lesson(problems, seconds, TAUGHT[:LEAST_SHAPES])
    assert library_learned([more])(Question(problems, ASKED)).seconds.tolist() != wanted.seconds.tolist()


def test_times_without_sense_still_give_an_answer(problems):
    seconds = np.exp(3 * np.random.default_rng(17).standard_normal(COUNT))
    guess = library_learned([lesson(problems, seconds)])(Question(problems, ASKED))
    assert (guess.low > 0).all()
    assert (guess.low < guess.seconds).all()
    assert (guess.seconds < guess.high).all()
    assert np.isfinite(guess.high).all()


def test_of_very_long_series_a_part_is_learned(problems, position, monkeypatch):
    seconds = 1.2 * library_body(problems) + 3e-4 * position
    monkeypatch.setattr("perfmodel.validate.library_residual.MOST_TIMINGS", 60)
    found = library_learned([lesson(problems, seconds)])(Question(problems, ASKED))
    other = seconds.copy()
    other[TAUGHT[1]] *= 3.0  # none of the sixty
    again = library_learned([lesson(problems, other)])(Question(problems, ASKED))
    assert found.seconds.tolist() == again.seconds.tolist()
    assert found.seconds == pytest.approx(seconds[ASKED], rel=0.02)


def test_another_session_has_another_drift(problems, position):
    seconds = 1.2 * library_body(problems) + 3e-4 * position
    elsewhere = Question(replace(problems), ASKED)
    found, wanted = (fit([lesson(problems, seconds)])(elsewhere) for fit in (library_learned, library_two))
    assert found.seconds.tolist() == wanted.seconds.tolist()


def test_features_end_with_slower_algorithms_and_idle_pixels(write_times):
    rows = [
        SQUARE | {"n": n, "c": 64, "h": h, "w": w, "k": 64} for h, w in ((7, 12), (8, 8), (5, 5)) for n in (1, 2, 3)
    ]
    (series,) = read_convolutions(write_times("conv_times.csv", rows)).series
    found = library_features(series.problems)
    first, last = len(CONVOLUTION_FEATURES), len(ALGORITHMS)
    assert found.shape == (9, first + last + 3)
    behind = found[:, first:-3]
    assert behind.min(axis=1).tolist() == [0] * 9  # the fastest
    assert behind.max(axis=1).tolist() == [2] * 9  # not offered
    idle = [[8 / 7, 8 / 7, 8 / 7 * 16 / 12], [1, 1, 1], [1.44, 2.56, 2.56]]
    assert np.exp(found[::3, -3:]).tolist() == [pytest.approx(one) for one in idle]


def test_integers_have_no_gradients_to_price(write_times):
    rows = [SQUARE | {"precision": "int8", "accumulate": "int32", "device": "Tesla T4", "pass": one, "n": n, "c": 32}
            for one in ("fprop", "dgrad") for n in range(2, 12)]  # fmt: skip
    series = read_convolutions(write_times("conv_times.csv", rows)).series
    assert {one.problems.pass_: offered(one.problems) for one in series} == {"fprop": True, "dgrad": False}
    assert not any(many_shapes(one.problems) for one in series)


def test_only_long_series_have_a_line_with_their_drift(problems):
    (usual, drifting) = (one for one in find_contenders() if one.name.startswith(LIBRARY))
    assert [usual.speaks(problems), drifting.speaks(problems)] == [True, True]
    short = replace(problems, shapes=np.minimum(problems.shapes, np.sort(problems.shapes)[198]))
    assert [usual.speaks(short), drifting.speaks(short)] == [True, False]
