"""Timings of GEMMs, to fit and to judge models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perfmodel.cost.estimate import Gemms

ARRAYS = ("m", "n", "k", "batch", "a_fraction", "b_fraction")


@dataclass(frozen=True, slots=True)
class Timings:
    """Measured seconds of GEMMs of one precision and layout."""

    gemms: Gemms
    seconds: np.ndarray

    def __len__(self) -> int:
        return len(self.seconds)

    def shapes(self) -> set[tuple[float, ...]]:
        """The different shapes: batch, m, n and k."""
        gemms = self.gemms
        return set(zip(*(array.tolist() for array in (gemms.batch, gemms.m, gemms.n, gemms.k)), strict=True))

    def take(self, rows: np.ndarray) -> Timings:
        """Some of the rows, in the order asked for."""
        gemms = self.gemms
        arrays = (getattr(gemms, name)[rows] for name in ARRAYS)
        return Timings(Gemms(gemms.precision, *arrays, layout=gemms.layout), self.seconds[rows])
