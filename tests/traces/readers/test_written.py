"""Logs that the real libraries wrote say the trace that was put into them: the committed ones, and new ones nightly."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from perfmodel.errors import InputError
from perfmodel.traces import Trace, read_trace
from perfmodel.traces.logs import Given, read_log

ROOT = Path(__file__).parents[3]
WRITTEN = ROOT / "tests" / "data" / "logs" / "written"
SCRIPT = ROOT / "tests" / "traces" / "writers" / "write.py"
LARGEST_BYTES = 100_000
NEVER_INSIDE = (b"/tmp/", b"/home/", b"/Users/", bytes(Path.home()) + b"/", bytes(ROOT) + b"/")  # paths of the writer

RUN = Given(network="resnet20", dataset="cifar10", scheme="muppet", samples=54, batch=8, bits="dfx")
MIXED = replace(RUN, scheme="mixed", bits=None)


@dataclass(frozen=True)
class Log:
    """A log (a pattern), what its user must say, and what it calls the truth's loss and accuracy beside `others`."""

    path: str
    given: Given
    loss: str
    val_acc: str
    others: set[str] = field(default_factory=set)
    mean_gd: bool = False


BY_EPOCH = replace(RUN, step_is="epoch")
SAID = replace(RUN, samples=None, batch=None)  # the log has both
EVALUATION = {"eval_loss", "eval_runtime", "eval_samples_per_second", "eval_steps_per_second", "grad_norm"}
LOGS = {
    "torch": Log("torch", BY_EPOCH, "train/loss", "val/acc", mean_gd=True),
    "tensorboardx": Log("tensorboardx", replace(RUN, step_is="iteration"), "train/loss", "val/acc", mean_gd=True),
    "lightning-csv": Log("lightning/csv/metrics.csv", RUN, "train_loss_epoch", "val_acc", {"train_loss_step"}),
    "lightning-tb": Log("lightning/tb", RUN, "train_loss_epoch", "val_acc", {"train_loss_step", "hp_metric"}),
    "keras": Log("keras/training.csv", RUN, "loss", "val_accuracy"),
    "hugging-face": Log(
        "hugging_face/trainer_state.json",
        replace(MIXED, precision="fp16", batch=None),
        "loss",
        "eval_accuracy",
        EVALUATION,
    ),
    "mlperf": Log("mlperf/result_0.txt", replace(SAID, scheme="bf16"), "train_loss", "eval_accuracy"),
    "mlperf-bits": Log("mlperf_bits/result_0.txt", SAID, "train_loss", "eval_accuracy"),
    "mlflow": Log("mlflow/mlflow.db", BY_EPOCH, "loss", "val_acc"),
    "mlflow-files": Log("mlflow_files/mlruns/*/*/meta.yaml", BY_EPOCH, "loss", "val_acc"),
    "wandb": Log("wandb/history.csv", replace(RUN, bits=None), "loss", "val_acc", mean_gd=True),
}
ALL = pytest.mark.parametrize("log", LOGS.values(), ids=LOGS)


def truth_of(path: str) -> Trace:
    """The trace that a fixture says."""
    says = json.loads((WRITTEN / "VERSIONS.json").read_text())[path.partition("/")[0]]["says"]
    return read_trace(WRITTEN / says)


def run_of(trace: Trace) -> list:
    """The run itself, without the metrics: header, and for each segment epoch, iterations, precision and rate."""
    segments = [(one.epoch, one.iterations, one.precision, one.lr) for one in trace.segments]
    return [trace.network, trace.dataset, trace.scheme, trace.samples, trace.batch, segments]


def metrics_of(trace: Trace, *names: str) -> dict[int, list]:
    """The values of these metrics by epoch; at the epoch's end, so that only its last segment has any."""
    return {one.epoch: [one.metrics.get(name) for name in names] for one in trace.segments}


def check(log: Log, folder: Path) -> None:
    (path,) = folder.glob(log.path)
    truth, trace = truth_of(log.path), read_log(path, log.given)
    assert run_of(trace) == run_of(truth)
    assert metrics_of(trace, log.loss, log.val_acc) == metrics_of(truth, "loss", "val_acc")
    diversity = [dict(one.gradient_diversity) for one in trace.segments]
    assert diversity == [dict(one.gradient_diversity) if log.mean_gd else {} for one in truth.segments]
    found = {name for one in trace.segments for name in one.metrics}
    assert found == {log.loss, log.val_acc} | log.others  # nothing else of the log is taken for a metric


@ALL
def test_the_trace_that_was_written(log):
    check(log, WRITTEN)


@pytest.mark.parametrize("name", ["torch", "tensorboardx", "lightning/tb"])
def test_an_event_file_by_its_own_name_or_its_folder(name):
    (log,) = (log for log in LOGS.values() if log.path == name)
    (path,) = (WRITTEN / name).glob("events*")
    assert read_log(path, log.given).segments == read_log(WRITTEN / name, log.given).segments


def check_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="E1325") as error:
        read_log(folder / "wandb_offline" / "run-toy.wandb", RUN)
    assert "CSV" in str(error.value)


def test_an_offline_run_of_wandb_is_refused():
    check_refused(WRITTEN)


def test_a_trace_of_a_truth_reads_as_a_log():
    assert read_log(WRITTEN / "truth.jsonl") == read_trace(WRITTEN / "truth.jsonl")


def test_the_truth_by_hand():
    trace = read_trace(WRITTEN / "truth-within.jsonl")
    assert [(one.epoch, one.iterations, one.precision.label, one.lr) for one in trace.segments] == [
        (0, 7, "dfx8", 0.5), (1, 7, "dfx8", 0.5), (2, 3, "dfx8", 0.25), (2, 4, "dfx12", 0.25),
        (3, 7, "dfx16", 0.125), (4, 7, "fp32", 0.0625),
    ]  # fmt: skip
    assert metrics_of(trace, "loss", "val_acc") == {
        0: [2.25, 0.3125], 1: [1.75, 0.4375], 2: [1.5, 0.5625], 3: [0.8125, 0.6875], 4: [0.625, 0.8125],
    }  # fmt: skip


class TestFixtures:
    FILES = sorted(path for path in WRITTEN.rglob("*") if path.is_file())

    def test_they_are_small_and_name_no_machine(self):
        assert len(self.FILES) > 20
        for path in self.FILES:
            content = path.read_bytes()
            assert len(content) <= LARGEST_BYTES, path
            assert not [text for text in NEVER_INSIDE if text in content], path

    def test_each_folder_says_what_wrote_it(self):
        known = json.loads((WRITTEN / "VERSIONS.json").read_text())
        assert set(known) == {path.name for path in WRITTEN.iterdir() if path.is_dir()}
        for one in known.values():
            assert (WRITTEN / one["says"]).is_file()
            assert (ROOT / one["by"]).is_file()
            assert one["written"] > "2026"
            assert one["libraries"]

    def test_the_truths_are_what_the_script_holds(self, tmp_path):
        write(tmp_path, "wandb")  # laid out by hand: needs no library
        truths = sorted(WRITTEN.glob("*.jsonl"))
        assert [path.name for path in truths] == sorted(path.name for path in tmp_path.glob("*.jsonl"))
        for path in (*truths, WRITTEN / "wandb" / "history.csv"):
            assert path.read_bytes() == (tmp_path / path.relative_to(WRITTEN)).read_bytes(), path


def write(folder: Path, name: str) -> None:
    """Run the script for one fixture, in a process of its own: the libraries are large and change much."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, str(SCRIPT), str(folder), name]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def absent(name: str) -> list[str]:
    """The libraries of a fixture that are not installed."""
    libraries = json.loads((WRITTEN / "VERSIONS.json").read_text())[name]["libraries"]
    return [one for one in libraries if isinstance(libraries, dict) and not _installed(one)]


def _installed(distribution: str) -> bool:
    try:
        return bool(version(distribution))
    except PackageNotFoundError:
        return False


def write_or_skip(folder: Path, name: str) -> None:
    if libraries := absent(name):
        pytest.skip(f"not installed (extra writers): {', '.join(libraries)}")
    write(folder, name)


@pytest.mark.nightly
@ALL
def test_what_the_installed_libraries_write(log, tmp_path):
    write_or_skip(tmp_path, log.path.partition("/")[0])
    check(log, tmp_path)


@pytest.mark.nightly
def test_an_offline_run_of_the_installed_wandb_is_refused(tmp_path):
    write_or_skip(tmp_path, "wandb_offline")
    check_refused(tmp_path)
