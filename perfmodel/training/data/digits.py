"""The handwritten digits that come with scikit-learn: the data that is always there."""

from __future__ import annotations

import numpy as np

from perfmodel.errors import InputError
from perfmodel.training.data.images import Held, Scale

TEST = 360  # of 1797 images, a fifth
# mean and standard deviation over the pixels of the training part (1437 images), of values divided by 16
SCALE = Scale(full=16.0, mean=(0.3054,), std=(0.3761,))


def read_digits() -> tuple[Held, Held]:
    """1437 images to train with and 360 to test with, 1×8×8, 10 classes, always the same.

    Every fifth image of a class is a test image, so that both parts hold all classes in equal shares. The 13 writers
    of the set are not told apart in it: the same hands wrote both parts. No augmentation.
    Source: `sklearn.datasets.load_digits`, the test part of E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten
    Digits", UCI Machine Learning Repository, 1998, doi:10.24432/C50P49; 4-bit counts of 0 to 16 per pixel.
    Raises E1712 without scikit-learn.
    """
    pixels, labels = _load()
    tested = held_out(labels, TEST)
    return _part(pixels, labels, ~tested, "training"), _part(pixels, labels, tested, "test")


def held_out(labels: np.ndarray, count: int) -> np.ndarray:
    """Which of the images are for testing, bool [N]: `count` in all, of each class its share (±1), evenly spaced."""
    order = np.argsort(labels, kind="stable")
    reached = np.arange(1, len(labels) + 1) * count // len(labels)
    chosen = np.zeros(len(labels), bool)
    chosen[order] = np.diff(reached, prepend=0) > 0
    return chosen


def _part(pixels: np.ndarray, labels: np.ndarray, chosen: np.ndarray, part: str) -> Held:
    return Held("digits", f"scikit-learn digits, {part} part", pixels[chosen], labels[chosen], 10, SCALE)


def _load() -> tuple[np.ndarray, np.ndarray]:
    try:
        from sklearn.datasets import load_digits  # takes a second to import
    except ImportError as error:
        fix = "Install them: pip install 'perfmodel[train]'."
        raise InputError.at("E1712", "digits", "come with scikit-learn, which is not installed.", fix) from error
    bunch = load_digits()
    return bunch.images.astype(np.uint8)[:, None], bunch.target.astype(np.int64)
