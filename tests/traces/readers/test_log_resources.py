"""Logs of 256 MB: read within 300 MB of memory, or refused by name. A file at a time, each read by its own process."""

import json
import struct
import subprocess
import sys
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from perfmodel.traces.jsonl import LARGEST_BYTES
from perfmodel.traces.logs.tensorboard.records import checksum

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the most memory of a process is not told"),
]
SIZE = 256 * 10**6 - 2000  # bytes; 256 MB are the most that is read
WHOLE = 64 * 10**6 - 2000  # of what is read as a whole
MOST_BYTES = 300 * 10**6
STUCK_S = 900
SAID = {"network": "resnet20", "dataset": "cifar10", "samples": 8000, "batch": 8}
FP16 = SAID | {"precision": "fp16"}
PEAK = """
import json, re, sys
from time import perf_counter, process_time
from perfmodel.errors import PerfModelError
from perfmodel.traces.logs import Given, read_log
begin = perf_counter()
try:
    found = f"{read_log(sys.argv[1], Given(**json.loads(sys.argv[2]))).epochs} epochs"
except PerfModelError as error:
    found = error.problems[0].code
took = perf_counter() - begin
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) * 1024
print(json.dumps({"found": found, "s": took, "cpu_s": process_time(), "bytes": peak}))
"""


def rows(file, line, size=SIZE):
    """Lines `line(i)` until the file has its size."""
    for begin in count(0, 20_000):
        block = "".join(map(line, range(begin, begin + 20_000))).encode()
        left = size - file.tell()
        if len(block) >= left:
            file.write(block[: block.rfind(b"\n", 0, left) + 1])
            return
        file.write(block)


def dense(file):
    file.write(b"epoch,step," + b",".join(b"m%d" % i for i in range(18)) + b"\n")
    tails = [",".join(repr((j * 18 + i) / 7) for i in range(18)) for j in range(50)]
    rows(file, lambda i: f"{i // 1000},{i},{tails[i % 50]}\n")


def sparse(file):
    file.write(b"epoch," + b",".join(b"m%d" % i for i in range(48)) + b",step\n")
    commas = [("," * (j + 1), "," * (48 - j)) for j in range(48)]
    rows(file, lambda i: f"{i // 1000}{commas[i % 48][0]}{i / 7}{commas[i % 48][1]}{i}\n")


def an_epoch_a_row(file):
    """As many epochs as there may be, with a long text in each row."""
    file.write(b"epoch,loss,note\n")
    text = "x" * 1265
    rows(file, lambda i: f"{i},{i / 7},{text}\n", min(SIZE, 199_000 * 1285))


def too_many_epochs(file):
    file.write(b"epoch,loss\n")
    rows(file, lambda i: f"{i % 1000000},{i / 7}\n")


def jsonl(file):
    rows(file, lambda i: f'{{"epoch": {i // 1000}, "step": {i}, "loss": {i / 7}, "val/acc": {i / 3}, "text": "abc"}}\n')


def nested_jsonl(file):
    rows(
        file,
        lambda i: f'{{"epoch": {i // 1000}, "step": {i}, "a": {{"b": {{"c": {i / 7}, "d": [1, 2]}}}}, "x": "é"}}\n',
    )


def json_list(file):
    file.write(b"[\n")
    rows(file, lambda i: f'{{"epoch": {i // 1000}, "step": {i}, "loss": {i / 7}, "val/accuracy": {i / 3}}},\n', WHOLE)
    file.write(b'{"epoch": 1000000, "step": 1000000000, "loss": 1}]\n')


def trainer(file, size=WHOLE):
    file.write(b'{"epoch": 1.0, "global_step": 1, "train_batch_size": 8, "log_history": [\n')
    rows(file, lambda i: f'{{"epoch": {(i + 1) / 1000}, "step": {i + 1}, "loss": {i / 7}, "grad_norm": 0.5}},\n', size)
    file.write(b'{"train_runtime": 1.0, "epoch": 1000.0, "step": 1}]}\n')


def large_trainer(file):
    trainer(file, SIZE)


def trace(file):
    file.write(b'{"schema":"perfmodel.trace/1","network":"resnet20","dataset":"c","scheme":"mixed","samples":8000,')
    file.write(b'"batch":8,"source":{"note":"made up"}}\n')
    passes = '"precision":{"fprop":"fp16","dgrad":"fp16","wgrad":"fp16"}'
    rows(
        file,
        lambda i: f'{{"epoch":{i // 100},"iterations":10,{passes},"metrics":{{"loss":{i / 7}}}}}\n',
        LARGEST_BYTES - 2000,
    )


def record(payload):
    length = struct.pack("<Q", len(payload))
    return length + struct.pack("<I", checksum(length)) + payload + struct.pack("<I", checksum(payload))


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


TIME = b"\x09" + struct.pack("<d", 1.8e9)
VERSION = record(TIME + b"\x1a\x0dbrain.Event:2")


def scalars(file):
    """Five tags at every step, as PyTorch writes them."""
    file.write(VERSION)
    heads = [b"\x0a" + varint(len(tag)) + tag + b"\x15" for tag in (b"train/loss", b"val/acc", b"lr", b"a/b", b"c")]
    while file.tell() < SIZE - 100_000:
        for i in range(step := file.tell(), step + 200):
            for head in heads:
                value = head + struct.pack("<f", i / 7)
                summary = b"\x0a" + varint(len(value)) + value
                file.write(record(TIME + b"\x10" + varint(i) + b"\x2a" + varint(len(summary)) + summary))


def histograms(file):
    """Large records that are passed over."""
    value = b"\x0a\x01h\x2a" + varint(4000) + bytes(4000)
    summary = b"\x0a" + varint(len(value)) + value
    one = record(TIME + b"\x10\x01\x2a" + varint(len(summary)) + summary)
    file.write(VERSION + one * ((SIZE - 100) // len(one)))


MLLOG = (
    ':::MLLOG {{"namespace": "", "time_ms": {}, "event_type": "{}", "key": "{}", "value": {}, '
    '"metadata": {{"file": "t.py", "lineno": 7, "epoch_num": {}}}}}\n'
)


def mlperf(file):
    """A thousand steps logged in each epoch."""
    file.write(MLLOG.format(1, "POINT_IN_TIME", "global_batch_size", 8, 0).encode())
    file.write(MLLOG.format(1, "INTERVAL_START", "run_start", "null", 0).encode())

    def line(i):
        epoch, at = divmod(i, 1000)
        kinds = {0: ("INTERVAL_START", "epoch_start", "null"), 999: ("INTERVAL_END", "epoch_stop", "null")}
        return MLLOG.format(i, *kinds.get(at, ("POINT_IN_TIME", "train_loss", i / 7)), epoch)

    rows(file, line)


MEASURED = [f"{of}_{what}" for of in ("Train", "Test", "Val") for what in ("Loss", "Top1", "Top5")]
MUPPET = ",\t".join(("Epoch", "LR", *MEASURED, "DataType", "BitWidth")).encode()
METRICS = ",\t".join(repr(i / 7) for i in range(1, 10))


def muppet(file):
    """A run that began anew again and again."""
    file.write(MUPPET + b"\n")
    rows(file, lambda i: f"{i % 40000},\t0.05,\t{METRICS},\tDFixed,\t8\n")


def console(file):
    """Progress bars between the rows of epochs."""
    file.write(MUPPET + b"\n")
    row = ",\t".join(f"{i:10.5f}" for i in range(1, 10))
    bar = f"\r 37%|{'#' * 37:<100}| 37/100 [00:01<00:02, 31.41it/s]"
    rows(file, lambda i: f"{i // 100},\t0.05,\t{row},\tDFixed,\t\t8\n" if i % 100 == 99 else f"{bar}\r{bar}\n")


def cpt(file):
    file.write(b"11-22-26 06:35:start training cifar10_resnet_38\n")
    bits = "11-22-26 06:36:Num bit 8.0\tNum grad bit 8.0\t\n11-22-26 06:36:Iter: [{}/10000000]\t"
    measured = "Time 1.0 (1.0)\tData 0.0 (0.0)\tLoss 2.5 (2.5)\tPrec@1 25.0 (25.0)\t\n"
    rows(file, lambda i: bits.format(i + 1) + measured)


def one_line(file):
    for _ in range(SIZE // 10**6):
        file.write(b"a" * 10**6)


def newlines(file):
    file.write(b"\n" * SIZE)


def csv_and_newlines(file):
    file.write(b"epoch,loss\n0,1\n" + b"\n" * (SIZE - 100))


def jsonl_and_newlines(file):
    file.write(b'{"epoch":0,"loss":1}\n' + b"\n" * (SIZE - 100))


def mlperf_and_newlines(file):
    file.write(MLLOG.format(1, "INTERVAL_START", "run_start", "null", 0).encode() + b"\n" * (SIZE - 1000))


def muppet_and_newlines(file):
    file.write(MUPPET + b"\n" + b"\n" * (SIZE - 1000))


def console_and_newlines(file):
    file.write(MUPPET.replace(b"BitWidth", b"BitWidth\n0,\t\t") + b"\n" * (SIZE - 1000))


def cpt_and_newlines(file):
    file.write(b"11-22-26 06:35:start training cifar10_resnet_38\n" + b"\n" * (SIZE - 100))


def header_of_a_line(file):
    """One epoch, then one cell that goes on to the end."""
    file.write(b'epoch,loss\n0,1\n1,"')
    for _ in range(SIZE // 10**6 - 1):
        file.write(b"a" * 999_999 + b"\n")


@dataclass(frozen=True)
class Kind:
    """A file to be made, what is said of it, and what comes of it: an error's code, or a trace."""

    write: object
    found: str
    given: dict = field(default_factory=lambda: FP16)
    name: str = "x.log"


KINDS = [
    Kind(dense, "epochs"),
    Kind(sparse, "epochs"),
    Kind(an_epoch_a_row, "epochs"),
    Kind(too_many_epochs, "E1328"),
    Kind(jsonl, "epochs"),
    Kind(nested_jsonl, "epochs"),
    Kind(json_list, "epochs"),
    Kind(trainer, "epochs", FP16, "trainer_state.json"),
    Kind(large_trainer, "E1203", FP16, "trainer_state.json"),
    Kind(trace, "epochs", {}),
    Kind(scalars, "epochs", FP16 | {"step_is": "iteration", "samples": 8 * 10**6}),
    Kind(histograms, "E13", FP16 | {"step_is": "iteration"}),
    Kind(mlperf, "epochs"),
    Kind(muppet, "epochs", SAID),
    Kind(console, "epochs", SAID),
    Kind(cpt, "epochs", SAID | {"samples": 80000}),
    Kind(one_line, "E1324"),
    Kind(newlines, "E1324"),
    Kind(csv_and_newlines, "E1203"),
    Kind(jsonl_and_newlines, "E"),
    Kind(mlperf_and_newlines, "E"),
    Kind(muppet_and_newlines, "E", SAID),
    Kind(console_and_newlines, "E", SAID),
    Kind(cpt_and_newlines, "E", FP16 | {"reader": "cpt"}),
    Kind(header_of_a_line, "E1208"),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.write.__name__)
def test_memory_stays_within_its_limit(tmp_path, kind):
    path = tmp_path / kind.name
    try:
        with path.open("wb") as file:
            kind.write(file)
        size = path.stat().st_size
        command = [sys.executable, "-c", PEAK, str(path), json.dumps(kind.given)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=STUCK_S)
    finally:
        path.unlink(missing_ok=True)
    found = json.loads(done.stdout)
    took = f"{found['s']:8.1f} s {found['cpu_s']:8.1f} s of CPU"
    figures = f"{size / 1e6:8.0f} MB {took} {found['bytes'] / 1e6:8.0f} MB  {found['found']}"
    print(f"{kind.write.__name__:<22}{figures}")
    assert kind.found in found["found"]
    assert found["bytes"] < MOST_BYTES
