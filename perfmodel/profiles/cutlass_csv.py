"""Timings from the table that cutlass_profiler writes (`--output=FILE`), as the records of a profile.

The table has one mean for each kernel, no clock, and does not name the device. Its columns vary by version: they are
found by their names, as performance_report.cpp and gemm_operation_profiler.cu of CUTLASS 2.x to 4.x write them.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from perfmodel.csvfiles import LARGEST_BYTES, MOST_PROBLEMS, MOST_ROWS, check_width, column_indices, csv_rows
from perfmodel.datafiles import read_text
from perfmodel.errors import InputError, PerfModelError, Problem, quote
from perfmodel.formats import find_format
from perfmodel.gemm import Gemm, Precision
from perfmodel.profiles.kernel import Kernel
from perfmodel.profiles.timing import NO_CLOCK
from perfmodel.profiles.values import LARGEST_S, MOST_SAMPLES

REQUIRED = ("OperationKind", "Operation", "Disposition", "Status", "m", "n", "k", "A", "B", "accum", "Runtime")
KIND = "cutlass_profiler"
FORMATS = {
    "f64": "fp64", "f32": "fp32", "tf32": "tf32", "bf16": "bf16", "f16": "fp16", "fe4m3": "fp8_e4m3",
    "fe5m2": "fp8_e5m2", "e4m3": "fp8_e4m3", "e5m2": "fp8_e5m2", "s32": "int32", "s8": "int8", "s4": "int4",
}  # fmt: skip
WHOLE = re.compile(r"[0-9]{1,10}")
NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?")
LARGEST = 10**9  # of m, n, k and batch; their product must stay below 2**62
TIMED = ("passed", "not_verified")
WRONG = "incorrect"


@dataclass(frozen=True, slots=True)
class Row:
    """One GEMM of the table: its kernel, what became of it, and its time, NaN where it has none."""

    kernel: Kernel
    status: str
    reason: str
    seconds: float
    verified: bool


def read_cutlass_csv(path: Path) -> tuple[dict, list[dict], tuple[Problem, ...]]:
    """Header and records, as a profile's journal has them, and warnings (W2105) for rows that are left out.

    Raises `InputError` that names line and column of up to 20 faults: E1207 not a number, E1102 out of range, E1208
    ragged or unreadable row or no GEMM, E1209 missing or repeated column; E1201-E1205 for a file that is no text.
    """
    text, place = read_text(path, LARGEST_BYTES), str(path)
    rows, warnings = _rows(text, place)
    environment = {
        "device": {"kind": KIND, "name": ""},
        "file": hashlib.sha256(text.encode()).hexdigest(),  # nothing says that two tables are of one device
    }
    return {"environment": environment}, _records(rows), warnings


def _rows(text: str, place: str) -> tuple[list[Row], tuple[Problem, ...]]:
    lines = csv_rows(text, place)
    number, header = next(lines, (1, []))
    if not header:
        raise InputError.at("E1208", f"{place}:", "is empty.", "Give the table that cutlass_profiler writes.")
    columns = column_indices(header, f"{place}:{number}:", REQUIRED)
    rows: list[Row] = []
    problems: list[Problem] = []
    left_out: dict[str, list[int]] = defaultdict(list)
    count = 0
    for count, (number, cells) in enumerate(lines, 1):
        if count > MOST_ROWS:
            raise InputError.at("E1203", f"{place}:", f"holds more than {MOST_ROWS} rows.", "Split the file.")
        where = f"{place}:{number}:"
        try:
            check_width(cells, len(header), where)
            cell = _Cells(cells, columns, where)
            if cell["OperationKind"].lower() == "gemm":
                rows.append(_row(cell))
        except _LeftOutError as error:
            left_out[str(error)].append(number)
        except PerfModelError as error:
            problems += error.problems
        if len(problems) >= MOST_PROBLEMS:
            break
    if problems:
        raise InputError(problems)
    if not rows and not left_out:
        fix = "Run cutlass_profiler with --operation=Gemm."
        raise InputError.at("E1208", f"{place}:", f"holds no GEMM in {count} rows.", fix)
    return rows, tuple(_warning(place, reason, numbers) for reason, numbers in left_out.items())


def _warning(place: str, reason: str, lines: Sequence[int]) -> Problem:
    others = f" (and {len(lines) - 1} more rows)" if len(lines) > 1 else ""
    return Problem("W2105", f"{place}:{lines[0]}:", f"{reason}{others}.", "Such rows are left out.")


class _LeftOutError(Exception):
    """A row that is in order and has no place in a profile; the argument says why."""


class _Cells:
    """One row by the names of its columns; a column that is not there is empty."""

    def __init__(self, cells: Sequence[str], columns: Mapping[str, int], place: str):
        self._cells, self._columns, self.place = cells, columns, place

    def __getitem__(self, name: str) -> str:
        return self._cells[self._columns[name]] if name in self._columns else ""

    def wrong(self, code: str, name: str, found: str, fix: str) -> InputError:
        """The error at a column."""
        return InputError.at(code, f"{self.place}{self._columns[name] + 1}", f"column {name}: {found}", fix)

    def size(self, name: str) -> int:
        """A whole number from 1; 1 where the cell is empty or not there."""
        text = self[name]
        if not text and name not in REQUIRED:
            return 1
        if not WHOLE.fullmatch(text):
            raise self.wrong("E1207", name, f"{quote(text)} is not a positive whole number.", "Write digits only.")
        if not 1 <= int(text) <= LARGEST:
            raise self.wrong("E1102", name, f"{text} is not between 1 and {LARGEST}.", "Correct it.")
        return int(text)


def _row(cell: _Cells) -> Row:
    m, n, k, batch, slices = (cell.size(name) for name in ("m", "n", "k", "batch_count", "split_k_slices"))
    if m * n * k * batch >= 2**62:
        found = f"{m} x {n} x {k} x {batch} is too large to be real."
        raise InputError.at("E1102", cell.place, found, "Correct the row.")
    gemm = Gemm(m, n, k, batch, _precision(cell), layout=_layout(cell))
    kernel = Kernel(gemm, _variant(cell, slices))
    disposition = cell["Disposition"].lower().replace(" ", "_")
    if disposition == WRONG:
        return Row(kernel, "wrong", "cutlass_profiler found its result incorrect", math.nan, True)
    if disposition not in TIMED or cell["Status"].lower() != "success":
        return Row(kernel, "failed", f"cutlass_profiler: {disposition}, {cell['Status'].lower()}", math.nan, False)
    seconds = _seconds(cell)
    if not seconds:
        return Row(kernel, "failed", "cutlass_profiler gives no time", math.nan, False)
    return Row(kernel, "ready", "", seconds, disposition == "passed")


def _seconds(cell: _Cells) -> float:
    text = cell["Runtime"]
    if not NUMBER.fullmatch(text):
        raise cell.wrong("E1207", "Runtime", f"{quote(text)} is not a time in ms.", "Correct it.")
    if not float(text) <= LARGEST_S:
        raise cell.wrong("E1102", "Runtime", f"{text} ms is too long to be real.", "Correct it.")
    return float(text) * 1e-3


def _variant(cell: _Cells, slices: int) -> str:
    """What computed it: the operation, with its library where that is not CUTLASS, and the split of k."""
    provider = cell["Provider"]
    name = cell["Operation"] if provider.upper() in ("", "CUTLASS") else f"{provider} for {cell['Operation']}"
    mode = " parallel" if cell["split_k_mode"].lower() == "parallel" else ""
    return f"{name} split {slices}{mode}" if slices > 1 else name


def _layout(cell: _Cells) -> str:
    """How A and B lie in memory, as `Gemm` says it; `tn` where the table does not say. C may be stored either way."""
    a, b = (cell[name].partition(":")[2].lower() for name in ("A", "B"))
    return ("n" if a == "column" else "t") + ("t" if b == "row" else "n")


def _precision(cell: _Cells) -> Precision:
    """What it multiplies, sums in and writes; `_LeftOutError` where this package has no such GEMM."""
    a, b, c, d = (cell[name].partition(":")[0].lower() for name in ("A", "B", "C", "D"))
    if a != b:
        raise _LeftOutError(f"A and B are of different formats, {quote(a)} and {quote(b)}")
    if cell["beta"] not in ("", "0"):
        raise _LeftOutError(f"beta is {quote(cell['beta'])}: the kernel reads C as well")
    if a == "f32" and cell["op_class"].lower() == "tensorop":
        if "tf32" not in cell["Operation"].lower():
            raise _LeftOutError("tensor cores compute FP32 operands in a format that the table does not name")
        a = "tf32"
    names = (a, cell["accum"].lower(), d or c)
    if unknown := [name for name in names if name not in FORMATS]:
        raise _LeftOutError(f"the format {quote(unknown[0])} is not known")
    return Precision(*(find_format(FORMATS[name]) for name in names))


def _records(rows: Sequence[Row]) -> list[dict]:
    """The rows as one session: a kernel's repeated rows are the samples of its only visit."""
    grouped: dict[Kernel, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row.kernel].append(row)
    session = {"session": 1}
    records = [
        {"type": "session", "settings": {}, "request": {}, "started": ""} | session,
        {"type": "instrument", "event_tick_s": 0.0, "flags": [NO_CLOCK]} | session,
    ]
    for number, (kernel, same) in enumerate(grouped.items()):
        what = {"kernel": number, "what": kernel.to_json()} | session
        records += [{"type": "kernel", "status": row.status, "reason": row.reason} | what for row in same]
        seconds = sorted(row.seconds for row in same if row.status == "ready")[:MOST_SAMPLES]
        if seconds:
            flags = [] if all(row.verified for row in same) else ["unverified"]
            records.append({
                "type": "visit", "session": 1, "round": 1, "position": number, "kernel": number, "regime": "cold",
                "launches": 1, "offset_s": 0.0, "seconds": seconds, "clock_hz": [None] * len(seconds), "flags": flags,
            })  # fmt: skip
    return [*records, {"type": "end", "status": "complete", "elapsed_s": 0.0} | session]
