"""How a run without a trace is spent: shares, cycles, one format, and a user's stages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.schemes import find_scheme, first_step, run_stretches, scheme_names
from perfmodel.schemes.schedule import Constant, Cyclic, Shares
from perfmodel.traces import PassPrecision
from perfmodel.traces.published import published_traces


def test_muppets_shares_are_those_of_the_published_run():
    trace = published_traces()["muppet-resnet20-cifar100"]
    found = {}
    for segment in trace.segments:
        (name,) = segment.precision.names
        found[name] = found.get(name, 0) + segment.iterations
    assert [name for name, _ in find_scheme("muppet").schedule.epochs_in] == list(found)
    a_epoch = sum(found.values()) / 131
    assert {name: count / a_epoch for name, count in found.items()} == dict(find_scheme("muppet").schedule.epochs_in)


def spent(scheme, epochs, iterations):
    """Label of the formats and iterations of each stretch."""
    return [(one.formats.label, one.iterations) for one in run_stretches(scheme, epochs, iterations)]


def test_muppet_is_as_long_in_each_format_as_the_published_run():
    muppet = find_scheme("muppet")
    expected = [("dfx8", 30), ("dfx12", 18), ("dfx14", 12), ("dfx16", 12), ("fp32", 59)]  # of ResNet20 on CIFAR-100
    assert spent(muppet, 131, 1) == expected
    assert spent(muppet, 131, 391) == [(name, 391 * count) for name, count in expected]
    assert spent(muppet, 262, 3) == [(name, 6 * count) for name, count in expected]
    assert spent(muppet, 1, 4) == [("dfx12", 1), ("dfx16", 1), ("fp32", 2)]  # ends at 0.9, 1.5, 1.8, 2.2 of 4
    assert muppet.schedule.words.startswith("shares of 30 epochs in dfx8, 18 epochs in dfx12, ")


@pytest.mark.parametrize(
    ("name", "label"),
    [("fp32", "fp32"), ("mixed", "fp16"), ("tf32", "tf32"), ("bf16", "bf16"), ("fp8", "fp8_e5m2"), ("hbfp", "bfp8"),
     ("fp8-hybrid", "fp8_e4m3/fp8_e5m2"), ("dorefa", "int2/int6"), ("fxpnet", "int1/dfx12"), ("cpt", "int3/int8"),
     ("muppet", "dfx8")],
)  # fmt: skip
def test_first_steps(name, label):
    assert first_step(find_scheme(name)).label == label


def test_one_format_throughout():
    assert spent(find_scheme("fp8-hybrid"), 3, 7) == [("fp8_e4m3/fp8_e5m2", 21)]
    assert Constant("int8").words == "one format throughout"


@pytest.mark.parametrize("name", scheme_names())
def test_all_iterations_are_spent(name):
    assert sum(count for _, count in spent(find_scheme(name), 7, 101)) == 707


def test_a_run_too_short_for_the_cycles():
    with pytest.raises(InputError, match=r"^E1501 total: 31 iterations cannot hold 32 cycles\."):
        run_stretches(find_scheme("cpt"), 1, 31)


@given(st.lists(st.integers(1, 99), min_size=1, max_size=5), st.integers(1, 50), st.integers(1, 50))
def test_shares_are_kept_to_an_iteration(counts, epochs, iterations):
    names = ("int4", "int5", "int6", "int7", "int8")
    schedule, total = Shares(tuple(zip(names, counts, strict=False)), "x"), epochs * iterations
    found = {name: count for name, _, count in schedule.stretches(epochs, iterations)}
    assert sum(found.values()) == total
    for name, count in schedule.epochs_in:
        assert abs(found.get(name, 0) - total * count / sum(counts)) < 1


def test_a_cycle_of_one_width_is_constant():
    assert list(Cyclic(5, 5, 8, 3).stretches(2, 9)) == [("int5", "int8", 18)]


STAGES = """
tensors.weights = "int8"
formats = ["int8", "fp16", "fp32"]
[[epochs]]
until = 2
format = "fp16"
[[epochs]]
until = 5
[[epochs]]
until = 9
errors = "fp16"
"""


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        (1, [("fp16", 3)]), (2, [("fp16", 6)]), (4, [("fp16", 6), ("int8", 6)]),
        (7, [("fp16", 6), ("int8", 9), ("int8/fp16", 6)]),
        (11, [("fp16", 6), ("int8", 9), ("int8/fp16", 12), ("int8", 6)]),  # behind the last stage: what the scheme says
    ],
)  # fmt: skip
def test_stages(scheme, epochs, expected):
    assert spent(scheme(STAGES), epochs, 3) == expected


def test_what_a_stage_says_of_tensors_is_not_undone_by_a_pass_of_the_scheme(scheme):
    text = 'tensors = { format = "int8", wgrad = "fp16" }\nformats = ["int8", "fp16", "fp32"]\n'
    begin, rest = run_stretches(scheme(text + 'epochs = [{ until = 1, format = "fp32" }, { dgrad = "fp16" }]'), 2, 3)
    assert begin.formats.precision == PassPrecision.same("fp32")
    assert rest.formats.precision == PassPrecision("int8", "fp16", "fp16")


def test_a_stage_changes_the_scheme_for_its_epochs_alone(scheme):
    found = scheme('formats = ["int8", "fp32"]\nepochs = [{ until = 1, layers = [{ match = "fc", format = "fp32" }] }]')
    begin, rest = run_stretches(found, 3, 5)
    assert [rule.match for rule in begin.scheme.layers] == [("fc",)]
    assert (begin.scheme.stages, begin.scheme.name) == ((), "mine")
    assert rest.scheme is found
