"""Networks of the catalogue as PyTorch models: shapes, parameters, sharing, heads, and the same from the same seed."""

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch (extra train)")

from perfmodel.errors import InputError  # noqa: E402
from perfmodel.networks import find_network, network_names  # noqa: E402
from perfmodel.networks.layers import MemoryBound  # noqa: E402
from perfmodel.training.build import build, loss_of  # noqa: E402

SMALL = """
title = "Small"
source = "made up"
input = [3, 9, 9]
layers = [
  { op = "conv", name = "a", out = 6, kernel = 3, pad = 1, groups = 3 },
  { op = "conv", name = "b", out = 6, kernel = 3, pad = 1, from = "input" },
  { op = "add", name = "sum", from = ["a", "b"] },
  { op = "conv", name = "c", out = 6, kernel = 3, pad = 1 },
  { op = "conv", name = "d", out = 6, kernel = 3, pad = 1, shares = "c" },
  { op = "concat", name = "cat", from = ["d", "sum"] },
  { op = "max_pool", name = "down", kernel = 3, stride = 2, ceil = true },
  { op = "linear", name = "head", out = 5, from = "sum" },
  { op = "adaptive_avg_pool", name = "pool", out = 2, from = "down" },
  { op = "linear", name = "fc", out = 5 },
]
"""


@pytest.fixture
def small(tmp_path):
    (tmp_path / "small.toml").write_text(SMALL)
    return find_network(str(tmp_path / "small.toml"))


@pytest.mark.parametrize("name", network_names())
def test_every_network_has_its_parameters_and_shapes(name):
    network = find_network(name)
    with torch.device("meta"):
        model = build(network, seed=0)
        seen = {}
        for called, module in model.named_modules():
            if called:
                module.register_forward_hook(lambda m, i, out, called=called: seen.update({called: out.shape[1:]}))
        model.eval() if "aux" not in name else model.train()
        out = model(torch.empty(2, *network.input))
    assert sum(p.numel() for p in model.parameters()) == network.parameters
    for layer in network.layers:
        if layer.name in seen and not layer.shares:
            wide = (seen[layer.name][0], 1, 1) if len(seen[layer.name]) == 1 else tuple(seen[layer.name])
            assert wide == layer.out_shape, layer.name
    unseen = [one for one in network.layers if one.name not in seen and not one.shares]
    assert all(isinstance(one, MemoryBound) and one.op in ("add", "concat") for one in unseen)
    heads = [out] if isinstance(out, torch.Tensor) else out
    assert {one.shape for one in heads} == {(2, network.layers[-1].out_shape[0])}


def test_a_graph_by_hand(small):
    model = build(small, seed=3)
    x = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(1))
    summed = model.a(x) + model.b(x)
    twice = model.c(model.c(summed))
    down = torch.nn.functional.max_pool2d(torch.cat([twice, summed], dim=1), 3, 2, ceil_mode=True)
    fc = model.fc(torch.nn.functional.adaptive_avg_pool2d(down, 2))
    model.train()
    outputs = model(x)
    assert torch.equal(outputs[0], fc)
    assert torch.equal(outputs[1], model.head(summed))
    model.eval()
    assert torch.equal(model(x), fc)
    assert [name for name, _ in model.named_parameters()] == [
        "a.weight", "a.bias", "b.weight", "b.bias", "c.weight", "c.bias", "head.weight", "head.bias",
        "fc.weight", "fc.bias",
    ]  # fmt: skip


def test_heads_count_three_tenths():
    logits, labels = [torch.randn(4, 5, generator=torch.Generator().manual_seed(i)) for i in range(3)], torch.arange(4)
    parts = [loss_of(one, labels) for one in logits]
    assert torch.allclose(loss_of(logits, labels), parts[0] + 0.3 * (parts[1] + parts[2]))


def test_a_seed_gives_the_same_model_and_leaves_the_global_state_alone():
    network = find_network("digits-cnn")
    before = torch.random.get_rng_state()
    one, same, other = (build(network, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.conv1.weight, other.conv1.weight)


def test_torchvisions_names_and_shapes():
    shapes = {name: tuple(p.shape) for name, p in build(find_network("resnet18"), 0).named_parameters()}
    assert shapes["conv1.weight"] == (64, 3, 7, 7)
    assert shapes["layer4.1.conv2.weight"] == (512, 512, 3, 3)
    assert shapes["fc.weight"] == (1000, 512)


@pytest.fixture
def read(tmp_path):
    """The network of a file with these rows, for images [3, 6, 6]."""

    def network(*rows):
        text = "title = 'Rows'\nsource = 'made up'\ninput = [3, 6, 6]\nlayers = [\n" + ",\n".join(rows) + "\n]\n"
        (tmp_path / "rows.toml").write_text(text)
        return find_network(str(tmp_path / "rows.toml"))

    return network


FC = '{ op = "linear", name = "fc", out = 4 }'


@pytest.mark.parametrize(
    "rows",
    [
        ['{ op = "linear", name = "a", out = 7 }', '{ op = "batch_norm" }', '{ op = "relu" }', FC],
        ['{ op = "linear", name = "a", out = 7 }', '{ op = "conv", name = "b", out = 5, kernel = 1 }', FC],
        ['{ op = "conv", name = "a", out = 7, kernel = 1 }', '{ op = "adaptive_avg_pool", name = "b" }',
         '{ op = "linear", name = "c", out = 7, from = "a" }', '{ op = "add", from = ["b", "c"] }', FC],
        ['{ op = "conv", name = "a", out = 7, kernel = 1 }', '{ op = "adaptive_avg_pool", name = "b" }',
         '{ op = "linear", name = "c", out = 3, from = "a" }', '{ op = "concat", from = ["b", "c"] }', FC],
        ['{ op = "conv", name = "a", out = 4, kernel = 1 }', '{ op = "adaptive_avg_pool", name = "b" }'],
    ],
)  # fmt: skip
def test_features_are_images_of_one_pixel(read, rows):
    network = read(*rows)
    model = build(network, seed=1)
    logits = model(torch.ones(5, 3, 6, 6))
    assert tuple(logits.shape) == (5, 4)
    loss_of(logits, torch.zeros(5, dtype=torch.int64)).backward()
    assert all(one.grad is not None for one in model.parameters())
    assert sum(one.numel() for one in model.parameters()) == network.parameters


def test_only_the_last_softmax_is_left_to_the_loss(read):
    network = read('{ op = "linear", name = "a", out = 7 }', '{ op = "softmax" }', FC, '{ op = "softmax" }')
    model, x = build(network, seed=1), torch.ones(2, 3, 6, 6)
    assert torch.equal(model(x), model.fc(torch.softmax(model.a(x), dim=1)))


@pytest.mark.parametrize("names", [["type"], ["forward.a"], ["_steps"], ["a..b"], ["a", "a.weight"], ["a.b", "a"]])
def test_names_that_no_module_can_have(read, names):
    network = read(*(f'{{ op = "conv", name = "{name}", out = 3, kernel = 1 }}' for name in names), FC)
    with pytest.raises(InputError, match=r"E1705.*network rows: a PyTorch model can have no layer"):
        build(network, seed=0)


def test_what_no_layer_reads_is_a_head_or_refused(read):
    network = read(
        '{ op = "conv", name = "a", out = 3, kernel = 1 }',
        '{ op = "relu", name = "r" }',
        FC.replace("4 }", '4, from = "a" }'),
    )
    with pytest.raises(InputError, match=r"E1705.*no layer reads 'r', which has 108 outputs, the last 4\."):
        build(network, seed=0)


@pytest.mark.parametrize(("op", "kind"), [("max_pool", torch.nn.MaxPool2d), ("avg_pool", torch.nn.AvgPool2d)])
def test_windows_reach_the_module(read, op, kind):
    network = read(f'{{ op = "{op}", name = "p", kernel = [3, 2], stride = [2, 1], pad = [1, 0], ceil = true }}', FC)
    model, x = build(network, seed=1), torch.arange(108.0).reshape(1, 3, 6, 6)
    expected = kind((3, 2), (2, 1), (1, 0), ceil_mode=True)(x)
    assert tuple(expected.shape[1:]) == network.layers[0].out_shape == (3, 4, 5)
    assert torch.equal(model.p(x), expected)
