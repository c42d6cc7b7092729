"""The terminal plot: exact pictures of small traces, and lines that never outgrow the terminal."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.formats import FORMATS
from perfmodel.report.render import render, width
from perfmodel.report.terminal import NARROWEST, terminal_plot
from perfmodel.report.trace import trace_tables
from perfmodel.traces import PassPrecision, Segment, Trace


def trace(segments, samples=9, batch=3):
    """A trace of three iterations an epoch."""
    return Trace("net", "data", "muppet", samples, batch, segments, {"reader": "hand"})


def epoch(number, precision, iterations=3, **metrics):
    precision = precision if isinstance(precision, PassPrecision) else PassPrecision.same(precision)
    return Segment(number, iterations, precision, metrics=metrics)


SIX = [
    epoch(0, "dfx8", val_acc=10, loss=9), epoch(1, "dfx8", val_acc=30, loss=7), epoch(2, "dfx12", val_acc=50, loss=5),
    epoch(3, "dfx12", loss=3), epoch(5, "fp32", val_acc=70, loss=2), epoch(6, "fp32", val_acc=90, loss=1),
]  # fmt: skip


def test_blocks_and_dots():
    assert terminal_plot(trace(SIX), 25) == (
        "precision\n"
        " fp32 │          ████\n"
        "dfx12 │    ████\n"
        " dfx8 │████\n"
        "val_acc\n"
        "   90 │            ⠉⠉\n"
        "      │          ⠒⠒\n"
        "      │    ⠒⠒\n"
        "      │  ⠤⠤\n"
        "   10 │⣀⣀\n"
        "loss\n"
        "    9 │⠉⠉\n"
        "      │  ⠒⠒\n"
        "      │    ⠒⠒\n"
        "      │      ⠤⠤\n"
        "    1 │          ⠒⠒⣀⣀\n"
        "      └┬───┬───┬───┬─\n"
        "epoch  0   2   4   6\n"
    )


def test_ascii():
    text = terminal_plot(trace(SIX), 25, ascii=True)
    assert text == (
        "precision\n"
        " fp32 |          ####\n"
        "dfx12 |    ####\n"
        " dfx8 |####\n"
        "val_acc\n"
        "   90 |            **\n"
        "      |          **\n"
        "      |    **\n"
        "      |  **\n"
        "   10 |**\n"
        "loss\n"
        "    9 |**\n"
        "      |  **\n"
        "      |    **\n"
        "      |      **\n"
        "    1 |          ****\n"
        "      ++---+---+---+-\n"
        "epoch  0   2   4   6\n"
    )


def test_several_segments_of_a_column_show_all_their_values():
    segments = [epoch(e, "dfx8" if e < 42 else "dfx12", loss=e // 2 % 4 + 1) for e in range(72)]
    assert terminal_plot(trace(segments), 25, ascii=True) == (
        "precision\n"
        "dfx12 |          ########\n"
        " dfx8 |###########\n"  # column 10 stands for epochs 40 to 43, of both formats
        "loss\n"
        "    4 | * * * * * * * * *\n"
        "      | * * * * * * * * *\n"
        "      |\n"
        "      |* * * * * * * * *\n"
        "    1 |* * * * * * * * *\n"
        "      ++----+----+----+--\n"
        "epoch  0    20   40   60\n"
        "72 segments in 18 colu...\n"
    )


def test_one_epoch_with_iterations_of_its_own_precision():
    cyclic = [
        Segment(0, 1, PassPrecision(name, "dfx8", "dfx8"), metrics={"prec1": 5.5}) for name in ("dfx4", "dfx6", "dfx8")
    ]
    assert terminal_plot(trace(cyclic), 25, ascii=True) == (
        "precision of fprop; dg...\n"
        " dfx8 |            ######\n"
        " dfx6 |      ######\n"
        " dfx4 |######\n"
        "prec1\n"
        "  5.5 |******************\n"
        "      ++-----------------\n"
        "epoch  0\n"
    )


def test_candidates_are_shaded():
    lines = terminal_plot(trace([epoch(0, ["dfx8", "dfx12"]), epoch(1, "fp32")]), 25, ascii=True).splitlines()
    assert lines[1:4] == [" fp32 |         #########", "dfx12 |?????????", " dfx8 |?????????"]
    assert lines[-1] == "?  one of these format..."


def test_first_epoch_is_where_the_trace_begins():
    lines = terminal_plot(trace([epoch(500, "fp32"), epoch(501, "fp32")]), 40).splitlines()
    assert lines[1] == " fp32 │" + "█" * 32
    assert lines[-1] == "epoch  500             501"


def test_an_epoch_cut_short_leaves_its_end_empty():
    lines = terminal_plot(trace([epoch(0, "fp16"), epoch(1, "fp16", iterations=1)]), 25, ascii=True).splitlines()
    assert lines[1] == " fp16 |############"  # 9 columns, and a third of 9


def test_leaving_out_the_last_batch_is_no_cut():
    segments = [epoch(0, "fp16", iterations=3), epoch(1, "fp16", iterations=3)]
    assert terminal_plot(trace(segments, samples=10), 25, ascii=True).splitlines()[1] == " fp16 |" + "#" * 18


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("acc\x1b[31m", "acc\\x1b[31m"),
        ("精度acc", "精度acc"),
        ("acc" * 30, "acc" * 7 + "ac…"),
        ("a\u202ecc", "a\\u202ecc"),
    ],
)
def test_names_are_made_harmless(name, shown):
    assert terminal_plot(trace([epoch(0, "fp16", **{name: 1})]), 24).splitlines()[2] == shown


ANY_NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(str.strip)
NUMBERS = st.floats(-1e300, 1e300) | st.integers(-(10**300), 10**300) | st.sampled_from([5e-324, -5e-324, 0])
FORMAT_LISTS = st.lists(st.sampled_from(sorted(FORMATS)), min_size=1, max_size=4, unique=True)
PRECISIONS = st.builds(
    PassPrecision, FORMAT_LISTS, FORMAT_LISTS, FORMAT_LISTS, st.none() | st.sampled_from(["fp32", "fp16"])
)
SEGMENTS = st.builds(
    Segment, st.integers(0, 9) | st.integers(0, 10**6), st.integers(1, 3), PRECISIONS,
    st.none() | st.floats(1e-300, 1e300), st.dictionaries(st.sampled_from(["ratio", "threshold", "mean"]), NUMBERS),
    st.dictionaries(st.sampled_from(["loss", "val_acc", "lr", "epoch"]) | ANY_NAMES, NUMBERS, max_size=4),
)  # fmt: skip


@st.composite
def traces(draw):
    segments = sorted(draw(st.lists(SEGMENTS, min_size=1, max_size=9)), key=lambda segment: segment.epoch)
    texts = st.lists(ANY_NAMES, max_size=3)
    made = trace(segments, samples=draw(st.integers(60, 99)), batch=draw(st.integers(1, 2)))
    return replace(made, corrections=tuple(draw(texts)), inferred=tuple(draw(texts)), title=draw(ANY_NAMES))


@settings(max_examples=500)
@given(traces(), st.integers(-9, 200), st.booleans())
def test_no_line_is_wider_than_the_terminal(any_trace, columns, ascii_only):
    text = terminal_plot(any_trace, columns, ascii_only)
    assert text.isascii() or not ascii_only
    for line in text.removesuffix("\n").split("\n"):
        assert width(line) <= max(columns, NARROWEST)
        assert line.isprintable()


@settings(max_examples=200)
@given(traces(), st.sampled_from([".txt", ".md", ".tex", ".csv", ".json"]))
def test_tables_render_in_every_suffix(any_trace, suffix):
    assert render(trace_tables("any", any_trace, suffix), suffix)
