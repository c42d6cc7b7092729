"""Diversity of vectors whose answer is known by hand, and gradients of which none can be told."""

import math

import numpy as np
import pytest

from perfmodel.errors import InputError
from perfmodel.policies.diversity import Diversity, Norms, Window, by_layer, mean_diversity, named


def diversity(*gradients, length=None, on_undefined="skip"):
    window = Window(length)
    for gradient in gradients:
        window.add(gradient if isinstance(gradient, dict) else {"w": np.array(gradient, float)})
    return mean_diversity(window.norms(), on_undefined)


@pytest.mark.parametrize("length", [None, 3])
def test_equal_orthogonal_and_general_gradients(length):
    assert diversity([3, 4], [3, 4], [3, 4], length=length) == Diversity(1 / 3, {})
    assert diversity([5, 0, 0], [0, 7, 0], [0, 0, 9], length=length) == Diversity(1.0, {})
    assert diversity([1, 2], [3, 1], [-1, 1], length=length) == Diversity(17 / 25, {})  # (5 + 10 + 2) / |(3, 4)|²


def test_a_sliding_window_keeps_the_last_gradients_only():
    assert diversity([100, 7], [3, 4], [3, 4], length=2) == Diversity(0.5, {})


def test_a_window_copies_what_it_is_given():
    gradient = {"w": np.array([1.0, 0.0])}
    window = Window()
    window.add(gradient)
    gradient["w"][:] = 9
    window.add({"w": np.array([0.0, 1.0])})
    assert window.norms() == {"w": Norms(2.0, 2.0)}
    window.clear()
    assert (len(window), window.norms()) == (0, {})


def test_only_the_first_gradient_of_a_window_is_overwritten():
    window, raw = Window(), {"w": np.array([7.0, 0.0])}
    for gradient in ([1.0, 0.0], [0.0, 1.0], [0.0, 3.0]):
        window.add({"w": np.array(gradient)}, raw)
    assert window.norms() == {"w": Norms(1 + 1 + 9, 7 * 7 + 4 * 4)}


@pytest.mark.parametrize(
    ("gradients", "why", "reference"),
    [
        (([3, 4], [-3, -4]), "gradients that cancel", math.inf),
        (([0, 0], [0, 0]), "all gradients zero", math.nan),
        (([math.nan, 1], [1, 1]), "NaN in a gradient", math.nan),
        (([math.inf, 1], [1, 1]), "an infinite gradient", math.nan),
        (([1e200, 0], [0, 1]), "an infinite gradient", math.nan),  # its square is
    ],
)
def test_gradients_without_a_ratio_are_named(gradients, why, reference):
    assert diversity(*gradients) == Diversity(None, {"w": why})
    value = diversity(*gradients, on_undefined="reference").value
    assert value == reference or (math.isnan(value) and math.isnan(reference))
    with pytest.raises(InputError, match=f"E1503.*'w' \\({why}\\)"):
        diversity(*gradients, on_undefined="error")


def test_one_that_has_none_is_left_out_of_the_mean():
    norms = {"a": Norms(1.0, 2.0), "b": Norms(0.0, 0.0), "c": Norms(1.0, 1.0)}
    assert mean_diversity(norms) == Diversity(0.75, {"b": "all gradients zero"})
    assert math.isnan(mean_diversity(norms, "reference").value)
    assert mean_diversity(norms).note == "no ratio: 'b' (all gradients zero)"


def test_a_ratio_that_no_float_holds():
    norms = {"a": Norms(1e300, 1e-300), "b": Norms(1e-300, 1e300), "c": Norms(-1.0, 1.0)}
    words = ["a ratio beyond floating point"] * 2 + ["a negative square"]
    assert mean_diversity(norms) == Diversity(None, dict(zip("abc", words, strict=True)))


def test_parameters_join_to_layers():
    norms = {"fc.weight": Norms(2.0, 4.0), "fc.bias": Norms(2.0, 2.0), "scale": Norms(1.0, 3.0)}
    assert by_layer(norms) == {"fc": Norms(4.0, 6.0), "scale": Norms(1.0, 3.0)}


def test_a_message_lists_five_names():
    assert named({str(i): "x" for i in range(7)}) == "'0' (x), '1' (x), '2' (x), '3' (x), '4' (x) … (7 in all)"


@pytest.mark.parametrize(
    "gradients",
    [
        [{}],
        [None],
        [{"w": None}],
        [{"w": np.array(["1"])}],
        [{"w": np.array([1j])}],
        [{"w": [[1, 2], [3]]}],
        [{7: np.ones(2)}],
        [{"w": np.ones(2)}, {"w": np.ones(3)}],
        [{"w": np.ones(2)}, {"v": np.ones(2)}],
        [{"w": np.ones(2)}, {"w": np.ones(2), "v": np.ones(2)}],
    ],
)
@pytest.mark.parametrize("length", [None, 4])
def test_what_is_no_gradient_is_refused(gradients, length):
    window = Window(length)
    for gradient in gradients[:-1]:
        window.add(gradient)
    with pytest.raises(InputError, match="E1502 gradients"):
        window.add(gradients[-1])
