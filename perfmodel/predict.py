"""GEMMs of a CSV file, priced row by row.

Columns: m, n, k (C[m, n] = A[m, k] · B[k, n]), and optionally batch (default 1), precision (fp32), accumulate (the
precision's usual accumulator), op_a and op_b (N or T, as BLAS has them: how A and B are stored; default T and N).
Other columns are passed on as well.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import hypot, isnan, nan
from pathlib import Path

import numpy as np

from perfmodel.cost.estimate import CostModel, Gemms
from perfmodel.cost.measured import NotTimed
from perfmodel.cost.spread import UNKNOWN, Width, around
from perfmodel.csvfiles import LARGEST_BYTES, MOST_PROBLEMS, MOST_ROWS, check_width, column_indices, csv_rows
from perfmodel.datafiles import read_text
from perfmodel.errors import InputError, PerfModelError, Problem, quote
from perfmodel.gemm import Precision, align, find_precision

LARGEST = 10**9  # of m, n, k and batch; their product must stay below 2**62
WHOLE = re.compile(r"[0-9]{1,10}")
SIZES = ("m", "n", "k", "batch")
ADDED = ("seconds", "basis", "tile", "low_s", "high_s")


@dataclass(frozen=True, slots=True)
class GemmRows:
    """The rows of a file as they stand, and what they ask for: sizes [rows, 4], a precision and a layout each.

    `asked` is the place, `file:line:`, of the first row of each precision and layout; `lines` the line of each row.
    """

    header: list[str]
    rows: list[list[str]]
    sizes: np.ndarray
    precisions: list[tuple[Precision, str]]
    asked: dict[tuple[Precision, str], str]
    lines: list[int]


def read_gemms(path: Path, required: Sequence[str] = (), added: Sequence[str] = ADDED) -> GemmRows:
    """The GEMMs of a CSV file with the columns `required` beside the sizes, and none of those that will be `added`.

    Raises `InputError` that names line and column of up to 20 faults: E1207 not a number, E1102 out of range, E1208
    ragged or unreadable row, E1209 missing or repeated column; E1004 or E1101 for a precision.
    """
    place = str(path)
    lines = csv_rows(read_text(path, LARGEST_BYTES), place)
    number, header = next(lines, (1, []))
    columns = column_indices(header, f"{place}:{number}:", (*SIZES[:3], *required), added)
    rows, sizes, precisions, numbers, problems = [], [], [], [], []
    asked: dict[Precision, str] = {}
    for number, row in lines:
        where = f"{place}:{number}:"
        try:
            sizes.append(_sizes(row, columns, where, len(header)))
            precisions.append((_precision(row, columns, where), _layout(row, columns)))
            asked.setdefault(precisions[-1], where)
            rows.append(row)
            numbers.append(number)
        except PerfModelError as error:
            problems += error.problems
        if len(problems) >= MOST_PROBLEMS or len(rows) > MOST_ROWS:
            break
    if len(rows) > MOST_ROWS:
        raise InputError.at("E1203", f"{place}:", f"holds more than {MOST_ROWS} rows.", "Split the file.")
    if problems:
        raise InputError(problems)
    if not rows:
        raise InputError.at("E1208", f"{place}:", "holds no GEMM.", "Give a header with m, n, k and at least one row.")
    return GemmRows(header, rows, np.array(sizes, dtype=np.float64), precisions, asked, numbers)


def predict(gemms: GemmRows, model: CostModel) -> Iterator[tuple[float, str, str, Width]]:
    """Seconds, basis, tile and width of each row, in order; sizes are padded as its kernels need (`align`).

    Raises `Unsupported` (E1103) that names the first row with a precision that the device lacks, `NotTimed` (E2201)
    for a GEMM that a profile lacks.
    """
    rows: list[tuple[float, str, str, Width]] = [(nan, "", "", UNKNOWN)] * len(gemms.rows)
    groups: dict[tuple[Precision, str], list[int]] = {}
    for i, kind in enumerate(gemms.precisions):
        groups.setdefault(kind, []).append(i)
    for (precision, layout), chosen in groups.items():
        m, n, k, batch = gemms.sizes[chosen].T
        wanted = Gemms(precision, *align(precision, layout, m, n, k, batch), batch, layout=layout)
        try:
            answer = model.gemms(wanted)
        except NotTimed:
            raise  # names its GEMM, which the first row of this precision need not be
        except PerfModelError as error:
            raise _placed(error, gemms.asked[precision, layout]) from None
        for i, row in zip(chosen, answer.rows(), strict=True):
            rows[i] = row
    return iter(rows)


def format_predictions(
    gemms: GemmRows, predictions: Iterator[tuple[float, str, str, Width]], cell: Callable[[str], str] = str
) -> str:
    """The rows as CSV with `ADDED`; `low_s` and `high_s`, the 90 % interval, are empty where it is not known.

    `cell` escapes what came from the file.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*map(cell, gemms.header), *ADDED])
    for row, (seconds, basis, tile, (shared, own, _)) in zip(gemms.rows, predictions, strict=True):
        ends = ("" if isnan(end) else repr(end) for end in around(seconds, hypot(shared, own)))
        writer.writerow([*map(cell, row), repr(seconds), basis, tile, *ends])
    return out.getvalue()


def _sizes(row: list[str], columns: dict[str, int], place: str, width: int) -> tuple[int, int, int, int]:
    check_width(row, width, place)
    m, n, k, batch = (_size(row, columns, name, place) for name in SIZES)
    if m * n * k * batch >= 2**62:
        raise InputError.at("E1102", place, f"{m} x {n} x {k} x {batch} is too large to be real.", "Correct the row.")
    for name in ("op_a", "op_b"):
        if name in columns and row[columns[name]] not in ("N", "T", ""):
            raise InputError.at(
                "E1207",
                f"{place}{columns[name] + 1}",
                f"column {name}: {quote(row[columns[name]])} is not N or T.",
                "Correct it.",
            )
    return m, n, k, batch


def _size(row: list[str], columns: dict[str, int], name: str, place: str) -> int:
    if name not in columns:
        return 1
    text, where = row[columns[name]], f"{place}{columns[name] + 1}"
    if name == "batch" and not text:
        return 1
    if not WHOLE.fullmatch(text):
        found = f"column {name}: {quote(text)} is not a positive whole number."
        raise InputError.at("E1207", where, found, "Write digits only.")
    if not 1 <= int(text) <= LARGEST:
        raise InputError.at("E1102", where, f"column {name}: {text} is not between 1 and {LARGEST}.", "Correct it.")
    return int(text)


def _precision(row: list[str], columns: dict[str, int], place: str) -> Precision:
    name, accumulate = (row[columns[key]] if key in columns else "" for key in ("precision", "accumulate"))
    column = "precision"
    try:
        precision = find_precision(name or "fp32")
        column = "accumulate"
        return find_precision(name or "fp32", accumulate) if accumulate else precision
    except PerfModelError as error:
        raise _placed(error, f"{place}{columns[column] + 1}") from None


def _layout(row: list[str], columns: dict[str, int]) -> str:
    """The letters of `Gemm.layout`; operands that no column speaks of lie as in a forward pass."""
    a, b = (row[columns[name]].lower() if name in columns else "" for name in ("op_a", "op_b"))
    return (a or "t") + (b or "n")


def _placed(error: PerfModelError, place: str) -> PerfModelError:
    return type(error)(Problem(p.code, f"{place} {p.place}", p.found, p.fix) for p in error.problems)
