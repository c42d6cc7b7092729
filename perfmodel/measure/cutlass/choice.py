"""Which kernels are compiled unless more are asked for: rows of precision, layout and tile, and why.

Where training spends its time there are three tiles: a large one that reads least, one of 128 x 128 that fills a card
sooner, and a narrow one; elsewhere one or two, so that nothing is compiled for long. fprop (tn) and dgrad (tt) have
many rows and few columns (pixels by channels), so theirs is narrow in n. wgrad (nt) has few of both and a deep k: its
tiles are small, k is cut. Operands are read 16 bytes at a time; one small tile that reads single elements serves what
cannot be padded to that (products of a batch). INT8, INT4 and FP8 units take `tn` alone (CUTLASS: ldmatrix transposes
only 16-bit data), so their dgrad and wgrad get transposed operands; dp4a multiplies INT8 as it lies.

None of the kernels for 75, 80 and 90a spills registers (nvcc 13.0.88; tests/compile shows it).

A tile reads `M x N _ K x stages` of our m, n, k. On Hopper's warp groups `M x N _ K`, then the schedule (`coop`: two
groups share a tile, `ping`: each has its own, `basic`: one at a time, `stream`: cooperative stream-K) and the cluster;
a cluster lies along the side that is long, else its second CTA would have nothing to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, product

from perfmodel.gemm import Precision, find_precision
from perfmodel.measure.cutlass.kernels import GemmKernel, precision_text

TARGETS = {"7.5": "75", "8.0": "80", "8.6": "86", "8.7": "87", "8.9": "89", "9.0": "90a"}
SCHEDULES = {"stream_k": "stream", "pingpong": "ping", "cooperative": "coop"}  # in names of 3.x kernels
AMPERE = ("80", "86", "87", "89")


@dataclass(frozen=True, slots=True)
class Row:
    """Kernels of one use; `alignment` is that of the operands, in elements."""

    targets: tuple[str, ...]
    unit: str
    precisions: tuple[str, ...]
    layouts: tuple[str, ...]
    alignment: int
    tiles: tuple[str, ...]

    def kernels(self) -> set[tuple]:
        """One key for each kernel that it names on each of its targets."""
        return {(self.unit, *rest) for rest in product(self.precisions, self.layouts, (self.alignment,), self.tiles)}


def _row(targets: str, unit: str, precisions: str, layouts: str, alignment: int, tiles: str) -> Row:
    sets = (AMPERE if one == "ampere" else (one,) for one in targets.split())
    chained = tuple(chain.from_iterable(sets))
    return Row(chained, unit, tuple(precisions.split()), tuple(layouts.split()), alignment, tuple(tiles.split("; ")))


ROWS = (
    # FP32 on FMA units: no alignment asked; Ampere copies to shared memory asynchronously, hence the stages.
    _row("75", "simt", "fp32", "tn tt", 1, "128x128_8x2; 128x64_8x2; 128x32_8x2"),
    _row("75", "simt", "fp32", "nt", 1, "128x128_8x2; 64x128_8x2; 64x64_8x2"),
    _row("ampere", "simt", "fp32", "tn tt", 1, "128x128_8x4; 128x64_8x5; 128x32_8x5"),
    _row("ampere", "simt", "fp32", "nt", 1, "128x128_8x4; 64x128_8x5; 64x64_8x5"),
    _row("90a", "simt", "fp32", "tn tt", 1, "128x128_8x4; 128x32_8x5"),
    _row("90a", "simt", "fp32", "nt", 1, "128x128_8x4; 64x64_8x5"),
    # FP16 with FP32 sums, written as FP16: mixed precision.
    _row("75", "tensor", "fp16", "tn tt", 8, "256x128_32x2; 128x128_32x2; 128x64_32x2"),
    _row("75", "tensor", "fp16", "nt", 8, "128x128_32x2; 64x128_32x2; 64x64_32x2"),
    _row("ampere", "tensor", "fp16 bf16", "tn tt", 8, "256x128_32x3; 128x128_32x4; 128x64_32x6"),
    _row("ampere", "tensor", "fp16 bf16", "nt", 8, "128x128_32x4; 64x128_32x6; 64x64_32x10"),
    _row("90a", "warpgroup", "fp16", "tn tt", 8, "256x128_64 coop 2x1; 128x128_64 ping 2x1; 256x64_64 ping 2x1"),
    _row("90a", "warpgroup", "fp16", "nt", 8, "128x256_64 coop 1x2; 128x128_64 ping 1x2; 128x128_64 stream 1x2"),
    _row("90a", "warpgroup", "bf16", "tn tt", 8, "256x128_64 coop 2x1; 128x128_64 ping 2x1"),
    _row("90a", "warpgroup", "bf16", "nt", 8, "128x256_64 coop 1x2; 128x128_64 stream 1x2"),
    # The same written as FP32 (MuPPET's stand-in for 12 to 16 bits).
    _row("75", "tensor", "fp16->fp32", "tn tt", 8, "128x128_32x2; 128x64_32x2"),
    _row("75", "tensor", "fp16->fp32", "nt", 8, "128x128_32x2; 64x64_32x2"),
    _row("ampere", "tensor", "fp16->fp32", "tn tt", 8, "128x128_32x4; 128x64_32x6"),
    _row("ampere", "tensor", "fp16->fp32", "nt", 8, "128x128_32x4; 64x64_32x10"),
    _row("90a", "warpgroup", "fp16->fp32", "tn tt", 8, "256x128_64 coop 2x1"),
    _row("90a", "warpgroup", "fp16->fp32", "nt", 8, "128x128_64 stream 1x2"),
    # FP16 sums: one tile each, as no scheme asks for them by itself.
    _row("75", "tensor", "fp16+fp16", "tn tt nt", 8, "128x128_32x2"),
    _row("ampere", "tensor", "fp16+fp16", "tn tt nt", 8, "128x128_32x4"),
    _row("90a", "warpgroup", "fp16+fp16", "tn tt", 8, "128x128_64 ping 2x1"),
    _row("90a", "warpgroup", "fp16+fp16", "nt", 8, "128x128_64 stream 1x2"),
    # Odd sizes. Turing's kernels read single elements; asynchronous copies need 4 bytes, so BF16 is built without.
    _row("75 ampere 90a", "tensor", "fp16 fp16->fp32 fp16+fp16", "tn tt nt", 1, "64x64_32x2"),
    _row("ampere 90a", "tensor", "bf16", "tn tt nt", 1, "64x64_32x2"),
    _row("ampere 90a", "tensor", "tf32", "tn tt nt", 1, "64x64_16x10"),
    # TF32 of what lies in memory as FP32. wgmma takes TF32 that is contiguous in k alone: Hopper's kernels for `tt` and
    # `nt` pass an operand through registers and wait for each product. Ampere's compete with those for `tt`, and stand
    # for those for `nt`, which spill (all but `basic` ones, which store without TMA and do not cut k; see `wide`).
    _row("ampere", "tensor", "tf32", "tn tt", 4, "256x128_16x3; 128x128_16x4; 128x64_16x6"),
    _row("ampere", "tensor", "tf32", "nt", 4, "128x128_16x4; 64x128_16x6; 64x64_16x10"),
    _row("90a", "warpgroup", "tf32", "tn tt", 4, "256x128_32 coop 2x1; 128x128_32 coop 2x1"),
    _row("90a", "tensor", "tf32", "tt", 4, "128x128_16x4"),
    _row("90a", "tensor", "tf32", "nt", 4, "128x128_16x4; 64x64_16x10"),
    # INT8: sums as they are for every pass; scaled back to INT8, for fprop, one tile.
    _row("75", "tensor", "int8", "tn", 16, "256x128_64x2; 128x128_64x2; 128x64_64x2; 64x64_64x2"),
    _row("75", "tensor", "int8->int8", "tn", 16, "128x128_64x2"),
    _row("ampere", "tensor", "int8", "tn", 16, "256x128_64x3; 128x128_64x5; 128x64_64x6; 64x64_64x10"),
    _row("ampere", "tensor", "int8->int8", "tn", 16, "128x128_64x5"),
    _row("90a", "warpgroup", "int8", "tn", 16,
         "256x128_128 coop 2x1; 128x128_128 ping 2x1; 256x64_128 ping 2x1; 128x128_128 stream 1x2"),
    _row("90a", "warpgroup", "int8->int8", "tn", 16, "128x128_128 ping 2x1"),
    _row("75 ampere", "dp4a", "int8", "tt", 4, "128x128_32x2; 128x32_32x2"),
    _row("75 ampere", "dp4a", "int8", "nt", 4, "128x128_32x2; 64x64_32x2"),
    _row("90a", "dp4a", "int8", "tt nt", 4, "128x128_32x2"),
    # INT4: Hopper has no unit for it.
    _row("75", "tensor", "int4", "tn", 32, "128x128_128x2; 128x64_128x2"),
    _row("ampere", "tensor", "int4", "tn", 32, "128x128_128x5; 128x64_128x6"),
    # FP8 with sums that are not the fast, less exact ones: twice the registers, so no tile is above 128 x 128.
    _row("89", "tensor", "fp8_e4m3 fp8_e5m2", "tn", 16, "256x128_64x3; 128x128_64x4; 128x64_64x6"),
    _row("90a", "warpgroup", "fp8_e4m3 fp8_e5m2", "tn", 16, "128x128_128 coop 2x1; 128x128_128 stream 1x2"),
)  # fmt: skip


def precision_of(text: str) -> Precision:
    """The precision that `precision_text` writes like this."""
    name, _, output = text.partition("->")
    return find_precision(name, output=output or None)


def rows_of(target: str) -> list[Row]:
    """The rows for one target."""
    return [row for row in ROWS if target in row.targets]


def precisions_of(target: str) -> list[str]:
    """The precisions that a target has kernels for, as `precision_text` writes them."""
    return list(dict.fromkeys(text for row in rows_of(target) for text in row.precisions))


def tile_text(kernel: GemmKernel) -> str:
    """The tile of a kernel as the rows write it."""
    m, n, k = kernel.tile
    fast = " fast" if "fastaccum" in kernel.name else ""
    if kernel.generation == 2:
        return f"{m}x{n}_{k}x{kernel.stages}{fast}"
    schedule = next((word for mark, word in SCHEDULES.items() if mark in kernel.name), "basic")
    return f"{m}x{n}_{k} {schedule} {kernel.cluster[0]}x{kernel.cluster[1]}{fast}"


def key_of(kernel: GemmKernel) -> tuple:
    """By what a row names a kernel."""
    text = precision_text(kernel.precision)
    return kernel.unit, text, kernel.layout, kernel.alignment[0], tile_text(kernel)
