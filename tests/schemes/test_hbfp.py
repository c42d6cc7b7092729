"""HBFP: units, what is quantised, wide weights, and the sums of tiles."""

import pytest

from perfmodel.devices import find_device
from perfmodel.gemm import find_precision
from perfmodel.lowering import Delay
from perfmodel.schemes import LEVELS, find_scheme, run_stretches

UPDATES = [("first", 540, 324), ("middle", 60, 36), ("last", 1650, 990)]  # 2 + 4 + 4 B read, 2 + 4 B written


@pytest.mark.parametrize(
    ("name", "unit"),
    [("hbfp", ("int8", "", "int32")), ("hbfp-tensor", ("int8", "", "int32")),
     ("hbfp12", ("fp16", "bfp12 timed as fp16", "fp32"))],
)  # fmt: skip
@pytest.mark.parametrize("device", [None, "t4", "v100"])
def test_no_layer_is_an_exception(units, name, unit, device):
    found = units(find_scheme(name), device=device and find_device(device))
    assert len(found) == 8
    assert set(found.values()) == {unit}


@pytest.mark.parametrize("name", ["hbfp", "hbfp12"])
def test_tiles_are_quantised_in_one_pass(added, name):
    assert added(find_scheme(name)) == [
        ("first", "fprop", "quantise", 256, 64, 1), ("first", "dgrad", "quantise", 384, 96, 1),
        ("middle", "fprop", "quantise", 384, 96, 1), ("middle", "dgrad", "quantise", 256, 64, 1),
        ("last", "fprop", "quantise", 256, 64, 1), ("last", "dgrad", "quantise", 40, 10, 1),
        ("first", "update", "quantise", 216, 54, 2), ("middle", "update", "quantise", 24, 6, 2),
        ("last", "update", "quantise", 660, 165, 2),
    ]  # fmt: skip


def test_one_tile_needs_its_maximum_first(added):
    rows = added(find_scheme("hbfp-tensor"))
    assert rows[:2] == [("first", "fprop", "quantise", 256, 0, 1), ("first", "fprop", "quantise", 256, 64, 1)]
    assert rows[-2:] == [("last", "update", "quantise", 660, 0, 2), ("last", "update", "quantise", 660, 165, 2)]
    assert len(rows) == 18


@pytest.mark.parametrize("name", ["hbfp", "hbfp12", "hbfp-tensor"])
def test_updates_read_and_write_wide_weights(added, name):
    rows = added(find_scheme(name), kinds=("update",))
    assert [(layer, read, written) for layer, _, _, read, written, _ in rows] == UPDATES


@pytest.mark.parametrize(
    ("name", "outputs"),
    # Two tiles of 24 hold k = 32: that of both convolutions' wgrad, and of the last layer's fprop. Outputs as padded:
    # 3x20, 2x4, 2x8 for INT8 and 8x24, 8x8, 2x8 for FP16. A k of 18 is one tile, though INT8 fills it up to 32.
    [("hbfp", (60, 8, 16)), ("hbfp12", (192, 64, 16))],
)
def test_sums_of_tiles(step, name, outputs):
    device = find_device("t4")
    peak = device.peak_flop_per_s(find_precision("fp32"), device.sustained_clock_hz)
    works = [work for work in step(find_scheme(name), device=device) if work.kind == "scale"]
    assert [(work.layer, work.pass_, work.count) for work in works] == [
        ("first", "wgrad", 1), ("middle", "wgrad", 1), ("last", "fprop", 1),
    ]  # fmt: skip
    assert all(isinstance(work.kernel, Delay) and work.kernel.basis == "roofline" for work in works)
    assert [work.kernel.seconds * peak for work in works] == pytest.approx([2 * 2 * count for count in outputs])


def test_image_by_image_the_sums_are_as_many_as_images(step):
    works = step(find_scheme("hbfp"), device=find_device("t4"), mapping="im2col-per-image")
    assert {(work.layer, work.count) for work in works if work.kind == "scale"} == {("last", 1)}  # k = 16 an image


@pytest.mark.parametrize("name", ["hbfp", "hbfp12", "hbfp-tensor"])
def test_no_sums_without_a_device_or_tiles(step, name):
    assert not [work for work in step(find_scheme(name)) if work.kind == "scale"]
    if name == "hbfp-tensor":
        assert not [work for work in step(find_scheme(name), device=find_device("t4")) if work.kind == "scale"]


@pytest.mark.parametrize("level", LEVELS)
def test_scaling_sums_is_no_cost_without_overhead(step, level):
    works = step(find_scheme("hbfp"), level=level, device=find_device("t4"))
    assert any(work.kind == "scale" for work in works) == (level != "ideal")


def test_a_run_has_one_format():
    (one,) = run_stretches(find_scheme("hbfp12"), 3, 7)
    assert (one.formats.label, one.iterations) == ("bfp12", 21)
