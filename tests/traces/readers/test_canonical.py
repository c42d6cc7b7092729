"""The toolkit's own trace files as logs: what the user says instead, and what is cut off."""

from dataclasses import replace
from pathlib import Path

import pytest

from perfmodel.errors import InputError
from perfmodel.traces import format_trace, parse_trace
from perfmodel.traces.logs import Given, read_log

SAMPLE = "trace_example.jsonl"
SAMPLES = Path(__file__).parents[2] / "data" / "logs" / "samples"
TEXT = (SAMPLES / SAMPLE).read_text()


def read(folder, text, given=None):
    path = folder / "t.jsonl"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_log(path, given)


def problems(folder, text, given=None):
    with pytest.raises(InputError) as error:
        read(folder, text, given)
    return [(one.code, one.place.removeprefix(str(folder))) for one in error.value.problems]


def test_the_sample():
    trace = read_log(SAMPLES / SAMPLE)
    assert (trace.network, trace.samples, trace.batch, trace.epochs) == ("resnet20", 40_000, 128, 3)
    assert trace.source["reader"] == "muppet-log"
    assert trace == parse_trace(TEXT)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_encodings(tmp_path, encoding):
    assert read(tmp_path, TEXT.replace("\n", "\r\n").encode(encoding)) == parse_trace(TEXT)


def test_the_user_wins_and_corrections_stay(tmp_path):
    trace = replace(parse_trace(TEXT), corrections=("one before",))
    given = Given(network="resnet32", dataset="cifar10", scheme="own", samples=80_000, batch=256)
    found = read(tmp_path, format_trace(trace), given)
    assert (found.network, found.dataset, found.scheme) == ("resnet32", "cifar10", "own")
    assert (found.samples, found.batch, found.segments, found.source) == (80_000, 256, trace.segments, trace.source)
    assert found.corrections == (
        "one before",
        "t.jsonl:1 network resnet32 as given, not resnet20",
        "t.jsonl:1 scheme own as given, not muppet",
        "t.jsonl:1 samples 80000 as given, not 40000",
        "t.jsonl:1 batch 256 as given, not 128",
    )


def test_a_batch_that_does_not_fit(tmp_path):
    assert problems(tmp_path, TEXT, Given(batch=256)) == [
        ("E1311", f"/t.jsonl: segments[{i}]:") for i in range(3)
    ]  # fmt: skip


def test_a_last_line_that_is_cut_off(tmp_path):
    trace = read(tmp_path, TEXT[:-20])
    assert trace.segments == parse_trace(TEXT).segments[:2]
    assert trace.corrections == ("t.jsonl:4 the last line is cut off: left out",)
    assert read(tmp_path, TEXT[:-1]) == parse_trace(TEXT)  # whole, but for its end


def test_what_is_cut_off_in_its_header_or_first_segment(tmp_path):
    header = TEXT.index("\n")
    assert problems(tmp_path, TEXT[:header][:-5]) == [("E1303", "/t.jsonl:1:")]
    assert problems(tmp_path, TEXT[: header + 9]) == [("E1312", "/t.jsonl:1:")]


def test_a_broken_line_that_is_not_the_last(tmp_path):
    lines = TEXT.split("\n")
    lines[1] = lines[1][:-5]
    assert [code for code, _ in problems(tmp_path, "\n".join(lines))] == ["E1301"]
    assert [code for code, _ in problems(tmp_path, "\n".join(lines)[:-20])] == ["E1301", "E1303"]


@pytest.mark.parametrize(
    ("given", "option"),
    [(Given(precision="fp16"), "precision"), (Given(keys={"lr": "rate"}), "map")],
)
def test_options_that_a_trace_does_not_take(tmp_path, given, option):
    assert problems(tmp_path, TEXT, given) == [("E1335", f"/t.jsonl: --{option}:")]


def test_another_version(tmp_path):
    assert problems(tmp_path, TEXT.replace("trace/1", "trace/9")) == [("E1308", "/t.jsonl:1: schema:")]


def test_mutations(fuzzed):
    fuzzed(SAMPLE, Given(network="net", bits="int"))


def test_truncations(truncated):
    truncated(SAMPLE, Given())
