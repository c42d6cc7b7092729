"""The simple models find the constants that made the times."""

from dataclasses import replace

import numpy as np
import pytest

from perfmodel.cost.tiles import Tiles
from perfmodel.devices import find_device
from perfmodel.gemm import Gemm
from perfmodel.validate import baselines, matmul_heuristics, unseen
from perfmodel.validate.baselines import (
    modelled,
    one_scale,
    roofline_parts,
    roofline_three,
    tiles_seconds,
    tiles_two,
    unfitted,
)
from perfmodel.validate.leastsquares import fit_parts
from perfmodel.validate.problems import Lesson
from perfmodel.validate.readers import read_gemms

PAGED = [(n, k) for n in (640, 3072, 4096, 8192, 12288, 16384) for k in range(1024, 10241, 1024)]  # and short of it


@pytest.fixture
def problems(write_times, tiles_rows):
    (series,) = read_gemms(write_times("gemm_times.csv", tiles_rows("t4", "T4", 1.0))).series
    return series.problems


def learned(fit, problems, seconds, at=None):
    at = np.arange(0, 60, 2) if at is None else at
    asked = replace_at(problems, np.arange(1, 60, 2))
    return fit([Lesson(problems, at, seconds[at])])(asked).seconds, seconds[asked.at]


def replace_at(problems, at):
    from perfmodel.validate.problems import Question

    return Question(problems, at)


def test_one_scale_is_found_among_outliers(problems):
    seconds = 1.7 * tiles_seconds(problems)
    seconds[::14] *= 40.0
    found, wanted = learned(one_scale(tiles_seconds), problems, seconds)
    assert found == pytest.approx(wanted, rel=1e-9)


def test_unfitted_models_learn_nothing(problems):
    found, wanted = learned(unfitted(tiles_seconds), problems, 3 * tiles_seconds(problems))
    assert 3 * found == pytest.approx(wanted)


def test_three_factors_of_a_roofline_are_found(problems):
    compute, traffic = roofline_parts(problems)
    assert 10 < (1.5 * compute > 9.0 * traffic).sum() < 50  # both bounds are among them
    found, wanted = learned(roofline_three, problems, np.maximum(1.5 * compute, 9.0 * traffic) + 3e-5)
    assert found == pytest.approx(wanted, rel=1e-3)


def test_clock_and_launch_of_tiles_are_found(problems):
    body = tiles_seconds(problems) - 4e-6
    found, wanted = learned(tiles_two, problems, 1.4 * body + 2.5e-5)
    assert found == pytest.approx(wanted, rel=1e-5)


def test_outliers_weigh_little():
    base = np.arange(1.0, 31.0)
    seconds = 3.0 * base
    seconds[:3] *= 20.0
    (found,) = np.exp(fit_parts(lambda x: np.exp(x[:1])[:, None] * base, seconds, [np.zeros(1)]))
    assert found == pytest.approx(3.0, rel=0.02)


def test_the_best_start_counts():
    base = np.ones(5)
    found = fit_parts(lambda x: np.exp(x)[:, None] * base, 7 * base, [np.array([40.0]), np.array([1.0])])
    assert np.exp(found[0]) == pytest.approx(7.0)


def test_an_unseen_gpu_has_the_interval_of_the_others(problems):
    problems = replace(problems, device=replace(problems.device, architecture="ampere"))  # not limited by power
    tiles = tiles_seconds(problems)
    at = np.arange(20)
    slow = Lesson(problems, at, 2.0 * tiles[at])
    fast = Lesson(problems, at, 1.25 * tiles[at] * np.where(at % 2, 1.1, 1 / 1.1))
    guess = unseen.tiles_unseen([slow, fast])(replace_at(problems, np.array([30, 40])))
    assert guess.seconds.tolist() == tiles[[30, 40]].tolist()
    wide = np.exp(np.hypot(np.log(2.0), np.log(1.1)))  # the slower device, and the scatter of the other
    assert guess.high / guess.seconds == pytest.approx(wide)
    assert guess.seconds / guess.low == pytest.approx(wide)


def test_an_unseen_gpu_gets_from_a_watt_what_the_others_do(problems):
    work = np.array([gemm.flop for gemm in problems.kernels], dtype=float)
    lesson = Lesson(problems, np.arange(60), work / 3.5e12)  # of a T4 of 70 W
    ampere = replace(problems, device=replace(problems.device, architecture="ampere"))
    faster = Lesson(ampere, np.arange(60), work / 7e12)
    assert unseen.simt_flop_per_j([lesson, faster]) == pytest.approx(5e10)
    assert unseen.simt_flop_per_j([faster]) == np.inf
    guess = unseen.tiles_unseen([lesson])(replace_at(problems, np.arange(60)))
    assert (guess.seconds >= tiles_seconds(problems)).all()
    assert (guess.seconds > 0.9 * work / 3.5e12).all()


def test_an_unseen_gpu_pays_for_pages_what_others_do(problems):
    p4 = replace(problems, device=find_device("p4"), kernels=tuple(Gemm(4096, n, k) for n, k in PAGED))
    model = Tiles(p4.device)
    constants = replace(model.constants, simt_flop_per_j=np.inf, page_s=3e-9, page_bytes=1e9)
    seconds = 1.25 * modelled(replace(model, constants=constants), p4)
    page_s, page_bytes = unseen.pages([Lesson(p4, np.arange(60), seconds)], np.inf)
    assert (page_s, page_bytes) == (pytest.approx(1.25 * 3e-9, rel=0.01), pytest.approx(1e9, rel=0.01))
    on_t4 = Lesson(problems, np.arange(60), tiles_seconds(problems))
    short = Lesson(replace(p4, kernels=(Gemm(512, 512, 512),) * 60), np.arange(60), seconds)
    assert unseen.pages([on_t4], np.inf) == unseen.pages([short], np.inf) == (0.0, np.inf)


def test_modelled_times_are_remembered_by_series(problems):
    assert tiles_seconds(problems) is tiles_seconds(problems)
    assert tiles_seconds(replace(problems)) is not tiles_seconds(problems)
    assert baselines.roofline_seconds(problems).shape == (60,)


def answer_of(stdout, returncode=0):
    class Done:
        pass

    Done.stdout, Done.returncode = stdout, returncode
    return lambda *arguments, **options: Done


def test_the_published_predictor_is_asked_in_a_process_of_its_own(problems, monkeypatch):
    on_a100 = replace(problems, device=replace(problems.device, name="a100"))
    monkeypatch.setattr(matmul_heuristics.subprocess, "run", answer_of(str([0.5] * 60)))
    assert matmul_heuristics.speaks(on_a100)
    assert learned(matmul_heuristics.unfitted, on_a100, np.ones(60))[0].tolist() == [0.5] * 30


@pytest.mark.parametrize(
    "stdout", ["", "[0.5]", "null", str([0.5] * 59 + [-1.0]), '{"a": 1}', "[NaN" + ", 0.5" * 59 + "]"]
)
def test_a_predictor_that_fails_has_no_say(problems, monkeypatch, stdout):
    on_a100 = replace(problems, device=replace(problems.device, name="a100"))
    monkeypatch.setattr(matmul_heuristics.subprocess, "run", answer_of(stdout, 139))
    assert not matmul_heuristics.speaks(on_a100)


def test_the_predictor_has_no_say_on_devices_that_it_does_not_offer(problems):
    assert not matmul_heuristics.speaks(problems)
