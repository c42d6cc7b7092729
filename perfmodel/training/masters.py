"""SGD with momentum on master weights, of which the model holds working copies as a recipe rounds them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from perfmodel.errors import InputError
from perfmodel.quantisers.tensors import check_option
from perfmodel.training.layers import places, weights
from perfmodel.training.lossscale import LossScale
from perfmodel.training.noise import Noise
from perfmodel.training.recipe import PLAIN, Recipe, Rounder

OBSERVED = ("stepped", "raw")


class MasterSGD:
    """g ← r(∂L/∂w) / loss scale; g ← g + λ·w; v ← μ·v + g; master ← master - η·v; working w ← r(master), for all w.

    As `torch.optim.SGD` bit for bit where the recipe rounds nothing: dampening 0, no Nesterov, v = g in the first step,
    and parameters without a gradient stay as they are. Masters, momentum and the sums are FP32, where the recipe does
    not round them. MuPPET: ICIdsl/muppet @ a5cbb13, quant_sgd.py:46-78.

    `lr` may be set at any time, `recipe` between steps: `masters` and working weights then follow the new recipe at
    once, the latter in its next step where the recipe is not `at_once`. The weights of the model are replaced in place.
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 1e-4,
        recipe: Recipe = PLAIN,
        noise: Noise | None = None,
    ):
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay
        self._velocity: dict[str, torch.Tensor] = {}
        self._working = {name: one for name, one in model.named_parameters() if one.requires_grad}
        held = weights(places(model))
        self._places = {name: held.get(id(one)) for name, one in self._working.items()}
        self.masters = {name: one.detach().clone() for name, one in self._working.items()}
        self._noise, self._observed, self._divisor = noise, {}, 1.0
        self._recipe: Recipe | None = None
        self.recipe = recipe

    @property
    def recipe(self) -> Recipe:
        """What is done to masters, working weights, gradients and momentum."""
        return self._recipe

    @recipe.setter
    def recipe(self, recipe: Recipe) -> None:
        if recipe is self._recipe:
            return
        self._recipe = recipe
        self._followed = {name: recipe.of_parameter(place) or PLAIN for name, place in self._places.items()}
        if recipe.masters:
            self._load({name: self._rounded(recipe.masters, one) for name, one in self.masters.items()}, self.masters)
        if recipe.at_once:
            self.load_working()

    def zero_grad(self) -> None:
        """Forget the gradients: before each backward pass."""
        for parameter in self._working.values():
            parameter.grad = None

    @torch.no_grad()
    def load_working(self) -> None:
        """Make the working weights anew of the masters, now."""
        for name, parameter in self._working.items():
            parameter.copy_(self._rounded(self._followed[name].weights, self.masters[name]))

    @torch.no_grad()
    def step(self, scale: LossScale | None = None) -> bool:
        """One update with the gradients that `backward` left, whose loss `scale` multiplied; False if it was skipped.

        Gradients are rounded as they are, divided by the scale, and checked by it. A skipped step changes the scale
        alone.
        """
        self._divisor = scale.value if scale else 1.0
        gradients = {name: self._gradient(name) for name, one in self._working.items() if one.grad is not None}
        if scale:
            gradients = {n: one.clone() if one is self._working[n].grad else one for n, one in gradients.items()}
            if scale.unscale_(gradients.values()):
                return False
        self._observed = {name: self._update(name, gradient) for name, gradient in gradients.items()}
        return True

    def gradients(self, kind: str = "stepped") -> dict[str, np.ndarray]:
        """What a policy observes, float32 by parameter: of all that train, zeros where one had no gradient.

        `stepped`: of the last step that was not skipped, rounded and with weight decay, what the reference's policy
        sees (quant_sgd.py:55-60). `raw`: what `backward` left, over the loss scale. Raises E1528 for another kind.
        """
        check_option("kind", kind, OBSERVED)
        found = self._observed if kind == "stepped" else self._raw()
        return {
            name: (found[name] if name in found else torch.zeros_like(one)).detach().cpu().numpy().copy()
            for name, one in self._working.items()
        }

    def state(self) -> dict[str, object]:
        """Copies of masters and momentum by parameter, and the rate: tensors and numbers for a checkpoint.

        Working weights are the model's: they may be on another grid than the recipe's, so keep `state_dict` too.
        """
        return {
            "lr": self.lr,
            "masters": {name: one.clone() for name, one in self.masters.items()},
            "momentum": {name: one.clone() for name, one in self._velocity.items()},
        }

    def restore(self, state: Mapping[str, object]) -> None:
        """Go on from such a state, the recipe being set and the model's weights loaded separately, after that.

        Raises `InputError` (E1722) where parameters or shapes are not the model's; nothing is changed then.
        """
        masters, momentum = state["masters"], state["momentum"]
        if masters.keys() != self.masters.keys() or not momentum.keys() <= masters.keys():
            raise InputError.at("E1722", "optimizer state:", "holds other parameters.", "Take this model's checkpoint.")
        for name, one in (*masters.items(), *momentum.items()):
            if one.shape != self.masters[name].shape:
                found = f"has the shape {tuple(one.shape)}, the model {tuple(self.masters[name].shape)}."
                raise InputError.at("E1722", f"optimizer state, {name}:", found, "Take this model's checkpoint.")
        self.lr = state["lr"]
        self._load(masters, self.masters)
        self._velocity = {name: one.to(self.masters[name].device, copy=True) for name, one in momentum.items()}

    def _gradient(self, name: str) -> torch.Tensor:
        return self._rounded(self._followed[name].parameter_gradients, self._working[name].grad)

    def _update(self, name: str, gradient: torch.Tensor) -> torch.Tensor:
        """One parameter's update; the gradient with weight decay."""
        working, master, recipe = self._working[name], self.masters[name], self._recipe
        if self.weight_decay:
            gradient = gradient.add(working if recipe.decays_working else master, alpha=self.weight_decay)
        master.add_(self._moved(name, gradient), alpha=-self.lr)
        if recipe.masters:
            master.copy_(recipe.masters(master, self._noise))
        working.copy_(self._rounded(self._followed[name].weights, master))
        return gradient

    def _moved(self, name: str, gradient: torch.Tensor) -> torch.Tensor:
        """The velocity after this gradient; without momentum the gradient itself."""
        if not self.momentum:
            return gradient
        velocity = self._velocity.get(name)
        velocity = gradient.clone() if velocity is None else velocity.mul_(self.momentum).add_(gradient)
        self._velocity[name] = self._rounded(self._recipe.momentum, velocity)
        return self._velocity[name]

    def _raw(self) -> dict[str, torch.Tensor]:
        return {name: one.grad / self._divisor for name, one in self._working.items() if one.grad is not None}

    def _rounded(self, rounder: Rounder | None, tensor: torch.Tensor) -> torch.Tensor:
        return rounder(tensor, self._noise) if rounder else tensor

    @torch.no_grad()
    def _load(self, source: Mapping[str, torch.Tensor], target: dict[str, torch.Tensor]) -> None:
        for name, one in source.items():
            target[name].copy_(one)
