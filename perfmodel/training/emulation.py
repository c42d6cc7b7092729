"""Hooks around a model's layers that round what these read and write, forward and backward, by a recipe.

The backward pass is straight-through: the gradient of a rounded tensor is that of the tensor. The reference hooks its
modules too (ICIdsl/muppet @ a5cbb13, scaler.py:87-100, quant_layers.py:77-80).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn

from perfmodel.training.layers import Place, places
from perfmodel.training.noise import Noise
from perfmodel.training.recipe import Recipe, Rounder

EVALUATION_SEED = 8  # any one: an evaluation then depends on weights and data alone


class Emulation:
    """A model under a recipe. Modules, parameters and `state_dict` stay what they are, and `remove` takes all off.

    `recipe` can be set between any two iterations. A layer that is called several times in one pass is rounded around
    each call. An input that needs no gradient, such as the first layer's, has none rounded. Weights and their gradients
    are the optimizer's matter: `MasterSGD`.
    """

    def __init__(self, model: nn.Module, recipe: Recipe, noise: Noise):
        self._model, self._noise = model, noise
        self._places = places(model)
        self._handles = [model.register_forward_pre_hook(self._receive)]
        for number, place in enumerate(self._places):
            self._handles += [
                place.module.register_forward_pre_hook(partial(self._before, number)),
                place.module.register_forward_hook(partial(self._after, number)),
            ]
        self.recipe = recipe

    @property
    def recipe(self) -> Recipe:
        """What is done to tensors from the next forward pass on."""
        return self._recipe

    @recipe.setter
    def recipe(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._layers = [recipe.of(place) for place in self._places]

    @property
    def layers(self) -> list[Place]:
        """The layers that have hooks."""
        return list(self._places)

    @contextmanager
    def evaluating(self, seed: int = EVALUATION_SEED) -> Iterator[None]:
        """Round with numbers of a stream that begins anew: the same each time, and training's goes on undisturbed."""
        training = self._noise
        first = next(self._model.parameters(), None)
        self._noise = Noise(seed, first.device if first is not None else "cpu")
        try:
            yield
        finally:
            self._noise = training

    def remove(self) -> None:
        """Take all hooks off: the model computes as it did before, with the parameters that it has now."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _receive(self, model: nn.Module, inputs: tuple) -> tuple | None:
        return self._first_edged(inputs, self._recipe.images, None)

    def _before(self, number: int, module: nn.Module, inputs: tuple) -> tuple | None:
        recipe = self._layers[number]
        return recipe and self._first_edged(inputs, recipe.inputs, recipe.input_gradients)

    def _after(self, number: int, module: nn.Module, inputs: tuple, output: torch.Tensor) -> torch.Tensor | None:
        recipe = self._layers[number]
        if recipe is None or not _has_numbers(output):
            return None
        if recipe.outputs:
            output = _Rounding.apply(output, recipe.outputs, self._noise)
        return self._watched(output, recipe.output_gradients)

    def _first_edged(self, inputs: tuple, forward: Rounder | None, backward: Rounder | None) -> tuple | None:
        """The inputs, the first of them rounded forward and its gradient backward; None where nothing is to do."""
        if not inputs or not _has_numbers(inputs[0]):
            return None
        first, *others = inputs
        if forward:
            first = _Rounding.apply(first, forward, self._noise)
        elif backward and first.requires_grad:
            first = first.view_as(first)  # a node of its own: the gradient of this reader alone
        else:
            return None
        return self._watched(first, backward), *others

    def _watched(self, tensor: torch.Tensor, backward: Rounder | None) -> torch.Tensor:
        if backward and tensor.requires_grad:
            noise = self._noise
            tensor.register_hook(lambda gradient: backward(gradient, noise))
        return tensor


class _Rounding(torch.autograd.Function):
    @staticmethod
    def forward(ctx, tensor: torch.Tensor, rounder: Rounder, noise: Noise) -> torch.Tensor:
        return rounder(tensor, noise).data  # no view of a buffer, which no layer behind could change in place

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> tuple:
        return gradient, None, None


def _has_numbers(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point()
