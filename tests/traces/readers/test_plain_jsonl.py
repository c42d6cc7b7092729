"""Plain JSON lines and lists: what is taken of objects, what is refused and where, and any rows back again."""

import json
from dataclasses import replace

import pytest
from hypothesis import given as with_given
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.traces.logs import Given, read_log
from perfmodel.traces.logs.objects.document import Document

GIVEN = Given(network="net", dataset="data", scheme="own", samples=63, batch=8)
LINES = """{"epoch": 0, "precision": "fp16", "loss": 2.5, "val": {"top1": 31.5}, "note": "warm-up"}
{"epoch": 1, "precision": "int8", "loss": 1.5, "lr": 0.25, "val": {"top1": 40}, "classes": [1, 2]}
{"epoch": 2, "precision": "int8", "loss": null, "done": true}
"""
LIST = "[\n" + LINES.strip().replace("\n", ",\n") + "\n]\n"
EXPECTED = [
    (0, 8, "fp16", None, {"loss": 2.5, "val/top1": 31.5}),
    (1, 8, "int8", 0.25, {"loss": 1.5, "val/top1": 40.0}),
    (2, 8, "int8", None, {}),
]


def read(folder, text, given=GIVEN):
    path = folder / "log.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_log(path, given)


def segments(trace):
    return [(one.epoch, one.iterations, one.precision.label, one.lr, one.metrics) for one in trace.segments]


def notes(trace):
    """The corrections but that of the iterations, which these logs do not say."""
    return [note for note in trace.corrections if "iterations an epoch: ceil(" not in note]


def problems(folder, text, given=GIVEN):
    with pytest.raises(InputError) as error:
        read(folder, text, given)
    return [(one.code, one.place.removeprefix(str(folder))) for one in error.value.problems]


@pytest.mark.parametrize("text", [LINES, LIST, LINES.replace("\n", "\r\n\r\n"), LIST.replace("\n", "")])
def test_by_hand(tmp_path, text):
    trace = read(tmp_path, text)
    assert (trace.source["reader"], notes(trace)) == ("jsonl", [])
    assert segments(trace) == EXPECTED


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("text", [LINES, LIST])
def test_encodings(tmp_path, text, encoding):
    assert segments(read(tmp_path, text.encode(encoding))) == EXPECTED


def test_steps_of_iterations(tmp_path):
    lines = [json.dumps({"epoch": i // 8, "step": i, "loss": i / 4, "bits": 8 + 8 * (i >= 11)}) for i in range(16)]
    trace = read(tmp_path, "\n".join(lines) + "\n", replace(GIVEN, bits="dfx", samples=None))
    assert segments(trace) == [
        (0, 8, "dfx8", None, {"loss": 1.75}), (1, 3, "dfx8", None, {}), (1, 5, "dfx16", None, {"loss": 3.75}),
    ]  # fmt: skip
    assert trace.samples == 64


def test_a_name_that_the_user_says(tmp_path):
    line = '{"when": {"epoch_index": 0}, "cfg": {"a": {"b": {"format": "half"}}}, "x": {"a": {"b": {"c": {"d": 1}}}}}\n'
    given = replace(GIVEN, keys={"epoch": "when/epoch_index", "precision": "cfg/a/b/format"})
    assert segments(read(tmp_path, line, given)) == [(0, 8, "fp16", None, {})]


def test_numbers_that_are_not_finite_mark_divergence(tmp_path):
    trace = read(
        tmp_path, '{"epoch":0,"precision":"fp16","loss":NaN}\n{"epoch":1,"precision":"fp16","loss":-Infinity}\n'
    )
    assert segments(trace) == [(0, 8, "fp16", None, {}), (1, 8, "fp16", None, {})]
    assert len(notes(trace)) == 1
    assert "epochs 0 to 1" in notes(trace)[0]


def test_a_last_line_that_is_cut_off(tmp_path):
    trace = read(tmp_path, LINES[:-6])
    assert segments(trace) == EXPECTED[:2]
    assert notes(trace) == ["log.json:3 the last line is cut off: left out"]
    assert problems(tmp_path, LINES[:-6] + "\n") == [("E1301", "/log.json:3:57")]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"epoch": 0, "epoch": 0}\n', ("E1302", "/log.json:1:1")),
        ('{"epoch": 0, "a": "x", "a": 1}\n', ("E1302", "/log.json:1:1")),
        ('{"a/b": 0, "a": {"b": 1}}\n', ("E1302", "/log.json:1:")),
        ('{"epoch": 0, "a": {"b": 1, "b": 2}}\n', ("E1302", "/log.json:1:1")),
        ('{"epoch": 0, "loss": 1e999}\n', ("E1207", "/log.json:1:1")),
        ('{"epoch": 0, "loss": ' + "9" * 5000 + "}\n", ("E1207", "/log.json:1:1")),
        ('{"epoch": 0} x\n', ("E1301", "/log.json:1:14")),
        ('{"epoch": 0}\n\n  5\n', ("E1301", "/log.json:3:")),
        ('{"epoch": 0}\n[1]\n', ("E1301", "/log.json:2:")),
        ('{"epoch": 0, "loss": 1_0}\n', ("E1301", "/log.json:1:23")),
        ('{"epoch": 0, "loss": ١}\n', ("E1301", "/log.json:1:22")),
        ('{"epoch": 0, "a": ' + "[" * 64 + "]" * 64 + "}\n", ("E1301", "/log.json:1:1")),
        ('{"epoch": 0, "a": ' + "[" * 50_000 + "]" * 50_000 + "}\n", ("E1301", "/log.json:1:1")),
        ('{"epoch": "0"}\n', ("E1207", "/log.json:1:")),
        ('{"loss": 0}\n', ("E1323", "/log.json:1:")),
        ('[{"epoch": 0},\n{"epoch": 1},\n{"epoch": 2]', ("E1301", "/log.json:3:12")),
        ('[{"epoch": 0},\n 7]', ("E1301", "/log.json:2:")),
        ('[{"epoch": 0}]\n{"epoch": 1}', ("E1301", "/log.json:2:1")),
        ('[{"epoch": 0,\n"epoch": 1}]', ("E1302", "/log.json:1:2")),
        ('[{"epoch": 0},\n{"a": "' + "x" * 2**20 + '"}]', ("E1313", "/log.json:2:1")),
        ('[{"epoch": 0', ("E1301", "/log.json:1:13")),
    ],
)
def test_errors_have_their_place(tmp_path, text, problem):
    assert problems(tmp_path, text, replace(GIVEN, precision="fp16")) == [problem]


def test_several_lines_that_are_wrong(tmp_path):
    text = '{"epoch": 0}\n{]\n{"epoch": 1}\n{"a": 1, "a": 2}\n{"epoch": 2}\n'
    assert problems(tmp_path, text) == [("E1301", "/log.json:2:2"), ("E1302", "/log.json:4:1")]


@pytest.mark.parametrize("text", ["{\n", "{]\n", "[]\n", "[1]\n", "{'epoch': 0}\n"])
def test_what_is_no_json_of_rows_is_no_log(tmp_path, text):
    assert problems(tmp_path, text) == [("E1324", "/log.json:1:")]


def test_half_of_a_surrogate_pair(tmp_path):
    text = '{"epoch": 0, "precision": "fp16", "\\ud800": 1}\n'
    assert [code for code, _ in problems(tmp_path, text)] == ["E1306"]


def test_a_list_that_is_too_large(tmp_path):
    path = tmp_path / "log.json"
    path.write_bytes(LIST.encode())
    with open(path, "ab") as file:
        file.truncate(64 * 10**6 + 1)
    with pytest.raises(InputError, match="E1203"):
        read_log(path, GIVEN)


LONG = [f'{{"epoch": {i}, "note": "{"x" * size}"}}' for i, size in enumerate((5000, 70_000, 4096))]


def test_no_line_is_counted_for_items_that_read(tmp_path, monkeypatch):
    counted = []
    monkeypatch.setattr(Document, "_where", lambda *at: counted.append(at))
    document = Document(f"[\n{', '.join(LONG)}]", "log.json")
    assert [item["epoch"] for _, item in document.items()] == [0, 1, 2]
    assert counted == []


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ('{"epoch": 0, "epoch": 1}', ("E1302", "/log.json:2:3")),
        ('{"epoch": 0, "loss": 1e999}', ("E1207", "/log.json:2:3")),
        ('{"x": "' + "x" * 5000 + '", "loss": 1e999}', ("E1207", "/log.json:2:3")),
        ('{"epoch": 0, ?}', ("E1301", "/log.json:2:16")),
    ],
)
def test_errors_before_long_items_have_their_place(tmp_path, item, problem):
    text = '[{"epoch": 3},\n  ' + ",\n".join([item, *LONG]) + "]"
    assert problems(tmp_path, text, replace(GIVEN, precision="fp16")) == [problem]


def test_limits(tmp_path, monkeypatch):
    monkeypatch.setattr("perfmodel.traces.logs.objects.document.MOST_ITEMS", 2)
    monkeypatch.setattr("perfmodel.traces.logs.objects.rows.MOST_ROWS", 2)
    assert problems(tmp_path, LINES) == [("E1203", "/log.json:3:")]
    assert problems(tmp_path, LIST) == [("E1203", "/log.json:4:")]
    monkeypatch.setattr("perfmodel.traces.logs.objects.values.LARGEST_WIDE", len(LIST))
    assert problems(tmp_path, LIST.replace("warm-up", "Zürich!")) == [("E1203", "/log.json:")]


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9).map("metric ".__add__)
rows = st.lists(
    st.tuples(st.sampled_from(["fp16", "int8", "fp32"]), st.dictionaries(names, st.floats(-1e300, 1e300), max_size=4)),
    min_size=1, max_size=9,
)  # fmt: skip


@with_given(rows, st.booleans(), st.booleans())
def test_rows_come_back(tmp_path_factory, rows, one_list, ascii_only):
    objects = [{"epoch": i, "precision": name, **metrics} for i, (name, metrics) in enumerate(rows)]
    lines = [json.dumps(one, ensure_ascii=ascii_only) for one in objects]
    text = json.dumps(objects, ensure_ascii=ascii_only, indent=1) if one_list else "\n".join(lines) + "\n"
    trace = read(tmp_path_factory.mktemp("jsonl"), text, replace(GIVEN, reader="jsonl"))  # a name may be :::MLLOG
    assert [(one.precision.label, one.metrics) for one in trace.segments] == rows


@pytest.mark.parametrize("seed", [LINES, LIST], ids=["lines", "list"])
def test_mutations(fuzzed, seed):
    fuzzed(seed.encode(), GIVEN, name="log.json")


def test_truncations(reads):
    for seed in (LINES.encode(), LIST.encode()):
        for end in range(len(seed)):
            reads(seed[:end], "log.json", GIVEN)
