"""Rules beside logged runs: the run of the authors' code, and small traces made here."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from perfmodel.errors import InputError
from perfmodel.policies.logged import norm_values
from perfmodel.policies.muppet import MuppetPolicy
from perfmodel.policies.replay import replay, rule_of
from perfmodel.policies.rule import muppet_rule
from perfmodel.record import TraceWriter
from perfmodel.traces import PassPrecision, Segment, Trace, read_trace
from perfmodel.traces.logs import Given
from perfmodel.traces.logs.read import read_log

SAMPLE = Path(__file__).parents[1] / "data" / "logs" / "samples" / "muppet"
RAN = {5: "dfx12", 11: "dfx14", 17: "dfx16", 26: "fp32"}


def sample(name=""):
    return read_log(SAMPLE / name, Given(network="resnet20"))


def made(formats, gradients=None, metrics=None, **more):
    gradients, metrics = gradients or {}, metrics or {}
    segments = [
        Segment(i, 5, PassPrecision.same(name), None, gradients.get(i, {}), metrics.get(i, {}))
        for i, name in enumerate(formats)
    ]
    return Trace("resnet20", "cifar10", "muppet", 50, 10, segments, {"made": "here"}, **more)


def test_the_rule_is_the_one_that_the_trace_names():
    params = {"mode": "paper", "resolution": 5, "alpha": 2, "beta": 0.5, "decay": 0.25, "ladder": ["dfx8", "fp32"]}
    named = replace(sample(), scheme_params=params)
    options = {"resolution": 5, "alpha": 2.0, "beta": 0.5, "decay": 0.25, "ladder": ("dfx8", "fp32")}
    assert rule_of(named) == muppet_rule("paper", **options)
    assert rule_of(named, "reference", alpha=3.0) == muppet_rule("reference", **options | {"alpha": 3.0})
    assert rule_of(replace(sample(), scheme_params={"mode": "other"})) == muppet_rule()


@pytest.mark.parametrize("name", ["", "log.csv", "stdout.txt"])
def test_the_sample_is_what_the_rule_makes_of_it(name):
    """Its configuration has patience 1; its threshold was 1 throughout, which is β = 0."""
    given = {} if name != "stdout.txt" else {"patience": 1}
    found = replay(sample(name), rule_of(sample(name), beta=0.0, **given))
    assert (found.rule.resolution, found.rule.patience) == (3, 1)
    assert found.ran == found.switches == RAN
    assert found.agrees
    looked = [one.decision.epoch for one in found.evaluations]
    assert looked == [2, 5, 8, 11, 14, 17, 20, 23, 26]
    assert all(one.agrees for one in found.evaluations)
    assert found.notes == ()


def test_the_sample_under_the_published_threshold():
    found = replay(sample())
    assert (found.switches, found.ran, found.agrees) == ({}, RAN, False)
    assert [one.agrees for one in found.evaluations[:4]] == [True, False, True, False]
    assert "1 at epoch 2, where the rule has 2.228; it is 1 throughout: try alpha 1 and beta 0" in found.notes[1]
    assert found.notes[0].startswith("nothing is logged to decide by where the rule would: epochs 29, 32")
    assert found.notes[2].startswith("rule and run part at the end of epoch 5")


def test_the_paper_s_rule_says_what_it_lacks():
    found = replay(sample(), rule_of(sample(), "paper", beta=0.0))
    assert found.switches == {8: "dfx12", 17: "dfx14"}
    lacks = [note for note in found.notes if note.startswith("cannot be replayed")]
    assert len(lacks) == 2
    assert "9 in 46 epochs" in lacks[0]
    assert [one.agrees for one in found.evaluations if one.decision.epoch == 17] == [False]  # to another format


def test_norms_of_layers_by_hand():
    steep = {0: {"norm2/a": 4.0, "sum_norm2/a": 4.0, "norm2/b": 2.0, "sum_norm2/b": 4.0}}
    steep |= {1: {"norm2": 1.0, "sum_norm2": 4.0, "mean": 7.0}}  # norms come before a mean
    trace = made(["dfx8", "dfx8", "fp32"], gradients=steep, scheme_params={"ladder": ["dfx8", "fp32"]})
    found = replay(trace, rule_of(trace, resolution=1, patience=1, beta=0.0))
    assert [one.decision.diversity for one in found.evaluations] == [0.75, 0.25]
    assert found.evaluations[1].decision.ratio == 3
    assert found.agrees
    assert found.switches == {1: "fp32"}


def test_norms_among_metrics():
    metrics = {0: {"norm2/a.weight": 1.0, "sum_norm2/a.weight": 2.0, "norm2/a.bias": 1.0, "sum_norm2/a.bias": 1.0}}
    trace = made(["dfx8", "dfx8"], metrics=metrics)
    over = {"parameters": 0.75, "layers": 2 / 3}
    for mean_over, mean in over.items():
        found = replay(trace, rule_of(trace, resolution=1, mean_over=mean_over))
        assert found.evaluations[0].decision.diversity == mean


def test_a_group_without_gradients_is_named():
    gradients = {0: {"norm2/a": 0.0, "sum_norm2/a": 0.0, "norm2/b": 1.0, "sum_norm2/b": 2.0}}
    trace = made(["dfx8", "dfx8"], gradients=gradients)
    found = replay(trace, rule_of(trace, resolution=1, on_undefined="skip"))
    assert found.notes[0] == "epoch 0: no ratio: 'a' (all gradients zero)"


def test_what_the_run_did_after_the_last_epoch_is_not_known():
    gradients = {0: {"mean": 4.0}, 1: {"mean": 2.0}}
    trace = made(["dfx8", "dfx8"], gradients=gradients)
    found = replay(trace, rule_of(trace, resolution=1, patience=1, beta=0.0))
    assert (found.evaluations[1].ours, found.evaluations[1].agrees) == ("dfx12", None)
    assert found.agrees


def test_switches_of_a_static_run_stand_beside_nothing():
    trace = made(["dfx8", "dfx12", "dfx14"], gradients={1: {"mean": 0.5}})
    found = replay(trace, rule_of(trace, resolution=2))
    assert [(one.decision.epoch, one.ran, one.agrees) for one in found.evaluations] == [
        (0, "dfx12", False), (1, "dfx14", False),
    ]  # fmt: skip


def test_changes_within_an_epoch_are_none_of_the_rule_s():
    passes = [PassPrecision.same(name) for name in ("dfx8", "dfx12", "dfx12")]
    gradients = [{}, {"mean": 0.5}, {"mean": 0.5}]
    pairs = zip((0, 0, 1), passes, gradients, strict=True)
    segments = [Segment(epoch, 2, precision, None, found) for epoch, precision, found in pairs]
    trace = Trace("resnet20", "cifar10", "muppet", 50, 10, segments, {"made": "here"})
    found = replay(trace, rule_of(trace, resolution=1))
    assert (found.ran, len(found.evaluations)) == ({}, 2)
    assert found.notes == ("the run changed formats within epochs, which is none of the rule's: epoch 0",)


@pytest.mark.parametrize("mode", ["reference", "paper"])
def test_a_run_that_logs_its_norms_is_replayed_exactly(mode, tmp_path):
    rule = muppet_rule(mode, resolution=2, patience=1, beta=0.0)
    policy, random = MuppetPolicy(rule), np.random.default_rng(7)
    decisions = []
    params = {"resolution": 2, "patience": 1}
    sizes = {"network": "resnet20", "dataset": "none", "samples": 4, "batch": 4, "scheme_params": params}
    with TraceWriter(tmp_path / "run.jsonl", scheme="muppet", **sizes) as log:
        for epoch in range(40):
            log.iteration(epoch, policy.format)
            gradients = {"fc.weight": random.normal(size=5), "fc.bias": random.normal(size=1)}
            decisions.append(policy.observe(epoch, gradients))
            looked = decisions[-1].diversity is not None
            log.end_epoch(gradient_diversity=norm_values(policy.norms) if looked else {})
    trace = read_trace(tmp_path / "run.jsonl")
    found = replay(trace, rule_of(trace, mode, beta=0.0))
    assert found.agrees
    assert list(found.switches) == [d.epoch for d in decisions if d.switch]
    assert len(found.switches) == 4
    assert [one.decision for one in found.evaluations] == [d for d in decisions if d.diversity is not None]


@pytest.mark.parametrize(
    ("trace", "said"),
    [
        (made(["dfx8"] * 2), "E1508 gradient diversity: the log holds none, in 2 epochs. Log past the end of a window"),
        (made(["dfx8"], {0: {"norm2/a": 1.0}}), "E1508 epoch 0: 'a' has norm2, not sum_norm2"),
        (made(["dfx8"], {0: {"sum_norm2": 1.0}}), "E1508 epoch 0: 'network' has sum_norm2, not norm2"),
        (made(["fp16"], {0: {"mean": 1.0}}), "E1507 ladder: 'fp16' is not on the ladder"),
        (made(["dfx8"], {0: {"mean": 1.0}}, scheme_params={"patience": 0}), "E1307 scheme_params.patience"),
        (made(["dfx8"], {0: {"mean": 1.0}}, scheme_params={"ladder": 8}), "E1306 scheme_params.ladder"),
    ],
)
def test_traces_that_cannot_be_replayed(trace, said):
    with pytest.raises(InputError, match=said):
        replay(trace)
