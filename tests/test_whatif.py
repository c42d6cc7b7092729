"""Alternatives to a run: which epochs get which format, and their price with kernels of whole seconds."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from perfmodel.cost.estimate import Estimates
from perfmodel.errors import InputError, UnknownName
from perfmodel.networks import read_network
from perfmodel.simulate import Setting
from perfmodel.traces import PassPrecision, Segment, Trace, find_trace
from perfmodel.whatif import (
    format_named,
    ladder_alternative,
    price_alternatives,
    scaled_alternative,
    uniform_alternative,
)

NETWORK = """
title = "One layer"
source = "made up"
input = [1, 1, 1]
layers = [{ op = "linear", name = "fc", out = 2, bias = false }]
"""
GEMM_S = {"fp32": 100.0, "fp16": 30.0, "int8": 10.0}


@dataclass(frozen=True)
class Fake:
    """A GEMM takes 100 s in FP32, 30 s in FP16, 10 s in INT8; any other kernel nothing."""

    device: None = None

    def gemms(self, gemms):
        return Estimates(np.full(len(gemms), GEMM_S[gemms.precision.name]), "measured")

    def memory(self, streams):
        return Estimates(np.zeros(len(streams)), "analytical")


def a_run(*stretches, **header):
    """A run of so many epochs in each format, one iteration an epoch, rates falling."""
    names = [name for count, name in stretches for _ in range(count)]
    segments = [
        Segment(i, 1, PassPrecision.same(name, None if name == "fp32" else "fp32"), lr=1 / (i + 1))
        for i, name in enumerate(names)
    ]
    return Trace("one", "none", "muppet", 4, 4, segments, {"note": "made up"}, **header)


RUN = a_run((4, "dfx8"), (3, "dfx12"), (2, "dfx16"), (5, "fp32"))


def stretches_of(trace):
    found = []
    for segment in trace.segments:
        name = segment.precision.label
        if found and found[-1][1] == name:
            found[-1] = (found[-1][0] + 1, name)
        else:
            found.append((1, name))
    return found


@pytest.mark.parametrize(
    ("ladder", "removed", "expected"),
    [
        (("dfx8", "dfx16", "fp32"), "up", [(4, "dfx8"), (5, "dfx16"), (5, "fp32")]),
        (("dfx8", "dfx16", "fp32"), "down", [(7, "dfx8"), (2, "dfx16"), (5, "fp32")]),
        (("dfx8", "dfx16", "fp32"), "dropped", [(4, "dfx8"), (2, "dfx16"), (5, "fp32")]),
        (("dfx8", "dfx12", "fp32"), "up", [(4, "dfx8"), (3, "dfx12"), (7, "fp32")]),
        (("dfx12", "dfx16", "fp32"), "up", [(7, "dfx12"), (2, "dfx16"), (5, "fp32")]),
        # added: the first of the next higher, two at once, above the highest and below the lowest
        (("dfx8", "dfx10", "dfx12", "dfx16", "fp32"), "up",
         [(4, "dfx8"), (2, "dfx10"), (1, "dfx12"), (2, "dfx16"), (5, "fp32")]),
        (("dfx8", "dfx9", "dfx10", "dfx12", "dfx16", "fp32"), "up",
         [(4, "dfx8"), (1, "dfx9"), (1, "dfx10"), (1, "dfx12"), (2, "dfx16"), (5, "fp32")]),
        (("dfx8", "dfx12", "dfx14", "fp32"), "down", [(4, "dfx8"), (3, "dfx12"), (2, "dfx14"), (5, "fp32")]),
        (("dfx8", "dfx12", "dfx14", "fp32"), "dropped", [(4, "dfx8"), (2, "dfx12"), (1, "dfx14"), (5, "fp32")]),
        (("dfx4", "dfx8", "dfx12", "dfx16", "fp32"), "up",
         [(2, "dfx4"), (2, "dfx8"), (3, "dfx12"), (2, "dfx16"), (5, "fp32")]),
    ],
)  # fmt: skip
def test_ladders(ladder, removed, expected):
    assert stretches_of(ladder_alternative(ladder, removed).of(RUN)) == expected


def test_one_format_and_other_lengths():
    assert stretches_of(uniform_alternative("dfx8").of(RUN)) == [(9, "dfx8"), (5, "fp32")]
    doubled = scaled_alternative(2).of(RUN)
    assert stretches_of(doubled) == [(8, "dfx8"), (6, "dfx12"), (4, "dfx16"), (5, "fp32")]
    assert [segment.epoch for segment in doubled.segments] == list(range(23))
    halved = scaled_alternative(0.5).of(RUN)  # ends at 2, 3.5 and 4.5, to even
    assert stretches_of(halved) == [(2, "dfx8"), (2, "dfx12"), (5, "fp32")]


@given(st.lists(st.integers(1, 9), min_size=3, max_size=3), st.floats(0.1, 5))
def test_a_stretched_phase_has_the_length_it_should(counts, factor):
    run = a_run(*zip(counts, ("dfx8", "dfx12", "dfx16"), strict=True), (5, "fp32"))
    epochs = scaled_alternative(factor).of(run).epochs_by_precision()
    assert epochs.pop("fp32") == 5
    assert sum(epochs.values()) == round(sum(counts) * factor)


@given(st.sets(st.sampled_from(["dfx6", "dfx8", "dfx10", "dfx12", "dfx14", "dfx16"]), min_size=1))
def test_a_ladder_keeps_the_length_where_nothing_is_dropped(names):
    ladder = (*sorted(names, key=lambda name: int(name[3:])), "fp32")
    assume("dfx16" in names or "dfx8" in names)
    found = ladder_alternative(ladder).of(RUN)
    assert found.epochs == RUN.epochs
    assert set(found.epochs_by_precision()) <= set(ladder)
    assert [s.lr for s in found.segments] == [s.lr for s in RUN.segments]


def test_prices(tmp_path):
    (tmp_path / "one.toml").write_text(NETWORK)
    network = read_network(tmp_path / "one.toml")
    changes = [uniform_alternative("dfx8"), ladder_alternative(("dfx8", "fp32")), scaled_alternative(2)]
    comparison, priced = price_alternatives(RUN, changes, network, Setting(Fake()))
    # two GEMMs an iteration: 20 s in 8 bit, 60 s in 12 and 16 bit, 200 s in FP32
    assert comparison.fp32.seconds == 14 * 200
    assert comparison.runs[0].seconds == 4 * 20 + 5 * 60 + 5 * 200
    seconds = [one.runs[0].seconds for one in priced]
    assert seconds == [9 * 20 + 5 * 200, 4 * 20 + 10 * 200, 8 * 20 + 10 * 60 + 5 * 200]


def test_a_run_that_leaves_its_switches_open_has_two_ends():
    trace = find_trace("muppet-alexnet-imagenet")
    ends = [uniform_alternative("dfx8").of(one).epochs_by_precision() for one in trace.completions()]
    assert ends == [{"dfx8": 69, "fp32": 44}] * 2
    with pytest.raises(InputError, match="E1511 trace: epoch 0 has more than one format"):
        uniform_alternative("dfx8").of(trace)


def test_numbers_of_bits():
    assert [format_named(text, RUN) for text in ("8", "32", "fp16", "14")] == ["dfx8", "fp32", "fp16", "dfx14"]
    assert format_named("16", a_run((2, "int8"))) == "int16"
    with pytest.raises(InputError, match="E1509 ladder: '8' bits may be of several"):
        format_named("8", a_run((2, "fp32")))
    with pytest.raises(InputError, match=r"^E1509 ladder: 99 bits: there is no format dfx99\."):
        format_named("99", RUN)
    with pytest.raises(UnknownName, match="E1004"):
        format_named("fp99", RUN)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: ladder_alternative(("dfx16", "dfx8")), "E1509"),
        (lambda: ladder_alternative(("dfx8", "int8")), "E1509"),
        (lambda: ladder_alternative(("dfx8", "fp32"), "sideways"), "E1504"),
        (lambda: ladder_alternative(("dfx8", "dfx16")).of(RUN), "E1510"),
        (lambda: ladder_alternative(("dfx12", "dfx16", "fp32"), "down").of(RUN), "E1510"),
        (lambda: ladder_alternative(("dfx4", "fp32")).of(RUN), "E1510"),
        (lambda: uniform_alternative("dfx99"), "E1004"),
        (lambda: scaled_alternative(0), "E1307"),
        (lambda: scaled_alternative(101), "E1307"),
        (lambda: scaled_alternative(0.01).of(a_run((2, "dfx8"))), "E1312"),
    ],
)
def test_what_cannot_be(make, code):
    with pytest.raises((InputError, UnknownName)) as caught:
        make()
    assert caught.value.problems[0].code == code
