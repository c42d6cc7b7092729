"""Tensors of one element in protocol buffers, as TensorFlow writes them. What does not read raises `ValueError`."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice

from perfmodel.traces.logs.tensorboard.protobuf import BYTES, VARINT, fields, signed, varints

DTYPE, SHAPE, CONTENT, TEXT = 1 << 3 | VARINT, 2 << 3 | BYTES, 4 << 3 | BYTES, 8 << 3 | BYTES
DIMENSION, SIZE, UNKNOWN_RANK = 2 << 3 | BYTES, 1 << 3 | VARINT, 3 << 3 | VARINT
FLOAT, STRING, BFLOAT16, HALF = 1, 7, 14, 19
HALF_FIELD = 13  # the bits of numbers of 16 bits
TYPES = {  # by number: how an element is stored in `tensor_content`, and the field that holds it otherwise
    FLOAT: ("<f", 5), 2: ("<d", 6), 3: ("<i", 7), 4: ("<B", 7), 5: ("<h", 7), 6: ("<b", 7), 9: ("<q", 10),
    10: ("<?", 11), BFLOAT16: ("<2s", 13), 17: ("<H", 7), HALF: ("<e", 13), 22: ("<I", 16), 23: ("<Q", 17),
}  # fmt: skip
FIXED = {5: "<f", 6: "<d"}  # fields of numbers that are no varints
UNSIGNED = (16, 17)


def value(data: bytes, at: int, end: int) -> float | None:
    """The number that the tensor in `data[at:end]` holds; None where it holds another count or kind of elements."""
    dtype, content, one = 0, b"", True
    for key, begin, after in fields(data, at, end):
        if key == DTYPE:
            dtype = begin
        elif key == SHAPE:
            one = _holds_one(data, begin, after)
        elif key == CONTENT:
            content = data[begin:after]
    if not one or dtype not in TYPES:
        return None
    stored, field = TYPES[dtype]
    if content:
        return _wide(struct.unpack(stored, content)[0])
    found = list(islice(_elements(data, at, end, field), 2))
    if len(found) > 1:
        raise ValueError("a tensor of one element holds several")
    if field == HALF_FIELD and found:
        return _wide(struct.unpack(stored, struct.pack("<H", found[0] & 0xFFFF))[0])
    return float(found[0]) if found else 0.0  # zeros at the end of a tensor need not be written


def float_gap(data: bytes, at: int, end: int) -> int | None:
    """Where the four bytes of `tensor_content` are that alone decide on `value`; None where they are not four."""
    dtype, gap = 0, None
    for key, begin, after in fields(data, at, end):
        if key == DTYPE:
            dtype = begin
        elif key == CONTENT:
            gap = begin if after - begin == 4 else None
    return gap if dtype == FLOAT else None


def _wide(element: float | bytes) -> float:
    """The element as a float; bytes are the upper half of one of 32 bits."""
    return float(element) if not isinstance(element, bytes) else struct.unpack("<f", b"\0\0" + element)[0]


def _elements(data: bytes, at: int, end: int, field: int) -> Iterator[float]:
    """The elements in a field of the tensor, each by itself or several packed."""
    for key, begin, after in fields(data, at, end):
        if key >> 3 != field:
            continue
        if key & 7 == VARINT:
            packed = iter((begin,))
        elif field in FIXED:
            packed = (one for (one,) in struct.iter_unpack(FIXED[field], memoryview(data)[begin:after]))
        else:
            packed = varints(data, begin, after)
        yield from packed if field in FIXED or field in UNSIGNED else map(signed, packed)


def text(data: bytes, at: int, end: int) -> str | None:
    """The text that the tensor in `data[at:end]` holds; None where it holds another count or kind of elements."""
    dtype, found, count, one = 0, b"", 0, True
    for key, begin, after in fields(data, at, end):
        if key == DTYPE:
            dtype = begin
        elif key == SHAPE:
            one = _holds_one(data, begin, after)
        elif key == TEXT:
            found, count = data[begin:after], count + 1
    return found.decode(errors="replace") if one and dtype == STRING and count == 1 else None


def _holds_one(data: bytes, at: int, end: int) -> bool:
    """Whether a shape has no dimension, or only dimensions of 1."""
    for key, begin, after in fields(data, at, end):
        if key == UNKNOWN_RANK and begin:
            return False
        if key == DIMENSION and next((size for inner, size, _ in fields(data, begin, after) if inner == SIZE), 0) != 1:
            return False
    return True
