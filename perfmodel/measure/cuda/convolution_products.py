"""The output of one launch of a convolution in implicit form, for checking: its matrices are gathered by definition."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from perfmodel.convolution import Convolution
from perfmodel.gemm import Precision
from perfmodel.measure.cuda.checks import Checks
from perfmodel.measure.cuda.implicit import (
    NOWHERE,
    alike_inputs,
    depths,
    gathered,
    input_pixels,
    output_pixels,
    scattered,
    tensors_of,
    transposed,
)
from perfmodel.measure.cuda.matrices import Matrix
from perfmodel.measure.cuda.operands import A, B, C, Operands
from perfmodel.measure.cuda.sampled import chosen_of, most_sampled

Block = tuple[np.ndarray, np.ndarray, np.ndarray]
Vector = np.ndarray


class ConvolutionProduct:
    """A `Product` of a padded convolution, whose data stay on the device."""

    def __init__(
        self, checks: Checks, operands: Operands, precision: Precision, conv: Convolution, unwritten: int,
        release: Callable,
    ):  # fmt: skip
        self.unwritten = unwritten
        self.guards_intact = checks.guards_intact(operands)
        self._checks, self._operands, self._conv, self._release = checks, operands, conv, release
        self._tensors = tensors_of(conv, precision)

    def __del__(self):
        if hasattr(self, "_release"):
            self._release(self._operands)

    def sample(self, seed: int) -> Block:
        """Random rows of A, columns of B and where they meet in C.

        A and B are the matrices that the pass would multiply had they been written out: columns (r, s, channel). Of a
        strided dgrad, rows are pixels that the same taps reach, of those with most of them, and k has these taps alone.
        """
        sample = {"fprop": self._of_fprop, "dgrad": self._of_dgrad, "wgrad": self._of_wgrad}[self._conv.pass_]
        return sample(np.random.default_rng(seed))

    def probe(self, seed: int) -> tuple[Vector, Vector]:
        """|C·x - A·(B·x)| and (|A|·|B|)·1 for a random x of ±1, tap by tap, in FP64.

        Rows at borders and between strides have fewer taps than the sample's. With a share d of them, |A|·|B| is d
        times as large and rounding errors √d: sums are divided by √d, so that they promise the same for all rows.
        """
        times = {"fprop": self._fprop, "dgrad": self._dgrad, "wgrad": self._wgrad}[self._conv.pass_]
        columns = self._tensors[C].columns
        x = np.random.default_rng(seed).choice((-1.0, 1.0), columns)
        residual, row_sum = np.abs(self._times(C, x) - times(x, False)), times(np.ones(columns), True)
        if self._conv.pass_ == "wgrad":
            return residual, row_sum
        share = np.sqrt(depths(self._conv))
        return residual, np.divide(row_sum, share, out=np.zeros_like(row_sum), where=share > 0)

    def _of_fprop(self, generator: np.random.Generator) -> Block:
        c = self._tensors[C]
        most = most_sampled(self._tensors[B].columns)
        rows, columns = chosen_of(generator, c.rows, most), chosen_of(generator, c.columns, most)
        a = self._gather(input_pixels(self._conv, rows))
        return a.reshape(len(rows), -1), self._read(B, rows=columns).T, self._read(C, rows, columns)

    def _of_dgrad(self, generator: np.random.Generator) -> Block:
        c, w = self._tensors[C], self._tensors[B]
        pixels = alike_inputs(self._conv, generator)
        most = most_sampled(self._tensors[A].columns * w.columns // c.columns)
        rows, columns = pixels[chosen_of(generator, len(pixels), most)], chosen_of(generator, c.columns, most)
        met = output_pixels(self._conv, rows)
        taps = np.flatnonzero((output_pixels(self._conv, pixels) != NOWHERE).any(axis=0))
        a = self._gather(met[:, taps])
        stored = self._read(B, columns=(taps[:, None] * c.columns + columns).ravel())
        b = stored.reshape(w.rows, len(taps), len(columns)).transpose(1, 0, 2)
        return a.reshape(len(rows), -1), b.reshape(-1, len(columns)), self._read(C, rows, columns)

    def _of_wgrad(self, generator: np.random.Generator) -> Block:
        c, conv = self._tensors[C], self._conv
        most = most_sampled(self._tensors[A].rows)
        rows, columns = chosen_of(generator, c.rows, most), chosen_of(generator, c.columns, most)
        channels = columns % conv.channels
        read = self._read(B, columns=channels)
        b = np.zeros((self._tensors[A].rows, len(columns)))
        for i, tap in enumerate(columns // conv.channels):
            b[:, i] = gathered(conv, lambda one, tap=tap, i=i: read[:, i] if one == tap else np.zeros(len(read)))
        return self._read(A, columns=rows).T, b, self._read(C, rows, columns)

    def _fprop(self, x: Vector, absolute: bool) -> Vector:
        taps = (x @ self._stored(B, absolute)).reshape(-1, self._conv.channels)
        return gathered(self._conv, lambda tap: self._times(A, taps[tap], absolute))

    def _dgrad(self, x: Vector, absolute: bool) -> Vector:
        taps = self._stored(B, absolute).reshape(self._conv.filters, -1, self._conv.channels) @ x
        return scattered(self._conv, lambda tap: self._times(A, taps[:, tap], absolute))

    def _wgrad(self, x: Vector, absolute: bool) -> Vector:
        taps = x.reshape(-1, self._conv.channels)
        pixels = gathered(self._conv, lambda tap: self._times(B, taps[tap], absolute))
        turned = transposed(self._tensors[A])
        return self._checks.times(self._operands.address(0, A), turned, pixels, absolute)

    def _gather(self, pixels: np.ndarray) -> np.ndarray:
        """[rows, taps, channels] of A, zeros for `NOWHERE`."""
        found, place = np.unique(pixels, return_inverse=True)
        read = np.zeros((len(found), self._tensors[A].columns))
        there = found != NOWHERE
        read[there] = self._read(A, rows=found[there])
        return read[place.reshape(pixels.shape)]

    def _stored(self, buffer: int, absolute: bool) -> np.ndarray:
        read = self._read(buffer)
        return np.abs(read) if absolute else read

    def _read(self, buffer: int, rows=None, columns=None) -> np.ndarray:
        return self._checks.elements(self._operands.address(0, buffer), self._tensors[buffer], rows, columns)

    def _times(self, buffer: int, x: Vector, absolute: bool = False) -> Vector:
        tensor: Matrix = self._tensors[buffer]
        return self._checks.times(self._operands.address(0, buffer), tensor, x, absolute)
