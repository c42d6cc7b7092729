"""What is known of one CUTLASS GEMM kernel before it is compiled. Imports nothing of CUTLASS."""

from __future__ import annotations

import re
from dataclasses import dataclass

from perfmodel.gemm import OUTPUTS, Precision

WORDS = {"serial": "split", "parallel": "parallel"}  # split-K modes that are asked for at launch, in a variant's text
MODES = {word: mode for mode, word in WORDS.items()}
SPLIT = re.compile(r"(?P<name>\S+) (?P<word>split|parallel)(?P<parts>[2-9]|[1-9]\d+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class GemmKernel:
    """A kernel for row-major C[m, n] = A[m, k] · B[k, n]; m, n, k are ours throughout, whatever CUTLASS calls them.

    `name` is unique within a `target` (what nvcc compiles for: `75`, `80`, `90a` …). `layout` is as in `Gemm`. `tile`
    and `cluster` count along m, n, k. `alignment` is in elements of A, B and C, each in the direction in which it is
    contiguous. `stages` is 0 where CUTLASS chooses them. `generation` 2 or 3 is that of CUTLASS's interface.

    `unit` is `simt` (FMA), `dp4a`, `tensor` (mma) or `warpgroup` (wgmma). `split_modes` is a part of `serial` (slices
    of k add to C in turn), `parallel` (a second kernel sums them) and `stream` (stream-K: the kernel divides k
    itself). `swizzle` is how many columns of tiles neighbouring CTAs cover at most.
    """

    name: str
    target: str
    generation: int
    unit: str
    precision: Precision
    layout: str
    tile: tuple[int, int, int]
    stages: int
    cluster: tuple[int, int, int]
    alignment: tuple[int, int, int]
    split_modes: tuple[str, ...]
    swizzle: int
    conv: str = ""
    stride: str = "any"
    few: bool = False


def variant_text(kernel: GemmKernel, parts: int = 1, mode: str = "serial") -> str:
    """What a profile calls this kernel with k cut into so many parts: `NAME`, `NAME split4`, `NAME parallel4`."""
    if parts == 1:
        return kernel.name
    if mode not in WORDS or parts < 1:
        raise ValueError(f"{mode} does not cut k into {parts} parts")
    return f"{kernel.name} {WORDS[mode]}{parts}"


def read_variant(text: str) -> tuple[str, int, str]:
    """The kernel's name, the parts of k and the split-K mode (`none` where k is whole) of `variant_text`.

    Whatever has another form is a name as it stands.

    >>> read_variant("cutlass_simt_sgemm_128x128_8x2_nt_align1 split4")
    ('cutlass_simt_sgemm_128x128_8x2_nt_align1', 4, 'serial')
    """
    match = SPLIT.fullmatch(text)
    if match is None:
        return text, 1, "none"
    return match["name"], int(match["parts"]), MODES[match["word"]]


def precision_text(precision: Precision) -> str:
    """`fp16`, `fp16+fp16`, and `fp16->fp32` where the output is not the usual one.

    >>> from perfmodel.gemm import find_precision
    >>> precision_text(find_precision("int8")), precision_text(find_precision("fp16", output="fp32"))
    ('int8', 'fp16->fp32')
    """
    usual = OUTPUTS.get(precision.operand.name, precision.operand.name)
    written = precision.output.name
    return precision.name if written == usual else f"{precision.name}->{written}"
