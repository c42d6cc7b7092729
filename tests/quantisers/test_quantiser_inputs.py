"""What every quantiser does with tensors, widths and random numbers of any kind: an answer or a named error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.quantisers import affine, blocks, dorefa, fixed, floats, fp8, program
from perfmodel.quantisers.codes import decode
from perfmodel.quantisers.distortion import distortion

STOCHASTIC = {
    "program": lambda x, u: program.rounded(x, 8, u)[0],
    "program, images": lambda x, u: program.rounded(x, 8, u, per_image=True)[0],
    "e4m3": lambda x, u: floats.rounded(x, floats.E4M3, u),
    "tf32": lambda x, u: floats.rounded(x, floats.TF32, u, saturate=True),
    "fp8": lambda x, u: fp8.rounded(x, "errors", u),
    "scaled": lambda x, u: fp8.scaled(x, uniform=u)[0],
    "tiles": lambda x, u: blocks.rounded(x, 7, 2, u),
    "samples": lambda x, u: blocks.rounded_by_sample(x, 11, u),
    "gradients": lambda x, u: dorefa.gradients(x, 6, u),
    "affine": lambda x, u: affine.rounded(x, 5, affine.tensor_range(x), u),
    "channels": lambda x, u: affine.rounded(x, 5, affine.channel_range(x), u),
    "fixed": lambda x, u: fixed.rounded(x, 12, 8, u),
}
NEAREST = {
    "e5m2": lambda x: floats.rounded(x, floats.E5M2),
    "hybrid": lambda x: fp8.rounded(x, "weights", hybrid=True),
    "tile": lambda x: blocks.rounded(x, 7, 0),
    "one bit": lambda x: dorefa.weights(x, 1),
    "weights": lambda x: dorefa.weights(x, 4),
    "activations": lambda x: dorefa.activations(x, 4),
    "signs": fixed.signs,
}
DRAWS = pytest.mark.parametrize("quantiser", STOCHASTIC.values(), ids=STOCHASTIC)
SHAPES = st.sampled_from([(0,), (1,), (6,), (2, 3), (3, 2, 1), (1, 6), (0, 3), (2, 0)])


def code(call, *arguments, **named):
    with pytest.raises(InputError) as caught:
        call(*arguments, **named)
    return caught.value.problems[0].code


@pytest.mark.parametrize("quantiser", [*STOCHASTIC.values(), *NEAREST.values()], ids=[*STOCHASTIC, *NEAREST])
@given(st.data(), st.sampled_from([np.uint16, np.uint32, np.uint64]), SHAPES)
@settings(max_examples=150)  # for each of nineteen
def test_any_bits_of_any_float_give_an_answer_or_a_named_error(quantiser, data, raw, shape):
    n = int(np.prod(shape))
    top = np.iinfo(raw).max
    patterns = st.integers(0, top) | st.sampled_from([0, 1, top, top >> 1, (top >> 1) + 1])
    x = np.array(data.draw(st.lists(patterns, min_size=n, max_size=n)), raw).view(f"f{raw().itemsize}").reshape(shape)
    kept = x.tobytes()
    arguments = () if quantiser in NEAREST.values() else (np.random.default_rng(1) if n % 2 else None,)
    if quantiser is STOCHASTIC["fp8"]:
        arguments = (np.full(shape, 0.5),)
    if np.isinf(x).any() and quantiser in (STOCHASTIC["program"], STOCHASTIC["program, images"]):
        assert code(quantiser, x, *arguments) == "E1524"
        return
    got = quantiser(x, *arguments)
    assert got.shape == x.shape
    assert got.dtype == (np.float64 if raw == np.uint64 else np.float32)
    assert x.tobytes() == kept
    assert not np.shares_memory(got, x)
    distortion(x, got, (-1, 1))


@DRAWS
def test_a_generator_draws_what_it_would_give_and_nothing_else_is_random(quantiser):
    x = np.random.default_rng(3).standard_normal((5, 7), np.float32)
    drawn = quantiser(x, np.random.default_rng(4))
    given_ = quantiser(x, np.random.default_rng(4).random((5, 7), np.float32))
    assert drawn.tobytes() == given_.tobytes()
    assert drawn.tobytes() != quantiser(x, np.random.default_rng(5)).tobytes()


@DRAWS
@pytest.mark.parametrize(
    "uniform",
    [np.ones(4), np.array([0, 0.5, -0.1, 0.2]), np.array([0, 0.5, np.nan, 0.2]), np.zeros(4, int), np.zeros(3),
     np.zeros((2, 4)), np.zeros(4, np.float16), [["a"] * 4], 3],
)  # fmt: skip
def test_numbers_that_do_not_fit_are_refused(quantiser, uniform):
    x = np.array([0.3, 0.7, -2.0, 0.1])
    assert code(quantiser, x, uniform) == "E1523"


@pytest.mark.parametrize("quantiser", NEAREST.values(), ids=NEAREST)
@pytest.mark.parametrize("x", ["abc", None, [1j], [[1, 2], [3]], [object()], np.array(["1"]), {}])
def test_what_is_no_tensor_is_refused(quantiser, x):
    assert code(quantiser, x) == "E1525"


@pytest.mark.parametrize("bits", [0, -1, 1.5, 8.0, "8", True, None, 99, 10**30, float("nan")])
def test_widths_without_a_meaning_are_refused(bits):
    x = np.ones((2, 2))
    for call in (
        lambda: program.rounded(x, bits), lambda: blocks.rounded(x, bits), lambda: dorefa.weights(x, bits),
        lambda: dorefa.activations(x, bits), lambda: dorefa.gradients(x, bits), lambda: fixed.rounded(x, bits, 3),
        lambda: affine.rounded(x, bits, affine.tensor_range(x)), lambda: floats.FloatFormat("x", bits, 3),
        lambda: floats.FloatFormat("x", 4, bits), lambda: fixed.fitting_point(x, bits),
    ):  # fmt: skip
        assert code(call) == "E1521"


def test_other_options_without_a_meaning_are_refused():
    x = np.ones((2, 2))
    assert {code(blocks.rounded, x, 7, tile) for tile in (-1, 2.0, "24", True, None, 2**31)} == {"E1522"}
    assert {code(fixed.rounded, x, 8, point) for point in (2.5, "1", 1101, -1101, 10**400, None)} == {"E1527"}
    assert code(fp8.rounded, x, "biases") == "E1528"
    assert code(affine.tensor_range, x, "mean") == "E1528"
    assert code(floats.FloatFormat, "x", 8, 3, infinities=False) == "E1521"
    assert {code(fixed.fitting_point, np.array([v]), 8) for v in (np.inf, np.nan)} == {"E1524"}
    for call in (program.exponents, dorefa.gradients):
        assert code(call, 1.0, 8, **({"per_image": True} if call is program.exponents else {})) == "E1526"
    assert {code(affine.tensor_range, np.ones(3), "reference"), code(affine.channel_range, 1.0)} == {"E1526"}
    for codes in (np.array([256]), np.array([-1]), np.array([1.0]), "a", [None]):
        assert code(decode, codes, floats.E4M3) == "E1529"


def test_numpy_numbers_are_widths_too():
    x = np.array([0.3, 0.7])
    assert (blocks.rounded(x, np.int64(7), np.uint8(2)) == blocks.rounded(x, 7, 2)).all()
    assert (program.rounded(x, np.int32(8))[0] == program.rounded(x, 8)[0]).all()
