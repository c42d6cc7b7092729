"""Which format and learning rate come when, without any training; and what a run may be asked to be."""

import numpy as np
import pytest

from perfmodel.errors import PerfModelError
from perfmodel.schemes import find_scheme
from perfmodel.training.control import find_control, fixed_format
from perfmodel.training.options import Options

FORCED = {"alpha": -5.0, "patience": 1, "resolution": 2}  # every diversity below the maximum switches
ITERATIONS = 3


def options(**given):
    return Options(**{"network": "one.toml", "dataset": "synthetic", "output": "run.jsonl", "lr": 0.1} | given)


def control(**given):
    found = options(**given)
    return find_control(found, find_scheme(found.scheme), ITERATIONS)


def rates(found, most=400):
    """Every rate until the run ends, no policy being told anything."""
    listed = []
    while (rate := found.rate(len(listed))) is not None and len(listed) < most:
        listed.append(rate)
    return listed


def gradients(epoch):
    """Orthogonal in the first window of two, equal later: a diversity of 1, then ½ for ever."""
    return {"w": np.eye(2)[epoch] if epoch < 2 else np.ones(2)}


def climbed(**given):
    """A run whose policy is told `gradients`; the control, and the epochs with their formats and rates."""
    found, rows = control(**FORCED | given), []
    while (rate := found.rate(len(rows))) is not None:
        epoch = len(rows)
        rows.append((found.formats(epoch), rate))
        found.end(epoch, lambda kind, epoch=epoch: gradients(epoch % 4 + 2 * (epoch % 4 > 1)))
    return found, rows


@pytest.mark.parametrize(
    ("scheme", "name"), [("fp32", "fp32"), ("mixed", "fp16"), ("hbfp", "bfp8"), ("fp8", "fp8_e5m2")]
)
def test_other_schemes_keep_one_format(scheme, name):
    found = control(scheme=scheme, epochs=7)
    assert [*found.formats(0)] == [*found.formats(6)] == [name] * 3
    assert rates(found) == pytest.approx([0.1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001])
    assert found.end(0, None) is None
    assert found.state() == {}


def test_the_papers_fp32_runs():
    found = rates(control(scheme="fp32"))
    assert len(found) == 150
    assert [epoch for epoch in range(1, 150) if found[epoch] != found[epoch - 1]] == [50, 100]


def test_one_rung_is_one_format():
    found = control(ladder=("dfx8",), epochs=3)
    assert [*found.formats(2)] == ["dfx8"] * 3
    assert rates(found) == pytest.approx([0.1, 0.01, 0.001])


def test_cpt_changes_with_the_iteration():
    found = control(scheme="cpt", epochs=64)
    bits = [int(name.removeprefix("int")) for epoch in range(64) for name in found.formats(epoch)]
    cycle = [3, 3, 4, 6, 7, 8]  # rint(3 + 2.5 (1 + cos(pi (t/6) + pi))): 3, 3.33, 4.25, 5.5 (to even), 6.75, 7.67
    assert bits == cycle * 32
    assert len(rates(found)) == 64


def test_cpt_needs_as_many_iterations_as_cycles():
    with pytest.raises(PerfModelError, match="E1501 total: 30 iterations cannot hold 32 cycles"):
        control(scheme="cpt", epochs=10)


@pytest.mark.parametrize(("lr", "length"), [(0.1, 59), (0.01, 44), (0.001, 44)])
def test_muppets_fp32_stage_is_the_references(lr, length):
    found, rows = climbed(lr=lr)
    assert found.policy.finished
    quantised = [rate for formats, rate in rows if formats[0] != "fp32"]
    assert [formats[0] for formats, _ in rows[:16]] == ["dfx8"] * 4 + ["dfx12"] * 4 + ["dfx14"] * 4 + ["dfx16"] * 4
    assert quantised == [lr] * 16
    stage = [rate for formats, rate in rows if formats[0] == "fp32"]
    assert len(stage) == length
    assert [epoch for epoch in range(1, 44) if stage[epoch] != stage[epoch - 1]] == [14, 29]


def test_muppets_fp32_stage_is_the_papers():
    _, rows = climbed(mode="paper")
    stage = [rate for formats, rate in rows if formats[0] == "fp32"]
    assert stage == pytest.approx([0.1] * 15 + [0.01] * 15 + [0.001] * 15)


def test_no_run_is_longer_than_its_epochs():
    assert len(climbed(epochs=20)[1]) == 20
    assert len(climbed(epochs=9)[1]) == 9
    assert len(rates(control(epochs=5))) == 5


def test_a_ladder_that_ends_quantised_has_its_last_stage_there():
    _, rows = climbed(ladder=("dfx8", "dfx16"), lr=0.01)
    assert [formats[0] for formats, _ in rows] == ["dfx8"] * 4 + ["dfx16"] * 44


def test_what_was_evaluated_is_told_with_its_norms():
    found = control(**FORCED)
    one, two = (found.end(epoch, lambda kind, epoch=epoch: gradients(epoch)) for epoch in range(2))
    assert (one.decision.diversity, one.norms) == (None, {})
    assert two.decision.diversity == 1
    assert [(name, norms.norm2, norms.sum_norm2) for name, norms in two.norms.items()] == [("w", 2.0, 2.0)]


@pytest.mark.parametrize(("mode", "kind"), [("reference", "stepped"), ("paper", "raw")])
def test_the_gradients_are_those_of_the_mode(mode, kind):
    asked = []
    control(mode=mode).end(0, lambda kind: asked.append(kind) or gradients(0))
    assert asked == [kind]


def test_a_scheme_begins_as_it_is_priced():
    assert fixed_format(find_scheme("bf16")) == "bf16"


def test_defaults_are_the_papers():
    found = Options("resnet20", "cifar10", "run.jsonl")
    assert (found.epochs, found.batch, found.lr, found.min_lr) == (150, 128, 0.1, 0.001)
    assert (found.momentum, found.weight_decay, found.mode) == (0.9, 1e-4, "reference")
    assert found.ladder == ("dfx8", "dfx12", "dfx14", "dfx16", "fp32")
    assert str(found.checkpoints) == "run.pt"
    assert Options("alexnet-cifar", "cifar10", "run.jsonl").lr == 0.01
    assert Options("googlenet", "imagenet", "run.jsonl").lr == 0.001


def test_where_files_lie_makes_no_other_run():
    one, other = options(), options(output="elsewhere.jsonl", folder="data", checkpoints="x.pt", resume=True)
    assert one.same_run() == other.same_run()
    assert one.same_run()["ladder"] == ["dfx8", "dfx12", "dfx14", "dfx16", "fp32"]
    assert options(seed=1).same_run() != one.same_run()


@pytest.mark.parametrize(
    ("given", "start"),
    [
        ({"epochs": 0}, "E1307 epochs:"),
        ({"batch": 2.5}, "E1306 batch:"),
        ({"seed": -1}, "E1307 seed:"),
        ({"lr": 0.0}, "E1307 lr:"),
        ({"lr": float("nan")}, "E1307 lr:"),
        ({"min_lr": -1.0}, "E1307 min_lr:"),
        ({"momentum": 1.0}, "E1307 momentum:"),
        ({"momentum": -0.1}, "E1307 momentum:"),
        ({"weight_decay": -1e-4}, "E1307 weight_decay:"),
        ({"mode": "papr"}, "E1504 mode"),
        ({"ladder": ("dfx12", "dfx8")}, "E1509 ladder:"),
        ({"ladder": ("dfx8", "none")}, "E1004"),
        ({"patience": 0}, "E1307 patience:"),
        ({"threads": 0}, "E1307 threads:"),
        ({"scheme": "fp32", "ladder": ("dfx8",)}, "E1702 ladder:"),
        ({"scheme": "fp32", "alpha": 1.0}, "E1702 alpha:"),
        ({"scheme": "mixed", "mode": "paper"}, "E1702 mode:"),
        ({"output": "run.txt"}, "E1904 run.txt:"),
        ({"output": ""}, "E1904 '':"),
        ({"checkpoints": "run.jsonl"}, "E1904 run.jsonl:"),
    ],
)
def test_options_that_are_refused(given, start):
    with pytest.raises(PerfModelError) as caught:
        options(**given)
    assert caught.value.lines()[0].startswith(start)
