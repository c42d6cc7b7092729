"""The bundled networks against published totals, the shapes of their layers, and the page that lists them."""

import re
from pathlib import Path

import pytest

from perfmodel.networks import Conv2d, MemoryBound, find_network, network_names, read_network

PAGE = Path(__file__).parents[2] / "docs" / "networks.md"

# MACs of one image, parameters, convolutions and fully connected layers. The parameters are those that torchvision
# and the authors of the CIFAR networks report; the MACs are torchvision's where the network is unmodified.
TOTALS = {
    "alexnet": (714_188_480, 61_100_840, 8),
    "alexnet-reference": (813_868_736, 61_100_840, 9),
    "resnet18": (1_814_073_344, 11_689_512, 21),
    "resnet34": (3_663_761_408, 21_797_672, 37),
    "resnet50": (4_089_184_256, 25_557_032, 54),
    "googlenet": (1_498_376_192, 6_624_904, 58),
    "googlenet-aux": (1_506_748_416, 13_004_888, 64),
    "googlenet-5x5": (1_582_671_872, 7_005_832, 58),
    "googlenet-5x5-aux": (1_582_671_872 + 4_169_728 + 4_202_496, 7_005_832 + 13_004_888 - 6_624_904, 64),
    "vgg16": (15_470_264_320, 138_357_544, 16),
    "mobilenetv2": (300_774_272, 3_504_872, 53),
    "alexnet-cifar": (14_957_056, 2_472_266, 6),
    "alexnet-cifar100": (14_957_056 + 90 * 256, 2_472_266 + 90 * 257, 6),
    "googlenet-cifar": (1_521_756_160, 6_166_250, 65),
    "googlenet-cifar100": (1_521_756_160 + 90 * 1024, 6_166_250 + 90 * 1025, 65),
    "resnet20": (40_813_184, 272_474, 22),
    "resnet20-cifar100": (40_813_184 + 90 * 64, 272_474 + 90 * 65, 22),
}


@pytest.mark.parametrize("name", TOTALS)
def test_macs_parameters_and_layers_are_the_published_ones(name):
    network = find_network(name)
    assert (network.macs, network.parameters, len(network.gemm_layers)) == TOTALS[name]


@pytest.mark.parametrize("name", network_names())
def test_every_bundled_network_reads(name):
    network = find_network(name)
    assert network.name == name
    assert network.macs > 0
    assert network.title
    assert network.source


@pytest.mark.parametrize("name", TOTALS)
def test_an_image_network_ends_in_its_classes(name):
    network = find_network(name)
    assert network.input[0] == 3
    classes = {224: 1000, 32: 100 if name.endswith("cifar100") else 10}[network.input[1]]
    assert [layer.op for layer in network.layers[-2:]] == ["linear", "softmax"]
    assert network.layers[-1].out_shape == (classes, 1, 1)


@pytest.mark.parametrize("name", TOTALS)
def test_every_layer_but_the_last_of_each_head_is_read(name):
    network = find_network(name)
    unread = {layer for layer, readers in network.consumers().items() if readers == 0}
    assert unread == {layer.name for layer in network.layers if layer.op == "softmax"}
    assert len(unread) == (3 if "aux" in name else 1)


@pytest.mark.parametrize("name", TOTALS)
def test_only_the_first_convolution_needs_no_input_gradient(name):
    network = find_network(name)
    assert [layer.name for layer in network.gemm_layers if not network.trains_before(layer)] == [
        network.gemm_layers[0].name
    ]


# Each layer: in channels, out channels, kernel, stride, padding, height in, height out (all of them square), or
# in and out features; then the MACs of one image.
ALEXNET_REFERENCE = {
    "conv1": ((3, 64, 11, 4, 2, 224, 55), 70_276_800),
    "conv2": ((64, 192, 5, 1, 2, 27, 27), 223_948_800),
    "conv3": ((192, 384, 3, 1, 1, 13, 13), 112_140_288),
    "conv4": ((384, 256, 3, 1, 1, 13, 13), 149_520_384),
    "conv5": ((256, 256, 3, 1, 1, 13, 13), 99_680_256),
    "conv5_again": ((256, 256, 3, 1, 1, 13, 13), 99_680_256),
    "fc1": ((9216, 4096), 37_748_736),
    "fc2": ((4096, 4096), 16_777_216),
    "fc3": ((4096, 1000), 4_096_000),
}
RESNET18 = {
    "conv1": ((3, 64, 7, 2, 3, 224, 112), 118_013_952),
    "layer1.0.conv1": ((64, 64, 3, 1, 1, 56, 56), 115_605_504),
    "layer1.0.conv2": ((64, 64, 3, 1, 1, 56, 56), 115_605_504),
    "layer1.1.conv1": ((64, 64, 3, 1, 1, 56, 56), 115_605_504),
    "layer1.1.conv2": ((64, 64, 3, 1, 1, 56, 56), 115_605_504),
    "layer2.0.conv1": ((64, 128, 3, 2, 1, 56, 28), 57_802_752),
    "layer2.0.conv2": ((128, 128, 3, 1, 1, 28, 28), 115_605_504),
    "layer2.0.down": ((64, 128, 1, 2, 0, 56, 28), 6_422_528),
    "layer2.1.conv1": ((128, 128, 3, 1, 1, 28, 28), 115_605_504),
    "layer2.1.conv2": ((128, 128, 3, 1, 1, 28, 28), 115_605_504),
    "layer3.0.conv1": ((128, 256, 3, 2, 1, 28, 14), 57_802_752),
    "layer3.0.conv2": ((256, 256, 3, 1, 1, 14, 14), 115_605_504),
    "layer3.0.down": ((128, 256, 1, 2, 0, 28, 14), 6_422_528),
    "layer3.1.conv1": ((256, 256, 3, 1, 1, 14, 14), 115_605_504),
    "layer3.1.conv2": ((256, 256, 3, 1, 1, 14, 14), 115_605_504),
    "layer4.0.conv1": ((256, 512, 3, 2, 1, 14, 7), 57_802_752),
    "layer4.0.conv2": ((512, 512, 3, 1, 1, 7, 7), 115_605_504),
    "layer4.0.down": ((256, 512, 1, 2, 0, 14, 7), 6_422_528),
    "layer4.1.conv1": ((512, 512, 3, 1, 1, 7, 7), 115_605_504),
    "layer4.1.conv2": ((512, 512, 3, 1, 1, 7, 7), 115_605_504),
    "fc": ((512, 1000), 512_000),
}


def measures(layer):
    if not isinstance(layer, Conv2d):
        return (layer.in_features, layer.out_features)
    assert layer.groups == 1
    assert layer.dilation == (1, 1)
    pairs = (layer.kernel, layer.stride, layer.padding, layer.in_shape[1:], layer.out_shape[1:])
    assert all(first == second for first, second in pairs)  # square
    return (layer.in_shape[0], layer.out_channels, *(pair[0] for pair in pairs))


@pytest.mark.parametrize(("name", "table"), [("alexnet-reference", ALEXNET_REFERENCE), ("resnet18", RESNET18)])
def test_every_convolution_and_fully_connected_layer(name, table):
    network = find_network(name)
    assert {layer.name: (measures(layer), layer.macs) for layer in network.gemm_layers} == table
    assert [layer.name for layer in network.gemm_layers] == list(table)


def test_alexnet_and_the_reference_differ_in_conv5_and_the_average_pool():
    plain, reference = find_network("alexnet"), find_network("alexnet-reference")
    assert {layer.name for layer in plain.layers} - {layer.name for layer in reference.layers} == {"avgpool"}
    assert "conv5_again" not in [layer.name for layer in plain.layers]
    again = next(layer for layer in reference.layers if layer.name == "conv5_again")
    assert (again.shares, again.parameters) == ("conv5", 0)
    assert again.inputs == ("relu5",)
    assert sum(layer.parameter_tensors for layer in reference.layers) == 16


# Parts of a network, as far as the dots of the names go: their MACs.
GOOGLENET_PARTS = {
    "conv1": 118_013_952, "conv2": 12_845_056, "conv3": 346_816_512,
    "3a": 121_626_624, "3b": 265_732_096, "4a": 71_199_744, "aux1": 4_169_728, "4b": 83_091_456, "4c": 95_033_344,
    "4d": 112_093_184, "aux2": 4_202_496, "4e": 157_151_232, "5a": 47_867_904, "5b": 65_881_088, "fc": 1_024_000,
}  # fmt: skip


def test_googlenet_module_by_module():
    parts = {}
    for layer in find_network("googlenet-aux").gemm_layers:
        part = layer.name.split(".")[0]
        parts[part] = parts.get(part, 0) + layer.macs
    assert parts == GOOGLENET_PARTS
    assert list(parts) == list(GOOGLENET_PARTS)


def test_googlenet_4a_convolution_by_convolution():
    found = {layer.name: measures(layer) for layer in find_network("googlenet").gemm_layers if layer.name[:2] == "4a"}
    assert found == {
        "4a.b1.conv": (480, 192, 1, 1, 0, 14, 14),
        "4a.b2a.conv": (480, 96, 1, 1, 0, 14, 14),
        "4a.b2b.conv": (96, 208, 3, 1, 1, 14, 14),
        "4a.b3a.conv": (480, 16, 1, 1, 0, 14, 14),
        "4a.b3b.conv": (16, 48, 3, 1, 1, 14, 14),
        "4a.b4.conv": (480, 64, 1, 1, 0, 14, 14),
    }


def test_googlenet_heads_hang_on_4a_and_4d_and_nothing_hangs_on_them():
    plain, heads = find_network("googlenet").consumers(), find_network("googlenet-aux").consumers()
    more = {name: heads[name] - readers for name, readers in plain.items() if heads[name] != readers}
    assert more == {"4a.concat": 1, "4d.concat": 1}
    layers = {layer.name: layer for layer in find_network("googlenet-aux").layers}
    assert layers["aux1.adaptive_avg_pool"].in_shapes == ((512, 14, 14),)
    assert layers["aux2.adaptive_avg_pool"].in_shapes == ((528, 14, 14),)
    assert layers["aux2.fc1"].in_features == 128 * 4 * 4
    assert find_network("googlenet-aux").main_path == plain.keys() - {"input"}


def test_googlenet_with_the_papers_branch_differs_in_its_kernel_alone():
    pairs = zip(find_network("googlenet").layers, find_network("googlenet-5x5").layers, strict=True)
    different = [(a, b) for a, b in pairs if a != b]
    assert [a.name for a, _ in different] == [
        f"{module}.b3b.conv" for module in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
    ]
    assert all((a.kernel, b.kernel, a.out_shape) == ((3, 3), (5, 5), b.out_shape) for a, b in different)


def test_googlenet_for_cifar_halves_twice_and_has_two_3x3_convolutions_in_the_third_branch():
    layers = {layer.name: layer for layer in find_network("googlenet-cifar").layers}
    assert layers["3b.concat"].out_shape == (480, 32, 32)
    assert layers["4e.concat"].out_shape == (832, 16, 16)
    assert layers["5b.concat"].out_shape == (1024, 8, 8)
    assert layers["avgpool"].out_shape == (1024, 1, 1)
    assert [layers[f"3a.{branch}.conv"].kernel for branch in ("b3a", "b3b", "b3c")] == [(1, 1), (3, 3), (3, 3)]
    assert "3a.b2b.relu" not in layers
    assert layers["3a.concat"].inputs == ("3a.b1.relu", "3a.b2b.batch_norm", "3a.b3c.relu", "3a.b4.relu")


def test_resnet50_has_its_strides_on_the_3x3():
    strided = [layer for layer in find_network("resnet50").gemm_layers[1:-1] if layer.stride != (1, 1)]
    assert [(layer.name, layer.kernel) for layer in strided] == [
        (f"layer{stage}.0.{name}", kernel)
        for stage in (2, 3, 4)
        for name, kernel in (("conv2", (3, 3)), ("down", (1, 1)))
    ]


def test_resnets_have_one_projection_for_each_change_of_shape():
    for name, stages in (("resnet18", "234"), ("resnet34", "234"), ("resnet50", "1234"), ("resnet20", "23")):
        found = [layer.name for layer in find_network(name).gemm_layers if layer.name.endswith("down")]
        assert found == [f"layer{stage}.0.down" for stage in stages]


def test_mobilenetv2_is_depthwise_and_has_ten_residuals():
    network = find_network("mobilenetv2")
    depthwise = [layer for layer in network.gemm_layers if isinstance(layer, Conv2d) and layer.groups > 1]
    assert len(depthwise) == 17
    assert all(layer.groups == layer.in_shape[0] == layer.out_channels for layer in depthwise)
    assert sum(layer.op == "add" for layer in network.layers) == 10
    assert "relu" not in {layer.op for layer in network.layers}


def test_vgg16_has_no_batch_norm_and_five_pools():
    ops = [layer.op for layer in find_network("vgg16").layers]
    assert (ops.count("batch_norm"), ops.count("max_pool"), ops.count("conv")) == (0, 5, 13)


@pytest.mark.parametrize(
    ("name", "tensors"),
    [("alexnet", 16), ("resnet18", 62), ("googlenet-aux", 187)],  # the tensors that MuPPET's optimiser quantises
)
def test_number_of_parameter_tensors(name, tensors):
    assert sum(layer.parameter_tensors for layer in find_network(name).layers) == tensors


# The page


def test_the_page_lists_every_network_with_its_totals_and_source():
    row = re.compile(r"^\| `([\w-]+)` \| ([\d,]+) \| ([\d,]+) \| (\d+) \| (.+) \|$", re.MULTILINE)
    listed = row.findall(PAGE.read_text(encoding="utf-8"))
    networks = [find_network(name) for name in network_names()]
    assert listed == [(n.name, f"{n.macs:,}", f"{n.parameters:,}", str(len(n.gemm_layers)), n.source) for n in networks]


def test_the_example_of_the_page_is_complete(tmp_path):
    example = re.search(r"```toml\n(# tiny\.toml.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]
    path = tmp_path / "tiny.toml"
    path.write_text(example, encoding="utf-8")
    network = read_network(path)
    listed = re.findall(r"^    (\S+) +\((.*?)\)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert listed == [(layer.name, ", ".join(map(str, layer.out_shape))) for layer in network.layers]
    assert any(isinstance(layer, MemoryBound) for layer in network.layers)
