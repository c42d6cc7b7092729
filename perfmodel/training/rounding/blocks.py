"""`perfmodel.quantisers.blocks`: HBFP's block floating point."""

from __future__ import annotations

from math import nan

import torch
from torch.nn.functional import pad

from perfmodel.quantisers.blocks import EPSILON, TILE
from perfmodel.quantisers.tensors import check_bits, check_tile
from perfmodel.training.rounding.tensors import Uniform, rint_


@torch.no_grad()
def rounded(x: torch.Tensor, mantissa_bits: int, tile: int = TILE, uniform: Uniform = None) -> torch.Tensor:
    """The matrix [first axis, all others] in tiles of `tile` × `tile`, 0 for a single one; rint(y + u - ½).

    `InputError`: E1521 (mantissa bits), E1522 (tile).

    >>> rounded(torch.tensor([[0.8, 0.3, -0.1], [0.01, 0.02, 0.0]]), 3, tile=2).tolist()
    [[0.75, 0.25, -0.09375], [0.0, 0.0, 0.0]]
    """
    tile = check_tile(tile)
    matrix = x.reshape(len(x) if x.ndim else 1, -1) if x.numel() else x
    if not x.numel():
        return x.clone()
    tall, wide = (min(tile, side) if tile else side for side in matrix.shape)
    return _rounded(x, matrix, mantissa_bits, (tall, wide), uniform)


@torch.no_grad()
def rounded_by_sample(x: torch.Tensor, mantissa_bits: int, uniform: Uniform = None) -> torch.Tensor:
    """The same with one exponent for each of the first axis."""
    if not x.numel():
        return x.clone()
    matrix = x.reshape(len(x) if x.ndim else 1, -1)
    return _rounded(x, matrix, mantissa_bits, (1, matrix.shape[1]), uniform)


def _rounded(
    x: torch.Tensor, matrix: torch.Tensor, mantissa_bits: int, tile: tuple[int, int], uniform: Uniform
) -> torch.Tensor:
    bits = check_bits(mantissa_bits, 1, 22, "mantissa_bits")
    largest = _maxima(matrix, tile)
    mantissa, exponent = torch.frexp(largest + EPSILON)
    power = exponent - (mantissa == 0.5).to(torch.int32) - bits
    limit = 2.0**bits - 1
    steps = torch.ldexp(torch.ones_like(largest, dtype=torch.float64), power)
    steps = torch.where(largest.isfinite(), steps, torch.full_like(steps, nan)).to(x.dtype)
    steps = _spread(steps, tile, matrix.shape)
    codes = rint_((matrix / steps).view(x.shape), uniform).clamp_(-limit, limit)
    return codes.mul_(steps.view(x.shape) if steps.shape == matrix.shape else steps.view(-1, *(1,) * (x.ndim - 1)))


def _maxima(matrix: torch.Tensor, tile: tuple[int, int]) -> torch.Tensor:
    """The greatest magnitude of each tile [rows of tiles, columns of tiles]; NaN where one is."""
    tall, wide = tile
    below, beside = -len(matrix) % tall, -matrix.shape[1] % wide
    whole = pad(matrix.abs(), (0, beside, 0, below)) if below or beside else matrix.abs()
    return whole.view(len(whole) // tall, tall, whole.shape[1] // wide, wide).amax(dim=(1, 3))


def _spread(of_tiles: torch.Tensor, tile: tuple[int, int], shape: torch.Size) -> torch.Tensor:
    """What each element has of its tile [rows, columns], or [rows, 1] where a tile is a whole row or more."""
    tall, wide = tile
    found = of_tiles.repeat_interleave(tall, dim=0)[: shape[0]]
    return found if found.shape[1] == 1 else found.repeat_interleave(wide, dim=1)[:, : shape[1]]
