"""Which schedules Table 3 allows: every number to its printed digits, and the rule behind them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.reproduce.published import table3
from perfmodel.reproduce.schedules import (
    Schedule,
    break_even_quantised,
    fitting,
    implied_overhead,
    least_quantised,
    quantised_rest,
    region,
    solutions,
    solve_n8,
)

ROWS = {row.title: row for row in table3().rows}
MINUTE = 60

# n32: R in minutes, N if rho = 1 (whole, and as the text has it).
BOUNDS = {
    ("AlexNet", 45): (681, 58, "58.05"),
    ("AlexNet", 44): (693, 59, None),
    ("ResNet18", 45): (3173, 81, "81.43"),
    ("ResNet18", 59): (2430, 62, "62.35"),
    ("GoogLeNet", 45): (2214, 45, "45.05"),
    ("GoogLeNet", 44): (2275, 46, None),
}
# n32, rho: least and greatest N, then n8 and n16 of both, rounded; None: no schedule obeys the rule.
RANGES = {
    ("AlexNet", 45, 0.5): (63, 87, 10, 58, 53, 29),
    ("AlexNet", 45, 0.7): (63, 69, 17, 37, 46, 32),
    ("AlexNet", 45, 0.9): (60, 60, 20, 20, 40, 40),
    ("AlexNet", 44, 0.5): (66, 90, 14, 62, 52, 28),
    ("AlexNet", 44, 0.7): (63, 72, 13, 43, 50, 29),
    ("AlexNet", 44, 0.9): (60, 60, 9, 9, 51, 51),
    ("ResNet18", 45, 0.5): (87, 105, 11, 47, 76, 58),
    ("ResNet18", 45, 0.7): (87, 102, 19, 69, 68, 33),
    ("ResNet18", 45, 0.9): (84, 87, 26, 56, 58, 31),
    ("ResNet18", 59, 0.5): (69, 90, 13, 55, 56, 35),
    ("ResNet18", 59, 0.7): (66, 75, 12, 42, 54, 33),
    ("ResNet18", 59, 0.9): (66, 66, 36, 36, 30, 30),
    ("GoogLeNet", 45, 0.5): (51, 63, 12, 36, 39, 27),
    ("GoogLeNet", 45, 0.7): (48, 51, 10, 20, 38, 31),
    ("GoogLeNet", 45, 0.8): (48, 48, 15, 15, 33, 33),  # 14.77: by hand, the text gives N alone
    ("GoogLeNet", 45, 0.9): None,
    ("GoogLeNet", 44, 0.5): (51, 63, 9, 33, 42, 30),
    ("GoogLeNet", 44, 0.7): (51, 54, 16, 26, 35, 28),
    ("GoogLeNet", 44, 0.9): (48, 48, 17, 17, 31, 31),
}


@pytest.mark.parametrize(("title", "n32"), BOUNDS)
def test_what_the_limit_leaves(title, n32):
    rest, whole, exact = BOUNDS[title, n32]
    assert round(quantised_rest(ROWS[title], n32) / MINUTE) == rest
    least = least_quantised(ROWS[title], n32)
    assert round(least) == whole
    assert exact is None or f"{least:.2f}" == exact


@pytest.mark.parametrize(("title", "n32", "rho"), RANGES)
def test_ranges(title, n32, rho):
    found = solutions(ROWS[title], n32, rho)
    expected = RANGES[title, n32, rho]
    if expected is None:
        assert found == []
        return
    first, last = found[0], found[-1]
    assert (
        tuple(round(n) for n in (first.quantised, last.quantised, first.n8, last.n8, first.n16, last.n16)) == expected
    )
    totals = [round(schedule.quantised) for schedule in found]
    assert totals == list(range(expected[0], expected[1] + 1, 3))  # no holes


@pytest.mark.parametrize(
    ("title", "n32s", "least", "most"),
    [
        ("AlexNet", (45, 44), 60, None),
        ("GoogLeNet", (45, 44), 48, 63),
        ("ResNet18", (45,), 84, None),
        ("ResNet18", (59,), 63, None),
    ],
)  # fmt: skip
def test_hard_statements(title, n32s, least, most):
    rhos = [0.5 + step / 100 for step in range(50)]  # 0.50 to 0.99
    totals = {round(s.quantised) for n32 in n32s for rho in rhos for s in solutions(ROWS[title], n32, rho)}
    assert min(totals) == least
    assert most is None or max(totals) == most


def test_resnet_with_59_epochs_of_fp32_needs_at_least_63():
    # N >= 62.35, so 63 is the first multiple of 3; n8 = (63 - 62.353) / (1 - rho) reaches 9 at rho = 0.928, and then
    # n16 = 54. A rho of 0.98 would need n8 = 32.4, n16 = 30.6.
    assert [round(s.quantised) for s in solutions(ROWS["ResNet18"], 59, 0.95)] == [63]
    assert solutions(ROWS["ResNet18"], 59, 0.95)[0].n8 == pytest.approx(12.94, abs=0.01)
    assert least_quantised(ROWS["ResNet18"], 59) > 60


@pytest.mark.parametrize("title", ["AlexNet", "ResNet18", "GoogLeNet"])
@pytest.mark.parametrize("rho", [0.3, 0.5, 0.58, 0.7, 0.85, 0.95])
def test_every_solution_reproduces_the_limit_and_obeys_the_rule(title, rho):
    row = ROWS[title]
    count = 0
    for n32 in (44, 45, 59):
        for schedule in solutions(row, n32, rho):
            t32, t16 = row.fp32 / 150, row.mixed / 150
            assert schedule.seconds(rho * t16, t16, t32) == pytest.approx(row.limit, rel=1e-9)
            assert schedule.n8 >= 9
            assert schedule.n16 >= 27
            assert round(schedule.quantised) % 3 == 0
            assert schedule.quantised + schedule.n32 <= 150 + 1e-9
            count += 1
    assert count or (title, rho) == ("GoogLeNet", 0.95)


# Least and greatest N at each of these ratios alone are those of `RANGES`.
@pytest.mark.parametrize(
    ("title", "n32", "low", "high", "totals"),
    [  # the unions of the spec's ranges at .5, .7 and .9, and what lies between
        ("AlexNet", 44, 0.5, 0.9, range(60, 91, 3)),
        ("AlexNet", 45, 0.7, 0.9, range(60, 70, 3)),
        ("ResNet18", 59, 0.5, 0.5, range(69, 91, 3)),
        ("GoogLeNet", 44, 0.5, 0.7, range(51, 64, 3)),
        ("GoogLeNet", 45, 0.9, 0.9, ()),
    ],
)
def test_totals_that_fit_between_two_ratios(title, n32, low, high, totals):
    assert fitting(ROWS[title], n32, low, high) == list(totals)


@given(st.sampled_from(sorted(ROWS)), st.sampled_from([44, 45, 59]), st.floats(0.3, 0.95), st.floats(0.0, 0.04))
def test_what_fits_at_one_ratio_fits_in_an_interval_around_it(title, n32, rho, more):
    at_one = {round(schedule.quantised) for schedule in solutions(ROWS[title], n32, rho)}
    assert at_one <= set(fitting(ROWS[title], n32, rho - more, rho + more))
    assert at_one == set(fitting(ROWS[title], n32, rho, rho))


def test_the_oracle():
    # In minutes: t16 = 1760/150 = 11.7333, R = 1225 - 44·1813/150 = 693.1867,
    # n8 = (69·11.7333 - 693.1867) / (11.7333·0.4) = 24.804.
    n8 = solve_n8(69, 1760 / 150, 1225 - 44 * 1813 / 150, 0.6)
    assert f"{n8:.1f}" == "24.8"
    limit = Schedule(n8, 69 - n8, 44).seconds(0.6 * 1760 / 150, 1760 / 150, 1813 / 150)
    assert f"{limit:.1f}" == "1225.0"
    (found,) = [s for s in solutions(ROWS["AlexNet"], 44, 0.6) if round(s.quantised) == 69]
    assert found.n8 == pytest.approx(n8)


@pytest.mark.parametrize(("rho", "n8"), [(0.5, 20), (0.7, 33)])
def test_alexnet_at_69(rho, n8):
    assert round(solve_n8(69, 1760, 150 * 1225 - 44 * 1813, rho)) == n8


# N, n32: quantised epoch, FP32 epoch, quantised epoch of the limit, mixed-precision epoch, in minutes; epochs' factor.
@pytest.mark.parametrize(
    ("title", "n", "minutes", "factor"),
    [
        ("AlexNet", 69, ("13.05", "12.09", "10.05", "11.73"), "1.33"),
        ("GoogLeNet", 63, ("73.8", "61.0", "36.1", "49.1"), "1.40"),
    ],
)
def test_decomposition(title, n, minutes, factor):
    row = ROWS[title]
    limit = quantised_rest(row, 44) / n / MINUTE
    found = (limit + implied_overhead(row, n) / MINUTE, row.fp32 / 9000, limit, row.mixed / 9000)
    decimals = len(minutes[0].partition(".")[2])
    assert tuple(f"{value:.{decimals}f}" for value in found) == minutes
    assert f"{150 / (n + 44):.2f}" == factor


def test_alexnets_quantised_epoch_is_slower():
    row = ROWS["AlexNet"]
    epoch = (row.muppet - 44 * row.fp32 / 150) / 69
    assert f"{epoch / (row.fp32 / 150) - 1:.0%}" == "8%"


@pytest.mark.parametrize(
    ("title", "n32", "n"),
    [
        ("AlexNet", 44, "74.5"), ("GoogLeNet", 44, "76.2"), ("AlexNet", 45, "73.5"), ("GoogLeNet", 45, "75.2"),
        ("ResNet18", 45, "68.3"), ("ResNet18", 59, "54.3"),
    ],
)  # fmt: skip
def test_break_even(title, n32, n):
    assert f"{break_even_quantised(ROWS[title], n32):.1f}" == n


@pytest.mark.parametrize(
    ("title", "n", "milliseconds"),
    [
        ("AlexNet", 69, 36), ("AlexNet", 72, 34), ("AlexNet", 60, 41),
        ("ResNet18", 84, 65), ("ResNet18", 69, 79),
        ("GoogLeNet", 63, 452), ("GoogLeNet", 48, 593),
    ],
)  # fmt: skip
def test_implied_overhead(title, n, milliseconds):
    assert round(implied_overhead(ROWS[title], n) / 5005 * 1e3) == milliseconds


@pytest.mark.parametrize(
    ("title", "count"),
    # N known: n8 of 9, 12 … N - 27, (N - 36) / 3 + 1 of them, for 44 and 45 epochs of FP32: 2·(12 + 13) at 69 and 72,
    # 2·10 at 63. ResNet18: for every N of 36, 39 … 105 with 45 epochs of FP32, and … 90 with 59: 1 + 2 + … + 24 = 300,
    # and 1 + … + 19 = 190.
    [("AlexNet", 50), ("GoogLeNet", 20), ("ResNet18", 490)],
)
def test_the_region_obeys_the_rule(title, count):
    found = list(region(ROWS[title]))
    assert len(found) == len(set(found)) == count
    for schedule in found:
        assert schedule.n8 >= 9
        assert schedule.n16 >= 27
        assert schedule.n8 % 3 == schedule.n16 % 3 == 0
        assert schedule.quantised + schedule.n32 <= 150
        assert schedule.n32 in ROWS[title].known.fp32
    totals = {(schedule.quantised, schedule.n32) for schedule in found}
    assert (
        totals
        == {
            "AlexNet": {(69, 44), (69, 45), (72, 44), (72, 45)},
            "GoogLeNet": {(63, 44), (63, 45)},
            "ResNet18": {(n, 45) for n in range(36, 106, 3)} | {(n, 59) for n in range(36, 92, 3)},
        }[title]
    )


def test_the_time_of_a_schedule():
    schedule = Schedule(10, 20, 30)
    assert schedule.quantised == 30
    assert schedule.seconds(1, 100, 10_000) == 302_010
