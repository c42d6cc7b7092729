"""Many convolutions of one pass as arrays, and what a kernel sees of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.convolution import Convolution

LINE_BYTES = 16.0  # that tensor cores' kernels load at a time: channels are padded to it
DP4A_CHANNELS = 4.0  # that one DP4A multiplies


@dataclass(frozen=True, slots=True)
class Problems:
    """Convolutions of one pass, each field an array [convs]; channels and filters are those of one group."""

    pass_: str
    images: np.ndarray
    channels: np.ndarray
    height: np.ndarray
    width: np.ndarray
    filters: np.ndarray
    rows: np.ndarray  # of a filter
    columns: np.ndarray
    stride: np.ndarray  # vertical
    across: np.ndarray  # horizontal stride
    wide: np.ndarray  # whether padding is wider than the filter reaches
    dilated: np.ndarray
    groups: np.ndarray
    out_height: np.ndarray
    out_width: np.ndarray

    @classmethod
    def of(cls, convolutions: Sequence[Convolution], unit: str, size: float) -> Problems:
        """The arrays of convolutions of one pass, with channels and filters padded to what kernels of a unit load.

        `size` is the bytes of an element.

        >>> found = Problems.of([Convolution("fprop", 2, 3, 9, 9, 5, (3, 3))], "tensor", 2)
        >>> found.channels, found.filters, found.out_pixels
        (array([8.]), array([8.]), array([49.]))
        """
        numbers = np.array([c.numbers for c in convolutions], dtype=np.float64).T
        images, channels, height, width, filters, r, s, down, across, pad_h, pad_w, dil_h, dil_w, groups = numbers
        step = {"tensor": LINE_BYTES / size, "dp4a": DP4A_CHANNELS}.get(unit, 1.0)
        channels, filters = (np.ceil(each / groups / step) * step for each in (channels, filters))
        out = np.array([c.out for c in convolutions], dtype=np.float64).T
        wide = (pad_h > dil_h * (r - 1)) | (pad_w > dil_w * (s - 1))
        dilated = (dil_h > 1) | (dil_w > 1)
        sizes = (images, channels, height, width, filters, r, s, down, across)
        return cls(convolutions[0].pass_, *sizes, wide, dilated, groups, *out)

    @property
    def pixels(self) -> np.ndarray:
        """Of one input image."""
        return self.height * self.width

    @property
    def out_pixels(self) -> np.ndarray:
        """Of one output image."""
        return self.out_height * self.out_width

    @property
    def taps(self) -> np.ndarray:
        """Of one filter and channel."""
        return self.rows * self.columns

    @property
    def strided(self) -> np.ndarray:
        """Whether an output skips pixels."""
        return self.stride * self.across > 1

    @property
    def inputs(self) -> np.ndarray:
        """Elements of the input."""
        return self.images * self.pixels * self.channels * self.groups

    @property
    def outputs(self) -> np.ndarray:
        """Elements of the output."""
        return self.images * self.out_pixels * self.filters * self.groups

    @property
    def weights(self) -> np.ndarray:
        """Elements of all filters."""
        return self.filters * self.channels * self.taps * self.groups
