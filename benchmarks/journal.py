"""Speed of a profile's journal: records a second appended and read, and what a synchronised append costs."""

import os
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from perfmodel.profiles.environment import make_header
from perfmodel.profiles.journal import Journal, encode, read_journal

HEADER = make_header({"name": "simulated"}, "2026-11-22T10:00:00Z", "perfmodel benchmark")
RECORDS = 20_000  # appended without fsync
COPIES = 5  # of these in the file that is read
SYNCED = 100  # in one round, with fsync
ROUNDS = 21


def visit(i):
    """A visit as a session writes it: some 500 bytes, two lists of five floats."""
    return {
        "type": "visit", "session": 1, "round": i // 50, "position": i % 50, "kernel": i % 37, "regime": "cold",
        "launches": 64, "sets": 5, "mode": "graph", "offset_s": 3.1e-06,
        "seconds": [3e-4 + (i * 5 + j) % 9973 / 97e6 for j in range(5)],
        "clock_hz": [1.5e9 + (i * 5 + j) % 9973 / 7e-3 for j in range(5)], "flags": [],
        "readings": {"clock_reasons": 0, "temperature_c": 61, "power_w": 203.5},
        "elapsed_s": 12.125 + i / 7, "state": {},
    }  # fmt: skip


def seconds(call, *arguments):
    """Seconds of one call, without those of giving its result's memory back."""
    start = perf_counter()
    result = call(*arguments)
    took = perf_counter() - start
    del result
    return took


def append_all(path, visits, sync):
    """Seconds of appending to a new journal; opening and closing are not counted."""
    with Journal.create(path, HEADER, sync) as journal:
        took = seconds(lambda: [journal.append(record) for record in visits])
    path.unlink()
    return took


def write_all(path, lines):
    """Seconds of a bare write and fsync of each line, to a new file."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, encode(HEADER))
    os.fsync(file)
    took = seconds(lambda: [(os.write(file, line), os.fsync(file)) for line in lines])
    os.close(file)
    path.unlink()
    return took


def show(name, count, times, target=""):
    """One line: records a second, at the median and at best."""
    print(f"{name:<28}{count / median(times):>12.0f}{count / min(times):>12.0f}   {target}")


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "."
    visits = [visit(i) for i in range(RECORDS)]
    lines = [encode(record) for record in visits]
    with TemporaryDirectory(dir=folder) as temporary:
        path = Path(temporary) / "p.jsonl"
        print(f"{'records/s':<28}{'median':>12}{'best':>12}")
        show("append, no fsync", RECORDS, [append_all(path, visits, False) for _ in range(5)], "target: at least 20000")
        pairs = []  # each round does both, in turns first: a slow moment of the disk hits both alike
        for turn in range(ROUNDS):
            steps = [lambda: append_all(path, visits[:SYNCED], True), lambda: write_all(path, lines[:SYNCED])]
            times = [step() for step in (steps[::-1] if turn % 2 else steps)]
            pairs.append(times[::-1] if turn % 2 else times)
        ours, bare = zip(*pairs, strict=True)
        show("append, fsync", SYNCED, ours)
        show("bare write and fsync", SYNCED, bare)
        ratio = median(b / o for o, b in pairs)
        print(f"{'ratio':<28}{ratio:>12.2f}{min(bare) / min(ours):>12.2f}   target: at least 0.8")
        path.write_bytes(encode(HEADER) + b"".join(lines) * COPIES)
        show("read", RECORDS * COPIES, [seconds(read_journal, path) for _ in range(7)], "target: at least 100000")
    print(f"Records of {len(b''.join(lines)) / RECORDS:.0f} bytes.")


if __name__ == "__main__":
    main()
