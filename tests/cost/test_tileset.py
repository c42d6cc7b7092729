"""What a tile occupies on an SM, by hand."""

from dataclasses import replace

import pytest

from perfmodel.cost.tileset import (
    SIMT_TILES,
    SPLITS,
    TENSOR_TILES,
    Tile,
    TileTable,
    ctas_per_sm,
    find_tile,
    registers_per_thread,
    shared_bytes,
    tiles_for,
)
from perfmodel.devices import device_names, find_device
from perfmodel.errors import InputError, Unsupported
from perfmodel.gemm import find_precision

TI = find_device("rtx-2080-ti")  # an SM: 65536 registers, 64 KiB shared, 1024 threads, 16 CTAs
V100 = find_device("v100")  # 96 KiB shared, 2048 threads, 32 CTAs

# registers: accumulators + fragments + staged loads + 28, rounded up to a multiple of 8, at most 255
BY_HAND = [
    # SIMT FP32, warps of 32x64: 64 + (1 + 2)·8 + 256·8·4/256/4 + 28 = 124; 2·256·8·4 B; 65536/(128·256) = 2
    ("fp32", "128x128x8", 8, 128, 16384, 2),
    # warps of 32x32: 32 + 16 + 128·8·4/128/4 + 28 = 84; 2·128·8·4 B; 65536/(88·128) = 5.8
    ("fp32", "64x64x8", 4, 88, 8192, 5),
    # warps of 64x64: 128 + 32 + 384·8·4/256/4 + 28 = 200; 2·384·8·4 B; 65536/(200·256) = 1.28
    ("fp32", "256x128x8", 8, 200, 24576, 1),
    # two warps of 32x16: 16 + 12 + 64·8·4/64/4 + 28 = 64; 2·64·8·4 B; 65536/(64·64) = 16
    ("fp32", "32x32x8", 2, 64, 4096, 16),
    # tensor FP16, warps of 64x64: 128 + 128·16·2/32/4·2 + 256·32·2/128/4 + 28 = 252; 2·256·32·2 B; shared: 2
    ("fp16", "128x128x32", 4, 255, 32768, 2),
    # FP16 accumulators take half: 64 + 64 + 32 + 28 = 188; 65536/(192·128) = 2.7, shared: 2
    ("fp16+fp16", "128x128x32", 4, 192, 32768, 2),
    # 128 + 64 + 384·32·2/256/4 + 28 = 244; 2·384·32·2 B
    ("fp16", "128x256x32", 8, 248, 49152, 1),
    # INT8, warps of 64x64: 128 + 128·16·1/32/4·2 + 256·64/128/4 + 28 = 220
    ("int8", "128x128x64", 4, 224, 32768, 2),
    # INT4: 32x64 with two warps of 32x32: 32 + 64·16·0.5/32/4·2 + 96·128·0.5/64/4 + 28 = 92; 2·96·128/2 B; shared: 5
    ("int4", "32x64x128", 2, 96, 12288, 5),
]


@pytest.mark.parametrize(("precision", "name", "warps", "registers", "shared", "resident"), BY_HAND)
def test_occupancy_by_hand(precision, name, warps, registers, shared, resident):
    precision = find_precision(precision)
    tile = find_tile(name, precision, TI)
    assert (tile.name, tile.warps) == (name, warps)
    assert registers_per_thread(tile, precision, TI.rate(precision).unit) == registers
    assert shared_bytes(tile, precision) == shared
    assert ctas_per_sm(tile, precision, TI) == resident


@pytest.mark.parametrize(
    ("limit", "resident"),
    [
        ({}, 5), ({"registers_per_sm": 88 * 128 * 3}, 3), ({"shared_bytes_per_sm": 4 * 8192 - 1}, 3),
        ({"threads_per_sm": 256}, 2), ({"ctas_per_sm": 1}, 1), ({"threads_per_sm": 127}, 0),
    ],
)  # fmt: skip
def test_each_limit_counts(limit, resident):
    fp32 = find_precision("fp32")
    assert ctas_per_sm(find_tile("64x64", fp32, TI), fp32, replace(TI, **limit)) == resident


@pytest.mark.parametrize(
    ("device", "precision", "k"),
    [
        (TI, "fp32", 8), (TI, "fp16", 32), (TI, "int8", 64), (TI, "int4", 128), (V100, "fp64", 4), (V100, "int8", 32),
        (find_device("a100"), "tf32", 16), (find_device("a100"), "fp64", 8), (find_device("p100"), "fp16", 16),
    ],
)  # fmt: skip
def test_k_step_fills_the_same_bytes(device, precision, k):
    tiles = tiles_for(find_precision(precision), device)
    assert {tile.k for tile in tiles} == {k}
    tensor = device.rate(find_precision(precision)).unit == "tensor"
    assert [(t.m, t.n) for t in tiles] == [(t[0], t[1]) for t in (TENSOR_TILES if tensor else SIMT_TILES)]


@pytest.mark.parametrize("shapes", [SIMT_TILES, TENSOR_TILES])
def test_warps_cover_their_tile(shapes):
    for m, n, warp_m, warp_n in shapes:
        assert (m % warp_m, n % warp_n) == (0, 0)
        assert 2 <= Tile(m, n, 8, warp_m, warp_n).warps <= 32
    assert len({(m, n) for m, n, *_ in shapes}) == len(shapes)


def test_splits_double():
    assert SPLITS == (1, 2, 4, 8, 16, 32, 64)


@pytest.mark.parametrize("name", ["128x128", "128x128x32"])
def test_tiles_by_short_and_long_name(name):
    assert find_tile(name, find_precision("fp16"), TI) == Tile(128, 128, 32, 64, 64)


@pytest.mark.parametrize("name", ["128x128x16", "96x96", "", "best", "128×128"])
def test_unknown_tile(name):
    with pytest.raises(InputError) as caught:
        find_tile(name, find_precision("fp16"), TI)
    (line,) = caught.value.lines()
    assert line.startswith(
        f"E1106 tile {name!r} is not in the set for fp16. Known: 256x128x32, 128x256x32, 128x128x32,"
    )


def test_a_tile_that_does_not_fit():
    fp16 = find_precision("fp16")
    small = replace(TI, shared_bytes_per_sm=49151)
    tile = find_tile("128x256", fp16, small)
    with pytest.raises(Unsupported) as caught:
        TileTable.of((tile,), fp16, small)
    assert caught.value.lines() == [
        "E1107 tile 128x256x32: does not fit an SM of rtx-2080-ti in fp16. Choose a smaller one."
    ]
    table = TileTable.of((tile, find_tile("128x128", fp16, small)), fp16, small)  # the others remain
    assert [tile.name for tile in table.tiles] == ["128x128x32"]
    assert (table.m.tolist(), table.warps.tolist(), table.warp_edge.tolist(), table.resident.tolist()) == (
        [128], [4], [128], [1],
    )  # fmt: skip


@pytest.mark.parametrize("name", device_names())
def test_every_device_can_hold_some_tile_of_each_precision(name):
    device = find_device(name)
    for key in device.rates:
        precision = find_precision(*key)
        table = TileTable.of(tiles_for(precision, device), precision, device)
        assert table.tiles
        assert table.resident.min() >= 1
        assert (table.resident * table.warps * 32).max() <= device.threads_per_sm
