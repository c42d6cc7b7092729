"""Recipes beside what the cost model prices, and rounders beside the NumPy quantisers."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch (extra train)")

from torch import nn  # noqa: E402

from perfmodel.errors import InputError, PerfModelError  # noqa: E402
from perfmodel.formats import find_format  # noqa: E402
from perfmodel.networks import Conv2d, find_network  # noqa: E402
from perfmodel.quantisers import floats, fp8  # noqa: E402
from perfmodel.schemes import find_scheme, scheme_names  # noqa: E402
from perfmodel.schemes.formats import StepFormats  # noqa: E402
from perfmodel.schemes.rules import bounds  # noqa: E402
from perfmodel.training import rounders  # noqa: E402
from perfmodel.training.build import build  # noqa: E402
from perfmodel.training.layers import Place, Roles, places, weights  # noqa: E402
from perfmodel.training.noise import Noise  # noqa: E402
from perfmodel.training.recipe import PLAIN  # noqa: E402
from perfmodel.training.recipes import EMULATED, find_recipe  # noqa: E402

torch.set_num_threads(1)

NOT_EMULATED = ("dorefa", "fxpnet", "mixed-adaptive", "tf32")
PRICED = {"weight_gradients": "parameter_gradients", "parameters": "weights"}  # other tensors have one name in both
STEPS = [
    ("mixed", "fp16", "fp16"), ("mixed-static", "fp16", "fp16"), ("bf16", "bf16", "bf16"), ("muppet", "dfx8", "dfx8"),
    ("muppet", "dfx12", "dfx12"), ("fp8", "fp8_e5m2", "fp8_e5m2"), ("fp8-hybrid", "fp8_e4m3", "fp8_e5m2"),
    ("fp8-chunked", "fp8_e5m2", "fp8_e5m2"), ("cpt", "int4", "int8"), ("hbfp", "bfp8", "bfp8"),
    ("hbfp12", "bfp12", "bfp12"), ("hbfp-tensor", "bfp8", "bfp8"),
]  # fmt: skip


def test_every_scheme_is_emulated_or_refused():
    assert set(EMULATED) | set(NOT_EMULATED) == set(scheme_names())
    for name in NOT_EMULATED:
        with pytest.raises(InputError, match=f"E1721 scheme {name}: is not emulated. Emulated: fp32, mixed,"):
            find_recipe(name, "fp32")


@pytest.mark.parametrize("name", EMULATED)
def test_every_format_of_a_scheme_has_a_recipe_and_no_other_has(name):
    formats = find_scheme(name).formats
    for format_ in formats:
        recipe = find_recipe(name, format_)
        assert recipe is find_recipe(name, format_, mode="reference", backward=8)
        assert (recipe is PLAIN) == (format_ == "fp32")
    with pytest.raises(PerfModelError, match="E1104"):
        find_recipe(name, "mxfp4")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("mixd", "fp16"), "E1006"), (("muppet", "dfx"), "E1004"), (("muppet", "int8"), "E1104"),
        (("mixed", "fp32"), "E1104"), (("muppet", "dfx8", "papers"), "E1528"), (("cpt", "int4", "paper", 0), "E1521"),
        (("cpt", "int4", "paper", 17), "E1521"), (("cpt", "int4", "paper", 8, "code"), "E1528"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_refused(arguments, code):
    with pytest.raises(PerfModelError, match=code):
        find_recipe(*arguments)


@pytest.mark.parametrize(("name", "forward", "backward"), STEPS)
def test_what_is_priced_is_rounded(name, forward, backward):
    recipe, scheme = find_recipe(name, forward), find_scheme(name)
    kinds = {of for rule in scheme.conversions if rule.kind in ("quantise", "cast") for of in rule.of}
    assert kinds
    for of in kinds:
        assert getattr(recipe, PRICED.get(of, of)) is not None
    assert recipe.all_parameters == ("parameters" in kinds)
    assert (recipe.masters is not None) == (scheme.master != "fp32")
    assert (recipe.momentum is not None) == (scheme.momentum != "fp32")


def test_what_muppet_does_not_price_it_does_not_round():
    recipe = find_recipe("muppet", "dfx8")
    assert recipe.inputs is None
    assert recipe.output_gradients is None
    assert recipe.decays_working
    for name in ("cpt", "hbfp"):
        recipe = find_recipe(name, find_scheme(name).formats[0])
        assert not any((recipe.images, recipe.outputs, recipe.input_gradients, recipe.parameter_gradients))


@pytest.mark.parametrize(("name", "forward", "backward"), STEPS)
@pytest.mark.parametrize("network", ["resnet20", "resnet18", "googlenet-aux", "vgg16", "resnet50"])
def test_exceptions_are_those_that_are_priced(name, forward, backward, network):
    scheme, network = find_scheme(name), find_network(network)
    recipe = find_recipe(name, forward, roles=Roles.of(network))
    operands = scheme.operands(network, StepFormats(bounds(scheme.tensors, forward, backward)))
    count = len(network.gemm_layers)
    for index, layer in enumerate(network.gemm_layers):
        module = nn.Conv2d(1, 1, 1) if isinstance(layer, Conv2d) else nn.Linear(1, 1)
        followed = recipe.of(Place(layer.name, index, count, module))
        inputs, weight = operands[layer.name].fprop
        head = layer.name not in network.main_path
        if name == "muppet":
            assert (followed is None) == head
        elif name == "cpt":
            assert (followed is None) == (weight.name == "fp32")
        else:
            assert rounds_to(followed.inputs) == expected(name, inputs)
            assert rounds_to(followed.weights) == expected(name, weight)


PROBE = torch.tensor([[1.0 + 2.0**-10, 1.125 + 2.0**-9, 1.0 + 2.0**-7, 1.3, 1.75]])


def rounds_to(rounder):
    """How many mantissa bits a rounder leaves of numbers from 1 to 2, of many tries."""
    noise, bits = Noise(3), 0
    for _ in range(20):
        values = rounder(PROBE, noise)
        bits = max(bits, next(n for n in range(24) if torch.equal(values * 2**n, (values * 2**n).round())))
    return bits


def expected(scheme, format_):
    """The same of a format; HBFP's exponent is that of 2, so that a step is 2^(2 - bits)."""
    if scheme.startswith("hbfp"):
        return format_.bits - 2
    wang = {"fp16": 9} if scheme == "fp8-chunked" else {}
    return {"fp8_e5m2": 2, "fp8_e4m3": 3, "fp16": 10, "bf16": 7, **wang}[format_.name]


def test_roles_by_order_and_name_without_a_network():
    layer = nn.Conv2d(1, 1, 1)
    fp8_ = find_recipe("fp8", "fp8_e5m2")
    kinds = [fp8_.of(Place(f"conv{index}", index, 4, layer)).title for index in range(4)]
    assert kinds == ["fp8 fp16", "fp8", "fp8", "fp8 fp16"]
    assert fp8_.of(Place("pool", -1, 4, nn.AvgPool2d(2))) is None
    chunked = find_recipe("fp8-chunked", "fp8_e5m2")
    kinds = [chunked.of(Place(f"conv{index}", index, 3, layer)).title for index in range(3)]
    assert kinds == ["fp8-chunked first", "fp8-chunked", "fp8-chunked fp16"]
    muppet = find_recipe("muppet", "dfx8")
    assert muppet.of(Place("aux1.conv", 3, 9, layer)) is None
    assert muppet.of(Place("pool", -1, 9, nn.AdaptiveAvgPool2d(1))) is muppet
    cpt = find_recipe("cpt", "int3")
    assert cpt.of(Place("fc", 8, 9, nn.Linear(1, 1))) is None
    assert cpt.of(Place("conv1", 0, 9, layer)) is cpt


def test_a_network_of_one_layer_is_an_end():
    assert find_recipe("fp8", "fp8_e5m2").of(Place("", 0, 1, nn.Linear(1, 1))).title == "fp8 fp16"


def test_places_number_the_layers_with_gemms():
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.AvgPool2d(2), nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1)))
    net.append(net[0])  # registered twice: one module
    found = places(net)
    assert [(one.name, one.index, one.count) for one in found] == [("0", 0, 2), ("1", -1, 2), ("2.1", 1, 2)]
    assert {one.name for one in weights(found).values()} == {"0", "2.1"}


@pytest.mark.parametrize("name", ["resnet20", "googlenet-aux", "alexnet-reference"])
def test_models_of_the_catalogue_have_the_networks_names_and_order(name):
    network = find_network(name)
    with torch.device("meta"):  # shapes without weights
        found = places(build(network, seed=1))
    own = [layer.name for layer in network.gemm_layers if not layer.shares]
    assert [one.name for one in found if one.index >= 0] == own
    roles, muppet = Roles.of(network), find_recipe("muppet", "dfx8")
    with_roles = find_recipe("muppet", "dfx8", roles=roles)
    assert all((with_roles.of(one) is None) == (muppet.of(one) is None) for one in found)
    assert any(one.name in roles.heads for one in found) == (name == "googlenet-aux")


WIDE = torch.randn(2000, generator=torch.Generator().manual_seed(1)) * 2.0 ** torch.linspace(-30, 20, 2000)


@pytest.mark.parametrize("format_", [floats.FP16, floats.BF16, floats.TF32, floats.WANG16, floats.E5M2])
def test_nearest_is_the_quantisers_to_the_bit(format_):
    values = torch.cat(
        [WIDE, torch.tensor([0.0, -0.0, 65504.0, 65519.9, 65520.0, float("inf"), 2.0**-25, 3 * 2.0**-25])]
    )
    found = rounders.nearest(format_)(values, None)
    expected_values = floats.rounded(values.numpy(), format_)
    assert found.dtype == torch.float32
    assert np.array_equal(found.numpy().view(np.int32), expected_values.view(np.int32))


@pytest.mark.parametrize("factor", [1.0, 0.3, 2.0**-20, 2.0**-60, 0.0, 1e30])
def test_scaled_e4m3_is_the_quantisers_to_the_bit(factor):
    tensor = torch.randn(40, 30, generator=torch.Generator().manual_seed(1)) * factor
    if factor == 1:
        tensor *= 0.0136 / tensor.abs().max()  # where the scale becomes 65,500, which takes half of the range beyond
        assert (tensor * 65500).abs().max() > 800
    found = rounders.scaled_e4m3(tensor, None)
    assert np.array_equal(found.numpy(), fp8.scaled(tensor.numpy())[0])
    assert rounders.scaled_e4m3(torch.zeros(0, 3), None).shape == (0, 3)


@pytest.mark.parametrize(("name", "format_"), [(name, forward) for name, forward, _ in STEPS])
def test_no_rounder_changes_what_it_is_given(name, format_):
    for mode in ("reference", "paper"):
        recipe = find_recipe(name, format_, mode)
        for field in ("images", "inputs", "weights", "outputs", "output_gradients", "input_gradients",
                      "parameter_gradients", "momentum", "masters"):  # fmt: skip
            if (rounder := getattr(recipe, field)) is not None:
                tensor = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(2))
                before = tensor.clone()
                rounded = rounder(tensor, Noise(1))
                assert torch.equal(tensor, before)
                assert rounded.shape == tensor.shape
                assert rounded.data_ptr() != tensor.data_ptr()
                assert not torch.equal(rounded, tensor)


def test_widths_are_those_of_the_formats():
    levels = find_recipe("cpt", "int3").inputs(torch.linspace(0, 1, 50), None).unique()
    assert len(levels) == 2**3
    errors = find_recipe("cpt", "int3", backward=5).output_gradients(torch.linspace(0, 1, 500), Noise(1)).unique()
    assert len(errors) == 2**5
    eight = find_recipe("muppet", "dfx8", "paper").outputs(torch.linspace(-1, 63 / 64, 5000), Noise(1)).unique()
    assert len(eight) == 128  # from -64 to 63 of 2^-6: the scale of a maximum of 1 is 2^6
    assert find_format("dfx8").bits == 8
