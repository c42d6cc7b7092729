"""The table of a plan: order, columns, and the note that sums it up."""

import csv
import io

import pytest

from perfmodel.gemm import Gemm, find_precision
from perfmodel.lowering import MemoryOp
from perfmodel.measure.settings import Settings
from perfmodel.plan import Plan, PlannedKernel
from perfmodel.profiles.kernel import Kernel
from perfmodel.report.plan import COLUMNS, plan_table
from perfmodel.report.render import render

FP16 = find_precision("fp16")
CONV = Gemm(3000, 500, 700, 2, FP16, a_distinct=2_100_000)
PLAN = Plan(
    (
        PlannedKernel(Kernel(MemoryOp(3e6, 1e6)), 7, ("net a update",), 2e-3, 1e-3, 0.0),  # 14 ms
        PlannedKernel(Kernel(CONV), 3, ("net a fprop", "net b fprop", "net c dgrad"), 7e-3, 5e-3, 0.75),  # 21 ms
        PlannedKernel(Kernel(Gemm(3, 5, 7), "64x64x8"), 5, ("net d fprop", "net d dgrad"), 1e-3, 5e-4, 0.5),  # 5 ms
    ),
    {},
)
SETTINGS = Settings(settle_least_s=13.0, canary_every=1000)
# A burst of 6 visits to each of 3 kernels: 18 ms, 5 samples of 2, 7 and 1 ms behind spins, 12 canaries of 8 ms: 0.43 s.
ROWS = """
implicit 2x3000x500x700 fp16 a=2100000  3  4.2     11.6     7  52.5 %  net a fprop and 2 more
stream 3000000 B in, 1000000 B out      7  0       4        2  35.0 %  net a update
gemm 3x5x7 fp32 64x64x8                 5  2.1e-07 0.000284 1  12.5 %  net d fprop and 1 more
"""
HEADER = "kernel launches GFLOP MB ms share used by"


def test_the_table():
    title, _, header, _, *rows = render([plan_table(PLAN, "A plan", (), SETTINGS)], ".txt").splitlines()[:7]
    assert title == "A plan"
    assert header.split() == HEADER.split()
    assert [row.split() for row in rows] == [row.split() for row in ROWS.strip().splitlines()]


def test_the_notes():
    notes = plan_table(PLAN, "A plan", ("A note.",), SETTINGS).notes
    assert notes == (
        "A note.",
        "3 distinct kernels, 0.0126 TFLOP in all their launches. One session takes about 13.4 s of GPU time at least: "
        "6 visits to each kernel, settling included; times are estimated by the model.",
    )
    assert "about 20.4 s of GPU time" in plan_table(PLAN, "A plan").notes[-1]  # the usual settings


def test_raw_values_are_in_si_units():
    frame = plan_table(PLAN, "A plan").frame
    assert tuple(frame.columns) == COLUMNS
    assert frame.time_s.tolist() == [7e-3, 2e-3, 1e-3]
    assert frame.bound_s.tolist() == [5e-3, 1e-3, 5e-4]
    assert frame.prior.tolist() == [0.75, 0.0, 0.5]
    assert frame.share.tolist() == pytest.approx([21 / 40, 14 / 40, 5 / 40])
    assert frame.flop.tolist() == [4_200_000_000, 0, 210]
    assert frame.bytes.tolist() == [2 * (2_100_000 + 2 * 350_000 + 2 * 1_500_000), 4e6, 284]
    assert frame.uses.tolist()[0] == "net a fprop; net b fprop; net c dgrad"


def test_csv_has_whole_numbers_and_empty_cells():
    conv, stream, gemm = csv.DictReader(io.StringIO(render([plan_table(PLAN, "A plan")], ".csv")))
    assert [conv[name] for name in ("m", "a_distinct", "b_distinct", "accumulator", "output", "bytes_read")] == [
        "3000", "2100000", "", "fp32", "fp16", "",
    ]  # fmt: skip
    stored = [stream[name] for name in ("m", "precision", "bytes_read", "bytes_written")]
    assert stored == ["", "", "3000000.0", "1000000.0"]
    assert (gemm["kernel"], gemm["output"], gemm["launches"]) == ("gemm 3x5x7 fp32 64x64x8", "fp32", "5")


@pytest.mark.parametrize("suffix", [".txt", ".md", ".tex", ".csv", ".json"])
def test_an_empty_plan_and_every_format(suffix):
    assert "64x64x8" in render([plan_table(PLAN, "A plan")], suffix)
    assert "64x64x8" not in render([plan_table(Plan((), {}), "A plan")], suffix)


def test_equal_times_keep_the_order_of_the_plan():
    kernels = [PlannedKernel(Kernel(MemoryOp(i, 0)), 2, ("x",), 1e-3, 1e-4, 0.0) for i in (5, 3, 7)]
    assert plan_table(Plan(tuple(kernels), {}), "A plan").frame.bytes_read.tolist() == [5, 3, 7]
