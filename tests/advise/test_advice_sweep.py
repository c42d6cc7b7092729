"""Batch sizes, and what is advised at one of them."""

import pytest

from perfmodel.advise import Plan, advise
from perfmodel.advise.sweep import AtBatch, least_batches, sweep
from perfmodel.advise.tariff import plan_step
from perfmodel.cost.tiles import Tiles
from perfmodel.devices import find_device
from perfmodel.errors import InputError, Unsupported
from perfmodel.schemes import find_scheme
from perfmodel.simulate import Setting


def at(batch, *keys):
    return AtBatch(batch, Plan("fp16", dict.fromkeys(keys, "int8")), 1.0, 2.0, {"int8": 3.0})


def test_from_which_batch_size_on():
    a, b, c = (("x", pass_) for pass_ in ("fprop", "dgrad", "wgrad"))
    found = [at(1, a, c), at(2, a), at(3, b, c), at(5, a, b, c), at(7, a, b)]
    assert least_batches(found, "int8") == {a: 5, b: 3}  # c is not at the largest
    assert least_batches(found, "fp8_e4m3") == {}
    assert least_batches([], "int8") == {}


def test_each_batch_size_is_the_advice_at_it(network, mixed, setting):
    net = network()
    for one in sweep(net, (3, 40), mixed, ["int8"], setting):
        advice = advise(net, one.batch, mixed, ["int8"], setting)
        assert advice.best.plan == one.plan
        assert one.plan_s == pytest.approx(advice.best.step.total.seconds, rel=1e-12)
        assert one.base_s == advice.base.step.total.seconds
        assert one.narrow_s == {"int8": advice.narrow[0].step.total.seconds}


def test_gains_add_up(network, mixed, setting):
    net = network()
    advice = advise(net, 40, mixed, ["int8"], setting)
    gains = {(one.layer, one.pass_): one for one in advice.gains}
    assert len(gains) == 14
    one = gains["a", "wgrad"]
    convert_s = advice.tariff.convert_s
    assert one.convert_s == convert_s["output_gradients", "a"] + convert_s["inputs", "stem"]
    assert one.room_s == pytest.approx(one.base_s - one.gemm_s - one.copies_s)
    assert one.low < one.base_s / (one.gemm_s + one.copies_s) < one.high
    # Alone: the step in which nothing but this pass is in INT8.
    alone = plan_step(net, 40, Plan("fp16", {("a", "wgrad"): "int8"}), mixed, setting).total.seconds
    assert advice.base.step.total.seconds - alone == pytest.approx(one.net_s, rel=1e-6)
    whole = plan_step(net, 40, Plan("fp16", {("a", p): "int8" for p in advice.tariff.passes["a"]}), mixed, setting)
    saved = advice.base.step.total.seconds - whole.total.seconds
    assert advice.layer_gains("int8")["a"] == pytest.approx(saved, rel=1e-6)


def test_ways_compare(network, mixed, setting):
    advice = advise(network(), 40, mixed, ["int8"], setting)
    assert [one.name for one in (advice.base, *advice.narrow, advice.best)] == ["fp16", "int8", "plan"]
    value, low, high = advice.best.faster_than(advice.base)
    assert value == pytest.approx(advice.base.step.total.seconds / advice.best.step.total.seconds)
    assert low < value < high
    assert advice.best.faster_than(advice.best) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("base", ["muppet", "fp8", "dorefa", "hbfp", "cpt"])
def test_bases_that_are_no_base(network, setting, base):
    with pytest.raises(InputError, match=rf"^E1761 --base {base} has formats of its own"):
        advise(network(), 4, find_scheme(base), ["int8"], setting)


@pytest.mark.parametrize("format_", ["fp16", "fp32", "bf16"])
def test_formats_that_need_no_conversion(network, mixed, setting, format_):
    with pytest.raises(InputError, match=rf"^E1761 --precision {format_} needs no conversion"):
        sweep(network(), [4], mixed, ["int8", format_], setting)


def test_a_device_without_the_unit(network, mixed):
    with pytest.raises(Unsupported, match=r"^E1103 device p100: has no unit for int8\."):
        advise(network(), 4, mixed, ["int8"], Setting(Tiles(find_device("p100"))))


def test_a_format_that_a_wider_unit_stands_for(network, mixed, setting):
    advice = advise(network(), 4, mixed, ["fp8_e5m2", "dfx12"], setting)
    assert advice.narrow[0].step.proxies == ("fp8_e5m2 timed as fp16",)
    assert not advice.best.plan.narrow  # on FP16 units it gains nothing
