"""A model, its optimizer and its data under a scheme: an epoch of training, a pass over the test images."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from perfmodel.networks import Network
from perfmodel.training.build import build, loss_of
from perfmodel.training.checks import diverged, diverging
from perfmodel.training.data import Images
from perfmodel.training.emulation import Emulation
from perfmodel.training.layers import Roles
from perfmodel.training.lossscale import find_scale
from perfmodel.training.masters import MasterSGD
from perfmodel.training.noise import Noise
from perfmodel.training.options import Options
from perfmodel.training.recipe import Recipe
from perfmodel.training.recipes import find_recipe

NOT_WAITING = 64  # iterations between two looks at the loss on a device that must be waited for
ORDER, DROPPED, ROUNDED = 1, 2, 3  # random streams of a seed: batches, dropout, rounding
TEST_BATCHES = 4  # images at once without gradients, in batches of training


@dataclass(frozen=True, slots=True)
class Score:
    """Mean loss of images, and how many percent of them are classified right."""

    loss: float
    accuracy: float


class Sums:
    """Losses and hits added up on the device."""

    def __init__(self, device: torch.device):
        self._loss = torch.zeros((), dtype=torch.float64, device=device)
        self._hits = torch.zeros((), dtype=torch.int64, device=device)
        self._count = 0

    def add(self, loss: torch.Tensor, outputs: torch.Tensor | Sequence[torch.Tensor], labels: torch.Tensor) -> None:
        """The mean loss of a batch, and its logits; of several the main ones come first."""
        main = outputs if isinstance(outputs, torch.Tensor) else outputs[0]
        self._loss += loss.detach().double() * len(labels)
        self._hits += (main.argmax(1) == labels).sum()
        self._count += len(labels)

    @property
    def loss(self) -> float:
        """The sum, for which the device is waited for."""
        return float(self._loss)

    @property
    def score(self) -> Score:
        """The means."""
        return Score(self.loss / self._count, 100 * int(self._hits) / self._count)


class Loop:
    """Everything that training changes, from the beginning or from a checkpoint's `state`.

    Raises `InputError` as `find_recipe`.
    """

    def __init__(self, options: Options, network: Network, train: Images, test: Images, format_: str, backward: int):
        self._options, self._roles, self._backward = options, Roles.of(network), backward
        self._train, self._test = train, test
        self._device = torch.device(options.device)
        self.noise = Noise(_stream(options.seed, ROUNDED), self._device)
        self.scale = find_scale(options.scheme)
        self.model = build(network, options.seed).to(self._device)
        self._format, recipe = format_, self._recipe(format_)
        self._emulation = Emulation(self.model, recipe, self.noise)
        given = (options.lr, options.momentum, options.weight_decay)
        self.optimizer = MasterSGD(self.model, *given, recipe, self.noise)

    def train_epoch(self, epoch: int, formats: Sequence[str], rate: float, done: Callable[[str], None]) -> Score:
        """One pass over the training images, shuffled; `done` is told the format of each iteration after it.

        Raises `InputError` (E1704) as soon as the loss is no number.
        """
        self.model.train()
        self.optimizer.lr = rate
        sums, batch = Sums(self._device), self._options.batch
        look = 1 if self._device.type == "cpu" else NOT_WAITING
        random = np.random.default_rng([self._options.seed, ORDER, epoch])
        order = random.permutation(len(self._train))
        with self._dropping(epoch):
            for i, format_ in enumerate(formats):
                self._follow(format_)
                with diverging(place := f"epoch {epoch}, iteration {i}:"):
                    self._step(self._train.batch(order[i * batch : (i + 1) * batch], random), sums)
                if (i % look == 0 or i == len(formats) - 1) and not math.isfinite(sums.loss):
                    raise diverged(place, f"the loss is {sums.loss:g}")
                done(format_)
        return sums.score

    @torch.no_grad()
    def test(self, epoch: int) -> Score:
        """One pass over the test images in the last iteration's format; training's random numbers go on behind it.

        Raises `InputError` (E1704) as `train_epoch`, but for a loss: what overflows here need not in training.
        """
        self.model.eval()
        sums, batch = Sums(self._device), self._options.batch * TEST_BATCHES
        with self._emulation.evaluating(), diverging(f"epoch {epoch}, test images:"):
            for start in range(0, len(self._test), batch):
                given = self._test.batch(np.arange(start, min(start + batch, len(self._test))), None)
                images, labels = (one.to(self._device) for one in given)
                outputs = self.model(images)
                sums.add(loss_of(outputs, labels), outputs, labels)
        return sums.score

    def state(self) -> dict[str, Any]:
        """Tensors, numbers and texts for a checkpoint."""
        return {
            "format": self._format, "model": self.model.state_dict(), "optimizer": self.optimizer.state(),
            "noise": self.noise.state(), "scale": self.scale.state() if self.scale else {},
        }  # fmt: skip

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from such a state; it is PyTorch that complains about tensors of other shapes."""
        self._follow(state["format"])
        self.model.load_state_dict(state["model"])
        self.optimizer.restore(state["optimizer"])
        if self.scale:
            self.scale.restore(state["scale"])
        self.noise.restore(state["noise"])

    def _step(self, given: tuple[torch.Tensor, torch.Tensor], sums: Sums) -> None:
        images, labels = (one.to(self._device) for one in given)
        self.optimizer.zero_grad()
        outputs = self.model(images)
        loss = loss_of(outputs, labels)
        (self.scale.scale(loss) if self.scale else loss).backward()
        self.optimizer.step(self.scale)
        sums.add(loss, outputs, labels)

    def _follow(self, format_: str) -> None:
        if format_ != self._format:
            self._format = format_
            self._emulation.recipe = self.optimizer.recipe = self._recipe(format_)

    def _recipe(self, format_: str) -> Recipe:
        given = self._options
        return find_recipe(given.scheme, format_, given.mode, self._backward, roles=self._roles)

    @contextmanager
    def _dropping(self, epoch: int) -> Iterator[None]:
        """Dropout draws from PyTorch's global stream: one of this epoch's own, and the user's goes on behind it."""
        with torch.random.fork_rng(devices=[self._device] if self._device.type == "cuda" else []):
            torch.manual_seed(_stream(self._options.seed, DROPPED, epoch))
            yield


def _stream(seed: int, *numbers: int) -> int:
    return int(np.random.SeedSequence([seed, *numbers]).generate_state(1, np.uint64)[0] >> np.uint64(1))
