"""Speed of reading training logs: MB a second for tables, scalars a second for TensorBoard, each as a whole trace.

The files are made up: eight numbers a row as Python prints them, 1,000 rows an epoch, logged at every step.
"""

import random
import sys
from json import dumps
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from tfevents import SCALARS, file_of, simple

from perfmodel.traces import Segment, Trace, write_trace
from perfmodel.traces.logs import Given, read_log
from perfmodel.traces.precision import PassPrecision

ROWS = 150_000
EPOCH = 1000  # rows
ROUNDS = 5
GIVEN = Given(network="resnet20", dataset="cifar10", precision="fp16", batch=8, step_is="iteration", samples=8 * EPOCH)
WITHOUT = Given(network="resnet20", dataset="cifar10", batch=8)  # the log itself names the format
NAMES = ("epoch", "step", "lr", "train_loss", "train_acc", "val_loss", "val_acc", "grad_norm")


def values(draw, i):
    """The numbers of row `i`."""
    return [i // EPOCH, i, 0.1 * 0.9 ** (i // EPOCH), *(draw.random() for _ in range(5))]


def dense(path, rows):
    """A CSV file with every cell filled."""
    draw = random.Random(1)
    lines = (",".join(map(repr, values(draw, i))) for i in range(rows))
    path.write_text("\n".join((",".join(NAMES), *lines, "")))


def named(path, rows):
    """The same, with the name of a format in a column of its own."""
    draw = random.Random(1)
    lines = (",".join(map(repr, values(draw, i))) + ",bf16" for i in range(rows))
    path.write_text("\n".join((",".join((*NAMES, "precision")), *lines, "")))


def sparse(path, rows):
    """The same, with metrics of training and of validation in rows of their own, as Lightning writes them."""
    draw, lines = random.Random(1), [",".join(NAMES)]
    for i in range(rows):
        cells = list(map(repr, values(draw, i)))
        keep = {0, 1, 3, 4} if i % 2 else {0, 1, 5, 6}
        lines.append(",".join(cell if j in keep else "" for j, cell in enumerate(cells)))
    path.write_text("\n".join((*lines, "")))


def jsonl(path, rows):
    """One JSON object a line."""
    draw = random.Random(1)
    path.write_text("".join(dumps(dict(zip(NAMES, values(draw, i), strict=True))) + "\n" for i in range(rows)))


def trace(path, rows):
    """A trace, one segment an iteration's run of ten."""
    draw, passes = random.Random(1), PassPrecision.same("dfx8", "fp32")
    metrics = lambda i: dict(zip(NAMES[3:], values(draw, i)[3:], strict=True))  # noqa: E731
    segments = [Segment(i // 100, 10, passes, 0.1, metrics=metrics(i)) for i in range(rows // 10)]
    write_trace(Trace("resnet20", "cifar10", "muppet", 8 * EPOCH, 8, tuple(segments), {"made": "up"}), path)


def times(path, given):
    """Seconds of reading the file into a trace, several times."""
    found = []
    for _ in range(ROUNDS):
        start = perf_counter()
        read_log(path, given)
        found.append(perf_counter() - start)
    return found


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "."
    print(f"{'':<28}{'MB':>8}{'s, median':>12}{'MB/s, median':>14}{'best':>8}")
    with TemporaryDirectory(dir=folder) as temporary:
        for name, write, target in (
            ("CSV", dense, "20 MB/s"), ("CSV, format named", named, "20 MB/s"), ("CSV, sparse", sparse, "20 MB/s"),
            ("JSON lines", jsonl, "20 MB/s"), ("trace", trace, None),
        ):  # fmt: skip
            path = Path(temporary) / f"{write.__name__}{'.csv' if name.startswith('CSV') else '.jsonl'}"
            write(path, ROWS)
            given = {trace: Given(), named: WITHOUT}.get(write, GIVEN)
            show(name, path.stat().st_size / 1e6, times(path, given), target)
        path = Path(temporary) / "events.out.tfevents.1"
        path.write_bytes(file_of(simple))
        found = times(path, GIVEN)
        show(f"TensorBoard, {SCALARS}", path.stat().st_size / 1e6, found, "4 s")


def show(name, megabytes, found, target):
    speeds = megabytes / median(found), megabytes / min(found)
    words = f"   target: {target}" if target else ""
    print(f"{name:<28}{megabytes:>8.1f}{median(found):>12.2f}{speeds[0]:>14.1f}{speeds[1]:>8.1f}{words}")


if __name__ == "__main__":
    main()
