"""Rounders for recipes, (tensor, noise) → new tensor, made of the quantisers in `rounding`."""

from __future__ import annotations

import torch

from perfmodel.quantisers.floats import BF16, E4M3, FP16, FloatFormat
from perfmodel.quantisers.fp8 import LARGEST_SCALE, SCALE_AT_MOST
from perfmodel.training.noise import Noise
from perfmodel.training.recipe import Rounder
from perfmodel.training.rounding import affine as affine_rounding
from perfmodel.training.rounding import blocks, floats
from perfmodel.training.rounding import dynamic as dynamic_rounding
from perfmodel.training.rounding import program as program_rounding

NATIVE = {FP16: torch.float16, BF16: torch.bfloat16}  # which PyTorch itself rounds to


def dynamic(bits: int) -> Rounder:
    """MuPPET's paper, stochastically."""
    return lambda tensor, noise: dynamic_rounding.rounded(tensor, bits, noise)


def program(bits: int, per_image: bool = False) -> Rounder:
    """MuPPET's program, stochastically; one scale for the tensor, or for each image."""
    return lambda tensor, noise: program_rounding.rounded(tensor, bits, noise, per_image=per_image)


def nearest(format_: FloatFormat) -> Rounder:
    """A floating-point format, to nearest even; beyond its range infinite."""
    if (native := NATIVE.get(format_)) is not None:
        return lambda tensor, noise: tensor.to(native).to(tensor.dtype)
    return lambda tensor, noise: floats.rounded(tensor, format_)


def stochastic(format_: FloatFormat) -> Rounder:
    """A floating-point format, stochastically; beyond its range infinite."""
    return lambda tensor, noise: floats.rounded(tensor, format_, noise)


def scaled_e4m3(tensor: torch.Tensor, noise: Noise) -> torch.Tensor:
    """E4M3 to nearest of tensor·s, over s = 448/max|x| (65,500 where that is above 32,750): `quantisers.fp8.scaled`."""
    if not tensor.numel():
        return tensor.clone()
    scale = E4M3.largest / tensor.abs().amax()
    scale = torch.where(scale > SCALE_AT_MOST, torch.full_like(scale, LARGEST_SCALE), scale)
    return floats.rounded(tensor * scale, E4M3, saturate=True) / scale


def affine(bits: int, rule: str, by_channel: bool = False, stochastically: bool = False) -> Rounder:
    """CPT's levels over the range of a tensor, or of each output channel."""

    def rounded(tensor: torch.Tensor, noise: Noise) -> torch.Tensor:
        uniform = noise if stochastically else None
        return affine_rounding.rounded(tensor, bits, uniform, rule=rule, by_channel=by_channel)

    return rounded


def tiled(mantissa_bits: int, tile: int = 24) -> Rounder:
    """HBFP's square tiles (0: one for the tensor), stochastically; `mantissa_bits` without the sign."""
    return lambda tensor, noise: blocks.rounded(tensor, mantissa_bits, tile, noise)


def by_sample(mantissa_bits: int) -> Rounder:
    """HBFP with an exponent for each sample, stochastically; `mantissa_bits` without the sign."""
    return lambda tensor, noise: blocks.rounded_by_sample(tensor, mantissa_bits, noise)
