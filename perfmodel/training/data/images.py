"""What a data set gives the training loop, and sets that are held in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

Augmentation = Callable[[np.ndarray, np.random.Generator], np.ndarray]  # uint8 [n, C, H, W] to the same shape


class Images(Protocol):
    """Images with labels, of which any may be asked for at any time."""

    name: str
    title: str
    shape: tuple[int, int, int]  # C, H, W
    classes: int

    def __len__(self) -> int: ...

    def batch(self, indices: np.ndarray, rng: np.random.Generator | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Images float32 [n, C, H, W] and labels int64 [n]; with `rng` augmented as for training, else as for tests."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """How pixel values become the numbers a network sees: (pixel / full - mean) / std, the latter two by channel."""

    full: float  # the pixel value of 1
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def tensor(self, pixels: np.ndarray) -> torch.Tensor:
        """Float32 [n, C, H, W] of uint8 pixels [n, C, H, W]."""
        factor = np.array([1 / (self.full * std) for std in self.std], np.float32)
        offset = np.array([mean / std for mean, std in zip(self.mean, self.std, strict=True)], np.float32)
        values = pixels.astype(np.float32)
        values *= factor[:, None, None]
        values -= offset[:, None, None]
        return torch.from_numpy(values)


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Images held in memory as bytes: `pixels` uint8 [N, C, H, W], `labels` int64 [N]."""

    name: str
    title: str
    pixels: np.ndarray
    labels: np.ndarray
    classes: int
    scale: Scale
    augmentation: Augmentation | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        return tuple(self.pixels.shape[1:])

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: np.ndarray, rng: np.random.Generator | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Images float32 [n, C, H, W] and labels int64 [n]; augmented if there is an `rng` and an augmentation."""
        pixels = self.pixels[indices]
        if rng is not None and self.augmentation:
            pixels = self.augmentation(pixels, rng)
        return self.scale.tensor(pixels), torch.from_numpy(self.labels[indices])
