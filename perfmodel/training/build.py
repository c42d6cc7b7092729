"""A network of the catalogue as a PyTorch model: standard modules under the names of its file, run as a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

import torch
from torch import nn
from torch.nn import functional

from perfmodel.errors import InputError, quote
from perfmodel.networks import Network
from perfmodel.networks.layers import Conv2d, Layer, Linear, MemoryBound

DROPOUT = 0.5  # files do not say it: AlexNet's and VGG's
HEAD_WEIGHT = 0.3  # of an auxiliary head's loss (Szegedy et al. 2015, section 5)
INPUT = "input"


def build(network: Network, seed: int) -> nn.Module:
    """The model, with PyTorch's default initialisation drawn from `seed`; the global random state is left as it was.

    Images [n, channels, height, width] become logits [n, classes], in training a list of them where there are
    auxiliary heads, the main one first. A final softmax is left to the loss. Dropout drops a half. Layers that share
    weights are one module, called more than once.

    Raises `InputError` (E1705) for a layer whose name no module can have, and for one that no other reads where it has
    not as many outputs as the last.

    >>> from perfmodel.networks import find_network
    >>> model = build(find_network("digits-cnn"), seed=1)
    >>> tuple(model(torch.zeros(3, 1, 8, 8)).shape)
    (3, 10)
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # manual_seed would set those of GPUs too
        return Graph(network)


def loss_of(outputs: torch.Tensor | list[torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
    """The mean cross entropy of logits; of several, the first one's plus 0.3 times each head's."""
    if isinstance(outputs, torch.Tensor):
        return functional.cross_entropy(outputs, labels)
    main, *heads = (functional.cross_entropy(one, labels) for one in outputs)
    return main + HEAD_WEIGHT * sum(heads)


class Graph(nn.Module):
    """The layers of a network in the order of its file."""

    def __init__(self, network: Network):
        super().__init__()
        self._steps: list[tuple[str, str, tuple[str, ...]]] = []  # name, whose module, inputs
        self._joins: dict[str, Callable] = {}
        self._outputs = _outputs(network)
        self._main = network.main_path
        for layer in network.layers:
            self._add(network.name, layer)
        self._last_use = {name: step for step, (_, _, inputs) in enumerate(self._steps) for name in inputs}

    def _add(self, network: str, layer: Layer) -> None:
        self._steps.append((layer.name, layer.shares or layer.name, layer.inputs))
        if isinstance(layer, MemoryBound) and layer.op in JOINS:
            self._joins[layer.name] = JOINS[layer.op]
        elif not layer.shares:
            module = nn.Softmax(dim=1) if layer.op == "softmax" and layer.name not in self._outputs else _module(layer)
            _put(self, network, layer.name, module)

    def forward(self, images: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Logits of the images; with heads, in training, of all."""
        values: dict[str, torch.Tensor] = {INPUT: images}
        modules = dict(self.named_modules())
        for step, (name, owner, inputs) in enumerate(self._steps):
            if self.training or name in self._main:
                ins = [values[one] for one in inputs]
                if name in self._joins:
                    values[name] = self._joins[name]([_image(one) for one in ins])
                else:
                    module = modules[owner]
                    values[name] = module(_image(*ins) if isinstance(module, OF_IMAGES) else ins[0])
            for one in inputs:
                if self._last_use[one] == step and one not in self._outputs:
                    values.pop(one, None)  # not kept longer than it is read
        if not self.training or len(self._outputs) == 1:
            return values[self._outputs[0]].flatten(1)
        return [values[name].flatten(1) for name in self._outputs]


def _outputs(network: Network) -> tuple[str, ...]:
    """The last layer and the auxiliary heads: what no layer reads."""
    read = {name for layer in network.layers for name in layer.inputs}
    *others, last = (layer for layer in network.layers if layer.name not in read)
    for layer in others:
        size, classes = prod(layer.out_shape), prod(last.out_shape)
        if size != classes:
            found = f"no layer reads {quote(layer.name)}, which has {size} outputs, the last {classes}."
            fix = "A head has as many outputs as the last layer; remove what is none."
            raise InputError.at("E1705", f"network {network.name}:", found, fix)
    return (last.name, *(layer.name for layer in others))


def _put(root: nn.Module, network: str, name: str, module: nn.Module) -> None:
    """Register a module under a name with dots, making the parts between them."""
    *path, leaf = name.split(".")
    for part in path:
        if part not in root._modules:
            _register(root, network, name, part, nn.Module())
        root = root._modules[part]
    _register(root, network, name, leaf, module)


def _register(parent: nn.Module, network: str, name: str, part: str, module: nn.Module) -> None:
    """Another name is no way out: recipes find a network's first and last layers by name."""
    if not part or hasattr(parent, part):
        found = f"a PyTorch model can have no layer {quote(name)}: {quote(part)} is empty or taken."
        raise InputError.at("E1705", f"network {network}:", found, "Rename the layer.")
    parent.add_module(part, module)


def _image(x: torch.Tensor) -> torch.Tensor:
    """[n, features] as [n, features, 1, 1], which is what the catalogue takes them for; images as they are."""
    return x[:, :, None, None] if x.dim() == 2 else x


def _add_up(tensors: list[torch.Tensor]) -> torch.Tensor:
    return sum(tensors[1:], tensors[0])


JOINS: Mapping[str, Callable] = {"add": _add_up, "concat": lambda tensors: torch.cat(tensors, dim=1)}


def _module(layer: Layer) -> nn.Module:
    if isinstance(layer, Conv2d):
        return nn.Conv2d(
            layer.in_shape[0], layer.out_channels, layer.kernel, layer.stride, layer.padding, layer.dilation,
            layer.groups, layer.bias,
        )  # fmt: skip
    if isinstance(layer, Linear):
        return FlatLinear(layer.in_features, layer.out_features, layer.bias)
    return PLAIN[layer.op](layer)


class FlatLinear(nn.Linear):
    """A fully connected layer that flattens images first, as those of the catalogue do."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[n, …] to [n, out]."""
        return super().forward(x.flatten(1))


def _max_pool(layer: MemoryBound) -> nn.Module:
    w = layer.window
    return nn.MaxPool2d(w.kernel, w.stride, w.padding, ceil_mode=w.ceil)


def _avg_pool(layer: MemoryBound) -> nn.Module:
    w = layer.window
    return nn.AvgPool2d(w.kernel, w.stride, w.padding, ceil_mode=w.ceil)


PLAIN: Mapping[str, Callable[[MemoryBound], nn.Module]] = {
    "batch_norm": lambda layer: nn.BatchNorm2d(layer.out_shape[0]),
    "relu": lambda layer: nn.ReLU(),
    "relu6": lambda layer: nn.ReLU6(),
    "dropout": lambda layer: nn.Dropout(DROPOUT),
    "softmax": lambda layer: nn.Identity(),  # the loss takes logits
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "adaptive_avg_pool": lambda layer: nn.AdaptiveAvgPool2d(layer.out_shape[1:]),
}
# Modules that take four dimensions alone.
OF_IMAGES = (nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)
