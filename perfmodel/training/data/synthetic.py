"""Made-up images that carry their class, of any size: for trying a network without any data."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
import torch

from perfmodel.training.data.images import Scale

NAME = re.compile(r"synthetic(?:-([1-9]\d?)x([1-9]\d{0,2})x([1-9]\d{0,2})-([1-9]\d{0,3}))?", re.ASCII)
DEFAULT = (3, 32, 32, 10)  # channels, height, width, classes
TRAIN, TEST = 2048, 512  # images
CELLS = 4  # a class is a coarse picture of so many cells a side
SEED = 0  # of the pictures, noise and labels


@dataclass(frozen=True, slots=True, eq=False)
class Synthetic:
    """`count` images in which the picture of their class lies shifted under noise, made anew whenever asked for.

    Pixels are (picture + 3·noise) / 4, both of bytes uniform in 0…255; the picture is shifted by up to a quarter of
    each side, the sides wrapping round. Image i depends on `seed` and `first` + i alone, not on the batch; the classes
    take turns. Bits come from Philox (Salmon et al., SC 2011), whose stream NumPy keeps from version to version.
    """

    title: str
    shape: tuple[int, int, int]  # C, H, W
    classes: int
    count: int
    first: int = 0
    seed: int = SEED
    name: str = "synthetic"
    _pictures: np.ndarray = field(init=False, repr=False)  # uint8 [classes, C, CELLS, CELLS]

    def __post_init__(self):
        size = (self.classes, self.shape[0], CELLS, CELLS)
        object.__setattr__(self, "_pictures", _bytes(self.seed, 0, int(np.prod(size))).reshape(size))

    def __len__(self) -> int:
        return self.count

    def batch(self, indices: np.ndarray, rng: np.random.Generator | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Images float32 [n, C, H, W] and labels int64 [n]; never augmented."""
        indices = np.arange(self.count)[indices]  # negative indices count from the end, others raise IndexError
        labels = (indices + self.first) % self.classes
        pixels = np.empty((len(indices), *self.shape), np.uint8)
        for row, (index, label) in enumerate(zip(indices, labels, strict=True)):
            pixels[row] = self._image(int(index) + self.first, int(label))
        return self._scale().tensor(pixels), torch.from_numpy(labels)

    def _image(self, number: int, label: int) -> np.ndarray:
        channels, height, width = self.shape
        stream = _bytes(self.seed, 1 + number, 2 + channels * height * width)
        noise = stream[2:].reshape(self.shape).astype(np.uint16)
        rows, columns = (_cells(side, int(byte)) for side, byte in zip(self.shape[1:], stream, strict=False))
        picture = self._pictures[label][:, rows[:, None], columns]
        return ((picture + 3 * noise) // 4).astype(np.uint8)

    def _scale(self) -> Scale:
        channels = self.shape[0]  # (u + 3·v) / 4 of uniform u, v deviates by sqrt((1 + 9) / 16 / 12) from its mean
        return Scale(255.0, (0.5,) * channels, (0.228,) * channels)


def make_synthetic(name: str = "synthetic") -> tuple[Synthetic, Synthetic]:
    """2048 images to train with and 512 to test with: 3×32×32 and 10 classes, or as `synthetic-CxHxW-K` says.

    >>> train, test = make_synthetic("synthetic-1x8x6-5")
    >>> train.shape, train.classes, len(test)
    ((1, 8, 6), 5, 512)
    """
    channels, height, width, classes = _size(name)
    shape = (channels, height, width)
    train = Synthetic("made-up images, training part", shape, classes, TRAIN, name=name)
    return train, Synthetic("made-up images, test part", shape, classes, TEST, first=TRAIN, name=name)


def _size(name: str) -> tuple[int, int, int, int]:
    found = NAME.fullmatch(name)
    return tuple(int(part) for part in found.groups()) if found and found.group(1) else DEFAULT


def _cells(side: int, byte: int) -> np.ndarray:
    shift = byte * (side // 4 + 1) // 256
    return (np.arange(side) + shift) % side * CELLS // side


def _bytes(seed: int, number: int, count: int) -> np.ndarray:
    words = np.random.Philox(key=[seed, number]).random_raw(-(-count // 8))
    return words.astype("<u8").view(np.uint8)[:count]
