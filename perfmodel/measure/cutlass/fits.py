"""Which kernels can do a GEMM, with k cut into how many parts, and which of them to try first."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter

from perfmodel.gemm import Gemm
from perfmodel.measure.cutlass.implicit import computes, implicit_gemm, padded
from perfmodel.measure.cutlass.kernels import GemmKernel
from perfmodel.units import ceil_div, round_up

POWERS = (2, 4, 8, 16, 32)  # parts of k
MOST_PARTS = 128  # where a wave would take more: they add to C one after the other
LEAST_STEPS = 4  # tiles of k in a part: fewer do not fill the pipeline
MOST_WAVES = 4  # of CTAs, that cutting k may lead to
VARIANTS = 2  # ways of cutting k that are tried of one kernel
LINE_BYTES = 128  # CUTLASS cuts k at whole cache lines
BYTES_PER_CYCLE = 8  # DRAM's, for each multiprocessor: 6 on an RTX 2080 Ti, 10 on an A100, 14 on an H100
L2_BYTES_PER_CYCLE = 64  # of one multiprocessor
MACS_PER_CYCLE = {"simt": 64, "dp4a": 256, "tensor": 512, "warpgroup": 2048}  # the last two of 16-bit operands
LOADING = {"simt": 4, "dp4a": 8, "tensor": 16, "warpgroup": 32}  # FLOP for each element loaded that halve the rate
FILLING = 4  # tiles of k that starting and ending a CTA costs


def fits(kernel: GemmKernel, gemm: Gemm) -> bool:
    """Whether the kernel does this GEMM: its precision, layout, and sizes that are multiples of its alignments.

    The contiguous size of A is k for layout `t.` and m for `n.`, of B k for `.n` and n for `.t`, of C n. Operands are
    taken to be dense, so that lines and products of a batch are aligned too. A GEMM that is a convolution in implicit
    form is done by kernels of its pass alone, which pad its channels: see `implicit.computes`.
    """
    if kernel.precision != gemm.precision or kernel.layout != gemm.layout:
        return False
    if kernel.conv or gemm.conv:
        return gemm.conv is not None and computes(kernel, gemm.conv)
    a = gemm.k if gemm.layout[0] == "t" else gemm.m
    b = gemm.k if gemm.layout[1] == "n" else gemm.n
    return all(size % multiple == 0 for size, multiple in zip((a, b, gemm.n), kernel.alignment, strict=True))


def splits(kernel: GemmKernel, gemm: Gemm, sms: int) -> tuple[tuple[str, int], ...]:
    """Ways of cutting k worth trying on `sms` multiprocessors, as (mode, parts); ("none", 1) first.

    Only single products are cut, into 2 to 32 parts or as many as make one wave, each of at least four tiles of k, and
    never into more than four waves of CTAs. Parts are equal up to a cache line (CUTLASS); the last is shorter.

    >>> from perfmodel.measure.cutlass.kernels import GemmKernel
    >>> sgemm = GemmKernel("sgemm", "75", 2, "simt", Gemm(1, 1, 1).precision, "nt", (128, 128, 8), 2, (1, 1, 1),
    ...                    (1, 1, 1), ("serial",), 8)
    >>> splits(sgemm, Gemm(256, 384, 4096, layout="nt"), 68)  # 6 tiles: 11 parts make 66 CTAs
    (('none', 1), ('serial', 2), ('serial', 4), ('serial', 8), ('serial', 11), ('serial', 16), ('serial', 32))
    """
    whole, gemm = (("none", 1),), _seen(kernel, gemm)
    tiles = _tiles(kernel, gemm)
    if gemm.batch > 1:
        return whole
    parts = sorted({*POWERS, min(sms // tiles, MOST_PARTS)} - {0, 1})
    parts = [one for one in parts if one * tiles <= MOST_WAVES * sms and _divides(kernel, gemm, one)]
    modes = [mode for mode in kernel.split_modes if mode != "stream"]
    return whole + tuple((mode, one) for mode in modes for one in parts)


def ranked(kernels: Iterable[GemmKernel], gemm: Gemm, sms: int, most: int) -> list[tuple[GemmKernel, str, int]]:
    """The `most` candidates (kernel, split-K mode, parts) that are expected to be fastest, by `expected_cycles`.

    Of one kernel no more than two ways of cutting k are tried. Equals stay in the order of `kernels`.
    """
    found = []
    for kernel in kernels:
        if fits(kernel, gemm):
            ways = [(expected_cycles(kernel, gemm, sms, *way), kernel, *way) for way in splits(kernel, gemm, sms)]
            found += sorted(ways, key=itemgetter(0))[:VARIANTS]
    return [(kernel, mode, parts) for _, kernel, mode, parts in sorted(found, key=itemgetter(0))[:most]]


def expected_cycles(kernel: GemmKernel, gemm: Gemm, sms: int, mode: str, parts: int) -> tuple[float, float]:
    """What puts candidates in order: their time [cycles], and then, where memory decides, that of their arithmetic.

    Arithmetic: ⌈tiles · parts / sms⌉ · tile_m · tile_n · (⌈k / parts⌉ + 4 · tile_k) / (rate · reuse / (reuse + c)),
    with tiles padded to whole ones and clusters, reuse = 2 · tile_m · tile_n / (tile_m + tile_n), the FLOP done with
    each element loaded, and c the reuse at which loading halves the unit's rate, larger where it loads less than 16
    bytes at a time. Stream-K divides the steps of k evenly. Serial parts of a tile wait for each other to write it and
    read it again.

    Memory: bytes / (sms · 8), with what parts write and read again. The larger of the two counts. It is no forecast:
    rates are those of one typical chip, and clocks, caches, occupancy and launches are left out.

    >>> from perfmodel.measure.cutlass.kernels import GemmKernel
    >>> sgemm = GemmKernel("sgemm", "75", 2, "simt", Gemm(1, 1, 1).precision, "tn", (128, 128, 8), 2, (1, 1, 1),
    ...                    (1, 1, 1), ("serial",), 8)
    >>> square = Gemm(1280, 128, 96)  # 10 tiles on 10 SMs: 16384 · (96 + 32) / (64 · 128 / 132), 1196032 B / 80
    >>> expected_cycles(sgemm, square, 10, "none", 1)
    (33792.0, 33792.0)
    """
    gemm = _seen(kernel, gemm)
    m, n, k = kernel.tile
    tiles, steps = _tiles(kernel, gemm), ceil_div(gemm.k, k)
    if "stream" in kernel.split_modes:
        depth = max(steps * tiles / sms, min(LEAST_STEPS, steps)) * k + 2 * FILLING * k
    else:
        depth = ceil_div(tiles * parts, sms) * (ceil_div(gemm.k, parts) + FILLING * k)
    turns = 2 * (parts - 1) * gemm.precision.output.bytes / L2_BYTES_PER_CYCLE if mode == "serial" else 0
    arithmetic = m * n * (depth / _rate(kernel) + turns)
    return max(arithmetic, _bytes(gemm, mode, parts) / (sms * BYTES_PER_CYCLE)), arithmetic


def _seen(kernel: GemmKernel, gemm: Gemm) -> Gemm:
    """The product that the kernel computes: of a convolution, with padded channels and whole tiles of them in k."""
    if not kernel.conv or gemm.conv is None:
        return gemm
    return implicit_gemm(gemm, padded(gemm.conv, kernel.alignment), 1 if kernel.few else kernel.tile[2])


def _rate(kernel: GemmKernel) -> float:
    """Multiply-accumulates of one multiprocessor in a cycle."""
    m, n, _ = kernel.tile
    reuse = 2 * m * n / (m + n)
    scale, loading = 1.0, LOADING[kernel.unit]
    if kernel.unit in ("tensor", "warpgroup"):
        bits = kernel.precision.operand.bits
        scale, loading = 16 / bits, loading * 128 / (bits * min(kernel.alignment[:2]))
    return MACS_PER_CYCLE[kernel.unit] * scale * reuse / (reuse + loading)


def _tiles(kernel: GemmKernel, gemm: Gemm) -> int:
    """CTAs where k is whole, with those that only complete a cluster."""
    m, n = (
        round_up(ceil_div(size, tile), together)
        for size, tile, together in zip((gemm.m, gemm.n), kernel.tile[:2], kernel.cluster[:2], strict=True)
    )
    return m * n * gemm.batch


def _divides(kernel: GemmKernel, gemm: Gemm, parts: int) -> bool:
    """Whether k is deep enough for so many parts, none of which is empty."""
    line = int(LINE_BYTES / gemm.precision.operand.bytes)
    part = round_up(ceil_div(gemm.k, parts), line)
    return part >= LEAST_STEPS * kernel.tile[2] and (parts - 1) * part < gemm.k


def _bytes(gemm: Gemm, mode: str, parts: int) -> float:
    elements, precision = gemm.batch * gemm.m * gemm.n, gemm.precision
    again = {
        "none": 0,
        "serial": 2 * (parts - 1) * precision.output.bytes,
        "parallel": 2 * parts * precision.accumulator.bytes,
    }
    return gemm.bytes + elements * again[mode]
