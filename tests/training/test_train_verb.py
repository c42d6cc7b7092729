"""`perfmodel train` as a command: what it prints, its files as other verbs read them, Ctrl-C, no PyTorch."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch (extra train)")

from perfmodel.cli import main  # noqa: E402
from perfmodel.traces import read_trace  # noqa: E402

torch.set_num_threads(1)
NETWORK = """
title = "Two layers"
source = "made up"
input = [1, 4, 4]
layers = [
  { op = "conv", name = "conv", out = 3, kernel = 3, pad = 1 },
  { op = "relu" },
  { op = "linear", name = "fc", out = 3 },
]
"""
# 2048 images in two iterations an epoch; diversities below the maximum switch.
RUN = ("--network", "net.toml", "--dataset", "synthetic-1x4x4-3", "--batch", "1024", "--lr", "0.05")
RISING = ("--resolution", "2", "--patience", "1", "--alpha", "-5")


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "net.toml").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def command(here, capsys):
    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out.splitlines(), captured.err.splitlines()

    return run


def test_a_line_for_each_epoch(command, here):
    code, out, err = command("train", *RUN, *RISING, "--epochs", "8", "-o", "run.jsonl")
    assert (code, err) == (0, [])
    head, *lines, last = out
    assert head.split() == ["epoch", "format", "lr", "train", "loss", "%", "test", "loss", "%", "policy"]
    assert [line.split()[0] for line in lines] == [str(epoch) for epoch in range(8)]
    assert lines[0].split()[1:3] == ["dfx8", "0.05"]
    trace = read_trace("run.jsonl")
    for line, segment in zip(lines, trace.segments, strict=True):
        shown = [float(text) for text in line.split()[3:7]]
        names = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
        assert shown == pytest.approx([segment.metrics[name] for name in names], abs=0.006)
        assert line.split()[1] == segment.precision.label
    assert "diversity" in lines[1]
    assert "p 1.000, threshold -3.643, 0 violations" in lines[1]  # -5 + 1.5 exp(-0.1)
    switched = [line.split(": on to ")[1] for line in lines if ": on to " in line]
    assert switched == ["dfx12", "dfx14"][: len(switched)]
    assert switched
    best = max(segment.metrics["test_accuracy"] for segment in trace.segments)
    assert last.startswith(f"Best test accuracy {best:.2f} % (epoch ")
    assert last.endswith("Trace: run.jsonl; weights and checkpoint: run.pt")


def test_the_trace_is_priced_and_replayed_by_the_other_verbs(command):
    assert command("train", *RUN, *RISING, "--epochs", "8", "-o", "run.jsonl")[0] == 0
    code, out, err = command("policy", "replay", "run.jsonl", "--alpha", "-5")
    assert (code, err) == (0, [])
    assert any(line.startswith("The rule switches where the run did.") for line in out)
    code, out, err = command("speedup", "run.jsonl")
    assert (code, err) == (0, [])
    assert any(line.split()[:3] == ["run", "MuPPET", "8"] for line in out)
    assert any(line.startswith("Time to accuracy") for line in out)
    assert command("trace", "check", "run.jsonl")[0] == 0


@pytest.mark.parametrize("scheme", ["cpt", "fp8-hybrid", "hbfp12", "bf16"])
def test_every_schemes_trace_is_priced(command, scheme):
    code, out, _ = command("train", *RUN, "--scheme", scheme, "--epochs", "20", "-o", "run.jsonl")
    assert code == 0
    if scheme == "cpt":
        assert out[1].split()[1] == "int3"
    code, _, err = command("speedup", "run.jsonl", "--device", "h100-sxm")
    assert (code, err) == (0, [])


def test_a_gradient_of_zero_is_told(command, here):
    (here / "net.toml").write_text(NETWORK.replace("out = 3 }", "out = 1 }").replace("[1, 4, 4]", "[1, 4, 5]"))
    run = ("--network", "net.toml", "--dataset", "synthetic-1x4x5-1", "--batch", "2048", "--weight-decay", "0")
    code, out, _ = command("train", *run, "--epochs", "3", "-o", "run.jsonl")
    assert code == 0
    assert [line.strip() for line in out if "note:" in line] == [
        "note: no ratio: 'conv.weight' (all gradients zero), 'conv.bias' (all gradients zero), 'fc.weight' (all "
        "gradients zero), 'fc.bias' (all gradients zero)"
    ]


def test_resume_of_a_finished_run_says_so(command):
    command("train", *RUN, "--epochs", "2", "-o", "run.jsonl")
    code, out, _ = command("train", *RUN, "--epochs", "2", "-o", "run.jsonl", "--resume")
    assert (code, out) == (0, ["No epoch was left to train. Trace: run.jsonl; weights and checkpoint: run.pt"])


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        ((), "E1100 perfmodel train: the following arguments are required: -o"),
        (("-o", "run.txt"), "E1904 run.txt:"),
        (("-o", "run.jsonl", "--lr", "nan"), "E1100 perfmodel train: argument --lr: 'nan' is not a number"),
        (("-o", "run.jsonl", "--epochs", "0"), "E1307 epochs: 0 is not between 1 and 100000."),
        (("-o", "run.jsonl", "--ladder", "8,9"), "E1104 scheme muppet: does not train in dfx9."),
        (("-o", "run.jsonl", "--ladder", "32,8"), "E1509 ladder:"),
        (("-o", "run.jsonl", "--mode", "code"), "E1504 mode 'code' is not known."),
        (("-o", "run.jsonl", "--dataset", "digit"), "E1711"),
        (("-o", "run.jsonl", "--network", "resnet20"), "E1705 network resnet20: takes images of 3×32×32, digits has"),
        (("-o", "run.jsonl", "--device", "abacus"), "E1706 --device abacus:"),
        (("-o", "run.jsonl", "--scheme", "fp32", "--mode", "paper"), "E1702 mode:"),
    ],
)
def test_what_is_refused(command, here, arguments, start):
    code, out, err = command("train", *arguments)
    assert (code, out, len(err)) == (2, [], 1)
    assert err[0].startswith(start)
    assert [path.name for path in here.iterdir()] == ["net.toml"]


def test_a_ladder_in_bits_or_names(command):
    command("train", *RUN, "--ladder", "8, 16,32", "--epochs", "1", "-o", "run.jsonl")
    assert read_trace("run.jsonl").scheme_params["ladder"] == ["dfx8", "dfx16", "fp32"]
    command("train", *RUN, "--ladder", "dfx12", "--epochs", "1", "-o", "one.jsonl")
    assert read_trace("one.jsonl").scheme_params["ladder"] == ["dfx12"]


def started(folder, *arguments):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    words = (sys.executable, "-m", "perfmodel", "train", *RUN, *RISING, "--epochs", "12", *arguments)
    return subprocess.Popen(
        words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for_lines(process, path, count):
    limit = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < limit:
        if path.exists() and path.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.005)


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_a_disk_that_takes_no_more(here):
    """Files of at most 3000 bytes: the trace's first lines go in, a checkpoint does not."""
    limited = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000)); "
        "from perfmodel.cli import main; sys.exit(main())"
    )
    words = (sys.executable, "-c", limited, "train", *RUN, "-o", "run.jsonl")
    done = subprocess.run(words, cwd=here, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "E1906 run.pt: cannot be written: File too large. Check permissions and free space.\n"
    assert read_trace(here / "run.jsonl").epochs == 1
    assert sorted(path.name for path in here.iterdir()) == ["net.toml", "run.jsonl"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_and_sigterm_leave_whole_files_and_kill_9_too(here):
    """One run, ended three ways and gone on with each time, against one that nothing ends."""
    with started(here, "-o", "whole.jsonl") as process:
        assert process.communicate(timeout=120)[1] == ""
    path, ends = here / "run.jsonl", ((signal.SIGINT, 130, 2), (signal.SIGTERM, 130, 5), (signal.SIGKILL, -9, 8))
    for number, code, lines in ends:
        with started(here, "-o", "run.jsonl", "--resume") as process:
            wait_for_lines(process, path, lines)
            process.send_signal(number)
            _, err = process.communicate(timeout=60)
        assert process.returncode == code
        if code == 130:
            assert err == "interrupted: the same command with --resume goes on from the last whole epoch\n"
        assert [json.loads(line) for line in path.read_text().splitlines()]
        assert number == signal.SIGKILL or not [*here.glob(".perfmodel-*")]
        torch.load(here / "run.pt", weights_only=True)
    with started(here, "-o", "run.jsonl", "--resume") as process:
        assert process.communicate(timeout=120)[1] == ""
    assert path.read_bytes() == (here / "whole.jsonl").read_bytes()
