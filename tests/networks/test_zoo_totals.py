"""The networks of published iteration timings against published totals, and the shapes where they join.

Parameters: torchvision's documentation of each network; inception4: 42,679,816 of Cadene/pretrained-models.pytorch.
MACs: torchvision prints them in units of 10⁹ as "GFLOPS" with three or four digits.
"""

from collections import Counter

import pytest

from perfmodel.networks import find_network

# Parameters, MACs / 10⁹ as published, convolutions and fully connected layers (the depth that the name says, where it
# has one: projections of ResNets do not count there).
PUBLISHED = {
    "densenet121": (7_978_856, 2.834, 121),
    "densenet161": (28_681_000, 7.728, 161),
    "densenet169": (14_149_480, 3.36, 169),
    "densenet201": (20_013_928, 4.291, 201),
    "resnet101": (44_549_160, 7.801, 101 + 4),
    "resnet50-v1": (25_557_032, 3.858, 50 + 4),  # 3.86: He et al., deep-residual-networks (Caffe)
    "vgg16-bn": (138_365_992, 15.47, 16),
    "vgg19": (143_667_240, 19.632, 19),
    "vgg19-bn": (143_678_248, 19.632, 19),
    "inception3": (27_161_264 - 3_326_696, 5.713, 95),
    "inception3-aux": (27_161_264, 5.719, 98),
    "inception4": (42_679_816, 12.25, 150),
}
DIGITS = {"densenet169": 2, "vgg16-bn": 2, "inception4": 2}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_macs_and_depth_are_the_published_ones(name):
    network = find_network(name)
    parameters, giga_macs, layers = PUBLISHED[name]
    assert network.parameters == parameters
    assert round(network.macs / 1e9, DIGITS.get(name, 3)) == giga_macs
    assert len(network.gemm_layers) == layers


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_network_ends_in_a_thousand_classes_and_every_layer_is_read(name):
    network = find_network(name)
    assert network.input == ((3, 299, 299) if "inception" in name else (3, 224, 224))
    assert [layer.op for layer in network.layers[-2:]] == ["linear", "softmax"]
    unread = [layer for layer, readers in network.consumers().items() if readers == 0]
    assert [layer.out_shape for layer in network.layers if layer.name in unread] == [(1000, 1, 1)] * (
        2 if name.endswith("aux") else 1
    )


# Channels, height and width where modules end.
SHAPES = {
    "densenet121": {
        "max_pool": (64, 56, 56), "block1.0.concat": (96, 56, 56), "block1.5.concat": (256, 56, 56),
        "transition1.avg_pool": (128, 28, 28), "block2.11.concat": (512, 28, 28), "transition2.avg_pool": (256, 14, 14),
        "block3.23.concat": (1024, 14, 14), "transition3.avg_pool": (512, 7, 7), "relu5": (1024, 7, 7),
    },
    "densenet161": {
        "max_pool": (96, 56, 56), "block1.0.conv1": (192, 56, 56), "block1.5.concat": (384, 56, 56),
        "block2.11.concat": (768, 28, 28), "block3.35.concat": (2112, 14, 14), "relu5": (2208, 7, 7),
    },
    "densenet169": {"block3.31.concat": (1280, 14, 14), "relu5": (1664, 7, 7)},
    "densenet201": {"block3.47.concat": (1792, 14, 14), "relu5": (1920, 7, 7)},
    "resnet101": {"layer3.22.relu3": (1024, 14, 14), "layer4.2.relu3": (2048, 7, 7)},
    "resnet50-v1": {"layer2.0.conv1": (128, 28, 28), "layer4.2.relu3": (2048, 7, 7)},
    "vgg19-bn": {"conv5_4.batch_norm": (512, 14, 14), "avgpool": (512, 7, 7)},
    "inception3": {
        "conv1.conv": (32, 149, 149), "conv2.conv": (32, 147, 147), "max_pool": (64, 73, 73),
        "conv5.conv": (192, 71, 71), "max_pool2": (192, 35, 35), "a1.concat": (256, 35, 35), "a3.concat": (288, 35, 35),
        "b.concat": (768, 17, 17), "c4.concat": (768, 17, 17), "d.concat": (1280, 8, 8), "e2.concat": (2048, 8, 8),
    },
    "inception3-aux": {"aux.conv1.conv": (128, 5, 5), "aux.conv2.conv": (768, 1, 1), "e2.concat": (2048, 8, 8)},
    "inception4": {
        "conv3.conv": (64, 147, 147), "stem_a.concat": (160, 73, 73), "stem_b.concat": (192, 71, 71),
        "stem_c.concat": (384, 35, 35), "a4.concat": (384, 35, 35), "reduce_a.concat": (1024, 17, 17),
        "b7.concat": (1024, 17, 17), "reduce_b.concat": (1536, 8, 8), "c3.concat": (1536, 8, 8),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_where_modules_end(name):
    layers = {layer.name: layer for layer in find_network(name).layers}
    assert {module: layers[module].out_shape for module in SHAPES[name]} == SHAPES[name]


def test_resnet50_version_1_has_its_strides_on_the_first_1x1():
    strided = [layer for layer in find_network("resnet50-v1").gemm_layers[1:-1] if layer.stride != (1, 1)]
    assert [(layer.name, layer.kernel) for layer in strided] == [
        (f"layer{stage}.0.{name}", (1, 1)) for stage in (2, 3, 4) for name in ("conv1", "down")
    ]


def test_batch_norm_follows_every_convolution_of_vgg_bn_and_none_of_vgg():
    for name, convolutions, norms in (("vgg16-bn", 13, 13), ("vgg19", 16, 0), ("vgg19-bn", 16, 16)):
        ops = Counter(layer.op for layer in find_network(name).layers)
        assert (ops["conv"], ops["batch_norm"], ops["max_pool"]) == (convolutions, norms, 5)


def test_vgg16_with_batch_norm_is_vgg16_otherwise():
    plain, normed = find_network("vgg16").gemm_layers, find_network("vgg16-bn").gemm_layers
    assert [(a.name, a.in_shape, a.out_shape) for a in plain] == [(b.name, b.in_shape, b.out_shape) for b in normed]


def test_inception3_pools_means_but_in_its_last_module_and_reductions():
    pools = [layer.name for layer in find_network("inception3").layers if layer.op == "max_pool"]
    assert pools == ["max_pool", "max_pool2", "b.max_pool", "d.max_pool", "e2.max_pool"]


def test_inception4_shares_the_layer_before_its_last_pairs():
    consumers = find_network("inception4").consumers()
    assert (consumers["c1.b3a.relu"], consumers["c1.b4c.relu"], consumers["c1.b4b.relu"]) == (2, 2, 1)
