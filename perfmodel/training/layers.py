"""The layers of a module that a recipe may round around: convolutions, fully connected layers and average pools.

Hooks see calls of modules: what a module computes with `torch.nn.functional` on a weight it holds itself, such as
`MultiheadAttention`'s projections, is not seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from perfmodel.networks import Network
from perfmodel.schemes.rules import first_layer, last_layers, shortcuts

GEMM = (nn.Conv2d, nn.Linear)
POOLS = (nn.AvgPool2d, nn.AdaptiveAvgPool2d)
POOL = -1  # the index of a layer without a GEMM


@dataclass(frozen=True, slots=True)
class Place:
    """A layer in a model: its name, its index among the `count` layers with GEMMs (-1: an average pool), the module."""

    name: str
    index: int
    count: int
    module: nn.Module


def places(model: nn.Module) -> list[Place]:
    """The layers of a model in the order in which its modules are registered, each module once.

    >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> [(one.name, one.index, one.count) for one in places(net)]
    [('0', 0, 2), ('2', 1, 2)]
    """
    found = [(name, module) for name, module in model.named_modules() if isinstance(module, GEMM + POOLS)]
    count = sum(isinstance(module, GEMM) for _, module in found)
    return list(_numbered(found, count))


def weights(found: list[Place]) -> dict[int, Place]:
    """The layer whose weight a parameter is, by the parameter's `id`: of shared weights, the first that has them."""
    held: dict[int, Place] = {}
    for place in found:
        weight = getattr(place.module, "weight", None)
        if isinstance(weight, torch.nn.Parameter):
            held.setdefault(id(weight), place)
    return held


@dataclass(frozen=True, slots=True)
class Roles:
    """Which layers are a network's first, last, 1x1 shortcuts and auxiliary heads, by name, as the cost model has them.

    `image` is the least of width and height of the network's images. Without roles a recipe goes by the order of the
    modules and by names that begin with `aux`, and takes images for small ones.
    """

    first: frozenset[str]
    last: frozenset[str]
    shortcuts: frozenset[str]
    heads: frozenset[str]
    image: int

    @classmethod
    def of(cls, network: Network) -> Roles:
        """Those of a network whose layers have the same names as the modules of the model built of it."""
        main = network.main_path
        return cls(
            frozenset(first_layer(network)), frozenset(last_layers(network)), frozenset(shortcuts(network)),
            frozenset(layer.name for layer in network.layers if layer.name not in main), min(network.input[1:]),
        )  # fmt: skip


def _numbered(found: list[tuple[str, nn.Module]], count: int) -> Iterator[Place]:
    index = 0
    for name, module in found:
        gemm = isinstance(module, GEMM)
        yield Place(name, index if gemm else POOL, count, module)
        index += gemm
