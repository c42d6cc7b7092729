"""Where numbers come from: the words, the shares, and that no basis gets lost in a sum."""

import numpy as np
import pytest

from perfmodel.cost.estimate import Estimates, Prices, price
from perfmodel.devices import find_device
from perfmodel.gemm import Gemm, find_precision
from perfmodel.lowering import Delay, MemoryOp, Work
from perfmodel.report.basis import coverage_note, run_parts, source_words, step_parts
from perfmodel.report.breakdown import breakdown_frame
from perfmodel.report.units import units_note
from perfmodel.schemes.formats import StepFormats
from perfmodel.simulate import RunCost, SegmentCost, StepCost


@pytest.mark.parametrize(
    ("basis", "words"),
    [
        ("roofline", "Modelled, not measured"), ("roofline+analytical", "Modelled, not measured"),
        ("given+analytical", "Modelled and given, not measured"), ("measured+given", "Measured and given"),
        ("simulated", "Simulated, not measured"), ("measured+analytical+roofline", "Measured and modelled"),
        ("simulated+published+roofline", "Simulated, modelled and published, not measured"),
    ],
)  # fmt: skip
def test_words(basis, words):
    assert source_words(basis) == words


def a_step(*rows):
    """Works of layer x, one for each kernel, launches, seconds and basis."""
    works = tuple(Work("x", "fprop", "add/concat", kernel, count) for kernel, count, _, _ in rows)
    seconds, bases = [row[2] for row in rows], [row[3] for row in rows]
    return StepCost(works, Prices(np.array(seconds), bases, [""] * len(rows)))


A, B, C = Gemm(3, 5, 7), MemoryOp(3, 5), MemoryOp(5, 3)


def test_shares_by_hand():
    one = a_step((A, 1, 3.0, "measured"), (B, 2, 1.0, "measured"), (C, 1, 5.0, "analytical"))  # 5 and 5
    two = a_step((A, 1, 3.0, "measured"), (Delay(7, "given"), 1, 7.0, "given"))
    assert coverage_note(step_parts([one])) == (
        "Of 3 distinct kernels 2 are measured and 1 is analytical; of the time shown 50.0 % measured and 50.0 % "
        "analytical."
    )
    assert coverage_note([(one, 3.0), (two, 2.0)]) == (  # 15 + 6, 15 and 14 of 50
        "Of 3 distinct kernels 2 are measured and 1 is analytical; of the time shown 42.0 % measured, 30.0 % "
        "analytical and 28.0 % given."
    )
    assert coverage_note([(two, 1.0)]) == (
        "All 1 distinct kernels are measured; of the time shown 30.0 % measured and 70.0 % given."
    )


def test_runs_weigh_their_steps_by_iterations():
    eight, wide = StepFormats.everywhere("dfx8"), StepFormats.everywhere("fp32")
    steps = {eight: a_step((A, 1, 1.0, "simulated")), wide: a_step((B, 1, 3.0, "roofline"))}
    segments = (SegmentCost(0, eight, 5, 5.0), SegmentCost(0, wide, 2, 6.0), SegmentCost(1, eight, 9, 9.0))
    assert coverage_note(run_parts([RunCost("x", segments, steps)])) == (
        "Of 2 distinct kernels 1 is simulated and 1 is roofline; of the time shown 70.0 % simulated and 30.0 % "
        "roofline."
    )


def test_a_row_of_two_kernels_names_both_bases():
    step = a_step((C, 1, 5.0, "analytical"), (B, 2, 1.0, "measured"), (B, 1, 1.0, "measured"))
    (row,) = breakdown_frame({"fp32": step}).to_dict("records")
    assert (row["basis"], row["time_s"]) == ("measured+analytical", 8.0)


class Timed:
    """FP32 is measured, the rest modelled."""

    device = find_device("t4")

    def gemms(self, gemms):
        """One second each."""
        return Estimates(np.ones(len(gemms)), "measured" if gemms.precision.name == "fp32" else "analytical")


@pytest.mark.parametrize(
    ("names", "clock"),
    [(["fp32"], ""), (["fp16"], " at 1350 MHz"), (["fp32", "fp16"], " at 1350 MHz where modelled")],
)
def test_only_models_assume_a_clock(names, clock):
    kernels = [Gemm(3, 5, 7, precision=find_precision(name)) for name in names]
    step = StepCost(tuple(Work("x", "fprop", "gemm", one) for one in kernels), price(Timed(), kernels))
    assert units_note(Timed.device, [step]).startswith(f"GEMMs on t4{clock}: {names[0]} (sums in fp32) on ")
