"""Dispatch order, what L2 still holds, and the queue that leaves out the middle of large grids."""

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.cost.events.grid import Grid
from perfmodel.cost.events.panels import Panels
from perfmodel.cost.events.queue import Queue

BUSY = settings(deadline=None)  # the machine may be
SMALL = st.integers(1, 9)
GRIDS = st.builds(Grid, SMALL, SMALL, st.integers(1, 3), SMALL).map(
    lambda grid: Grid(grid.rows, grid.columns, grid.depth, min(grid.band, grid.columns))
)


def order(grid, start, stop):
    """The CTAs one by one: layer, row, column."""
    return [
        (layer, row, column)
        for layer, rows, columns in grid.rectangles(start, stop)
        for row in rows
        for column in columns
    ]


def test_order_runs_along_rows_of_a_band():
    grid = Grid(rows=2, columns=5, depth=2, band=3)
    first = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (0, 4), (1, 3), (1, 4)]
    assert order(grid, 0, 20) == [(layer, *place) for layer in (0, 1) for place in first]


@BUSY
@given(GRIDS, st.data())
def test_any_part_of_the_order_is_the_order(grid, data):
    whole = order(grid, 0, grid.ctas)
    assert len(set(whole)) == grid.ctas == grid.rows * grid.columns * grid.depth
    start = data.draw(st.integers(0, grid.ctas))
    stop = data.draw(st.integers(start, grid.ctas))
    assert sorted(order(grid, start, stop)) == sorted(whole[start:stop])


def test_bands_make_the_square_of_a_wave():
    assert Grid.of(1024, 1024, 128, 128, 1, 16) == Grid(8, 8, 1, 4)
    assert Grid.of(1024, 1024, 64, 256, 1, 16) == Grid(16, 4, 1, 2)
    assert Grid.of(100, 9000, 128, 128, 1, 400) == Grid(1, 71, 1, 8)
    assert Grid.of(9000, 100, 128, 128, 3, 400) == Grid(71, 1, 3, 1)


def test_ctas_that_begin_together_share_their_panels():
    panels = Panels(Grid(rows=3, columns=2, depth=1, band=2), 100.0, 50.0, 30.0, 20.0, 7.0)
    # rows 0 and 1 of both columns: each row panel for two CTAs, each column panel for two
    assert panels.read(0, 4, 0.0) == (2 * (50 + 50) + 2 * (20 + 7), 50 + 50 + 20 + 7)
    # the last row is new and shorter; the columns came 100 B ago, and are held
    assert panels.read(4, 6, 100.0) == (2 * 30 + 20 + 7, 30)


def test_a_panel_is_evicted_when_more_came_since_than_l2_holds():
    panels = Panels(Grid(rows=3, columns=1, depth=1, band=1), 100.0, 50.0, 50.0, 20.0, 20.0)
    assert panels.read(0, 1, 0.0) == (70, 70)
    assert panels.read(1, 2, 101.0) == (70, 70)
    assert panels.read(2, 3, 201.0) == (70, 50)  # the column was read again at 101


@BUSY
@given(GRIDS, st.data())
def test_dram_delivers_every_panel_once_at_least(grid, data):
    panels = Panels(grid, data.draw(st.sampled_from([0.0, 40.0, inf])), 13.0, 5.0, 7.0, 3.0)
    at, read, missed = 0, 0.0, 0.0
    while at < grid.ctas:
        stop = min(grid.ctas, at + data.draw(st.integers(1, 7)))
        more = panels.read(at, stop, missed)
        read, missed, at = read + more[0], missed + more[1], stop
    once = grid.depth * (13 * (grid.rows - 1) + 5 + 7 * (grid.columns - 1) + 3)
    each = grid.depth * (grid.columns * (13 * (grid.rows - 1) + 5) + grid.rows * (7 * (grid.columns - 1) + 3))
    assert once <= missed <= read == each
    if panels.held_bytes == inf:
        assert missed == once


def test_queue_hands_out_small_grids_whole():
    queue = Queue(ctas=30, wave=5, window=10)
    taken = 0
    while queue.waiting:
        assert queue.skip(float(taken), 0.0) == (0.0, 0.0)
        assert queue.take(5) == taken
        taken += 5
    assert (taken, queue.skipped) == (30, 0)


def test_queue_leaves_out_whole_waves_at_the_pace_of_the_second_window():
    queue, starts, passed = Queue(ctas=103, wave=5, window=10), [], []
    while queue.waiting:
        at = queue.next
        passed.append(queue.skip(seconds=7.0 + 2 * at, filled_bytes=3.0 * at))
        starts.append(queue.take(min(5, queue.waiting)))
    # 83 wait after two windows; 70 of them are left out, which leaves the window at the end and the tail of 3
    assert starts == [0, 5, 10, 15, 90, 95, 100]
    assert [one for one in passed if one != (0.0, 0.0)] == [(140.0, 210.0)]
    assert queue.skipped == 70


def test_queue_leaves_out_nothing_when_the_end_is_near():
    queue = Queue(ctas=33, wave=5, window=10)
    for start in (0, 12, 24):
        assert queue.skip(float(start), 0.0) == (0.0, 0.0)
        assert queue.take(min(12, queue.waiting)) == start
    assert queue.waiting == 0


@pytest.mark.parametrize(("wave", "window"), [(7, 168), (341, 8184), (342, 7866), (4097, 8194), (9999, 19998)])
def test_windows_are_bounded(wave, window):
    assert Queue.of(10**12, wave).window == window
