"""Trace files: exact round trips, every error at its line, and no other exception for any bytes."""

import contextlib
import os
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.errors import InputError, OutputError, PerfModelError
from perfmodel.formats import FORMATS
from perfmodel.traces import strict_json
from perfmodel.traces.jsonl import format_trace, parse_trace, read_trace, write_trace
from perfmodel.traces.trace import PassPrecision, Segment, Trace

HEADER = (
    '{"schema":"perfmodel.trace/1","network":"net","dataset":"data","scheme":"muppet","samples":100,"batch":10,'
    '"source":{"reader":"by hand"}}'
)
FP32 = '"precision":{"fprop":"fp32","dgrad":"fp32","wgrad":"fp32"}'
SEGMENT = '{"epoch":0,"iterations":10,' + FP32 + "}"
SECOND = SEGMENT.replace('"epoch":0', '"epoch":1')


def file_of(*lines):
    return "\n".join(lines) + "\n"


def problems_of(text):
    with pytest.raises(InputError) as error:
        parse_trace(text, "t.jsonl")
    return [(problem.code, problem.place) for problem in error.value.problems]


# Round trips

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(str.strip)
numbers = st.integers(-(10**9), 10**9) | st.floats(-1e300, 1e300)
tables = st.dictionaries(texts, numbers, max_size=3)
candidates = st.lists(st.sampled_from(sorted(FORMATS)), min_size=1, max_size=3, unique=True)
passes = st.builds(PassPrecision, candidates, candidates, candidates, st.none() | st.sampled_from(sorted(FORMATS)))
plain = st.recursive(
    numbers | st.booleans() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
layer = st.sampled_from(sorted(FORMATS)) | st.fixed_dictionaries(dict.fromkeys(("fprop", "dgrad", "wgrad"), candidates))


@st.composite
def traces(draw):
    epochs = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))  # segments of each epoch
    segments = [
        Segment(
            epoch,
            draw(st.integers(1, 3)),
            draw(passes),
            draw(st.none() | st.floats(1e-12, 10)),
            draw(tables),
            draw(tables),
            draw(st.dictionaries(texts, layer, max_size=2)),
            draw(st.booleans()),
        )
        for epoch, count in enumerate(epochs)
        for _ in range(count)
    ]
    return Trace(
        *(draw(texts) for _ in range(3)),
        samples=draw(st.integers(81, 90)),
        batch=10,
        segments=segments,
        source=draw(st.dictionaries(texts, plain, min_size=1, max_size=3)),
        scheme_params=draw(st.dictionaries(texts, plain, max_size=3)),
        corrections=draw(st.lists(texts, max_size=2)),
        inferred=draw(st.lists(texts, max_size=2)),
        baseline_epochs=draw(st.none() | st.integers(1, 10**6)),
        title=draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=5)),
        notes=draw(st.just("") | texts),
    )


@settings(deadline=None)
@given(traces())
def test_text_round_trip_is_exact(trace):
    text = format_trace(trace)
    assert parse_trace(text) == trace
    assert format_trace(parse_trace(text)) == text


@settings(deadline=None, max_examples=25)
@given(traces())
def test_file_round_trip_is_exact(tmp_path_factory, trace):
    path = tmp_path_factory.mktemp("round") / "t.jsonl"
    write_trace(trace, path)
    assert read_trace(path) == trace


def test_the_format_by_hand():
    segment = Segment(0, 313, PassPrecision.same(("dfx8", "dfx12"), "fp32"), lr=0.1, gradient_diversity={"mean": 0.3})
    trace = Trace("resnet20", "cifar10", "muppet", 40_000, 128, [segment], {"reader": "by hand"}, title="Zürich")
    assert format_trace(trace) == (
        '{"schema":"perfmodel.trace/1","network":"resnet20","dataset":"cifar10","scheme":"muppet","samples":40000,'
        '"batch":128,"source":{"reader":"by hand"},"title":"Zürich"}\n'
        '{"epoch":0,"iterations":313,"precision":{"fprop":["dfx8","dfx12"],"dgrad":["dfx8","dfx12"],'
        '"wgrad":["dfx8","dfx12"],"master":"fp32"},"lr":0.1,"gd":{"mean":0.3}}\n'
    )


def test_what_is_tolerated():
    parsed = parse_trace(file_of(HEADER, SEGMENT, SECOND))
    assert parsed.epochs == 2
    assert parse_trace(file_of("", HEADER, "  ", SEGMENT, "", SECOND, "")) == parsed  # blank lines
    assert parse_trace("\r\n".join([HEADER, SEGMENT, SECOND, ""])) == parsed
    assert parse_trace("\n".join([HEADER, SEGMENT, SECOND])) == parsed  # the last line is whole


def test_a_byte_order_mark_is_dropped(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + file_of(HEADER, SEGMENT).encode())
    assert read_trace(path).epochs == 1


# Errors


@pytest.mark.parametrize(
    ("line", "code", "place"),
    [
        ("{]", "E1301", "t.jsonl:2:2"),
        ("[1, 2]", "E1301", "t.jsonl:2:1"),
        ("null", "E1301", "t.jsonl:2:1"),
        (SEGMENT + SEGMENT, "E1301", f"t.jsonl:2:{len(SEGMENT) + 1}"),
        ('{"epoch":NaN}', "E1301", "t.jsonl:2:"),
        ('{"epoch":-Infinity}', "E1301", "t.jsonl:2:"),
        ('{"epoch":' + "1" * 5000 + "}", "E1301", "t.jsonl:2:"),
        ('{"epoch":' + "[" * 64 + "]" * 64 + "}", "E1301", "t.jsonl:2:"),
        ('{"epoch":' + "[" * 100_000 + "]" * 100_000 + "}", "E1301", "t.jsonl:2:"),
        ('{"epoch":0,"epoch":1}', "E1302", "t.jsonl:2:"),
        ('{"metrics":{"a":0,"b":1,"a":0}}', "E1302", "t.jsonl:2:"),
        ('{"epoch":0,"iterations":10}', "E1304", "t.jsonl:2: precision:"),
        ('{"epoch":0,' + FP32 + "}", "E1304", "t.jsonl:2: iterations:"),
        ('{"iterations":1,' + FP32 + "}", "E1304", "t.jsonl:2: epoch:"),
        (SEGMENT.replace('"wgrad"', '"wgrd"'), "E1304", "t.jsonl:2: precision.wgrad:"),
        (SEGMENT[:-1] + ',"loss":1}', "E1305", "t.jsonl:2: 'loss':"),
        (SEGMENT[:-1] + ',"gradient_diversity":{}}', "E1305", "t.jsonl:2: 'gradient_diversity':"),
        (SEGMENT.replace('"fp32"}', '"fp32","bias":"fp32"}'), "E1305", "t.jsonl:2: precision.'bias':"),
        (SEGMENT[:-1] + ',"lr":null}', "E1306", "t.jsonl:2: lr:"),
        (SEGMENT[:-1] + ',"metrics":{"loss":null}}', "E1306", "t.jsonl:2: metrics['loss']:"),
        (SEGMENT[:-1] + ',"metrics":{"loss":"nan"}}', "E1306", "t.jsonl:2: metrics['loss']:"),
        (SEGMENT[:-1] + ',"metrics":{"loss":1e999}}', "E1307", "t.jsonl:2: metrics['loss']:"),
        (SEGMENT[:-1] + ',"gd":{"mean":true}}', "E1306", "t.jsonl:2: gd['mean']:"),
        (SEGMENT[:-1] + ',"layers":{"c":{"fprop":["fp32"]}}}', "E1304", "t.jsonl:2: layers['c'].dgrad:"),
        ('{"epoch":0,"iterations":1,"precision":"fp32"}', "E1306", "t.jsonl:2: precision:"),
        ('{"epoch":0,"iterations":1,"precision":["fp32"]}', "E1306", "t.jsonl:2: precision:"),
        (SEGMENT.replace('"fp32"', "[]", 1), "E1306", "t.jsonl:2: precision.fprop:"),
        (SEGMENT.replace('"fp32"', '"dfx17"', 1), "E1004", "t.jsonl:2: precision.fprop: format"),
        (SEGMENT.replace('"fp32"', '["dfx8",8]', 1), "E1004", "t.jsonl:2: precision.fprop: format"),
        (SEGMENT.replace('"epoch":0', '"epoch":"0"'), "E1306", "t.jsonl:2: epoch:"),
        (SEGMENT.replace('"iterations":10', '"iterations":1.5'), "E1306", "t.jsonl:2: iterations:"),
        (SEGMENT.replace('"iterations":10', '"iterations":0'), "E1307", "t.jsonl:2: iterations:"),
        (SEGMENT.replace('"iterations":10', '"iterations":11'), "E1311", "t.jsonl:2:"),
        ('{"a":"' + "x" * 2**20 + '"}', "E1313", "t.jsonl:2:"),
    ],
)
def test_a_wrong_segment(line, code, place):
    assert problems_of(file_of(HEADER, line))[0] == (code, place)


@pytest.mark.parametrize(
    ("header", "code", "place"),
    [
        ("nonsense", "E1301", "t.jsonl:1:1"),
        (SEGMENT, "E1304", "t.jsonl:1: schema:"),
        (HEADER.replace("trace/1", "trace/2"), "E1308", "t.jsonl:1: schema:"),
        (HEADER.replace('"perfmodel.trace/1"', "[[]]"), "E1308", "t.jsonl:1: schema:"),
        (HEADER.replace('"samples":100,', ""), "E1304", "t.jsonl:1: samples:"),
        (HEADER.replace('"samples"', '"sample"'), "E1304", "t.jsonl:1: samples:"),
        (HEADER.replace('"batch":10', '"batch":10,"epochs":5'), "E1305", "t.jsonl:1: 'epochs':"),
        (HEADER.replace('"batch":10', '"batch":null'), "E1306", "t.jsonl:1: batch:"),
        (HEADER.replace('"batch":10', '"batch":0'), "E1307", "t.jsonl:1: batch:"),
        (HEADER.replace('{"reader":"by hand"}', "{}"), "E1304", "t.jsonl:1: source:"),
        (HEADER.replace('"net"', '"\\ud800"'), "E1306", "t.jsonl:1: network:"),
    ],
)
def test_a_wrong_header(header, code, place):
    assert problems_of(file_of(header, SEGMENT))[0] == (code, place)


def test_every_missing_header_key_is_named_with_its_fix():
    with pytest.raises(InputError) as error:
        parse_trace('{"schema":"perfmodel.trace/1"}\n' + SEGMENT)
    keys = [problem.place.split()[-1] for problem in error.value.problems]
    assert keys == ["network:", "dataset:", "scheme:", "samples:", "batch:", "source:"]
    assert 'Add "samples": how many training samples an epoch sees.' in str(error.value)


def test_all_lines_are_checked_and_blank_ones_counted():
    wrong = SEGMENT.replace("fp32", "fp33")
    text = file_of(HEADER.replace('"batch":10', '"batch":0'), "", wrong, SECOND, "{", wrong)
    assert problems_of(text) == [
        ("E1307", "t.jsonl:1: batch:"),
        ("E1004", "t.jsonl:3: precision.fprop: format"),
        ("E1301", "t.jsonl:5:2"),
        ("E1004", "t.jsonl:6: precision.fprop: format"),
    ]


def test_twenty_are_printed_and_the_rest_counted():
    with pytest.raises(InputError) as error:
        parse_trace(file_of(HEADER, *["{}"] * 50))
    assert len(error.value.lines()) == 21
    assert error.value.lines()[-1] == "… 130 more"  # three keys are missing in each line


def test_reading_stops_after_many_problems():
    with pytest.raises(InputError) as error:
        parse_trace(file_of(HEADER, *["{"] * 5000))
    assert len(error.value.problems) == strict_json.MOST_PROBLEMS


def test_order_of_epochs():
    text = file_of(HEADER, SEGMENT, "", SEGMENT.replace('"epoch":0', '"epoch":5'), SECOND)
    assert problems_of(text) == [("E1309", "t.jsonl:5:")]


def test_epochs_that_are_left_out_are_no_error():
    trace = parse_trace(file_of(HEADER, SEGMENT, SEGMENT.replace('"epoch":0', '"epoch":5')))
    assert trace.gaps == ((1, 4),)


def test_segments_of_one_epoch_add_up():
    half = SEGMENT.replace('"iterations":10', '"iterations":5')
    assert parse_trace(file_of(HEADER, half, half)).iterations == 10
    assert problems_of(file_of(HEADER, half, half, half)) == [("E1311", "t.jsonl:4:")]


@pytest.mark.parametrize("text", ["", "\n", " \n\r\n"])
def test_empty(text):
    assert problems_of(text) == [("E1314", "t.jsonl:1:")]


def test_no_segments():
    assert problems_of(file_of(HEADER)) == [("E1312", "t.jsonl:1:")]


def test_a_torn_last_line():
    torn = file_of(HEADER, SEGMENT) + SECOND[:30]
    assert problems_of(torn) == [("E1303", "t.jsonl:3:")]
    with pytest.raises(InputError, match="the file is truncated"):
        parse_trace(torn)
    assert problems_of(torn + "\n")[0] == ("E1301", "t.jsonl:3:28")  # a whole line that is wrong
    assert problems_of(HEADER[:-1]) == [("E1303", "t.jsonl:1:")]
    assert problems_of(file_of(HEADER) + '{"epoch":NaN}')[0] == ("E1301", "t.jsonl:2:")


def test_too_many_lines(monkeypatch):
    monkeypatch.setattr(strict_json, "MOST_LINES", 2)
    assert problems_of(file_of(HEADER, SEGMENT, SECOND)) == [("E1313", "t.jsonl:3:")]


def test_control_characters_do_not_reach_the_terminal():
    with pytest.raises(InputError) as error:
        parse_trace(file_of(HEADER, SEGMENT[:-1] + ',"\\u001b[31m":1,"metrics":{"\\u202e":null}}'))
    assert all(character.isprintable() for line in error.value.lines() for character in line)


# Hostile bytes

FP16 = {"fprop": "fp16", "dgrad": "fp16", "wgrad": ["fp16"]}
SMALL = format_trace(
    Trace(
        "net", "data", "muppet", 100, 10,
        [
            Segment(0, 5, PassPrecision.same(("dfx8", "dfx12"), "fp32"), lr=0.1, metrics={"top1 é": 31.2}),
            Segment(0, 5, PassPrecision.same("fp32"), layers={"fc": FP16}),
            Segment(1, 10, PassPrecision.same("fp32"), gradient_diversity={"mean": 0.3, "violations": 0}),
        ],
        {"reader": "by hand", "list": [1, {"two": 2.5}]},
        corrections=["one"],
    )
).encode()  # fmt: skip


def outcome(path, content):
    """The trace of a file, or None where it is refused with a code and its place."""
    path.write_bytes(content)
    problems = ()
    try:
        return read_trace(path)
    except PerfModelError as error:
        problems = error.problems
    assert problems
    assert all(problem.code and str(path) in problem.place for problem in problems)
    return None


def test_every_truncation(tmp_path):
    ends = [i + 1 for i, byte in enumerate(SMALL) if byte == ord("\n")]
    whole = {end - cut for end in ends[1:] for cut in (0, 1)}  # with or without the newline
    for size in range(len(SMALL) + 1):
        trace = outcome(tmp_path / "t.jsonl", SMALL[:size])
        assert (trace is not None) == (size in whole), size


def test_random_byte_flips(tmp_path):
    rng = random.Random(1)
    for _ in range(300):
        content = bytearray(SMALL)
        for _ in range(rng.choice((1, 1, 1, 4))):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        outcome(tmp_path / "t.jsonl", bytes(content))


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from('{}[]",:\\ue1-.0 \n\r\ttrufalsn\x00\ud800é') | st.characters(), max_size=60))
def test_any_text_is_a_trace_or_an_error(text):
    for content in (text, file_of(HEADER) + text, HEADER[:-1] + "," + text):
        with contextlib.suppress(PerfModelError):
            parse_trace(content)


@pytest.mark.parametrize("content", [b"\xff\xfe{\0}\0", b'{"schema":"\xff"}', b'{"a":\0}'])
def test_not_utf8(tmp_path, content):
    path = tmp_path / "t.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match="E1205"):
        read_trace(path)


# Writing


@pytest.fixture
def trace():
    return parse_trace(file_of(HEADER, SEGMENT))


def test_writing_replaces_the_whole_file(tmp_path, trace):
    path = tmp_path / "t.jsonl"
    path.write_text("old")
    write_trace(trace, path)
    assert path.read_text() == file_of(HEADER, SEGMENT)
    assert os.listdir(tmp_path) == ["t.jsonl"]


def test_a_link_is_not_written_through(tmp_path, trace):
    (tmp_path / "target").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(OutputError, match=r"E1902 .*link: is a symbolic link"):
        write_trace(trace, tmp_path / "link")
    assert (tmp_path / "target").read_text() == "precious"


@pytest.mark.parametrize(
    ("name", "code"), [("", "E1905"), ("no/such/folder.jsonl", "E1901"), ("nul\0.jsonl", "E1906"), ("x" * 300, "E1906")]
)
def test_where_nothing_can_be_written(tmp_path, trace, name, code):
    with pytest.raises(OutputError, match=code):
        write_trace(trace, tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_a_failed_replacement_keeps_the_old_file(tmp_path, trace, monkeypatch):
    path = tmp_path / "t.jsonl"
    path.write_text("old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OutputError, match="No space left"):
        write_trace(trace, path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["t.jsonl"]


def test_a_line_that_would_not_be_read_is_not_written(trace):
    with pytest.raises(OutputError, match="E1907"):
        format_trace(replace(trace, notes="x" * 2**20))
