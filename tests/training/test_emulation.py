"""What hooks around layers do to tensors, forward and backward, with rounders of which each number is known."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch (extra train)")

from torch import nn  # noqa: E402

from perfmodel.training.emulation import Emulation  # noqa: E402
from perfmodel.training.noise import Noise  # noqa: E402
from perfmodel.training.recipe import PLAIN, Recipe, gemm_layers  # noqa: E402
from perfmodel.training.recipes import find_recipe  # noqa: E402

torch.set_num_threads(1)


def linear(weights, bias=None):
    layer = nn.Linear(len(weights[0]), len(weights), bias=bias is not None)
    layer.weight.data = torch.tensor(weights)
    if bias is not None:
        layer.bias.data = torch.tensor(bias)
    return layer


def times(factor):
    return lambda tensor, noise: tensor * factor


def halved_down(tensor, noise):
    """To multiples of ½, downwards."""
    return torch.floor(tensor * 2) / 2


def noted(calls, factor=1.0):
    def rounder(tensor, noise):
        calls.append(tuple(tensor.shape))
        return tensor * factor

    return rounder


def seeded_net():
    """Batch norm, a grouped convolution, layers without bias, ReLU in place, both pools."""
    torch.manual_seed(7)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(inplace=True),
        nn.Conv2d(6, 6, 3, padding=1, groups=3), nn.ReLU(inplace=True), nn.AvgPool2d(2),
        nn.Conv2d(6, 5, 1, bias=False), nn.BatchNorm2d(5), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 4),
    )  # fmt: skip


def images(count=3):
    return torch.randn(count, 3, 6, 6, generator=torch.Generator().manual_seed(3))


def on_grid(tensor, bits, slack=1):
    """Whether all values are whole numbers of at most so many bits times one power of two; `slack` codes beyond."""
    largest = tensor.abs().max()
    step = 2.0 ** (torch.log2(largest).floor() - bits - 3)
    codes = tensor / step
    if not torch.equal(codes, codes.round()):
        return False
    while torch.equal(codes / 2, (codes / 2).round()):
        codes = codes / 2
    return codes.abs().max() <= 2 ** (bits - 1) + slack


def test_inputs_and_outputs_are_rounded_forward_and_straight_through_backward():
    layer = linear([[1.0, -2.0]], [0.5])
    recipe = Recipe("test", inputs=halved_down, outputs=times(3))
    Emulation(layer, recipe, Noise(1))
    x = torch.tensor([[1.75, 0.25]], requires_grad=True)
    y = layer(x)
    assert y.tolist() == [[6.0]]  # (1.5 - 2·0 + 0.5) · 3
    y.backward(torch.tensor([[2.0]]))
    assert layer.weight.grad.tolist() == [[3.0, 0.0]]  # 2 · the rounded inputs
    assert layer.bias.grad.tolist() == [2.0]
    assert x.grad.tolist() == [[2.0, -4.0]]


def test_output_gradients_are_rounded_before_both_backward_gemms():
    layer = linear([[1.0, -2.0]])
    Emulation(layer, Recipe("test", output_gradients=halved_down), Noise(1))
    x = torch.tensor([[3.0, 4.0]], requires_grad=True)
    layer(x).backward(torch.tensor([[0.9]]))
    assert layer.weight.grad.tolist() == [[1.5, 2.0]]
    assert x.grad.tolist() == [[0.5, -1.0]]


def test_input_gradients_are_rounded_as_they_leave_and_weight_gradients_are_not():
    layer = linear([[1.25, -2.0]])
    Emulation(layer, Recipe("test", input_gradients=halved_down), Noise(1))
    x = torch.tensor([[3.0, 4.0]], requires_grad=True)
    layer(x).backward(torch.tensor([[1.0]]))
    assert layer.weight.grad.tolist() == [[3.0, 4.0]]
    assert x.grad.tolist() == [[1.0, -2.0]]


def test_what_changes_an_output_in_place_comes_after_its_rounding():
    net = nn.Sequential(linear([[1.0], [-1.0]]), nn.ReLU(inplace=True))
    emulation = Emulation(net, Recipe("test", output_gradients=lambda tensor, noise: tensor + 1), Noise(1))
    for factor, outputs in ((1, None), (3, times(3))):
        emulation.recipe = replace(emulation.recipe, outputs=outputs)
        net[0].weight.grad = None
        y = net(torch.tensor([[2.0]]))
        assert y.tolist() == [[2.0 * factor, 0.0]]
        y.backward(torch.tensor([[5.0, 7.0]]))
        assert net[0].weight.grad.tolist() == [[12.0], [2.0]]  # 2·(5 + 1) and 2·(0 + 1): ReLU's gradient, rounded


def test_an_input_gradient_is_rounded_with_a_rounded_input_too():
    layer = linear([[1.25]])
    Emulation(layer, Recipe("test", inputs=times(2), input_gradients=halved_down), Noise(1))
    x = torch.tensor([[3.0]], requires_grad=True)
    layer(x).backward(torch.tensor([[1.0]]))
    assert (layer.weight.grad.item(), x.grad.item()) == (6.0, 1.0)


def test_each_reader_of_a_tensor_rounds_its_own_gradient():
    class Fork(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = linear([[0.75]]), linear([[0.75]])

        def forward(self, x):
            return self.left(x) + self.right(x)

    fork = Fork()
    Emulation(fork, Recipe("test", input_gradients=halved_down), Noise(1))
    x = torch.tensor([[1.0]], requires_grad=True)
    fork(x).sum().backward()
    assert x.grad.item() == 1.0  # ½ + ½; their sum rounded would be 1.5


def test_the_first_layer_has_no_input_gradient():
    calls = []
    net = nn.Sequential(linear([[1.0, 2.0]] * 3), nn.ReLU(), linear([[1.0] * 3] * 4))
    Emulation(net, Recipe("test", images=times(1), inputs=times(1), input_gradients=noted(calls)), Noise(1))
    net(torch.ones(5, 2)).sum().backward()
    assert calls == [(5, 3)]


def test_nothing_is_rounded_before_a_frozen_layer_backward():
    calls = []
    net = nn.Sequential(linear([[1.0]]), linear([[1.0]]), linear([[1.0]]))
    net[0].weight.requires_grad_(False)
    Emulation(net, Recipe("test", input_gradients=noted(calls), output_gradients=noted(calls)), Noise(1))
    net(torch.ones(2, 1)).sum().backward()
    assert len(calls) == 3  # outputs of two layers, the input of the last


def test_a_layer_called_twice_is_rounded_around_each_call():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = linear([[2.0]])

        def forward(self, x):
            return self.layer(self.layer(x))

    twice, backward = Twice(), []
    recipe = Recipe("test", outputs=lambda tensor, noise: tensor + 1, output_gradients=noted(backward, 10.0))
    Emulation(twice, recipe, Noise(1))
    y = twice(torch.tensor([[3.0]]))
    assert y.item() == 15.0  # 2·(2·3 + 1) + 1
    y.backward()
    assert twice.layer.weight.grad.item() == 10 * 7 + 10 * 2 * 10 * 3
    assert len(backward) == 2


def test_layers_that_share_a_weight_each_have_hooks():
    net = nn.Sequential(linear([[2.0]]), linear([[5.0]]))
    net[1].weight = net[0].weight
    Emulation(net, Recipe("test", outputs=lambda tensor, noise: tensor + 1), Noise(1))
    assert net(torch.tensor([[3.0]])).item() == 15.0


def test_other_layers_follow_the_other_recipe_or_none():
    net = nn.Sequential(linear([[1.0]]), linear([[1.0]]), linear([[1.0]]))
    last = Recipe("last", outputs=times(7), layers=lambda name, index, count, module: index == count - 1)
    middle = Recipe("middle", outputs=times(3), layers=lambda name, index, count, module: name == "1", other=last)
    emulation = Emulation(net, middle, Noise(1))
    assert net(torch.tensor([[1.0]])).item() == 21.0
    emulation.recipe = replace(middle, other=None)
    assert net(torch.tensor([[1.0]])).item() == 3.0


def test_the_image_is_rounded_once_and_before_a_model_that_is_a_layer_itself():
    layer = linear([[1.0]])
    Emulation(layer, Recipe("test", images=lambda x, noise: x + 1, inputs=times(10)), Noise(1))
    assert layer(torch.tensor([[1.0]])).item() == 20.0


def test_whole_numbers_are_not_rounded():
    net = nn.Sequential(nn.Embedding(3, 2), linear([[1.0, 1.0]]))
    net[0].weight.data = torch.tensor([[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]])
    Emulation(net, Recipe("test", images=times(10), outputs=times(2)), Noise(1))
    assert net(torch.tensor([2, 1])).tolist() == [[14.0], [6.0]]


def test_pools_have_no_part_in_a_recipe_of_gemms():
    net = nn.Sequential(nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1))
    emulation = Emulation(net, Recipe("test", outputs=times(3)), Noise(1))
    assert net(torch.ones(1, 1, 4, 4)).item() == 9.0
    emulation.recipe = Recipe("test", outputs=times(3), layers=gemm_layers)
    assert net(torch.ones(1, 1, 4, 4)).item() == 1.0


def test_without_gradients_there_is_no_graph():
    net = seeded_net()
    Emulation(net, find_recipe("muppet", "dfx8"), Noise(1))
    with torch.no_grad():
        y = net(images())
    assert y.grad_fn is None
    assert not y.requires_grad


@pytest.mark.parametrize(("mode", "slack"), [("reference", 1), ("paper", 0)])
@pytest.mark.parametrize("bits", [8, 12])
def test_muppets_tensors_are_whole_numbers_times_a_power_of_two(mode, slack, bits):
    net, seen = seeded_net(), {}
    emulation = Emulation(net, find_recipe("muppet", f"dfx{bits}", mode), Noise(1))
    readers = {int(place.name) for place in emulation.layers}
    assert readers == {0, 3, 5, 6, 8, 10}
    for number, module in enumerate(net):  # behind the emulation's hooks: what the next module reads
        module.register_forward_hook(
            lambda module, inputs, output, number=number: seen.update({number: output.clone()})
        )
    net(images())
    assert all(on_grid(seen[number], bits, slack) for number in readers)
    assert not any(on_grid(seen[number], bits, slack) for number in (1, 7))  # batch norm


def test_muppets_input_gradients_are_on_the_grid_and_those_of_weights_not():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(3, 5), nn.Sigmoid(), nn.Linear(5, 4, bias=False), nn.Sigmoid(), nn.Linear(4, 2))
    Emulation(net, find_recipe("muppet", "dfx8"), Noise(1))
    kept = {}
    for number in (1, 3):  # outputs of the sigmoids, whose only readers are layers
        net[number].register_forward_hook(
            lambda module, inputs, output, number=number: (
                output.register_hook(lambda gradient: kept.update({number: gradient})) and None
            )
        )
    net(torch.randn(6, 3)).square().sum().backward()
    assert on_grid(kept[1], 8)
    assert on_grid(kept[3], 8)
    assert not on_grid(net[2].weight.grad, 8)


def test_images_have_a_scale_each_by_the_program_and_one_by_the_paper():
    batch = torch.stack([torch.full((1, 2, 2), 0.01), torch.full((1, 2, 2), 100.0)])
    nearest = {}
    for mode in ("reference", "paper"):
        net = nn.Sequential(nn.Identity())
        Emulation(net, find_recipe("muppet", "dfx8", mode), Noise(1))
        nearest[mode] = (net(batch) - batch).abs().amax(dim=(1, 2, 3))
    assert nearest["reference"][0] < 2**-12
    assert nearest["paper"][0] >= 0.01  # a step is 1 for all
    assert nearest["reference"][1] <= 1 >= nearest["paper"][1]


def test_evaluation_rounds_alike_each_time_and_leaves_the_training_stream():
    net, noise = seeded_net().eval(), Noise(5)
    emulation = Emulation(net, find_recipe("muppet", "dfx6"), noise)
    before = noise.state().clone()
    with torch.no_grad():
        with emulation.evaluating():
            first = net(images())
        with emulation.evaluating():
            second = net(images())
        assert torch.equal(noise.state(), before)
        assert torch.equal(first, second)
        assert not torch.equal(net(images()), first)
    assert not torch.equal(noise.state(), before)


def test_an_error_in_an_evaluation_gives_the_training_stream_back():
    net, noise = seeded_net().eval(), Noise(5)
    emulation = Emulation(net, find_recipe("muppet", "dfx6"), noise)
    before = noise.state().clone()
    with pytest.raises(ZeroDivisionError), emulation.evaluating():
        raise ZeroDivisionError
    net(images())
    assert not torch.equal(noise.state(), before)


def test_a_recipe_is_switched_between_iterations():
    net = seeded_net().eval()
    plain = net(images())
    emulation = Emulation(net, PLAIN, Noise(1))
    assert torch.equal(net(images()), plain)
    emulation.recipe = find_recipe("muppet", "dfx8")
    eight = net(images())
    emulation.recipe = find_recipe("muppet", "dfx16")
    sixteen = net(images())
    emulation.recipe = find_recipe("muppet", "fp32")
    assert torch.equal(net(images()), plain)
    assert 0 < (sixteen - plain).abs().max() < (eight - plain).abs().max() / 8


def test_a_switch_between_forward_and_backward_leaves_that_backward_alone():
    layer = linear([[1.0]])
    emulation = Emulation(layer, Recipe("test", output_gradients=times(10)), Noise(1))
    loss = layer(torch.tensor([[1.0]])).sum()
    emulation.recipe = PLAIN
    loss.backward()
    assert layer.weight.grad.item() == 10.0


@pytest.mark.parametrize("scheme", [("muppet", "dfx8"), ("mixed", "fp16"), ("cpt", "int4"), ("hbfp", "bfp8")])
def test_remove_gives_back_the_plain_model_bit_for_bit(scheme):
    net = seeded_net().eval()
    names, types = list(net.state_dict()), [type(module) for module in net.modules()]
    values = {name: tensor.clone() for name, tensor in net.state_dict().items()}

    def run():
        net.zero_grad()
        y = net(images())
        y.square().sum().backward()
        return [y.detach(), *(one.grad.clone() for one in net.parameters())]

    plain = run()
    emulation = Emulation(net, find_recipe(*scheme), Noise(1))
    emulated = run()
    assert list(net.state_dict()) == names
    assert [type(module) for module in net.modules()] == types
    assert not any(map(torch.equal, plain[:2], emulated[:2]))
    emulation.remove()
    emulation.remove()
    assert all(map(torch.equal, plain, run()))
    assert all(torch.equal(tensor, values[name]) for name, tensor in net.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_the_same_seed_gives_the_same_gradients():
    found = []
    for _ in range(2):
        net = seeded_net()
        Emulation(net, find_recipe("muppet", "dfx8"), Noise(11))
        net(images()).square().sum().backward()
        found.append([one.grad for one in net.parameters()])
    assert all(map(torch.equal, *found))
