"""The tile model on paper, against a plain-Python twin written from its equations, and how it must behave."""

from dataclasses import replace
from math import ceil, inf, isinf, sqrt

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from perfmodel.cost import Tiles
from perfmodel.cost.estimate import Gemms, price
from perfmodel.cost.tiles import Constants
from perfmodel.cost.tileset import SPLITS, TileTable, ctas_per_sm, find_tile, tiles_for
from perfmodel.devices import Device, Rate, device_names, find_device
from perfmodel.errors import InputError, Unsupported
from perfmodel.gemm import Gemm, find_precision
from perfmodel.lowering import MemoryOp

DEVICES = [find_device(name) for name in device_names()]
PAIRS = [(device, find_precision(*key)) for device in DEVICES for key in device.rates]
T4 = find_device("t4")
FP32 = find_precision("fp32")
BUSY = settings(deadline=None)  # the machine may be

SIZE = st.floats(0, 15).map(lambda x: round(2**x))  # 1 to 32768, small and large alike


@st.composite
def gemms(draw, precision=FP32):
    """A GEMM, half of the time with operands that are partly stored."""
    gemm = Gemm(draw(SIZE), draw(SIZE), draw(SIZE), draw(st.integers(1, 40)), precision)
    if draw(st.booleans()):
        a = draw(st.integers(1, 2 * gemm.batch * gemm.m * gemm.k))
        b = draw(st.integers(1, 2 * gemm.batch * gemm.n * gemm.k))
        gemm = replace(gemm, a_distinct=a, b_distinct=b)
    return gemm


# ---- the twin: one shape, one tile and one split at a time, waves one after the other ----


def both(first, second, share):
    """Two resources that overlap but for a share of the lesser."""
    return max(first, second) + share * min(first, second)


def twin(gemm, tile, split, device, constants=None, squarest=True):
    """Seconds of one GEMM with one tile and one split."""
    c = constants or Constants()
    rate = device.rates[gemm.precision.operand.name, gemm.precision.accumulator.name]
    size, out = gemm.precision.operand.bits / 8, gemm.precision.output.bits / 8
    hertz = device.sustained_clock_hz
    if rate.unit == "simt" and device.power_w and device.architecture in ("pascal", "volta", "turing"):
        hertz = min(hertz, c.simt_flop_per_j * device.power_w / (2 * rate.macs_per_clock * device.sms * c.issue))
    hertz *= c.clock
    if split > 1 and gemm.k < 4 * tile.k * split:
        return inf
    resident = ctas_per_sm(tile, gemm.precision, device)
    rows, columns = ceil(gemm.m / tile.m), ceil(gemm.n / tile.n)
    ctas = rows * columns * gemm.batch * split
    steps = ceil(gemm.k / (tile.k * split))

    # one k-step of one CTA among others: arithmetic and shared memory
    arithmetic = tile.m * tile.n * tile.k / (rate.macs_per_clock * c.issue)
    fragments = tile.warps * (tile.warp_m + tile.warp_n) * tile.k * size
    if rate.unit != "tensor":
        fragments *= c.simt_fragments
    staging = (tile.m + tile.n) * tile.k * size
    step = both(arithmetic, (fragments + staging) / device.shared_bytes_per_clock, c.overlap)
    alone = max(step * max(1, 4 / tile.warps), c.latency) + c.sync

    # the waves: as many CTAs as fit, then the rest spread evenly over the SMs
    full, rest = divmod(ctas, device.sms * resident)
    cycles = full * max(resident * step, alone)
    epilogue = c.epilogue + tile.m * tile.n * out / (2 * device.shared_bytes_per_clock)
    exposed = full * epilogue / resident
    if rest:
        cycles += max(ceil(rest / device.sms) * step, alone)
        exposed += epilogue
    compute = cycles * steps / hertz

    # L2 to the SMs: 64 B per clock for each SM at work
    port = min(device.l2_bytes_per_clock, 64 * min(ctas, device.sms))
    l2 = ctas * steps * staging / (c.l2 * port * hertz)

    # DRAM: the rectangle of tiles in flight shares its rows of A and columns of B
    wave = min(rows * columns, device.sms * resident)
    if squarest:
        wide = min(columns, max(1, round(sqrt(wave * tile.m / tile.n))))
        tall = min(rows, ceil(wave / wide))
        wide = min(columns, max(wide, ceil(wave / tall)))
    else:
        tall, wide = min(rows, wave), ceil(wave / rows)
    traffic = 0.0
    for length, edge, count, distinct in (
        (gemm.m, tile.m, tall, gemm.a_distinct),
        (gemm.n, tile.n, wide, gemm.b_distinct),
    ):
        view = length * gemm.k * size
        fraction = 1.0 if distinct is None else min(1.0, distinct / (gemm.batch * length * gemm.k))
        waves = rows * columns / wave
        streamed = waves * count * edge * gemm.k * size
        read = view if view * fraction < device.l2_bytes / 2 else max(view, streamed)
        traffic += gemm.batch * read * fraction
    if split == 1:
        traffic += gemm.batch * gemm.m * gemm.n * out
    dram = traffic / (c.dram * device.dram_bytes_per_s * min(1, ctas / (device.sms / 2)))

    seconds = c.launch_s + both(compute, both(l2, dram, c.overlap), c.overlap) + exposed / hertz
    if split > 1:
        outputs = gemm.batch * gemm.m * gemm.n
        partial = 4 * split * outputs
        speed = c.dram * device.dram_bytes_per_s * (2 if partial < 0.6 * device.l2_bytes else 1)
        seconds += 0.6 * c.launch_s + (2 * partial + outputs * out) / speed
    return seconds


def pages(gemm, device):
    """Seconds that rows pages apart add on Pascal, where a GEMM's operands are whole and contiguous in k."""
    row = gemm.k * gemm.precision.operand.bits / 8
    if device.architecture != "pascal" or row <= 8192:
        return 0.0
    c, edge_n = Constants(), 32 if device.compute_capability == (6, 0) else 128
    a = gemm.a_distinct is None or gemm.a_distinct >= gemm.batch * gemm.m * gemm.k
    b = gemm.b_distinct is None or gemm.b_distinct >= gemm.batch * gemm.n * gemm.k
    reads = gemm.batch * gemm.m * gemm.n * row / 32 * (a / edge_n + b / 128) * min(1, (row - 8192) / 90112)
    spanned = (a * gemm.m + b * gemm.n) * row
    return c.page_s * reads * spanned / (spanned + c.page_bytes) / (device.l2_bytes_per_clock / 64)


@settings(deadline=None, max_examples=300)
@given(st.data(), st.sampled_from(PAIRS), st.booleans())
def test_twin_agrees_for_every_tile_and_split(data, pair, squarest):
    device, precision = pair
    gemm = data.draw(gemms(precision))
    model = Tiles(device, squarest=squarest)
    table = model.table(precision)
    times = model.times(Gemms.of([gemm]), table, np.array(SPLITS, dtype=float))
    expected = [[twin(gemm, tile, split, device, squarest=squarest) for split in SPLITS] for tile in table.tiles]
    assert times.shape == (len(table.tiles), len(SPLITS), 1)
    np.testing.assert_allclose(times[:, :, 0], expected, rtol=1e-12)


@BUSY
@given(st.data(), st.sampled_from(PAIRS), st.sampled_from(["issue", "dram", "l2", "overlap", "clock"]))
def test_twin_agrees_for_other_constants(data, pair, name):
    device, precision = pair
    gemm, tile = data.draw(gemms(precision)), data.draw(st.sampled_from(tiles_for(precision, device)))
    assume(ctas_per_sm(tile, precision, device))
    constants = Constants(**{name: 0.37}, latency=777.0, sync=11.0, epilogue=5.0, launch_s=1e-6, simt_fragments=1.5)
    model = Tiles(device, tile.name, constants=constants)
    table = TileTable.of((tile,), precision, device)
    times = model.times(Gemms.of([gemm]), table, np.array([1.0, 3.0, 8.0]))
    assert times[0, :, 0].tolist() == pytest.approx(
        [twin(gemm, tile, split, device, constants) for split in (1, 3, 8)], rel=1e-12
    )


@BUSY
@given(st.data(), st.sampled_from(PAIRS), st.booleans())
def test_best_of_is_the_least_over_tiles_and_splits(data, pair, split_k):
    device, precision = pair
    some = data.draw(st.lists(gemms(precision), min_size=1, max_size=3))
    model = Tiles(device, split_k=split_k)
    answer = model.gemms(Gemms.of(some))
    for gemm, seconds, detail in zip(some, answer.seconds, answer.detail, strict=True):
        priced = {
            tile.name + (f" split {split}" if split > 1 else ""): twin(gemm, tile, split, device) + pages(gemm, device)
            for tile in model.table(precision).tiles
            for split in (SPLITS if split_k else (1,))
        }
        assert seconds == pytest.approx(min(priced.values()), rel=1e-12)
        assert priced[detail] == pytest.approx(seconds, rel=1e-12)  # the kernel it names takes that long
    assert answer.basis == "analytical"


def test_many_shapes_at_once_are_priced_as_one_by_one():
    random = np.random.default_rng(7)
    some = [Gemm(*(int(n) for n in random.integers(1, 5000, 3))) for _ in range(150)]  # more than two blocks
    model = Tiles(T4)
    together = model.gemms(Gemms.of(some))
    alone = [model.gemms(Gemms.of([gemm])) for gemm in some]
    assert together.seconds.tolist() == [one.seconds[0] for one in alone]
    assert together.detail.tolist() == [one.detail[0] for one in alone]


# ---- on paper ----

CARD = Device(
    name="paper", title="", source="", architecture="", compute_capability=(1, 0), sms=10, base_clock_hz=1e9,
    boost_clock_hz=1e9, tensor_clock_hz=1e9, sustained_clock_hz=1e9, registers_per_sm=65536, shared_bytes_per_sm=65536,
    shared_bytes_per_clock=128, threads_per_sm=1024, ctas_per_sm=2, l2_bytes=1_000_000, l2_bytes_per_clock=1000,
    dram_bytes_per_s=1e11, memory_bytes=10**9, rates={("fp32", "fp32"): Rate("simt", 64)},
)  # fmt: skip
ROUND = Constants(
    issue=0.5, dram=0.5, l2=0.5, launch_s=4e-6, latency=1000, sync=100, epilogue=1000, overlap=0.25, simt_fragments=2
)


def on_paper(gemm, split=1):
    model = Tiles(CARD, "64x64", constants=ROUND)
    return model.times(Gemms.of([gemm]), model.table(FP32), np.array([float(split)])).item()


def test_one_full_wave_on_paper():
    # Tile 64x64x8, 4 warps of 32x32, 2 CTAs on each of 10 SMs. 256 x 320 is 4 x 5 tiles = 20 CTAs: one full wave.
    # k-step   arithmetic 64·64·8/(64·0.5) = 1024 cycles; shared memory: fragments 4·64·8·4 B·2 = 16384 B and staging
    #          128·8·4 = 4096 B at 128 B/cycle = 160 cycles; together 1024 + 160/4 = 1064
    # compute  2 CTAs: 2128 cycles a step (alone: max(1064, 1000) + 100 = 1164); 100 steps at 1 GHz      = 212.8 us
    # L2       20 CTAs · 100 steps · 4096 B = 8.192 MB at 0.5 · min(1000, 64·10) B/cycle                  =  25.6 us
    # DRAM     A 256·800·4 = 819,200 B, B 1,024,000 B: both above half of L2 and, in one wave, streamed once; squarest:
    #          round(√20) = 4 wide, min(4, 5) tall, then 5 wide. C 327,680 B. 2,170,880 B at 50 GB/s      =  43.4176 us
    # memory   43.4176 + 25.6/4 = 49.8176 us; body 212.8 + 49.8176/4                                      = 225.2544 us
    # epilogue (1000 + 64·64·4/256 = 1064) cycles, half of it hidden by the second CTA                    =   0.532 us
    # launch                                                                                              =   4 us
    assert on_paper(Gemm(256, 320, 800)) == pytest.approx(229.7864e-6, rel=1e-12)


def test_a_full_wave_and_a_tail_on_paper():
    # 5 x 5 tiles: 20 CTAs, then 5 alone on their SMs: (2128 + 1164)·100 cycles                           = 329.2 us
    # L2       25·100·4096 B at 320 B/cycle                                                               =  32 us
    # DRAM     wave of 20: 4 wide, 5 tall; 25/20 waves stream A 1.25·5·64·800·4 = 1,280,000 B and B 1,024,000 B, stored
    #          1,024,000 B each; C 409,600 B; 2,713,600 B at 50 GB/s                                      =  54.272 us
    # memory   54.272 + 8 = 62.272 us; body 329.2 + 62.272/4                                              = 344.768 us
    # epilogue 1064·(1/2 + 1) cycles = 1.596 us; launch 4 us
    assert on_paper(Gemm(320, 320, 800)) == pytest.approx(350.364e-6, rel=1e-12)


def test_split_k_on_paper():
    # One tile, k in 2: 50 steps of 1164 cycles                                                           =  58.2 us
    # L2       2·50·4096 B at 0.5·64·2 B/cycle                                                            =   6.4 us
    # DRAM     A and B 204,800 B each; 2 CTAs of 10 SMs reach 0.4 of 50 GB/s                              =  20.48 us
    # body     58.2 + (20.48 + 1.6)/4 = 63.72 us; epilogue 1.064 us; launch 4 us
    # reduce   0.6·4 us and, through L2 at twice 50 GB/s, 2·(4·2·4096) B + 16384 B = 81,920 B             =   3.2192 us
    assert on_paper(Gemm(64, 64, 800), 2) == pytest.approx(72.0032e-6, rel=1e-12)


def test_split_k_beyond_l2_on_paper():
    # 0.6 of this L2 is 32,767.8 B, a little less than both partial results: 50 GB/s, so 81,920 B take 0.8192 us more.
    # A and B no longer fit half of it either, but one tile streams them once all the same.
    model = Tiles(replace(CARD, l2_bytes=54_613), "64x64", constants=ROUND)
    seconds = model.times(Gemms.of([Gemm(64, 64, 800)]), model.table(FP32), np.array([2.0])).item()
    assert seconds == pytest.approx(72.8224e-6, rel=1e-12)


def test_batches_share_waves_on_paper():
    # 20 GEMMs of one tile are one full wave as well: compute 212.8 us, L2 25.6 us; operands of 204,800 B fit L2:
    # DRAM 20·(409,600 + 16,384) B at 50 GB/s = 170.3936 us; 170.3936 + 6.4 = 176.7936; 212.8 + 44.1984 = 256.9984 us
    assert on_paper(Gemm(64, 64, 800, batch=20)) == pytest.approx((256.9984 + 0.532 + 4) * 1e-6, rel=1e-12)


def test_implicit_operands_are_read_where_they_are_stored_on_paper():
    # The full wave, but only a quarter of A is stored: 204,800 B instead of 819,200 B; DRAM 31.1296 us, memory
    # 31.1296 + 6.4 = 37.5296; body 212.8 + 9.3824 = 222.1824 us
    gemm = Gemm(256, 320, 800, a_distinct=256 * 800 // 4)
    assert on_paper(gemm) == pytest.approx((222.1824 + 0.532 + 4) * 1e-6, rel=1e-12)


def test_memory_on_paper():
    model = Tiles(CARD, constants=ROUND)
    prices = price(model, [MemoryOp(30e6, 20e6), MemoryOp(0, 0)])
    assert prices.seconds.tolist() == pytest.approx([1.004e-3, 4e-6])
    assert prices.basis == ["analytical"] * 2


def test_defaults():
    c = Constants()
    assert (c.issue, c.dram, c.l2, c.launch_s, c.latency, c.sync) == (0.92, 0.82, 0.75, 4e-6, 520, 40)
    assert (c.epilogue, c.overlap, c.simt_fragments, c.clock) == (900, 0.15, 2.5, 1)


# ---- choices ----


@BUSY
@given(st.data(), st.sampled_from(PAIRS))
def test_a_k_too_short_to_split_is_never_split(data, pair):
    device, precision = pair
    gemm = data.draw(gemms(precision))
    model = Tiles(device)
    table = model.table(precision)
    times = model.times(Gemms.of([gemm]), table, np.array(SPLITS, dtype=float))
    for tile, row in zip(table.tiles, times[:, :, 0], strict=True):
        assert [isinf(t) for t in row] == [s > 1 and gemm.k / s < 4 * tile.k for s in SPLITS]
    answer = model.gemms(Gemms.of([gemm]))
    assert np.isfinite(answer.seconds).all()
    name, _, split = answer.detail[0].partition(" split ")
    assert gemm.k >= 4 * find_tile(name, precision, device).k * int(split or 0)


def test_split_k_is_named_and_can_be_forbidden():
    gemm = Gemm(64, 64, 100_000)
    free, unsplit = (Tiles(T4, split_k=allowed).gemms(Gemms.of([gemm])) for allowed in (True, False))
    assert " split " in free.detail[0]
    assert "split" not in unsplit.detail[0]
    assert free.seconds[0] < unsplit.seconds[0] / 5


@BUSY
@given(gemms(), st.sampled_from(DEVICES))
def test_without_split_k_no_kernel_is_split(gemm, device):
    answer = Tiles(device, split_k=False).gemms(Gemms.of([gemm]))
    assert answer.detail[0] in {tile.name for tile in tiles_for(FP32, device)}


def test_a_named_tile_is_the_only_one():
    some = [Gemm(7, 9, 11), Gemm(5000, 3000, 17), Gemm(64, 64, 100_000)]
    for name in ("128x64", "128x64x8"):
        details = price(Tiles(T4, name), some).detail
        assert {detail.partition(" ")[0] for detail in details} == {"128x64x8"}
    assert (price(Tiles(T4), some).seconds <= price(Tiles(T4, "128x64"), some).seconds).all()


def test_unsupported_precision():
    with pytest.raises(Unsupported, match="E1103 device t4: has no unit for tf32"):
        price(Tiles(T4), [Gemm(3, 5, 7, precision=find_precision("tf32"))])


def test_unknown_tile():
    with pytest.raises(InputError, match=r"E1106 tile '100x100' is not in the set for fp32. Known: 128x128x8, "):
        price(Tiles(T4, "100x100"), [Gemm(3, 5, 7)])


# ---- behaviour ----


@BUSY
@given(st.data(), st.sampled_from(PAIRS), st.sampled_from(["dram_bytes_per_s", "l2_bytes_per_clock", "l2_bytes"]))
def test_a_faster_memory_is_never_slower(data, pair, name):
    device, precision = pair
    some = Gemms.of([data.draw(gemms(precision))])
    better = replace(device, **{name: getattr(device, name) * data.draw(st.floats(1, 16))})
    before, after = (Tiles(d).gemms(some).seconds[0] for d in (device, better))
    assert after <= before * (1 + 1e-12)


@BUSY
@given(st.data(), st.sampled_from(PAIRS), st.floats(1, 4))
def test_a_faster_clock_is_never_slower(data, pair, factor):
    device, precision = pair
    some = Gemms.of([data.draw(gemms(precision))])
    faster = replace(device, sustained_clock_hz=device.sustained_clock_hz * factor)
    assert Tiles(faster).gemms(some).seconds[0] <= Tiles(device).gemms(some).seconds[0] * (1 + 1e-12)


@BUSY
@given(st.data(), st.sampled_from(PAIRS), st.integers(1, 200))
def test_more_sms_never_take_longer_to_compute(data, pair, more):
    """With memory and epilogue taken away: those of a partly filled chip are exposed more, by the model's design."""
    device, precision = pair
    free = Constants(epilogue=0.0, l2=1e30, simt_flop_per_j=1e30)  # power limits SMs, however many
    device = replace(device, dram_bytes_per_s=1e30, shared_bytes_per_clock=1e30)
    some = Gemms.of([data.draw(gemms(precision))])
    before, after = (
        Tiles(d, constants=free).gemms(some).seconds[0] for d in (device, replace(device, sms=device.sms + more))
    )
    assert after <= before * (1 + 1e-12)


@BUSY
@given(st.data(), st.sampled_from(PAIRS))
def test_a_larger_gemm_is_never_faster_to_compute(data, pair):
    """One tile, latency hidden: rounding to tiles, steps and waves only ever adds."""
    device, precision = pair
    gemm, times = data.draw(gemms(precision)), data.draw(st.integers(2, 9))
    gemm = replace(gemm, a_distinct=None, b_distinct=None)
    model = Tiles(device, tiles_for(precision, device)[0].name, split_k=False)
    before = price(model, [gemm]).seconds[0]
    assert price(model, [replace(gemm, k=gemm.k * times)]).seconds[0] >= before
    assert price(model, [replace(gemm, batch=gemm.batch * times)]).seconds[0] >= before * (1 - 1e-12)


WIDE = [  # tiles with a warp for each partition of an SM
    (device, precision, tile)
    for device, precision in PAIRS
    for tile in tiles_for(precision, device)
    if tile.warps >= 4 and ctas_per_sm(tile, precision, device)
]


@BUSY
@given(st.data(), st.sampled_from(WIDE), st.integers(2, 50))
def test_a_batch_is_never_slower_than_separate_launches(data, case, batch):
    """With latency hidden: else a batch may fill SMs with one CTA too many for the last wave to hide it."""
    device, precision, tile = case
    m, n, k = data.draw(SIZE), data.draw(SIZE), data.draw(SIZE)
    model = Tiles(device, tile.name, split_k=False, constants=Constants(latency=0.0, sync=0.0))
    one, together = price(model, [Gemm(m, n, k, 1, precision), Gemm(m, n, k, batch, precision)]).seconds
    assert together <= batch * one * (1 + 1e-12)


@BUSY
@given(st.data(), st.sampled_from(PAIRS))
def test_time_is_at_least_the_launch_and_scales_with_it(data, pair):
    device, precision = pair
    some = Gemms.of([data.draw(gemms(precision))])
    slow = Tiles(device, split_k=False, constants=Constants(launch_s=1.0))
    quick = Tiles(device, split_k=False, constants=Constants(launch_s=0.0))
    assert slow.gemms(some).seconds[0] == pytest.approx(1 + quick.gemms(some).seconds[0], rel=1e-12)
    assert quick.gemms(some).seconds[0] > 0


@BUSY
@given(st.data(), st.sampled_from(PAIRS))
def test_implicit_operands_are_never_slower(data, pair):
    device, precision = pair
    gemm = data.draw(gemms(precision))
    whole = replace(gemm, a_distinct=None, b_distinct=None)
    for swizzled in (True, False):
        stored, all_ = price(Tiles(device, squarest=swizzled), [gemm, whole]).seconds
        assert stored <= all_ * (1 + 1e-12)
