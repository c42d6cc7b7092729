"""The three files of published timings as series: `gemm_times.csv`, `conv_times.csv`, `training_times.csv`."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from perfmodel.errors import InputError, PerfModelError
from perfmodel.framework.timings import MODES, UNKNOWN_ARITHMETIC
from perfmodel.gemm import Gemm, Precision, find_precision
from perfmodel.lowering import PASSES
from perfmodel.lowering.gemms import layer_gemm
from perfmodel.networks import Conv2d
from perfmodel.validate.cells import Cells, read_all, read_cells
from perfmodel.validate.grouping import Entry, group, no_unit
from perfmodel.validate.iterations import why_unpriced
from perfmodel.validate.problems import DataSet, Iteration

SIZES = ("m", "n", "k", "batch")
GEMM_COLUMNS = ("source", "device", "precision", "accumulate", "op_a", "op_b", *SIZES, "seconds", "note")
CONV_SIZES = ("n", "c", "h", "w", "k", "r", "s", "pad_h", "pad_w", "stride_h", "stride_w")
CONV_COLUMNS = ("source", "device", "precision", "accumulate", "pass", *CONV_SIZES, "seconds", "algorithm", "note")
ITERATION_COLUMNS = (
    "source", "device", "network", "precision", "mode", "batch", "seconds_per_iteration", "note",
)  # fmt: skip
LARGEST = 10**8  # of m, n, k and batch
LARGEST_SIDE = 10**6  # of a convolution's sizes
LARGEST_PRODUCT = 2**62
MOST_ITERATIONS = 2000  # different ones of a file: each is a network's step to price
FEW_CHANNELS = 8  # below, a line of 16 bytes holds more than one pixel, and libraries fall back to slow kernels
NO_ARITHMETIC = "the source does not say whether it is FP32 or TF32"


def read_gemms(path: Path) -> DataSet:
    """Published GEMM times; `InputError` names file, line and column of what does not read."""
    return group(read_all(read_cells(path, GEMM_COLUMNS), _gemm_entry), str(path))


def read_convolutions(path: Path) -> DataSet:
    """Published convolution times, a series for each pass, as implicit GEMMs."""
    return group(read_all(read_cells(path, CONV_COLUMNS), _conv_entry), str(path))


def read_iterations(path: Path) -> DataSet:
    """Published times of whole iterations, a series for each source, device, precision and mode."""
    entries = read_all(read_cells(path, ITERATION_COLUMNS), _iteration_entry)
    if len({entry.kernel for entry in entries}) > MOST_ITERATIONS:
        found = f"holds more than {MOST_ITERATIONS} different iterations."
        raise InputError.at("E1603", f"{path}:", found, "Split the file.")
    return group(entries, str(path))


def _gemm_entry(cells: Cells) -> Entry:
    m, n, k, batch = (cells.whole(name, 1, LARGEST) for name in SIZES)
    if m * n * k * batch >= LARGEST_PRODUCT:
        raise InputError.at("E1102", cells.place, f"{m} x {n} x {k} x {batch} is too large.", "Correct the row.")
    a, b = (cells.choice(name, ("N", "T", "")).lower() for name in ("op_a", "op_b"))
    names, reason, precision = _what(cells)
    kernel = Gemm(m, n, k, batch, precision, layout=(a or "t") + (b or "n")).aligned() if precision else None
    shape = (batch, m, n, k)
    tags = tuple(tag for tag in (cells.text("note"),) if tag)
    return Entry("gemm", *names, "", cells.line, shape, kernel, cells.seconds("seconds"), tags, reason)


def _conv_entry(cells: Cells) -> Entry:
    sizes = tuple(cells.whole(name, 0 if "pad" in name else 1, LARGEST_SIDE) for name in CONV_SIZES)
    n, c, h, w, k, r, s, pad_h, pad_w, stride_h, stride_w = sizes
    names, reason, precision = _what(cells)
    pass_ = cells.choice("pass", PASSES)
    layer = Conv2d("conv", (), (c, h, w), k, (r, s), (stride_h, stride_w), (pad_h, pad_w))
    if min(layer.out_shape) < 1 or n * layer.macs >= LARGEST_PRODUCT:
        raise InputError.at("E1102", cells.place, "its output has no pixels, or too many.", "Correct the sizes.")
    kernel = layer_gemm(layer, pass_, n, "implicit", precision).aligned() if precision else None
    few = (f"fewer than {FEW_CHANNELS} channels",) if c < FEW_CHANNELS else ()
    tags = tuple(tag for tag in (cells.text("algorithm").lower(), cells.text("note"), *few) if tag)
    return Entry("conv", *names, pass_, cells.line, sizes, kernel, cells.seconds("seconds"), tags, reason)


def _iteration_entry(cells: Cells) -> Entry:
    source, network, precision, note = (cells.text(name) for name in ("source", "network", "precision", "note"))
    mode, xla = cells.choice("mode", MODES), "xla" in note.split()
    what = Iteration(source, network, precision, mode, cells.whole("batch", 1, LARGEST_SIDE), xla)
    reason = NO_ARITHMETIC if UNKNOWN_ARITHMETIC in note else why_unpriced(what)
    seconds = cells.seconds("seconds_per_iteration")
    names = (source + " xla" * xla, cells.text("device"), precision)
    tags = (f"batch {what.batch}",)
    return Entry("iteration", *names, mode, cells.line, tuple(network.encode()), what, seconds, tags, reason)


def _what(cells: Cells) -> tuple[tuple[str, str, str], str, Precision | None]:
    """Source, device and precision as the source writes them, and our precision, or why there is none."""
    source, device, written = (cells.text(name) for name in ("source", "device", "precision"))
    precision, reason = _find(device, written, cells.text("accumulate"))
    return (source, device, written), reason, precision


@lru_cache(maxsize=1024)
def _find(device: str, precision: str, accumulate: str) -> tuple[Precision | None, str]:
    try:
        found = find_precision(precision, accumulate or None)
    except PerfModelError as error:
        return None, str(error.problems[0]).split(" ", 1)[1]
    return found, no_unit(device, found)
