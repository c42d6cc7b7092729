"""Shapes keep their half."""

from hypothesis import given
from hypothesis import strategies as st

from perfmodel.calibration.halves import half_of, halves

sizes = st.lists(st.integers(1, 10**6), min_size=4, max_size=4)


@given(sizes)
def test_numbers_of_any_type_land_alike(row):
    assert half_of(*row) == half_of(*map(float, row))
    assert halves(*([one] for one in row)).tolist() == [half_of(*row)]


def test_both_halves_are_about_as_large():
    found = [half_of(1, m, n, k) for m in range(1, 20) for n in range(1, 20) for k in (64, 128)]
    assert 0.45 < sum(found) / len(found) < 0.55
