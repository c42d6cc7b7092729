"""Which ops have kernels, how they are launched, and what is refused with a reason."""

import re

import numpy as np
import pytest

from perfmodel.errors import Unsupported
from perfmodel.lowering import MemoryOp
from perfmodel.measure.streams.catalogue import OPS, stream_kernel, variants
from perfmodel.measure.streams.kernel import Constants, Launch
from perfmodel.measure.streams.reference import RULES, matches
from perfmodel.measure.streams.sources import source_text

CONV = (2, 3, 9, 8, 3, 3, 2, 2, 1, 1, 1, 1, 1, 32)  # 5 x 4 pixels out


def test_every_op_has_a_rule_and_a_row_in_the_text():
    from perfmodel.measure.streams import catalogue

    assert (
        OPS.keys()
        == RULES.keys()
        == set(re.findall(r"^    ([a-z_0-9]+)  +(?:\(|window)", catalogue.__doc__, re.MULTILINE))
    )


def test_variants_name_the_usual_first():
    assert variants(MemoryOp(4, 1, "quantise", (1,))) == ("philox10x16", "philox10x4")
    assert variants(MemoryOp(4, 1, "quantise_delayed", (1,))) == ("philox10x16", "philox10x4", "nearest")
    assert variants(MemoryOp(4, 2, "cast", (1,))) == ("fp16", "bf16")
    assert variants(MemoryOp(4, 2)) == ("",)


def test_a_launch_by_hand():
    kernel = stream_kernel(MemoryOp(4e6, 1e6, "quantise", (10**6,)), "philox10x4", Constants(7, 2**32 + 5, 9))
    assert [(b.name, b.size_bytes, b.format, b.role, b.elements) for b in kernel.buffers] == [
        ("x", 4_000_000, "fp32", "in", 10**6), ("codes", 10**6, "int8", "out", 10**6), ("scale", 8, "fp32", "scale", 2),
    ]  # fmt: skip
    numbers = (("u64", 10**6), ("u32", 5), ("u32", 1), ("u32", 9), ("i32", 7))
    (launch,) = kernel.launches(sms=2)
    assert launch == Launch("quantise_philox10x4_8", (64, 1, 1), (256, 1, 1), ("x", "codes", "scale", *numbers))
    assert kernel.launches(10**6)[0].grid == (245, 1, 1)  # 10^6 / (16 · 256)
    assert kernel.launches(10, blocks_per_sm=7)[0].grid == (70, 1, 1)


def test_no_work_is_one_block():
    for op in (MemoryOp(0, 0), MemoryOp(0, 0, "absmax", (0,)), MemoryOp(0, 0, "transpose", (0, 5))):
        assert stream_kernel(op).launches(100)[0].grid == (1, 1, 1)


def test_small_outputs_may_be_counted():
    for written in (0, 4, 12, 64):
        assert stream_kernel(MemoryOp(400, written, "absmax", (100,))).buffer("absmax").size_bytes == 4
    assert stream_kernel(MemoryOp(4012, 1012, "quantise_delayed", (1000,))).buffer("codes").size_bytes == 1000


@pytest.mark.parametrize(
    ("op", "says"),
    [
        (MemoryOp(4, 1, "batch_norm", (1,)), "no kernel computes it"),
        (MemoryOp(4000, 1500, "quantise", (1000,)), "1.5 B per element have no kernel"),
        (MemoryOp(4000, 4000, "quantise", (1000,)), "4 B per element"),
        (MemoryOp(8000, 1000, "quantise", (1000,)), "its shape reads 4000 B and writes 1000 B"),
        (MemoryOp(4000, 1000, "quantise", ()), "not 1 whole numbers"),
        (MemoryOp(4000, 1000, "quantise", (-1,)), "not 1 whole numbers"),
        (MemoryOp(4000, 1000, "quantise", (1000.0,)), "not 1 whole numbers"),
        (MemoryOp(4, 1, "stream", (1,)), "not 0 whole numbers"),
        (MemoryOp(float("nan"), 1), "not two amounts"),
        (MemoryOp(-1, 1), "not two amounts"),
        (MemoryOp(3000, 2000, "transpose", (10, 100)), "3 B per element"),
        (MemoryOp(1000, 2000, "transpose", (10, 100)), "writes 1000 B"),
        (MemoryOp(432, 1280, "im2col", CONV[:-1]), "not 14 whole numbers"),
        (MemoryOp(648, 1920, "im2col", CONV), "1.5 B per element"),
        (MemoryOp(432, 1200, "im2col", CONV), "writes 1280 B"),
        (MemoryOp(432, 1280, "im2col", (*CONV[:-1], 26)), "26 stored elements are fewer"),
        (MemoryOp(432, 1280, "im2col_transposed", (*CONV[:-1], 39)), "39 stored elements are fewer"),
        (MemoryOp(432, 1280, "im2col", (*CONV[:12], 2, 32)), "no multiple of 2 groups"),
        (MemoryOp(432, 1280, "im2col", (*CONV[:6], 0, *CONV[7:])), "not positive"),
        (MemoryOp(432, 1280, "im2col", (*CONV[:4], 12, *CONV[5:])), "higher than the padded image"),
        (MemoryOp(432, 1280, "im2col", (*CONV[:5], 11, *CONV[6:])), "wider than the padded image"),
        (MemoryOp(1280, 432, "col2im", CONV), "1 B per element"),
        (MemoryOp(2**31, 2**31, "im2col", (2**31, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1)), "2147483648 parts"),
    ],
)
def test_what_is_refused(op, says):
    with pytest.raises(Unsupported, match=re.escape(says)) as caught:
        stream_kernel(op)
    assert [problem.code for problem in caught.value.problems] == ["E2320"]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("bits", "each"), [(1, 1), (9, 1), (8, 2), (17, 2)])
def test_bits_must_go_into_the_bytes(bits, each):
    with pytest.raises(Unsupported, match=f"codes of {bits} bits are not stored in {each} B"):
        stream_kernel(MemoryOp(4000, each * 1000, "quantise", (1000,)), constants=Constants(bits=bits))


def test_absmax_knows_codes_of_2_to_16_bits():
    with pytest.raises(Unsupported, match="no codes of 17 bits"):
        stream_kernel(MemoryOp(4, 0, "absmax", (1,)), constants=Constants(bits=17))


@pytest.mark.parametrize(("name", "variant"), [("quantise", "nearest"), ("absmax", "x"), ("cast", "fp8")])
def test_unknown_variants_are_refused(name, variant):
    written = {"quantise": 1000, "absmax": 0, "cast": 2000}[name]
    with pytest.raises(Unsupported, match=f"no variant '{variant}'"):
        stream_kernel(MemoryOp(4000, written, name, (1000,)), variant)


def test_every_plan_names_an_entry_of_the_sources(entries):
    named = set()
    for op in (
        MemoryOp(1, 1), MemoryOp(4000, 0, "absmax", (1000,)), MemoryOp(4000, 1000, "quantise", (1000,)),
        MemoryOp(4000, 2000, "cast", (1000,)), MemoryOp(432, 1280, "im2col", CONV),
        MemoryOp(12000, 10000, "update_quantise", (1000,)),
    ):  # fmt: skip
        named |= {stream_kernel(op, variant).launches(1)[0].entry for variant in variants(op)}
    assert named <= set(entries)
    assert len(named) == 10


def test_the_sources_include_nothing():
    assert "#include" not in source_text()


def test_matching_is_of_bits_and_nan():
    a = np.array([0.0, -0.0, np.nan, 1.0, np.inf], np.float32)
    b = np.array([-0.0, -0.0, -np.nan, 1.0000001, np.inf], np.float32)
    assert matches(a, b).tolist() == [False, True, True, False, True]
    assert matches(np.array([3], np.int8), np.array([3], np.int8)).all()
