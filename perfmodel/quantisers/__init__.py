"""Low-precision numbers by definition, in NumPy: what each scheme's quantiser makes of a tensor, to the bit.

One module a family: `dynamic` (MuPPET's paper, and what the GPU kernels compute, in FP32), `program` (MuPPET's
program), `floats`, `codes` and `fp8` (FP8, BF16, FP16, TF32 …), `blocks` (HBFP), `dorefa`, `affine` (CPT), `fixed`
(FxpNet), `scaling` (loss scales), and `distortion`: how far a quantiser's output is from its input.

    x                         float64 is computed and returned as float64, float32 and float16 as float32
    uniform=None              round to nearest, ties to even
    uniform=array, Generator  stochastic rounding with these numbers of [0, 1); nothing is drawn from a global state
"""

from perfmodel.quantisers.casts import bf16_of, fp16_of
from perfmodel.quantisers.dynamic import (
    LARGEST_BITS,
    LARGEST_EXPONENT,
    SMALLEST_BITS,
    absmax,
    dequantise,
    quantise_nearest,
    quantise_stochastic,
    scale_of,
    scale_pair,
)
from perfmodel.quantisers.philox import DITHERS, dither, philox4x32
from perfmodel.quantisers.update import sgd

__all__ = [
    "DITHERS",
    "LARGEST_BITS",
    "LARGEST_EXPONENT",
    "SMALLEST_BITS",
    "absmax",
    "bf16_of",
    "dequantise",
    "dither",
    "fp16_of",
    "philox4x32",
    "quantise_nearest",
    "quantise_stochastic",
    "scale_of",
    "scale_pair",
    "sgd",
]
