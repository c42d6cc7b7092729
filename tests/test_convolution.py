"""Convolutions as numbers and as text, and as lowering makes them."""

from hypothesis import given
from hypothesis import strategies as st

from perfmodel.convolution import SIZES, Convolution
from perfmodel.gemm import find_precision
from perfmodel.lowering import layer_gemm
from perfmodel.networks import Conv2d, Linear

PAIRS = st.tuples(st.integers(1, 9), st.integers(1, 9))
ANY = st.builds(
    Convolution, st.sampled_from(("fprop", "dgrad", "wgrad")), *[st.integers(1, 99)] * 5, PAIRS, PAIRS,
    st.tuples(st.integers(0, 5), st.integers(0, 5)), PAIRS, st.integers(1, 4),
)  # fmt: skip
LAYER = Conv2d("c", ("x",), (6, 15, 17), 4, (7, 5), (2, 3), (3, 1), (1, 2), 2)


@given(ANY)
def test_numbers_say_everything(one):
    assert len(one.numbers) == SIZES
    assert Convolution.of_numbers(one.pass_, one.numbers) == one


@given(ANY, ANY)
def test_different_ones_never_read_alike(one, other):
    assert (one.text == other.text) == (one == other)


def test_a_layer_by_hand():
    one = layer_gemm(LAYER, "dgrad", 3, "implicit", find_precision("fp16")).conv
    assert one == Convolution("dgrad", 3, 6, 15, 17, 4, (7, 5), (2, 3), (3, 1), (1, 2), 2)
    assert one.out == LAYER.out_shape[1:] == (8, 4)  # (15 + 6 - 7)//2 + 1, (17 + 2 - 9)//3 + 1
    assert one.text == "dgrad 3x6x15x17*4x7x5 stride 2x3 pad 3x1 dilation 1x2 groups 2"


def test_only_convolutions_in_implicit_form_have_one():
    precision = find_precision("fp32")
    linear = Linear("fc", ("x",), (7, 1, 1), 5)
    assert layer_gemm(linear, "fprop", 3, "implicit", precision).conv is None
    assert layer_gemm(LAYER, "fprop", 3, "im2col", precision).conv is None
    assert layer_gemm(LAYER, "fprop", 3, "im2col-per-image", precision).conv is None
