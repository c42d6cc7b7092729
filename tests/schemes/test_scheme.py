"""Schemes by name, the levels of what quantising costs, and the precisions of a breakdown."""

import pytest

from perfmodel.errors import InputError, UnknownName, Unsupported
from perfmodel.lowering import Delay, MemoryOp
from perfmodel.schemes import (
    LEVELS,
    Overhead,
    find_breakdown_scheme,
    find_overhead,
    find_scheme,
    gemm_choice,
    scheme_names,
    step_words,
)  # fmt: skip
from perfmodel.schemes.formats import StepFormats


def test_what_there_is():
    assert scheme_names() == [
        "fp32", "mixed", "bf16", "cpt", "dorefa", "fp8", "fp8-chunked", "fp8-hybrid", "fxpnet", "hbfp", "hbfp-tensor",
        "hbfp12", "mixed-adaptive", "mixed-static", "muppet", "tf32",
    ]  # fmt: skip
    assert {name: find_scheme(name).formats for name in ("fp32", "mixed", "muppet")} == {
        "fp32": ("fp32",),
        "mixed": ("fp16",),
        "muppet": ("dfx6", "dfx8", "dfx10", "dfx12", "dfx14", "dfx16", "fp32"),
    }
    for name in scheme_names():
        scheme = find_scheme(name)
        assert scheme is find_scheme(name)
        assert scheme.name == name
        assert scheme.source
        assert scheme.title


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mupet", r"^E1006 scheme 'mupet' is not known\. Did you mean muppet\?$"),
        ("fp23", r"^E1006 scheme 'fp23' is not known\. Did you mean fp32\?$"),
        ("", r"Known: bf16, cpt, dorefa, fp32, .*, muppet, tf32\.$"),
        (None, "E1006 scheme None"),
        ([], "E1006"),
        ("\x1b[2J", r"E1006 scheme '\\x1b\[2J'"),
    ],
)
def test_unknown_schemes(name, text):
    with pytest.raises(UnknownName, match=text):
        find_scheme(name)


# Bytes read and written for each element, and kernels: one byte goes out, but the chain of kernels writes each of its
# intermediate results, and of its 18 accesses of 4 B one half is written.
@pytest.mark.parametrize(
    ("level", "read", "written", "kernels"),
    [("ideal", 0, 0, 0), ("epilogue", 0, 1, 0), ("delayed", 4, 1, 1), ("current", 4 + 4, 1, 2), ("naive", 32, 25, 8),
     ("unfused", 36, 36, 14), ("measured", 4 + 4, 1, 2)],
)  # fmt: skip
def test_levels(level, read, written, kernels):
    works = list(Overhead(level).quantise("layer", "dgrad", 1000))
    assert sum(work.kernel.bytes * work.count for work in works) == pytest.approx(1000 * (read + written))
    assert (LEVELS[level].bytes_per_element, LEVELS[level].launches) == (read + written, kernels)
    assert sum(work.count for work in works if work.is_kernel) == kernels
    assert {(work.layer, work.pass_, work.kind) for work in works} <= {("layer", "dgrad", "quantise")}
    assert sum(work.kernel.bytes_read * work.count for work in works) == pytest.approx(1000 * read)
    assert sum(work.kernel.bytes_written * work.count for work in works) == pytest.approx(1000 * written)
    assert list(Overhead(level).whole_step()) == []
    assert list(LEVELS) == ["ideal", "epilogue", "delayed", "current", "naive", "unfused", "measured"]


@pytest.mark.parametrize(
    ("level", "expected"),
    [  # kernel and launches
        ("delayed", [(MemoryOp(28, 7, "quantise_delayed", (7,)), 1)]),
        ("current", [(MemoryOp(28, 0, "absmax", (7,)), 1), (MemoryOp(28, 7, "quantise", (7,)), 1)]),
        ("unfused", [(MemoryOp(18, 18), 14)]),  # 7·72 B in 14 kernels alike
    ],
)
def test_kernels_that_quantise_seven_elements(level, expected):
    works = list(Overhead(level).quantise("layer", "fprop", 7))
    assert [(work.kernel, work.count) for work in works] == expected


def test_copies_that_turn_operands_round_count_where_quantising_does():
    assert {level: Overhead(level).transposes for level in LEVELS} == {
        "ideal": False, "epilogue": True, "delayed": True, "current": True, "naive": True, "unfused": True,
        "measured": True,
    }  # fmt: skip
    assert not find_overhead("36").transposes
    assert not find_overhead("0").transposes
    assert not Overhead("table3", 0.4518723, "published").transposes


def test_a_given_time_replaces_the_levels():
    given = find_overhead("36")
    assert list(given.quantise("layer", "fprop", 1000)) == []
    (work,) = given.whole_step()
    assert work.kernel == Delay(0.036, "given")
    assert list(find_overhead("0").whole_step()) == []


@pytest.mark.parametrize(
    ("overhead", "words"),
    [
        (Overhead(), "current, maximum first, then quantise, 9 B/element"),
        (Overhead("ideal"), "ideal, no overhead: the paper's theoretical limit"),
        (Overhead("delayed"), "delayed, one pass with the scale of an earlier step, 5 B/element"),
        (Overhead("unfused"), "unfused, the reference's chain of PyTorch kernels, 72 B/element"),
        (Overhead("given", 0.036), "36 ms for each quantised iteration (given)"),
        (Overhead("given", 0.0), "0 ms for each quantised iteration (given)"),
        (Overhead("table3", 0.4518723, "published"), "451.9 ms for each quantised iteration (published)"),
        (Overhead("given", 2e-6), "0.002 ms for each quantised iteration (given)"),
    ],
)
def test_overheads_in_words(overhead, words):
    assert overhead.words == words


@pytest.mark.parametrize("level", LEVELS)
def test_the_words_of_a_level_name_its_bytes(level):
    size = LEVELS[level].bytes_per_element
    named = f", {size:.0f} B/element" in Overhead(level).words
    assert named == (level not in ("ideal", "measured"))


@pytest.mark.parametrize(
    ("text", "seconds"), [("36", 0.036), ("0", 0.0), ("1e3", 1.0), ("2.5", 0.0025), (".5", 0.0005), ("7.", 0.007)]
)
def test_milliseconds(text, seconds):
    overhead = find_overhead(text)
    assert overhead.seconds == pytest.approx(seconds)
    assert overhead.basis == "given"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "nan",
        "inf",
        "1e400",
        "1e308",
        "1_0",
        "１２",
        "١٢",
        " 5 ",
        "5 ms",
        "0x10",
        "curent",
        "\x1b[31m",
        "Ideal",
    ],
)
def test_what_is_no_overhead(text):
    with pytest.raises(
        InputError, match=r"^E1105 --overhead .* Choose ideal, epilogue, .*, current, naive, unfused, measured, table3"
    ) as error:
        find_overhead(text)
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    ("precision", "scheme", "format_"),
    [
        ("fp32", "fp32", "fp32"),
        ("fp16", "mixed", "fp16"),
        ("int8", "muppet", "dfx8"),
        ("dfx8", "muppet", "dfx8"),
        ("dfx14", "muppet", "dfx14"),
        ("tf32", "tf32", "tf32"),
        ("fp16+fp16", "fp16+fp16", "fp16"),
        ("fp8_e5m2", "fp8_e5m2", "fp8_e5m2"),
    ],
)
def test_the_step_that_a_precision_stands_for(precision, scheme, format_):
    found, formats = find_breakdown_scheme(precision)
    assert (found.name, formats) == (scheme, StepFormats.everywhere(format_))


@pytest.mark.parametrize(("precision", "width"), [("fp64", 8), ("tf32", 4), ("bf16", 2), ("fp8_e4m3", 2), ("int4", 2)])
def test_uniform_precision_converts_nothing(precision, width):
    scheme, formats = find_breakdown_scheme(precision)
    assert scheme.exact
    assert not scheme.conversions
    assert scheme.activation_bytes == width
    assert gemm_choice(scheme, formats, "fprop").precision.name == precision


@pytest.mark.parametrize(
    ("precision", "words"),
    [
        ("fp32", "a step of FP32, 4 B between layers"),
        ("fp16", "a step of mixed precision, 2 B between layers"),
        ("int8", "a step of MuPPET in dfx8, 4 B between layers"),
        ("dfx8", "a step of MuPPET, 4 B between layers"),
        ("dfx14", "a step of MuPPET, 4 B between layers"),
        ("tf32", "GEMMs in tf32, nothing converted, 4 B between layers"),
        ("fp16+fp16", "GEMMs in fp16+fp16, nothing converted, 2 B between layers"),
        ("fp8_e4m3", "GEMMs in fp8_e4m3, nothing converted, 2 B between layers"),
        ("fp64", "GEMMs in fp64, nothing converted, 8 B between layers"),
    ],
)
def test_what_a_precision_stands_for_in_words(precision, words):
    assert step_words(precision) == words


def test_precisions_that_stand_for_nothing():
    with pytest.raises(UnknownName, match=r"E1004 .*Did you mean fp16\?"):
        find_breakdown_scheme("fp17")
    with pytest.raises(UnknownName, match=r"E1004 .*Did you mean fp16\?"):
        step_words("fp17")
    with pytest.raises(Unsupported, match="E1101 precision 'mxfp4'"):
        find_breakdown_scheme("mxfp4")
    with pytest.raises(Unsupported, match="E1101 precision 'dfx4'"):  # MuPPET does not train in it
        find_breakdown_scheme("dfx4")
