"""The priors that come with the package."""

import pytest

from perfmodel.calibration.priors import find_prior, priors_without
from perfmodel.cost.features import GEMM_FEATURES
from perfmodel.devices import device_names


def test_one_from_all_one_from_each_half_and_the_same_without_each_device():
    assert set(priors_without()) == {"v100", "a100", "t4", "p100", "p4", "gtx-1080-ti"}
    assert set(priors_without()) <= set(device_names())
    for without in ("", *priors_without()):
        for half in (None, 0, 1):
            prior = find_prior(without, half)
            assert len(prior.each) == len(prior.each_length) == len(prior.joint_length) == len(GEMM_FEATURES)
            assert 0.01 < prior.noise < 0.3
            assert prior.variance < 1


def test_leaving_a_device_or_a_half_out_gives_another_prior():
    found = {find_prior(without, half).noise for without in ("", "t4", "p4") for half in (None, 0, 1)}
    assert len(found) == 9


def test_an_unknown_one():
    with pytest.raises(KeyError):
        find_prior("h100")
