"""Plans as schemes and as scheme files."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.advise import Plan, plan_scheme, scheme_text
from perfmodel.advise.plan import pattern
from perfmodel.errors import InputError
from perfmodel.networks import Conv2d, Network
from perfmodel.schemes import find_scheme, read_scheme
from perfmodel.schemes.rules import layer_formats

NAMES = st.text(min_size=1, max_size=40).filter(lambda name: name.strip())


def network_of(names):
    """A chain of 1x1 convolutions with these names."""
    inputs = ["input", *names[:-1]]
    layers = (Conv2d(name, (before,), (3, 5, 5), 3, (1, 1)) for name, before in zip(names, inputs, strict=True))
    return Network("chain", "a chain", "made up", (3, 5, 5), tuple(layers))


def written(scheme, tmp_path):
    path = tmp_path / f"{scheme.name}.toml"
    path.write_text(scheme_text(scheme), encoding="utf-8")
    return read_scheme(path)


@pytest.mark.parametrize("base", ["mixed", "mixed-static", "mixed-adaptive", "bf16", "fp32", "tf32"])
def test_a_file_reads_as_what_was_written(network, tmp_path, base):
    base = find_scheme(base)
    plan = Plan(base.formats[0], {("a", "fprop"): "int8", ("b", "wgrad"): "fp8_e5m2", ("c", "fprop"): "int8"})
    scheme = plan_scheme(network(), plan, base, "mine", "a title", "a source")
    assert written(scheme, tmp_path) == replace(scheme, leaves_out=())
    assert scheme.formats == (base.formats[0], "int8", "fp8_e5m2")


def test_nothing_narrow_is_the_base(network, tmp_path):
    scheme = written(plan_scheme(network(), Plan("fp16", {}), find_scheme("mixed"), "mine", "t", "s"), tmp_path)
    assert scheme.layers == ()
    assert scheme.formats == ("fp16",)


@settings(deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=5, unique=True), st.data())
def test_rules_are_about_the_named_layers_alone(tmp_path_factory, names, data):
    network = network_of(names)
    chosen = data.draw(st.sets(st.sampled_from(names)))
    plan = Plan("fp16", {(name, "fprop"): "int8" for name in chosen})
    scheme = plan_scheme(network, plan, find_scheme("mixed"), "mine", "t", "s")
    assert set(layer_formats(network, scheme.layers)) == chosen
    again = written(scheme, tmp_path_factory.mktemp("plan"))
    printable = {name for name in chosen if name == name.encode("utf-8", "backslashreplace").decode()}
    if printable == chosen:
        assert again.layers == scheme.layers


@pytest.mark.parametrize("name", ["first", "last", "linear", "shortcuts", "*", "a?", "[ab]", "layer1.*", "]"])
def test_names_that_look_like_patterns(name):
    others = ["conv", "a1", "a", "b", "layer1.0", "fc"]
    network = network_of([*others, name])
    plan = Plan("fp16", {(name, "wgrad"): "int8"})
    scheme = plan_scheme(network, plan, find_scheme("mixed"), "mine", "t", "s")
    assert list(layer_formats(network, scheme.layers)) == [name]


def test_many_layers_of_one_rule():
    names = [f"layer{i}" for i in range(1201)]
    plan = Plan("fp16", {(name, "fprop"): "int8" for name in names})
    scheme = plan_scheme(network_of(names), plan, find_scheme("mixed"), "mine", "t", "s")
    assert [len(rule.match) for rule in scheme.layers] == [500, 500, 201]
    assert "layer1200" in scheme_text(scheme)


def test_a_name_that_no_file_can_hold():
    names = ["x" * 201]
    plan = Plan("fp16", {(names[0], "fprop"): "int8"})
    scheme = plan_scheme(network_of(names), plan, find_scheme("mixed"), "mine", "t", "s")
    with pytest.raises(InputError, match=r"^E1763 plan: it names a layer 'xxx.*200 characters"):
        scheme_text(scheme)


def test_patterns():
    assert [pattern(name) for name in ("conv1", "last", "[", "a*b?")] == ["conv1", "[l]ast", "[[]", "a[*]b[?]"]
