"""SGD on master weights, by hand, and beside PyTorch's own."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch (extra train)")

from torch import nn  # noqa: E402

from perfmodel.errors import InputError  # noqa: E402
from perfmodel.training.emulation import Emulation  # noqa: E402
from perfmodel.training.masters import MasterSGD  # noqa: E402
from perfmodel.training.noise import Noise  # noqa: E402
from perfmodel.training.recipe import PLAIN, Recipe  # noqa: E402
from perfmodel.training.recipes import find_recipe  # noqa: E402

torch.set_num_threads(1)


def halves(tensor, noise):
    """To the nearest multiple of ½."""
    return torch.round(tensor * 2) / 2


def doubled(tensor, noise):
    return tensor * 2


def net_of(seed=4):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))


def loss_of(net, step):
    x = torch.randn(5, 2, 4, 4, generator=torch.Generator().manual_seed(step))
    return nn.functional.cross_entropy(net(x), torch.tensor([0, 1, 2, 1, 0]))


def advance(net, optimizer, steps):
    for step in steps:
        optimizer.zero_grad()
        loss_of(net, step).backward()
        optimizer.step()


def single(value, bias=None):
    layer = nn.Linear(1, 1, bias=bias is not None)
    layer.weight.data = torch.tensor([[value]])
    if bias is not None:
        layer.bias.data = torch.tensor([bias])
    return layer


def push(layer, optimizer, x=1.0):
    """One step whose gradient of the weight is x."""
    optimizer.zero_grad()
    layer(torch.tensor([[x]])).sum().backward()
    optimizer.step()


@pytest.mark.parametrize("recipe", [PLAIN, find_recipe("muppet", "fp32"), find_recipe("fp32", "fp32", "paper")])
@pytest.mark.parametrize(("momentum", "decay"), [(0.9, 1e-4), (0.0, 1e-4), (0.9, 0.0), (0.0, 0.0)])
def test_fp32_is_pytorchs_sgd_bit_for_bit(recipe, momentum, decay):
    ours, theirs = net_of(), net_of()
    optimizer = MasterSGD(ours, 0.1, momentum, decay, recipe, Noise(1))
    Emulation(ours, recipe, Noise(2))
    reference = torch.optim.SGD(theirs.parameters(), 0.1, momentum, weight_decay=decay)
    for step in range(10):
        if step == 6:
            optimizer.lr = reference.param_groups[0]["lr"] = 0.01
        advance(ours, optimizer, [step])
        reference.zero_grad()
        loss_of(theirs, step).backward()
        reference.step()
        for name, value in theirs.state_dict().items():
            assert torch.equal(ours.state_dict()[name], value)
    assert all(torch.equal(optimizer.masters[name], one) for name, one in ours.named_parameters())


def test_two_steps_by_hand_with_decay_of_the_working_weight():
    layer = single(0.6)
    recipe = Recipe("test", weights=halves, parameter_gradients=doubled, decays_working=True)
    optimizer = MasterSGD(layer, lr=0.125, momentum=0.5, weight_decay=0.25, recipe=recipe)
    assert layer.weight.item() == 0.5
    push(layer, optimizer)
    assert optimizer.gradients()["weight"].item() == 2.125  # 2·1 + 0.25·0.5
    assert optimizer.gradients("raw")["weight"].item() == 1.0
    assert optimizer.masters["weight"].item() == pytest.approx(0.6 - 0.125 * 2.125)  # 0.334
    assert layer.weight.item() == 0.5
    push(layer, optimizer)
    assert optimizer.state()["momentum"]["weight"].item() == 3.1875  # 0.5·2.125 + 2.125
    assert optimizer.masters["weight"].item() == pytest.approx(0.334375 - 0.3984375)
    assert layer.weight.item() == 0.0


def test_decay_of_the_master():
    layer = single(0.75)
    optimizer = MasterSGD(layer, lr=1.0, momentum=0, weight_decay=0.5, recipe=Recipe("test", weights=halves))
    assert layer.weight.item() == 1.0  # ties to even
    push(layer, optimizer)
    assert optimizer.masters["weight"].item() == 0.75 - (1 + 0.375)


def test_what_one_step_is_too_small_for_adds_up_in_the_master():
    layer = single(1.0)
    optimizer = MasterSGD(layer, lr=0.125, momentum=0, weight_decay=0, recipe=Recipe("test", weights=halves))
    seen = []
    for _ in range(4):
        push(layer, optimizer)
        seen.append((optimizer.masters["weight"].item(), layer.weight.item()))
    assert seen == [(0.875, 1.0), (0.75, 1.0), (0.625, 0.5), (0.5, 0.5)]


def test_the_programs_working_weights_change_with_the_step_and_at_once_for_fp32():
    layer = single(0.3)
    late = Recipe("late", weights=halves, at_once=False)
    optimizer = MasterSGD(layer, lr=0.0, weight_decay=0, recipe=late)
    assert layer.weight.item() == pytest.approx(0.3)
    push(layer, optimizer)
    assert layer.weight.item() == 0.5
    optimizer.recipe = replace(late, weights=lambda tensor, noise: torch.round(tensor))
    assert layer.weight.item() == 0.5
    optimizer.load_working()
    assert layer.weight.item() == 0.0
    optimizer.recipe = PLAIN
    assert layer.weight.item() == pytest.approx(0.3)
    assert torch.equal(optimizer.masters["weight"], layer.weight)


def test_muppet_waits_in_the_program_and_not_in_the_paper():
    for mode, waits in (("reference", True), ("paper", False)):
        net = net_of()
        before = net[0].weight.detach().clone()
        optimizer = MasterSGD(net, 0.1, recipe=find_recipe("muppet", "dfx8", mode), noise=Noise(1))
        assert torch.equal(net[0].weight, before) is waits
        advance(net, optimizer, [0])
        step = 2.0 ** torch.floor(torch.log2(127.5 / net[0].weight.abs().max()))
        assert torch.equal(net[0].weight * step * 2, (net[0].weight * step * 2).round())
        assert not torch.equal(optimizer.masters["0.weight"], net[0].weight)


def test_setting_the_same_recipe_again_draws_nothing():
    noise, recipe = Noise(1), find_recipe("muppet", "dfx8", "paper")
    net = net_of()
    optimizer = MasterSGD(net, 0.1, recipe=recipe, noise=noise)
    before, weight = noise.state().clone(), net[0].weight.detach().clone()
    optimizer.recipe = find_recipe("muppet", "dfx8", mode="paper")
    assert torch.equal(noise.state(), before)
    assert torch.equal(net[0].weight, weight)


def test_all_parameters_or_the_weights_of_layers_alone():
    for everything in (True, False):
        net = net_of()
        with torch.no_grad():
            net[1].weight.fill_(0.7)
            net[4].bias.fill_(0.3)
        recipe = Recipe("test", weights=halves, parameter_gradients=doubled, all_parameters=everything)
        optimizer = MasterSGD(net, 0.1, weight_decay=0, recipe=recipe)
        assert net[1].weight[0].item() == pytest.approx(0.5 if everything else 0.7)
        assert net[4].bias[0].item() == pytest.approx(0.5 if everything else 0.3)
        assert torch.equal(net[4].weight, halves(optimizer.masters["4.weight"], None))
        loss_of(net, 0).backward()
        optimizer.step()
        stepped, raw = optimizer.gradients(), optimizer.gradients("raw")
        for name in raw:
            factor = 2 if everything or name in ("0.weight", "4.weight") else 1
            assert np.array_equal(stepped[name], raw[name] * factor)


def test_weights_of_exceptions_follow_their_own_recipe():
    net = nn.Sequential(single(0.3), single(0.3), single(0.3))
    other = Recipe("other", weights=doubled, layers=lambda name, index, count, module: index == 0)
    recipe = Recipe("test", weights=halves, layers=lambda name, index, count, module: index == 1, other=other)
    MasterSGD(net, 0.1, recipe=recipe)
    assert [round(layer.weight.item(), 6) for layer in net] == [0.6, 0.5, 0.3]


def test_masters_and_momentum_are_rounded_of_every_parameter():
    layer = single(0.3, bias=0.8)
    recipe = Recipe("test", masters=halves, momentum=halves, layers=lambda *_: False)
    optimizer = MasterSGD(layer, lr=0.25, momentum=0.5, weight_decay=0, recipe=recipe)
    assert (layer.weight.item(), layer.bias.item()) == (0.5, 1.0)
    push(layer, optimizer, 2.6)
    state = optimizer.state()
    assert (state["momentum"]["weight"].item(), state["momentum"]["bias"].item()) == (2.5, 1.0)
    assert (layer.weight.item(), layer.bias.item()) == (0.0, 1.0)  # -0.125 and 0.75, ties to even
    assert optimizer.gradients()["weight"].item() == pytest.approx(2.6)


@pytest.mark.parametrize(("scheme", "format_"), [("fp8", "fp8_e5m2"), ("fp8-hybrid", "fp8_e4m3")])
def test_fp8_has_fp16_masters(scheme, format_):
    net = net_of()
    optimizer = MasterSGD(net, 0.1, recipe=find_recipe(scheme, format_), noise=Noise(1))
    advance(net, optimizer, range(3))
    for master in optimizer.masters.values():
        assert torch.equal(master, master.half().float())
    assert torch.equal(net[1].weight, optimizer.masters["1.weight"])
    assert not torch.equal(
        optimizer.state()["momentum"]["0.weight"].half().float(), optimizer.state()["momentum"]["0.weight"]
    )


def test_shared_weights_have_one_master_and_both_gradients():
    net = nn.Sequential(single(3.0), single(3.0))
    net[1].weight = net[0].weight
    optimizer = MasterSGD(net, lr=1.0, momentum=0, weight_decay=0)
    push(net, optimizer)
    assert list(optimizer.masters) == ["0.weight"]
    assert net[1].weight.item() == 3 - 6


def test_shared_weights_follow_the_recipe_of_the_first_layer_that_has_them():
    net = nn.Sequential(single(0.3), single(0.3))
    net[1].weight = net[0].weight
    MasterSGD(net, 0.1, recipe=Recipe("test", weights=halves, layers=lambda name, index, count, module: index == 0))
    assert net[1].weight.item() == 0.5


def test_frozen_and_unused_parameters_stay():
    net = nn.ModuleDict({"used": single(1.0), "frozen": single(0.3), "unused": single(0.3)})
    net["frozen"].weight.requires_grad_(False)
    optimizer = MasterSGD(net, lr=1.0, momentum=0.9, weight_decay=0.5, recipe=Recipe("test", weights=halves))
    net["frozen"](net["used"](torch.ones(1, 1))).sum().backward()
    optimizer.step()
    assert net["frozen"].weight.item() == pytest.approx(0.3)
    assert (net["unused"].weight.item(), optimizer.masters["unused.weight"].item()) == (0.5, pytest.approx(0.3))
    assert set(optimizer.gradients()) == set(optimizer.gradients("raw")) == {"used.weight", "unused.weight"}
    assert optimizer.gradients()["unused.weight"].tolist() == [[0.0]]
    assert optimizer.state()["momentum"].keys() == {"used.weight"}


def test_observed_gradients_are_copies_in_float32():
    layer = single(1.0)
    optimizer = MasterSGD(layer, 0.1, weight_decay=0)
    assert optimizer.gradients()["weight"].tolist() == [[0.0]]  # before the first step
    push(layer, optimizer, 3.0)
    first = optimizer.gradients()
    raw = optimizer.gradients("raw")
    push(layer, optimizer, 5.0)
    assert (first["weight"].item(), raw["weight"].item()) == (3.0, 3.0)
    assert first["weight"].dtype == raw["weight"].dtype == np.float32
    with pytest.raises(InputError, match="E1528"):
        optimizer.gradients("signed")


@pytest.mark.parametrize(("scheme", "format_"), [("muppet", "dfx8"), ("fp8-chunked", "fp8_e5m2"), ("hbfp", "bfp8")])
def test_a_restored_state_goes_on_bit_for_bit(scheme, format_):
    recipe, whole = find_recipe(scheme, format_), net_of()
    noise = Noise(9)
    Emulation(whole, recipe, noise)
    optimizer = MasterSGD(whole, 0.1, recipe=recipe, noise=noise)
    advance(whole, optimizer, range(3))
    kept = {name: one.clone() for name, one in whole.state_dict().items()}
    state, stream = optimizer.state(), noise.state().clone()
    optimizer.lr = 0.05
    advance(whole, optimizer, range(3, 6))

    part, other = net_of(seed=5), Noise(77)
    Emulation(part, recipe, other)
    resumed = MasterSGD(part, 3.0, recipe=recipe, noise=other)
    part.load_state_dict(kept)
    resumed.restore(state)
    other.restore(stream)
    assert resumed.lr == 0.1
    resumed.lr = 0.05
    advance(part, resumed, range(3, 6))
    assert all(torch.equal(one, part.state_dict()[name]) for name, one in whole.state_dict().items())
    for kind in ("masters", "momentum"):
        for name, one in optimizer.state()[kind].items():
            assert torch.equal(one, resumed.state()[kind][name])


def test_a_state_is_plain_tensors_and_numbers(tmp_path):
    optimizer = MasterSGD(net_of(), 0.1)
    torch.save(optimizer.state(), tmp_path / "state")
    optimizer.restore(torch.load(tmp_path / "state", weights_only=True))


def test_a_state_of_another_model_is_refused_and_changes_nothing():
    optimizer = MasterSGD(single(1.0), 0.1)
    other = single(2.0, bias=1.0)
    wide = nn.Linear(2, 1, bias=False)
    for state in (MasterSGD(other, 0.5).state(), MasterSGD(wide, 0.5).state()):
        with pytest.raises(InputError, match="E1722"):
            optimizer.restore(state)
    assert (optimizer.lr, optimizer.masters["weight"].item()) == (0.1, 1.0)


def test_the_optimizer_works_without_hooks_and_hooks_without_it():
    net = net_of()
    recipe = find_recipe("muppet", "dfx8")
    Emulation(net, recipe, Noise(1))
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    loss_of(net, 0).backward()
    optimizer.step()
    plain = net_of()
    advance(plain, MasterSGD(plain, 0.1, recipe=recipe, noise=Noise(1)), [0])
    assert all(one.isfinite().all() for one in (*net.parameters(), *plain.parameters()))
