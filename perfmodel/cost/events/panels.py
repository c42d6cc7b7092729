"""Which operands L2 still holds: panels of A (rows of tiles) and of B (columns), each over the k of one layer."""

from __future__ import annotations

from dataclasses import dataclass, field

from perfmodel.cost.events.grid import Grid


@dataclass(slots=True)
class Panels:
    """The panels that CTAs have begun to read so far.

    A panel comes from L2 if at most `held_bytes` have come into L2 since a CTA last began to read it, as from a cache
    that evicts what was used least recently: CTAs that begin together, or shortly after one another, share one reading.
    `row_bytes` and `column_bytes` are those of a panel of A and of B, `last_row_bytes` and
    `last_column_bytes` those of the panels at the edges.
    """

    grid: Grid
    held_bytes: float
    row_bytes: float
    last_row_bytes: float
    column_bytes: float
    last_column_bytes: float
    begun: dict[tuple[bool, int, int], float] = field(default_factory=dict)  # bytes filled when last begun

    def read(self, start: int, stop: int, filled_bytes: float) -> tuple[float, float]:
        """Bytes that the CTAs from `start` to before `stop` read in all, and those of them that come from DRAM.

        They begin together, `filled_bytes` having come into L2 since the kernel began.
        """
        read = missed = 0.0
        for layer, rows, columns in self.grid.rectangles(start, stop):
            for is_row, panels, readers in ((True, rows, len(columns)), (False, columns, len(rows))):
                for panel in panels:
                    size = self._bytes(is_row, panel)
                    key = is_row, layer, panel
                    before = self.begun.get(key)
                    if before is None or filled_bytes - before > self.held_bytes:
                        missed += size
                    self.begun[key] = filled_bytes
                    read += readers * size
        return read, missed

    def _bytes(self, is_row: bool, panel: int) -> float:
        if is_row:
            return self.last_row_bytes if panel == self.grid.rows - 1 else self.row_bytes
        return self.last_column_bytes if panel == self.grid.columns - 1 else self.column_bytes
