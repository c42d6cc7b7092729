"""TensorBoard's event files: the scalars, and the short texts, that a run wrote.

A file is a sequence of records (`records.py`), each a protocol buffer `Event`. A scalar is a `simple_value` (PyTorch,
tensorboardX) or a tensor of one element (TensorFlow 2, Keras); histograms, images, audio, graphs and hyperparameters
are passed over. Source: event.proto, summary.proto, tensor.proto and types.proto of TensorFlow.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from perfmodel.errors import InputError
from perfmodel.traces.logs.series import MOST_TAGS, Series
from perfmodel.traces.logs.tensorboard.protobuf import BYTES, FIXED32, FIXED64, VARINT, fields, signed
from perfmodel.traces.logs.tensorboard.records import CHECKSUM, LARGEST_RECORD, LENGTH, Records, checksum
from perfmodel.traces.logs.tensorboard.tensor import float_gap, text, value

WALL_TIME, STEP, FILE_VERSION, SUMMARY = 1 << 3 | FIXED64, 2 << 3 | VARINT, 3 << 3 | BYTES, 5 << 3 | BYTES
VALUE = 1 << 3 | BYTES
TAG, SIMPLE_VALUE, TENSOR, METADATA = 1 << 3 | BYTES, 2 << 3 | FIXED32, 8 << 3 | BYTES, 9 << 3 | BYTES
PLUGIN = NAME = 1 << 3 | BYTES
BEGINNINGS = bytes([WALL_TIME]), bytes([FILE_VERSION, 13]) + b"brain.Event:2"
MOST_SUMMARIES = 1000  # of one event; writers put one there
LONGEST_REMEMBERED = 4096  # bytes of a summary
FLOAT = struct.Struct("<f")


def read_events(file: BinaryIO, place: str, series: Series) -> list[str]:
    """Add what an event file holds to `series`; what was corrected of the file itself, not what `series` corrects.

    A torn tail is passed over. Values of 32 bits are given exactly, so 0.1 comes as 0.10000000149011612.

    Raises `InputError`: E1341 for what is no event file or is damaged elsewhere than at its end, E1342 for a record
    that is no event, E1340 as `Series`.
    """
    records, events, number = Records(file, place), _Events(series), 0
    for number, (offset, data) in enumerate(records, 1):
        if number == 1 and not data.startswith(BEGINNINGS):
            break
        try:
            events.add(data)
        except (ValueError, struct.error) as error:
            found = f"record {number} is not an event: {error}."
            fix = "Copy the file again from where it was written."
            raise InputError.at("E1342", f"{place}: byte {offset}:", found, fix) from None
    else:
        if number:
            return [records.torn] if records.torn else []
    raise InputError.at("E1341", f"{place}:", "does not begin as an event file of TensorBoard.", "Give another file.")


def looks_like_events(head: bytes) -> bool:
    """Whether a file that begins with these bytes (21 of them tell) is likely to be an event file."""
    if len(head) < 12 + 9 or CHECKSUM.pack(checksum(head[:8])) != head[8:12]:
        return False
    return 9 <= LENGTH.unpack_from(head)[0] <= LARGEST_RECORD and head.startswith(BEGINNINGS, 12)


class _Events:
    """What is known of a file's events: the plugins of its tags, and the summaries seen, but for their values.

    A summary of one scalar differs from the tag's next one in four bytes only; whatever else stands around these
    four, the same bytes mean the same.
    """

    __slots__ = ("_gaps", "_plugins", "_series", "_tags")

    def __init__(self, series: Series):
        self._series = series
        self._plugins: dict[str, str] = {}
        self._gaps: dict[int, int] = {}  # by the length of a summary: where in it the value began last
        self._tags: dict[tuple[bytes, bytes], str] = {}  # by what stands before and after a value

    def add(self, data: bytes) -> None:
        """Add what an event says to the series; `ValueError` or `struct.error` where it is none."""
        step, summaries = 0, []
        for key, begin, end in fields(data, 0, len(data)):
            if key == STEP:
                step = signed(begin)
            elif key == SUMMARY:
                summaries.append((begin, end))
                if len(summaries) > MOST_SUMMARIES:
                    raise ValueError(f"it has more than {MOST_SUMMARIES} summaries")
        for begin, end in summaries:
            gap = begin + self._gaps.get(end - begin, 0)
            tag = self._tags.get((data[begin:gap], data[gap + 4 : end]))
            if tag is None:
                self._add_summary(data, begin, end, step)
            else:
                self._series.add(tag, step, FLOAT.unpack_from(data, gap)[0])

    def _add_summary(self, data: bytes, at: int, end: int, step: int) -> None:
        tag, gap, fields_seen = "", None, 0
        for key, begin, after in fields(data, at, end):
            fields_seen += 1
            if key == VALUE:
                tag, gap = self._add_value(data, begin, after, step)
        if fields_seen == 1 and gap is not None and end - at <= LONGEST_REMEMBERED and len(self._tags) < MOST_TAGS:
            self._gaps[end - at] = gap - at
            self._tags[data[at:gap], data[gap + 4 : end]] = tag

    def _add_value(self, data: bytes, at: int, end: int, step: int) -> tuple[str, int | None]:
        """The tag, and where the four bytes are that alone decide on a scalar's value; None where they are not four."""
        tag, gap, tensor, plugin = "", None, None, ""
        for key, begin, after in fields(data, at, end):
            if key == TAG:
                tag = data[begin:after].decode()
            elif key == SIMPLE_VALUE:
                gap = begin
            elif key == TENSOR:
                tensor = begin, after
            elif key == METADATA:
                plugin = _plugin(data, begin, after)
        if gap is not None:
            self._series.add(tag, step, FLOAT.unpack_from(data, gap)[0])
        elif tensor is not None:
            gap = self._add_tensor(data, tensor, tag, step, self._plugin(tag, plugin))
        return tag, gap

    def _add_tensor(self, data: bytes, span: tuple[int, int], tag: str, step: int, plugin: str) -> int | None:
        if plugin == "text":
            if (words := text(data, *span)) is not None:
                self._series.add_text(tag, step, words)
        elif plugin in ("scalars", "") and (number := value(data, *span)) is not None:
            self._series.add(tag, step, number)
            return float_gap(data, *span)
        return None

    def _plugin(self, tag: str, plugin: str) -> str:
        """The plugin of a tag: a writer need not name it after the tag's first value."""
        if plugin and len(self._plugins) < MOST_TAGS:
            self._plugins.setdefault(tag, plugin)
        return plugin or self._plugins.get(tag, "")


def _plugin(data: bytes, at: int, end: int) -> str:
    for key, begin, after in fields(data, at, end):
        if key == PLUGIN:
            for inner, first, last in fields(data, begin, after):
                if inner == NAME:
                    return data[first:last].decode()
    return ""
