"""The plan of least time against all plans, and what a tariff says against the price of the plan's own step."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.advise import Plan, Tariff, least_plan, make_tariff
from perfmodel.advise.tariff import plan_step
from perfmodel.schemes import find_overhead
from perfmodel.simulate import Setting

READS = {
    "fprop": ("inputs", "weights"),
    "dgrad": ("output_gradients", "weights"),
    "wgrad": ("output_gradients", "inputs"),
}
SECONDS = st.integers(0, 20).map(float)


@st.composite
def tariffs(draw):
    """Up to three layers that may share inputs and weights, in one or two narrow formats."""
    layers = [f"l{i}" for i in range(draw(st.integers(1, 3)))]
    narrow = draw(st.sampled_from([("int8",), ("int8", "fp8_e5m2")]))
    passes = {name: draw(st.sampled_from([("fprop", "dgrad", "wgrad"), ("fprop", "wgrad")])) for name in layers}
    owner = {
        kind: {name: draw(st.sampled_from(layers[: i + 1])) for i, name in enumerate(layers)}
        for kind in ("inputs", "weights")
    }
    reads = {
        (name, pass_): tuple((kind, owner.get(kind, {}).get(name, name)) for kind in kinds)
        for name in layers for pass_, kinds in READS.items()
    }  # fmt: skip
    keys = [(name, pass_, one) for name in layers for pass_ in READS for one in ("fp16", *narrow)]
    return Tariff(
        "fp16", narrow, passes, reads, {key: draw(SECONDS) for key in keys}, {key: draw(SECONDS) / 4 for key in keys},
        {tensor: draw(SECONDS) for two in reads.values() for tensor in two}, draw(SECONDS), {},
    )  # fmt: skip


def every_plan(tariff):
    """All plans whose layers have at most one narrow format each."""
    keys = [(layer, pass_) for layer, passes in tariff.passes.items() for pass_ in passes]
    for formats in product(("fp16", *tariff.narrow), repeat=len(keys)):
        narrow = {key: name for key, name in zip(keys, formats, strict=True) if name != "fp16"}
        if len({(key[0], name) for key, name in narrow.items()}) == len({key[0] for key in narrow}):
            yield Plan("fp16", narrow)


@settings(deadline=None, max_examples=60)
@given(tariffs())
def test_no_plan_takes_less(tariff):
    best = least_plan(tariff)
    least = min(tariff.plan_s(plan) for plan in every_plan(tariff))
    assert tariff.plan_s(best) == pytest.approx(least, abs=1e-9)
    if tariff.plan_s(Plan("fp16", {})) <= least:
        assert not best.narrow  # nothing is converted for nothing


@pytest.mark.parametrize("overhead", ["current", "ideal", "epilogue", "0.5"])
def test_a_tariff_says_what_the_step_of_a_plan_takes(network, mixed, setting, overhead):
    net = network()
    setting = Setting(setting.model, overhead=find_overhead(overhead))
    tariff = make_tariff(net, 32, mixed, ("int8", "fp8_e5m2"), setting)
    rest_s = tariff.steps["fp16"].total.seconds - tariff.plan_s(Plan("fp16", {}))
    plans = [
        Plan.everywhere(net, "fp16", "int8"), least_plan(tariff), Plan("fp16", {("stem", "fprop"): "int8"}),
        Plan("fp16", {("a", "fprop"): "int8", ("b", "wgrad"): "int8"}),  # one input for both
        Plan("fp16", {("a", "wgrad"): "fp8_e5m2", ("b", "wgrad"): "int8"}),  # the same in two formats
        Plan("fp16", {("c", "dgrad"): "int8"}), Plan("fp16", {("b", "fprop"): "int8", ("c", "dgrad"): "int8"}),
        Plan("fp16", {("last", "wgrad"): "int8", ("stem", "wgrad"): "int8"}),
    ]  # fmt: skip
    for plan in plans:
        step = plan_step(net, 32, plan, mixed, setting)
        assert rest_s + tariff.plan_s(plan) == pytest.approx(step.total.seconds, rel=1e-12)


def test_no_plan_of_a_real_network_takes_less(network, mixed, setting):
    """All plans of the five layers in INT8 or FP16; the first has no data gradient."""
    tariff = make_tariff(network(), 16, mixed, ("int8",), setting)
    seconds = [tariff.plan_s(plan) for plan in every_plan(tariff)]
    assert len(seconds) == 2**14
    best = least_plan(tariff)
    assert tariff.plan_s(best) == pytest.approx(min(seconds), rel=1e-12)
    assert 0 < len(best.narrow) < 14  # neither end is what is left of the question


def test_conversions_are_shared(network, mixed, setting):
    tariff = make_tariff(network(), 4, mixed, ("int8",), setting)
    assert tariff.passes["stem"] == ("fprop", "wgrad")
    assert tariff.reads["a", "fprop"] == (("inputs", "stem"), ("weights", "a"))
    assert tariff.reads["c", "dgrad"] == (("output_gradients", "c"), ("weights", "b"))
    a = Plan("fp16", {("a", "fprop"): "int8"})
    both = Plan("fp16", {("a", "fprop"): "int8", ("b", "fprop"): "int8"})
    b_s = tariff.pass_s("b", "fprop", "int8") - tariff.pass_s("b", "fprop", "fp16") + tariff.convert_s["weights", "b"]
    assert tariff.plan_s(both) - tariff.plan_s(a) == pytest.approx(b_s)


def test_free_conversions_and_a_given_time(network, mixed, setting):
    free = make_tariff(network(), 4, mixed, ("int8",), Setting(setting.model, overhead=find_overhead("ideal")))
    assert set(free.convert_s.values()) == {0}
    assert set(free.copies_s.values()) == {0}
    dear = make_tariff(network(), 4, mixed, ("int8",), Setting(setting.model, overhead=find_overhead("1000")))
    assert dear.whole_s == 1
    assert not least_plan(dear).narrow
