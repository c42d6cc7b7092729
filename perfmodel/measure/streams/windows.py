"""Convolution windows of NHWC tensors: their sizes, im2col and col2im by definition, and kernel arguments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace

import numpy as np

from perfmodel.units import ceil_div

LIMIT = 2**31  # of every index that the kernels divide


@dataclass(frozen=True, slots=True)
class Window:
    """A convolution's geometry, in the order of a memory op's shape; `stored` is the padded length of a matrix row."""

    images: int
    channels: int
    height: int
    width: int
    r: int
    s: int
    stride_h: int
    stride_w: int
    pad_h: int
    pad_w: int
    dilation_h: int
    dilation_w: int
    groups: int
    stored: int

    @property
    def p(self) -> int:
        """Output rows."""
        return (self.height + 2 * self.pad_h - self.dilation_h * (self.r - 1) - 1) // self.stride_h + 1

    @property
    def q(self) -> int:
        """Output columns."""
        return (self.width + 2 * self.pad_w - self.dilation_w * (self.s - 1) - 1) // self.stride_w + 1

    @property
    def of_group(self) -> int:
        """Channels of one group."""
        return self.channels // self.groups

    @property
    def columns(self) -> int:
        """Columns of the matrix before padding: taps times channels of a group."""
        return self.r * self.s * self.of_group

    @property
    def rows(self) -> int:
        """Rows of the matrix of one group: output pixels."""
        return self.images * self.p * self.q

    @property
    def elements(self) -> int:
        """Elements of the tensor."""
        return self.images * self.height * self.width * self.channels

    def fault(self, transposed: bool) -> str:
        """What is wrong with the sizes; empty if nothing is."""
        sizes = list(astuple(self))
        pads = sizes[8:10]
        del sizes[8:10]
        if min(sizes) < 1 or min(pads) < 0:
            return "a size is not positive"
        if self.channels % self.groups:
            return f"{self.channels} channels are no multiple of {self.groups} groups"
        if self.height + 2 * self.pad_h <= self.dilation_h * (self.r - 1):
            return "the window is higher than the padded image"
        if self.width + 2 * self.pad_w <= self.dilation_w * (self.s - 1):
            return "the window is wider than the padded image"
        if self.stored < (self.rows if transposed else self.columns):
            return f"{self.stored} stored elements are fewer than those of a row"
        return ""

    def divided(self, part: int, of: int) -> tuple[int, ...]:
        """The kernels' `WINDOW` arguments, 19 sizes first: `part` pieces of work, `of` them in a row or pixel."""
        numbers = (
            self.images, self.channels, self.height, self.width, self.stride_h, self.stride_w, self.pad_h, self.pad_w,
            self.dilation_h, self.dilation_w, self.of_group, self.columns, self.stored, self.r, self.s, self.p, self.q,
            self.groups, part,
        )  # fmt: skip
        divisors = (
            self.of_group, self.s, self.q, self.p, self.images, of, self.width, self.height, self.stride_h,
            self.stride_w,
        )  # fmt: skip
        return numbers + tuple(number for divisor in divisors for number in magic(divisor))


def magic(divisor: int) -> tuple[int, int, int]:
    """(d, m, shift) with x // d == x·m >> (32 + shift) for all 0 <= x < 2^31 (Granlund and Montgomery 1994).

    >>> _, m, shift = magic(7)
    >>> (2**31 - 1) * m >> 32 + shift == (2**31 - 1) // 7
    True
    """
    if divisor == 1:
        return 1, 0, 0  # the kernels leave x alone
    power = 31 + (divisor - 1).bit_length()
    return divisor, ceil_div(1 << power, divisor), power - 32


def im2col(images: np.ndarray, window: Window) -> np.ndarray:
    """[groups, images·p·q, stored] from NHWC images [images, h, w, c]: columns (r, s, c), zeros beyond them."""
    w = window
    taps = np.zeros((w.images, w.p, w.q, w.r, w.s, w.channels), images.dtype)
    for r, s, to_p, to_q, from_h, from_w in _taps(w):
        taps[:, to_p, to_q, r, s] = images[:, from_h, from_w]
    columns = taps.reshape(w.rows, w.r * w.s, w.groups, w.of_group).transpose(2, 0, 1, 3)
    matrix = np.zeros((w.groups, w.rows, max(w.stored, w.columns)), images.dtype)
    matrix[:, :, : w.columns] = columns.reshape(w.groups, w.rows, w.columns)
    return matrix


def im2col_transposed(images: np.ndarray, window: Window) -> np.ndarray:
    """[groups, r·s·c/groups, stored]: the same with pixels along the rows, zeros beyond the last."""
    w = window
    matrix = np.zeros((w.groups, w.columns, w.stored), images.dtype)
    matrix[:, :, : w.rows] = im2col(images, replace(w, stored=w.columns)).transpose(0, 2, 1)
    return matrix


def col2im(matrix: np.ndarray, window: Window) -> np.ndarray:
    """NHWC gradients [images, h, w, c], FP32: each the sum of its taps in [groups, images·p·q, stored], r before s."""
    w = window
    columns = matrix[:, :, : w.columns].astype(np.float32).reshape(w.groups, w.rows, w.r * w.s, w.of_group)
    taps = columns.transpose(1, 2, 0, 3).reshape(w.images, w.p, w.q, w.r, w.s, w.channels)
    images = np.zeros((w.images, w.height, w.width, w.channels), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for r, s, from_p, from_q, to_h, to_w in _taps(w):
            images[:, to_h, to_w] += taps[:, from_p, from_q, r, s]
    return images


def _taps(w: Window) -> Iterator[tuple[int, int, slice, slice, slice, slice]]:
    """Where each tap of the window meets the image: (r, s, output rows, output columns, image rows, image columns)."""
    for r in range(w.r):
        rows = _met(r * w.dilation_h - w.pad_h, w.stride_h, w.p, w.height)
        for s in range(w.s):
            columns = _met(s * w.dilation_w - w.pad_w, w.stride_w, w.q, w.width)
            if rows and columns:
                yield r, s, rows[0], columns[0], rows[1], columns[1]


def _met(offset: int, stride: int, outputs: int, size: int) -> tuple[slice, slice] | None:
    first = max(0, ceil_div(-offset, stride))
    last = min(outputs - 1, (size - 1 - offset) // stride)
    if first > last:
        return None
    start = first * stride + offset
    return slice(first, last + 1), slice(start, start + (last - first) * stride + 1, stride)
