"""The least sum against all assignments, and by hand."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.advise.elimination import Term, least_sum
from perfmodel.errors import InputError

COSTS = st.integers(-9, 9)


@st.composite
def problems(draw):
    """Up to five variables of one to three states, and up to eight terms over one or two of them."""
    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=5))
    states = {f"v{i}": list(range(size)) for i, size in enumerate(sizes)}
    terms = []
    for _ in range(draw(st.integers(0, 8))):
        over = tuple(draw(st.lists(st.sampled_from(sorted(states)), min_size=1, max_size=2, unique=True)))
        terms.append(Term(over, {case: draw(COSTS) for case in product(*(states[name] for name in over))}))
    return states, terms


def total(terms, chosen):
    return sum(term.costs[tuple(chosen[name] for name in term.over)] for term in terms)


@settings(deadline=None)
@given(problems())
def test_no_assignment_is_less(problem):
    states, terms = problem
    found = least_sum(states, terms)
    assert list(found) == list(states)
    cases = (dict(zip(states, case, strict=True)) for case in product(*states.values()))
    assert total(terms, found) == min(total(terms, case) for case in cases)


def test_a_chain_by_hand():
    differ = {(a, b): 5 * (a != b) for a in (0, 1) for b in (0, 1)}
    terms = [Term((i,), {(0,): costs[0], (1,): costs[1]}) for i, costs in enumerate([(0, 9), (4, 3), (7, 1), (3, 0)])]
    terms += [Term((i, i + 1), differ) for i in range(3)]
    # 0 1 1 1: 0 + 3 + 1 + 0 + one difference of 5 = 9; all ones: 9 + 3 + 1 + 0 = 13; all zeros: 14.
    assert least_sum({i: [0, 1] for i in range(4)}, terms) == {0: 0, 1: 1, 2: 1, 3: 1}


def test_nobody_has_a_say():
    assert least_sum({"x": ["first", "second"]}, []) == {"x": "first"}
    assert least_sum({}, []) == {}


def test_ties_take_the_first_state():
    assert least_sum({"x": "ab", "y": "ab"}, [Term(("x", "y"), dict.fromkeys(product("ab", "ab"), 1))]) == {
        "x": "a", "y": "a",
    }  # fmt: skip


def test_thousands_of_variables_apart():
    states = {i: [0, 1] for i in range(7000)}
    found = least_sum(states, [Term((i,), {(0,): 3, (1,): i % 7}) for i in range(7000)])
    assert [found[i] for i in range(7)] == [1, 1, 1, 0, 0, 0, 0]


def test_too_many_at_once():
    states = {i: range(9) for i in range(9)}
    terms = [Term((0, i), {(a, b): a * b for a in range(9) for b in range(9)}) for i in range(1, 9)]
    assert least_sum(states, terms)[0] == 0  # a star: its middle last
    every = [Term((i, j), terms[0].costs) for i in range(9) for j in range(i)]
    with pytest.raises(InputError, match=r"^E1762 network: 8 tensors are shared"):
        least_sum(states, every)
