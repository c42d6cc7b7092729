"""A model corrected by timings: what a calibration changes, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from perfmodel.cost.calibrated import Calibrated
from perfmodel.cost.calibration import Calibration, Group
from perfmodel.cost.doubt import Doubt, find_doubts
from perfmodel.cost.estimate import Gemms, Streams, price
from perfmodel.cost.features import GEMM_FEATURES, gemm_features
from perfmodel.cost.residual import Prior, Residual
from perfmodel.cost.tiles import Tiles
from perfmodel.devices import find_device
from perfmodel.gemm import ACCUMULATORS, Gemm, find_precision
from perfmodel.lowering import Delay, MemoryOp

MODEL = Tiles(find_device("v100"))
GEMM = Gemm(640, 384, 512)
COUNT = len(GEMM_FEATURES)
PRIOR = Prior(0.3, 0.4, 0.05, 0.0, np.ones(COUNT), np.full(COUNT, 1e-6), np.ones(COUNT))
DOUBTS = {"fp16": Doubt(0.3, 0.4, False), "memory": Doubt(0.1, 0.2, True)}


def calibration(body=2.0, launch_s=3e-6, timing_s=5e-5, errors=(0.0,), points=None) -> Calibration:
    points = np.full((1, COUNT), 900.0) if points is None else points  # far from every GEMM
    residual = Residual(PRIOR, points, np.array(errors), np.full(len(errors), 0.01))
    group = Group("fp32", 21, body, launch_s, timing_s, residual, 2.0, 0.1, 1e-5, 1.0)
    return Calibration("mine", "Mine", "hand", "v100", "2026-11-22", {"fp32": group})


def body_s() -> float:
    return MODEL.gemms(Gemms.of([GEMM])).seconds[0] - MODEL.constants.launch_s


def test_constants_by_hand():
    model = Calibrated(MODEL, calibration(), DOUBTS)
    found = model.gemms(Gemms.of([GEMM]))
    assert found.seconds == pytest.approx([2 * body_s() + 3e-6])
    assert found.basis == "calibrated"
    assert found.detail == MODEL.gemms(Gemms.of([GEMM])).detail
    timed = replace(model, timed=True).gemms(Gemms.of([GEMM]))
    assert timed.seconds == pytest.approx([2 * body_s() + 5.3e-5])


def test_a_correction_where_it_was_learned():
    timing_s = np.array([2 * body_s() + 5.3e-5])
    points = gemm_features(Gemms.of([GEMM]), MODEL.device, timing_s)
    found = Calibrated(MODEL, calibration(errors=(0.2,), points=points), {}).gemms(Gemms.of([GEMM]))
    # variance 0.3² + 0.4² = 0.25 against 0.01 of the point
    assert found.seconds == pytest.approx([(2 * body_s() + 3e-6) * np.exp(0.2 * 0.25 / 0.26)], rel=1e-6)
    assert found.spreads.shared == pytest.approx([2 * (0.25 - 0.25**2 / 0.26) ** 0.5], rel=1e-6)
    assert found.spreads.own == pytest.approx([2 * 0.05])
    assert found.spreads.source == "gemm fp32"


def test_each_gemm_is_corrected_in_its_own_layout():
    timing_s = np.array([2 * body_s() + 5.3e-5])
    points = gemm_features(Gemms.of([GEMM]), MODEL.device, timing_s)
    model = Calibrated(MODEL, calibration(errors=(0.2,), points=points), {})
    plain, turned = price(model, [GEMM, replace(GEMM, layout="nt")]).seconds
    assert plain == pytest.approx((2 * body_s() + 3e-6) * np.exp(0.2 * 0.25 / 0.26), rel=1e-6)
    assert turned < 0.97 * plain  # farther from what was timed, hence corrected less


def test_intervals_widen_away_from_the_timings():
    timing_s = np.array([2 * body_s() + 5.3e-5])
    points = gemm_features(Gemms.of([GEMM]), MODEL.device, timing_s)
    model = Calibrated(MODEL, calibration(errors=(0.2,), points=points), {})
    near, far = (model.gemms(Gemms.of([one])).spreads.half_widths[0] for one in (GEMM, Gemm(3, 7, 90_001)))
    assert far > 3 * near


def test_beyond_the_timings_an_interval_is_no_narrower_than_an_unseen_gpus():
    doubts = DOUBTS | {"fp32": Doubt(0.3, 0.4, False)}
    model = Calibrated(MODEL, calibration(body=1.0), doubts)  # timings from 10 us to 1 s
    sure = replace(model.calibration.groups["fp32"], quantile=0.01)
    model = replace(model, calibration=replace(model.calibration, groups={"fp32": sure}))
    within, beyond = (model.gemms(Gemms.of([one])).spreads for one in (GEMM, Gemm(90_000, 90_000, 90_000)))
    assert within.half_widths[0] < 0.02
    assert beyond.half_widths == pytest.approx([0.5])


def test_no_more_is_shared_than_on_an_unseen_gpu():
    found = Calibrated(MODEL, calibration(), DOUBTS | {"fp32": Doubt(0.3, 0.4, False)}).gemms(Gemms.of([GEMM])).spreads
    assert found.shared == pytest.approx([0.3])
    # Far from its only point the correction knows the constant alone, 2·(0.25 - 0.09² / 0.26 + 0.05²)^0.5 = 0.94: more
    # than nothing timed at all leaves in doubt.
    assert found.half_widths == pytest.approx([0.5])
    free = Calibrated(MODEL, calibration(), {}).gemms(Gemms.of([GEMM])).spreads
    assert free.half_widths == pytest.approx([2 * (0.25 - 0.09**2 / 0.26 + 0.05**2) ** 0.5])


@pytest.mark.parametrize("gemm", [GEMM, Gemm(90_000, 90_000, 90_000)])
def test_timings_that_scatter_more_than_gpus_differ_are_believed(gemm):
    model = Calibrated(MODEL, calibration(body=1.0), DOUBTS | {"fp32": Doubt(0.3, 0.4, False)})
    wild = replace(model.calibration.groups["fp32"], quantile=20.0)
    model = replace(model, calibration=replace(model.calibration, groups={"fp32": wild}))
    found = model.gemms(Gemms.of([gemm])).spreads
    assert found.half_widths == pytest.approx([20 * 0.05])
    assert found.shared[0] <= 0.3


def test_other_precisions_are_the_models_and_doubted():
    model = Calibrated(MODEL, calibration(), DOUBTS)
    half = Gemms.of([Gemm(640, 384, 512, precision=find_precision("fp16"))])
    found = model.gemms(half)
    assert found.seconds == MODEL.gemms(half).seconds
    assert (found.basis, found.spreads.source) == ("analytical", "gemm fp16")
    assert found.spreads.half_widths == pytest.approx([0.5])
    streams = model.memory(Streams.of([MemoryOp(3e6, 5e6)]))
    assert (streams.spreads.shared[0], streams.spreads.own[0], streams.spreads.source) == (0.1, 0.2, "memory")


def test_without_calibration_or_doubt_nothing_is_known():
    model = Calibrated(MODEL, None, {})
    assert model.gemms(Gemms.of([GEMM])).spreads is None
    assert np.isnan(price(model, [GEMM]).widths[0][:2]).all()


def test_what_is_given_is_exact():
    assert price(Calibrated(MODEL, None, DOUBTS), [Delay(0.5, "given")]).widths == [(0.0, 0.0, "")]


def test_every_format_of_a_gemm_unit_has_its_doubt():
    doubts = find_doubts("tiles")
    assert set(doubts) == {*ACCUMULATORS, "memory"}
    assert all(0 < doubt.shared < 1 for doubt in doubts.values())
