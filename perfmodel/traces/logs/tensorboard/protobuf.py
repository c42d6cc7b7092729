"""The wire format of protocol buffers: the fields of a message, one after the other, without its schema.

Source: https://protobuf.dev/programming-guides/encoding. What does not read raises `ValueError`.
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # kinds of field; 3 and 4, groups, are in none of the messages here
WIDTHS = {FIXED64: 8, FIXED32: 4}


def fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The fields of the message in `data[at:end]`: (number << 3 | kind, begin, end) with a fixed field's bytes.

    A varint is given as its value and 0.
    """
    while at < end:
        key = data[at]
        if key < 0x80:  # most are of one byte, and a call costs more than the rest
            at += 1
        else:
            key, at = _varint(data, at, end)
        kind = key & 7
        if kind == VARINT:
            value, at = _varint(data, at, end)
            yield key, value, 0
            continue
        if kind == BYTES:
            if at < end and data[at] < 0x80:
                width, at = data[at], at + 1
            else:
                width, at = _varint(data, at, end)
        elif kind in WIDTHS:
            width = WIDTHS[kind]
        else:
            raise ValueError(f"a field has the kind {kind}")
        begin, at = at, at + width
        if at > end:
            raise ValueError("a field ends after its message")
        yield key, begin, at


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The number at `at`, without a sign, and where it ends."""
    value = shift = 0
    while at < end:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
        if shift == 70:
            raise ValueError("a number has more than ten bytes")
    raise ValueError("a number has no end")


def varints(data: bytes, at: int, end: int) -> Iterator[int]:
    """The numbers, without signs, packed in `data[at:end]`."""
    while at < end:
        value, at = _varint(data, at, end)
        yield value


def signed(value: int) -> int:
    """The number of 64 bits with a sign whose bits these are."""
    return value - (value >> 63 << 64)
