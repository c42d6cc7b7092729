"""The thread blocks (CTAs) of one GEMM in the order in which they are dispatched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt


@dataclass(frozen=True, slots=True)
class Grid:
    """`depth` layers (batch times split) of `rows` x `columns` tiles.

    Dispatched layer after layer; in a layer, bands of `band` columns, one after the other; in a band, row after row.
    """

    rows: int
    columns: int
    depth: int
    band: int

    @classmethod
    def of(cls, m: int, n: int, tile_m: int, tile_n: int, depth: int, slots: int) -> Grid:
        """The grid of C[m, n], its bands such that `slots` CTAs in a row cover about a square of C.

        >>> Grid.of(700, 500, 128, 64, depth=2, slots=6)
        Grid(rows=6, columns=8, depth=2, band=3)
        """
        rows, columns = -(-m // tile_m), -(-n // tile_n)
        wave = min(rows * columns, slots)
        return cls(rows, columns, depth, min(columns, max(1, round(sqrt(wave * tile_m / tile_n)))))

    @property
    def ctas(self) -> int:
        """CTAs in all."""
        return self.rows * self.columns * self.depth

    def rectangles(self, start: int, stop: int) -> Iterator[tuple[int, range, range]]:
        """The CTAs from `start` to before `stop` as rectangles (layer, rows, columns) that do not overlap.

        >>> list(Grid(rows=3, columns=5, depth=1, band=2).rectangles(1, 8))  # bands of 2, 2 and 1 columns
        [(0, range(0, 1), range(1, 2)), (0, range(1, 3), range(0, 2)), (0, range(0, 1), range(2, 4))]
        """
        while start < stop:
            layer, place = divmod(start, self.rows * self.columns)
            band, place = divmod(place, self.rows * self.band)
            left = band * self.band
            width = min(self.band, self.columns - left)
            row, column = divmod(place, width)
            if column or stop - start < width:  # part of one row
                tall, wide = 1, min(width - column, stop - start)
            else:
                tall, wide = min((stop - start) // width, self.rows - row), width
            yield layer, range(row, row + tall), range(left + column, left + column + wide)
            start += tall * wide
