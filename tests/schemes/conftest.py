"""Small networks and scheme files, and what a step of them consists of."""

import pytest

from perfmodel.gemm import Gemm
from perfmodel.networks import read_network
from perfmodel.schemes import Overhead, first_step, read_scheme, training_step

# For one image: first 3·4·4·2·9 = 864 MACs and 54 parameters, middle 2·4·4·3 = 96 and 6, last 32·5 = 160 and 165.
NETWORK = """
title = "Three layers"
source = "made up"
input = [2, 4, 4]
layers = [
  { op = "conv", name = "first", out = 3, kernel = 3, pad = 1, bias = false },
  { op = "conv", name = "middle", out = 2, kernel = 1, bias = false },
  { op = "linear", name = "last", out = 5 },
]
"""


@pytest.fixture
def network(tmp_path):
    """The network of three layers, or of the text given."""

    def read(text=NETWORK):
        path = tmp_path / "net.toml"
        path.write_text(text)
        return read_network(path)

    return read


@pytest.fixture
def scheme(tmp_path):
    """A scheme from the lines of its file, behind title and source."""

    def read(text):
        path = tmp_path / "mine.toml"
        path.write_text('title = "t"\nsource = "s"\n' + text)
        return read_scheme(path)

    return read


@pytest.fixture
def step(network):
    """One step of a scheme, by default its first, for two images of the network of three layers."""

    def make(scheme, formats=None, level="current", device=None, mapping="implicit", net=None):
        formats = formats or first_step(scheme)
        return training_step(net or network(), 2, scheme, formats, mapping, Overhead(level), device)

    return make


@pytest.fixture
def units(step):
    """The precision, the proxy and what is written, of each layer and pass: `{"first fprop": ("fp16", "", "fp16")}`."""

    def find(*arguments, **keywords):
        return {
            f"{work.layer} {work.pass_}": (work.kernel.precision.name, work.proxy, work.kernel.precision.output.name)
            for work in step(*arguments, **keywords)
            if isinstance(work.kernel, Gemm)
        }

    return find


@pytest.fixture
def added(step):
    """Layer, pass, kind, bytes read and written, and count, of what a scheme adds to a step."""

    def find(*arguments, kinds=("quantise", "cast", "scale"), **keywords):
        return [
            (work.layer, work.pass_, work.kind, work.kernel.bytes_read, work.kernel.bytes_written, work.count)
            for work in step(*arguments, **keywords)
            if work.kind in kinds
        ]

    return find
