"""Rows of a file → series, and what is left out with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.calibration.halves import half_of
from perfmodel.devices import Device, device_names, find_device
from perfmodel.errors import InputError, PerfModelError
from perfmodel.gemm import Gemm, Precision
from perfmodel.validate.cells import MOST_SERIES
from perfmodel.validate.names import DEVICES, LEFT_OUT
from perfmodel.validate.problems import DataSet, Iteration, Problems, Series, Skipped, number_shapes

LEAST_ROWS = 3  # of a series: an error of fewer says nothing
NO_DEVICE = "no device file describes it"


@dataclass(frozen=True, slots=True)
class Entry:
    """One timing: in which series, at which line, of which shape; `reason` where it is not judged."""

    kind: str
    source: str
    device: str  # as the source names it
    precision: str
    pass_: str
    line: int
    shape: tuple
    kernel: Gemm | Iteration | None
    seconds: float
    tags: tuple[str, ...] = ()
    reason: str = ""


def group(entries: Sequence[Entry], place: str) -> DataSet:
    """The series of a file, sorted by name; E1603 where there are too many to be real."""
    judged, skipped = [], Counter()
    for entry in entries:
        if reason := why_skipped(entry.kind, entry.source, entry.device, entry.precision) or entry.reason:
            skipped[entry.kind, entry.source, entry.device, entry.precision, reason] += 1
        else:
            judged.append(entry)
    numbers = number_shapes([entry.shape for entry in judged])
    series: dict[tuple, list[int]] = {}
    for i, entry in enumerate(judged):
        series.setdefault((entry.source, DEVICES[entry.device], entry.precision, entry.pass_), []).append(i)
    if max(len(series), len(skipped)) > MOST_SERIES:
        found = f"holds more than {MOST_SERIES} series of a source, device, precision and pass."
        raise InputError.at("E1603", f"{place}:", found, "Split the file.")
    found = []
    for _, rows in sorted(series.items()):
        one = [judged[i] for i in rows]
        if len(rows) < LEAST_ROWS or len(set(numbers[rows].tolist())) < 2:
            reason = f"fewer than {LEAST_ROWS} timings, or of one shape only"
            skipped[one[0].kind, one[0].source, one[0].device, one[0].precision, reason] += len(rows)
        else:
            found.append(_series(one, numbers[rows]))
    return DataSet(tuple(found), tuple(_skips(skipped)))


def why_skipped(kind: str, source: str, device: str, precision: str) -> str:
    """Why rows of this source, device and precision are not judged; "" where they are."""
    if DEVICES.get(device) not in device_names():
        return NO_DEVICE
    return LEFT_OUT.get((kind, source, device, precision), "")


def no_unit(device: str, precision: Precision) -> str:
    """Why the device of this (source's) name cannot run a precision; "" where it can, or is not known."""
    if DEVICES.get(device) not in device_names():
        return ""
    try:
        find_device(DEVICES[device]).rate(precision)
    except PerfModelError as error:
        return str(error.problems[0]).split(" ", 1)[1]
    return ""


def _series(entries: list[Entry], shapes: np.ndarray) -> Series:
    first = entries[0]
    problems = Problems(
        first.kind, first.source, _device(first.device), first.precision, first.pass_,
        tuple(entry.kernel for entry in entries), np.array([entry.line for entry in entries]), shapes,
        np.array([half_of(*entry.shape) for entry in entries]),
    )  # fmt: skip
    return Series(problems, np.array([entry.seconds for entry in entries]), tuple(entry.tags for entry in entries))


def _device(name: str) -> Device:
    return find_device(DEVICES[name])


def _skips(counts: Counter) -> list[Skipped]:
    return [Skipped(*key[:4], rows, key[4]) for key, rows in sorted(counts.items())]
