"""A run that is killed at any moment leaves a trace that reads, with everything that was written."""

import os
import random
import signal
import subprocess
import sys

import pytest

from perfmodel.record import TraceWriter
from perfmodel.record.tracefile import PAGE_BYTES
from perfmodel.traces import read_trace

SETTINGS = {"network": "net", "dataset": "toy", "scheme": "muppet", "samples": 397, "batch": 10}

RUN = """
import sys
from perfmodel.record import TraceWriter
done = int(sys.argv[2])  # iterations before the checkpoint that this run starts from
every = 25
settings = {"network": "net", "dataset": "toy", "scheme": "muppet", "samples": 397, "batch": 10}
log = TraceWriter(sys.argv[1], **settings, resume=True, flush_every=7)
log.resume_at(done // 40, done % 40)
while True:
    for _ in range(every):
        log.iteration(done // 40, "dfx8" if done % 9 < 5 else "fp32", lr=0.5, metrics={"loss": 1 / (done + 1)})
        done += 1
        if done % 40 == 0:
            log.end_epoch({"top1": done})
    log.flush()
    print(done, flush=True)  # the checkpoint is saved
"""


def run_until_killed(path, done, lines):
    """Start from iteration `done`; kill the run once `lines` checkpoints are there; the last checkpoint."""
    with subprocess.Popen([sys.executable, "-c", RUN, str(path), str(done)], stdout=subprocess.PIPE) as process:
        for _ in range(lines):
            done = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        rest = process.stdout.read().splitlines(keepends=True)
    assert process.returncode == -signal.SIGKILL
    return max([done, *(int(line) for line in rest if line.endswith(b"\n"))])


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9")
def test_killed_twenty_times(tmp_path):
    path, done = tmp_path / "t.jsonl", 0
    rng = random.Random(7)
    for _ in range(20):
        done = run_until_killed(path, done, rng.randrange(1, 30))
        if not path.read_bytes().endswith(b"\n"):  # one call, but Linux lets a kill in between two pages
            assert path.stat().st_size % PAGE_BYTES == 0
            TraceWriter(path, **SETTINGS, resume=True).close()
        trace = read_trace(path)
        assert trace.iterations >= done
        assert trace.gaps == ()
        assert all(epoch == trace.segments[-1].epoch for epoch in trace.partial)
    said = [segment.precision.label for segment in trace.segments for _ in range(segment.iterations)]
    assert said == ["dfx8" if i % 9 < 5 else "fp32" for i in range(len(said))]
