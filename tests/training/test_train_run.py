"""Whole runs on made-up images: the trace, what is decided, and that an interruption changes nothing."""

import json
import re
import warnings
from itertools import pairwise

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch (extra train)")

from perfmodel.errors import OutputError, PerfModelError  # noqa: E402
from perfmodel.policies.replay import replay, rule_of  # noqa: E402
from perfmodel.traces import read_trace  # noqa: E402
from perfmodel.training import run as running  # noqa: E402
from perfmodel.training.data.synthetic import Synthetic  # noqa: E402
from perfmodel.training.options import Options  # noqa: E402

torch.set_num_threads(1)
# Batch norm, dropout, an auxiliary head, an average pool: whatever has a state or draws random numbers.
NETWORK = """
title = "Two layers and a head"
source = "made up"
input = [1, 6, 6]
layers = [
  { op = "conv", name = "conv", out = 5, kernel = 3, pad = 1, bias = false },
  { op = "batch_norm" },
  { op = "relu", name = "features" },
  { op = "linear", name = "aux", out = 3 },
  { op = "avg_pool", name = "pool", kernel = 2, from = "features" },
  { op = "dropout" },
  { op = "linear", name = "fc", out = 3 },
]
"""
SAMPLES, ITERATIONS = 44, 3  # batches of 16, 16 and 12
RISING = {"alpha": -5.0, "patience": 1}  # every diversity below the maximum switches


class Killed(Exception):
    """As far as the run knows: the end of its process."""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the network, in which `synthetic` has 44 images of 1x6x6 to train and 20 to test."""
    (tmp_path / "net.toml").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    parts = (Synthetic("train", (1, 6, 6), 3, SAMPLES), Synthetic("test", (1, 6, 6), 3, 20, first=SAMPLES))
    monkeypatch.setattr(running, "find_dataset", lambda name, folder: parts)
    return tmp_path


def options(output="run.jsonl", **given):
    return Options(
        **{"network": "net.toml", "dataset": "synthetic", "batch": 16, "output": output, "epochs": 6} | given
    )


def trained(output="run.jsonl", stopped=lambda: False, **given):
    """A run; what its progress was told."""
    told = []
    running.train(options(output, **given), told.append, stopped)
    return told


def killed_after(count, **given):
    """A run that ends right behind so many epochs."""
    done, given = [], {"output": "run.jsonl"} | given

    def progress(one):
        done.append(one)
        if len(done) == count:
            raise Killed

    with pytest.raises(Killed):
        running.train(options(**given), progress)


def saved(path):
    return torch.load(path, weights_only=True)


def same(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other and type(one) is type(other)


def assert_same_runs(folder, one="run", other="whole"):
    assert (folder / f"{one}.jsonl").read_bytes() == (folder / f"{other}.jsonl").read_bytes()
    assert same(saved(f"{one}.pt"), saved(f"{other}.pt"))


def runs_of(trace):
    """The formats of a trace's forward passes, each as often as it has iterations."""
    return [segment.precision.label for segment in trace.segments for _ in range(segment.iterations)]


def test_a_run_leaves_its_trace(here):
    told = trained(epochs=2, seed=5)
    first, *lines = [json.loads(line) for line in (here / "run.jsonl").read_text().splitlines()]
    assert {key: first[key] for key in ("network", "dataset", "scheme", "samples", "batch")} == {
        "network": "net.toml", "dataset": "synthetic", "scheme": "muppet", "samples": 44, "batch": 16,
    }  # fmt: skip
    assert first["source"]["reader"] == "perfmodel train"
    assert first["source"]["torch"] == torch.__version__
    params = first["scheme_params"]
    assert (params["seed"], params["lr0"], params["resolution"], params["mode"]) == (5, 0.1, 3, "reference")
    assert [(line["epoch"], line["iterations"], line["lr"]) for line in lines] == [(0, 3, 0.1), (1, 3, 0.1)]
    assert lines[0]["precision"] == {"fprop": "dfx8", "dgrad": "dfx8", "wgrad": "dfx8", "master": "fp32"}
    assert lines[1]["metrics"] == {
        "train_loss": told[1].train.loss, "train_accuracy": told[1].train.accuracy,
        "test_loss": told[1].test.loss, "test_accuracy": told[1].test.accuracy,
    }  # fmt: skip
    assert told[0].formats == ("dfx8",)


def test_scores_are_means_over_images(here):
    """Percent of 44 and of 20 images; the losses of batches of 16, 16 and 12 weigh as their images."""
    (one,) = trained(epochs=1, scheme="fp32", lr=1e-12, momentum=0.0, weight_decay=0.0)
    assert one.train.accuracy * 44 / 100 == pytest.approx(round(one.train.accuracy * 44 / 100))
    assert one.test.accuracy * 20 / 100 == pytest.approx(round(one.test.accuracy * 20 / 100))
    assert 1 < one.test.loss < 3


def test_the_same_seed_is_the_same_run_and_another_is_not(here):
    trained("run.jsonl", seed=3)
    torch.manual_seed(99)  # what the process draws besides is no matter
    trained("whole.jsonl", seed=3)
    assert_same_runs(here)
    trained("other.jsonl", seed=4)
    assert not same(saved("run.pt")["loop"]["model"], saved("other.pt")["loop"]["model"])


def test_a_resumed_run_has_the_threads_of_the_first(here, monkeypatch):
    seen = []
    step = running.Loop.train_epoch
    monkeypatch.setattr(
        running.Loop, "train_epoch", lambda *given: seen.append(torch.get_num_threads()) or step(*given)
    )
    killed_after(1, threads=2)
    assert torch.get_num_threads() == 1
    assert "threads (there 2, here None)" in refusal(resume=True)
    trained(threads=2, resume=True)
    trained("other.jsonl", epochs=1)
    assert seen == [2] * 6 + [1]
    torch.set_num_threads(2)
    killed_after(1, output="third.jsonl")
    torch.set_num_threads(1)
    trained("third.jsonl", resume=True)
    assert seen[7:] == [2] * 6
    assert saved("third.pt")["source"]["threads"] == 2


def test_training_leaves_the_global_stream_alone(here):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    trained(epochs=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_it_learns(here):
    told = trained(scheme="fp32", epochs=30, lr=0.05)
    assert told[-1].train.accuracy > 60 > told[0].train.accuracy


@pytest.mark.parametrize("mode", ["reference", "paper"])
@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_decided_is_what_replay_decides(here, mode, seed):
    """Numbers and all, read from the file; a threshold below zero makes it climb within a few epochs."""
    told = trained(mode=mode, seed=seed, epochs=40, resolution=2, **RISING)
    trace = read_trace("run.jsonl")
    rule = rule_of(trace, mode, alpha=-5.0)
    found = replay(trace, rule)
    assert found.agrees
    assert len(found.switches) == 4
    assert [*found.switches.values()] == ["dfx12", "dfx14", "dfx16", "fp32"]
    online = [one.decision for one in told if one.decision and one.decision.diversity is not None]
    offline = [one.decision for one in found.evaluations]
    numbers = ("epoch", "format", "diversity", "maximum", "ratio", "threshold", "violations", "switch")
    assert [[getattr(one, key) for key in numbers] for one in online] == [
        [getattr(one, key) for key in numbers] for one in offline
    ]
    assert not [note for note in found.notes if "replayed" in note]


def test_the_published_rule_is_replayed_too(here):
    trained(epochs=13)
    trace = read_trace("run.jsonl")
    found = replay(trace, rule_of(trace))
    assert found.agrees
    assert [one.decision.epoch for one in found.evaluations] == [2, 5, 8, 11]
    assert [segment.epoch for segment in trace.segments if segment.gradient_diversity] == [2, 5, 8, 11]


def test_muppets_last_stage_has_its_length(here):
    """44 epochs in FP32 from 0.01, the paper's 45, at a tenth after 14 or 15 and again 15 later."""
    trained(epochs=150, lr=0.01, ladder=("dfx8", "fp32"), resolution=2, **RISING)
    stage = [segment for segment in read_trace("run.jsonl").segments if segment.precision.label == "fp32"]
    assert len(stage) == 44
    assert [one.lr for one in stage] == pytest.approx([0.01] * 14 + [0.001] * 15 + [0.0001] * 15)


def test_cpt_has_a_format_for_each_iteration(here):
    trained(scheme="cpt", epochs=64)
    trace = read_trace("run.jsonl")
    assert runs_of(trace) == [f"int{bits}" for bits in (3, 3, 4, 6, 7, 8) * 32]
    assert [(segment.epoch, segment.iterations, segment.precision.label) for segment in trace.segments[:5]] == [
        (0, 2, "int3"), (0, 1, "int4"), (1, 1, "int6"), (1, 1, "int7"), (1, 1, "int8"),
    ]  # fmt: skip
    assert {segment.precision.dgrad for segment in trace.segments} == {("int8",)}
    assert [bool(segment.metrics) for segment in trace.segments[:5]] == [False, True, False, False, True]


@pytest.mark.parametrize(
    "given",
    [
        {"resolution": 2, "epochs": 18, **RISING},
        {"resolution": 2, "mode": "paper", **RISING},
        {"ladder": ("dfx8",)},
        {"scheme": "fp32"},
        {"scheme": "mixed"},
        {"scheme": "fp8-chunked"},
        {"scheme": "cpt"},
        {"scheme": "hbfp"},
    ],
    ids=lambda given: "-".join(str(given.get(key, "")) for key in ("scheme", "mode")),
)
def test_a_run_killed_after_every_epoch_is_as_one_that_was_not(here, given):
    given = {"epochs": 11, "lr": 0.05} | given
    trained("whole.jsonl", **given)
    epochs = saved("whole.pt")["epoch"] + 1
    for begun in range(epochs):
        killed_after(1, resume=begun > 0, **given)
    assert trained(resume=True, **given) == []
    assert_same_runs(here)
    if "resolution" in given:
        assert len({*runs_of(read_trace("run.jsonl"))}) > 2


@pytest.mark.parametrize("iteration", range(1, 10))
def test_a_run_stopped_after_any_iteration_goes_on_as_if_it_was_not(here, iteration):
    trained("whole.jsonl", epochs=4)
    asked = []
    with pytest.raises(KeyboardInterrupt):
        trained(epochs=4, stopped=lambda: asked.append(1) or len(asked) == iteration)
    assert len(runs_of(read_trace("run.jsonl"))) == iteration
    trained(epochs=4, resume=True)
    assert_same_runs(here)


@pytest.mark.parametrize("epoch", [0, 1, 3])
def test_a_kill_between_trace_and_checkpoint_repeats_the_epoch(here, monkeypatch, epoch):
    trained("whole.jsonl", epochs=5)
    write = running.write_checkpoint

    def dying(path, content):
        if content["epoch"] == epoch:
            raise Killed
        write(path, content)

    monkeypatch.setattr(running, "write_checkpoint", dying)
    with pytest.raises(Killed):
        trained(epochs=5)
    monkeypatch.setattr(running, "write_checkpoint", write)
    trained(epochs=5, resume=True)
    assert_same_runs(here)


@pytest.mark.parametrize("done", [0, 2])
def test_half_a_line_is_cut_off(here, done):
    """What a kill between two pages of memory leaves: of the header where no epoch was done."""
    trained("whole.jsonl")
    if done:
        killed_after(done)
        with open(here / "run.jsonl", "ab") as file:
            file.write(b'{"epoch":2,"itera')
    else:
        (here / "run.jsonl").write_bytes((here / "whole.jsonl").read_bytes()[:50])
    trained(resume=True)
    assert_same_runs(here)


def test_resume_before_there_is_anything_begins(here):
    trained("whole.jsonl")
    trained(resume=True)
    assert_same_runs(here)


def test_a_finished_run_has_nothing_left(here):
    trained()
    trained("whole.jsonl")
    assert trained(resume=True) == []
    assert_same_runs(here)


def refusal(**given):
    with pytest.raises(PerfModelError) as caught:
        trained(**given)
    (line,) = caught.value.lines()
    return line


def test_what_is_there_is_not_overwritten(here):
    trained(epochs=1)
    before = (here / "run.jsonl").read_bytes(), (here / "run.pt").read_bytes()
    assert refusal(epochs=1) == "E1345 run.jsonl: exists already. Add --resume to go on with it, or give another path."
    (here / "run.jsonl").rename(here / "old.jsonl")
    assert refusal(epochs=1).startswith("E1345 run.pt: exists already.")
    assert ((here / "old.jsonl").read_bytes(), (here / "run.pt").read_bytes()) == before
    assert not (here / "run.jsonl").exists()


def test_another_runs_checkpoint_is_refused(here):
    trained(epochs=2)
    before = (here / "run.jsonl").read_bytes(), (here / "run.pt").read_bytes()
    line = refusal(epochs=2, seed=1, resume=True)
    assert line.startswith("E1703 run.pt: is the checkpoint of another run: seed (there 0, here 1).")
    assert "epochs (there 2, here 3), lr (there 0.1, here 0.2)" in refusal(epochs=3, lr=0.2, resume=True)
    assert ((here / "run.jsonl").read_bytes(), (here / "run.pt").read_bytes()) == before


def test_trace_and_checkpoint_must_belong_together(here):
    killed_after(3)
    text = (here / "run.jsonl").read_text()
    (here / "run.jsonl").write_text("".join(text.splitlines(keepends=True)[:3]))  # two epochs
    assert refusal(resume=True).startswith("E1709 run.jsonl: does not hold epoch 2, at whose end the checkpoint run.pt")
    (here / "run.jsonl").unlink()
    assert refusal(resume=True).startswith("E1709 run.jsonl: does not hold epoch 2")
    assert not (here / "run.jsonl").exists()
    (here / "run.jsonl").write_text(text)
    (here / "run.pt").rename(here / "moved.pt")
    assert refusal(resume=True).startswith("E1709 run.jsonl: has epochs, but there is no checkpoint run.pt.")
    trained(resume=True, checkpoints="moved.pt")
    trained("whole.jsonl")
    assert (here / "run.jsonl").read_bytes() == (here / "whole.jsonl").read_bytes()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no more", b"x" * 999])
def test_a_file_that_is_no_checkpoint(here, content):
    killed_after(1)
    (here / "run.pt").write_bytes(content)
    assert refusal(resume=True).startswith("E1703 run.pt: is no checkpoint of perfmodel train, or is damaged.")


def test_a_checkpoint_runs_no_code(here):
    class Trap:
        def __reduce__(self):
            return (print, ("trapped",))

    killed_after(1)
    torch.save(saved("run.pt") | {"loop": Trap()}, "run.pt")
    assert refusal(resume=True).startswith("E1703 run.pt: is no checkpoint")


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found["loop"].pop("noise"),
        lambda found: found["loop"].update(format="dfx9"),
        lambda found: found["loop"]["model"].update({"conv.weight": torch.zeros(1)}),
        lambda found: found["loop"]["model"].pop("conv.weight"),
        lambda found: found["loop"]["optimizer"].update(masters=3),
        lambda found: found.update(control={}),
        lambda found: found["control"]["policy"].update(rung=99),
        lambda found: found["control"]["policy"].update(maximum="high"),
        lambda found: found["control"].update(last_stage="none"),
        lambda found: found["source"].update(threads=0),
        lambda found: found["loop"].update(noise=torch.zeros(3)),
    ],
)
def test_a_checkpoint_of_something_else_is_an_error(here, change):
    killed_after(1)
    found = saved("run.pt")
    change(found)
    torch.save(found, "run.pt")
    line = refusal(resume=True)
    assert line.startswith(("E1703 run.pt:", "E1004", "E1104", "E1306 last", "E1307 threads", "E1512", "E1722"))


@pytest.mark.parametrize("scheme", ["fp32", "muppet", "mixed", "fp8", "cpt", "hbfp"])
def test_a_loss_that_is_no_number_ends_the_run(here, scheme):
    line = refusal(scheme=scheme, lr=1e25, epochs=12)
    assert line.startswith("E1704 epoch ")
    assert re.search(r"(the loss is (nan|inf)|a tensor has an infinity): training has diverged\.", line)
    epoch = int(line.split()[2].removesuffix(","))
    trace = read_trace("run.jsonl")  # whole
    assert trace.segments[-1].epoch <= epoch
    if (here / "run.pt").exists():
        assert saved("run.pt")["epoch"] == epoch - 1
    assert refusal(scheme=scheme, lr=1e25, epochs=12, resume=True) == line


def test_a_network_that_does_not_fit_the_images(here):
    (here / "net.toml").write_text(NETWORK.replace("[1, 6, 6]", "[1, 8, 6]"))
    assert refusal() == (
        "E1705 network net: takes images of 1×8×6, synthetic has images of 1×6×6. Take another network or data set."
    )
    (here / "net.toml").write_text(NETWORK.replace("out = 3 },\n]", "out = 4 },\n]"))
    assert refusal().startswith("E1705 network net: has 4 outputs, synthetic has 3 classes.")
    assert not (here / "run.jsonl").exists()


def test_what_else_is_refused_before_there_is_a_file(here):
    assert refusal(device="gpu9").startswith("E1706 --device gpu9: cannot be used:")
    assert refusal(device="meta").startswith("E1706 --device meta:")
    assert refusal(scheme="tf32").startswith("E1721 scheme tf32: is not emulated.")
    assert refusal(scheme="none").startswith("E1006")
    assert refusal(network="none").startswith("E1002")
    assert refusal(ladder=("int8", "fp32")).startswith("E1104")
    assert refusal(scheme="cpt").startswith("E1501 total: 18 iterations cannot hold 32 cycles.")
    assert refusal(output="none/run.jsonl").startswith("E1901 none/run.jsonl:")
    assert [path.name for path in here.iterdir()] == ["net.toml"]


def test_a_last_batch_of_one_image(here):
    one_pixel = NETWORK.replace("pad = 1, bias", "stride = 9, bias").replace('"pool", kernel = 2', '"pool", kernel = 1')
    (here / "net.toml").write_text(one_pixel)
    assert refusal(batch=43).startswith("E1708 --batch: leaves a batch of one image")
    assert not (here / "run.pt").exists()


def test_memory_that_is_not_there_is_an_error(here, monkeypatch):
    def full(*arguments):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 EiB")

    monkeypatch.setattr(running.Loop, "test", full)
    assert refusal().startswith("E1707 memory:")


def test_a_full_disk_is_an_error_and_the_checkpoint_before_stays(here, monkeypatch):
    from perfmodel.training import checkpoint

    write, count = checkpoint.write_file, []

    def filling(path, fill):
        count.append(path)
        if len(count) == 3:
            raise OutputError.at("E1906", f"{path}:", "cannot be written: No space left on device.", "Check.")
        write(path, fill)

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "write_file", filling)
        assert refusal().startswith("E1906 run.pt: cannot be written: No space left")
    assert saved("run.pt")["epoch"] == 1
    assert read_trace("run.jsonl").epochs == 3
    trained(resume=True)
    trained("whole.jsonl")
    assert_same_runs(here)


def test_a_gradient_of_zero_is_noted_and_replayed(here):
    """With one class the loss is zero whatever the logits are."""
    text = NETWORK.replace('{ op = "linear", name = "fc", out = 3 }', '{ op = "linear", name = "fc", out = 1 }')
    (here / "net.toml").write_text(text.replace('name = "aux", out = 3', 'name = "aux", out = 1'))
    parts = (Synthetic("train", (1, 6, 6), 1, SAMPLES), Synthetic("test", (1, 6, 6), 1, 20))
    running.find_dataset = lambda name, folder: parts  # `here` puts the real one back
    for mode in ("reference", "paper"):
        told = trained(f"{mode}.jsonl", mode=mode, weight_decay=0.0, epochs=6)
        notes = [note for one in told for note in one.decision.notes]
        assert all(note.startswith("no ratio: 'conv") and "(all gradients zero)" in note for note in notes)
        trace = read_trace(f"{mode}.jsonl")
        found = replay(trace, rule_of(trace, mode))
        assert found.agrees
        assert [one.decision.notes for one in found.evaluations] == [(note,) for note in notes]


def test_the_writers_warning_never_comes(here):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trained(epochs=2)


def test_epochs_follow_each_other(here):
    trained(epochs=5)
    assert all(b.epoch - a.epoch == 1 for a, b in pairwise(read_trace("run.jsonl").segments))
