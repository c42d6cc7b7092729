"""A recipe: what one format of a training scheme does to each kind of tensor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from perfmodel.training.layers import GEMM, Place
from perfmodel.training.noise import Noise

Rounder = Callable[[torch.Tensor, Noise], torch.Tensor]
Choice = Callable[[str, int, int, nn.Module], bool]


def every_layer(name: str, index: int, count: int, module: nn.Module) -> bool:
    """Convolutions, FC layers and average pools."""
    return True


def gemm_layers(name: str, index: int, count: int, module: nn.Module) -> bool:
    """Convolutions and FC layers."""
    return isinstance(module, GEMM)


@dataclass(frozen=True, slots=True, eq=False)
class Recipe:
    """Rounders by the kind of tensor, each (tensor, noise) → new tensor, or None where nothing is rounded.

    `images` is the model's input. Of each layer for which `layers(name, index, count, module)` holds: `inputs` and
    `outputs` forward; `output_gradients` before the layer's backward GEMMs read them; `input_gradients` as they leave
    the layer, before those of other readers are added. Other layers follow `other`, or nothing. The optimizer rounds
    `weights` (working copies of the masters), `parameter_gradients` (once each), and of every parameter `momentum` and
    `masters` after their update. `weights` and `parameter_gradients` concern convolutions' and FC layers' weights, each
    as its layer's recipe says, or with `all_parameters` every parameter, exceptions or not. Weight decay acts on the
    master, or with `decays_working` on the working weight. Working weights are made anew as soon as the recipe is set,
    or, not `at_once`, in the next step: until then they stay on the grid of the recipe before.
    """

    title: str
    images: Rounder | None = None
    inputs: Rounder | None = None
    weights: Rounder | None = None
    outputs: Rounder | None = None
    output_gradients: Rounder | None = None
    input_gradients: Rounder | None = None
    parameter_gradients: Rounder | None = None
    momentum: Rounder | None = None
    masters: Rounder | None = None
    all_parameters: bool = False
    decays_working: bool = False
    at_once: bool = True
    layers: Choice = every_layer
    other: Recipe | None = None

    def of(self, place: Place) -> Recipe | None:
        """The recipe that a layer follows: this one, or that of its exception, None where nothing is rounded."""
        if self.layers(place.name, place.index, place.count, place.module):
            return self
        return self.other.of(place) if self.other else None

    def of_parameter(self, place: Place | None) -> Recipe | None:
        """The recipe that a parameter's weights and gradients follow; `place` is the layer whose weight it is."""
        if self.all_parameters:
            return self
        return self.of(place) if place else None


PLAIN = Recipe("fp32")
