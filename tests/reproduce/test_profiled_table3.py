"""Table 3 from a profile: cells from the times of kernels by hand, bases, devices, and a model's errors."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from perfmodel.cost.measured import Measured, NotTimed
from perfmodel.cost.roofline import Roofline
from perfmodel.devices import find_device
from perfmodel.gemm import Gemm, find_precision
from perfmodel.lowering import MAPPINGS, Delay, MemoryOp
from perfmodel.networks.network import find_network, read_network
from perfmodel.plan import make_plan
from perfmodel.profiles.kernel import Kernel
from perfmodel.reproduce.accuracy import ALL_GEMMS, ALL_STREAMS, KernelError, group_errors, kernel_errors, worst
from perfmodel.reproduce.profiled import device_of, from_profile, price_table3
from perfmodel.reproduce.published import COLUMNS, table3
from perfmodel.reproduce.steps import price_steps
from perfmodel.schemes import Overhead
from perfmodel.simulate import OVERHEAD_KINDS, Setting

DEVICE = find_device("rtx-2080-ti")
CURRENT = Overhead("current")

# One layer of 8 weights without bias: fprop, wgrad and the update; what is quantised: the images, the output, the
# weights' gradient, twice, and the weights.
NETWORK = """
title = "One layer"
source = "made up"
input = [4, 1, 1]
layers = [{ op = "linear", name = "fc", out = 2, bias = false }]
"""
GEMM_S = {("fp32", "fp32"): 0.3, ("fp16", "fp16"): 0.1, ("fp16", "fp32"): 0.05, ("int8", "int32"): 0.02}
STREAM_S = {
    "update": 0.2, "cast": 0.01, "check": 0.02, "absmax": 0.006, "quantise": 0.004, "transpose": 0.003,
    "quantise_delayed": 0.005,
}  # fmt: skip
# Seconds of one iteration. FP32: 2·0.3 + 0.2. Mixed: 2·0.1 + 0.01 + 0.02 + 0.2. 16 bits: 2·0.05 + 0.2; 8 bits: 2·0.02 +
# 0.2, both transposes 0.006 (output's gradient and input, in wgrad). Quantising: 5·(0.006 + 0.004).
ITERATIONS = 5005


@dataclass
class Timed:
    """A profile in which a kernel takes what the tables above say, but for what it lacks."""

    basis: str = "measured"
    environment: dict = field(default_factory=lambda: {"device": {"kind": "cuda", "name": "A card"}})
    lacks: tuple = ()
    timings: dict = field(default_factory=dict)
    refused: dict = field(default_factory=dict)

    def fastest(self, problem):
        if isinstance(problem, MemoryOp):
            seconds, name = STREAM_S[problem.op], problem.op
        else:
            key = name = problem.precision.operand.name, problem.precision.output.name
            seconds = GEMM_S[key]
        timing = SimpleNamespace(kernel=Kernel(problem, "v1"), seconds=seconds, low=seconds, high=seconds)
        return None if name in self.lacks else timing


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    path = tmp_path_factory.mktemp("networks") / "one.toml"
    path.write_text(NETWORK)
    return {row.network: read_network(path) for row in table3().rows}


def priced(networks, profile=None, overhead=CURRENT, fill=None):
    measured = Measured(profile or Timed(), DEVICE, fill)
    return price_table3(networks, "profile", measured, "implicit", overhead)


def cell(found, column, network="alexnet-reference"):
    (one,) = (one for one in found.cells if (one.network, one.column) == (network, column))
    return one


def test_the_steps_times(networks):
    times = priced(networks).steps["resnet18"].times
    assert (times.fp32, times.mixed, times.fp16, times.int8) == pytest.approx((0.8, 0.43, 0.3, 0.24))
    assert (times.overhead, times.transposes, times.parameters) == (pytest.approx(0.05), pytest.approx(0.006), 8)


def test_the_baselines_are_150_epochs(networks):
    found = priced(networks)
    for column, step_s in (("fp32", 0.8), ("mixed", 0.43)):
        one = cell(found, column)
        assert one.low == one.high
        assert one.low.seconds == pytest.approx(step_s * ITERATIONS * 150)
        assert one.published == {"fp32": 1813 * 60, "mixed": 1760 * 60}[column]


def test_muppets_cells_span_the_schedules(networks):
    """AlexNet: 69 or 72 quantised epochs with 9 at 8 bits at least and 27 at more, then 44 or 45 in FP32."""
    limit, muppet = (cell(priced(networks), column) for column in ("limit", "muppet"))
    assert limit.low.seconds == pytest.approx((42 * 0.24 + 27 * 0.3 + 44 * 0.8) * ITERATIONS)
    assert limit.high.seconds == pytest.approx((9 * 0.24 + 63 * 0.3 + 45 * 0.8) * ITERATIONS)
    assert muppet.low.seconds == pytest.approx((42 * 0.296 + 27 * 0.35 + 44 * 0.8) * ITERATIONS)
    assert muppet.high.seconds == pytest.approx((9 * 0.296 + 63 * 0.35 + 45 * 0.8) * ITERATIONS)


def test_twelve_cells_all_measured(networks):
    found = priced(networks)
    assert [(one.network, one.column) for one in found.cells] == [
        (row.network, column) for row in table3().rows for column in COLUMNS
    ]
    assert {one.status for one in found.cells} == {"measured"}
    assert {one.status for one in priced(networks, Timed("simulated")).cells} == {"simulated"}


@pytest.mark.parametrize("overhead", [Overhead("ideal"), Overhead("delayed"), Overhead("given", 0.036), "table3"])
def test_the_limit_is_the_same_whatever_conversions_cost(networks, overhead):
    found, usual = priced(networks, overhead=overhead), priced(networks)
    assert cell(found, "limit").low == cell(usual, "limit").low
    added = {"ideal": 0.0, "delayed": 69 * 0.025 + 42 * 0.006, "given": 69 * 0.036, "table3": 207 * 60 / ITERATIONS}
    seconds = cell(found, "muppet").low.seconds - cell(found, "limit").low.seconds
    level = overhead if isinstance(overhead, str) else overhead.level
    assert seconds == pytest.approx(added[level] * ITERATIONS, abs=1e-6)
    basis = {"given": "measured+given", "table3": "measured+published"}.get(level, "measured")
    assert cell(found, "muppet").status == basis
    assert cell(found, "limit").status == "measured"


def test_what_is_filled_shows_in_the_cells_that_use_it(networks):
    found = priced(networks, Timed(lacks=("transpose",)), fill=Roofline(DEVICE))
    bases = {column: cell(found, column).status for column in COLUMNS}
    assert bases == {"fp32": "measured", "mixed": "measured", "muppet": "measured+roofline", "limit": "measured"}
    found = priced(networks, Timed(lacks=(("fp16", "fp16"),)), fill=Roofline(DEVICE))
    bases = {column: cell(found, column).status for column in COLUMNS}
    assert bases == {"fp32": "measured", "mixed": "measured+roofline", "muppet": "measured", "limit": "measured"}


def test_what_is_lacking_is_named(networks):
    with pytest.raises(NotTimed, match=r"E2201 profile of A card: has no time of gemm 256x4x16 int8; 2 of 2 GEMMs"):
        priced(networks, Timed(lacks=(("int8", "int32"),)))


def test_speedups_are_over_the_same_sources_fp32(networks):
    found = priced(networks)
    assert found.speedups(cell(found, "mixed")) == pytest.approx((0.8 / 0.43, 0.8 / 0.43))
    low, high = found.speedups(cell(found, "limit"))
    assert low == pytest.approx(150 * 0.8 / (42 * 0.24 + 27 * 0.3 + 44 * 0.8))
    assert low > high


@pytest.mark.parametrize(
    ("name", "device", "same"),
    [
        ("NVIDIA GeForce RTX 2080 Ti", "rtx-2080-ti", True), ("GeForce RTX 2080 Ti (simulated)", "rtx-2080-ti", True),
        ("NVIDIA GeForce RTX 2080", "rtx-2080", False), ("NVIDIA H200", "h200", False), ("", None, False),
        ("A card", None, False),
    ],
)  # fmt: skip
def test_the_profiles_device(networks, name, device, same):
    profile = Timed(environment={"device": {"kind": "cuda", "name": name}})
    found = device_of(profile)
    assert (found and found.name) == device
    table = from_profile(networks, Measured(profile, DEVICE), found, "implicit", CURRENT)
    assert (table.same_device, table.known) == (same, name != "")
    assert (table.model is None) == (device is None)


def test_the_model_prices_the_same_steps(networks):
    table = from_profile(networks, Measured(Timed(), DEVICE), DEVICE, "implicit", CURRENT)
    for name, steps in table.profile.steps.items():
        for ours, theirs in zip(steps.each, table.model.steps[name].each, strict=True):
            assert ours.works == theirs.works
    assert {one.status for one in table.model.cells} == {"analytical"}


def test_each_distinct_kernel_counts_once_in_its_group(networks):
    table = from_profile(networks, Measured(Timed(), DEVICE), DEVICE, "implicit", CURRENT)
    errors = kernel_errors(table.profile, table.model, "measured")
    counts = {one.group: one.kernels for one in group_errors(errors)}
    assert counts == {
        "GEMM fp32 fprop": 1, "GEMM fp32 wgrad": 1, "GEMM fp16 fprop": 2, "GEMM fp16 wgrad": 2, "GEMM int8 fprop": 1,
        "GEMM int8 wgrad": 1, ALL_GEMMS: 8,
        # Quantised: 1024 images' elements, 512 of the output, 8 of each other tensor.
        "update": 1, "cast": 2, "quantise": 6, "transpose": 2, ALL_STREAMS: 11,
    }  # fmt: skip
    assert list(counts)[:6] == [f"GEMM {p} {pass_}" for p in ("fp32", "fp16", "int8") for pass_ in ("fprop", "wgrad")]
    (update,) = (one for one in errors if one.group == "update")
    assert (update.launches, update.seconds) == (12, 0.2)  # four steps of three networks
    assert (update.kernel.variant, update.use) == ("v1", "alexnet-reference fc update")


def test_filled_kernels_have_no_error(networks):
    profile = Timed(lacks=("transpose", ("fp32", "fp32")))
    table = from_profile(networks, Measured(profile, DEVICE, Roofline(DEVICE)), DEVICE, "implicit", CURRENT)
    groups = {one.group for one in kernel_errors(table.profile, table.model, "measured")}
    assert groups == {
        "GEMM fp16 fprop", "GEMM fp16 wgrad", "GEMM int8 fprop", "GEMM int8 wgrad", "update", "cast", "quantise",
    }  # fmt: skip


CONV = """
title = "Two layers"
source = "made up"
input = [4, 6, 6]
layers = [
  { op = "conv", name = "conv", out = 8, kernel = 3, bias = false },
  { op = "linear", name = "fc", out = 2, bias = false },
]
"""


def test_without_conversions_the_step_is_else_the_same(tmp_path):
    """INT8's im2col matrix for the weights' gradient is made turned round, whatever conversions cost."""
    (tmp_path / "conv.toml").write_text(CONV)
    network, model = read_network(tmp_path / "conv.toml"), Roofline(DEVICE)
    ideal, current = (
        price_steps(network, 2, Setting(model, "im2col", Overhead(level))).int8 for level in ("ideal", "current")
    )
    assert ideal.works == current.without(OVERHEAD_KINDS).works
    copies = [work.kernel.op for work in ideal.works if work.kind == "im2col"]
    assert copies == ["im2col", "im2col_transposed"]
    assert {work.kind for work in current.works} - {work.kind for work in ideal.works} == {"quantise", "transpose"}


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_the_usual_plan_has_every_kernel(mapping):
    """`perfmodel profile` without options but the mapping times what the table needs, at any given conversions."""
    networks = [find_network(row.network) for row in table3().rows]
    roofline = Roofline(DEVICE)
    plan = make_plan(networks, (256,), ("fp32", "fp16", "int8"), mapping, CURRENT, roofline, roofline)
    timed = {row.kernel.problem for row in plan.kernels}
    for overhead in (CURRENT, Overhead("ideal"), Overhead("given", 0.036)):
        needed = set()
        for network in networks:
            steps = price_steps(network, 256, Setting(roofline, mapping, overhead))
            needed |= {work.kernel for step in steps.each for work in step.works}
        missing = {kernel for kernel in needed - timed if not isinstance(kernel, Delay)}
        assert not missing, overhead


def error(kernel, group, seconds, modelled, launches=1):
    return KernelError(Kernel(kernel), group, "somewhere", seconds, modelled, launches)


ERRORS = [
    error(Gemm(1, 2, 3), "GEMM fp32 dgrad", 1.0, 1.5, 2), error(Gemm(1, 2, 4), "GEMM fp32 dgrad", 2.0, 1.0),
    error(Gemm(1, 2, 5), "GEMM fp32 dgrad", 4.0, 4.4), error(MemoryOp(1, 0), "batch norm", 1.0, 0.4),
    error(Gemm(1, 2, 3), "GEMM fp32 fprop", 1.0, 1.5),
]  # fmt: skip


def test_group_errors():
    fprop, dgrad, gemms, norm, streams = group_errors(ERRORS)
    assert (fprop.group, fprop.kernels) == ("GEMM fp32 fprop", 1)
    assert (fprop.median, fprop.mean, fprop.bias, fprop.together) == pytest.approx((0.5, 0.5, 0.5, 0.5))
    assert (dgrad.group, dgrad.kernels) == ("GEMM fp32 dgrad", 3)
    # +50 %, -50 % and +10 %; all launches: 8.4 s by the model, 8 s by the profile.
    assert (dgrad.median, dgrad.mean, dgrad.bias, dgrad.together) == pytest.approx((0.5, 1.1 / 3, 0.1 / 3, 0.05))
    # 1x2x3 is one kernel, with three launches: 9.9 s by the model, 9 s by the profile.
    assert (gemms.group, gemms.kernels, streams.group, streams.kernels) == (ALL_GEMMS, 3, ALL_STREAMS, 1)
    assert (gemms.mean, gemms.together) == pytest.approx((1.1 / 3, 0.1))
    assert (norm.group, norm.bias) == ("batch norm", pytest.approx(-0.6))


def test_groups_of_other_precisions_have_a_place():
    precision = find_precision("bf16")
    errors = [
        error(Gemm(8, 8, 8, 1, precision), "GEMM bf16 fprop", 1.0, 1.0),
        error(Gemm(1, 2, 3), "GEMM fp32 wgrad", 1.0, 1.0),
    ]
    assert [one.group for one in group_errors(errors)] == ["GEMM fp32 wgrad", "GEMM bf16 fprop", ALL_GEMMS]


def test_the_worst_are_furthest_by_factor_and_each_once():
    found = worst(ERRORS, 3)  # 2.5 times, twice, 1.5 times
    assert [one.kernel.text for one in found] == ["stream 1 B in, 0 B out", "gemm 1x2x4 fp32", "gemm 1x2x3 fp32"]
    assert found[2].group == "GEMM fp32 dgrad"
    assert len(worst(ERRORS, 10)) == 4
