"""What is done to images in training: crops and flips, in NumPy, reproducible by the generator they are given."""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

PADDING = 4  # pixels on every side: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, 4.2
AREAS = (0.08, 1.0)  # of a part, as a share of the image
RATIOS = (3 / 4, 4 / 3)  # of a part, width to height


def cropped_and_flipped(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image padded with 4 black pixels, cut to its size anywhere, and mirrored left to right half of the time.

    `pixels` [n, C, H, W] of any type; the result has the same shape and type. He et al., CVPR 2016, 4.2.
    """
    return flipped(cropped(pixels, rng, PADDING), rng)


def cropped(pixels: np.ndarray, rng: np.random.Generator, padding: int) -> np.ndarray:
    """Each image [C, H, W] of `pixels` cut at its own place out of itself with `padding` zeros on every side."""
    count, _, height, width = pixels.shape
    sides = (padding, padding)
    windows = sliding_window_view(np.pad(pixels, ((0, 0), (0, 0), sides, sides)), (height, width), axis=(2, 3))
    top, left = rng.integers(0, 2 * padding + 1, size=(2, count))
    return windows[np.arange(count), :, top, left]


def flipped(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A copy of `pixels` [n, C, H, W] in which each image is mirrored left to right with probability 1/2."""
    mirrored = rng.integers(0, 2, size=len(pixels)).astype(bool)
    return np.where(mirrored[:, None, None, None], pixels[..., ::-1], pixels)


def random_box(width: int, height: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a random part of an image: 8 to 100 % of its area, sides as 3:4 to 4:3.

    Ten parts are tried; the middle of the image, as large as those sides allow, if none fits.
    Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 6; the ten tries are torchvision's.
    """
    for _ in range(10):
        area = width * height * rng.uniform(*AREAS)
        ratio = math.exp(rng.uniform(*(math.log(one) for one in RATIOS)))
        part_width, part_height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < part_width <= width and 0 < part_height <= height:
            left = int(rng.integers(0, width - part_width + 1))
            top = int(rng.integers(0, height - part_height + 1))
            return left, top, left + part_width, top + part_height
    return _middle_box(width, height)


def _middle_box(width: int, height: int) -> tuple[int, int, int, int]:
    ratio = min(max(width / height, RATIOS[0]), RATIOS[1])
    part_width, part_height = min(width, round(height * ratio)), min(height, round(width / ratio))
    left, top = (width - part_width) // 2, (height - part_height) // 2
    return left, top, left + part_width, top + part_height
