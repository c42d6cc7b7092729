"""Schemes side by side: a network by hand, refusals, and the whole grid of what is bundled."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.cost import Roofline, Tiles
from perfmodel.devices import device_names, find_device
from perfmodel.errors import InputError, PerfModelError, Unsupported
from perfmodel.networks import Linear, Network, find_network, network_names
from perfmodel.schemes import Overhead, find_scheme, first_step, read_scheme, scheme_names
from perfmodel.sidebyside import Refused, Run, SchemeCost, price_grid, price_schemes, usual_samples
from perfmodel.simulate import Setting, step_cost

# 4 in, 2 out, 2 images; with 1000 B/s and no end of arithmetic, seconds of a step are its bytes / 1000. The bytes are
# counted in tests/cli/test_speedup.py: FP32 320, of them 160 in GEMMs; mixed precision 656, of them 384 and 112 in
# casts; 8 bits 764 with 256 and 348; 12 to 16 bits 932 with 448 and 324; the update is 160 everywhere.
ONE = Network("one", "one", "made up", (4, 1, 1), (Linear("fc", ("input",), (4, 1, 1), 2, bias=False),))
SLOW = replace(find_device("t4"), name="slow", dram_bytes_per_s=1e3, sustained_clock_hz=1e12)
RUN = Run(epochs=131, samples=7, batch=2)  # 4 iterations an epoch; MuPPET's shares are those of 131 epochs
CYCLE = """
title = "A cycle"
source = "made up"
formats = ["int3", "int4", "int5", "int6", "int7", "int8"]
conversions = [{ kind = "quantise", of = "weights" }]
schedule = { kind = "cyclic", low = 3, high = 8, backward = 8, cycles = 2 }
"""


def compared(names, device=SLOW, run=RUN, network=ONE, overhead="current"):
    schemes = [find_scheme(name) if isinstance(name, str) else name for name in names]
    return price_schemes(network, schemes, run, Setting(Roofline(device), "implicit", Overhead(overhead)))


@pytest.fixture
def cycle(tmp_path):
    (tmp_path / "cycle.toml").write_text(CYCLE)
    return read_scheme(tmp_path / "cycle.toml")


# ---- runs ------------------------------------------------------------------------------------------------------------


def test_a_run_by_hand():
    result = compared(["mixed", "muppet"])
    mixed, muppet = result.costs
    assert (mixed.iterations, muppet.iterations) == (131 * 4, 131 * 4)
    assert result.fp32.epoch_s == pytest.approx(4 * 0.32)
    assert mixed.epoch_s == pytest.approx(4 * 0.656)
    assert muppet.seconds == pytest.approx(4 * (30 * 0.764 + 42 * 0.932 + 59 * 0.32))
    assert [one.iterations for one in muppet.stretches] == [120, 72, 48, 48, 236]
    assert [one.label for one in muppet.stretches] == ["dfx8", "dfx12", "dfx14", "dfx16", "fp32"]
    assert result.speedup(mixed) == pytest.approx(0.32 / 0.656)
    shares = {group: mixed.share(group) for group in ("gemm", "conversions", "update", "other")}
    assert shares == pytest.approx({"gemm": 384 / 656, "conversions": 112 / 656, "update": 160 / 656, "other": 0})
    whole = 30 * 764 + 42 * 932 + 59 * 320
    assert muppet.share("gemm") == pytest.approx((30 * 256 + 42 * 448 + 59 * 160) / whole)
    assert muppet.share("conversions") == pytest.approx((30 * 348 + 42 * 324) / whole)
    assert muppet.share("update") == pytest.approx(131 * 160 / whole)
    assert muppet.proxies == ("dfx12 timed as fp16", "dfx14 timed as fp16", "dfx16 timed as fp16")
    assert muppet.basis == "roofline"


def test_bit_operations_and_traffic_by_hand():
    result = compared(["fp32", "mixed", "muppet"])
    fp32, mixed, muppet = result.costs
    assert result.fp32 is fp32
    # 2 images, 8 MACs, fprop and wgrad: the first layer has no dgrad.
    assert fp32.bit_operations == result.fp32_bit_operations == 2 * 8 * 2 * 32 * 32
    assert result.relative_bit_operations(mixed) == 1 / 4
    squares = 30 * 8**2 + 18 * 12**2 + 12 * 14**2 + 12 * 16**2 + 59 * 32**2
    assert result.relative_bit_operations(muppet) == pytest.approx(squares / 131 / 32**2)
    assert (fp32.bytes, mixed.bytes) == (320, 656)
    assert muppet.bytes == pytest.approx((30 * 764 + 42 * 932 + 59 * 320) / 131)


def test_without_overhead_nothing_is_converted():
    (muppet,) = compared(["muppet"], overhead="ideal").costs
    assert muppet.share("conversions") == 0
    assert muppet.seconds == pytest.approx(4 * (30 * 0.416 + 42 * 0.608 + 59 * 0.32))


def test_a_given_time_counts_as_conversions():
    scheme = find_scheme("muppet")
    setting = Setting(Roofline(SLOW), "implicit", Overhead("given", 3.0))
    (cost,) = price_schemes(ONE, [scheme], RUN, setting).costs
    assert cost.seconds == pytest.approx(4 * (30 * (0.416 + 3) + 42 * (0.608 + 3) + 59 * 0.32))


def test_fp32_is_priced_though_nobody_asked():
    result = compared(["mixed"])
    assert [cost.scheme.name for cost in result.costs] == ["mixed"]
    assert isinstance(result.fp32, SchemeCost)


# ---- cyclic schedules ------------------------------------------------------------------------------------------------


def test_a_cycle_on_int8_units_takes_as_long_as_its_widest_step(cycle):
    device = replace(SLOW, rates={key: rate for key, rate in SLOW.rates.items() if key[0] != "int4"})
    result = compared([cycle], device)
    (cost,), static = result.costs, result.static["cycle"]
    assert [one.label for one in static.stretches] == ["int8"]
    assert cost.seconds == pytest.approx(static.seconds, rel=1e-12)
    assert cost.seconds == pytest.approx(131 * 4 * 0.512)  # GEMMs 256 B, weights 8·9, transposes 24, update 160
    counts = {one.label: one.iterations for one in cost.stretches}
    bits = sum(n * (b * b + 8 * b) for b, n in zip(range(3, 9), counts.values(), strict=True))
    assert cost.bit_operations == pytest.approx(16 * bits / 524)
    assert static.bit_operations == 16 * (64 + 64)


def test_a_cycle_on_int4_units_saves_what_their_forward_pass_saves(cycle):
    result = compared([cycle])
    (cost,), static = result.costs, result.static["cycle"]
    # fprop in INT4: 2x4x32, 192 elements of half a byte and 8 of 4 B; in INT8 2x4x16, 96 of 1 B and 8 of 4 B.
    narrow = sum(one.iterations for one in cost.stretches if one.label in ("int3/int8", "int4/int8"))
    assert static.seconds == pytest.approx(524 * 0.512)
    assert static.seconds - cost.seconds == pytest.approx(narrow * ((96 + 32) - (192 / 2 + 32)) / 1e3, abs=1e-9)


def test_cpt_saves_no_time_without_int4_units_and_some_with_them():
    network = find_network("resnet18")
    for device, least in (("h100-sxm", 0), ("l4", 1e-4)):
        setting = Setting(Tiles(find_device(device)))
        result = price_schemes(network, [find_scheme("cpt")], Run(90, 1_281_167, 256), setting)
        saved = 1 - result.costs[0].seconds / result.static["cpt"].seconds
        assert saved > least if least else saved == pytest.approx(0, abs=1e-12)


def test_only_cycles_have_a_static_counterpart(cycle):
    still = replace(cycle, name="still", schedule=replace(cycle.schedule, low=8))
    assert list(compared(["fp32", "muppet", cycle, still]).static) == ["cycle"]


# ---- refusals --------------------------------------------------------------------------------------------------------


def test_a_scheme_that_the_device_refuses_is_named():
    result = compared(["fp32", "muppet"], replace(find_device("p100"), dram_bytes_per_s=1e3))
    fp32, muppet = result.costs
    assert isinstance(fp32, SchemeCost)
    assert isinstance(muppet, Refused)
    assert (result.priced, result.refused) == ([fp32], [muppet])
    assert [problem.code for problem in muppet.error.problems] == ["E1103"]


def test_all_refused_is_an_error_with_each_problem_once():
    with pytest.raises(InputError) as caught:
        compared(["muppet", "fxpnet", "hbfp"], find_device("p100"))
    assert [str(problem)[:40] for problem in caught.value.problems] == ["E1103 device p100: has no unit for int8."]


def test_a_run_too_short_for_a_cycle_is_a_refusal(cycle):
    result = compared(["fp32", cycle], run=Run(1, 2, 2))
    assert [problem.code for problem in result.refused[0].error.problems] == ["E1501"]


def test_without_fp32_there_is_no_speedup():
    rates = {key: rate for key, rate in SLOW.rates.items() if key[0] != "fp32"}
    result = compared(["mixed"], replace(SLOW, rates=rates))
    assert isinstance(result.fp32, Refused)
    assert result.speedup(result.costs[0]) is None
    assert result.relative_bit_operations(result.costs[0]) == 1 / 4


def test_a_mistake_of_the_setting_is_no_refusal():
    with pytest.raises(Unsupported, match=r"^E1111"):
        compared(["fp32", "muppet"], overhead="measured")


@pytest.mark.parametrize(
    ("name", "samples"), [("resnet18", 1_281_167), ("resnet20", 50_000), ("mobilenetv2", 1_281_167)]
)
def test_usual_samples(name, samples):
    assert usual_samples(find_network(name)) == samples


def test_the_last_batch_of_an_epoch_may_be_smaller():
    assert [Run(1, samples, 256).iterations for samples in (1, 256, 257, 1_281_167)] == [1, 1, 2, 5005]


# ---- the grid --------------------------------------------------------------------------------------------------------

SCHEMES, NETWORKS, DEVICES = (
    [find(name) for name in names()]
    for find, names in ((find_scheme, scheme_names), (find_network, network_names), (find_device, device_names))
)
NEED_INT8 = {"muppet", "cpt", "dorefa", "fxpnet", "hbfp", "hbfp-tensor"}


def test_every_scheme_network_and_device_has_a_price_or_a_named_refusal():
    cells = list(price_grid(SCHEMES, NETWORKS, DEVICES))
    names = {
        (scheme.name, network.name, device.name) for scheme in SCHEMES for network in NETWORKS for device in DEVICES
    }
    assert {(cell.scheme, cell.network, cell.device) for cell in cells} == names
    assert len(cells) == len(names)
    for cell in cells:
        if cell.seconds is None:
            assert [problem.code for problem in cell.refusal.problems] == ["E1103"]
        else:
            assert cell.refusal is None
            assert 1e-5 < cell.seconds < 1e3
    refused = Counter((cell.scheme, cell.device) for cell in cells if cell.seconds is None)
    assert refused == dict.fromkeys(((name, "p100") for name in NEED_INT8), len(NETWORKS))


@pytest.mark.parametrize("model", [Tiles, Roofline])
@pytest.mark.parametrize("overhead", [Overhead("current"), Overhead("epilogue"), Overhead("given", 0.25)])
def test_the_grid_has_the_prices_of_single_steps(model, overhead):
    networks = [find_network(name) for name in ("resnet20", "alexnet-reference")]
    devices = [find_device(name) for name in ("p100", "v100", "rtx-2080-ti", "h100-sxm", "gtx-1080-ti")]
    cells = price_grid(SCHEMES, networks, devices, batch=12, model=model, mapping="im2col", overhead=overhead)
    for cell in cells:
        scheme, network = find_scheme(cell.scheme), find_network(cell.network)
        setting = Setting(model(find_device(cell.device)), "im2col", overhead)
        if cell.seconds is None:
            with pytest.raises(PerfModelError) as caught:
                step_cost(network, 12, scheme, first_step(scheme), setting)
            assert str(cell.refusal) == str(caught.value)
        else:
            seconds = step_cost(network, 12, scheme, first_step(scheme), setting).total.seconds
            assert cell.seconds == pytest.approx(seconds, rel=1e-12)


@given(st.permutations(DEVICES), st.integers(1, 5))
def test_what_devices_share_depends_on_no_order(devices, count):
    chosen = [find_scheme(name) for name in ("hbfp", "bf16", "cpt")]
    cells = price_grid(chosen, [ONE], devices[:count], batch=3, model=Roofline)
    alone = [cell for device in devices[:count] for cell in price_grid(chosen, [ONE], [device], 3, Roofline)]
    for cell, other in zip(cells, alone, strict=True):
        assert cell.device == other.device
        assert cell.seconds == (other.seconds and pytest.approx(other.seconds, rel=1e-12))


def test_a_chip_without_fp32_refuses_the_sums_of_tiles():
    rates = {key: rate for key, rate in SLOW.rates.items() if key[0] != "fp32"}
    odd = replace(SLOW, name="odd", rates=rates)
    deep = replace(ONE, input=(400, 1, 1), layers=(Linear("fc", ("input",), (400, 1, 1), 2, bias=False),))
    for devices in ([odd, SLOW], [SLOW, odd]):
        cells = {cell.device: cell for cell in price_grid([find_scheme("hbfp")], [deep], devices, model=Roofline)}
        assert [problem.code for problem in cells["odd"].refusal.problems] == ["E1103"]
        assert cells["slow"].seconds > 0


def test_a_rule_that_fits_no_layer_is_a_refusal(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        'title = "m"\nsource = "s"\ntensors = { format = "fp16" }\n[[layers]]\nmatch = "x.*"\nformat = "fp32"\n'
    )
    (cell,) = price_grid([read_scheme(path)], [ONE], [SLOW])
    assert [problem.code for problem in cell.refusal.problems] == ["E1108"]


def test_layers_of_one_name_are_told_apart():
    wide = replace(ONE, layers=(Linear("fc", ("input",), (4, 1, 1), 7, bias=False),))
    fp32 = find_scheme("fp32")
    seconds = [
        step_cost(network, 2, fp32, first_step(fp32), Setting(Roofline(SLOW))).total.seconds for network in (ONE, wide)
    ]
    assert seconds == pytest.approx([0.32, (2 * (8 + 28 + 14) * 4 + 28 * 20) / 1e3])
