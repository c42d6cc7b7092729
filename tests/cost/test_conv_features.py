"""The numbers of a convolution that its model's error may depend on."""

import numpy as np
import pytest

from perfmodel.convolution import Convolution
from perfmodel.cost.convolutions import CONVOLUTION_FEATURES, features
from perfmodel.cost.tiles import Tiles
from perfmodel.devices import find_device
from perfmodel.gemm import find_precision

T4, FP32 = Tiles(find_device("t4")), find_precision("fp32")


def named(one: Convolution, seconds: float, algorithm: str) -> dict[str, float]:
    found = features([one], FP32, T4, np.array([seconds]), [algorithm])[0]
    centre, scale = np.array(list(CONVOLUTION_FEATURES.values())).T
    return dict(zip(CONVOLUTION_FEATURES, (found * scale + centre).tolist(), strict=True))


def test_features_of_a_convolution_typed_by_hand():
    found = named(Convolution("fprop", 30, 12, 9, 11, 33, (3, 5), (2, 1)), 2e-4, "winograd")  # output 4 x 7
    inputs, outputs, weights = 30 * 12 * 99, 30 * 33 * 28, 33 * 12 * 15
    compute_s = 2 * outputs * 12 * 15 / (2 * 64 * 40 * 1.59e9)
    memory_s = 4 * (inputs + outputs + weights) / 320e9
    logs = {
        "images": 30, "channels": 12, "filters": 33, "pixels": 28, "taps": 15, "padded_images": 32 / 30,
        "padded_channels": 16 / 12, "padded_filters": 64 / 33, "seconds": 2e-4, "intensity": compute_s / memory_s,
        "waves": outputs / (128 * 128 * 40),
    }  # fmt: skip
    plain = {"strided": 1, "wide_padding": 0, "winograd": 1, "winograd_fused": 0}
    assert found == pytest.approx({name: np.log(value) for name, value in logs.items()} | plain)


def test_padding_is_bounded_and_wide_padding_seen():
    found = named(Convolution("fprop", 1, 1, 9, 9, 1, (1, 1), padding=(0, 1)), 1e-5, "winograd-fused")
    for name in ("padded_images", "padded_channels", "padded_filters"):
        assert found[name] == pytest.approx(np.log(4))
    assert (found["wide_padding"], found["winograd"], found["winograd_fused"], found["strided"]) == (1, 0, 1, 0)


def test_an_algorithm_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="direct"):
        named(Convolution("fprop", 1, 1, 9, 9, 1, (1, 1)), 1e-5, "direct")
