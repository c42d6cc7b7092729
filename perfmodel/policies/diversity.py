"""Gradient diversity: how much the gradients of some epochs differ, and what is done where that is not defined.

Δ = mean over groups of Σ_k ‖g_k‖² / ‖Σ_k g_k‖², the sums over the gradients of a window of epochs: 1/n for n equal
gradients, 1 for orthogonal ones, infinite for opposite ones. Yin et al., AISTATS 2018; MuPPET, equation 6.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from perfmodel.errors import InputError, quote

ON_UNDEFINED = ("reference", "skip", "error")
NAMED = 5  # parameters that a message lists


@dataclass(frozen=True, slots=True)
class Norms:
    """Σ ‖g_k‖² (`norm2`) and ‖Σ g_k‖² (`sum_norm2`) of one group's gradients in a window."""

    norm2: float
    sum_norm2: float

    @property
    def trouble(self) -> str:
        """Why their ratio is not a positive number, in words; empty where it is one."""
        if math.isnan(self.norm2) or math.isnan(self.sum_norm2):
            return "NaN in a gradient"
        if math.isinf(self.norm2) or math.isinf(self.sum_norm2):
            return "an infinite gradient"
        if self.norm2 < 0 or self.sum_norm2 < 0:
            return "a negative square"
        if self.norm2 == 0:
            return "all gradients zero"
        if self.sum_norm2 == 0:
            return "gradients that cancel"
        return "" if 0 < self.ratio < math.inf else "a ratio beyond floating point"

    @property
    def ratio(self) -> float:
        """The first over the second, as IEEE arithmetic has it: x/0 infinite, 0/0 NaN."""
        if self.sum_norm2 == 0:
            return math.nan if self.norm2 == 0 or math.isnan(self.norm2) else math.inf
        return self.norm2 / self.sum_norm2


@dataclass(frozen=True, slots=True)
class Diversity:
    """The mean over all groups, and which of them have no ratio, each with the reason.

    `value` is None where nothing can be said; under `reference` it may be NaN or infinite.
    """

    value: float | None
    undefined: Mapping[str, str]

    @property
    def note(self) -> str:
        """The groups without a ratio in one sentence, empty where there are none."""
        return f"no ratio: {named(self.undefined)}" if self.undefined else ""


def mean_diversity(norms: Mapping[str, Norms], on_undefined: str = "skip") -> Diversity:
    """Δ of groups by name.

    `on_undefined` says what a group without a ratio does: `skip` leaves it out of the mean, `reference` takes what
    floating point gives, infinite or NaN, as MuPPET's code does, `error` raises `InputError` (E1503).

    >>> mean_diversity({"fc": Norms(2.0, 4.0), "bias": Norms(0.0, 0.0)})
    Diversity(value=0.5, undefined={'bias': 'all gradients zero'})
    """
    undefined = {name: one.trouble for name, one in norms.items() if one.trouble}
    if undefined and on_undefined == "error":
        raise InputError.at("E1503", "gradients:", f"no diversity: {named(undefined)}.", "Correct, or skip them.")
    kept = [one.ratio for name, one in norms.items() if on_undefined == "reference" or name not in undefined]
    return Diversity(sum(kept) / len(kept) if kept else None, undefined)


def named(reasons: Mapping[str, str]) -> str:
    """Names with their reasons, the first five of them.

    >>> named({"conv1.bias": "all gradients zero"})
    "'conv1.bias' (all gradients zero)"
    """
    listed = ", ".join(f"{quote(name)} ({why})" for name, why in list(reasons.items())[:NAMED])
    return listed if len(reasons) <= NAMED else f"{listed} … ({len(reasons)} in all)"


def by_layer(norms: Mapping[str, Norms]) -> dict[str, Norms]:
    """Parameters joined to layers, whose name is the parameter's up to its last dot: squares of norms add up.

    >>> by_layer({"fc.weight": Norms(1.0, 2.0), "fc.bias": Norms(0.5, 0.25)})
    {'fc': Norms(norm2=1.5, sum_norm2=2.25)}
    """
    layers: dict[str, Norms] = {}
    for name, one in norms.items():
        layer = name.rpartition(".")[0] or name
        before = layers.get(layer, Norms(0.0, 0.0))
        layers[layer] = Norms(before.norm2 + one.norm2, before.sum_norm2 + one.sum_norm2)
    return layers


class Window:
    """The gradients of some epochs, as far as Δ needs them: one gradient a parameter, or the last `length` (sliding).

    A tumbling window (no `length`) grows until it is cleared.
    """

    def __init__(self, length: int | None = None):
        self.length = length
        self.clear()

    def __len__(self) -> int:
        return self._count

    def clear(self) -> None:
        """Forget everything."""
        self._count = 0
        self._squares: deque[dict[str, float]] = deque(maxlen=self.length)
        self._kept: deque[dict[str, np.ndarray]] = deque(maxlen=self.length)

    def add(self, gradients: Mapping[str, np.ndarray], first_of_epoch: Mapping[str, np.ndarray] | None = None) -> None:
        """One epoch's gradients by parameter, which are copied; `InputError` (E1502) where they cannot be added.

        `first_of_epoch`, with the second gradient of a tumbling window, takes the place of the first in ‖Σ g‖² but
        not in Σ ‖g‖²: in MuPPET's code the next epoch's first mini-batch fills the storage of that gradient.
        """
        found = _arrays(gradients)
        if self._kept:
            _check_alike(found, self._kept[-1])
        if first_of_epoch is not None and self._count == 1:
            instead = _arrays(first_of_epoch)
            _check_alike(instead, found)
            self._kept[-1] = instead
        self._squares.append({name: _square(value) for name, value in found.items()})
        if self.length is None and self._kept:
            with np.errstate(over="ignore", invalid="ignore"):
                found = {name: value + self._kept[0][name] for name, value in found.items()}
            self._kept.clear()
        self._kept.append(found)
        self._count = len(self._squares)

    def norms(self) -> dict[str, Norms]:
        """Σ ‖g‖² and ‖Σ g‖² of each parameter, in its order."""
        found = {}
        for name in self._kept[-1] if self._kept else ():
            with np.errstate(over="ignore", invalid="ignore"):
                total = sum(kept[name] for kept in self._kept)
            found[name] = Norms(sum(squares[name] for squares in self._squares), _square(total))
        return found

    def state(self) -> dict[str, list]:
        """What it holds, as lists and tables of numbers and float64 arrays; copies."""
        return {
            "squares": [dict(one) for one in self._squares],
            "kept": [{name: value.copy() for name, value in one.items()} for one in self._kept],
        }

    def restore(self, state: Mapping[str, list]) -> None:
        """Hold what such a state says, copied; `InputError` (E1502) where its arrays are none, or not alike."""
        self.clear()
        for kept in map(_arrays, state["kept"]):
            if self._kept:
                _check_alike(kept, self._kept[-1])
            self._kept.append(kept)
        self._squares.extend({name: float(square) for name, square in one.items()} for one in state["squares"])
        self._count = len(self._squares)


def _arrays(gradients: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    if not isinstance(gradients, Mapping) or not gradients:
        raise InputError.at("E1502", "gradients:", "there are none.", "Give arrays by the names of parameters.")
    return {name: _array(name, value) for name, value in gradients.items()}


def _array(name: object, value: object) -> np.ndarray:
    if not isinstance(name, str):
        raise InputError.at("E1502", "gradients:", f"{quote(name)} is not a name.", "Name parameters by texts.")
    try:
        found = np.asarray(value)
    except (TypeError, ValueError):  # of another library, or ragged
        found = np.empty(0, object)
    if found.dtype.kind not in "fiu":
        raise InputError.at("E1502", f"gradients[{quote(name)}]:", "is not an array of real numbers.", "Correct it.")
    return found.astype(np.float64)


def _check_alike(found: Mapping[str, np.ndarray], before: Mapping[str, np.ndarray]) -> None:
    for name in (*found, *before):
        if name not in found or name not in before or found[name].shape != before[name].shape:
            what = "is not there in every epoch, or changes its shape."
            raise InputError.at("E1502", f"gradients[{quote(name)}]:", what, "Give the same parameters every epoch.")


def _square(value: np.ndarray) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.square(value).sum())  # not np.dot, whose last bits depend on how many threads BLAS has
