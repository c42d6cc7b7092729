"""A folder with small files of known times, and the command line run inside it."""

import subprocess
import sys
from dataclasses import dataclass

import pytest

from perfmodel.cli import main

# One layer of 8 weights: with the device below and --model roofline, seconds are bytes / 1000.
NETWORK = """
title = "One layer"
source = "made up"
input = [4, 1, 1]
layers = [{ op = "linear", name = "fc", out = 2, bias = false }]
"""
DEVICE = """
title = "A slow GPU"
source = "made up"
architecture = "none"
compute_capability = "7.5"
sms = 10
base_mhz = 1000
boost_mhz = 1000
registers_per_sm = 65536
shared_kib_per_sm = 64
shared_bytes_per_clock_per_sm = 64
threads_per_sm = 1024
ctas_per_sm = 16
l2_kib = 1024
l2_bytes_per_clock = 1024
dram_gb_per_s = 1e-6
memory_gib = 8
rates = [
  { operand = "fp32", accumulate = "fp32",  unit = "simt",   macs_per_clock_per_sm = 64 },
  { operand = "fp16", accumulate = "fp32",  unit = "tensor", macs_per_clock_per_sm = 256 },
  { operand = "int8", accumulate = "int32", unit = "tensor", macs_per_clock_per_sm = 1024 },
]
"""
HEADER = (
    '{"schema":"perfmodel.trace/1","network":"one.toml","dataset":"none","scheme":"muppet","samples":8,"batch":2,'
    '"source":{"note":"made up"},"baseline_epochs":6}'
)


def line(epoch, name, iterations=4):
    """One line of a trace: so many iterations in one format."""
    passes = ",".join(f'"{pass_}":"{name}"' for pass_ in ("fprop", "dgrad", "wgrad"))
    return f'{{"epoch":{epoch},"iterations":{iterations},"precision":{{{passes}}}}}'


TRACE = "\n".join((HEADER, line(0, "dfx8"), line(1, "dfx16"), line(2, "fp32"))) + "\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The folder in which the command line runs: one.toml, slow.toml, run.jsonl, gemms.csv."""
    (tmp_path / "one.toml").write_text(NETWORK)
    (tmp_path / "slow.toml").write_text(DEVICE)
    (tmp_path / "run.jsonl").write_text(TRACE)
    (tmp_path / "gemms.csv").write_text("m,n,k\n2,2,4\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    def refused(self, start):
        """Whether it is one printable line of error that starts so, exit code 2, and no result."""
        lines = self.err.splitlines()
        return (
            self.code == 2
            and not self.out
            and len(lines) == 1
            and lines[0].startswith(start)
            and lines[0].isprintable()
        )


@pytest.fixture
def cli(here, capsys):
    """Run the command line in this process."""

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture
def process(here):
    """Run the command line in a process of its own; keywords as of `subprocess.run`."""

    def run(*arguments, **keywords):
        settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "timeout": 60} | keywords
        done = subprocess.run([sys.executable, "-m", "perfmodel", *arguments], check=False, **settings)
        return Outcome(done.returncode, done.stdout or "", done.stderr or "")

    return run
