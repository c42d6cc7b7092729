"""Which kernels a profile must time: by hand for one layer, and that it covers what `speedup` and `breakdown` price."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.cost import Roofline, Tiles
from perfmodel.cost.estimate import price
from perfmodel.devices import find_device
from perfmodel.errors import UnknownName, Unsupported
from perfmodel.gemm import Gemm, find_precision
from perfmodel.lowering import MAPPINGS, Delay, MemoryOp
from perfmodel.measure.settings import Settings
from perfmodel.networks import find_network, network_names, read_network
from perfmodel.plan import CANARY_S, PRECISIONS, STEPS, Plan, PlannedKernel, make_plan, prior
from perfmodel.profiles.kernel import Kernel
from perfmodel.schemes import (
    LEVELS,
    Overhead,
    find_breakdown_scheme,
    find_scheme,
    run_stretches,
    scheme_names,
    training_step,
)
from perfmodel.schemes.formats import StepFormats
from perfmodel.simulate import CURRENT, Setting, compare
from perfmodel.traces import find_trace

TURING = find_device("rtx-2080-ti")
TILES, ROOFLINE = Tiles(TURING), Roofline(TURING)
FP32, HALF, HALF_TO_FP32 = find_precision("fp32"), find_precision("fp16"), find_precision("fp16", "fp32", "fp32")
INT8 = find_precision("int8")

# Two layers of 3·5 and 5·3 weights; nothing is trained before the first.
NETWORK = """
title = "Two layers"
source = "made up"
input = [3, 1, 1]
layers = [
  { op = "linear", name = "a", out = 5, bias = false },
  { op = "linear", name = "b", out = 3, bias = false },
]
"""


UPDATE = MemoryOp(180, 120, "update", (15,))


@pytest.fixture
def network(tmp_path):
    (tmp_path / "two.toml").write_text(NETWORK)
    return read_network(tmp_path / "two.toml")


def planned(networks, precisions=PRECISIONS, batches=(7,), mapping="implicit", overhead=CURRENT):
    return make_plan(networks, batches, precisions, mapping, overhead, TILES, ROOFLINE)


def test_a_step_by_hand(network):
    plan = planned([network], ["fp32"])
    assert [(one.kernel, one.weight, one.uses) for one in plan.kernels] == [
        (Kernel(Gemm(7, 5, 3)), 1, ("two a fprop",)),
        (Kernel(Gemm(5, 3, 7, layout="nt")), 1, ("two a wgrad",)),
        (Kernel(Gemm(7, 3, 5)), 1, ("two b fprop",)),
        (Kernel(Gemm(7, 5, 3, layout="tt")), 1, ("two b dgrad",)),  # a's forward product of operands that lie otherwise
        (Kernel(Gemm(3, 5, 7, layout="nt")), 1, ("two b wgrad",)),
        (Kernel(UPDATE), 2, ("two a update", "two b update")),
    ]
    assert plan.request == {
        "networks": ["two"], "batch": [7], "precisions": ["fp32"], "schemes": {"fp32": ["fp32"]},
        "mapping": "implicit", "overhead": "current",
    }  # fmt: skip


def gemms_of(plan):
    return {planned.kernel.problem: planned.weight for planned in plan.kernels if planned.kernel.view != "stream"}


def test_fp16_is_mixed_precision_and_the_proxy_of_12_to_16_bits(network):
    plan = planned([network], ["fp16"])
    # 3 and 5 are 8 where operands lie along them and in lines of FP16; 3 is 4 in lines of C alone, in FP32: b's fprop.
    assert gemms_of(plan) == {
        Gemm(7, 8, 8, 1, HALF): 2, Gemm(8, 8, 7, 1, HALF, layout="nt"): 2, Gemm(7, 8, 8, 1, HALF, layout="tt"): 1,
        Gemm(7, 8, 8, 1, HALF_TO_FP32): 1, Gemm(7, 4, 8, 1, HALF_TO_FP32): 1,
        Gemm(8, 8, 7, 1, HALF_TO_FP32, layout="nt"): 2, Gemm(7, 8, 8, 1, HALF_TO_FP32, layout="tt"): 1,
    }  # fmt: skip
    assert plan.request["schemes"] == {"mixed": ["fp16"], "muppet": ["dfx12"]}
    # Mixed precision converts each weight (4 B to 2) and looks at each gradient; both steps update.
    streams = {one.kernel.problem: one.weight for one in plan.kernels if one.kernel.view == "stream"}
    cast, check = MemoryOp(60, 30, "cast", (15,)), MemoryOp(60, 60, "check", (15,))
    assert (streams[cast], streams[check], streams[UPDATE]) == (2, 2, 4)


def test_int8_is_muppets_step(network):
    plan = planned([network], ["int8"])
    assert {gemm.precision for gemm in gemms_of(plan)} == {INT8}
    assert plan.request["schemes"] == {"muppet": ["dfx8"]}
    launches = Counter()
    for one in plan.kernels:
        if one.kernel.view == "stream":
            launches[one.kernel.problem.op] += one.weight
    # Two kernels each for the images, two outputs, b's input gradient, and thrice for each of two weights. Turned
    # round: b's weights for its dgrad; for each of two wgrads the output's gradient and the input.
    quantised = 1 + 2 + 1 + 3 * 2
    assert launches == {"absmax": quantised, "quantise": quantised, "transpose": 1 + 2 * 2, "update": 2}


def test_any_other_precision_is_what_a_breakdown_makes_of_it(network):
    plan = planned([network], ["fp16+fp16", "dfx14"])
    assert plan.request["schemes"] == {"fp16+fp16": ["fp16"], "muppet": ["dfx14"]}
    assert {gemm.precision.name for gemm in gemms_of(plan)} == {"fp16+fp16", "fp16"}


def test_equal_kernels_are_one_and_their_weights_add(network):
    one, two = planned([network], ["fp32"]), planned([network, replace(network, name="other")], ["fp32"])
    assert [planned.kernel for planned in two.kernels] == [planned.kernel for planned in one.kernels]
    assert [planned.weight for planned in two.kernels] == [2 * planned.weight for planned in one.kernels]
    assert two.kernels[-1].uses == ("two a update", "two b update", "other a update", "other b update")
    assert two.step_s == pytest.approx(2 * one.step_s)


def test_a_precision_named_twice_is_planned_once(network):
    assert planned([network], ["int8", "int8", "dfx8"]).kernels == planned([network], ["int8"]).kernels


def test_batches_are_planned_side_by_side(network):
    plan = planned([network], ["fp32"], batches=(7, 11))
    assert [one.kernel.problem for one in plan.kernels if one.kernel.view == "stream"] == [UPDATE]
    assert plan.kernels[5].weight == 4  # after five GEMMs
    assert {gemm.m for gemm in gemms_of(plan)} == {7, 5, 3, 11}
    assert plan.request["batch"] == [7, 11]


def test_given_times_are_left_out(network):
    given_s = planned([network], ["int8"], overhead=Overhead("given", 0.036))
    ideal = planned([network], ["int8"], overhead=Overhead("ideal"))
    assert given_s.kernels == ideal.kernels


def test_nothing_asked_nothing_planned(network):
    for plan in (planned([]), planned([network], []), planned([network], batches=())):
        assert plan.kernels == ()
        assert plan.step_s == plan.step_flop == 0


@pytest.mark.parametrize(
    ("name", "trace"), [("resnet20", "muppet-resnet20-cifar10"), ("alexnet-reference", "muppet-alexnet-imagenet")]
)
def test_a_speedup_table_needs_nothing_more_and_nothing_less(name, trace):
    """The model of a plan's kernels alone prices the whole run; no planned kernel is unused."""
    trace, network = find_trace(trace), find_network(name)
    result = compare(trace, network, Setting(TILES))
    runs = (result.fp32, result.mixed, *result.runs)
    priced = {work.kernel for run in runs for step in run.steps.values() for work in step.works}
    plan = planned([network], batches=[trace.batch])
    assert {one.kernel.problem for one in plan.kernels} == priced


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.sampled_from(network_names()), st.integers(1, 300), st.sampled_from(MAPPINGS), st.sampled_from(sorted(LEVELS)),
    st.lists(st.sampled_from((*PRECISIONS, "fp16+fp16", "dfx8", "dfx16")), min_size=1, max_size=3, unique=True),
)  # fmt: skip
def test_plans_of_all_networks(name, batch, mapping, level, precisions):
    network, overhead = find_network(name), Overhead(level)
    plan = make_plan([network], [batch], precisions, mapping, overhead, TILES, ROOFLINE)
    kernels = [one.kernel for one in plan.kernels]
    assert len(set(kernels)) == len(kernels)
    assert all(Kernel.from_json(json.loads(json.dumps(kernel.to_json()))) == kernel for kernel in kernels)
    assert json.loads(json.dumps(plan.request)) == plan.request
    assert all(0 < one.bound_s <= one.seconds for one in plan.kernels)
    assert all(one.weight >= len(one.uses) >= 1 for one in plan.kernels)
    for precision in precisions:
        scheme, formats = find_breakdown_scheme(precision)
        works = training_step(network, batch, scheme, formats, mapping, overhead)
        assert {work.kernel for work in works if work.is_kernel} <= {kernel.problem for kernel in kernels}


@settings(max_examples=500, deadline=None, derandomize=True)
@given(*[st.floats(0, 17).map(lambda x: round(2**x))] * 3, st.sampled_from((FP32, HALF, INT8)))
def test_priors(m, n, k, precision):
    gemm = Gemm(m, n, k, 1, precision)
    bytes_s = gemm.bytes / TURING.dram_bytes_per_s
    (bound_s,) = price(ROOFLINE, [gemm]).seconds
    found = prior(gemm, TURING)
    assert 0 < found <= 1
    if found < 1:  # bound by bytes: the roofline is their time, and arithmetic takes that share of it
        assert bound_s == pytest.approx(bytes_s)
    else:
        assert bound_s >= bytes_s * (1 - 1e-12)
    assert prior(replace(gemm, k=2 * k), TURING) >= found * (1 - 1e-12)  # never less arithmetic for a byte


def test_priors_by_hand():
    """T4: 6.912 TFLOP/s in FP32 at 1.35 GHz, 320 GB/s."""
    t4 = find_device("t4")
    gemm = Gemm(1, 1000, 500)  # 1 MFLOP, 0.144676 µs; (500 + 500 000 + 1000)·4 B, 6.26875 µs
    assert prior(gemm, t4) == pytest.approx(1e6 / 6.912e12 / (2_006_000 / 320e9))
    assert prior(Gemm(1000, 1000, 1728), t4) == 1.0
    assert prior(MemoryOp(1e9, 1e9), t4) == 0.0


def a_plan(*seconds):
    return Plan(
        tuple(PlannedKernel(Kernel(MemoryOp(i + 1, 0)), 3.0, ("x",), s, s / 2, 0.0) for i, s in enumerate(seconds)), {}
    )


def test_measuring_time_by_hand():
    plan = a_plan(1e-3, 5e-3, 1e-4)
    given_ = Settings(samples=7, least_visits=11, sample_s=1e-3, condition_s=3e-3, settle_least_s=13.0, canary_every=5)
    # 33 visits of 3 ms and 7 samples of 1, 5 and 1 ms, each behind a spin of 150 µs; two canaries a round.
    assert plan.measuring_s(given_) == pytest.approx(13 + 33 * 3e-3 + 11 * 7 * (7e-3 + 3 * 150e-6) + 22 * CANARY_S)
    burst = replace(given_, state="burst")
    assert plan.measuring_s(burst) == pytest.approx(plan.measuring_s(given_) - 13)
    assert a_plan().measuring_s(given_) == 0


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.lists(st.floats(1e-6, 1.0), max_size=9), st.integers(6, 40), st.integers(1, 9))
def test_measuring_time_grows(seconds, visits, samples):
    plan, more = a_plan(*seconds), a_plan(*seconds, 1e-5)
    found = plan.measuring_s(Settings(least_visits=visits, samples=samples))
    assert found < more.measuring_s(Settings(least_visits=visits, samples=samples))
    assert found <= plan.measuring_s(Settings(least_visits=visits + 1, samples=samples + 1, most_visits=41))


def test_a_device_without_the_unit(network):
    pascal = find_device("p100")
    with pytest.raises(Unsupported, match=r"E1103 device p100: has no unit for int8\."):
        make_plan([network], [7], ["int8"], "implicit", CURRENT, Tiles(pascal), Roofline(pascal))


@pytest.mark.parametrize(
    ("precision", "mapping", "line"),
    [
        ("fp17", "implicit", "E1004 format 'fp17' is not known."), ("mxfp8", "implicit", "E1101 precision 'mxfp8'"),
        ("fp32", "winograd", "E1005 mapping 'winograd' is not known."),
    ],
)  # fmt: skip
def test_wrong_input(network, precision, mapping, line):
    with pytest.raises((Unsupported, UnknownName)) as caught:
        planned([network], [precision], mapping=mapping)
    assert str(caught.value).startswith(line)


def test_every_scheme_has_a_step_that_a_plan_covers(network):
    hopper = find_device("h100-sxm")
    covered = {scheme for steps in STEPS.values() for scheme, _ in steps}
    assert covered == {"fp32", "mixed", "muppet"}
    for name in scheme_names():  # the others are planned by their own names
        plan = make_plan([network], [7], [name], "implicit", CURRENT, Tiles(hopper), Roofline(hopper))
        assert plan.request["schemes"].keys() == {name}


def test_given_times_never_become_kernels(network):
    works = training_step(
        network, 7, find_scheme("muppet"), StepFormats.everywhere("dfx8"), "implicit", Overhead("given", 1)
    )
    assert any(isinstance(work.kernel, Delay) for work in works)  # else the test above shows nothing


@pytest.mark.parametrize("name", ["cpt", "muppet", "tests/data/schemes/bits.toml"])
def test_a_plan_by_a_schemes_name_covers_its_whole_run(name):
    name = str(Path(__file__).parents[1] / name) if name.endswith(".toml") else name
    small = find_network("resnet20")
    planned_now = {one.kernel.problem for one in planned([small], [name]).kernels}
    for stretch in run_stretches(find_scheme(name), 90, 5005):
        works = training_step(small, 7, stretch.scheme, stretch.formats, "implicit", CURRENT, TURING)
        assert {work.kernel for work in works if work.is_kernel} <= planned_now


def test_a_users_scheme_is_planned_as_a_bundled_one(tmp_path, network):
    (tmp_path / "mine.toml").write_text('title = "t"\nsource = "s"\nextends = "fp8"\n')
    mine, bundled = (planned([network], [name]).kernels for name in (str(tmp_path / "mine.toml"), "fp8"))
    assert [one.kernel for one in mine] == [one.kernel for one in bundled]
