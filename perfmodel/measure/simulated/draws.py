"""Random numbers in blocks: one generator for each stretch between two saved states."""

from __future__ import annotations

import numpy as np

BLOCK = 64  # drawing one by one costs more than the rest of the simulation


class Draws:
    """Standard normal and uniform numbers that depend on nothing but seed, counter and the order of the calls."""

    __slots__ = ("_generator", "_normals", "_seed", "_uniforms")

    def __init__(self, seed: int, counter: int = 0):
        self._seed = seed
        self.restart(counter)

    def restart(self, counter: int) -> None:
        """Go on with the numbers that belong to this counter; what was drawn ahead is dropped."""
        self._generator = np.random.default_rng([self._seed, counter])
        self._normals: list[float] = []
        self._uniforms: list[float] = []

    def normal(self) -> float:
        """The next standard normal number."""
        if not self._normals:
            self._normals = self._generator.standard_normal(BLOCK).tolist()
        return self._normals.pop()

    def uniform(self) -> float:
        """The next uniform number from 0 up to 1."""
        if not self._uniforms:
            self._uniforms = self._generator.random(BLOCK).tolist()
        return self._uniforms.pop()
