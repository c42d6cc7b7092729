"""Which layers take part in a recipe: choices by the roles of a network, or by order and names without them."""

from __future__ import annotations

from torch import nn

from perfmodel.training.layers import GEMM, Roles
from perfmodel.training.recipe import Choice

LARGE_IMAGE = 64  # from this width and height on CPT's first convolution and its shortcuts stay in FP32


def main_path(roles: Roles | None) -> Choice:
    """Every layer but those of auxiliary heads; without roles these are what is named `aux…`."""
    if roles:
        return lambda name, index, count, module: name not in roles.heads
    return lambda name, index, count, module: not name.startswith("aux")


def first(roles: Roles | None) -> Choice:
    """The first layer with a GEMM."""
    if roles:
        return lambda name, index, count, module: name in roles.first
    return lambda name, index, count, module: index == 0


def inner(roles: Roles | None) -> Choice:
    """The layers with GEMMs but the first and the last; the last of each auxiliary head too where there are roles."""
    if roles:
        ends = roles.first | roles.last
        return lambda name, index, count, module: isinstance(module, GEMM) and name not in ends
    return lambda name, index, count, module: 0 < index < count - 1


def cpt(roles: Roles | None) -> Choice:
    """Convolutions; with images from 64 x 64 on neither the first nor 1x1 shortcuts."""
    exempt = roles.first | roles.shortcuts if roles and roles.image >= LARGE_IMAGE else frozenset()
    return lambda name, index, count, module: isinstance(module, nn.Conv2d) and name not in exempt
