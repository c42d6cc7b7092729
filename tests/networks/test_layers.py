"""Layers alone: output shapes, multiply-accumulates and parameters, by hand and by counting."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.networks import Conv2d, Linear, MemoryBound
from perfmodel.networks.layers import elements

SIZES = st.integers(1, 20)
SMALL = st.integers(1, 5)


def conv(shape, out=2, **keys):
    return Conv2d("c", ("input",), shape, out, **{"kernel": (1, 1), **keys})


def windows(n, kernel, stride, pad, dilation):
    """Positions of a dilated kernel inside the padded input, counted one by one."""
    taps = [dilation * i for i in range(kernel)]
    return sum(all(0 <= start + tap < n + 2 * pad for tap in taps) for start in range(0, n + 2 * pad, stride))


@pytest.mark.parametrize(
    ("shape", "keys", "size"),
    [
        ((3, 224, 224), {"kernel": (11, 11), "stride": (4, 4), "padding": (2, 2)}, (55, 55)),
        ((3, 224, 224), {"kernel": (7, 7), "stride": (2, 2), "padding": (3, 3)}, (112, 112)),
        ((1, 5, 9), {"kernel": (1, 1)}, (5, 9)),
        ((1, 5, 9), {"kernel": (3, 5)}, (3, 5)),
        ((1, 5, 9), {"kernel": (5, 3)}, (1, 7)),
        ((1, 5, 9), {"kernel": (3, 5), "padding": (1, 0)}, (5, 5)),
        ((1, 5, 9), {"kernel": (2, 2), "stride": (2, 3)}, (2, 3)),  # rows 0, 2; columns 0, 3, 6
        ((1, 7, 7), {"kernel": (3, 3), "dilation": (2, 3)}, (3, 1)),  # spans 5 and 7
        ((1, 7, 7), {"kernel": (3, 3), "dilation": (2, 3), "padding": (2, 3), "stride": (2, 2)}, (4, 4)),
        ((1, 3, 3), {"kernel": (5, 3)}, (-1, 1)),  # no window fits; the reader of networks refuses it
    ],
)
def test_conv_output_size_by_hand(shape, keys, size):
    assert conv(shape, out=4, **keys).out_shape == (4, *size)


@given(SIZES, SIZES, SMALL, SMALL, SMALL, SMALL, st.integers(0, 4), st.integers(0, 4), SMALL, SMALL)
def test_conv_output_size_is_the_number_of_windows(h, w, r, s, sh, sw, ph, pw, dh, dw):
    layer = conv((1, h, w), kernel=(r, s), stride=(sh, sw), padding=(ph, pw), dilation=(dh, dw))
    counted = (windows(h, r, sh, ph, dh), windows(w, s, sw, pw, dw))
    assert tuple(max(0, n) for n in layer.out_shape[1:]) == counted


@given(st.integers(1, 3), SMALL, SMALL, st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
def test_conv_macs_and_weights_are_those_of_its_connections(groups, h, w, c, k, r, s):
    layer = conv((groups * c, h + r, w + s), out=groups * k, kernel=(r, s), groups=groups)
    connected = [  # output channel and input channel of the same group
        (o, i) for o, i in product(range(groups * k), range(groups * c)) if o // k == i // c
    ]
    weights = [(o, i, y, x) for (o, i) in connected for y in range(r) for x in range(s)]
    assert layer.weights == len(weights)
    assert layer.macs == len(weights) * windows(h + r, r, 1, 0, 1) * windows(w + s, s, 1, 0, 1)


def test_conv_parameters_with_and_without_bias():
    plain = conv((3, 5, 7), out=4, kernel=(3, 2))
    assert (plain.weights, plain.parameters, plain.parameter_tensors) == (72, 76, 2)
    bare = conv((3, 5, 7), out=4, kernel=(3, 2), bias=False)
    assert (bare.weights, bare.parameters, bare.parameter_tensors) == (72, 72, 1)


def test_shared_weights_are_multiplied_but_not_counted_again():
    again = conv((3, 5, 7), out=4, kernel=(3, 2), shares="conv1")
    assert (again.weights, again.parameters, again.parameter_tensors) == (72, 0, 0)
    assert again.macs == 72 * 3 * 6
    fc = Linear("fc2", ("fc1",), (5, 1, 1), 5, shares="fc1")
    assert (fc.weights, fc.macs, fc.parameters, fc.parameter_tensors) == (25, 25, 0, 0)


def test_depthwise_conv():
    layer = conv((8, 6, 6), out=8, kernel=(3, 3), padding=(1, 1), groups=8, bias=False)
    assert (layer.out_shape, layer.weights, layer.macs) == ((8, 6, 6), 72, 72 * 36)


def test_linear_flattens_its_input():
    layer = Linear("fc", ("pool",), (256, 6, 6), 4096)
    assert layer.in_features == 9216
    assert layer.out_shape == (4096, 1, 1)
    assert (layer.macs, layer.weights) == (37_748_736, 37_748_736)
    assert (layer.parameters, layer.parameter_tensors) == (37_752_832, 2)


def test_linear_without_bias():
    layer = Linear("fc", ("pool",), (3, 1, 1), 5, bias=False)
    assert (layer.parameters, layer.parameter_tensors) == (15, 1)


def test_only_batch_norm_of_the_memory_bound_layers_is_trained():
    shape = (7, 3, 5)
    norm = MemoryBound("bn", ("c",), "batch_norm", (shape,), shape)
    assert (norm.parameters, norm.parameter_tensors, norm.macs, norm.weights) == (14, 2, 0, 0)
    relu = MemoryBound("relu", ("bn",), "relu", (shape,), shape)
    assert (relu.parameters, relu.parameter_tensors, relu.macs, relu.weights) == (0, 0, 0, 0)


def test_the_first_of_several_inputs_is_the_in_shape():
    joined = MemoryBound("cat", ("a", "b"), "concat", ((2, 3, 3), (5, 3, 3)), (7, 3, 3))
    assert joined.in_shape == (2, 3, 3)


def test_elements():
    assert elements((3, 5, 7)) == 105
