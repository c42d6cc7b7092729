"""A small network whose layers share tensors, and a device to price it on."""

import pytest

from perfmodel.calibration import find_calibrated_model
from perfmodel.devices import find_device
from perfmodel.networks import read_network
from perfmodel.schemes import find_scheme
from perfmodel.simulate import Setting

# The input of a and b is one tensor, and so are the weights of b and c.
NETWORK = """
title = "Four layers"
source = "made up"
input = [64, 16, 16]
layers = [
  { op = "conv", name = "stem", out = 256, kernel = 3, pad = 1, bias = false },
  { op = "conv", name = "a", from = "stem", out = 512, kernel = 1, bias = false },
  { op = "conv", name = "b", from = "stem", out = 256, kernel = 3, pad = 1, bias = false },
  { op = "conv", name = "c", from = "b", out = 256, kernel = 3, pad = 1, bias = false, shares = "b" },
  { op = "concat", name = "both", from = ["a", "c"] },
  { op = "linear", name = "last", from = "both", out = 10 },
]
"""


@pytest.fixture
def network(tmp_path):
    """The network of four layers, or of the text given."""

    def read(text=NETWORK):
        path = tmp_path / "net.toml"
        path.write_text(text, encoding="utf-8")
        return read_network(path)

    return read


@pytest.fixture
def mixed():
    """The scheme that plans begin with."""
    return find_scheme("mixed")


@pytest.fixture
def setting():
    """A model of an RTX 2080 Ti, with intervals."""
    return Setting(find_calibrated_model("tiles", find_device("rtx-2080-ti"), "best", True, "default"))
