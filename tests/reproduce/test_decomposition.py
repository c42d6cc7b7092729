"""What the published speedups consist of, by hand: fewer epochs, and faster or slower ones."""

import pytest

from perfmodel.reproduce.decomposition import decompose, decompositions
from perfmodel.reproduce.published import table3
from perfmodel.reproduce.schedules import break_even_quantised

ROWS = {row.title: row for row in table3().rows}

# Quantised epochs; minutes of one and of one in FP32; by fewer epochs, at equal epochs; ms of conversions an iteration.
# AlexNet at equal epochs: 1813/1432 = 1.266, divided by 150/113. GoogLeNet: 9148/7333 = 1.248, divided by 150/107.
AT_44 = {
    "AlexNet": (69, "13.05", "12.09", "1.33", "0.95", "36"),
    "GoogLeNet": (63, "73.8", "61.0", "1.40", "0.89", "452"),
}
# Quantised epochs and FP32 epochs. Inferred; then for each length of the FP32 stage the least and the most that fit at
# t8/t16 of 0.5 or 0.7, the limit's ranges there together.
EPOCHS = {
    "AlexNet": [
        (69, 44, "inferred"), (69, 45, "inferred"), (72, 44, "inferred"), (72, 45, "inferred"),
        (63, 44, "least that fits"), (90, 44, "most that fits"), (63, 45, "least that fits"),
        (87, 45, "most that fits"),
    ],
    "ResNet18": [
        (87, 45, "least that fits"), (105, 45, "most that fits"), (66, 59, "least that fits"),
        (90, 59, "most that fits"),
    ],
    "GoogLeNet": [
        (63, 44, "inferred"), (63, 45, "inferred"),
        (51, 44, "least that fits"), (63, 44, "most that fits"), (48, 45, "least that fits"),
        (63, 45, "most that fits"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("title", AT_44)
def test_by_hand(title):
    quantised, minutes, fp32_minutes, fewer, equal, milliseconds = AT_44[title]
    row = ROWS[title]
    found = decompose(row, quantised, 44, "inferred")
    assert (found.row, found.quantised, found.fp32_epochs, found.inferred) == (row, quantised, 44, "inferred")
    decimals = len(minutes.partition(".")[2])
    assert f"{found.quantised_epoch_s / 60:.{decimals}f}" == minutes
    assert f"{row.epoch('fp32') / 60:.{decimals}f}" == fp32_minutes
    assert f"{found.epoch_factor:.2f}" == fewer
    assert f"{found.equal_epoch_speedup:.2f}" == equal
    assert f"{found.conversions_s * 1e3:.0f}" == milliseconds
    assert found.quantised_epoch_s > row.epoch("fp32")  # precision costs time, and fewer epochs are all of the gain


@pytest.mark.parametrize("title", ["AlexNet", "GoogLeNet"])
def test_all_of_the_gain_is_fewer_epochs(title):
    row = ROWS[title]
    inferred = [one for one in decompositions(row, (0.5, 0.5)) if one.inferred == "inferred"]
    assert inferred
    for found in inferred:
        assert found.equal_epoch_speedup < 1 < row.fp32 / row.muppet < found.epoch_factor


@pytest.mark.parametrize("title", ROWS)
def test_both_factors_make_the_published_speedup(title):
    row = ROWS[title]
    for quantised in (36, 48, 63, 69, 84, 105):
        for n32 in (44, 45, 59):
            found = decompose(row, quantised, n32, "")
            assert found.epoch_factor * found.equal_epoch_speedup == pytest.approx(row.fp32 / row.muppet, rel=1e-12)
            assert found.epoch_factor == pytest.approx(150 / (quantised + n32), rel=1e-12)
            # The run is its quantised epochs and those in FP32.
            run = quantised * found.quantised_epoch_s + n32 * row.fp32 / 150
            assert run == pytest.approx(row.muppet, rel=1e-12)
            assert found.break_even == break_even_quantised(row, n32)
            # Faster than FP32 above the break-even, and only there.
            assert (found.quantised_epoch_s < row.fp32 / 150) == (quantised > found.break_even)


@pytest.mark.parametrize("title", EPOCHS)
def test_inferred_schedules_then_both_ends_of_what_fits(title):
    found = list(decompositions(ROWS[title], (0.5, 0.7)))
    assert [(one.quantised, one.fp32_epochs, one.inferred) for one in found] == EPOCHS[title]
    assert all(one.row is ROWS[title] for one in found)


def test_one_schedule_that_fits_stands_once():
    # GoogLeNet at 0.9: 48 quantised epochs with 44 in FP32, none with 45.
    found = [(one.quantised, one.fp32_epochs, one.inferred) for one in decompositions(ROWS["GoogLeNet"], (0.9, 0.9))]
    assert found == [(63, 44, "inferred"), (63, 45, "inferred"), (48, 44, "all that fits")]
