"""Loss scales in a step: what is divided, what is skipped, and that powers of two change nothing."""

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch (extra train)")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch import nn  # noqa: E402

from perfmodel.errors import InputError  # noqa: E402
from perfmodel.quantisers.scaling import DynamicScale  # noqa: E402
from perfmodel.training.emulation import Emulation  # noqa: E402
from perfmodel.training.lossscale import DynamicLossScale, StaticScale, find_scale  # noqa: E402
from perfmodel.training.masters import MasterSGD  # noqa: E402
from perfmodel.training.noise import Noise  # noqa: E402
from perfmodel.training.recipe import PLAIN  # noqa: E402
from perfmodel.training.recipes import find_recipe  # noqa: E402

torch.set_num_threads(1)


def trained(scale, steps=6):
    torch.manual_seed(2)
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    optimizer = MasterSGD(net, 0.1)
    for step in range(steps):
        x = torch.randn(5, 2, 4, 4, generator=torch.Generator().manual_seed(step))
        loss = nn.functional.cross_entropy(net(x), torch.tensor([0, 1, 2, 1, 0]))
        optimizer.zero_grad()
        (scale.scale(loss) if scale else loss).backward()
        assert optimizer.step(scale)
    return list(net.state_dict().values()) + list(optimizer.gradients().values())


@pytest.mark.parametrize("scale", [StaticScale(2.0**15), StaticScale(0.5), DynamicLossScale(DynamicScale(interval=2))])
def test_powers_of_two_change_nothing_in_fp32(scale):
    for plain, scaled in zip(trained(None), trained(scale), strict=True):
        assert torch.equal(torch.as_tensor(plain), torch.as_tensor(scaled))


def single(value):
    layer = nn.Linear(1, 1, bias=False)
    layer.weight.data = torch.tensor([[value]])
    return layer


def test_an_overflow_skips_the_step_and_halves_the_scale():
    layer, scale = single(2.0), DynamicLossScale(DynamicScale(scale=8.0))
    optimizer = MasterSGD(layer, 0.5, weight_decay=0)
    for x, stepped, weight, value in (
        (3.0, True, 0.5, 8.0),
        (float("inf"), False, 0.5, 4.0),
        (float("nan"), False, 0.5, 2.0),
    ):
        optimizer.zero_grad()
        scale.scale(layer(torch.tensor([[x]])).sum()).backward()
        assert optimizer.step(scale) is stepped
        assert (layer.weight.item(), scale.value) == (weight, value)
    assert scale.skipped == 2
    assert optimizer.state()["momentum"]["weight"].item() == 3.0
    assert optimizer.gradients()["weight"].item() == 3.0  # the last step that was made


def test_an_overflow_in_one_gradient_leaves_all_as_they_are():
    scale = DynamicLossScale(DynamicScale(scale=4.0))
    gradients = [torch.tensor([4.0]), torch.tensor([1.0, float("-inf")])]
    assert scale.unscale_(gradients)
    assert [one.tolist() for one in gradients] == [[4.0], [1.0, float("-inf")]]
    assert not scale.unscale_(iter(gradients[:1]))
    assert gradients[0].item() == 2.0


def test_clean_steps_double_the_scale():
    scale = DynamicLossScale(DynamicScale(scale=1.0, interval=3, ceiling=4))
    values = []
    for _ in range(10):
        assert not scale.unscale_([torch.ones(2)])
        values.append(scale.value)
    assert values == [1, 1, 2, 2, 2, 4, 4, 4, 4, 4]


@given(st.lists(st.booleans(), max_size=30))
def test_the_scale_is_the_quantisers_one(overflows):
    rule = expected = DynamicScale(scale=64.0, interval=2, ceiling=256)
    scale = DynamicLossScale(rule)
    for overflow in overflows:
        assert scale.value == expected.scale
        assert scale.unscale_([torch.tensor([float("nan") if overflow else 1.0])]) == overflow
        expected = expected.after(overflow)
    other = DynamicLossScale(rule)
    other.restore(scale.state())
    assert other.rule == scale.rule == expected


def test_a_static_scale_divides_exactly_and_checks_nothing():
    scale = StaticScale(1000)
    gradient = torch.tensor([3.0, float("inf")])
    assert scale.scale(torch.tensor(2.0)).item() == 2000.0
    assert not scale.unscale_([gradient])
    assert gradient.tolist() == [torch.tensor(3.0).div(1000).item(), float("inf")]
    scale.restore({"scale": 16.0})
    assert scale.state() == {"scale": 16.0}


@pytest.mark.parametrize("value", [0, -1.0, float("inf"), float("nan"), "8"])
def test_a_scale_is_a_positive_number(value):
    with pytest.raises(InputError, match="E1527"):
        StaticScale(value)


def test_gradients_are_rounded_before_they_are_divided():
    def gradient(scale):
        layer, recipe = single(1.0), find_recipe("mixed", "fp16")
        Emulation(layer, recipe, Noise(1))
        optimizer = MasterSGD(layer, 1.0, weight_decay=0, recipe=recipe, noise=Noise(1))
        loss = layer(torch.tensor([[2.0**-14]])).sum() * 2.0**-12
        (scale.scale(loss) if scale else loss).backward()
        optimizer.step(scale)
        return optimizer.gradients()["weight"].item(), optimizer.gradients("raw")["weight"].item()

    assert gradient(None) == (0.0, 2.0**-26)  # below half of FP16's smallest number, 2^-24
    assert gradient(StaticScale(2.0**10)) == (2.0**-26, 2.0**-26)


def test_raw_gradients_are_free_of_the_scale_that_made_them():
    layer, scale = single(2.0), DynamicLossScale(DynamicScale(scale=4.0, interval=1))
    optimizer = MasterSGD(layer, 0.5, weight_decay=0, recipe=PLAIN)
    scale.scale(layer(torch.tensor([[3.0]])).sum()).backward()
    optimizer.step(scale)
    assert scale.value == 8.0
    assert optimizer.gradients("raw")["weight"].item() == 3.0


def test_each_scheme_has_its_scale():
    kinds = {name: type(find_scale(name)) for name in ("mixed", "fp8", "fp8-hybrid", "mixed-static", "fp8-chunked")}
    assert list(kinds.values()) == [DynamicLossScale] * 3 + [StaticScale] * 2
    assert find_scale("mixed").value == 65536.0
    assert find_scale("fp8-chunked").value == 1000.0
    assert [find_scale(name) for name in ("fp32", "bf16", "muppet", "cpt", "hbfp")] == [None] * 5
    assert find_scale("mixed", 512).value == 512.0
