"""Crops and flips keep what they should of an image, and come from the generator they are given."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs PyTorch (extra train)")

from perfmodel.training.data.augment import (  # noqa: E402
    cropped,
    cropped_and_flipped,
    flipped,
    random_box,
)

QUICK = settings(max_examples=150, deadline=None)


class Fixed:
    """Gives what it is told in place of random whole numbers."""

    def __init__(self, numbers):
        self.numbers = numbers

    def integers(self, low, high, size):
        assert low == 0
        assert max(np.ravel(self.numbers)) < high
        return np.array(self.numbers).reshape(size)


def test_a_crop_shifts_the_image_and_fills_with_black():
    pixels = np.array([[[[1, 2], [3, 4]]], [[[5, 6], [7, 8]]], [[[1, 2], [3, 4]]]], np.uint8)
    found = cropped(pixels, Fixed([[0, 1, 2], [0, 1, 1]]), 1)  # tops, lefts
    assert found.tolist() == [[[[0, 0], [0, 1]]], [[[5, 6], [7, 8]]], [[[3, 4], [0, 0]]]]


def test_a_flip_mirrors_left_to_right_where_it_is_drawn():
    pixels = np.array([[[[1, 2], [3, 4]]], [[[5, 6], [7, 8]]]], np.uint8)
    assert flipped(pixels, Fixed([1, 0])).tolist() == [[[[2, 1], [4, 3]]], [[[5, 6], [7, 8]]]]


@QUICK
@given(st.integers(0, 5), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32))
def test_augmented_images_are_parts_of_the_padded_ones_or_of_their_mirror_images(count, channels, height, width, seed):
    pixels = np.random.default_rng(seed).integers(1, 256, (count, channels, height, width)).astype(np.uint8)
    before = pixels.copy()
    found = cropped_and_flipped(pixels, np.random.default_rng(seed))
    assert (found.shape, found.dtype) == (pixels.shape, np.uint8)
    np.testing.assert_array_equal(found, cropped_and_flipped(pixels, np.random.default_rng(seed)))
    np.testing.assert_array_equal(pixels, before)
    padded = np.pad(pixels, ((0, 0), (0, 0), (4, 4), (4, 4)))
    for image, whole in zip(found, padded, strict=True):
        parts = [whole[:, top : top + height, left : left + width] for top in range(9) for left in range(9)]
        assert any(np.array_equal(image, part) or np.array_equal(image, part[..., ::-1]) for part in parts)


def test_all_shifts_and_both_sides_come_about_equally_often():
    pixels = np.zeros((8100, 1, 9, 9), np.uint8)
    pixels[:, 0, 4, 4] = 1
    found = cropped(pixels, np.random.default_rng(1), 4)
    places = found.reshape(8100, 81).argmax(1)
    assert found.sum() == 8100
    assert np.bincount(places, minlength=81).min() > 60  # 100 each, with a deviation of 10
    pixels = np.tile(np.array([0, 1], np.uint8), (1000, 1, 1, 1))
    assert 440 < flipped(pixels, np.random.default_rng(1))[..., 0].sum() < 560


@QUICK
@given(st.integers(1, 700), st.integers(1, 700), st.integers(0, 2**32))
def test_a_random_part_lies_in_the_image(width, height, seed):
    left, top, right, bottom = random_box(width, height, np.random.default_rng(seed))
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


def test_random_parts_have_the_areas_and_sides_they_should():
    rng = np.random.default_rng(2)
    boxes = np.array([random_box(400, 300, rng) for _ in range(2000)])
    widths, heights = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    shares, ratios = widths * heights / 120_000, widths / heights
    assert 0.078 < shares.min() < 0.1
    assert 0.9 < shares.max() <= 1
    assert 0.74 < ratios.min() < 0.77
    assert 1.3 < ratios.max() < 1.35


@pytest.mark.parametrize(("size", "box"), [((1000, 30), (480, 0, 520, 30)), ((30, 1000), (0, 480, 30, 520))])
def test_of_a_narrow_image_the_middle_is_taken(size, box):
    class Whole:
        """Always draws a part of the image's whole area."""

        def uniform(self, low, high):
            return high if high == 1.0 else 0.0

    assert random_box(*size, Whole()) == box
