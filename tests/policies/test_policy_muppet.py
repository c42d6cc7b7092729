"""MuPPET's rule on series whose answers are known by hand, and what holds for all series."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.errors import InputError, UnknownName
from perfmodel.policies.diversity import Norms
from perfmodel.policies.logged import switches_of
from perfmodel.policies.muppet import MuppetPolicy
from perfmodel.policies.rule import CHOICES, PAPER, MuppetRule, impossible, muppet_rule
from perfmodel.traces import Setup, schedule_trace
from perfmodel.traces.published import published_traces

ORTHOGONAL, EQUAL = np.eye(4), np.tile([0.0, 0.0, 0.0, 1.0], (4, 1))


def observed(policy, vectors, start=0):
    return [policy.observe(start + i, {"w": np.array(v, float)}) for i, v in enumerate(vectors)]


def switches(decisions):
    return [decision.epoch for decision in decisions if decision.switch]


def fed(rule, diversities):
    policy = MuppetPolicy(rule)
    return [policy.feed(epoch, value) for epoch, value in enumerate(diversities)]


def test_reference_by_hand():
    policy = MuppetPolicy()
    decisions = observed(policy, [*ORTHOGONAL[:3], *EQUAL[:3], *EQUAL[:3], *EQUAL[:3]])
    assert [d.epoch for d in decisions if d.due] == [2, 5, 8, 11]
    first, second, third, fourth = (d for d in decisions if d.due)
    assert (first.diversity, first.maximum, first.ratio, first.violations) == (1, 1, 1, 0)
    assert (second.diversity, second.maximum, second.violations, second.switch) == (1 / 3, 1, 1, False)
    assert second.ratio == pytest.approx(3)
    assert second.threshold == pytest.approx(1 + 1.5 / math.sqrt(math.e))
    assert (third.violations, third.switch, third.format) == (2, True, "dfx12")
    assert (fourth.maximum, fourth.ratio, fourth.violations, fourth.format) == (1 / 3, 1, 0, "dfx12")


def test_paper_by_hand():
    policy = MuppetPolicy(PAPER)
    decisions = observed(policy, [*ORTHOGONAL, *EQUAL, *EQUAL[:2]])
    looked = [(d.epoch, d.diversity, d.maximum, d.ratio, d.violations) for d in decisions if d.diversity is not None]
    assert looked == [
        (3, 1, None, None, 0),  # no window of four before, nothing to compare with
        (4, 4 / 6, 1, 1.5, 0),  # e1, e2, e3, e3: below T(4) = 2.0055
        (5, 4 / 10, 1, 2.5, 1),
        (6, 1 / 4, 1, 4, 2),
        (7, 1 / 4, 1, 4, 3),  # more than twice
        (8, 1 / 4, None, None, 0),  # the window survives the switch, the set does not
        (9, 1 / 4, 1 / 4, 1, 0),
    ]
    assert switches(decisions) == [7]


def test_a_sliding_window_may_end_at_a_switch():
    vectors = [*ORTHOGONAL, *EQUAL, *EQUAL]
    for at_switch, looked in (("kept", [3, 4, 5, 6, 7, 8, 9, 10, 11]), ("cleared", [3, 4, 5, 6, 7, 11])):
        decisions = observed(MuppetPolicy(replace(PAPER, window_at_switch=at_switch)), vectors)
        assert [d.epoch for d in decisions if d.diversity is not None] == looked


def test_the_maximum_with_and_without_the_current_diversity():
    values = [None, None, 0.5, None, None, 1.0]
    assert fed(MuppetRule(), values)[5].ratio == 1
    assert fed(MuppetRule(maximum="before"), values)[5].ratio == 0.5


def test_a_ratio_at_the_threshold_is_no_violation():
    assert fed(MuppetRule(beta=0.0, maximum="before"), [None, None, 0.5] * 3)[8].violations == 0
    # below 1 it is the new maximum, or one as great, that the code never counts
    assert fed(MuppetRule(alpha=0.5, beta=0.0), [None, None, 0.5] * 2)[5].violations == 0
    assert fed(MuppetRule(alpha=0.5, beta=0.0, maximum="before"), [None, None, 0.5] * 2)[5].violations == 1


def test_reaching_and_exceeding_the_patience():
    falling = [None if epoch % 3 != 2 else 4.0 ** -(epoch // 3) for epoch in range(100)]
    assert switches(fed(MuppetRule(), falling)) == [8, 17, 26, 35]
    assert switches(fed(MuppetRule(violations="exceed"), falling)) == [11, 23, 35, 47]
    assert (MuppetRule().min_dwell, MuppetRule(violations="exceed").min_dwell, PAPER.min_dwell) == (9, 12, 4)


def test_violations_that_follow_one_another():
    values = dict(zip(range(2, 30, 3), [8, 1, 8, 1, 8, 1, 1], strict=False))
    series = [values.get(epoch) for epoch in range(24)]
    assert switches(fed(MuppetRule(), series)) == [11, 20]
    assert switches(fed(MuppetRule(counting="consecutive"), series)) == [20]


def test_the_threshold_since_the_switch():
    rule = MuppetRule(threshold_from="switch")
    falling = [None if epoch % 3 != 2 else 4.0 ** -(epoch // 3) for epoch in range(12)]
    assert fed(rule, falling)[11].threshold == rule.threshold(2) == MuppetRule().threshold(2)


def test_means_over_parameters_and_layers():
    norms = {"fc.weight": Norms(2.0, 4.0), "fc.bias": Norms(2.0, 2.0)}
    assert MuppetPolicy().feed_norms(2, norms).diversity == 0.75
    assert MuppetPolicy(MuppetRule(mean_over="layers")).feed_norms(2, norms).diversity == 4 / 6


def test_the_first_term_that_the_next_epoch_overwrites():
    gradients = [[1, 0], [0, 1], [0, 1]]
    assert observed(MuppetPolicy(), gradients)[2].diversity == 3 / 5
    policy = MuppetPolicy(MuppetRule(first_term="aliased"))
    raw = {"w": np.array([2.0, 0.0])}
    decisions = [policy.observe(i, {"w": np.array(g, float)}, raw) for i, g in enumerate(gradients)]
    assert decisions[2].diversity == 3 / 8  # |(2, 2)|²
    policy = MuppetPolicy(MuppetRule(first_term="aliased"))
    with pytest.raises(InputError, match="E1506 first_of_epoch"):
        observed(policy, gradients)
    for call in (policy.feed, policy.feed_norms):
        with pytest.raises(InputError, match="E1506 first_term"):
            call(9, None)


def test_nan_and_infinity_by_name():
    lost = [None, None, 1.0, None, None, math.nan, None, None, 0.1, None, None, 0.1]
    assert switches(fed(MuppetRule(), lost)) == [11]  # NaN sets no maximum and is no violation
    first = fed(MuppetRule(), [None, None, math.nan, *lost])
    assert switches(first) == [14]
    assert math.isnan(first[2].ratio)
    infinite = [None, None, math.inf, None, None, 1.0, None, None, 1.0]
    assert switches(fed(MuppetRule(), infinite)) == [8]  # everything after it violates
    skipped = fed(MuppetRule(on_undefined="skip"), infinite)
    assert switches(skipped) == []
    assert skipped[2].notes == ("no ratio: 'diversity' (inf)",)
    with pytest.raises(InputError, match="E1503 epoch 2: inf is no diversity"):
        fed(MuppetRule(on_undefined="error"), infinite)


def test_a_parameter_without_gradient_is_named_and_left_out():
    policy = MuppetPolicy(MuppetRule(on_undefined="skip"))
    for epoch in range(3):
        decision = policy.observe(epoch, {"w": np.ones(2), "frozen": np.zeros(3)})
    assert decision.diversity == 1 / 3
    assert decision.notes == ("no ratio: 'frozen' (all gradients zero)",)


def test_an_epoch_that_was_refused_can_be_told_again():
    policy = MuppetPolicy()
    with pytest.raises(InputError, match="E1502"):
        policy.observe(0, {})
    assert [d.diversity for d in observed(policy, EQUAL[:3])] == [None, None, 1 / 3]


def test_nothing_is_decided_at_the_last_rung():
    policy = MuppetPolicy(MuppetRule(ladder=("dfx8", "fp32"), patience=1, resolution=1, beta=0.0))
    decisions = [policy.feed(epoch, value) for epoch, value in enumerate([4.0, 1.0, 4.0, 1.0, 0.1])]
    assert (switches(decisions), policy.finished, policy.format) == ([1], True, "fp32")
    assert not any(decision.due for decision in decisions[2:])
    assert policy.observe(9, {"w": np.ones(2)}).format == "fp32"


def test_a_run_resumed_within_a_window_says_so():
    policy = MuppetPolicy(start="dfx14")
    decisions = observed(policy, EQUAL[:2], start=31)
    assert decisions[1].diversity == 0.5
    assert decisions[1].notes == ("2 gradients in the window, of 3",)
    assert policy.format == "dfx14"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"resolution": 0}, "E1307"), ({"patience": 1.5}, "E1306"), ({"alpha": math.nan}, "E1307"),
        ({"decay": -0.1}, "E1307"), ({"terms": "r+1"}, "E1501"), ({"evaluate": "every-epoch"}, "E1501"),
        ({"window": "sliding", "first_term": "aliased"}, "E1501"), ({"window": "tumble"}, "E1504"),
        ({"ladder": ("dfx8", "dfx99")}, "E1004"),
    ],
)  # fmt: skip
def test_rules_that_cannot_be(options, code):
    with pytest.raises((InputError, UnknownName)) as caught:
        MuppetRule(**options)
    assert caught.value.problems[0].code == code


def test_unknown_modes_formats_and_epochs():
    with pytest.raises(UnknownName, match=r"E1504 mode 'papre'.*paper"):
        muppet_rule("papre")
    with pytest.raises(InputError, match="E1507 ladder: 'fp16' is not on the ladder"):
        MuppetPolicy(start="fp16")
    policy = MuppetPolicy()
    policy.feed(4, None)
    with pytest.raises(InputError, match="E1505 epoch: 4 follows 4"):
        policy.feed(4, None)
    with pytest.raises(InputError, match="E1306 diversity"):
        policy.feed(5, "0.3")


@pytest.mark.parametrize(("lr0", "epochs"), [(0.01, 44), (0.001, 44), (0.1, 59)])
def test_a_whole_run(lr0, epochs):
    falling = [None if epoch % 3 != 2 else 4.0 ** -(epoch // 3) for epoch in range(60)]
    rule = MuppetRule()
    climbed = switches(fed(rule, falling))
    setup = Setup("resnet20", "cifar10", 40_000, 128, lr0, lr0 / 100, {"paper": "none"})
    trace = schedule_trace(setup, climbed)
    assert trace.epochs_by_precision() == {"dfx8": 9, "dfx12": 9, "dfx14": 9, "dfx16": 9, "fp32": epochs}
    assert len(rule.fp32_rates(lr0, lr0 / 100)) == epochs
    assert [s.lr for s in trace.segments[36:]] == rule.fp32_rates(lr0, lr0 / 100)
    assert len(PAPER.fp32_rates(lr0, lr0 / 100)) == 45


def published():
    return {name: list(switches_of(trace)) for name, trace in published_traces().items() if trace.known}


def test_the_published_runs_are_possible_under_the_reference_rule():
    runs = published()
    assert len(runs) == 6
    assert {name: impossible(found) for name, found in runs.items()} == dict.fromkeys(runs, ())


def test_runs_that_the_rule_cannot_have_had():
    exceeding = MuppetRule(violations="exceed")
    assert impossible(published()["muppet-googlenet-cifar10"], exceeding) == (
        "9 epochs from 33 to 41: the rule needs 12",
        "9 epochs from 42 to 50: the rule needs 12",
        "9 epochs from 51 to 59: the rule needs 12",
    )
    assert impossible([2, 14]) == ("3 epochs from 0 to 2: the rule needs 9",)
    assert impossible([18, 28]) == ("epoch 18 is no 2 mod 3", "epoch 28 is no 2 mod 3")
    assert impossible([8, 17, 26, 35, 44]) == ("5 switches on a ladder of 5 formats",)


@st.composite
def rules(draw):
    options = {key: draw(st.sampled_from(known)) for key, known in CHOICES.items() if key != "on_undefined"}
    if options["window"] == "tumbling":
        options |= {"terms": "r", "evaluate": "every-r", "window_at_switch": "cleared"}
    options |= {"first_term": "own", "on_undefined": draw(st.sampled_from(["skip", "reference"]))}
    beta = draw(st.sampled_from([0.0, 0.2, 1.5]))
    return MuppetRule(draw(st.integers(1, 4)), draw(st.integers(1, 3)), beta=beta, **options)


POSITIVE = st.floats(1e-3, 1e3)
ANY = st.one_of(POSITIVE, st.sampled_from([math.nan, math.inf, 0.0]), st.none())


@settings(max_examples=500)
@given(st.lists(ANY, max_size=90), st.sampled_from(["reach", "exceed"]))
def test_decisions_keep_to_the_grid_and_the_dwell(series, violations):
    decisions = fed(MuppetRule(violations=violations, beta=0.0), series)
    found = switches(decisions)
    assert all(decision.epoch % 3 == 2 for decision in decisions if decision.diversity is not None)
    assert all(epoch % 3 == 2 for epoch in found)
    assert all(after - before >= (9 if violations == "reach" else 12) for before, after in pairwise([-1, *found]))


VALUE = st.one_of(st.integers(-3, 3).map(float), st.sampled_from([math.nan, math.inf, 1e200]))
VECTORS = st.lists(st.lists(VALUE, min_size=2, max_size=2), min_size=1, max_size=40)


@settings(max_examples=500)
@given(rules(), VECTORS)
def test_online_and_offline_decide_the_same(rule, vectors):
    online, by_norms, by_value = (MuppetPolicy(rule) for _ in range(3))
    found = []
    for epoch, (weight, bias) in enumerate(vectors):
        online.norms = {}
        seen = online.observe(epoch, {"fc.weight": np.array([weight, 1.0]), "fc.bias": np.array([bias])})
        offline = by_norms.feed_norms(epoch, online.norms)
        value = by_value.feed(epoch, seen.diversity)
        assert numbers(seen) == numbers(offline) == numbers(value)
        assert seen.notes == offline.notes
        found += [epoch] if seen.switch else []
    assert impossible(found, rule) == ()


def numbers(decision):
    return repr(replace(decision, notes=(), due=False))  # text, as NaN is not itself


@pytest.mark.parametrize("on_undefined", ["reference", "skip"])
def test_a_negative_diversity_decides_nothing(on_undefined):
    policy = MuppetPolicy(MuppetRule(on_undefined=on_undefined))
    decision = policy.feed(2, -1.0)
    assert (decision.diversity, decision.switch) == (None, False)
    assert decision.notes == ("no ratio: 'diversity' (-1)",)


def test_a_ladder_rises():
    with pytest.raises(InputError, match=r"^E1509 ladder: dfx8 is not wider than dfx16"):
        MuppetRule(ladder=("dfx16", "dfx8"))


@pytest.mark.parametrize(
    "rule", [MuppetRule(), PAPER, MuppetRule(first_term="aliased")], ids=("code", "paper", "aliased")
)
def test_a_restored_policy_decides_as_if_nothing_had_happened(rule):
    """Broken off after any epoch, through plain numbers and arrays, on gradients that climb the ladder."""
    rule = replace(rule, beta=-2.0, patience=1)  # T(0) = -1: any diversity below the maximum violates it
    random = np.random.default_rng(5)
    gradients = [{"a": random.normal(size=(3, 2)), "b.c": random.normal(size=5)} for _ in range(60)]
    firsts = [{"a": random.normal(size=(3, 2)), "b.c": random.normal(size=5)} for _ in range(60)]
    whole, parts = MuppetPolicy(rule), MuppetPolicy(rule)
    for epoch, (last, first) in enumerate(zip(gradients, firsts, strict=True)):
        assert parts.observe(epoch, last, first) == whole.observe(epoch, last, first)
        state, parts = parts.state(), MuppetPolicy(rule)
        parts.restore(state)
        for arrays in state["window"]["kept"]:
            for array in arrays.values():
                array += 1  # what was restored is a copy
        assert (parts.norms, parts.format, parts.finished) == (whole.norms, whole.format, whole.finished)
    assert whole.finished


def test_a_state_is_a_copy():
    policy = MuppetPolicy()
    observed(policy, ORTHOGONAL[:1])
    state = policy.state()
    observed(policy, ORTHOGONAL[1:3], start=1)
    assert state == {
        "rung": 0, "last": 0, "start": 0, "maximum": None, "violations": 0, "norms": {},
        "window": {"squares": [{"w": 1.0}], "kept": [{"w": pytest.approx(np.array([1.0, 0.0, 0.0, 0.0]))}]},
    }  # fmt: skip


def test_a_state_of_another_rule_is_refused():
    long, short = MuppetPolicy(), MuppetPolicy(MuppetRule(ladder=("dfx8", "fp32")))
    with pytest.raises(InputError, match="E1512 policy: the state is not one of this rule"):
        short.restore(long.state() | {"rung": 2})
    for state in ({"rung": 0}, long.state() | {"maximum": "1"}, long.state() | {"last": 1.0}):
        with pytest.raises(InputError, match="E1512"):
            long.restore(state)
    with pytest.raises(InputError, match="E1502"):
        long.restore(long.state() | {"window": {"squares": [{"w": 1.0}], "kept": [{"w": "none"}]}})
    with pytest.raises(InputError, match=r"E1502 gradients\['w'\]: is not there in every epoch"):
        MuppetPolicy(PAPER).restore(
            long.state() | {"window": {"squares": [{"w": 1.0}] * 2, "kept": [{"w": np.ones(2)}, {"w": np.ones(3)}]}}
        )
