"""Kernels of a profile: their text, their JSON, and what is no kernel."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.convolution import Convolution
from perfmodel.errors import InputError
from perfmodel.gemm import LAYOUTS, Gemm, find_precision
from perfmodel.lowering import STREAM_OPS, MemoryOp
from perfmodel.profiles.kernel import Kernel

HALF, INT8 = find_precision("fp16"), find_precision("int8")
GEMM = {
    "op": "gemm", "m": 3, "n": 5, "k": 7, "batch": 1, "operand": "fp16", "accumulator": "fp32", "output": "fp16",
}  # fmt: skip
STREAM = {"op": "stream", "bytes_read": 30.0, "bytes_written": 15.0}
WINDOW = (2, 6, 9, 11, 3, 5, 2, 3, 1, 2, 2, 1, 2, 48)

CASES = [
    (Kernel(Gemm(3, 5, 7, 1, HALF)), "gemm 3x5x7 fp16", GEMM),
    (Kernel(Gemm(3, 5, 7, 1, HALF, layout="nt")), "gemm 3x5x7 fp16 nt", GEMM | {"layout": "nt"}),
    (
        Kernel(Gemm(3, 5, 7, 2, HALF, 11, layout="tt"), "64x64"), "implicit 2x3x5x7 fp16 a=11 tt 64x64",
        GEMM | {"batch": 2, "a_distinct": 11, "layout": "tt", "variant": "64x64"},
    ),
    (Kernel(MemoryOp(30, 15)), "stream 30 B in, 15 B out", STREAM),
    (
        Kernel(MemoryOp(30, 15, "cast", (15,))), "cast 15 30 B in, 15 B out", STREAM | {"kind": "cast", "shape": [15]},
    ),
    (
        Kernel(MemoryOp(30, 15, "transpose", (5, 6)), "v2"), "transpose 5x6 30 B in, 15 B out v2",
        STREAM | {"kind": "transpose", "shape": [5, 6], "variant": "v2"},
    ),
    (
        Kernel(MemoryOp(30, 15, "im2col", WINDOW)), "im2col 2x6x9x11x3x5x2x3x1x2x2x1x2x48 30 B in, 15 B out",
        STREAM | {"kind": "im2col", "shape": [2, 6, 9, 11, 3, 5, 2, 3, 1, 2, 2, 1, 2, 48]},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kernel", "text", "row"), CASES)
def test_text_and_json(kernel, text, row):
    assert kernel.text == text
    assert kernel.to_json() == row
    assert Kernel.from_json(json.loads(json.dumps(row))) == kernel


def test_what_is_usual_may_be_left_out_or_said():
    assert Kernel.from_json(GEMM | {"layout": "tn"}) == Kernel.from_json(GEMM)
    assert Kernel.from_json(STREAM | {"kind": "stream", "shape": []}) == Kernel.from_json(STREAM)


def test_kernels_that_differ_in_layout_kind_or_shape_have_other_texts():
    gemms = [Kernel(replace(Gemm(3, 5, 7), layout=layout)) for layout in LAYOUTS]
    streams = [Kernel(MemoryOp(30, 15, op, shape)) for op in ("cast", "check") for shape in ((), (15,), (3, 5))]
    for kernels in (gemms, streams):
        assert len(set(kernels)) == len({kernel.text for kernel in kernels}) == len(kernels)


SHAPE_SIZE = st.integers(0, 10**15)


@given(st.sampled_from(sorted(STREAM_OPS)), st.data())
def test_streams_survive_json(op, data):
    shape = tuple(data.draw(SHAPE_SIZE) for _ in STREAM_OPS[op])
    read, written = data.draw(st.floats(0.5, 1e18)), data.draw(st.floats(0, 1e18))
    kernel = Kernel(MemoryOp(read, written, op, shape))
    assert Kernel.from_json(json.loads(json.dumps(kernel.to_json()))) == kernel
    assert kernel.text.isprintable()


@given(*[st.integers(1, 10**6)] * 4, st.sampled_from((HALF, INT8)), st.sampled_from(LAYOUTS))
def test_gemms_survive_json(m, n, k, batch, precision, layout):
    kernel = Kernel(Gemm(m, n, k, batch, precision, layout=layout))
    assert Kernel.from_json(json.loads(json.dumps(kernel.to_json()))) == kernel


@pytest.mark.parametrize(
    ("row", "found"),
    [
        *[(GEMM | {"layout": layout}, "layout is ") for layout in ("tx", "", "TN", None, 3, ["tn"], {}, "t\x1bn")],
        *[(STREAM | {"kind": kind}, "kind is ")
          for kind in ("", "Cast", "a b", "x" * 41, "\x1b[31m", "cast\n", None, 7, ["cast"], "é")],
        *[(STREAM | {"kind": "cast", "shape": shape}, "shape is ")
          for shape in ([-1], [1.0], [True], ["15"], [None], [10**15 + 1], [[15]], 15, "15", None, {}, [1] * 21)],
        (GEMM | {"kind": "cast"}, "the key 'kind' is not known."), (GEMM | {"shape": []}, "the key 'shape' is not"),
        (STREAM | {"layout": "tn"}, "the key 'layout' is not known."),
        ({**STREAM, "op": "cast"}, "{'op': 'cast'"),  # the op of a stream's record is `stream`, its kind says which
    ],
)  # fmt: skip
def test_what_is_no_kernel(row, found):
    with pytest.raises(InputError) as error:
        Kernel.from_json(row, "p.jsonl:7")
    (line,) = error.value.lines()
    assert line.startswith(f"E2106 p.jsonl:7 {found}")
    assert line.isprintable()


CONV = Convolution("wgrad", 2, 3, 15, 17, 5, (7, 5), (2, 1), (3, 0))


def test_a_convolution_round_trips_and_reads_as_one():
    kernel = Kernel(Gemm(5, 105, 208, a_distinct=7, layout="nt", conv=CONV))
    row = kernel.to_json()
    assert row["conv"] == {"pass": "wgrad", "sizes": [2, 3, 15, 17, 5, 7, 5, 2, 1, 3, 0, 1, 1, 1]}
    assert Kernel.from_json(json.loads(json.dumps(row))) == kernel
    assert kernel.text == "implicit 5x105x208 fp32 wgrad 2x3x15x17*5x7x5 stride 2x1 pad 3x0 nt"


@pytest.mark.parametrize(
    "conv",
    [
        "wgrad", {}, {"pass": "bgrad", "sizes": [1] * 14}, {"pass": "fprop", "sizes": [1] * 13},
        {"pass": "fprop", "sizes": [0, *[1] * 13]}, {"pass": "fprop", "sizes": [*[1] * 13, 1.5]},
        {"pass": "fprop", "sizes": [1] * 14, "more": 1},
    ],
)  # fmt: skip
def test_what_is_no_convolution_is_refused(conv):
    row = Kernel(Gemm(3, 5, 7)).to_json() | {"conv": conv}
    with pytest.raises(InputError, match=r"E2106 .*conv is .*, not the sizes of a convolution"):
        Kernel.from_json(row)
