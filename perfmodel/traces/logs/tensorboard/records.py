"""Records of a TFRecord file: a length and its checksum, the bytes and theirs.

A record is `u64 length, u32 checksum of it, bytes, u32 checksum of them`, little-endian. A checksum is the CRC-32C
(Castagnoli), rotated right by 15 bits, plus 0xa282ead8. Source: https://www.tensorflow.org/tutorials/load_data/tfrecord
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial
from struct import Struct, unpack_from
from typing import BinaryIO

from perfmodel.errors import InputError

LARGEST_RECORD = 64 * 2**20
LARGEST_CHECKED = 2**16
CHUNK = 2**20
BLOCK = 4096  # bytes whose words are unpacked at once
LENGTH, CHECKSUM = Struct("<Q"), Struct("<I")
MOST_HEADS = 4096  # of those remembered
POLYNOMIAL = 0x82F63B78  # of CRC-32C, its lowest bit first


class Records:
    """The records of a file in order, each with the byte at which it begins.

    What a killed writer leaves at the end (a part of a record, or zeros) is passed over, and `torn` says so afterwards.
    Anywhere else a wrong checksum raises `InputError` (E1341), and so does a record of more than 64 MiB. The checksums
    of all lengths are compared, those of bytes up to 64 KiB: what is larger is a graph or an image. At most one record
    and 1 MiB are in memory at once.
    """

    def __init__(self, file: BinaryIO, place: str):
        self._file = file
        self._place = place
        self._window = b""
        self._begin = 0  # of the window, in the file
        self._heads: dict[bytes, int] = {}  # lengths by a head that was found right
        self.torn: str | None = None

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        at, need, heads = 0, 12, self._heads
        while more := self._file.read(max(CHUNK, need)):
            self._window = window = self._window[at:] + more
            self._begin += at
            at, need, size = 0, 12, len(window)
            while at + 12 <= size:
                head = window[at : at + 12]
                if head not in heads and not self._check_length(head, at):
                    return
                end = at + 12 + heads[head]
                if end + 4 > size:
                    need = end + 4 - size
                    break
                payload = window[at + 12 : end]
                if end - at <= LARGEST_CHECKED and CHECKSUM.pack(checksum(payload)) != window[end : end + 4]:
                    return self._end_with(at, end + 4, "does not match its checksum")
                yield self._begin + at, payload
                at = end + 4
        self._note(at, len(self._window) - at)

    def _check_length(self, head: bytes, at: int) -> bool:
        """Whether a record follows; its length is then among `heads`."""
        length = LENGTH.unpack_from(head)[0]
        if CHECKSUM.pack(checksum(head[:8])) != head[8:]:
            self._end_with(at, at, "has a length that does not match its checksum")
            return False
        if length > LARGEST_RECORD:
            left = len(self._window) - at + sum(map(len, self._rest()))
            if left >= length + 16:
                raise self._broken(at, f"has {length} bytes; at most {LARGEST_RECORD} are read")
            self._note(at, left)
            return False
        if len(self._heads) == MOST_HEADS:
            self._heads.clear()
        self._heads[head] = length
        return True

    def _end_with(self, at: int, after: int, what: str) -> None:
        """Let the record at `at` be the torn tail if only zeros, or nothing, are to be read from `after` on."""
        left = after - at
        for part in (self._window[after:], *self._rest()):
            if part.count(0) < len(part):
                raise self._broken(at, what)
            left += len(part)
        self._note(at, left)

    def _rest(self) -> Iterator[bytes]:
        return iter(partial(self._file.read, CHUNK), b"")

    def _note(self, at: int, count: int) -> None:
        if count:
            self.torn = f"torn tail: the last {count} bytes from byte {self._begin + at} are no whole record"

    def _broken(self, at: int, what: str) -> InputError:
        place = f"{self._place}: byte {self._begin + at}:"
        return InputError.at("E1341", place, f"the record {what}.", "Copy the file again from where it was written.")


def checksum(data: bytes) -> int:
    """The checksum of a record's length or bytes.

    >>> hex(checksum(b"123456789"))
    '0xc78ab0e5'
    """
    one, two, four = _tables()
    crc, words = 0xFFFFFFFF, len(data) & ~3
    for begin in range(0, words, BLOCK):
        for word in unpack_from(f"<{(min(words - begin, BLOCK)) >> 2}I", data, begin):
            crc ^= word
            crc = four[crc & 0xFFFF] ^ two[crc >> 16]
    for byte in data[words:]:
        crc = one[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@lru_cache(maxsize=1)
def _tables() -> tuple[list[int], list[int], list[int]]:
    """What a byte, the upper and the lower half of a word become when one, two and four bytes have gone through."""
    one = list(range(256))
    for _ in range(8):
        one = [crc >> 1 ^ (POLYNOMIAL if crc & 1 else 0) for crc in one]
    step = [one[crc & 0xFF] ^ crc >> 8 for crc in range(65536)]
    two = [one[crc & 0xFF] ^ crc >> 8 for crc in step]
    step = [one[crc & 0xFF] ^ crc >> 8 for crc in two]
    return one, two, [one[crc & 0xFF] ^ crc >> 8 for crc in step]
