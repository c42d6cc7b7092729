"""Speed of reading TensorBoard's event files: scalars a second, as PyTorch writes them and as Keras does."""

import io
import struct
from statistics import median
from time import perf_counter

from perfmodel.traces.logs.series import Series
from perfmodel.traces.logs.tensorboard.events import read_events
from perfmodel.traces.logs.tensorboard.records import checksum

SCALARS = 300_000
TAGS = ("train/loss", "train/top1", "train/top5", "lr", "precision/bits")
REPEATS = 5


def record(payload):
    """A record of an event file."""
    length = struct.pack("<Q", len(payload))
    return length + struct.pack("<I", checksum(length)) + payload + struct.pack("<I", checksum(payload))


def varint(number):
    """A number in sevens of bits, the lowest first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number, payload):
    """A field of bytes."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def simple(value):
    """A scalar as PyTorch writes it."""
    return b"\x15" + struct.pack("<f", value)


def tensor(value):
    """A scalar as Keras writes it: a tensor of no dimension, and the plugin that shows it."""
    return field(8, b"\x08\x01\x12\x00\x22\x04" + struct.pack("<f", value)) + field(9, field(1, field(1, b"scalars")))


def file_of(scalar):
    """The bytes of a file of 300,000 scalars, five tags at every step."""
    records = [record(b"\x09" + struct.pack("<d", 1.8e9) + field(3, b"brain.Event:2"))]
    for i in range(SCALARS):
        step, tag = divmod(i, len(TAGS))
        value = field(1, field(1, TAGS[tag].encode()) + scalar(i / 7))
        records.append(record(b"\x09" + struct.pack("<d", 1.8e9 + i) + b"\x10" + varint(step) + field(5, value)))
    return b"".join(records)


def read(data):
    """Seconds of reading a file, and of going through its rows."""
    start, series = perf_counter(), Series("benchmark")
    read_events(io.BytesIO(data), "benchmark", series)
    read_at = perf_counter()
    rows = sum(1 for _ in series.rows(TAGS))
    assert rows == SCALARS // len(TAGS)
    return read_at - start, perf_counter() - read_at


def main():
    columns = f"{'MB':>6}{'median s':>10}{'best s':>8}{'scalars/s':>12}{'rows: median s':>16}"
    print(f"{'300,000 scalars':<24}{columns}   target: at most 4 s")
    for name, scalar in (("simple values", simple), ("tensors", tensor)):
        data = file_of(scalar)
        reading, rows = zip(*(read(data) for _ in range(REPEATS)), strict=True)
        size, took = len(data) / 1e6, median(reading)
        print(f"{name:<24}{size:>6.1f}{took:>10.2f}{min(reading):>8.2f}{SCALARS / took:>12.0f}{median(rows):>16.2f}")


if __name__ == "__main__":
    main()
